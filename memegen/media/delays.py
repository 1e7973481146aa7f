"""Frames equal to the one before are stored once and shown for longer, where a format can say so.

Boomerangs and holds repeat frames: of the 3,126 frames that all recipes play, every third.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from memegen.arrays import Picture


@dataclass(frozen=True)
class Distinct:
    """Frames without those equal to the one before, which are counted. Iterate once.

    Of frames that are all equal two are left: an animation stays one.
    """

    frames: Iterable[Picture]
    most: int  # frames that one may stand for; 1: all are kept
    repeats: list[int] = field(default_factory=list)  # how many each one so far stands for

    def __iter__(self) -> Iterator[Picture]:
        last: Picture | None = None
        for frame in self.frames:
            if last is not None and self.repeats[-1] < self.most and np.array_equal(frame, last):
                self.repeats[-1] += 1
                continue
            # A copy: whoever makes frames may use one buffer for all of them.
            last = frame.copy() if self.most > 1 else None
            self.repeats.append(1)
            yield frame
        if last is not None and len(self.repeats) == 1 < self.repeats[0]:
            self.repeats[:] = [self.repeats[0] - 1, 1]
            yield last


def thinned(repeats: Sequence[int], every: int) -> tuple[list[int], list[int]]:
    """Distinct frames that are left of `every` so many frames, and how many each then stands for.

    repeats: how many frames each distinct one stands for. The first begins at the beginning, and
    all last as long as before.
    """
    ends = np.cumsum(repeats)
    picked = np.arange(0, ends[-1], every)
    rows, first = np.unique(np.searchsorted(ends, picked, side="right"), return_index=True)
    return rows.tolist(), np.diff([*picked[first], ends[-1]]).tolist()


def selection(rows: Sequence[int]) -> str:
    """The expression with which ffmpeg's `select` lets frames of these numbers, which rise, pass.

    Numbers at equal steps share a term: of holds there are few.
    """
    terms, at = [], 0
    while at < len(rows):
        first = rows[at]
        step = rows[at + 1] - first if at + 1 < len(rows) else 1
        end = at + 1
        while end < len(rows) and rows[end] == first + (end - at) * step:
            end += 1
        terms.append(f"between(n,{first},{rows[end - 1]})*not(mod(n-{first},{step}))")
        at = end
    return "+".join(terms)


def in_ticks(repeats: Sequence[int], fps: float, ticks: int) -> list[int]:
    """Times that frames are shown, rounded so that each begins, and the last ends, as it should.

    ticks: of a second.
    """
    begins = np.floor(np.cumsum([0, *repeats]) * (ticks / fps) + 0.5).astype(int)
    return np.diff(begins).tolist()
