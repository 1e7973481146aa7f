"""Where things lie in an eye: along it from corner to corner, and above the line of its corners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from memegen.arrays import Array
from memegen.geometry.motion import CLOSED_LINE
from memegen.geometry.outline import smooth_ring
from memegen.geometry.patches import on_device, per_picture
from memegen.geometry.sampling import sample_planes
from memegen.geometry.topology import EYE_CORNERS

LEAST_LID = 0.07  # lengths of the eye that a shut lid is high at least, for scaling heights
# Curves of many eyes are tables: their range in lengths of the eye, and steps of each length.
TABLE, TABLE_STEPS = (-0.5, 1.5), 256
_TABLE_AT = np.linspace(*TABLE, round((TABLE[1] - TABLE[0]) * TABLE_STEPS) + 1, dtype=np.float32)
Values = TypeVar("Values", npt.NDArray[np.floating], Tensor)


@dataclass(frozen=True)
class EyeAxes(Generic[Values]):
    """Where a pixel lies in an eye: along it and above the line of its corners.

    `along` is 0 at the outer corner and 1 at the inner one; `above` is in pixels. Of one eye in
    arrays, or of T eyes in tensors, whose numbers are (T, 1, 1) each.
    """

    origin: Values  # (2,) outer corner
    across: Values  # (2,) unit vector to the inner corner
    up: Values  # (2,) unit vector to the brow
    length: Values  # pixels between the corners

    @staticmethod
    def of(ring: Array, lid: Array) -> EyeAxes[npt.NDArray[np.floating]]:
        """Of an eye ring (16, 2) with the skin above its lid (7, 2)."""
        span = ring[8] - ring[0]
        length = max(float(np.linalg.norm(span)), 1e-3)
        across = (span / length).astype(np.float32)
        up = np.array([across[1], -across[0]], np.float32)
        if float((lid.mean(0) - ring[list(EYE_CORNERS)].mean(0)) @ up) < 0:
            up = -up
        return EyeAxes(ring[0].astype(np.float32), across, up, np.array(length, np.float32))

    def place(self, x: Values, y: Values) -> tuple[Values, Values]:
        """Pixels to along and above."""
        dx, dy = x - self.origin[0], y - self.origin[1]
        along = (dx * self.across[0] + dy * self.across[1]) / self.length
        return along, dx * self.up[0] + dy * self.up[1]

    def pixels(self, along: Values, above: Values) -> tuple[Values, Values]:
        """The inverse of `place`."""
        reach = along * self.length
        x = self.origin[0] + reach * self.across[0] + above * self.up[0]
        y = self.origin[1] + reach * self.across[1] + above * self.up[1]
        return x, y


@dataclass(frozen=True)
class LidCurves:
    """Edges of one eye as heights (pixels) over its own axes."""

    axes: EyeAxes[npt.NDArray[np.floating]]
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
        return shut_lid(self.heights(along), above, self.axes.length)


@dataclass(frozen=True)
class LidTables:
    """The same of T eyes, for pixels (T, h, w) wherever pictures are drawn."""

    axes: EyeAxes[Tensor]
    tables: Tensor  # (T, 3, 1, N) upper edge, lower edge and crease: pixels above the corners' line

    @classmethod
    def of(cls, eyes: Sequence[LidCurves], device: torch.device) -> LidTables:
        """Of eyes one by one."""
        tables = np.stack([np.stack(eye.heights(_TABLE_AT), -1) for eye in eyes])[:, None]
        axes = [eye.axes for eye in eyes]
        each = [np.r_[a.origin, a.across, a.up, a.length] for a in axes]
        numbers = per_picture(np.stack(each, 1), device)
        together = EyeAxes(numbers[0:2], numbers[2:4], numbers[4:6], numbers[6])
        return cls(together, on_device(tables, device).permute(0, 3, 1, 2))

    def rows(self, rows: list[int]) -> LidTables:
        """Those of some eyes."""
        if len(rows) == len(self.tables):
            return self
        a = self.axes
        axes = EyeAxes(a.origin[:, rows], a.across[:, rows], a.up[:, rows], a.length[rows])
        return LidTables(axes, self.tables[rows])

    def heights(self, along: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See LidCurves.heights."""
        at = (along - TABLE[0]) * TABLE_STEPS + 0.5
        upper, lower, crease = sample_planes(self.tables, at, torch.full_like(at, 0.5)).unbind(1)
        return upper, lower, crease

    def shut(self, along: Tensor, above: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See LidCurves.shut."""
        return shut_lid(self.heights(along), above, self.axes.length)


def shut_lid(
    heights: tuple[Values, Values, Values], above: Values, length: Values
) -> tuple[Values, Values, Values]:
    """What LidCurves.shut returns, by the heights of upper edge, lower edge and crease."""
    upper, lower, crease = heights
    line = lower + CLOSED_LINE * (upper - lower)
    reach = (crease - line).clip(min=LEAST_LID * length)
    return line, reach, (above - line) / reach


def _as_function(axes: EyeAxes[npt.NDArray[np.floating]], points: Array) -> tuple[Array, Array]:
    along, above = axes.place(points[:, 0], points[:, 1])
    order = np.argsort(along, kind="stable")
    return along[order], above[order]
