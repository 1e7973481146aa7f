"""What generators share whose network sees the whole aligned crop and changes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Array
from memegen.generators.base import Scene
from memegen.generators.compose import compose
from memegen.generators.network import WindowOutput
from memegen.generators.windows import FACE, fade, place, sample_window, to_pixels
from memegen.geometry.box import Box
from memegen.tracks import Detail

_TOGETHER = 4  # frames rendered at once
PEAK = 255.0  # of the scene's picture


class CropRenderer(ABC):
    """One scene: the crop is rendered at the network's size, the change put into the photo.

    A subclass says what its network makes of the crop (`output`) and, if the change is not that of
    `compose`, how it is put in (`composed`).
    """

    def __init__(self, scene: Scene, size: int, device: torch.device) -> None:
        self._scene, self._device = scene, device
        affine = to_pixels(place(FACE, scene.motion.landmarks[None], 1.0), scene.to_pixels)
        self._affine = torch.from_numpy(affine).to(device)
        picture = torch.from_numpy(scene.picture[..., :3].astype(np.float32)).to(device)
        self._picture = picture.permute(2, 0, 1)[None]
        # (1, 3, size, size) the crop in 0..1
        self.seen = sample_window(self._picture, self._affine, size) / PEAK
        self._fade = fade(size, device)

    @abstractmethod
    def output(self, targets: Array) -> WindowOutput:
        """Of T expressions (T, K), at the network's size: what changes, before it is feathered."""

    def composed(
        self, image: Tensor, affine: Tensor, seen: Tensor, output: WindowOutput
    ) -> tuple[Box, Tensor]:
        """The part of the picture that changes; arguments and result as of `compose`."""
        return compose(image, affine, seen, output, PEAK)

    def outline(self) -> Array:
        """See Renderer.outline: the crop's square."""
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
        return self._scene.pixels(corners)[:, :2]

    def render(self, targets: Array, detail: Detail | None = None) -> Iterator[Array]:
        """See Renderer.render. Head and gaze stay; there is no mesh for `detail`."""
        for start in range(0, len(targets), _TOGETHER):
            with torch.inference_mode():
                images = self._some(targets[start : start + _TOGETHER])
            yield from images

    def _some(self, targets: Array) -> Array:
        frames = len(targets)
        found = self.output(targets)
        attention = 1 - (1 - found.attention) * self._fade  # no seam at the crop's rim
        box, part = self.composed(
            self._picture.expand(frames, -1, -1, -1),
            self._affine.expand(frames, -1, -1),
            self.seen.expand(frames, -1, -1, -1),
            found._replace(attention=attention),
        )
        images = np.repeat(self._scene.picture[None].astype(np.float32), frames, 0)
        rows, columns = box.slices
        images[:, rows, columns, :3] = part.permute(0, 2, 3, 1).cpu().numpy()
        return images
