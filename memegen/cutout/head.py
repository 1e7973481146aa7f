"""Where a head is, told by its landmarks: above which line hair begins, below which it ends.

IOD are those of the crop's scale, which a turn of the head does not shrink.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array
from memegen.curves import smoothstep
from memegen.faces.align import IOD_IN_CROP
from memegen.geometry.topology import FACE_OVAL
from memegen.perception.analyze import FaceAnalysis

CHIN, FOREHEAD = 152, 10  # landmarks
NECK = 0.5  # IOD of neck that is left below the chin
ROUND = 0.3  # 1 / IOD: the bottom is a parabola, this much higher one IOD beside its middle
SIDE = 2.4  # IOD from the face's middle line to where a head's hair ends, at most
SOFT = 0.14  # IOD over which the bottom fades
BROWS = -1.9  # IOD below the chin: from here upwards edges are hair's


@dataclass(frozen=True)
class Part:
    """A part of a photo, of any size: (height, width), its corner in the photo, its scale."""

    size: tuple[int, int]
    origin: Array  # (2,) pixels of the photo
    scale: float  # its pixels to one of the photo's

    def places(self) -> Array:
        """(H, W, 2) the centres of its pixels, in the photo's."""
        x, y = (np.arange(n, dtype=np.float32) + 0.5 for n in (self.size[1], self.size[0]))
        return np.stack(np.meshgrid(x, y), -1) / np.float32(self.scale) + self.origin


def head_share(face: FaceAnalysis, part: Part) -> Array:
    """(H, W) 0..1: how much of each pixel of a part of the photo may be of the head.

    Softly less below a parabola under the chin, nothing far to the sides.
    """
    across, below = _from_chin(face, part)
    slope = 2 * ROUND * across
    inside = (NECK - ROUND * across**2 - below) / np.sqrt(1 + slope**2)  # about IOD to the edge
    inside = np.minimum(inside, SIDE - np.abs(across))
    return smoothstep(-SOFT / 2, SOFT / 2, inside)


def hair_share(face: FaceAnalysis, part: Part) -> Array:
    """(H, W) 0..1: how likely the edge of a person is one of hair there, not of skin or cloth."""
    _, below = _from_chin(face, part)
    return 1 - smoothstep(BROWS - 0.2, BROWS + 0.4, below)


def _from_chin(face: FaceAnalysis, part: Part) -> tuple[Array, Array]:
    """(H, W) each: IOD to the side of the face's middle line, and below the chin, along it."""
    oval = face.landmarks[list(FACE_OVAL), :2]
    middle = (oval[:, 0].min() + oval[:, 0].max()) / 2
    chin = face.landmarks[CHIN, :2]
    down = chin - face.landmarks[FOREHEAD, :2]
    down = down / np.linalg.norm(down)
    away = face.alignment.to_crop(part.places()) - np.array([middle, chin[1]], np.float32)
    away /= np.float32(IOD_IN_CROP)
    return away[..., 0] * down[1] - away[..., 1] * down[0], away @ down
