"""Skin compared on unwrapped faces (see `memegen.geometry.unwrap`)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from memegen.arrays import LUMA, Array
from memegen.generators.inpaint import gaussian
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.box import Box
from memegen.geometry.outline import fill, smooth_ring
from memegen.geometry.topology import (
    BROW_LEFT,
    BROW_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    FACE_OVAL,
    LIPS_OUTER,
)
from memegen.geometry.unwrap import HEIGHT, SCALE, WIDTH, texture_points

CREASE_BLUR = 0.14  # IOD; what is broader is shading
FINEST_BLUR = 0.02  # IOD; what is finer is noise and resampling
MOST_CREASE = 0.4  # log; hair and hands over the skin are darker, and no creases
LOG_OFFSET = 16.0  # grey levels, so that the log of shadows is no noise
# Regions kept out, as enlarged outlines: lids with their lashes, lips with their edge.
_EYES_BY, _LIPS_BY, _BROWS_BY, _OVAL_BY = 1.7, 1.25, 0.09, 0.93  # brows: IOD about their points


def unwrap(picture: Array, landmarks: Array) -> Array:
    """(H, W, 3) 0..255 and its landmarks (478, 2+) in widths to (HEIGHT, WIDTH, 3) on the mesh."""
    planes = torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)[None]
    found = load_anatomy().unwrapping.read(planes, landmarks[:, :2] * picture.shape[1])
    return found[0].permute(1, 2, 0).numpy()


def creases(unwrapped: Array) -> Array:
    """(HEIGHT, WIDTH) log grey level of unwrapped skin, without shading and pixel noise.

    Blurs count skin alone, so that teeth, lids and background do not shine into it.
    """
    fraction = skin()
    both = np.stack([np.log(unwrapped @ LUMA + LOG_OFFSET) * fraction, fraction])
    planes = torch.from_numpy(both.astype(np.float32))[None]
    fine, broad = (
        level / np.maximum(share, 1e-3)
        for level, share in (
            gaussian(planes, blur * SCALE)[0].numpy() for blur in (FINEST_BLUR, CREASE_BLUR)
        )
    )
    return np.asarray(np.clip(fine - broad, -MOST_CREASE, MOST_CREASE) * fraction)


@lru_cache(maxsize=1)
def skin() -> Array:
    """(HEIGHT, WIDTH) share 0..1 of each pixel that is bare skin: no lips, eyes, brows, or edge."""
    points, box = texture_points(load_anatomy().canonical), Box(0, 0, WIDTH, HEIGHT)
    fraction = fill(smooth_ring(_enlarged(points[list(FACE_OVAL)], _OVAL_BY)), box)
    for ring, factor in ((EYE_RIGHT, _EYES_BY), (EYE_LEFT, _EYES_BY), (LIPS_OUTER, _LIPS_BY)):
        fraction = fraction * (1 - fill(smooth_ring(_enlarged(points[list(ring)], factor)), box))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for brow in (BROW_RIGHT, BROW_LEFT):
        gap = np.stack([np.hypot(x - px, y - py) for px, py in points[list(brow)]]).min(0)
        fraction = fraction * (gap > _BROWS_BY * SCALE)
    return np.asarray(fraction * load_anatomy().unwrapping.inside, np.float32)


def correlation(first: Array, second: Array, fraction: Array) -> float:
    """Pearson's, of (H, W) maps weighted by `fraction`; 0 where either is flat."""
    weight = fraction / fraction.sum()
    a, b = (values - (values * weight).sum() for values in (first, second))
    power = float(((a * a) * weight).sum() * ((b * b) * weight).sum())
    return float((a * b * weight).sum() / np.sqrt(power)) if power > 1e-18 else 0.0


def without(values: Array, known: Array, fraction: Array) -> Array:
    """(H, W) `values` less what they share with `known` (least squares under `fraction`)."""
    weight = fraction / fraction.sum()
    a, b = (each - (each * weight).sum() for each in (values, known))
    return np.asarray(a - b * ((a * b * weight).sum() / max(float((b * b * weight).sum()), 1e-12)))


def _enlarged(ring: Array, factor: float) -> Array:
    centre = ring.mean(0)
    return np.asarray(centre + (ring - centre) * factor)
