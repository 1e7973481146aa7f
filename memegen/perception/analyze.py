"""Perception of faces in photos: from an alignment to landmarks, action units and head pose."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from memegen import aus, weights
from memegen.arrays import Array, Integers, Mask, Picture
from memegen.faces.align import Alignment, align, five_points
from memegen.folding import folded, quickened
from memegen.geometry.sampling import sample
from memegen.geometry.shape import MESH_POINTS, angles_of, iod, mirror_order, rotation_of
from memegen.perception.network import PerceptionNet

REALIGNMENTS = 2  # times the crop is laid anew on the landmarks found in it
OVERSAMPLE = 2  # pixels read per pixel of the network's crop and side
# Test-time augmentation, slightly different views of one face, averaged: rotation (degrees), scale,
# shift x, y (crops).
TTA_VIEWS = (
    (0.0, 1.0, 0.0, 0.0),
    (4.0, 1.0, 0.012, 0.0),
    (-4.0, 1.0, -0.012, 0.0),
    (0.0, 1.06, 0.0, 0.012),
    (0.0, 0.95, 0.0, -0.012),
)


@dataclass(frozen=True)
class FaceAnalysis:
    """What is known about one face."""

    alignment: Alignment  # where the crop lies in the photo
    landmarks: Array  # (478, 3) crop units
    action_units: Array  # (K,) channels 0..1, head and gaze included, see aus.MOST
    angles: Array  # (3,) degrees in the crop: yaw to the person's left, pitch up, roll left
    spread: float  # IOD, root mean square: landmarks of single views about their mean


class FaceAnalyzer:
    """The perception network with its weights, ready to analyze photos."""

    def __init__(self, name: str = "perception", device: str = "cpu") -> None:
        self.network: PerceptionNet = folded(weights.load_network(name, "perception")[0])
        self.network.to(device)
        self._device = device
        self.on_cpu = torch.device(device).type == "cpu"  # whether it runs on the cores
        mean = self.network.mean[:MESH_POINTS].cpu().numpy()
        self._mirrored = mirror_order(mean - mean.mean(0) * np.array([1, 0, 0], np.float32))

    @cached_property
    def for_frames(self) -> FaceAnalyzer:
        """The same for who looks at many frames: a sixth faster, for some 40 MB more."""
        found = copy.copy(self)
        found.network = quickened(self.network)
        return found

    def analyze(self, rgb: Picture, points: Array) -> FaceAnalysis:
        """Understand one face of (H, W, 3) `rgb`, given MTCNN's five points (5, 2) in pixels."""
        return self.analyze_near(rgb, align(points))

    def analyze_near(self, rgb: Picture, alignment: Alignment) -> FaceAnalysis:
        """Understand the face that an alignment lies about on."""
        alignment = self.realign(rgb, alignment)
        views, all_units, all_angles = self._predict_views(rgb, alignment, TTA_VIEWS)
        landmarks, units = views.mean((0, 1)), all_units.mean(0)
        angles = all_angles.mean(0)
        away = np.sqrt(((views - landmarks)[..., :2] ** 2).sum(-1).mean())
        spread = float(away / max(float(iod(landmarks)), 1e-6))
        units = np.clip(units, 0, 1)
        aus.set_head_and_gaze(units, angles, aus.gaze_degrees(units))
        return FaceAnalysis(alignment, landmarks, units, angles, spread)

    def realign(self, rgb: Picture, alignment: Alignment) -> Alignment:
        """The crop laid anew on the landmarks that are found in it."""
        for _ in range(REALIGNMENTS):
            landmarks, _, _ = self.predict(rgb, alignment, TTA_VIEWS[:1])
            better = align(alignment.to_photo(five_points(landmarks)))
            if not 0.4 < better.width / alignment.width < 2.5:
                break  # lost: the first guess is the safer one
            alignment = better
        return alignment

    def predict(
        self, rgb: Picture, alignment: Alignment, views: tuple[tuple[float, ...], ...] = TTA_VIEWS
    ) -> tuple[Array, Array, Array]:
        """Landmarks (478, 3), channels (K,), angles (3,) as the mean over several views.

        Several views are averaged with their mirror images; a single one is not.
        """
        points, units, angles = self._predict_views(rgb, alignment, views)
        return points.mean((0, 1)), units.mean(0), angles.mean(0)

    def _predict_views(
        self, rgb: Picture, alignment: Alignment, views: tuple[tuple[float, ...], ...]
    ) -> tuple[Array, Array, Array]:
        """Landmarks (1 or 2, V, 478, 3) as seen and mirrored, channels (V, K), angles (V, 3)."""
        size = self.network.config.size
        frames = [_viewed(alignment, view) for view in views]
        crops = torch.cat([read_crop(rgb, frame, size) for frame in frames])
        points, units, angles = self._both(crops, mirrored=len(views) > 1)
        back = np.linalg.inv(alignment.matrix)
        for index, (frame, view) in enumerate(zip(frames, views, strict=True)):
            photo = frame.to_photo(points[:, index, :, :2])
            points[:, index, :, :2] = (photo - alignment.offset) @ back.T
            points[:, index, :, 2] *= view[1]
        rotations = rotation_of(angles)
        for index, view in enumerate(views):
            # A view turned by `view[0]` sees the head rolled by as much; undo it.
            rotations[index] = rotation_of(np.array([0, 0, view[0]], np.float32)) @ rotations[index]
        return points, units, angles_of(rotations)

    def analyze_crops(self, pictures: NDArray[Any]) -> tuple[Array, Array]:
        """(T, S, S, 3 or 4) aligned crops, 0..255, to landmarks (T, 478, 3) and channels (T, K).

        From one view each, head and gaze included.
        """
        size = (self.network.config.size,) * 2
        crops = torch.from_numpy(pictures[..., :3].astype(np.float32)).permute(0, 3, 1, 2) / 255
        crops = F.interpolate(crops, size, mode="bilinear", antialias=True)
        landmarks, units, angles = self.predict_crops(crops)
        units = np.clip(units, 0, 1)
        aus.set_head_and_gaze(units, angles, aus.gaze_degrees(units))
        return landmarks, units

    def predict_crops(
        self, crops: Tensor, mirrored: Mask | None = None
    ) -> tuple[Array, Array, Array]:
        """What the network says of (B, 3, S, S) crops; of those `mirrored` (B,), turned back.

        Landmarks (B, 478, 3), channels (B, K) not clipped, angles (B, 3) degrees.
        """
        if mirrored is not None:
            flipped = torch.from_numpy(mirrored)[:, None, None, None]
            crops = torch.where(flipped, crops.flip(3), crops)
        with torch.inference_mode():
            output = self.network(crops.to(self._device))
        points, units, angles = (part.cpu().numpy() for part in output)
        if mirrored is not None:
            other = points[mirrored][:, self._mirrored] * np.array([-1, 1, 1], np.float32)
            points[mirrored] = other + np.array([1, 0, 0], np.float32)
            units[mirrored] = aus.mirror(units[mirrored])
            angles[mirrored] *= np.array([-1, 1, -1], np.float32)
        return points, units, angles

    def _both(self, crops: Tensor, mirrored: bool) -> tuple[Array, Array, Array]:
        """Landmarks (1 or 2, B, 478, 3) as seen and mirrored; means of the rest."""
        count = len(crops)
        if mirrored:
            found = self.predict_crops(torch.cat([crops, crops]), np.arange(2 * count) >= count)
        else:
            found = self.predict_crops(crops)
        points, units, angles = (part.reshape(-1, count, *part.shape[1:]) for part in found)
        return points, units.mean(0), angles.mean(0)


