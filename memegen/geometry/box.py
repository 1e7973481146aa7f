"""Rectangles of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array


@dataclass(frozen=True)
class Box:
    """Half-open pixel box of a picture."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, as arrays have them."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @classmethod
    def around(cls, points: Array, margin: float, height: int, width: int) -> Box:
        """The smallest box around (..., 2) points plus a margin in pixels, inside a picture."""
        flat = points.reshape(-1, 2)
        low, high = np.floor(flat.min(0) - margin), np.ceil(flat.max(0) + margin)
        left, right = np.clip([low[0], high[0]], 0, width).astype(int)
        top, bottom = np.clip([low[1], high[1]], 0, height).astype(int)
        return cls(int(left), int(top), int(right), int(bottom))
