"""Options that several commands share, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

Crop = Annotated[
    str | None, typer.Option("--crop", help="What of a photo is shown: none, square, head or face.")
]
Cutout = Annotated[
    str | None,
    typer.Option(
        "--cutout",
        help="What stays of a photo, on transparent ground: head or person (extra [cutout]).",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Duration = Annotated[float | None, typer.Option("--duration", help="Seconds of one cycle.")]
Face = Annotated[
    str, typer.Option("--face", help="largest, all, a number from 1, or a box x,y,w,h.")
]
For = Annotated[
    str | None,
    typer.Option(
        "--for",
        help="Make it as a platform wants it: discord-sticker, whatsapp-sticker, tweet, ...",
    ),
]
Format = Annotated[
    str | None, typer.Option("--format", "-f", help="Output format if no suffix says it.")
]
Fps = Annotated[float | None, typer.Option("--fps", help="Frames per second.")]
Intensity = Annotated[float, typer.Option("--intensity", help="Scales the change, 0..3.")]
Loop = Annotated[bool | None, typer.Option("--loop/--once", help="Repeat for ever, or play once.")]
MaxSize = Annotated[str | None, typer.Option("--max-size", help="Largest file, for example 8MB.")]
Model = Annotated[str, typer.Option("--model", help="anatomical, mesh, or a run of memegen train.")]
Size = Annotated[
    int | None, typer.Option("--size", help="Longest side in pixels; photos are never enlarged.")
]
