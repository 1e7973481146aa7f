"""Captions on frames: laid out once, drawn once, then laid over every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from memegen.arrays import Picture
from memegen.captions.caption import BARS, Caption, checked_text
from memegen.captions.drawing import Typesetter, named, padding
from memegen.captions.fonts import FontBook, joins_letters
from memegen.captions.layout import (
    COMFORTABLE,
    MARGIN,
    SHARE,
    Layout,
    Limits,
    beside_faces,
    fit,
    keep_off,
)
from memegen.captions.style import rgb
from memegen.captions.text import is_joining, is_rtl
from memegen.errors import UsageError
from memegen.geometry.box import Box

if TYPE_CHECKING:
    from memegen.frames import Frames

BAR_PADDING = 0.35  # em of a bar's text, above and below it
TALLEST_BAR = 1.0  # of the picture's height
QUOTED = 30  # characters of a caption that a message repeats


@dataclass(frozen=True)
class Block:
    """A caption laid out on its own: its picture, and how much height it takes."""

    caption: Caption
    picture: Picture  # (h, W, 4)
    air: int  # rows of the picture above and below, which only the shadow reaches
    taken: float  # pixels of height, with what is kept free beside it


@dataclass(frozen=True)
class Overlay:
    """Premultiplied pixels to lay over a part of every frame."""

    box: Box
    colour: Picture  # (h, w, 3) premultiplied
    alpha: Picture  # (h, w, 1)

    def onto(self, frame: Picture) -> None:
        """Lay it over a frame (H, W, 3 or 4), in place."""
        view = frame[self.box.slices]
        alpha = self.alpha.astype(np.uint16)
        if frame.shape[2] == 3:
            view[...] = self.colour + _share(view, 255 - alpha)
            return
        below = _share(view[..., 3:], 255 - alpha)  # what is still seen of the frame
        total = alpha + below
        seen = self.colour + view[..., :3] * (below / 255.0)
        view[..., :3] = np.where(
            alpha > 0, np.rint(np.clip(seen * 255 / np.maximum(total, 1), 0, 255)), view[..., :3]
        ).astype(np.uint8)
        view[..., 3:] = total


def _share(values: Picture, of_255: np.typing.NDArray[np.uint16]) -> Picture:
    """Values times of_255 / 255, rounded: exact where that is 0 or 255."""
    product = values.astype(np.uint32) * of_255 + 127
    return (product // 255).astype(np.uint8)


def drawn(frames: Frames, warn: Callable[[str], None] = print) -> Frames:
    """The frames with their captions on them, which are then no longer to be drawn.

    Bars make the frames higher. Text on the picture keeps off `frames.faces` where there is room.
    Outside text and bars every byte stays; what is drawn later keeps off them: they are among the
    `faces` of what is returned. `warn` is told of characters that no font has.
    Raises UsageError where a text does not fit or a font is not there.
    """
    said = [spoken(caption) for caption in frames.captions]
    captions = [caption for caption in said if caption.text]
    if not captions:
        return replace(frames, captions=())
    times = [index / frames.fps for index in range(len(frames))]
    shown = [tuple(c for c in captions if c.shown_at(time)) for time in times]
    printer = _Printer(frames.size, frames.faces, warn)
    blocks = {seen: printer.blocks(seen) for seen in dict.fromkeys(shown)}
    printer.tell_missing()
    width, height = frames.size
    above, below = (_bar(list(blocks.values()), position) for position in BARS)
    odd = (height + above + below) % 2  # videos want even heights, and cut a row off others
    above, below = above + (odd if above else 0), below + (odd if below and not above else 0)
    tall = (width, above + height + below)
    overlays = {seen: _overlays(found, tall, above, below) for seen, found in blocks.items()}
    bars = _Bars(above, below, *(_bar_colour(captions, position) for position in BARS))

    def pictures() -> Iterator[Picture]:
        for picture, seen in zip(frames, shown, strict=False):
            frame = bars.beside(picture)
            for overlay in overlays[seen]:
                overlay.onto(frame)
            yield frame

    faces = [replace(f, top=f.top + above, bottom=f.bottom + above) for f in frames.faces]
    texts = {overlay.box for found in overlays.values() for overlay in found} | bars.boxes(tall)
    kept_off = (*faces, *sorted(texts, key=lambda box: (box.top, box.left)))
    return replace(frames, pictures=pictures(), size=tall, captions=(), faces=kept_off)


@dataclass(frozen=True)
class _Bars:
    """Rows above and below the pictures."""

    above: int  # pixels
    below: int
    colour_above: tuple[int, int, int]
    colour_below: tuple[int, int, int]

    def boxes(self, size: tuple[int, int]) -> set[Box]:
        """Where they are in frames of `size`."""
        width, height = size
        above, below = Box(0, 0, width, self.above), Box(0, height - self.below, width, height)
        return {box for box in (above, below) if box.bottom > box.top}

    def beside(self, picture: Picture) -> Picture:
        """A new frame: the picture between its bars."""
        if not self.above + self.below:
            return picture.copy()
        height, width, channels = picture.shape
        frame = np.full((self.above + height + self.below, width, channels), 255, np.uint8)
        frame[: self.above, :, :3] = self.colour_above
        frame[self.above : self.above + height] = picture
        frame[self.above + height :, :, :3] = self.colour_below
        return frame


class _Printer:
    """Lays captions out for one size of frames."""

    def __init__(
        self, size: tuple[int, int], faces: Sequence[Box], warn: Callable[[str], None]
    ) -> None:
        self._size, self._faces, self._warn = size, faces, warn
        self._books: dict[str, FontBook] = {}

    def blocks(self, captions: Sequence[Caption]) -> list[Block]:
        """Captions that are seen together; those at one position, one after the other."""
        taken: dict[str, float] = {}
        found = []
        for caption in captions:
            block = self._block(caption, taken.get(caption.position, 0.0))
            taken[caption.position] = taken.get(caption.position, 0.0) + block.taken
            found.append(block)
        return found

    def tell_missing(self) -> None:
        """One line about what is not drawn."""
        missing = dict.fromkeys(c for book in self._books.values() for c in book.missing)
        if missing:
            self._warn(
                f"caption: no font here has {named(list(missing))}, left out; `font` can name one"
            )

    def _block(self, caption: Caption, used: float) -> Block:
        style = caption.style
        book = self._books.setdefault(style.font, FontBook(style.font))
        if not joins_letters() and is_joining(caption.text):
            self._warn("caption: this Pillow has no Raqm; Arabic letters are not joined")
        setter = Typesetter(book, is_rtl(caption.text))
        layout = self._laid_out(caption, setter, used)
        if layout is None:
            quoted = caption.text[:QUOTED].replace("\n", " ")
            width, height = self._size
            raise UsageError(
                f"caption '{quoted}…' is too long for a picture of {width}x{height} pixels"
            )
        picture = setter.draw(layout, style, self._size[0])
        beside = self._margin if caption.position not in BARS else 2 * BAR_PADDING * layout.size
        return Block(caption, picture, padding(layout, style), layout.height + beside)

    @property
    def _margin(self) -> float:
        return MARGIN * min(self._size)

    def _laid_out(self, caption: Caption, setter: Typesetter, used: float) -> Layout | None:
        (width, height), style, side = (
            self._size,
            caption.style,
            float(np.sqrt(np.prod(self._size))),
        )
        extent = setter.extent(caption.text)

        def fitted(high: float) -> Layout | None:
            limits = Limits(
                width - 2 * self._margin,
                high,
                style.lines,
                style.size * side,
                COMFORTABLE * side,
                style.outline,
            )
            return fit(caption.text, limits, setter.width, extent)

        if caption.position in BARS:
            return fitted(TALLEST_BAR * height - used)
        over = fitted(SHARE * height - used)
        if caption.position == "middle" or not self._faces:
            return over
        room = beside_faces(caption.position, self._size, self._faces, used) - self._margin
        return keep_off(fitted(min(room, SHARE * height - used)), over)


def spoken(caption: Caption) -> Caption:
    """The caption with its text as it is drawn: in capitals where its style says so."""
    text = checked_text(caption.text)
    return replace(caption, text=text.upper() if caption.style.case == "upper" else text)


def _bar(shown: Sequence[Sequence[Block]], position: str) -> int:
    """Rows of a bar: those that most of its captions at a time take."""
    taken = [
        sum(block.taken for block in blocks if block.caption.position == position)
        for blocks in shown
    ]
    return int(np.ceil(max(taken, default=0.0)))


def _bar_colour(captions: Sequence[Caption], position: str) -> tuple[int, int, int]:
    first = next((c for c in captions if c.position == position), None)
    return rgb(first.style.bar_colour if first else "white")


def _overlays(
    blocks: Sequence[Block], size: tuple[int, int], above: int, below: int
) -> list[Overlay]:
    """Blocks at their places in frames of `size`, bars of so many rows included."""
    width, height = size
    margin = MARGIN * min(width, height - above - below)
    found = []
    stacks: dict[str, list[Block]] = {}
    for block in blocks:
        stacks.setdefault(block.caption.position, []).append(block)
    for position, stack in stacks.items():
        total = sum(block.taken for block in stack)
        y = {
            "top": above + margin,
            "middle": above + (height - above - below - total + margin) / 2,
            "bottom": height - below - total,
            "above": (above - total) / 2,
            "below": height - (below + total) / 2,
        }[position]
        for block in stack:
            drawn_high = block.picture.shape[0] - 2 * block.air
            inset = (block.taken - drawn_high) / 2 if position in BARS else 0.0
            found.append(_overlay(block.picture, round(y + inset) - block.air, size))
            y += block.taken
    return found


def _overlay(picture: Picture, top: int, size: tuple[int, int]) -> Overlay:
    """The part of a drawn text (h, W, 4) with ink, from a row of frames of `size` on."""
    low, high = max(0, -top), min(picture.shape[0], size[1] - top)
    inked = np.argwhere(picture[low:high, :, 3] > 0)
    if not len(inked):
        return Overlay(
            Box(0, 0, 0, 0), np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0, 1), np.uint8)
        )
    (y0, x0), (y1, x1) = inked.min(0), inked.max(0) + 1
    part = picture[low + y0 : low + y1, x0:x1]
    alpha = part[..., 3:]
    colour = _share(part[..., :3], alpha.astype(np.uint16))
    box = Box(int(x0), int(top + low + y0), int(x1), int(top + low + y1))
    return Overlay(box, colour, alpha)
