"""Captions on the command line: what the options say, checked before networks are loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from memegen.captions.caption import BARS, Caption, checked_text, usual_style
from memegen.captions.style import STYLES, style_named, styled
from memegen.cli import complete
from memegen.errors import UsageError, nearest

if TYPE_CHECKING:
    from memegen.pipeline import Frames

Top = Annotated[str | None, typer.Option("--top", help="Text at the top of the picture.")]
Bottom = Annotated[str | None, typer.Option("--bottom", help="Text at the bottom.")]
Text = Annotated[
    str | None, typer.Option("--caption", help="Text on a white bar beside the picture.")
]
At = Annotated[
    str,
    typer.Option(
        "--caption-at", help="Where the bar is: above or below.", autocompletion=complete.bar
    ),
]
Style = Annotated[
    str | None,
    typer.Option(
        "--caption-style",
        help=f"How text on the picture looks: {', '.join(STYLES)}.",
        autocompletion=complete.caption_style,
    ),
]
Font = Annotated[
    str | None,
    typer.Option(
        "--font",
        help="Font of captions: a shipped one, one of the system, or a file.",
        autocompletion=complete.font,
    ),
]


@dataclass(frozen=True)
class CaptionOptions:
    """The options of the same names. An empty text is none."""

    top: str | None = None
    bottom: str | None = None
    caption: str | None = None
    caption_at: str = "above"
    caption_style: str | None = None
    font: str | None = None

    def check(self) -> None:
        """Raises UsageError."""
        if self.caption_at not in BARS:
            known = nearest(self.caption_at, BARS)
            raise UsageError(f"--caption-at {self.caption_at}: must be {' or '.join(BARS)}{known}")
        for option, text in (
            ("--top", self.top),
            ("--bottom", self.bottom),
            ("--caption", self.caption),
        ):
            try:
                checked_text(text or "")
            except UsageError as error:
                raise UsageError(f"{option}: {error}") from None
        if self.caption_style is not None:
            style_named(self.caption_style)
        if self.font is not None:
            from memegen.captions.fonts import font_named

            font_named(self.font)

    def added_to(self, frames: Frames) -> Frames:
        """Frames with these captions to be drawn beside those of their recipe; all in the font."""
        texts = ((self.top, "top"), (self.bottom, "bottom"), (self.caption, self.caption_at))
        own = [self._caption(text, place) for text, place in texts if text]
        captions = [self._in_font(caption) for caption in (*frames.captions, *own)]
        return replace(frames, captions=tuple(captions))

    def _caption(self, text: str, position: str) -> Caption:
        named = self.caption_style
        style = style_named(named) if named and position not in BARS else usual_style(position)
        return Caption(text, position, style=style)

    def _in_font(self, caption: Caption) -> Caption:
        if self.font is None:
            return caption
        return replace(caption, style=styled(caption.style, {"font": self.font}))
