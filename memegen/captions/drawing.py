"""Text as pixels: lines of several fonts and directions, with outline and shadow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from memegen.arrays import Picture
from memegen.captions.fonts import CAP_HEIGHT, Face, FontBook, joins_letters
from memegen.captions.layout import Extent, Layout
from memegen.captions.style import CaptionStyle, rgb
from memegen.captions.text import clusters, is_emoji, levels, visual_order

MEASURED = 128.0  # pixels of an em at which text is measured
EMOJI_HEIGHT = 1.12  # of emoji in colours, to that of capitals
SOFTNESS = 0.02  # em, standard deviation: the shadow's edge


@dataclass(frozen=True)
class Run:
    """Text of one font and one direction."""

    text: str
    face: Face
    rtl: bool

    def width(self, size: float) -> float:
        """Pixels it advances."""
        if self.face.strike is not None:
            return self.face.at(size).getlength(self.text) * self._shrunk(size)
        return self.face.at(size).getlength(self._said, direction=self._direction)

    def reach(self, size: float) -> Extent:
        """Pixels of ink above and below the baseline."""
        if self.face.strike is not None:
            air = (EMOJI_HEIGHT - 1) / 2
            return Extent((1 + air) * CAP_HEIGHT * size, air * CAP_HEIGHT * size)
        font = self.face.at(size)
        box = font.getbbox(self._said, anchor="ls", direction=self._direction)
        return Extent(max(0.0, -box[1]), max(0.0, box[3]))

    def draw(self, at: tuple[float, float], size: float, layers: Layers, outline: float) -> None:
        """Draw it at a point (x, baseline) with an outline of so many pixels."""
        if self.face.strike is not None:
            self._draw_bitmap(at, size, layers.colours)
            return
        font, way = self.face.at(size), self._direction
        inside = ImageDraw.Draw(layers.inside)
        inside.text(at, self._said, fill=255, font=font, anchor="ls", direction=way)
        around = ImageDraw.Draw(layers.around)
        around.text(
            at, self._said, fill=255, font=font, anchor="ls", direction=way, stroke_width=outline
        )

    @property
    def _direction(self) -> str | None:
        return ("rtl" if self.rtl else "ltr") if joins_letters() else None

    @property
    def _said(self) -> str:
        """The text in the order that Pillow wants."""
        turn = self.rtl and not joins_letters()
        return "".join(reversed(clusters(self.text))) if turn else self.text

    def _shrunk(self, size: float) -> float:
        """Of a bitmap to the height that it has in text."""
        _, top, _, bottom = self.face.at(size).getbbox("\U0001f600" if not self.text else self.text)
        return EMOJI_HEIGHT * CAP_HEIGHT * size / max(1.0, bottom - top)

    def _draw_bitmap(self, at: tuple[float, float], size: float, onto: Image.Image) -> None:
        font, scale = self.face.at(size), self._shrunk(size)
        left, top, right, bottom = font.getbbox(self.text)
        drawn = Image.new("RGBA", (max(1, round(right - left)), max(1, round(bottom - top))))
        ImageDraw.Draw(drawn).text((-left, -top), self.text, font=font, embedded_color=True)
        height = max(1, round(drawn.height * scale))
        width = max(1, round(drawn.width * scale))
        small = drawn.resize((width, height), Image.Resampling.LANCZOS)
        x = round(at[0] + left * scale)
        y = round(at[1] - CAP_HEIGHT * size / 2 - height / 2)
        onto.alpha_composite(small, (max(0, x), max(0, y)))


@dataclass(frozen=True)
class Layers:
    """What text is drawn on, of one size: coverage of letters, of letters with outline, colours."""

    inside: Image.Image  # L
    around: Image.Image  # L
    colours: Image.Image  # RGBA, emoji

    @classmethod
    def empty(cls, size: tuple[int, int]) -> Layers:
        """Nothing drawn, (width, height)."""
        return cls(Image.new("L", size), Image.new("L", size), Image.new("RGBA", size))


class Typesetter:
    """Measures and draws text whose paragraphs run one way, with fonts of a book."""

    def __init__(self, book: FontBook, rtl: bool) -> None:
        self.book, self.rtl = book, rtl
        self.width = lru_cache(maxsize=4096)(self._width)

    def runs(self, line: str) -> list[Run]:
        """A line's runs from left to right; what no font has is left out."""
        parts = clusters(line)
        ranks = levels(parts, self.rtl)
        drawn: list[tuple[str, Face, int]] = []
        faces = self._faces(parts)
        for part, face, rank in zip(parts, faces, ranks, strict=True):
            if face is not None:
                drawn.append((part, face, rank))
        found, order = [], []
        for (face, rank), group in groupby(drawn, key=lambda one: one[1:]):
            found.append(Run("".join(part for part, _, _ in group), face, rank % 2 == 1))
            order.append(rank)
        return [found[index] for index in visual_order(order)]

    def _faces(self, parts: Sequence[str]) -> list[Face | None]:
        """The face of each cluster; letters of one word have one face where a font has them all."""
        found: list[Face | None] = []
        for kind, group in groupby(parts, key=lambda part: part.isspace() or is_emoji(part)):
            word = list(group)
            whole = None if kind else self.book.face_of_word(word)
            found += [whole or self.book.face(part) for part in word]
        return found

    def extent(self, text: str) -> Extent:
        """How far a text's ink reaches, em; as far as a capital does, at least."""
        reaches = [run.reach(MEASURED) for line in text.split("\n") for run in self.runs(line)]
        ascent = max((reach.ascent for reach in reaches), default=0.0) / MEASURED
        descent = max((reach.descent for reach in reaches), default=0.0) / MEASURED
        return Extent(max(ascent, CAP_HEIGHT), descent)

    def draw(self, layout: Layout, style: CaptionStyle, width: int) -> Picture:
        """(H, width, 4) the lines of a layout, centred, on nothing; H is `height_of`."""
        pad, size = padding(layout, style), float(layout.size)
        layers = Layers.empty((width, height_of(layout, style)))
        for index, line in enumerate(layout.lines):
            runs = self.runs(line)
            x = (width - sum(run.width(size) for run in runs)) / 2
            for run in runs:
                run.draw((x, pad + layout.baseline(index)), size, layers, style.outline * size)
                x += run.width(size)
        return _coloured(layers, style, size)

    def _width(self, text: str) -> float:
        """Em that a text takes in a line."""
        return sum(run.width(MEASURED) for run in self.runs(text)) / MEASURED


