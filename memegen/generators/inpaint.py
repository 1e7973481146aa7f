"""Small patches: unknown pixels are filled smoothly, masks softened, colours blurred."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from memegen.arrays import Array

GAUSSIAN_REACH = 2.5  # standard deviations beyond which `gaussian` counts nothing


def fill_unknown(patch: Array, known: Array) -> Array:
    """(H, W, C) patch with weights (H, W): known pixels stay, the rest continues them smoothly.

    Push-pull (Gortler et al., SIGGRAPH 1996): average the known over ever larger cells, then take
    each unknown pixel from the smallest cell that knows anything.
    """
    weight = torch.from_numpy(np.ascontiguousarray(known, np.float32))[None, None]
    colour = torch.from_numpy(np.ascontiguousarray(patch, np.float32)).permute(2, 0, 1)[None]
    return np.ascontiguousarray(_push_pull(colour, weight)[0].permute(1, 2, 0).numpy())


def _push_pull(colour: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    if bool((weight > 0.999).all()):
        return colour
    if min(weight.shape[2:]) < 2:
        known = (colour * weight).sum((2, 3), keepdim=True) / weight.sum().clamp(min=1e-4)
        return colour * weight + known * (1 - weight)
    mass = F.avg_pool2d(weight, 2, ceil_mode=True, count_include_pad=False)
    mean = F.avg_pool2d(colour * weight, 2, ceil_mode=True, count_include_pad=False)
    below = _push_pull(mean / mass.clamp(min=1e-4), (mass * 4).clamp(max=1))
    wide = F.interpolate(below, size=weight.shape[2:], mode="bilinear")
    return colour * weight + wide * (1 - weight)


def soften(mask: Array, radius: float) -> Array:
    """(H, W) mask blurred by about `radius` pixels (two box filters)."""
    size = max(1, int(radius)) * 2 + 1
    blurred = np.ascontiguousarray(mask, np.float32)
    for _ in range(2):
        soft = cv2.blur(blurred, (size, size), borderType=cv2.BORDER_REPLICATE)
        blurred = np.asarray(soft, np.float32)
    return blurred


def blur_of(luma: Array) -> float:
    """Standard deviation (pixels) of the blur that a patch with a strong edge shows.

    luma (h, w) 0..255. A step of contrast C under a Gaussian blur has the greatest slope
    C / (sigma sqrt(2 pi)). Halved: the steepest edge seldom spans the whole contrast.
    """
    if min(luma.shape) < 3:
        return 0.5
    slope = np.hypot(*np.gradient(luma))
    low, high = np.percentile(luma, [3, 97])
    steepest = max(float(np.percentile(slope, 99.5)), 1e-3)
    return float(np.clip((high - low) / steepest / np.sqrt(2 * np.pi), 0.8, 8)) / 2


def gaussian(planes: torch.Tensor, sigma: float) -> torch.Tensor:
    """(T, C, h, w) planes blurred with a standard deviation of `sigma` pixels, edges held."""
    if planes.device.type != "cpu":
        return convolved(planes, sigma)
    size = (2 * _reach(sigma) + 1,) * 2
    blurred = [
        cv2.GaussianBlur(plane, size, sigma, borderType=cv2.BORDER_REPLICATE)
        for plane in planes.flatten(0, 1).numpy()
    ]
    return torch.from_numpy(np.stack(blurred)).view(planes.shape)


def convolved(planes: torch.Tensor, sigma: float) -> torch.Tensor:
    """What `gaussian` returns, on any device."""
    reach = _reach(sigma)
    return blurred_inside(F.pad(planes, (reach,) * 4, mode="replicate"), sigma, reach)


def blurred_inside(planes: torch.Tensor, sigma: float, reach: int) -> torch.Tensor:
    """A Gaussian blur of (T, C, h, w), less the `reach` pixels all around that it counts beside.

    Whoever calls lays so many pixels around, as what lies beyond the border should be.
    """
    at = torch.arange(-reach, reach + 1, device=planes.device)
    line = (-0.5 * (at / sigma).square()).exp()
    line = line / line.sum()
    along = F.conv2d(planes.flatten(0, 1)[:, None], line.view(1, 1, 1, -1))
    return F.conv2d(along, line.view(1, 1, -1, 1))[:, 0].unflatten(0, planes.shape[:2])


def _reach(sigma: float) -> int:
    return max(1, int(np.ceil(GAUSSIAN_REACH * sigma)))


def pixel_grid(left: int, top: int, height: int, width: int) -> tuple[Array, Array]:
    """X and y (height, width) of pixel centres."""
    x, y = np.empty((2, height, width), np.float32)
    x[:] = np.arange(left, left + width, dtype=np.float32) + 0.5
    y[:] = np.arange(top, top + height, dtype=np.float32)[:, None] + 0.5
    return x, y
