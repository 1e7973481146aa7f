"""A batched triangle rasteriser in a few tensor operations: no loop over triangles, any device."""

from __future__ import annotations

import torch
from torch import Tensor

_INSIDE = -1e-4  # barycentric tolerance, so that neighbours leave no crack


def rasterize(points: Tensor, depth: Tensor, triangles: Tensor, height: int, width: int) -> Tensor:
    """The nearest triangle at every pixel centre.

    points (T, V, 2) in pixels (pixel i, j has its centre at (j + 0.5, i + 0.5)), depth (T, V)
    larger nearer, triangles (F, 3). Returns (T, height, width) triangle numbers, -1 where none.
    """
    corner = points[:, triangles]
    return _nearest(corner, barycentric_planes(corner), depth[:, triangles], (height, width))


def trace(
    points: Tensor, depth: Tensor, source: Tensor, triangles: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """The same, and where every pixel came from: (T, 2, height, width) x and y.

    source (T, V, 2): the same vertices before they moved, in whose units that is. Pixels under no
    triangle get their own position.
    """
    corner = points[:, triangles]
    planes = barycentric_planes(corner)
    index = _nearest(corner, planes, depth[:, triangles], (height, width))
    return index, _sources(index, planes, source[:, triangles])


def _nearest(corner: Tensor, planes: Tensor, depth: Tensor, size: tuple[int, int]) -> Tensor:
    """What `rasterize` returns, of corners (T, F, 3, 2), their planes and depth (T, F, 3).

    Every triangle is cut into its rows' spans of pixels, all in one flat list; of the triangles
    that hold a pixel, the nearest wins (the painter's algorithm: far triangles first).
    """
    (frames, faces), (height, width) = corner.shape[:2], size
    order = depth.mean(-1).argsort(1)  # (T, F) far first
    rank = torch.empty_like(order)
    rank.scatter_(1, order, torch.arange(faces, device=corner.device).expand(frames, -1))
    top = (corner[..., 1].amin(2) - 0.5).ceil().clamp(min=0).long().view(-1)
    bottom = (corner[..., 1].amax(2) - 0.5).floor().clamp(max=height - 1).long().view(-1)
    owner, step = _spread((bottom - top + 1).clamp(min=0))
    row = top.index_select(0, owner) + step
    start, count = _spans(_bounds(planes), owner, row, width)
    span, step = _spread(count)
    first = (owner // faces * height + row) * width + start
    best = torch.full((frames * height * width,), -1, dtype=torch.long, device=corner.device)
    nearness = rank.view(-1).index_select(0, owner).index_select(0, span)
    best.scatter_reduce_(0, first.index_select(0, span) + step, nearness, "amax")
    best = best.view(frames, -1)
    winner = order.gather(1, best.clamp(min=0))
    return torch.where(best < 0, best, winner).view(frames, height, width)


def _spread(count: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers 0..N-1 each `count` (N,) times, and which one of its copies each is."""
    owner = torch.repeat_interleave(count)
    first = count.cumsum(0) - count
    return owner, torch.arange(len(owner), device=count.device) - first.index_select(0, owner)


def _bounds(planes: Tensor) -> Tensor:
    """(T, F, 2, 3) planes to (3, 3, T * F): a, b and c of each barycentric coordinate."""
    planes = planes.view(-1, 2, 3).permute(2, 1, 0)
    third = -(planes[:, :1] + planes[:, 1:])
    third[2] += 1
    return torch.cat([planes, third], 1)


def _spans(bounds: Tensor, owner: Tensor, row: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """First pixel and number of pixels in which rows (N,) of pixel centres cross triangles.

    bounds (3, 3, T * F) of `_bounds`: every coordinate bounds x on one side; owner (N,) triangles.
    """
    across, down, offset = bounds.view(9, -1).index_select(1, owner).view(3, 3, -1)
    lack = _INSIDE - down * (row + 0.5) - offset  # across * x has to reach this
    bound = lack / across
    low = torch.where(across > 0, bound, -1.0).amax(0)
    high = torch.where(across < 0, bound, float(width)).amin(0)
    first = (low - 0.5).ceil().clamp(min=0)
    last = (high - 0.5).floor().clamp(max=width - 1)
    nowhere = ((across == 0) & (lack > 0)).any(0)
    count = torch.where(nowhere, 0, (last - first + 1).clamp(min=0))
    return first.clamp(max=width).long(), count.long()


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


def _sources(index: Tensor, planes: Tensor, source: Tensor) -> Tensor:
    """What `trace` returns beside the raster (T, H, W), of its planes and sources (T, F, 3, 2)."""
    frames, height, width = index.shape
    s0, s1, s2 = source.unbind(2)  # (T, F, 2)
    affine = planes[:, :, 0, None, :] * (s0 - s2)[..., None]
    affine = affine + planes[:, :, 1, None, :] * (s1 - s2)[..., None]
    affine[..., 2] += s2
    faces = source.shape[1]
    first = (torch.arange(frames, device=index.device) * faces).view(-1, 1, 1)
    rows = (index.clamp(min=0) + first).view(-1)
    # Plane by plane: what lies side by side in memory is many times as fast to reckon with.
    each = affine.view(-1, 6).t().contiguous().index_select(1, rows)
    x = (torch.arange(width, device=index.device) + 0.5)[None, None, :]
    y = (torch.arange(height, device=index.device) + 0.5)[None, :, None]
    outside = index < 0
    found = each.new_empty(frames, 2, height, width)
    for axis, own in enumerate((x, y)):
        a, b, c = each[3 * axis : 3 * axis + 3].view(3, frames, height, width)
        torch.where(outside, own, torch.addcmul(torch.addcmul(c, a, x), b, y), out=found[:, axis])
    return found
