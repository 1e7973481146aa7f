"""Options that several commands share, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

from memegen.cli import complete
from memegen.devices import checked_device
from memegen.media.sizes import checked_side

Crop = Annotated[
    str | None,
    typer.Option(
        "--crop",
        help="What of a photo is shown: none, square, head or face.",
        autocompletion=complete.crop,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda or mps.",
        callback=checked_device,
        autocompletion=complete.device,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")
]
Cutout = Annotated[
    str | None,
    typer.Option(
        "--cutout",
        help="What stays of a photo, on transparent ground: head or person (extra [cutout]).",
    ),
]
Duration = Annotated[float | None, typer.Option("--duration", help="Seconds of one cycle.")]
Face = Annotated[
    str,
    typer.Option(
        "--face",
        help="largest, all, a number from 1, or a box x,y,w,h.",
        autocompletion=complete.face,
    ),
]
For = Annotated[
    str | None,
    typer.Option(
        "--for",
        help="Make it as a platform wants it: discord-sticker, whatsapp-sticker, tweet, ...",
        autocompletion=complete.platform,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help="Output format if no suffix says it.",
        autocompletion=complete.format_,
    ),
]
Fps = Annotated[float | None, typer.Option("--fps", help="Frames per second.")]
Intensity = Annotated[float, typer.Option("--intensity", help="Scales the change, 0..3.")]
Loop = Annotated[bool | None, typer.Option("--loop/--once", help="Repeat for ever, or play once.")]
MaxSize = Annotated[str | None, typer.Option("--max-size", help="Largest file, for example 8MB.")]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        help="anatomical, mesh, or a run of memegen train.",
        autocompletion=complete.model,
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        "--size",
        help="Longest side in pixels; photos are never enlarged.",
        callback=lambda side: side if side is None else checked_side(side),
    ),
]
