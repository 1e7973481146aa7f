"""What part of a photo is shown: a face, a head, a square around it. The same in all frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from memegen.arrays import Array
from memegen.errors import UsageError, nearest
from memegen.geometry.box import Box

if TYPE_CHECKING:
    from memegen.perception.analyze import FaceAnalysis

CROPS = ("none", "square", "head", "face")
# Room beyond the landmarks, in heights of the face from brow to chin: up, down, to either side.
FACE_ROOM = (0.12, 0.10, 0.10)
HEAD_ROOM = (0.62, 0.22, 0.34)


def checked_crop(name: str) -> str:
    """A name of CROPS. Raises UsageError naming the nearest one."""
    if name not in CROPS:
        raise UsageError(
            f"`crop` {name}: unknown{nearest(name, CROPS)} (known: {', '.join(CROPS)})"
        )
    return name


def crop_box(name: str, faces: Sequence[FaceAnalysis], size: tuple[int, int]) -> Box:
    """The part of a photo of `size` (width, height) that a crop of its faces shows.

    `face` and `head` are squares, as far as the photo reaches; `square` is the photo's largest,
    about the faces.
    """
    width, height = size
    if name == "none" or not faces:
        return Box(0, 0, width, height)
    room = FACE_ROOM if name == "face" else HEAD_ROOM
    boxes = np.stack([_around(face, room) for face in faces])
    low, high = boxes[:, 0].min(0), boxes[:, 1].max(0)
    centre = (low + high) / 2
    side = float(min(width, height)) if name == "square" else float((high - low).max())
    start = [_inside(middle, side, most) for middle, most in zip(centre, size, strict=True)]
    (left, right), (top, bottom) = start
    return Box(left, top, right, bottom)


def _around(face: FaceAnalysis, room: tuple[float, float, float]) -> Array:
    """(2, 2) corners of a face's box in the photo's pixels, with room around the landmarks."""
    points = face.alignment.to_photo(face.landmarks[:, :2])
    low, high = points.min(0), points.max(0)
    tall = high[1] - low[1]
    up, down, aside = (share * tall for share in room)
    return np.stack([low - np.array([aside, up]), high + np.array([aside, down])])


def _inside(middle: float, side: float, most: int) -> tuple[int, int]:
    """Where a side of that length about the middle begins and ends inside 0..most."""
    length = min(round(side), most)
    start = int(np.clip(round(middle - length / 2), 0, most - length))
    return start, start + length
