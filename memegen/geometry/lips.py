"""The line and the opening of a mouth: shut lips are one smooth curve, parted ones open smoothly.

Landmarks of shut lips are two rings a pixel apart, and noisy; action units move every vertex by a
regression of its own. Either alone tears a shut mouth into a dotted line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen import aus
from memegen.arrays import Array
from memegen.curves import smoothstep
from memegen.geometry.topology import LOWER_LIP_EDGE, UPPER_LIP_EDGE

UPPER, LOWER = list(UPPER_LIP_EDGE), list(LOWER_LIP_EDGE)
# Median gap between the landmarks of lips (IOD): up to the first they are shut, from the second
# they are open. A pixel of a face 100 px wide is 0.02.
SHUT_GAP, OPEN_GAP = 0.022, 0.04
LINE_DEGREE = 4  # of the polynomial that a shut mouth's line is
# Action units that part lips, and how much of each: what they sum to beyond the photo's own.
PARTING: dict[str, float] = {
    "AU25": 1.0, "AU26": 1.0, "AU27": 1.0, "AU22": 0.6,
    "AU16L": 0.5, "AU16R": 0.5, "AU10L": 0.12, "AU10R": 0.12,
}  # fmt: skip
PARTED = 0.15  # sum (of intensities 0..1) from which lips open as far as the anatomy says


@dataclass(frozen=True)
class LipLine:
    """How shut the lips of a photo are."""

    shut: float  # 0 open .. 1 shut
    source: Array  # (K,) the photo's own expression

    @classmethod
    def of(cls, face: Array, source: Array) -> LipLine:
        """Of landmarks (478, 3) in face coordinates (IOD) and the photo's expression (K,)."""
        gap = float(np.median((face[UPPER, 1] - face[LOWER, 1])[1:-1]))
        return cls(float(1 - smoothstep(SHUT_GAP, OPEN_GAP, np.float32(gap))), source)

    def sealed(self, face: Array) -> Array:
        """(478, 3) the same landmarks, with the rings of shut lips on one smooth curve."""
        if self.shut <= 0:
            return face
        middle = (face[UPPER] + face[LOWER]) / 2
        half = (face[UPPER] - face[LOWER]) / 2 * (1 - self.shut)
        smooth = middle + self.shut * (_polynomial(middle) - middle)
        face = face.copy()
        face[UPPER], face[LOWER] = smooth + half, smooth - half
        return face

    def parting(self, targets: Array) -> Array:
        """(T,) 0..1 of (T, K) expressions: how far lips that are shut in the photo may open."""
        rows = [aus.INDEX[channel] for channel in PARTING]
        more = np.clip(targets[:, rows] - self.source[rows], 0, None) @ np.array(
            [*PARTING.values()]
        )
        return self.shut * smoothstep(0, PARTED, more) + 1 - self.shut

    def moved(self, points: Array, face: Array, targets: Array) -> tuple[Array, Array]:
        """Where the edges of the lips go: middles and half gaps, (T, 11, 3) each, corner to corner.

        points (T, 478, 3) as the anatomy moves them, face (478, 3) at rest, targets (T, K).
        """
        middle = (points[:, UPPER] + points[:, LOWER]) / 2
        half = (points[:, UPPER] - points[:, LOWER]) / 2
        rest_middle, rest_half = (face[UPPER] + face[LOWER]) / 2, (face[UPPER] - face[LOWER]) / 2
        middle = rest_middle + smoothed(middle - rest_middle)
        opening = self.parting(targets)[:, None, None] * (half - rest_half)
        opening[..., 1] = np.maximum(opening[..., 1], np.minimum(-rest_half[:, 1], 0))
        return middle, rest_half + smoothed(opening, pinned=True)


def smoothed(values: Array, pinned: bool = False) -> Array:
    """(T, 11, 3) values along a lip, twice filtered by (1, 2, 1)/4; the corners stay.

    `pinned`: the corners are 0, as where two lips meet.
    """
    kept = values.copy()
    if pinned:
        kept[:, [0, -1]] = 0
    for _ in range(2):
        inner = (kept[:, :-2] + 2 * kept[:, 1:-1] + kept[:, 2:]) / 4
        kept = np.concatenate([kept[:, :1], inner, kept[:, -1:]], 1)
    return kept


def _polynomial(line: Array) -> Array:
    """(11, 3) a line from corner to corner as a polynomial along the chord, corners kept."""
    along = np.linspace(-1, 1, len(line))
    chord = line[0] + (line[-1] - line[0]) * ((along + 1) / 2)[:, None]
    powers = np.stack([(1 - along**2) * along**k for k in range(LINE_DEGREE - 1)], 1)
    fit = np.linalg.lstsq(powers, line - chord, rcond=None)[0]
    return (chord + powers @ fit).astype(np.float32)  # type: ignore[no-any-return]
