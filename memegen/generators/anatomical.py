"""The default generator: what mesh and graphics make, and a network for light and colour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memegen import weights
from memegen.arrays import Array
from memegen.devices import has_halves
from memegen.folding import folded
from memegen.generators.base import Scene
from memegen.generators.compose import compose_low, enlarge, put
from memegen.generators.mesh import MeshGenerator, MeshRenderer, Moved
from memegen.generators.network import (
    GeneratorNet,
    WindowNet,
    WindowOutput,
    awake,
    condition_of,
    smoothed,
)
from memegen.generators.windows import (
    WINDOWS,
    Window,
    draw_masks,
    place,
    sample_flow,
    sample_window,
    to_pixels,
    window_box,
)
from memegen.tracks import Detail

PEAK = 255.0  # level of white in pictures
TOGETHER = 4  # windows that go through a network at once on a CPU


class AnatomicalGenerator:
    """Registered as `anatomical`; `weights` names or is a file of `memegen train`."""

    name = "anatomical"

    def __init__(self, device: str = "cpu", file: str = "anatomical") -> None:
        self._device = torch.device(device)
        self._mesh = MeshGenerator(device)
        self.network: GeneratorNet = folded(weights.load_network(file, self.name)[0])
        self.network.to(self._device)

    def prepare(self, scene: Scene) -> AnatomicalRenderer:
        """See Generator.prepare."""
        return AnatomicalRenderer(scene, self._mesh.prepare(scene), self.network)


class SmallAnatomicalGenerator(AnatomicalGenerator):
    """Registered as `anatomical-small`: the same with a smaller network, distilled from it."""

    name = "anatomical-small"

    def __init__(self, device: str = "cpu", file: str = "anatomical-small") -> None:
        super().__init__(device, file)


@dataclass(frozen=True)
class WindowPass:
    """One window of a few frames: the input and the output of its network."""

    window: Window
    affine: Tensor  # (T, 2, 3) window units to pixels
    seen: Tensor  # (T, 3, S, S) the moved picture, 0..1, at the resolution of the output
    output: WindowOutput


class AnatomicalRenderer:
    """One scene. Everything of the networks that depends on the photo alone is done here."""

    def __init__(self, scene: Scene, mesh: MeshRenderer, network: GeneratorNet) -> None:
        self._scene, self.mesh, self._network = scene, mesh, network
        self._device = next(network.parameters()).device
        self._scale = float(scene.motion.pose.scale)
        self._own = torch.from_numpy(scene.motion.source)[None].to(self._device)
        photo = torch.from_numpy(scene.picture[..., :3].astype(np.float32)).to(self._device)
        picture = photo.permute(2, 0, 1)[None]
        rest = scene.motion.landmarks[None]
        self._photo = {}
        with torch.inference_mode():
            for window in WINDOWS:
                network_ = network.of(window.name)
                side = network_.config.side
                affine = self._affine(window, rest)
                seen = (
                    sample_window(picture, torch.from_numpy(affine).to(self._device), side) / PEAK
                )
                masks = self._masks(window, scene.pixels(rest), affine, side)
                with self._precision():
                    self._photo[window.name] = network_.encode(torch.cat([seen, masks], 1))

    def outline(self) -> Array:
        """See Renderer.outline."""
        return self.mesh.outline()

    def render(self, targets: Array, detail: Detail | None = None) -> Iterator[Array]:
        """See Renderer.render."""
        for images in self.mesh.in_chunks(self._images, targets, detail):
            yield from images.numpy()

    def _images(self, targets: Array, detail: Detail | None) -> Tensor:
        moved = self.mesh.move(targets, detail)
        self._finish(moved)
        return moved.images

    def run_networks(self, moved: Moved) -> tuple[Tensor, list[WindowPass]]:
        """The moved pictures (T, 3, H, W), 0..255, and every network's output for them.

        The pictures share their memory with `moved`.
        """
        picture = moved.images[..., :3].permute(0, 3, 1, 2)
        reached = torch.from_numpy(moved.reached).to(self._device)
        share = awake(self._own, reached)
        crop_points = self._scene.units(moved.landmarks)
        passes = []
        for window in WINDOWS:
            network = self._network.of(window.name)
            side = network.config.side
            affine = self._affine(window, crop_points)
            where = torch.from_numpy(affine).to(self._device)
            seen = sample_window(picture, where, side) / PEAK
            flow = sample_flow(moved.flow, where, side)
            masks = self._masks(window, moved.landmarks, affine, side)
            units = condition_of(self._own.expand_as(reached), reached)
            with self._precision():
                frames = torch.cat([seen, masks, flow], 1)
                rendered = self._run(network, frames, units, self._photo[window.name])
            rendered = WindowOutput(
                1 - (1 - rendered.attention) * share, rendered.colour, rendered.residual * share
            )
            passes.append(WindowPass(window, where, smoothed(seen), rendered))
        return picture, passes

    def _run(
        self, network: WindowNet, frames: Tensor, units: Tensor, photo: tuple[Tensor, Tensor]
    ) -> WindowOutput:
        """A network's output for T windows, a few at a time: their features fill caches."""
        together = TOGETHER if frames.device.type == "cpu" else len(frames)
        parts = zip(frames.split(together), units.split(together), strict=True)
        made = [network(*part, photo) for part in parts]
        return WindowOutput(*(torch.cat(each) for each in zip(*made, strict=True)))

    def _finish(self, moved: Moved) -> None:
        """Put the networks' changes into the moved images, in place."""
        picture, passes = self.run_networks(moved)
        composite(picture, passes, PEAK, in_place=True)

    def _precision(self) -> torch.autocast:
        """Half precision where the processor is made for it: three times as fast."""
        return torch.autocast(self._device.type, torch.bfloat16, enabled=has_halves(self._device))

    def _affine(self, window: Window, points: Array) -> Array:
        return to_pixels(place(window, points, self._scale), self._scene.to_pixels)

    def _masks(self, window: Window, points: Array, affine: Array, side: int) -> Tensor:
        drawn = [draw_masks(window, p, a, side) for p, a in zip(points, affine, strict=True)]
        return torch.from_numpy(np.stack(drawn)).to(self._device)


def composite(
    picture: Tensor, passes: list[WindowPass], peak: float = 1.0, in_place: bool = False
) -> Tensor:
    """All windows' changes put into (T, 3, H, W) moved pictures in 0..peak.

    `in_place` saves copies, where no gradient is needed.
    """
    for window_pass in passes:
        box, part = compose_low(
            picture, window_pass.affine, window_pass.seen, window_pass.output, peak
        )
        picture = put(picture, box, part, in_place)
    return picture


def attention_map(passes: list[WindowPass], like: Tensor) -> Tensor:
    """(T, 1, H, W) the largest 1 - A of all windows, on canvases like `like`."""
    whole = torch.zeros_like(like[:, :1])
    for window_pass in passes:
        box = window_box(window_pass.affine.cpu().numpy(), *like.shape[2:])
        large = enlarge(1 - window_pass.output.attention, window_pass.affine, box)
        view = whole[:, :, box.top : box.bottom, box.left : box.right]
        view.copy_(torch.maximum(view, large))
    return whole
