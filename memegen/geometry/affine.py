"""Where a head's turn takes one plane of the face, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array
from memegen.geometry.box import Box


@dataclass(frozen=True)
class PlaneAffine:
    """`moved = matrix @ point + offset`, in pixels."""

    matrix: Array  # (2, 2)
    offset: Array  # (2,)
    inverse: Array  # (2, 2) of the matrix

    @classmethod
    def each(cls, matrices: Array, offsets: Array) -> list[PlaneAffine]:
        """Of (T, 2, 2) matrices and (T, 2) offsets."""
        parts = (matrices, offsets, np.linalg.inv(matrices))
        return [cls(*of) for of in zip(*(p.astype(np.float32) for p in parts), strict=True)]

    def undone(self, points: Array) -> Array:
        """Moved points (N, 2) to where they were."""
        return np.asarray((points - self.offset) @ self.inverse.T, np.float32)

    def undone_pixels(self, box: Box) -> tuple[Array, Array]:
        """X and y (h, w) of where the pixel centres of a box were."""
        x = np.arange(box.left, box.right, dtype=np.float32) + (0.5 - self.offset[0])
        y = np.arange(box.top, box.bottom, dtype=np.float32)[:, None] + (0.5 - self.offset[1])
        (xx, xy), (yx, yy) = self.inverse
        return xx * x + xy * y, yx * x + yy * y