def padding(layout: Layout, style: CaptionStyle) -> int:
    """Rows above and below a text that its shadow may reach."""
    return int(np.ceil((style.shadow + 3 * SOFTNESS) * layout.size)) if style.shadow else 0


def height_of(layout: Layout, style: CaptionStyle) -> int:
    """Rows of a drawn text, padding included."""
    return int(np.ceil(layout.height)) + 2 * padding(layout, style)


def _coloured(layers: Layers, style: CaptionStyle, size: float) -> Picture:
    """Shadow, outline, letters and emoji, one over the other."""
    whole = Image.new("RGBA", layers.inside.size)
    for colour, mask in _painted(layers, style, size):
        sheet = Image.new("RGBA", whole.size, (*colour, 0))
        sheet.putalpha(mask)
        whole = Image.alpha_composite(whole, sheet)
    return np.asarray(Image.alpha_composite(whole, layers.colours))


def _painted(
    layers: Layers, style: CaptionStyle, size: float
) -> Iterator[tuple[tuple[int, int, int], Image.Image]]:
    """Colours and where they lie, the lowest first."""
    if style.shadow > 0 and style.shadow_opacity > 0:
        off, soft = max(1, round(style.shadow * size)), SOFTNESS * size
        fallen = Image.new("L", layers.around.size)
        fallen.paste(layers.around, (off, off))
        fallen = fallen.filter(ImageFilter.GaussianBlur(soft))
        yield (0, 0, 0), fallen.point([round(v * style.shadow_opacity) for v in range(256)])
    if style.outline > 0:
        yield rgb(style.outline_colour), layers.around
    yield rgb(style.colour), layers.inside


def named(missing: Sequence[str]) -> str:
    """Characters as a message calls them: `☃ (U+2603)`."""
    return ", ".join(
        f"{cluster} ({' '.join(f'U+{ord(c):04X}' for c in cluster)})" for cluster in missing
    )
