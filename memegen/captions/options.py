"""Captions that are asked for beside those of recipes: checked before networks are loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from memegen.captions.caption import BARS, Caption, checked_text, usual_style
from memegen.captions.style import style_named, styled
from memegen.errors import UsageError, nearest

if TYPE_CHECKING:
    from memegen.frames import Frames


@dataclass(frozen=True)
class CaptionOptions:
    """What `--top`, `--bottom`, `--caption` and their like say. An empty text is none."""

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
            raise UsageError(f"`caption_at` {self.caption_at}: must be {' or '.join(BARS)}{known}")
        for option, text in (
            ("top", self.top),
            ("bottom", self.bottom),
            ("caption", self.caption),
        ):
            try:
                checked_text(text or "")
            except UsageError as error:
                raise UsageError(f"`{option}`: {error}") from None
        if self.caption_style is not None:
            style_named(self.caption_style)
        if self.font is not None:
            from memegen.captions.fonts import font_named

            font_named(self.font)

    def added_to(self, frames: Frames) -> Frames:
        """Frames with these captions to be drawn beside those of their recipe; all in the font."""
        return replace(frames, captions=tuple(self.beside(frames.captions)))

    def beside(self, captions: Iterable[Caption]) -> list[Caption]:
        """Captions, then these; all in the font."""
        texts = ((self.top, "top"), (self.bottom, "bottom"), (self.caption, self.caption_at))
        own = [self._caption(text, place) for text, place in texts if text]
        return [self._in_font(caption) for caption in (*captions, *own)]

    def _caption(self, text: str, position: str) -> Caption:
        named = self.caption_style
        style = style_named(named) if named and position not in BARS else usual_style(position)
        return Caption(text, position, style=style)

    def _in_font(self, caption: Caption) -> Caption:
        if self.font is None:
            return caption
        return replace(caption, style=styled(caption.style, {"font": self.font}))
