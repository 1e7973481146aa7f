"""Dense appearance flow of a moved face: for every pixel, where in the photo it came from.

Appearance flow: Zhou et al., ECCV 2016. The mesh covers the face; rings around it carry the motion
of the face's outline smoothly down to nothing, so that the photo beyond never moves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memegen.arrays import Array, Integers
from memegen.geometry.box import Box
from memegen.geometry.raster import trace
from memegen.geometry.sampling import magnify, pixel_centres, sample_displaced
from memegen.geometry.shape import MESH_POINTS
from memegen.geometry.topology import EYE_LEFT, EYE_RIGHT, FACE_OVAL, LIPS_INNER, LIPS_OUTER

# Rings outside the face oval: (scale about its centre, share of the oval's motion).
RINGS: tuple[tuple[float, float], ...] = ((1.14, 0.82), (1.34, 0.32), (1.55, 0.0))
JUMP = (1.2, 2.2)  # cells of difference between neighbours' flows: smooth below, a fold above
COARSE = 150  # flow samples across a crop's width; between them the flow is smooth


def ring_points(points: Array) -> Array:
    """(468+, 2) face to (108, 2) fixed places of the ring vertices, nearest ring first."""
    oval = points[list(FACE_OVAL), :2]
    centre = oval.mean(0)
    return np.concatenate([centre + scale * (oval - centre) for scale, _ in RINGS])


def ring_triangles() -> Integers:
    """(216, 3) triangles between the oval and the rings; ring vertices count from 468."""
    n = len(FACE_OVAL)
    rows = [np.array(FACE_OVAL)] + [MESH_POINTS + k * n + np.arange(n) for k in range(len(RINGS))]
    found = []
    for inner, outer in itertools.pairwise(rows):
        next_inner, next_outer = np.roll(inner, -1), np.roll(outer, -1)
        found += [
            np.stack([inner, outer, next_inner], 1),
            np.stack([next_inner, outer, next_outer], 1),
        ]
    return np.concatenate(found)


class DenseFlow:
    """Flow of one face in one picture of height x width pixels.

    points (478, 2) are its landmarks in pixels; `cell` is the spacing of the coarse flow in pixels.
    """

    def __init__(
        self,
        points: Array,
        triangles: Integers,
        height: int,
        width: int,
        cell: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.height, self.width, self.cell, self.device = height, width, cell, torch.device(device)
        self._rest = points[:MESH_POINTS, :2].astype(np.float32)
        self._rings = ring_points(points)
        self._triangles = torch.from_numpy(np.concatenate([triangles, ring_triangles()])).to(device)
        edges = {
            "mouth": set(LIPS_INNER + LIPS_OUTER),
            "left": set(EYE_LEFT),
            "right": set(EYE_RIGHT),
        }
        self._fine = {
            name: torch.from_numpy(
                triangles[[not ring.isdisjoint(t) for t in triangles.tolist()]]
            ).to(device)
            for name, ring in edges.items()
        }

    def _tensor(self, values: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.device)

    def outline(self) -> Array:
        """(36, 2) the outermost ring: nothing outside it ever moves."""
        return self._rings[-len(FACE_OVAL) :]

    def __call__(self, moved: Array, texture: Array | None = None) -> Tensor:
        """(T, 478, 3) moved landmarks, x and y in pixels, z away from the camera, to the flow.

        `texture` (T, 468, 2) says where in the photo each vertex takes its pixels from, if that is
        not where it was. Returns (T, 2, height, width): source minus own position, in pixels.
        """
        faces = moved[:, :MESH_POINTS].astype(np.float32)
        shift = faces[:, list(FACE_OVAL), :2] - self._rest[list(FACE_OVAL)]
        rings = np.concatenate([weight * shift for _, weight in RINGS], 1) + self._rings
        points = self._tensor(np.concatenate([faces[..., :2], rings], 1))
        far = np.full(rings.shape[:2], -1e6, np.float32)
        depth = self._tensor(np.concatenate([-faces[..., 2], far], 1))
        origin = np.repeat(self._rest[None], len(faces), 0) if texture is None else texture
        fixed = np.repeat(self._rings[None], len(faces), 0)
        source = self._tensor(np.concatenate([origin, fixed], 1))
        flow = self._coarse(points, depth, source)
        for triangles in self._fine.values():
            self._refine(flow, points, depth, source, triangles)
        return flow

    def _coarse(self, points: Tensor, depth: Tensor, source: Tensor) -> Tensor:
        rows, columns = -(-self.height // self.cell), -(-self.width // self.cell)
        moved = points / self.cell
        index, where = trace(moved, depth, source, self._triangles, rows, columns)
        pixel = pixel_centres(rows, columns, self.device) * self.cell
        flow = torch.where(index[:, None] < 0, 0.0, where - pixel)
        flow = _without_stairs(flow, self.cell)
        return magnify(flow, self.cell, self.height, self.width)

    def _refine(
        self, flow: Tensor, points: Tensor, depth: Tensor, source: Tensor, triangles: Tensor
    ) -> None:
        """Overwrite `flow` at full resolution where lips or lids make it jump."""
        used = points[:, triangles.unique()].cpu().numpy()
        box = Box.around(used, 1, self.height, self.width)
        rows, columns = box.shape
        if rows < 1 or columns < 1:
            return
        corner = torch.tensor([box.left, box.top], dtype=torch.float32, device=self.device)
        index, where = trace(points - corner, depth, source, triangles, rows, columns)
        sharp = where - (pixel_centres(rows, columns, self.device) + corner[:, None, None])
        view = flow[:, :, box.top : box.bottom, box.left : box.right]
        view.copy_(torch.where(index[:, None] < 0, view, sharp))


def _without_stairs(flow: Tensor, cell: int) -> Tensor:
    """Coarse flow (T, 2, h, w) in pixels, smoothed where it jumps from one cell to the next.

    A cheek that bulges over the outline folds the mesh there. Between cells that would be drawn as
    a stair for each; stretched over a few cells, it is an edge that is a little soft.
    """
    smooth = _of_nine(_of_nine(flow, torch.add) / 9, torch.add) / 9
    spread = _of_nine(flow, torch.maximum) + _of_nine(-flow, torch.maximum)
    jump = spread.amax(1, keepdim=True) / cell - JUMP[0]
    jump = _of_nine((jump / (JUMP[1] - JUMP[0])).clamp(0, 1), torch.maximum)
    return flow + jump * (smooth - flow)


def _of_nine(values: Tensor, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Every cell of (T, C, h, w) combined with its eight neighbours; edges are held.

    Pooling layers do the same many times slower on so few channels.
    """
    height, width = values.shape[2:]
    padded = F.pad(values, (1,) * 4, mode="replicate")
    rows = [padded[:, :, k : k + height] for k in range(3)]
    tall = combine(combine(rows[0], rows[1]), rows[2])
    columns = [tall[..., k : k + width] for k in range(3)]
    return combine(combine(columns[0], columns[1]), columns[2])


def warp(images: Iterable[Tensor], flow: Tensor) -> Tensor:
    """Sample an image (C, H, W) for each frame through flow (T, 2, H, W) in pixels: (T, C, H, W).

    Beyond its border an image goes on as in a mirror: its last pixels held would be streaks.
    """
    return sample_displaced(images, flow, "reflection")
