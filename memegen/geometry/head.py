"""The head in the picture: it shifts, comes nearer and tilts, with hair, neck and shoulders.

A similarity moves everything near the face as one body and fades out around it, so that what lies
far away stays where it is.
"""

from __future__ import annotations

import cv2
import numpy as np

from memegen.arrays import Array, Picture
from memegen.curves import smoothstep, soft_limit
from memegen.geometry.box import Box
from memegen.geometry.sampling import sample_picture
from memegen.tracks import HeadTransform

FACE_MIDDLE = np.array([0, -0.35, 0.1], np.float32)  # face coordinates, IOD
WHOLE, GONE = 1.7, 3.6  # IOD from the face's middle: moved as the face is, and not at all
BORDER = 1.0  # IOD from the picture's border over which surroundings get loose from it
UPWARD = 0.72  # of distances above the face's middle
CHIN = 0.9  # IOD below the face's middle: what lies deeper, borders may hold
# What moves as asked, and up to where it then runs softly: beyond, surroundings would fold.
SHIFT, MOST_SHIFT = 0.6, 1.0  # IOD
ZOOM, MOST_ZOOM = 0.2, 0.32  # log of the scale
ROLL, MOST_ROLL = 18.0, 28.0  # degrees
STEP = 8  # pixels between positions that are computed; between them the field is smooth


def limit_head_motion(place: HeadTransform) -> HeadTransform:
    """The same, softly within what surroundings bear."""
    length = np.asarray(np.linalg.norm(place.shift))
    weight = soft_limit(length, SHIFT, MOST_SHIFT) / length if length > 0 else np.float32(1)
    scale = float(soft_limit(np.asarray(place.scale), ZOOM, MOST_ZOOM))
    roll = float(soft_limit(np.asarray(place.roll), ROLL, MOST_ROLL))
    return HeadTransform(place.shift * weight, scale, roll)


def warp_head(picture: Picture, middle: Array, iod: float, place: HeadTransform) -> Box | None:
    """Move the head of a picture (H, W, C), in place, and say within which box.

    middle (2,): the face's middle in pixels; iod: pixels. None where nothing moves. Backward
    warping (Wolberg 1990) with a similarity whose share of the way fades by distance.
    """
    place = limit_head_motion(place)
    shift = (place.shift * iod).astype(np.float32)
    arm = iod * GONE / UPWARD
    moves = float(np.abs(shift).max()) + arm * (abs(place.scale) + abs(np.radians(place.roll)))
    if moves < 0.02:  # pixels
        return None
    height, width = picture.shape[:2]
    reach = iod * np.array([[-GONE, -GONE / UPWARD], [GONE, GONE]], np.float32)
    box = Box.around(middle + shift + reach, STEP, height, width)
    rows, columns = box.shape
    if rows < 2 or columns < 2:
        return None
    # In the middles of cells, and of those around the box: between them there is only smooth.
    y, x = ((np.arange(-(-n // STEP) + 2, dtype=np.float32) - 0.5) * STEP for n in (rows, columns))
    at = np.stack(np.meshgrid(x + box.left, y + box.top), -1)
    away = at - middle - shift
    angle = np.radians(place.roll)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    source = away @ turn * np.float32(np.exp(-place.scale)) + middle  # rows: times its inverse
    weight = _share(away / iod, _inset(at, (height, width)) / iod)
    position = at + (source - at) * weight[..., None]
    planes = [np.ascontiguousarray(position[..., k], np.float32) for k in range(2)]
    whole = (at.shape[1] * STEP, at.shape[0] * STEP)
    inside = slice(STEP, STEP + rows), slice(STEP, STEP + columns)
    x, y = (np.asarray(cv2.resize(plane, whole), np.float32)[inside] for plane in planes)
    picture[box.slices] = sample_picture(picture, x, y)
    return box


def _share(away: Array, inset: Array) -> Array:
    """How far places follow the head: away (..., 2) from its middle, inset from the border (IOD).

    Hair and hats reach further up than shoulders are wide. A border holds what is below the face:
    shoulders stretch toward it, where a head beside it is moved whole.
    """
    distance = np.hypot(away[..., 0], np.where(away[..., 1] < 0, UPWARD, 1) * away[..., 1])
    follows = 1 - smoothstep(WHOLE, GONE, distance)
    below = smoothstep(CHIN, CHIN + 1, away[..., 1])
    return follows * (1 - below * (1 - smoothstep(0, BORDER, inset)))


def _inset(at: Array, size: tuple[int, int]) -> Array:
    """Pixels from places (..., 2) to the nearest border of a picture (height, width)."""
    height, width = size
    x, y = at[..., 0], at[..., 1]
    return np.asarray(np.minimum(np.minimum(x, width - x), np.minimum(y, height - y)))
