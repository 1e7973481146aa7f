"""Windows: the squares of a face that networks look at and change.

The mouth has a window of its own, because a network over the whole face would spend some forty
pixels on it. A window follows its part of the face: it is placed anew on every frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memegen.arrays import Array
from memegen.geometry.box import Box
from memegen.geometry.outline import fill, smooth_ring
from memegen.geometry.sampling import sample_images
from memegen.geometry.topology import (
    EYE_LEFT,
    EYE_RIGHT,
    LIP_CORNERS,
    LIPS_INNER,
    LIPS_OUTER,
)

FADE = 0.14  # share of a window's half width over which its change fades to nothing


@dataclass(frozen=True)
class Window:
    """One square of the face."""

    name: str
    extent: float | None  # side in IOD; None: the whole crop
    rings: tuple[tuple[int, ...], ...]  # landmarks whose filled outlines are shown to the network


MOUTH = Window("mouth", 1.6, (LIPS_INNER, LIPS_OUTER))
FACE = Window("face", None, ())
WINDOWS = (MOUTH,)  # those of `anatomical`


def place(window: Window, landmarks: Array, scale: float) -> Array:
    """(T, 478, 2+) landmarks in crop units to (T, 2, 3): window units (-1..1) to crop units.

    `scale` is crop widths per IOD; it does not change while a face moves, so windows keep their
    size when the head turns.
    """
    frames = len(landmarks)
    if window.extent is None:
        return np.tile(np.array([[0.5, 0, 0.5], [0, 0.5, 0.5]], np.float32), (frames, 1, 1))
    axis = landmarks[:, EYE_LEFT[0], :2] - landmarks[:, EYE_RIGHT[0], :2]
    axis = axis / np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-6)
    down = np.stack([-axis[:, 1], axis[:, 0]], 1)
    ring = landmarks[:, list(window.rings[-1]), :2]
    half = window.extent * scale / 2
    return np.stack([half * axis, half * down, ring.mean(1)], -1).astype(np.float32)


def to_pixels(affine: Array, crop_to_pixels: Array) -> Array:
    """(T, 2, 3) window to crop units, (2, 3) crop units to pixels: window units to pixels."""
    linear = crop_to_pixels[:, :2] @ affine
    linear[..., 2] += crop_to_pixels[:, 2]
    return np.asarray(linear, np.float32)


def draw_masks(window: Window, points: Array, affine: Array, side: int) -> Array:
    """Coverage (R, side, side) in 0..1 of the window's rings.

    points (478, 2) and affine (2, 3) are in the same units.
    """
    masks = np.zeros((len(window.rings), side, side), np.float32)
    box = Box(0, 0, side, side)
    inverse = np.linalg.inv(affine[:, :2]).T
    for index, ring in enumerate(window.rings):
        inside = (points[list(ring), :2] - affine[:, 2]) @ inverse
        masks[index] = fill(smooth_ring((inside + 1) * side / 2, LIP_CORNERS), box)
    return masks


def fade(side: int, device: torch.device | None = None) -> Tensor:
    """(side, side) one in the middle of a window, zero at its rim."""
    line = (torch.arange(side, device=device) + 0.5) * 2 / side - 1
    edge = ((1 - line.abs()) / FADE).clamp(0, 1)
    edge = edge * edge * (3 - 2 * edge)
    return edge[:, None] * edge[None, :]


def sample_window(image: Tensor, affine: Tensor, side: int) -> Tensor:
    """Sample windows (T, C, side, side) of image (T or 1, C, H, W), border pixels held.

    affine (T, 2, 3) is window units to pixels. Where many pixels fall on one of the window they
    are averaged, so that large faces do not alias.
    """
    factor = max(1, int(spacing_of(affine, side)))
    box = window_box(affine.cpu().numpy(), *image.shape[2:])
    if min(box.shape) < 1:
        return image.new_zeros(len(affine), image.shape[1], side, side)
    part = image[:, :, box.top : box.bottom, box.left : box.right]
    if factor > 1:
        part = F.avg_pool2d(part, factor, ceil_mode=True, count_include_pad=False)
    x, y, offset = affine[:, None, None].unbind(-1)  # each (T, 1, 1, 2)
    line = (torch.arange(side, device=affine.device) + 0.5) * 2 / side - 1
    # No matrix product: under autocast it would round positions to half precision.
    pixel = line[None, :, None] * x + line[:, None, None] * y + offset
    where = (pixel - affine.new_tensor([box.left, box.top])) / factor
    return sample_images(part, where)


def sample_flow(flow: Tensor, affine: Tensor, side: int) -> Tensor:
    """Windows (T, 2, side, side) of a mesh flow (T, 2, H, W), pixels turned into window units."""
    x, y = torch.linalg.inv(affine[:, :, :2])[..., None, None].unbind(2)  # each (T, 2, 1, 1)
    pixels = sample_window(flow, affine, side)
    return x * pixels[:, :1] + y * pixels[:, 1:]


def spacing_of(affine: Tensor, side: int) -> float:
    """Pixels of the picture in one pixel of a window `side` wide."""
    return float(affine[0, :, :2].detach().det().abs().sqrt()) * 2 / side


def pixel_positions(affine: Tensor, box: Box, step: int = 1) -> Tensor:
    """(T, h, w, 2) window units of a box's pixels, or of cells of `step` by `step` of them.

    affine (T, 2, 3) is window units to pixels.
    """
    inverse = torch.linalg.inv(affine[:, :, :2])
    rows, columns = (-(-length // step) for length in box.shape)
    x = (torch.arange(columns, device=affine.device) + 0.5) * step + box.left
    y = (torch.arange(rows, device=affine.device) + 0.5) * step + box.top
    dx, dy = x - affine[:, 0, 2, None], y - affine[:, 1, 2, None]
    across = inverse[:, None, :, 0] * dx[..., None]  # (T, w, 2)
    along = inverse[:, None, :, 1] * dy[..., None]  # (T, h, 2)
    return across[:, None] + along[:, :, None]


def window_box(affine: Array, height: int, width: int) -> Box:
    """The pixels under windows (T, 2, 3) of a picture."""
    corners = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]], np.float32)
    points = np.einsum("tij,cj->tci", affine[:, :, :2], corners) + affine[:, None, :, 2]
    return Box.around(points, 1, height, width)
