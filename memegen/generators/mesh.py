"""The generator without a network: mesh flow, eyeballs under lids, a drawn mouth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memegen import aus
from memegen.arrays import Array, Picture
from memegen.faces.align import IOD_IN_CROP
from memegen.generators.base import Scene
from memegen.generators.creases import CreaseLayer
from memegen.generators.eyes import EyeLayer, MovedEyes
from memegen.generators.inpaint import fill_unknown
from memegen.generators.mouth_drawing import MovedMouths
from memegen.generators.shared_appearance import mouth_of, softness_of
from memegen.geometry.affine import PlaneAffines
from memegen.geometry.anatomy import compose_channels
from memegen.geometry.appearance import load_appearance
from memegen.geometry.flow import COARSE, DenseFlow, warp
from memegen.geometry.outline import opening
from memegen.geometry.shape import LEFT_IRIS, MESH_POINTS, RIGHT_IRIS
from memegen.geometry.topology import (
    EYE_LEFT,
    EYE_RIGHT,
    LID_SKIN_LEFT,
    LID_SKIN_RIGHT,
    LIPS_INNER,
    LIPS_OUTER,
    UPPER_LID,
)
from memegen.prefetch import on_all_cores, prefetch
from memegen.tracks import Detail

# Frames moved and rasterised together: the more, the less Python stands in the way of other cores;
# fewer where they are large, or where every core should get some of them.
_CHUNK = (4, 16)
_CHUNK_PIXELS = 2_000_000
_SHARES = 3  # chunks of every core
_AHEAD = 2  # chunks in work at once where another device draws
_JAW = [aus.INDEX[c] for c in ("AU26", "AU30L", "AU30R")]
_LOWER_LIP = slice(14, 15)
_EYES = (
    ("R", EYE_RIGHT, RIGHT_IRIS, LID_SKIN_RIGHT),
    ("L", EYE_LEFT, LEFT_IRIS, LID_SKIN_LEFT),
)
LIP_SLIP = 0.22  # how far into the lip a closing mouth takes its edge from
LID_SLIP = 0.5  # how far up a closing lid takes its pixels from, toward the next ring of skin


@dataclass(frozen=True)
class Moved:
    """A few frames as the mesh moves them."""

    images: Tensor  # (T, H, W, 3 or 4) 0..255, where they were drawn
    landmarks: Array  # (T, 478, 3) pixels
    flow: Tensor  # (T, 2, H, W) pixels, source minus own position
    reached: Array  # (T, K) the expressions that the landmarks show, gains included

    @property
    def picture(self) -> Picture:
        """The first of them."""
        return np.asarray((self.images[0] + 0.5).clip(0, 255).byte().cpu().numpy())


class MeshGenerator:
    """Registered as `mesh`. Without `eyes`, lids only move: faster, for who looks at mouths."""

    name = "mesh"

    def __init__(self, device: str = "cpu", eyes: bool = True) -> None:
        self._device, self._eyes = torch.device(device), eyes

    def prepare(self, scene: Scene) -> MeshRenderer:
        """See Generator.prepare."""
        return MeshRenderer(scene, self._device, self._eyes)


class MeshRenderer:
    """One scene, ready to be rendered with any expression."""

    def __init__(self, scene: Scene, device: torch.device, eyes: bool = True) -> None:
        self._scene, self._device = scene, device
        motion = scene.motion
        channels = scene.picture.astype(np.float32)  # alpha, where there is one, moves along
        if channels.shape[2] == 4:  # what is hidden must not show where alpha moves off it
            channels[..., :3] = fill_unknown(channels[..., :3], channels[..., 3] / 255)
        picture = np.ascontiguousarray(channels[..., :3])
        points = scene.pixels(motion.landmarks)
        height, width = picture.shape[:2]
        self._picture = torch.from_numpy(channels).permute(2, 0, 1)[None].contiguous().to(device)
        self._rest_points = points
        cell = max(1, round(scene.unit / COARSE))
        self._flow = DenseFlow(points, motion.anatomy.triangles, height, width, cell, device)
        shared = scene.shared_appearance
        seed = shared.furrows if shared else None
        iod = float(motion.pose.scale) * scene.unit
        softness = softness_of(scene, picture)
        self._creases = CreaseLayer(
            self._picture, points, motion, load_appearance(), cell, softness, seed
        )
        self._eyes = {
            side: EyeLayer(
                picture,
                points[list(ring), :2],
                points[iris, :2],
                points[list(skin), :2],
                iod,
                device,
            )
            for side, ring, iris, skin in _EYES
            if eyes
        }
        self._mouth = mouth_of(scene, picture, device)
        lips = motion.pose.to_face(motion.landmarks[list(LIPS_INNER)])
        lids = motion.pose.to_face(motion.landmarks[list(EYE_LEFT + EYE_RIGHT)])
        self._depth = {"mouth": float(lips[:, 2].mean()) - 0.05, "eyes": float(lids[:, 2].mean())}

    def frames_together(self, count: int) -> int:
        """How many of `count` frames are moved and rasterised at once: as many on every core.

        On another device, as many in each of the chunks that are in work at once.
        """
        height, width = self._scene.picture.shape[:2]
        cores = torch.get_num_threads() if self._device.type == "cpu" else _AHEAD
        most = int(np.clip(count // (_SHARES * cores), *_CHUNK))
        most = min(most, max(1, _CHUNK_PIXELS // (height * width)))
        rounds = -(-count // (cores * most))
        return -(-count // (cores * rounds)) if count else 1

    def outline(self) -> Array:
        """See Renderer.outline."""
        return self._flow.outline()

    def render(self, targets: Array, detail: Detail | None = None) -> Iterator[Array]:
        """See Renderer.render."""
        for images in self.in_chunks(lambda *chunk: self.move(*chunk).images, targets, detail):
            yield from images.numpy()

    def in_chunks(
        self,
        function: Callable[[Array, Detail | None], Tensor],
        targets: Array,
        detail: Detail | None,
    ) -> Iterator[Tensor]:
        """What a function makes of a few frames' targets and detail at a time, on all cores.

        Of another device's work, some waits for it while the next is begun.
        """
        together = self.frames_together(len(targets))
        starts = range(0, len(targets), together)
        rows = [slice(start, start + together) for start in starts]

        def made(chunk: slice) -> Tensor:
            with torch.inference_mode():
                return function(targets[chunk], detail.rows(chunk) if detail else None).cpu()

        if self._device.type == "cpu":
            return on_all_cores(made, rows)
        return prefetch(made, rows, _AHEAD, _AHEAD)

    def move(self, targets: Array, detail: Detail | None = None) -> Moved:
        """A few (T, K) expressions 0..1 to moved frames, stage by stage."""
        motion = self._scene.motion
        moved = self.move_landmarks(targets, detail)
        flow = self.flow_of(moved)
        images = self.warp(targets, flow)
        self.draw_interiors(images, moved, targets)
        return Moved(images, moved, flow, motion.anatomy.reaching(motion.source, targets))

    def move_landmarks(self, targets: Array, detail: Detail | None = None) -> Array:
        """(T, K) expressions to landmarks (T, 478, 3) in pixels of the scene's picture."""
        return self._scene.pixels(self._scene.motion.move(targets, detail))

    def flow_of(self, moved: Array) -> Tensor:
        """Landmarks (T, 478, 3) in pixels to the dense flow (T, 2, H, W) that moves the picture."""
        with torch.inference_mode():
            return self._flow(moved, self._texture(moved))

    def warp(self, targets: Array, flow: Tensor) -> Tensor:
        """The picture, creased as `targets` ask, moved by a flow: (T, H, W, 3 or 4)."""
        with torch.inference_mode():
            warped = warp(self._creases.apply(targets), flow)
        return warped.permute(0, 2, 3, 1).contiguous()

    def draw_interiors(self, images: Tensor, moved: Array, targets: Array) -> None:
        """Draw eyes and mouth into moved pictures (T, H, W, 3 or 4), in place."""
        heads = {part: self._heads(targets, depth) for part, depth in self._depth.items()}
        with torch.inference_mode():
            for side, ring, iris, skin in _EYES:
                if side in self._eyes:
                    lids = (moved[:, list(ring), :2], moved[:, iris, :2], moved[:, list(skin), :2])
                    self._eyes[side].draw(list(images), MovedEyes(*lids), heads["eyes"])
            mouths = MovedMouths(moved[:, list(LIPS_INNER), :2], self._jaw(targets))
            self._mouth.draw(list(images), mouths, heads["mouth"])

    def _texture(self, moved: Array) -> Array:
        """(T, 468, 2) where each vertex takes its pixels from.

        The skin of a closed lid is what lies between lashes and crease; were the lid's edge to
        take its own pixels along, lashes and liner would be smeared down over the eye.
        """
        texture = np.repeat(self._rest_points[None, :MESH_POINTS, :2], len(moved), 0)
        for side, ring, _, skin in _EYES:
            if side not in self._eyes:
                continue
            edge = list(ring)
            up = self._rest_points[list(skin), :2] - self._rest_points[edge[UPPER_LID], :2]
            closing = self._eyes[side].closing(moved[:, edge, :2])
            texture[:, edge[UPPER_LID]] += up * (LID_SLIP * closing)[:, None, None]
        # Likewise lips that close over teeth: the very edge of a lip is partly tooth.
        inner, outer = list(LIPS_INNER), list(LIPS_OUTER)
        own_gap = float(opening(self._rest_points[inner, :2]))
        if own_gap > 0.02 * self._scene.unit * IOD_IN_CROP:
            outward = self._rest_points[outer, :2] - self._rest_points[inner, :2]
            closing = np.clip(1 - opening(moved[:, inner, :2]) / own_gap, 0, 1)
            texture[:, inner] += outward * (LIP_SLIP * closing)[:, None, None]
        return texture

    def _heads(self, targets: Array, depth: float) -> PlaneAffines:
        """Head turns as affines of pixels at one depth of the face."""
        matrix, offset = self._scene.motion.head_affine(targets, depth)
        to, shift = self._scene.to_pixels[:, :2], self._scene.to_pixels[:, 2]
        linear = to @ matrix @ np.linalg.inv(to)
        return PlaneAffines.of(linear, offset @ to.T + shift - linear @ shift)

    def _jaw(self, targets: Array) -> Array:
        """(T, K) -> (T, 2) how far the jaw is from closed, IOD to the right and down."""
        motion = self._scene.motion
        reached = motion.anatomy.reaching(motion.source, targets)
        jaw_only = np.zeros_like(reached)
        jaw_only[:, _JAW] = compose_channels(reached)[:, _JAW]  # AU27 and AU25 drop it too
        lip = motion.anatomy.displacement(jaw_only, _LOWER_LIP)[:, 0, :2]
        return lip * np.array([1, -1], np.float32)
