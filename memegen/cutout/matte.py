"""The edge of what a coarse mask covers, and its colours without what was behind it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from memegen.arrays import Array, Picture

Mask = NDArray[np.bool_]

SURE = (0.1, 0.9)  # coverage below and above which an engine is believed
# IOD on either side of the coarse edge within which nothing is believed: strands of hair reach
# farther out than skin does, and what stands behind is taken in everywhere.
INSIDE, OUTSIDE_HAIR, OUTSIDE_SKIN = 0.1, 0.1, 0.05
OPAQUE = 0.95  # alpha from which a pixel keeps its own colour
NOTHING, ALL = 0.1, 0.94  # alpha that is as good as none, or as good as all


@dataclass(frozen=True)
class Matte:
    """How much of each pixel is foreground, and of which colour that is."""

    alpha: Array  # (H, W) 0..1
    colours: Array  # (H, W, 3) 0..255, continued over what is not foreground


def trimap(coverage: Array, certain: Mask, unknown: Mask) -> Array:
    """(H, W) 1 foreground, 0 background, 0.5 unknown, of a coarse coverage (H, W) 0..1.

    certain: foreground whatever the coverage says; unknown: not to be believed else.
    """
    believed = np.where(coverage > SURE[1], 1.0, np.where(coverage < SURE[0], 0.0, 0.5))
    return np.where(certain, 1.0, np.where(unknown, 0.5, believed))


def edge_band(coverage: Array, hair: Array, iod: float) -> Mask:
    """(H, W) what is so near to a coarse edge that strands of hair, or errors, may reach there.

    hair (H, W) 0..1: how likely the edge is one of hair; iod: pixels.
    """
    solid = (coverage > 0.5).astype(np.uint8)
    inwards = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    outwards = cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5)
    outside = OUTSIDE_SKIN + (OUTSIDE_HAIR - OUTSIDE_SKIN) * hair
    near = (inwards <= max(2.0, INSIDE * iod)) & (outwards <= np.maximum(2.0, outside * iod))
    return np.asarray(near)


def matte(rgb: Picture, known: Array) -> Matte:
    """The matte of a picture (H, W, 3) whose trimap (H, W) is known.

    Closed-form matting (Levin, Lischinski and Weiss 2008) and multi-level foreground estimation
    (Germer et al. 2020), both of pymatting.
    """
    from pymatting import estimate_alpha_cf, estimate_foreground_ml

    image = rgb.astype(np.float64) / 255
    if not (known == 1).any() or not (known == 0).any():  # nothing to tell apart
        return Matte((known > 0).astype(np.float32), rgb.astype(np.float32))
    with warnings.catch_warnings():  # of a solver that stops a little early
        warnings.simplefilter("ignore")
        alpha = estimate_alpha_cf(image, known)
    alpha = np.clip((alpha - NOTHING) / (ALL - NOTHING), 0, 1)
    colours = 255 * np.clip(estimate_foreground_ml(image, alpha), 0, 1)
    return Matte(alpha.astype(np.float32), colours.astype(np.float32))


def without_background(rgb: Picture, found: Matte) -> Picture:
    """(H, W, 3) the picture; where a matte of any size is not opaque, with the matte's colours."""
    height, width = rgb.shape[:2]
    alpha = enlarged(found.alpha, width, height)[..., None]
    colours = enlarged(found.colours, width, height)
    own = np.clip((alpha - OPAQUE) / (1 - OPAQUE), 0, 1)
    return np.rint(rgb * own + colours * (1 - own)).clip(0, 255).astype(np.uint8)


def enlarged(values: Array, width: int, height: int) -> Array:
    """Values (h, w) or (h, w, C) at another size."""
    if values.shape[:2] == (height, width):
        return values
    found = cv2.resize(values.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(found, np.float32)
