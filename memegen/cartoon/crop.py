"""How a drawn face is cut out for the networks, and put back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from memegen.arrays import Array, Picture
from memegen.cartoon.scenery import as_picture

FACE_SHARE = 0.55  # of a crop's width that a face's box takes
# Where the box's middle lies in the crop: all hair on top of most heads is inside, so that it can
# turn with them.
FACE_MIDDLE = (0.5, 0.58)
SIZE = 256  # pixels that the networks see
# Boxes of faces are drawn by different hands and detectors: a box's height tells little about its
# face, since hair hides foreheads. So one that is far from square is read by its width alone.
_TALLEST, _FLATTEST = 1.25, 0.7


@dataclass(frozen=True)
class Crop:
    """A square of a drawing."""

    left: float  # pixels of the drawing
    top: float
    side: float

    @classmethod
    def around(cls, box: Array) -> Crop:
        """The square around a face's box (4,) x, y, width, height in pixels."""
        x, y, width, height = (float(v) for v in box)
        tall = float(np.clip(height, _FLATTEST * width, _TALLEST * width))
        middle = y + height - tall / 2  # chins are seen: that end is kept
        side = width / FACE_SHARE
        return cls(x + width / 2 - FACE_MIDDLE[0] * side, middle - FACE_MIDDLE[1] * side, side)

    @property
    def box(self) -> Array:
        """(4,) where a face is expected in it: the box that it was made around, if square."""
        width = FACE_SHARE * self.side
        x = self.left + FACE_MIDDLE[0] * self.side - width / 2
        y = self.top + FACE_MIDDLE[1] * self.side - width / 2
        return np.array([x, y, width, width], np.float32)

    def affine(self, size: int = SIZE) -> Array:
        """(2, 3) from pixels of the drawing to those of a crop `size` pixels wide."""
        scale = size / self.side
        # Positions are of pixels' middles.
        return np.array(
            [
                [scale, 0, scale * (0.5 - self.left) - 0.5],
                [0, scale, scale * (0.5 - self.top) - 0.5],
            ],
            np.float32,
        )

    def cut(self, drawing: Picture, size: int = SIZE) -> Picture:
        """(size, size, 3) of a drawing (H, W, 3); beyond its edges they are continued."""
        if self.side > size:  # averaged first, so that thin lines are not lost
            return self._reduced(drawing, size)
        return self._warped(drawing, size)

    def _reduced(self, drawing: Picture, size: int) -> Picture:
        times = int(np.ceil(self.side / size))
        large = self._warped(drawing, size * times)
        return as_picture(cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA))

    def _warped(self, drawing: Picture, size: int) -> Picture:
        warped = cv2.warpAffine(
            drawing,
            self.affine(size),
            (size, size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return as_picture(warped)
