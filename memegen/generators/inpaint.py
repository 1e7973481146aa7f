"""Small patches: unknown pixels are filled smoothly, masks are softened and laid out as colours."""

from __future__ import annotations

import cv2
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


def gaussian(patch: Array, sigma: float) -> Array:
    """(H, W, C) patch blurred with a standard deviation of `sigma` pixels, edges held."""
    size = 2 * max(1, int(np.ceil(2.5 * sigma))) + 1
    source = np.ascontiguousarray(patch, np.float32)
    blurred = cv2.GaussianBlur(source, (size, size), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32).reshape(patch.shape)


def pixel_grid(left: int, top: int, height: int, width: int) -> tuple[Array, Array]:
    """X and y (height, width) of pixel centres."""
    x, y = np.empty((2, height, width), np.float32)
    x[:] = np.arange(left, left + width, dtype=np.float32) + 0.5
    y[:] = np.arange(top, top + height, dtype=np.float32)[:, None] + 0.5
    return x, y


def per_colour(values: Array) -> Array:
    """(h, w) to (h, w, 3), the same for every colour: what `values[..., None]` would broadcast to.

    Blending with numbers that lie as the colours do takes half the time.
    """
    if 0 in values.shape:
        return np.zeros((*values.shape, 3), np.float32)
    plane = np.asarray(values, np.float32)
    return np.asarray(cv2.merge((plane, plane, plane)), np.float32)
