"""Small parts of many pictures, drawn all at once: where they lie, read and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Array, Integers
from memegen.geometry.box import Box
from memegen.geometry.outline import fill
from memegen.geometry.sampling import channel_groups


@dataclass(frozen=True)
class Patches:
    """Boxes of pixels of one size, one in each of T pictures."""

    left: Integers  # (T,)
    top: Integers  # (T,)
    height: int
    width: int

    @classmethod
    def around(cls, points: Array, margin: float, height: int, width: int) -> Patches:
        """The smallest around (T, N, 2) points plus a margin in pixels, inside pictures.

        Where a picture ends sooner, or its points need less, a box holds more beside them.
        """
        boxes = [Box.around(ring, margin, height, width) for ring in points]
        down, across = np.max([box.shape for box in boxes], 0).tolist()
        left = np.minimum([box.left for box in boxes], width - across)
        return cls(left, np.minimum([box.top for box in boxes], height - down), down, across)

    @classmethod
    def of(cls, box: Box) -> Patches:
        """A single one."""
        return cls(np.array([box.left]), np.array([box.top]), *box.shape)

    @property
    def empty(self) -> bool:
        """Whether they hold no pixels."""
        return min(self.height, self.width) < 1

    def boxes(self) -> list[Box]:
        """One by one."""
        corners = zip(self.left.tolist(), self.top.tolist(), strict=True)
        return [Box(x, y, x + self.width, y + self.height) for x, y in corners]

    def pixels(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """X (T, 1, w) and y (T, h, 1) of the centres of their pixels."""
        x = self.left[:, None, None] + (np.arange(self.width) + 0.5)
        y = self.top[:, None, None] + (np.arange(self.height) + 0.5)[:, None]
        return on_device(x, device), on_device(y, device)

    def filled(self, rings: Array, device: torch.device) -> Tensor:
        """(T, N, 2) rings to how much of every pixel they cover: (T, h, w), 0..1."""
        masks = [fill(ring, box) for ring, box in zip(rings, self.boxes(), strict=True)]
        return on_device(np.stack(masks), device)

    def read(self, pictures: Sequence[Tensor]) -> Tensor:
        """The colours (T, 3, h, w) of pictures (H, W, 3 or 4)."""
        return torch.stack(self._views(pictures)).permute(0, 3, 1, 2).contiguous()

    def write(self, pictures: Sequence[Tensor], colours: Tensor) -> None:
        """Put colours (T, 3, h, w) into pictures (H, W, 3 or 4)."""
        for view, made in zip(self._views(pictures), colours.permute(0, 2, 3, 1), strict=True):
            view.copy_(made)

    def _views(self, pictures: Sequence[Tensor]) -> list[Tensor]:
        pairs = zip(pictures, self.boxes(), strict=True)
        return [picture[(*box.slices, slice(3))] for picture, box in pairs]


def blended(under: Tensor, colour: Tensor, opacity: Tensor) -> Tensor:
    """Colours (T, 3, h, w) of opacity (T, h, w) over others."""
    return under + (colour - under) * opacity[:, None]


def on_device(values: Array, device: torch.device) -> Tensor:
    """An array as float32, where pictures are drawn."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(device)


def per_picture(values: Array, device: torch.device) -> Tensor:
    """(..., T) numbers, one a picture, as they multiply pixels (T, h, w): (..., T, 1, 1)."""
    return on_device(values, device)[..., None, None]


def as_image(patch: Array, device: torch.device) -> Tensor:
    """(H, W, C) to an image (1, C, H, W), still pixel by pixel in memory."""
    return on_device(patch, device)[None].permute(0, 3, 1, 2)


def as_images(patch: Array, device: torch.device) -> tuple[Tensor, ...]:
    """(H, W, C) to images (1, 1..4, H, W) of so many of its channels as are read at once."""
    return tuple(as_image(part, device) for part in channel_groups(patch))
