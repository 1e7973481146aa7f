"""Creases and shading of skin, put onto a photo before the mesh moves it.

Three things change the light on skin that moves. Folds and cheeks that every face has come from the
appearance basis. Lines that this face has already deepen where the mesh compresses skin, and fade
where it stretches: their contrast is scaled by the change of area. And the dark that lies in the
corners of a shut mouth goes as it opens, or it would be stretched into smears.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memegen.arrays import LUMA, Array, Integers
from memegen.generators.furrows import FOREHEAD, draw_furrows, fold_share, raised
from memegen.geometry.anatomy import Anatomy
from memegen.geometry.appearance import FLOOR, AppearanceBasis
from memegen.geometry.box import Box
from memegen.geometry.flow import ring_points, ring_triangles
from memegen.geometry.motion import FaceMotion
from memegen.geometry.raster import barycentric_planes, trace
from memegen.geometry.sampling import magnify, pixel_centres, sample_images
from memegen.geometry.shape import MESH_POINTS
from memegen.geometry.shape import iod as iod_of
from memegen.geometry.topology import LIP_CORNERS, LIPS_OUTER
from memegen.geometry.unwrap import HEIGHT, WIDTH, sides, texture_points

STRENGTH = 1.3  # of the maps: regression on noisy labels makes them weaker than real creases
# Largest log ratios: skin gets at most so much darker or lighter. Folds are deep and narrow; a
# shine that spreads would look like another lamp.
DARKEST, LIGHTEST = 0.7, 0.22
LINES = 0.045  # IOD: finer than this is a line of skin, broader is shading
LINE_LIMIT = 0.22  # log ratio of the strongest line that is deepened: beyond are hairs and moles
CHEEKS = (50, 280, 101, 330, 118, 347)  # vertices on bare skin under the eyes
CORNER_REACH = 0.085  # IOD around a corner of the mouth, standard deviation, where its dark goes
CORNER_DARK = 0.06  # IOD: half the width of dark that goes
INNER_LIPS = slice(13, 15)  # landmarks: the middle of the upper and of the lower lip's inner edge
OPENED = 0.22  # IOD between the lips at which it has gone
STRAINS = (-0.3, 0.5)  # relative change of area that lines follow
OFF_BROWS = 6  # pixels of the texture, 0.08 IOD, that lines keep off brows, lids and lips
BEARD, SKIN = 0.5, 0.75  # of the cheeks' level: no corner of the mouth is mended, or all of it
DEEPENING = 2.2  # relative contrast that a line gains where skin shrinks to nothing


# Where a channel comes near its limit, the camera has lost what is there: level from which that
# begins and at which it is so; IOD over which it is smoothed; share of all change that is left out.
BURNT, BURNT_BLUR, BURNT_FADE = (228.0, 250.0), 0.03, 0.5
BURNT_LEAST = 0.005  # share of the face below which that is left alone
REGAINED = 0.25  # log ratio by which such skin darkens until it has the colour of the rest


class CreaseLayer:
    """The skin of one photo.

    picture (1, C, H, W) 0..255; points (478, 2+) landmarks in its pixels; `cell` the spacing in
    pixels at which positions in the texture are computed; `softness` the picture's blur (standard
    deviation, IOD); `seed` places the furrows of the forehead, None: a seed of the picture's.
    """

    def __init__(
        self,
        picture: Tensor,
        points: Array,
        motion: FaceMotion,
        basis: AppearanceBasis,
        cell: int,
        softness: float = 0.0,
        seed: int | None = None,
    ) -> None:
        self._picture, self._basis, self._motion = picture, basis, motion
        self._box = Box.around(points[:MESH_POINTS, :2], 1, *picture.shape[2:])
        self._visible = min(self._box.shape) > 3
        if not self._visible:
            return
        self._skin(points, motion.anatomy, cell)
        iod = float(iod_of(points))
        rows, columns = self._box.slices
        view = picture[:, :3, rows, columns]
        lines = lines_of(view, LINES * iod)[0]
        burnt = overexposed(view, BURNT_BLUR * iod)[0]
        self._lines = -DEEPENING * lines
        corners = points[[LIPS_OUTER[k] for k in LIP_CORNERS], :2]
        self._mouth = Box.around(corners, 3 * CORNER_REACH * iod, *picture.shape[2:])
        corners = corners - (self._mouth.left, self._mouth.top)
        mouth = picture[:, :3, self._mouth.slices[0], self._mouth.slices[1]]
        cheeks = np.median([_level_at(picture, points[k]) for k in CHEEKS])
        self._corners = dark_corners(mouth, corners, iod, float(cheeks))[0]
        seed = furrow_seed(picture) if seed is None else seed
        forehead = np.zeros_like(basis.skin)
        forehead[FOREHEAD] = basis.skin[FOREHEAD]
        skin = sample_images(
            torch.from_numpy(np.stack([forehead, basis.skin]))[None].to(picture.device),
            self._at, "zeros",
        )[0] > 0.7  # fmt: skip
        folds = fold_share(lines[0][skin[0]].cpu().numpy())
        self._furrows = folds * draw_furrows(seed, softness) * basis.skin * sides()
        self._tint = torch.from_numpy(basis.tint).to(picture.device).view(3, 1, 1)
        self._sound: Tensor | None = None  # share of the change that burnt skin takes
        if float(burnt[skin[1:]].mean()) > BURNT_LEAST:
            self._tint = tint_on(view[0], burnt, skin[1], self._tint)
            self._sound = 1 - BURNT_FADE * burnt

    def _skin(self, points: Array, anatomy: Anatomy, cell: int) -> None:
        """Where in the texture the pixels of the box lie, and what moves under its cells.

        Rings around face and texture carry positions on beyond: the face's edge must not be a jump.
        """
        rows, columns = (-(-length // cell) for length in self._box.shape)
        texture = texture_points(anatomy.canonical)
        source = torch.from_numpy(np.concatenate([texture, ring_points(texture)]))[None]
        corner = np.array([self._box.left, self._box.top], np.float32)
        at = (np.concatenate([points[:MESH_POINTS, :2], ring_points(points)]) - corner) / cell
        places = torch.from_numpy(at.astype(np.float32))[None]
        depth = np.full(len(at), -1e6, np.float32)
        depth[:MESH_POINTS] = -points[:MESH_POINTS, 2]
        triangles = torch.from_numpy(np.concatenate([anatomy.triangles, ring_triangles()]))
        nearness = torch.from_numpy(depth)[None]
        index, where = trace(places, nearness, source, triangles, rows, columns)
        # Beyond the rings: far out on the same side, so that no interpolation crosses the face.
        middle, size = torch.from_numpy(at[:MESH_POINTS].mean(0)), torch.tensor([WIDTH, HEIGHT])
        away = pixel_centres(rows, columns) - middle[:, None, None]
        beyond = (4 * away.sign() + 1) * size[:, None, None] / 2
        where = torch.where(index[:, None] < 0, beyond, where).float()
        device = self._picture.device
        at_pixels = magnify(where, cell, *self._box.shape)
        self._at = at_pixels.permute(0, 2, 3, 1).contiguous().to(device)
        steady = torch.from_numpy(eroded(self._basis.skin, OFF_BROWS))[None, None]
        steady = sample_images(steady, where.permute(0, 2, 3, 1), "zeros")[0, 0]
        self._strained = _Cells.of(index[0], places[0], triangles, steady, device)
        self._cell = cell

    def apply(self, targets: Array) -> Iterator[Tensor]:
        """(T, K) expressions 0..1 to the photo with their creases, unmoved: (C, H, W) one by one.

        Each lies where the one before it lay.
        """
        source = self._motion.source
        picture = self._picture[0]
        if not self._visible or not np.abs(targets - source).max() > 0:
            yield from itertools.repeat(picture, len(targets))
            return
        device, frames = picture.device, len(targets)
        change = STRENGTH * self._basis.changes(source, targets)
        folds = (raised(targets) - raised(source))[..., None, None]
        change = within_limits(change + (folds * self._furrows).sum(1))
        maps = torch.from_numpy(change)[:, None].to(device)
        shade = sample_images(maps, self._at.expand(frames, -1, -1, -1), "zeros")
        anatomy = self._motion.anatomy
        moves = anatomy.displacement(np.concatenate([source[None], targets]))
        strain = self._strained.read(self._strain(moves[1:] - moves[0]).to(device))
        strain = magnify(strain, self._cell, *self._box.shape)
        opened = self._opened(targets, moves[0]).tolist()
        creased = picture.clone()
        mouth, face = ((slice(0, 3), *box.slices) for box in (self._mouth, self._box))
        # Frame by frame: what follows is bound by memory, and one frame fits into a cache.
        for frame in range(frames):
            for area in (mouth, face):
                creased[area] = picture[area]
            creased[mouth].add_(self._corners, alpha=opened[frame])
            self._shade_into(creased[face], shade[frame], strain[frame])
            yield creased

    def _shade_into(self, view: Tensor, shade: Tensor, strain: Tensor) -> None:
        """Shade (3, h, w) levels by a log ratio and a change of area, both (1, h, w)."""
        # exp(tint * depth) - 1 with one exponential for all channels: tints are near 1, and the
        # binomial series of (1 + e)^tint ends after its second term within a level.
        depth = torch.addcmul(shade, strain, self._lines)
        e = torch.expm1(depth if self._sound is None else depth * self._sound)
        e = e * (self._tint + (0.5 * self._tint * (self._tint - 1)) * e)
        view.addcmul_(e, view + FLOOR)

    def _opened(self, targets: Array, at_rest: Array) -> Array:
        """(T,) 0..1: how far the mouth opens beyond what the photo shows of it."""
        anatomy = self._motion.anatomy
        reached = anatomy.reaching(self._motion.source, targets)
        shift = anatomy.displacement(reached, INNER_LIPS) - at_rest[INNER_LIPS]
        return np.clip((shift[:, 0, 1] - shift[:, 1, 1]) / OPENED, 0, 1).astype(np.float32)

    def _strain(self, shift: Array) -> Tensor:
        """(T, 468, 3) moves in face axes to (T, 468) changes of area, negative if compressed."""
        rest = self._motion.pose.to_face(self._motion.landmarks[:MESH_POINTS])
        triangles = self._motion.anatomy.triangles
        before, after = (vertex_areas(p, triangles) for p in (rest[None], rest + shift))
        return torch.from_numpy(np.clip(after / before - 1, *STRAINS).astype(np.float32))


@dataclass(frozen=True)
class _Cells:
    """What the cells of a picture show of the mesh."""

    vertices: Tensor  # (3, h * w) corners of the triangle
    shares: Tensor  # (3, h, w) of each corner; nothing where there is no skin

    @classmethod
    def of(
        cls, index: Tensor, points: Tensor, triangles: Tensor, skin: Tensor, device: torch.device
    ) -> _Cells:
        """Of a raster (h, w) of triangles between points (V, 2) in cells; skin (h, w) 0..1."""
        height, width = index.shape
        shown = index.clamp(min=0)
        plane = barycentric_planes(points[triangles])[shown]  # (h, w, 2, 3)
        x = (torch.arange(width) + 0.5)[None, :, None]
        y = (torch.arange(height) + 0.5)[:, None, None]
        first = plane[..., 0] * x + plane[..., 1] * y + plane[..., 2]
        shares = torch.cat([first, 1 - first.sum(-1, keepdim=True)], -1)
        vertices = triangles[shown]
        on_face = (index >= 0) & (vertices < MESH_POINTS).all(-1)
        shares = shares * (skin * on_face)[..., None]
        corners = vertices.clamp(max=MESH_POINTS - 1).view(-1, 3).t().contiguous()
        return cls(corners.to(device), shares.permute(2, 0, 1).contiguous().to(device))

    def read(self, values: Tensor) -> Tensor:
        """(T, 468) values of vertices to (T, 1, h, w)."""
        frames, (_, height, width) = len(values), self.shares.shape
        found = values.new_zeros(frames, height, width)
        for vertices, share in zip(self.vertices, self.shares, strict=True):
            corner = values.index_select(1, vertices).view(frames, height, width)
            found.addcmul_(corner, share)
        return found[:, None]


def overexposed(picture: Tensor, radius: float) -> Tensor:
    """(1, 3, H, W) levels to (1, 1, H, W) 0..1: where the camera ran out of them, smooth."""
    most = picture.amax(1, keepdim=True)
    weight = ((most - BURNT[0]) / (BURNT[1] - BURNT[0])).clamp(0, 1)
    return _box_mean(weight, max(1, int(radius)) * 2 + 1) if bool(weight.any()) else weight


def tint_on(picture: Tensor, burnt: Tensor, skin: Tensor, tint: Tensor) -> Tensor:
    """(3, H, W) how far the colours of skin follow its luma, where some of it is overexposed.

    picture (3, H, W) levels, burnt (1, H, W) 0..1, skin (H, W) true on skin, tint (3, 1, 1) of
    skin that is not. White skin turns grey, which looks blue beside warm skin, if it darkens as it
    is: it gains the colour of the rest instead.
    """
    logs = torch.log(picture + FLOOR)
    colour = logs - torch.einsum("chw,c->hw", logs, torch.from_numpy(LUMA).to(logs.device))
    sound = skin & (burnt[0] < 0.1)
    if int(sound.sum()) < 16:
        return tint
    usual = colour[:, sound].median(1).values.view(3, 1, 1)
    return tint - burnt * (usual - colour) / REGAINED


def furrow_seed(picture: Tensor) -> int:
    """The seed that a picture (1, C, H, W) 0..255 gives the furrows of its face."""
    return int(picture[0, :3].mean((1, 2)).cpu().numpy().sum() * 1000)


def within_limits(ratio: Array) -> Array:
    """Log ratios run softly against DARKEST and LIGHTEST."""
    limit = np.where(ratio > 0, np.float32(LIGHTEST), np.float32(DARKEST))
    return np.asarray(limit * np.tanh(ratio / limit), np.float32)


def vertex_areas(points: Array, triangles: Integers) -> Array:
    """(T, V, 3) vertices to (T, V) area of the triangles around each."""
    a, b, c = (points[:, triangles[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    found = np.zeros(points.shape[:2], np.float32)
    for k in range(3):
        for row, values in zip(found, area, strict=True):
            row += np.bincount(triangles[:, k], values, points.shape[1])
    return np.maximum(found, 1e-6)


def eroded(mask: Array, radius: int) -> Array:
    """(H, W) mask in 0..1 drawn in by `radius` pixels."""
    size = 2 * radius + 1
    return np.asarray(cv2.erode(mask, np.ones((size, size), np.uint8)), np.float32)


def _level_at(picture: Tensor, point: Array) -> float:
    """Luma of the pixel nearest to a point (2+,) in pixels."""
    height, width = picture.shape[2:]
    column = int(np.clip(point[0], 0, width - 1))
    row = int(np.clip(point[1], 0, height - 1))
    return float(picture[0, :3, row, column].cpu().numpy() @ LUMA)


def dark_corners(picture: Tensor, corners: Array, iod: float, skin: float) -> Tensor:
    """(1, 3, H, W) levels to what (1, 3, H, W) has to be added to take dark off two places.

    corners (2, 2) in pixels; `skin` the cheeks' level, beside which a beard is told from skin. A
    closing (greatest, then least level nearby) is the picture without
    dark spots narrower than it reaches.
    """
    size = max(1, int(CORNER_DARK * iod)) * 2 + 1
    closed = _box_mean(_closing(picture, size), size)
    height, width = picture.shape[2:]
    y = torch.arange(height, device=picture.device)[:, None] + 0.5
    x = torch.arange(width, device=picture.device)[None] + 0.5
    near = torch.zeros_like(picture[:, :1])
    for left, top in corners.tolist():
        away = (x - left).square() + (y - top).square()
        near = torch.maximum(near, torch.exp(-away / (2 * (CORNER_REACH * iod) ** 2)))
    level = torch.einsum("nchw,c->nhw", closed, torch.from_numpy(LUMA).to(picture.device))[:, None]
    bare = ((level / max(skin, 1.0) - BEARD) / (SKIN - BEARD)).clamp(0, 1)
    return (closed - picture).clamp(min=0) * near * bare


def _closing(picture: Tensor, size: int) -> Tensor:
    """(1, C, H, W) the least, over `size` pixels square, of the greatest; edges are held.

    OpenCV's filters take as long for a wide square as for a narrow one, torch's do not.
    """
    if picture.device.type != "cpu":
        padded = F.pad(picture, (size - 1,) * 4, mode="replicate")
        return -F.max_pool2d(-F.max_pool2d(padded, size, 1), size, 1)
    reach, square = size - 1, np.ones((size, size), np.uint8)
    image = np.ascontiguousarray(picture[0].permute(1, 2, 0).numpy())
    padded_ = cv2.copyMakeBorder(image, *(reach,) * 4, cv2.BORDER_REPLICATE)
    closed = cv2.erode(cv2.dilate(padded_, square), square)[reach:-reach, reach:-reach]
    return torch.from_numpy(np.array(closed, np.float32)).permute(2, 0, 1)[None]


def _box_mean(values: Tensor, size: int) -> Tensor:
    """(1, C, H, W) mean over `size` (odd) pixels square; edges are held."""
    if values.device.type != "cpu":
        return F.avg_pool2d(F.pad(values, (size // 2,) * 4, mode="replicate"), size, 1)
    planes = [
        cv2.blur(np.ascontiguousarray(plane), (size, size), borderType=cv2.BORDER_REPLICATE)
        for plane in values[0].numpy()
    ]
    return torch.from_numpy(np.stack(planes).astype(np.float32))[None]


def _log_luma(picture: Tensor) -> Tensor:
    luma = torch.einsum("nchw,c->nhw", picture, torch.from_numpy(LUMA).to(picture.device))
    return torch.log(luma[:, None] + FLOOR)


def lines_of(picture: Tensor, radius: float) -> Tensor:
    """(1, 3, H, W) levels 0..255 to (1, 1, H, W) log ratio of luma to that of its surroundings."""
    log = _log_luma(picture)
    size = max(1, int(radius)) * 2 + 1
    smooth = log
    for _ in range(2):
        smooth = _box_mean(smooth, size)
    return LINE_LIMIT * torch.tanh((log - smooth) / LINE_LIMIT)
