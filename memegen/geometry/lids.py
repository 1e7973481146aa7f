"""Where things lie in an eye: along it from corner to corner, and above the line of its corners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array
from memegen.geometry.motion import CLOSED_LINE
from memegen.geometry.outline import smooth_ring
from memegen.geometry.topology import EYE_CORNERS

LEAST_LID = 0.07  # lengths of the eye that a shut lid is high at least, for scaling heights


@dataclass(frozen=True)
class EyeAxes:
    """Where a pixel lies in an eye: along it and above the line of its corners.

    `along` is 0 at the outer corner and 1 at the inner one; `above` is in pixels.
    """

    origin: Array  # (2,) outer corner
    across: Array  # (2,) unit vector to the inner corner
    up: Array  # (2,) unit vector to the brow
    length: float  # pixels between the corners

    @classmethod
    def of(cls, ring: Array, lid: Array) -> EyeAxes:
        """Of an eye ring (16, 2) with the skin above its lid (7, 2)."""
        span = ring[8] - ring[0]
        length = max(float(np.linalg.norm(span)), 1e-3)
        across = (span / length).astype(np.float32)
        up = np.array([across[1], -across[0]], np.float32)
        if float((lid.mean(0) - ring[list(EYE_CORNERS)].mean(0)) @ up) < 0:
            up = -up
        return cls(ring[0].astype(np.float32), across, up, length)

    def place(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Pixels to along and above."""
        dx, dy = x - self.origin[0], y - self.origin[1]
        along = (dx * self.across[0] + dy * self.across[1]) / self.length
        return along, dx * self.up[0] + dy * self.up[1]

    def pixels(self, along: Array, above: Array) -> tuple[Array, Array]:
        """The inverse of `place`."""
        reach = along * self.length
        x = self.origin[0] + reach * self.across[0] + above * self.up[0]
        y = self.origin[1] + reach * self.across[1] + above * self.up[1]
        return x, y


@dataclass(frozen=True)
class LidCurves:
    """Edges of one eye as heights (pixels) over its own axes."""

    axes: EyeAxes
    upper: tuple[Array, Array]  # along, above: the upper lid's edge
    lower: tuple[Array, Array]
    crease: tuple[Array, Array]

    @classmethod
    def of(cls, ring: Array, lid: Array) -> LidCurves:
        """Of an eye ring (16, 2) with the skin above its lid (7, 2)."""
        axes = EyeAxes.of(ring, lid)
        edge = smooth_ring(ring.astype(np.float32), EYE_CORNERS)
        half = len(edge) // 2
        upper = _as_function(axes, edge[: half + 1])
        lower = _as_function(axes, np.concatenate([edge[half:], edge[:1]]))
        return cls(axes, upper, lower, _as_function(axes, lid))

    def edges(self, along: Array) -> tuple[Array, Array]:
        """Upper and lower edge at `along`, pixels above the corners' line."""
        upper = np.interp(along, *self.upper).astype(np.float32)
        return upper, np.interp(along, *self.lower).astype(np.float32)

    def heights(self, along: Array) -> tuple[Array, Array, Array]:
        """Upper edge, lower edge and crease at `along`, pixels above the corners' line."""
        return *self.edges(along), np.interp(along, *self.crease).astype(np.float32)

    def shut(self, along: Array, above: Array) -> tuple[Array, Array, Array]:
        """The eye as it would be shut: the line where its lids meet, the height of its upper lid
        from there to the crease (pixels), and `above` counted from the one in units of the other.
        """
        upper, lower, crease = self.heights(along)
        line = lower + CLOSED_LINE * (upper - lower)
        reach = np.maximum(crease - line, LEAST_LID * self.axes.length)
        return line, reach, (above - line) / reach


def _as_function(axes: EyeAxes, points: Array) -> tuple[Array, Array]:
    along, above = axes.place(points[:, 0], points[:, 1])
    order = np.argsort(along, kind="stable")
    return along[order], above[order]
