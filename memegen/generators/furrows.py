"""Furrows of the forehead: the lines that raised brows fold, where no average face shows them.

Everybody's furrows lie at heights of their own, so regression over people loses them. They are
drawn on the unwrapped face, placed by a seed: the same photo always gets the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen import aus
from memegen.arrays import Array
from memegen.geometry.anatomy import compose_channels
from memegen.geometry.unwrap import HEIGHT, ORIGIN, SCALE, WIDTH

_RAISERS = (("AU1L", "AU2L"), ("AU1R", "AU2R"))


@dataclass(frozen=True)
class FurrowShape:
    """Lengths in IOD, canonical axes (y up from the eyes)."""

    lowest: float = 0.5  # height of the first furrow, just above the brows
    spacing: float = 0.14  # between furrows at rest: 9 mm; raised brows bring them together
    count: int = 3
    jitter: float = 0.022  # standard deviation of a furrow's height
    reach: float = 0.62  # half the length of the lowest furrow; the higher ones are shorter
    arch: float = 0.035  # how much higher it lies above the middle of each brow
    middle: float = 0.14  # over which both arches meet
    valley: float = 0.014  # half width of the dark line
    shoulder: float = 0.034  # half width of the lit folds beside it
    depth: float = 0.17  # log ratio at the bottom
    relief: float = 0.55  # lit folds, as a share of the depth


# Standard deviation of the log of a forehead's finest lines (see `lines_of`): skin with so much
# relief folds in full, smoother skin (young, painted, overexposed, out of focus) by the root of its
# share, though not less than LEAST_FOLD.
ROUGH, LEAST_FOLD = 0.03, 0.4
FOREHEAD = (slice(8, 38), slice(50, 142))  # rows and columns of the unwrapped face: bare skin


def fold_share(lines: Array) -> float:
    """0..1: how deep a forehead folds whose lines (n,), log ratios, are these."""
    if not len(lines):
        return 1.0
    return float(np.clip(np.sqrt(lines.std() / ROUGH), LEAST_FOLD, 1))


def draw_furrows(seed: int, softness: float = 0.0, shape: FurrowShape | None = None) -> Array:
    """(HEIGHT, WIDTH) log ratio of fully raised brows.

    softness: standard deviation (IOD) of the photo's own blur, which lines drawn into it share.
    """
    s, rng = shape or FurrowShape(), np.random.default_rng(seed)
    valley, shoulder = (float(np.hypot(width, softness)) for width in (s.valley, s.shoulder))
    x = (np.arange(WIDTH, dtype=np.float32) + 0.5 - ORIGIN[0]) / SCALE
    y = (ORIGIN[1] - np.arange(HEIGHT, dtype=np.float32) - 0.5) / SCALE
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    for number in range(s.count):
        height = s.lowest + number * s.spacing + rng.normal(0, s.jitter)
        wave = sum(
            rng.normal(0, 0.007) * np.sin(x * frequency + rng.uniform(0, 2 * np.pi))
            for frequency in (5.0, 9.0, 14.0)
        )
        line = height + s.arch * (1 - ((np.sqrt(x**2 + s.middle**2) - 0.36) / 0.36) ** 2) + wave
        reach = s.reach * (1 - 0.1 * number) * rng.uniform(0.85, 1.1)
        ends = np.clip((reach - np.abs(x - rng.normal(0, 0.06))) / 0.22, 0, 1)
        uneven = 1 + 0.35 * np.sin(x * rng.uniform(4, 9) + rng.uniform(0, 2 * np.pi))
        strength = ends * ends * (3 - 2 * ends) * uneven * rng.uniform(0.55, 1.0)
        away = y[:, None] - line[None, :]
        # A blurred Gaussian is wider and, its area kept, lower.
        lit = s.relief * s.shoulder / shoulder * np.exp(-((away / shoulder) ** 2) / 2)
        dark = (1 + s.relief) * s.valley / valley * np.exp(-((away / valley) ** 2) / 2)
        fold = lit - dark
        total += s.depth * strength * fold
    return total.astype(np.float32)


def raised(vectors: Array) -> Array:
    """(..., K) channels to (..., 2): how far the person's left and right brow folds the skin."""
    driven = np.clip(compose_channels(vectors), 0, 1)
    inner, outer = (driven[..., [aus.INDEX[pair[k]] for pair in _RAISERS]] for k in (0, 1))
    lowered = driven[..., [aus.INDEX["AU4L"], aus.INDEX["AU4R"]]]
    both = np.clip(0.65 * inner + 0.5 * outer - 0.25 * lowered * outer, 0, 1)
    return np.asarray(both**1.5, np.float32)
