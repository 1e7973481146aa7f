"""Fill unknown pixels of small patches smoothly, and sample patches at fractional positions."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from memegen.arrays import Array


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


def sample(patch: Array, x: Array, y: Array) -> Array:
    """Bilinear samples of (H, W, C) at pixels x, y (h, w), centres at halves, edges held."""
    height, width = patch.shape[:2]
    grid = np.stack([x * (2 / width) - 1, y * (2 / height) - 1], -1).astype(np.float32)
    source = torch.from_numpy(np.ascontiguousarray(patch)).permute(2, 0, 1)[None]
    found = F.grid_sample(
        source, torch.from_numpy(grid)[None], padding_mode="border", align_corners=False
    )
    return found[0].permute(1, 2, 0).numpy()


def soften(mask: Array, radius: float) -> Array:
    """(H, W) mask blurred by about `radius` pixels (two box filters)."""
    size = max(1, int(radius)) * 2 + 1
    blurred = torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None, None]
    for _ in range(2):
        padded = F.pad(blurred, (size // 2,) * 4, mode="replicate")
        blurred = F.avg_pool2d(padded, (1, size), stride=1)
        blurred = F.avg_pool2d(blurred, (size, 1), stride=1)
    return blurred[0, 0].numpy()


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


def gaussian(patch: Array, sigma: float) -> Array:
    """(H, W, C) patch blurred with a standard deviation of `sigma` pixels, edges held."""
    reach = max(1, int(np.ceil(2.5 * sigma)))
    line = torch.exp(-((torch.arange(-reach, reach + 1.0) / sigma) ** 2) / 2)
    line = line / line.sum()
    planes = torch.from_numpy(np.ascontiguousarray(patch, np.float32)).permute(2, 0, 1)[:, None]
    planes = F.pad(planes, (reach,) * 4, mode="replicate")
    planes = F.conv2d(planes, line.view(1, 1, 1, -1))
    return F.conv2d(planes, line.view(1, 1, -1, 1))[:, 0].permute(1, 2, 0).numpy()


def smoothstep(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def pixel_grid(left: int, top: int, height: int, width: int) -> tuple[Array, Array]:
    """X and y (height, width) of pixel centres."""
    y, x = np.mgrid[top : top + height, left : left + width].astype(np.float32) + 0.5
    return x, y
