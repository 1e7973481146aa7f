"""Options of captions, which several commands share; what they say is `captions.options`."""

from __future__ import annotations

from typing import Annotated

import typer

from memegen.captions.options import CaptionOptions
from memegen.captions.style import STYLES

__all__ = ["At", "Bottom", "CaptionOptions", "Font", "Style", "Text", "Top"]

Top = Annotated[str | None, typer.Option("--top", help="Text at the top of the picture.")]
Bottom = Annotated[str | None, typer.Option("--bottom", help="Text at the bottom.")]
Text = Annotated[
    str | None, typer.Option("--caption", help="Text on a white bar beside the picture.")
]
At = Annotated[str, typer.Option("--caption-at", help="Where the bar is: above or below.")]
Style = Annotated[
    str | None,
    typer.Option("--caption-style", help=f"How text on the picture looks: {', '.join(STYLES)}."),
]
Font = Annotated[
    str | None,
    typer.Option("--font", help="Font of captions: a shipped one, one of the system, or a file."),
]
