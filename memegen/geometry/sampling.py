"""Images read at fractional pixels: the one place where pictures are interpolated.

Pixel i, j has its centre at (j + 0.5, i + 0.5). On the CPU OpenCV does the work, three times as
fast as torch; elsewhere, and where gradients are needed, torch does. Both round alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memegen.arrays import Array, Picture

Border = Literal["reflection", "border", "zeros"]  # what lies beyond an image, in torch's words
_BORDERS = {
    "reflection": cv2.BORDER_REFLECT,
    "border": cv2.BORDER_REPLICATE,
    "zeros": cv2.BORDER_CONSTANT,
}
_EXACT = (1, 3, 4)  # channels that OpenCV interpolates in floats; others at 1/32 pixel
_NO_MAP: Any = None  # positions are one array of pairs; stubs of some versions want a second
_AT_ONCE = 4  # channels that OpenCV reads, enlarges and merges together
_LONGEST = 32_000  # pixels of a side: beyond, OpenCV's positions overflow


def sample(patch: Array, x: Array, y: Array, border: Border = "border") -> Array:
    """Bilinear samples of (H, W, C) at pixels x, y (h, w): (h, w, C)."""
    half = np.float32(0.5)
    maps = tuple(np.ascontiguousarray(axis - half, np.float32) for axis in (x, y))
    return _remap(patch, maps, border, cv2.INTER_LINEAR)


def channel_groups(patch: Array) -> tuple[Array, ...]:
    """(H, W, C) in parts that OpenCV reads at once, for what is sampled again and again."""
    starts = range(0, patch.shape[2], _AT_ONCE)
    parts = [patch[..., start : start + _AT_ONCE] for start in starts]
    if parts[-1].shape[2] == 2:  # which OpenCV would not read exactly
        parts[-1:] = [parts[-1][..., :1], parts[-1][..., 1:]]
    return tuple(np.ascontiguousarray(part, np.float32) for part in parts)


def sample_picture(picture: Picture, x: Array, y: Array) -> Picture:
    """(H, W, C) bytes at pixels x, y (h, w), which are lost: (h, w, C), bicubic, borders held."""
    half = np.float32(0.5)
    maps = np.subtract(x, half, out=x), np.subtract(y, half, out=y)
    found = cv2.remap(picture, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.uint8).reshape(*x.shape, picture.shape[2])


def sample_images(
    images: Tensor, position: Tensor, border: Border = "border", cubic: bool = False
) -> Tensor:
    """Images (1 or T, C, H, W) at pixels position (T, h, w, 2), x first: (T, C, h, w).

    On the CPU the result lies in memory as pixels of channels (channels_last).
    """
    frames = len(position)
    height, width = images.shape[2:]
    if _by_opencv(images, position) and max(height, width, *position.shape[1:3]) < _LONGEST:
        how = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
        found = np.empty((*position.shape[:3], images.shape[1]), np.float32)
        for k, where in enumerate((position - 0.5).numpy()):
            _remap(_interleaved(images[k % len(images)]), (where, _NO_MAP), border, how, found[k])
        return torch.from_numpy(found).permute(0, 3, 1, 2)
    grid = position * (2 / position.new_tensor([width, height])) - 1
    mode = "bicubic" if cubic else "bilinear"
    images = images.expand(frames, -1, -1, -1)
    return F.grid_sample(images, grid, mode=mode, padding_mode=border, align_corners=False)


def sample_planes(
    images: Tensor | Sequence[Tensor], x: Tensor, y: Tensor, border: Border = "border"
) -> Tensor:
    """Images (1 or T, C, H, W) at pixels x, y (T, h, w): (T, C, h, w), bilinear.

    Several images, each of at most four channels that lie side by side in memory, are one of all
    their channels.
    """
    groups = (images,) if isinstance(images, Tensor) else images
    if not _by_opencv(x, y, *groups) or 0 in x.shape:
        at = torch.stack([x, y], -1)
        return torch.cat([sample_images(group, at, border) for group in groups], 1)
    # In arrays: of small patches, tensors take longer to be sliced than to be read.
    half = np.float32(0.5)
    across, down = x.numpy() - half, y.numpy() - half
    planes = np.empty((len(across), sum(g.shape[1] for g in groups), *across.shape[1:]), np.float32)
    first = 0
    for group in groups:
        pixels = group.permute(0, 2, 3, 1).numpy()
        last = first + pixels.shape[3]
        for k, places in enumerate(zip(across, down, strict=True)):
            image = pixels[k % len(pixels)]
            planes[k, first:last] = _remap(image, places, border, cv2.INTER_LINEAR).transpose(
                2, 0, 1
            )
        first = last
    return torch.from_numpy(planes)


def sample_displaced(images: Iterable[Tensor], flow: Tensor, border: Border = "border") -> Tensor:
    """Images (C, H, W), one for each frame, at own positions plus flow (T, 2, H, W): (T, C, H, W).

    C is at most 4. An image is read before the next is asked for, so that they may share their
    memory. On the CPU the result lies in memory as pixels of channels (channels_last).
    """
    height, width = flow.shape[2:]
    if not _by_opencv(flow) or max(height, width) >= _LONGEST:
        position = (pixel_centres(height, width, flow.device) + flow).permute(0, 2, 3, 1)
        pairs = zip(images, position, strict=False)
        return torch.cat([sample_images(one[None], at[None], border) for one, at in pairs])
    if 0 in flow.shape:
        return torch.cat([image[None] for image, _ in zip(images, flow, strict=False)])
    found: Array | None = None
    for frame, (image, (x, y)) in enumerate(zip(images, flow.numpy(), strict=False)):
        planes = list(image.numpy())
        # Four channels side by side are read as fast as one, three are not: the last comes twice.
        wide = cv2.merge(planes + planes[-1:] * (_AT_ONCE - len(planes)))
        how = cv2.INTER_LINEAR | cv2.WARP_RELATIVE_MAP
        read = cv2.remap(wide, x, y, how, None, _BORDERS[border])
        if found is None:
            found = np.empty((len(flow), height, width, len(planes)), np.float32)
        if len(planes) == 3:  # as the next line, in a tenth of the time
            cv2.cvtColor(read, cv2.COLOR_RGBA2RGB, found[frame])
        else:
            found[frame] = read[..., : len(planes)]
    assert found is not None
    return torch.from_numpy(found).permute(0, 3, 1, 2)


def pixel_centres(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """(2, height, width) x and y of pixel centres."""
    x = torch.arange(width, device=device) + 0.5
    y = torch.arange(height, device=device) + 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))


def magnify(cells: Tensor, factor: int, height: int, width: int) -> Tensor:
    """(T, C, h, w) samples at the centres of cells of factor x factor pixels, to every pixel.

    Returns (T, C, height, width): bilinear between the centres, cut where the last cells reach
    beyond.
    """
    if factor == 1:
        return cells[:, :, :height, :width]
    if not _by_opencv(cells) or cells.shape[1] > _AT_ONCE:
        wide = F.interpolate(cells, scale_factor=float(factor), mode="bilinear")
        return wide[:, :, :height, :width]
    rows, columns = (length * factor for length in cells.shape[2:])
    if cells.is_contiguous():  # planes, which stay so
        planes = cells.flatten(0, 1).numpy()
        tall = np.stack([cv2.resize(plane, (columns, rows)) for plane in planes])
        wide = torch.from_numpy(tall).view(*cells.shape[:2], rows, columns)
        return wide[:, :, :height, :width]
    found = [cv2.resize(_interleaved(cell), (columns, rows)) for cell in cells]
    wide = torch.from_numpy(np.stack(found).reshape(len(cells), rows, columns, -1))
    return wide[:, :height, :width].permute(0, 3, 1, 2)


def _by_opencv(*used: Tensor) -> bool:
    return all(t.device.type == "cpu" and not t.requires_grad for t in used)


def _interleaved(image: Tensor) -> Array:
    """(C, H, W) planes to (H, W, C) pixels, without a copy where they lie so already."""
    pixels = image.permute(1, 2, 0)
    if pixels.is_contiguous() or image.shape[0] > _AT_ONCE or 0 in image.shape:
        return np.asarray(pixels.numpy())
    merged = cv2.merge([plane.numpy() for plane in image])
    return np.asarray(merged, np.float32).reshape(pixels.shape)


def _remap(
    patch: Array, maps: tuple[Any, ...], border: Border, how: int, out: Array | None = None
) -> Array:
    """(H, W, C) at indices (h, w), x and y apart or as pairs: (h, w, C), into `out` if given."""
    channels, shape = patch.shape[2], maps[0].shape[:2]
    found = np.empty((*shape, channels), np.float32) if out is None else out
    if 0 in shape or 0 in patch.shape:
        found[:] = 0
    elif channels in _EXACT:
        source = np.ascontiguousarray(patch, np.float32)
        flat = found[..., 0] if channels == 1 else found
        cv2.remap(source, maps[0], maps[1], how, flat, _BORDERS[border])
    else:
        groups = channel_groups(patch)
        found[:] = np.concatenate([_remap(part, maps, border, how) for part in groups], -1)
    return found
