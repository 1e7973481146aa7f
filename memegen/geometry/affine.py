"""Where a head's turn takes one plane of the face, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from memegen.arrays import Array
from memegen.geometry.patches import per_picture


@dataclass(frozen=True)
class PlaneAffines:
    """Of T frames: `moved = matrix @ point + offset`, in pixels."""

    offset: Array  # (T, 2)
    inverse: Array  # (T, 2, 2) of the matrix
    matrix: Array  # (T, 2, 2)

    @classmethod
    def of(cls, matrices: Array, offsets: Array) -> PlaneAffines:
        """Of (T, 2, 2) matrices and (T, 2) offsets."""
        parts = (offsets, np.linalg.inv(matrices), matrices)
        return cls(*(part.astype(np.float32) for part in parts))

    def rows(self, rows: list[int]) -> PlaneAffines:
        """Those of some frames."""
        return PlaneAffines(self.offset[rows], self.inverse[rows], self.matrix[rows])

    def moved(self, points: Array) -> Array:
        """Points (T, N, 2) to where they are moved."""
        return np.asarray(points @ self.matrix.transpose(0, 2, 1) + self.offset[:, None])

    def undone(self, points: Array) -> Array:
        """Moved points (T, N, 2) to where they were."""
        found = (points - self.offset[:, None]) @ self.inverse.transpose(0, 2, 1)
        return np.asarray(found, np.float32)

    def undone_pixels(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """X and y (T, h, w) of where pixels were that are now at x (T, 1, w) and y (T, h, 1)."""
        numbers = np.concatenate([self.offset, self.inverse.reshape(-1, 4)], 1)
        left, top, xx, xy, yx, yy = per_picture(numbers.T, x.device)
        across, down = x - left, y - top
        return xx * across + xy * down, yx * across + yy * down
