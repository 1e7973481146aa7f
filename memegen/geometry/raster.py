"""A batched triangle rasteriser in a few tensor operations: no loop over triangles, any device."""

from __future__ import annotations

import torch
from torch import Tensor

_INSIDE = -1e-4  # barycentric tolerance, so that neighbours leave no crack


def rasterize(points: Tensor, depth: Tensor, triangles: Tensor, height: int, width: int) -> Tensor:
    """The nearest triangle at every pixel centre.

    points (T, V, 2) in pixels (pixel i, j has its centre at (j + 0.5, i + 0.5)), depth (T, V)
    larger nearer, triangles (F, 3). Returns (T, height, width) triangle numbers, -1 where none.

    All pixels of all triangles' bounding boxes are tested as one flat list; of the triangles that
    hold a pixel, the one drawn last by a painter (far triangles first) wins.
    """
    frames, faces = len(points), len(triangles)
    corner = points[:, triangles]  # (T, F, 3, 2)
    order = depth[:, triangles].mean(-1).argsort(1)  # (T, F) far first
    rank = torch.empty_like(order)
    rank.scatter_(1, order, torch.arange(faces, device=points.device).expand(frames, -1))
    limit = torch.tensor([width - 1, height - 1], device=points.device)
    low = (corner.amin(2) - 0.5).ceil().clamp(min=0).long()
    high = torch.minimum((corner.amax(2) - 0.5).floor().long(), limit)
    extent = (high - low + 1).clamp(min=0).view(-1, 2)
    count = extent[:, 0] * extent[:, 1]
    owner = torch.repeat_interleave(count)
    within = torch.arange(len(owner), device=points.device) - (count.cumsum(0) - count)[owner]
    across = extent[owner, 0]
    row = (within.float() / across).long()  # exact below 2^24, and faster than division of integers
    x = within - row * across + low.view(-1, 2)[owner, 0]
    y = row + low.view(-1, 2)[owner, 1]
    plane = barycentric_planes(corner).view(-1, 2, 3)[owner]
    first, second = (
        plane[:, :, 0] * (x + 0.5)[:, None] + plane[:, :, 1] * (y + 0.5)[:, None] + plane[:, :, 2]
    ).unbind(1)
    inside = torch.minimum(torch.minimum(first, second), 1 - first - second) >= _INSIDE
    owner, x, y = owner[inside], x[inside], y[inside]
    frame = torch.arange(frames, device=points.device).repeat_interleave(faces)
    pixel = (frame[owner] * height + y) * width + x
    best = torch.full((frames * height * width,), -1, dtype=torch.long, device=points.device)
    best.scatter_reduce_(0, pixel, rank.view(-1)[owner], "amax")
    best = best.view(frames, -1)
    winner = order.gather(1, best.clamp(min=0))
    return torch.where(best < 0, best, winner).view(frames, height, width)


def barycentric_planes(corner: Tensor) -> Tensor:
    """(..., 3, 2) corners to (..., 2, 3): first two barycentric coordinates as a*x + b*y + c.

    A triangle without area gets planes that hold no point.
    """
    a, b, c = corner.unbind(-2)
    area = (b[..., 1] - c[..., 1]) * (a[..., 0] - c[..., 0]) + (c[..., 0] - b[..., 0]) * (
        a[..., 1] - c[..., 1]
    )
    flat = area.abs() < 1e-8
    inverse = 1 / torch.where(flat, torch.ones_like(area), area)

    def plane(p: Tensor, q: Tensor) -> Tensor:
        dy, dx = (p[..., 1] - q[..., 1]) * inverse, (q[..., 0] - p[..., 0]) * inverse
        offset = -(dy * c[..., 0] + dx * c[..., 1])
        nowhere = torch.full_like(offset, -1.0)
        zero = torch.zeros_like(offset)
        return torch.stack(
            [
                torch.where(flat, zero, dy),
                torch.where(flat, zero, dx),
                torch.where(flat, nowhere, offset),
            ],
            -1,
        )

    return torch.stack([plane(b, c), plane(c, a)], -2)


def source_positions(index: Tensor, points: Tensor, source: Tensor, triangles: Tensor) -> Tensor:
    """Where every pixel of a raster came from: (T, H, W, 2) positions in the units of `source`.

    index (T, H, W) of `rasterize` for points (T, V, 2); source (T, V, 2) the same vertices
    before they moved. Pixels under no triangle get their own position.
    """
    frames, height, width = index.shape
    planes = barycentric_planes(points[:, triangles])  # (T, F, 2, 3)
    s0, s1, s2 = source[:, triangles].unbind(2)  # (T, F, 2)
    affine = planes[:, :, 0, None, :] * (s0 - s2)[..., None]
    affine = affine + planes[:, :, 1, None, :] * (s1 - s2)[..., None]
    affine[..., 2] += s2
    flat = affine.view(frames, -1, 6).gather(
        1, index.clamp(min=0).view(frames, -1, 1).expand(-1, -1, 6)
    )
    flat = flat.view(frames, height, width, 6)
    x = (torch.arange(width, device=index.device) + 0.5)[None, None, :]
    y = (torch.arange(height, device=index.device) + 0.5)[None, :, None]
    u = flat[..., 0] * x + flat[..., 1] * y + flat[..., 2]
    v = flat[..., 3] * x + flat[..., 4] * y + flat[..., 5]
    outside = index < 0
    return torch.stack([torch.where(outside, x, u), torch.where(outside, y, v)], -1)
