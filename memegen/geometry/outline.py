"""Smooth outlines through landmarks, drawn with clean edges."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from memegen.arrays import Array
from memegen.geometry.box import Box

_OVERSAMPLE = 4


def smooth_ring(points: Array, corners: tuple[int, ...] = (), steps: int = 6) -> Array:
    """(..., N, 2) closed rings to (..., N * steps, 2): Catmull-Rom splines, sharp at the corners.

    `corners` are numbers of points.
    """
    return np.asarray(_spline(points.shape[-2], corners, steps) @ points, np.float32)


@lru_cache(maxsize=64)
def _spline(count: int, corners: tuple[int, ...], steps: int) -> Array:
    """(count * steps, count) how much of each point every point of the curve is."""
    points = np.eye(count)
    after = np.roll(points, -1, 0)
    tangent = (after - np.roll(points, 1, 0)) / 2
    leaving, arriving = tangent.copy(), tangent.copy()
    for corner in corners:
        leaving[corner] = points[(corner + 1) % count] - points[corner]
        arriving[corner] = points[corner] - points[corner - 1]
    t = (np.arange(steps) / steps)[None, :, None]
    curve = (
        (2 * t**3 - 3 * t**2 + 1) * points[:, None]
        + (t**3 - 2 * t**2 + t) * leaving[:, None]
        + (-2 * t**3 + 3 * t**2) * after[:, None]
        + (t**3 - t**2) * np.roll(arriving, -1, 0)[:, None]
    )
    return curve.reshape(-1, count).astype(np.float32)


def fill(ring: Array, box: Box) -> Array:
    """(N, 2) ring in pixels to its coverage (H, W) in 0..1 inside a box."""
    height, width = box.shape
    canvas = Image.new("L", (width * _OVERSAMPLE, height * _OVERSAMPLE), 0)
    # PIL counts pixel centres as integers; ours are at halves.
    corner = np.array([box.left, box.top], np.float32)
    at = (ring - corner) * _OVERSAMPLE - 0.5
    ImageDraw.Draw(canvas).polygon(at.ravel().tolist(), fill=255)
    return np.asarray(canvas.reduce(_OVERSAMPLE), np.float32) / 255


def gaps(rings: Array) -> Array:
    """(..., N - 1) between upper and lower points of rings (..., 2N, 2) that start at a corner."""
    half = rings.shape[-2] // 2
    return np.asarray(np.linalg.norm(rings[..., 1:half, :] - rings[..., :half:-1, :], axis=-1))


def opening(rings: Array) -> Array:
    """(...) mean gap between the upper and the lower points of rings (..., 2N, 2)."""
    return np.asarray(gaps(rings).mean(-1))
