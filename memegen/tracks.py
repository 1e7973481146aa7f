"""Tracks: one expression per frame, before it is known whose face it is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from memegen import aus
from memegen.arrays import Array


@dataclass(frozen=True)
class Track:
    """T frames of K channels, affine in the photo's own expression: `keep * own + add`.

    A channel that a recipe does not name has keep 1 and add 0, and stays the photo's; one that it
    sets to v has keep 0 and add v; one that it moves by v has keep 1 and add v. Blending frames
    blends both numbers, so a keyframe that names a channel eases into one that does not.
    """

    keep: Array  # (T, K)
    add: Array  # (T, K)
    fps: float
    loops: bool = True  # the file repeats for ever
    name: str = "expression"

    def __len__(self) -> int:
        return len(self.keep)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self) / self.fps

    def resolve(self, own: Array, intensity: float = 1.0) -> Array:
        """(T, K) expressions 0..1 of a face whose own expression is `own` (K,).

        `intensity` scales the change, so 0 is the photo and 2 twice as much, within the range.
        """
        wanted = self.keep * own + self.add
        moved = own + intensity * (wanted - own)
        # What the photo itself exceeds (a head turned far) is kept where nothing is asked of it.
        return np.clip(moved, np.minimum(own, 0), np.maximum(own, 1)).astype(np.float32)

    def strongest(self) -> int:
        """The frame that differs most from the photo's expression."""
        return int((np.abs(self.add) + np.abs(1 - self.keep) * 0.01).sum(1).argmax())

    def frame(self, index: int) -> Track:
        """One frame as a track of its own."""
        part = slice(index, index + 1)
        return replace(self, keep=self.keep[part], add=self.add[part], loops=False)


def still(expression: dict[str, float]) -> tuple[Array, Array]:
    """(K,) keep and (K,) add of an expression 0..5 by channel."""
    keep, add = rest()
    for channel, value in expression.items():
        keep[aus.INDEX[channel]], add[aus.INDEX[channel]] = 0, value / aus.MAX_INTENSITY
    return keep, add


def rest() -> tuple[Array, Array]:
    """Keep and add of the photo's own expression."""
    return np.ones(len(aus.CHANNELS), np.float32), np.zeros(len(aus.CHANNELS), np.float32)


def compose(tracks: Sequence[Track]) -> Track:
    """Play several tracks at once; where two set the same channel, the later one wins.

    The longest gives the length; a shorter one plays once and then holds its last frame.
    """

    def over(below: Track, above: Track) -> Track:
        length = max(len(below), len(above))
        first = np.minimum(np.arange(length), len(below) - 1)
        second = np.minimum(np.arange(length), len(above) - 1)
        return Track(
            above.keep[second] * below.keep[first],
            above.keep[second] * below.add[first] + above.add[second],
            below.fps,
            below.loops or above.loops,
            f"{below.name}+{above.name}",
        )

    return reduce(over, tracks)
