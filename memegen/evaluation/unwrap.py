"""Faces unwrapped to the canonical mesh seen from the front: where skin can be compared."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from memegen.arrays import LUMA, Array
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.flow import Box
from memegen.geometry.outline import fill, smooth_ring
from memegen.geometry.raster import rasterize, source_positions
from memegen.geometry.topology import (
    BROW_LEFT,
    BROW_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    FACE_OVAL,
    LIPS_OUTER,
)

SIDE = 192  # pixels of the unwrapped face
PER_IOD = 66.0  # pixels
CREASE_BLUR = 0.14  # IOD; what is broader is shading
FINEST_BLUR = 0.02  # IOD; what is finer is noise and resampling
MOST_CREASE = 0.4  # log; hair and hands over the skin are darker, and no creases
LOG_OFFSET = 16.0  # grey levels, so that the log of shadows is no noise
# Regions kept out, as enlarged outlines: lids with their lashes, lips with their edge.
_EYES_BY, _LIPS_BY, _BROWS_BY, _OVAL_BY = 1.7, 1.25, 0.09, 0.93  # brows: IOD about their points


def unwrap(picture: Array, landmarks: Array) -> Array:
    """(H, W, 3) 0..255 and its landmarks (478, 2+) in widths to (SIDE, SIDE, 3) on the mesh."""
    index, points, triangles = _raster()
    source = torch.from_numpy(landmarks[None, :468, :2].astype(np.float32))
    where = source_positions(index, points, source, triangles)
    height, width = picture.shape[:2]
    scale = torch.tensor([1.0, width / height])  # widths to shares of each side
    flat = torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)[None]
    grid = torch.where(index[..., None] < 0, torch.zeros(()), where) * scale * 2 - 1
    found = F.grid_sample(flat, grid, padding_mode="border", align_corners=False)
    return found[0].permute(1, 2, 0).numpy()


def creases(unwrapped: Array) -> Array:
    """(SIDE, SIDE) log grey level of unwrapped skin, without shading and pixel noise.

    Blurs count skin alone, so that teeth, lids and background do not shine into it.
    """
    share = skin()
    grey = np.log(unwrapped @ LUMA + LOG_OFFSET) * share
    fine, broad = (
        _blur(grey, blur * PER_IOD) / np.maximum(_blur(share, blur * PER_IOD), 1e-3)
        for blur in (FINEST_BLUR, CREASE_BLUR)
    )
    return np.asarray(np.clip(fine - broad, -MOST_CREASE, MOST_CREASE) * share)


@lru_cache(maxsize=1)
def skin() -> Array:
    """(SIDE, SIDE) share 0..1 of each pixel that is bare skin: no lips, eyes, brows, or edge."""
    points, box = _flat_canonical(), Box(0, 0, SIDE, SIDE)
    share = fill(smooth_ring(_enlarged(points[list(FACE_OVAL)], _OVAL_BY)), box)
    for ring, factor in ((EYE_RIGHT, _EYES_BY), (EYE_LEFT, _EYES_BY), (LIPS_OUTER, _LIPS_BY)):
        share = share * (1 - fill(smooth_ring(_enlarged(points[list(ring)], factor)), box))
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    for brow in (BROW_RIGHT, BROW_LEFT):
        gap = np.stack([np.hypot(x - px, y - py) for px, py in points[list(brow)]]).min(0)
        share = share * (gap > _BROWS_BY * PER_IOD)
    return np.asarray(share * (_raster()[0][0].numpy() >= 0), np.float32)


def correlation(first: Array, second: Array, share: Array) -> float:
    """Pearson's, of (H, W) maps weighted by `share`; 0 where either is flat."""
    weight = share / share.sum()
    a, b = (values - (values * weight).sum() for values in (first, second))
    power = float(((a * a) * weight).sum() * ((b * b) * weight).sum())
    return float((a * b * weight).sum() / np.sqrt(power)) if power > 1e-18 else 0.0


def without(values: Array, known: Array, share: Array) -> Array:
    """(H, W) `values` less what they share with `known` (least squares under `share`)."""
    weight = share / share.sum()
    a, b = (each - (each * weight).sum() for each in (values, known))
    return np.asarray(a - b * ((a * b * weight).sum() / max(float((b * b * weight).sum()), 1e-12)))


def _enlarged(ring: Array, factor: float) -> Array:
    centre = ring.mean(0)
    return np.asarray(centre + (ring - centre) * factor)


def _flat_canonical() -> Array:
    """(468, 2) pixels of the canonical mesh seen from the front, its middle in the middle."""
    flat = load_anatomy().canonical[:, :2] * np.array([1, -1], np.float32)
    middle = (flat.max(0) + flat.min(0)) / 2
    return np.asarray((flat - middle) * PER_IOD + SIDE / 2, np.float32)


@lru_cache(maxsize=1)
def _raster() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    anatomy = load_anatomy()
    points = torch.from_numpy(_flat_canonical())[None]
    depth = torch.from_numpy(anatomy.canonical[None, :, 2].astype(np.float32))
    triangles = torch.from_numpy(anatomy.triangles)
    return rasterize(points, depth, triangles, SIDE, SIDE), points, triangles


def _blur(values: Array, sigma: float) -> Array:
    """Gaussian blur of (H, W), sigma in pixels; edges are held."""
    reach = int(np.ceil(3 * sigma))
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    line = (line / line.sum()).to(torch.float32)
    flat = torch.from_numpy(np.asarray(values, np.float32))[None, None]
    padded = F.pad(flat, (reach,) * 4, mode="replicate")
    smooth = F.conv2d(F.conv2d(padded, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1))
    return smooth[0, 0].numpy()
