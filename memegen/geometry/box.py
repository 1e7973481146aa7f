"""Rectangles of pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
        (left, top), (right, bottom) = flat.min(0).tolist(), flat.max(0).tolist()

        def inside(at: float, most: int) -> int:
            return int(min(max(at, 0), most))

        return cls(
            inside(math.floor(left - margin), width),
            inside(math.floor(top - margin), height),
            inside(math.ceil(right + margin), width),
            inside(math.ceil(bottom + margin), height),
        )