def _viewed(alignment: Alignment, view: tuple[float, ...]) -> Alignment:
    """The alignment turned, scaled and shifted about the crop's centre."""
    degrees, scale, dx, dy = view
    cos, sin = np.cos(np.radians(degrees)) * scale, np.sin(np.radians(degrees)) * scale
    turn = np.array([[cos, -sin], [sin, cos]], np.float32)
    centre = np.array([0.5, 0.5], np.float32)
    offset = centre + np.array([dx, dy], np.float32) - turn @ centre
    return Alignment(
        (alignment.matrix @ turn).astype(np.float32),
        (alignment.matrix @ offset + alignment.offset).astype(np.float32),
    )


def read_crop(rgb: Picture, alignment: Alignment, size: int) -> Tensor:
    """The aligned crop of (H, W, 3) `rgb` as (1, 3, size, size) in 0..1; edges are held."""
    fine = size * OVERSAMPLE
    corners = alignment.to_photo(np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32))
    low = np.floor(corners.min(0) - 2).astype(int)
    high = np.ceil(corners.max(0) + 2).astype(int)
    factor = max(1, int(alignment.width / fine))
    high = low + -(-(high - low) // factor) * factor
    part = _with_edges_held(rgb, low, high)
    if factor > 1:  # big faces are averaged down first
        size_down = ((high - low) // factor).tolist()
        part = np.asarray(cv2.resize(part, size_down, interpolation=cv2.INTER_AREA), np.uint8)
    line = (np.arange(fine, dtype=np.float32) + 0.5) / fine
    (xx, xy), (yx, yy) = alignment.matrix / factor
    left, top = (alignment.offset - low) / factor
    x = xx * line + xy * line[:, None] + left
    y = yx * line + yy * line[:, None] + top
    sampled = sample(np.asarray(part, np.float32), x.astype(np.float32), y.astype(np.float32))
    crop = cv2.resize(sampled, (size, size), interpolation=cv2.INTER_AREA) / np.float32(255)
    return torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))[None]


def _with_edges_held(rgb: Picture, low: Integers, high: Integers) -> Picture:
    """The part of a picture (H, W, 3) from `low` (x, y) to `high`, which may lie outside of it."""
    extent = np.array([rgb.shape[1], rgb.shape[0]])
    start, stop = np.clip(low, 0, extent - 1), np.clip(high, 1, extent)
    inside = rgb[start[1] : stop[1], start[0] : stop[0]]
    before = np.maximum(start - low, 0)
    after = (high - low) - (stop - start) - before
    if not before.any() and not after.any():
        return inside
    (left, above), (right, below) = before.tolist(), after.tolist()
    held = cv2.copyMakeBorder(inside, above, below, left, right, cv2.BORDER_REPLICATE)
    return np.asarray(held, np.uint8)
