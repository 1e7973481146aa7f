"""The default generator: mesh flow, and networks that paint what no flow can carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memegen import aus, weights
from memegen.arrays import Array
from memegen.errors import WeightsError
from memegen.generators.base import Scene
from memegen.generators.compose import add_low, compose
from memegen.generators.mesh import MeshGenerator, MeshPainter, Moved
from memegen.generators.network import GeneratorConfig, GeneratorNet, Painted, condition_of
from memegen.generators.windows import (
    WINDOWS,
    Window,
    draw_masks,
    pixel_positions,
    place,
    read,
    read_flow,
    to_pixels,
    window_box,
)

WAKING = 0.06  # change of an action unit (of 1) below which the networks' change fades out


class AnatomicalGenerator:
    """Registered as `anatomical`; `weights` names or is a file of `memegen train`."""

    name = "anatomical"

    def __init__(self, device: str = "cpu", file: str = "anatomical") -> None:
        self._device = torch.device(device)
        self._mesh = MeshGenerator(device)
        found = weights.load(file, "anatomical")
        if found.metadata.get("au_order") != " ".join(aus.CHANNELS):
            raise WeightsError(f"{found.path}: made for another list of action units")
        try:
            self.network = GeneratorNet(GeneratorConfig.of(found.config))
        except (TypeError, KeyError) as error:
            raise WeightsError(f"{found.path}: unknown network sizes ({error})") from None
        weights.load_state(self.network, found)
        self.network.eval().to(self._device)

    def prepare(self, scene: Scene) -> AnatomicalPainter:
        """See Generator.prepare."""
        return AnatomicalPainter(scene, self._mesh.prepare(scene), self.network)


@dataclass(frozen=True)
class Looked:
    """One window of a few frames: what its network saw and what it painted."""

    window: Window
    affine: Tensor  # (T, 2, 3) window units to pixels
    seen: Tensor  # (T, 3, S, S) the moved picture, 0..1
    painted: Painted


class AnatomicalPainter:
    """One scene. Everything of the networks that depends on the photo alone is done here."""

    def __init__(self, scene: Scene, mesh: MeshPainter, network: GeneratorNet) -> None:
        self._scene, self.mesh, self._network = scene, mesh, network
        self._device = next(network.parameters()).device
        self._scale = float(scene.motion.pose.scale)
        self._own = torch.from_numpy(scene.motion.own)[None].to(self._device)
        photo = torch.from_numpy(np.ascontiguousarray(scene.picture[..., :3])).to(self._device)
        picture = photo.permute(2, 0, 1)[None].float() / 255
        rest = scene.motion.landmarks[None]
        self._photo = {}
        with torch.inference_mode():
            for window in WINDOWS:
                network_ = network.of(window.network)
                side = network_.config.side
                affine = self._affine(window, rest)
                seen = read(picture, torch.from_numpy(affine).to(self._device), side)
                masks = self._masks(window, scene.pixels(rest), affine, side)
                self._photo[window.name] = network_.encode(torch.cat([seen, masks], 1))

    def outline(self) -> Array:
        """See Painter.outline."""
        return self.mesh.outline()

    def paint(self, targets: Array) -> Iterator[Array]:
        """See Painter.paint."""
        for moved in self.mesh.move(targets):
            with torch.inference_mode():
                yield from self._finish(moved)

    def look(self, moved: Moved) -> tuple[Tensor, list[Looked]]:
        """The moved pictures (T, 3, H, W) in 0..1 and what every network paints into them."""
        images = torch.from_numpy(moved.images).to(self._device)[..., :3]
        picture = images.permute(0, 3, 1, 2) / 255
        reached = torch.from_numpy(moved.reached).to(self._device)
        awake = ((reached - self._own).abs().amax(1) / WAKING).clamp(0, 1)[:, None, None, None]
        crop_points = self._scene.units(moved.landmarks)
        looks = []
        for window in WINDOWS:
            network = self._network.of(window.network)
            side = network.config.side
            affine = self._affine(window, crop_points)
            where = torch.from_numpy(affine).to(self._device)
            seen = read(picture, where, side)
            flow = read_flow(moved.flow, where, side)
            masks = self._masks(window, moved.landmarks, affine, side)
            units = condition_of(self._own.expand_as(reached), reached, window.mirrored)
            painted = network(torch.cat([seen, masks, flow], 1), units, self._photo[window.name])
            painted = Painted(
                1 - (1 - painted.attention) * awake, painted.colour, painted.residual * awake
            )
            looks.append(Looked(window, where, seen, painted))
        return picture, looks

    def _finish(self, moved: Moved) -> Iterator[Array]:
        picture, looks = self.look(moved)
        picture = put_together(picture, looks)
        painted = (picture * 255).permute(0, 2, 3, 1).cpu().numpy()
        for image, frame in zip(moved.images, painted, strict=True):
            image[..., :3] = frame
            yield image

    def _affine(self, window: Window, points: Array) -> Array:
        return to_pixels(place(window, points, self._scale), self._scene.to_pixels)

    def _masks(self, window: Window, points: Array, affine: Array, side: int) -> Tensor:
        drawn = [draw_masks(window, p, a, side) for p, a in zip(points, affine, strict=True)]
        return torch.from_numpy(np.stack(drawn)).to(self._device)


def put_together(picture: Tensor, looks: list[Looked]) -> Tensor:
    """All windows' changes put onto (T, 3, H, W) moved pictures in 0..1."""
    for looked in looks:
        put = add_low if looked.window.extent is None else compose
        picture = put(picture, looked.affine, looked.seen, looked.painted)
    return picture


def changed(looks: list[Looked], like: Tensor) -> Tensor:
    """(T, 1, H, W) the largest 1 - A of all windows, on canvases like `like`."""
    whole = torch.zeros_like(like[:, :1])
    for looked in looks:
        box = window_box(looked.affine.cpu().numpy(), *like.shape[2:])
        large = F.grid_sample(
            1 - looked.painted.attention,
            pixel_positions(looked.affine, box),
            padding_mode="zeros",
            align_corners=False,
        )
        view = whole[:, :, box.top : box.bottom, box.left : box.right]
        view.copy_(torch.maximum(view, large))
    return whole
