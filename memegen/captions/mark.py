"""A visible mark: a small line of text in the corner that is furthest from faces and captions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from memegen.arrays import Picture
from memegen.captions.caption import MARK, checked_mark
from memegen.captions.drawing import Typesetter, named, padding
from memegen.captions.fonts import FontBook
from memegen.captions.frames import Overlay
from memegen.captions.layout import SHARE, Limits, fit
from memegen.captions.style import CaptionStyle
from memegen.captions.text import is_rtl
from memegen.errors import UsageError
from memegen.geometry.box import Box

if TYPE_CHECKING:
    from memegen.frames import Frames

SHORT = "memegen"  # instead of MARK, on pictures too small for that
SIZE = 0.04  # em, of the side of a square of the picture's area
LEGIBLE = 11  # pixels of an em that a mark has at least, where it fits
MARGIN = 0.018  # of the picture's shorter side, between mark and edge
WIDEST = 0.9  # of the picture's width
STYLE = CaptionStyle(
    font="oswald-bold", size=SIZE, lines=1, case="as-is", outline=0.1, shadow=0.0,
    shadow_opacity=0.0,
)  # fmt: skip
# Where it may stand, (right, down) from 0 at the left and the top: corners first, then the sides.
CORNERS = ((1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0))
SIDES = tuple((right, 1 - step / 12) for step in range(1, 12) for right in (1.0, 0.0))


def marked(frames: Frames, text: str, warn: Callable[[str], None] = print) -> Frames:
    """The frames with a mark on every one, for frames whose captions are drawn already.

    It keeps off `frames.faces`, captions among them; all outside it stays as it is. `warn` is told
    of characters that no font has. Raises UsageError where the text does not fit.
    """
    drawing = _drawing(checked_mark(text), frames.size, warn)
    if drawing is None and text == MARK:
        drawing = _drawing(SHORT, frames.size, warn)
    if drawing is None:
        width, height = frames.size
        raise UsageError(f"the mark '{text}' is too long for a picture of {width}x{height} pixels")
    overlay = _placed(drawing, frames.size, frames.faces)

    def pictures() -> Iterator[Picture]:
        for picture in frames:
            frame = picture.copy()
            overlay.onto(frame)
            yield frame

    return replace(frames, pictures=pictures())


def _drawing(text: str, size: tuple[int, int], warn: Callable[[str], None]) -> Picture | None:
    """(h, w, 4) the line, cut to its ink; None where it does not fit."""
    width, height = size
    book = FontBook(STYLE.font)
    setter = Typesetter(book, is_rtl(text))
    largest = max(SIZE * float(np.sqrt(width * height)), LEGIBLE)
    limits = Limits(WIDEST * width, SHARE * height, 1, largest, 0, STYLE.outline)
    layout = fit(text, limits, setter.width, setter.extent(text))
    if layout is None:
        return None
    if book.missing:
        warn(f"mark: no font here has {named(list(book.missing))}, left out")
    drawn = setter.draw(layout, STYLE, width)
    inked = np.argwhere(drawn[..., 3] > 0)
    if not len(inked):
        raise UsageError(f"the mark '{text}' has no character that a font here can draw")
    (top, left), (bottom, right) = inked.min(0), inked.max(0) + 1
    assert padding(layout, STYLE) == 0  # no shadow: nothing reaches beyond the ink
    return drawn[top:bottom, left:right]


def _placed(drawing: Picture, size: tuple[int, int], taken: Sequence[Box]) -> Overlay:
    """The drawing at the place that covers least of what is taken."""
    height, width = drawing.shape[:2]
    margin = round(MARGIN * min(size))

    def box(place: tuple[float, float]) -> Box:
        left = margin + round(place[0] * (size[0] - width - 2 * margin))
        top = margin + round(place[1] * (size[1] - height - 2 * margin))
        left, top = max(0, left), max(0, top)
        return Box(left, top, left + width, top + height)

    def cost(place: tuple[float, float]) -> int:
        here = box(place)
        around = Box(
            here.left - margin, here.top - margin, here.right + margin, here.bottom + margin
        )
        return sum(_shared(around, other) for other in taken)

    alpha = drawing[..., 3:]
    product = drawing[..., :3].astype(np.uint32) * alpha + 127
    return Overlay(box(min((*CORNERS, *SIDES), key=cost)), (product // 255).astype(np.uint8), alpha)


def _shared(one: Box, other: Box) -> int:
    """Pixels that two boxes share."""
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(0, across) * max(0, down)
