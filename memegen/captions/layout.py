"""Lines and sizes of captions, as pure functions of how wide text is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memegen.captions.text import Piece, clusters, pieces
from memegen.geometry.box import Box

SMALLEST = 8  # pixels of an em; nobody reads anything smaller
COMFORTABLE = (
    0.05  # em, of a square picture of the same area: below, words are divided and lines added
)
GAP = 0.14  # em between the lowest ink of a line and the highest of the next
MARGIN = 0.03  # of the picture's shorter side, between text and edge
SHARE = 0.36  # of a picture's height that one caption takes at most
OFF_FACE = 0.6  # of the size it would have over the face that text keeps beside it, or overlaps
AIR = 0.03  # of a face's height that text stays away from it

Measure = Callable[[str], float]  # width of a text in em


@dataclass(frozen=True)
class Extent:
    """How far a text's ink reaches from its baseline, em."""

    ascent: float
    descent: float


@dataclass(frozen=True)
class Limits:
    """What a text must fit into, pixels."""

    width: float
    height: float
    lines: int  # at most, while it is comfortable
    largest: float  # em
    comfortable: float  # em
    outline: float = 0.0  # em, around the letters


@dataclass(frozen=True)
class Layout:
    """Lines of text at a size."""

    lines: tuple[str, ...]
    size: int  # pixels of an em
    extent: Extent  # of every line
    outline: float = 0.0  # em

    @property
    def pitch(self) -> float:
        """Pixels from one baseline to the next."""
        return (self.extent.ascent + self.extent.descent + GAP + self.outline) * self.size

    @property
    def height(self) -> float:
        """Pixels from the highest ink to the lowest, outline included."""
        around = self.extent.ascent + self.extent.descent + 2 * self.outline
        return (len(self.lines) - 1) * self.pitch + around * self.size

    def baseline(self, line: int) -> float:
        """Pixels from the upper end down to a line's baseline."""
        return (self.extent.ascent + self.outline) * self.size + line * self.pitch


def wrap(
    parts: Sequence[Piece], width: float, measure: Measure, divide: bool = False
) -> list[str] | None:
    """Parts put one after the other into lines at most `width` em wide, as few as there can be.

    A part that is wider is divided between clusters if `divide`; else there is no way: None.
    """
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}{' ' if part.spaced else ''}{part.text}" if lines else part.text
        if lines and measure(longer) <= width:
            lines[-1] = longer
        elif measure(part.text) <= width:
            lines.append(part.text)
        elif divide:
            lines += _divided(part.text, width, measure)
        else:
            return None
    return lines


def _divided(word: str, width: float, measure: Measure) -> list[str]:
    lines: list[str] = []
    for cluster in clusters(word):
        if lines and measure(lines[-1] + cluster) <= width:
            lines[-1] += cluster
        else:
            lines.append(cluster)
    return lines


def balanced(parts: Sequence[Piece], width: float, measure: Measure, divide: bool) -> list[str]:
    """As `wrap`, with lines as equally long as that number of lines allows."""
    first = wrap(parts, width, measure, divide)
    assert first is not None
    low, high, best = 0.0, width, first
    for _ in range(12):  # halvings: to a 4000th of the width
        middle = (low + high) / 2
        tried = wrap(parts, middle, measure, divide=False)
        if tried is not None and len(tried) <= len(first):
            high, best = middle, tried
        else:
            low = middle
    return best


def fit(text: str, limits: Limits, measure: Measure, extent: Extent) -> Layout | None:
    """The largest text within limits; None where even the smallest is too large.

    Below a comfortable size words are divided, then more lines than asked for are taken.
    """
    paragraphs = [pieces(line) for line in text.split("\n")]
    usual = max(limits.lines, len(paragraphs))
    most = max(SMALLEST, int(limits.largest))
    enough = max(SMALLEST, min(int(limits.comfortable), most))
    ways = ((False, usual, most), (True, usual, enough), (True, 10**6, enough))
    best: Layout | None = None
    for divide, lines, largest in ways:
        way = _Way(paragraphs, limits, measure, extent, divide, lines)
        found = way.largest(largest)
        if found is not None and (best is None or found.size > best.size):
            best = found
        if best is not None and best.size >= enough:
            break
    return best


@dataclass(frozen=True)
class _Way:
    """One way to make a text fit."""

    paragraphs: Sequence[Sequence[Piece]]
    limits: Limits
    measure: Measure
    extent: Extent
    divide: bool
    lines: int  # at most

    def largest(self, most: int) -> Layout | None:
        """At the largest size up to `most` that fits: sizes below one that fits do, too."""
        low, high = SMALLEST, most
        if self.at(low) is None:
            return None
        while low < high:
            middle = (low + high + 1) // 2
            if self.at(middle) is None:
                high = middle - 1
            else:
                low = middle
        return self.at(low, balance=True)

    def at(self, size: int, balance: bool = False) -> Layout | None:
        """At a size in pixels, if it fits."""
        width = self.limits.width / size - 2 * self.limits.outline
        lines: list[str] = []
        for parts in self.paragraphs:
            wrapped = wrap(parts, width, self.measure, self.divide)
            if wrapped is None:
                return None
            if balance and len(wrapped) > 1:
                wrapped = balanced(parts, width, self.measure, self.divide)
            lines += wrapped or [""]
        layout = Layout(tuple(lines), size, self.extent, self.limits.outline)
        too_many = len(lines) > self.lines or layout.height > self.limits.height
        return None if too_many else layout


def beside_faces(position: str, size: tuple[int, int], faces: Sequence[Box], used: float) -> float:
    """Pixels of height that a picture (width, height) has for text at its top or bottom.

    `used`: pixels from that edge that are taken already.
    """
    height = size[1]
    if position == "top":
        edge = min((face.top - AIR * face.shape[0] for face in faces), default=height)
    else:
        edge = height - max((face.bottom + AIR * face.shape[0] for face in faces), default=0)
    return edge - used


def keep_off(beside: Layout | None, over: Layout | None) -> Layout | None:
    """Text beside the face if that is not much smaller than over it, as memes overlap else."""
    if beside is None or over is None:
        return over
    return beside if beside.size >= OFF_FACE * over.size else over
