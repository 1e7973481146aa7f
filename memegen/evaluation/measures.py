"""How far a generated picture is from the real one, over a region."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memegen.arrays import LUMA, Array
from memegen.generators.inpaint import blurred_inside
from memegen.geometry.box import Box
from memegen.geometry.outline import fill, smooth_ring
from memegen.geometry.topology import (
    EYE_CORNERS,
    EYE_LEFT,
    EYE_RIGHT,
    FACE_OVAL,
    LIP_CORNERS,
    LIPS_INNER,
    LIPS_OUTER,
)

REGIONS = ("mouth", "lips", "eyes", "skin", "background")
_EYE_MARGIN = 1.25  # an eye's region is its outline so much enlarged, lashes and lid edges included


def regions(landmarks: Array, side: int) -> dict[str, Array]:
    """(478, 2+) landmarks in crop units to the share (side, side) each pixel has in each region.

    mouth is between the lips, lips the lips themselves, eyes both eyes and their lid edges, skin
    the rest of the face, background all else.
    """
    points, box = landmarks[:, :2] * side, Box(0, 0, side, side)
    mouth = fill(smooth_ring(points[list(LIPS_INNER)], LIP_CORNERS), box)
    outer = fill(smooth_ring(points[list(LIPS_OUTER)], LIP_CORNERS), box)
    eyes = np.zeros((side, side), np.float32)
    for ring in (EYE_RIGHT, EYE_LEFT):
        centre = points[list(ring)].mean(0)
        wider = centre + (points[list(ring)] - centre) * _EYE_MARGIN
        eyes = np.maximum(eyes, fill(smooth_ring(wider, EYE_CORNERS), box))
    face = fill(smooth_ring(points[list(FACE_OVAL)]), box)
    inside = np.maximum(np.maximum(outer, mouth), eyes)
    return {
        "mouth": mouth,
        "lips": np.clip(outer - mouth, 0, 1),
        "eyes": eyes,
        "skin": np.clip(face - inside, 0, 1),
        "background": np.clip(1 - np.maximum(face, inside), 0, 1),
    }


def mean_over(values: Array, weight: Array) -> float:
    """Mean of (H, W) values over a region."""
    return float((values * weight).sum() / weight.sum())


def absolute(rendered: Array, true: Array) -> Array:
    """(H, W, 3) pictures 0..255 to (H, W) mean absolute difference of their channels."""
    return np.asarray(np.abs(rendered - true).mean(-1))


def psnr(rendered: Array, true: Array, weight: Array) -> float:
    """Peak signal to noise ratio over a region, decibels; at most 60."""
    square = mean_over(((rendered - true) ** 2).mean(-1), weight)
    return float(10 * np.log10(255**2 / max(square, 255**2 / 1e6)))


def structure(rendered: Array, true: Array) -> Array:
    """(H, W, 3) pictures 0..255 to (H, W) structural similarity of luma (Wang et al. 2004)."""
    x, y = (torch.from_numpy(p @ LUMA)[None, None] for p in (rendered, true))
    mean_x, mean_y = _smooth(x), _smooth(y)
    var_x, var_y = _smooth(x * x) - mean_x**2, _smooth(y * y) - mean_y**2
    both = _smooth(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    found: Array = (top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)))[0, 0].numpy()
    return found


def _smooth(x: Tensor) -> Tensor:
    """Gaussian of 1.5 pixels, 11 wide, as Wang et al. take it."""
    return blurred_inside(F.pad(x, (5, 5, 5, 5), mode="reflect"), 1.5, 5)


class Perceptual:
    """Distance of deep features (Zhang et al. 2018, unit length per position, unweighted).

    The features are those of MTCNN's output network: trained on faces, and by nobody on anything
    that is measured here.
    """

    def __init__(self) -> None:
        from facenet_pytorch.models.mtcnn import ONet

        net = ONet().eval().requires_grad_(False)
        self._stages = [
            (net.conv1, net.prelu1, net.pool1),
            (net.conv2, net.prelu2, net.pool2),
            (net.conv3, net.prelu3, net.pool3),
        ]

    def __call__(self, rendered: Tensor, true: Tensor, weight: Tensor | None = None) -> float:
        """Mean over (T, 3, S, S) pictures in 0..1, S at least 32.

        weight: (S, S) how much each pixel's surroundings count; all alike if none.
        """
        x = torch.cat([rendered, true]) * 2 - 1
        found = 0.0
        with torch.inference_mode():
            for convolution, activation, pool in self._stages:
                x = activation(convolution(x))
                unit = x / (x.norm(dim=1, keepdim=True) + 1e-6)
                a, b = unit.chunk(2)
                distance = (a - b).square().sum(1)
                share = torch.ones_like(distance[:1]) if weight is None else weight[None]
                share = F.interpolate(share[None], distance.shape[1:], mode="area")[0]
                found += float((distance * share).mean() / share.mean().clamp(min=1e-9))
                x = pool(x)
        return found / len(self._stages)
