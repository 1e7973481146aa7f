"""The unwrapped face: the canonical mesh seen from the front, as a texture that faces share.

Pixel (row, column) of the texture is the same spot of skin on everyone. Sides of a face are
foreshortened there; what is drawn in this frame fades toward the oval.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memegen.arrays import Array, Integers, Mask
from memegen.geometry.raster import barycentric_planes, rasterize
from memegen.geometry.shape import MESH_POINTS

WIDTH, HEIGHT = 192, 216  # pixels of the texture
MIDLINE = 0.4  # IOD over which what one side of the face does fades into the other
SCALE = 72.0  # pixels of the texture in one IOD
ORIGIN = (WIDTH / 2, 0.95 * SCALE)  # where the canonical origin, between the eyes, lies


@dataclass(frozen=True)
class Unwrapping:
    """Which mesh triangle every pixel of the texture shows, and where in it."""

    inside: Mask  # (HEIGHT, WIDTH) whether the mesh is there at all
    vertices: Integers  # (HEIGHT, WIDTH, 3) corners of the triangle
    shares: Array  # (HEIGHT, WIDTH, 3) barycentric coordinates

    @classmethod
    def of(cls, canonical: Array, triangles: Integers) -> Unwrapping:
        """From the canonical mesh (468, 3) in IOD, y up, and its triangles (F, 3)."""
        points = torch.from_numpy(texture_points(canonical))[None]
        faces = torch.from_numpy(triangles)
        depth = torch.from_numpy(np.ascontiguousarray(canonical[None, :, 2]))
        index = rasterize(points, depth, faces, HEIGHT, WIDTH)[0].numpy()
        plane = barycentric_planes(points[:, faces])[0].numpy()[np.maximum(index, 0)]
        y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32) + 0.5
        first = plane[..., 0] * x[..., None] + plane[..., 1] * y[..., None] + plane[..., 2]
        shares = np.concatenate([first, 1 - first.sum(-1, keepdims=True)], -1)
        return cls(index >= 0, triangles[np.maximum(index, 0)], shares.astype(np.float32))

    def positions(self, points: Array) -> Array:
        """(..., 468+, 2) landmarks to (..., HEIGHT, WIDTH, 2): where each texture pixel lies."""
        corners = points[..., :MESH_POINTS, :2][..., self.vertices, :]
        return np.asarray((corners * self.shares[..., None]).sum(-2), np.float32)

    @cached_property
    def _weights(self) -> Tensor:
        """Sparse (HEIGHT * WIDTH, 468): what every vertex gives to every pixel."""
        rows = np.repeat(np.arange(HEIGHT * WIDTH), 3)
        places = torch.from_numpy(np.stack([rows, self.vertices.reshape(-1)]))
        values = torch.from_numpy((self.shares * self.inside[..., None]).reshape(-1))
        size = (HEIGHT * WIDTH, MESH_POINTS)
        return torch.sparse_coo_tensor(places, values, size, check_invariants=True).coalesce()

    def spread(self, values: Array) -> Array:
        """(T, 468) values of vertices to (T, HEIGHT, WIDTH), 0 where no mesh is."""
        columns = torch.from_numpy(np.ascontiguousarray(values.T, np.float32))
        found = torch.sparse.mm(self._weights, columns)
        return found.T.reshape(-1, HEIGHT, WIDTH).numpy()

    def read(self, image: Tensor, points: Array) -> Tensor:
        """Unwrap image (1, C, H, W) by its landmarks (468+, 2) in pixels: (1, C, HEIGHT, WIDTH)."""
        height, width = image.shape[2:]
        grid = torch.from_numpy(self.positions(points))[None] * (2 / torch.tensor([width, height]))
        return F.grid_sample(image, grid - 1, padding_mode="border", align_corners=False)


def texture_points(canonical: Array) -> Array:
    """(468, 3) canonical mesh to (468, 2) pixels of the texture."""
    x = canonical[:, 0] * SCALE + ORIGIN[0]
    y = ORIGIN[1] - canonical[:, 1] * SCALE
    return np.stack([x, y], -1).astype(np.float32)


def sides() -> Array:
    """(2, 1, WIDTH) share that the person's left and right side have in every column."""
    x = (np.arange(WIDTH, dtype=np.float32) + 0.5 - ORIGIN[0]) / SCALE
    left = np.clip(x / MIDLINE + 0.5, 0, 1)  # the person's left is the image's right
    return np.stack([left, 1 - left])[:, None, :].astype(np.float32)
