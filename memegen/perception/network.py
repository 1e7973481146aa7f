"""The perception network: an aligned crop in, landmarks, action units and head pose out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from memegen import aus
from memegen.geometry.shape import LANDMARKS


@dataclass(frozen=True)
class PerceptionConfig:
    """Sizes of the network; stored in the weights file."""

    size: int = 144  # side of the input crop in pixels
    widths: tuple[int, ...] = (32, 64, 128, 256)  # feature maps at 1/2, 1/4, 1/8, 1/16
    blocks: tuple[int, ...] = (0, 2, 3, 2)  # residual blocks at each resolution
    squeeze: int = 40  # feature maps kept, with their positions, for the fully connected layer
    hidden: int = 512  # width of the fully connected layer
    au_hidden: int = 192  # width of the action units' own layer
    components: int = 160  # principal components of the landmark decoder
    channels: int = len(aus.CHANNELS)  # action-unit channels


class PerceptionOutput(NamedTuple):
    """What the network says about a batch of crops."""

    landmarks: Tensor  # (B, 478, 3) crop units
    action_units: Tensor  # (B, K) 0..1, not clipped
    angles: Tensor  # (B, 3) degrees: yaw to the person's left, pitch up, roll to the left


class Residual(nn.Module):
    """Two 3x3 convolutions around a skip (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        y = self.act(self.norm1(self.conv1(x)))
        return self.act(x + self.norm2(self.conv2(y)))  # type: ignore[no-any-return]


class PerceptionNet(nn.Module):
    """Residual network that keeps positions to the end and decodes landmarks linearly.

    Landmarks are a linear code on the principal components of real faces (as in active shape
    models, Cootes et al. 1995), so even a wrong answer is a face.
    """

    def __init__(self, config: PerceptionConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or PerceptionConfig()
        layers: list[nn.Module] = []
        before = 3
        for width, blocks in zip(c.widths, c.blocks, strict=True):
            layers += [
                nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.SiLU(),
                *(Residual(width) for _ in range(blocks)),
            ]
            before = width
        self.features = nn.Sequential(*layers)
        cells = (-(-c.size // 2 ** len(c.widths))) ** 2
        self.squeeze = nn.Conv2d(before, c.squeeze, 1)
        self.hidden = nn.Sequential(nn.Linear(c.squeeze * cells, c.hidden), nn.SiLU())
        self.code = nn.Linear(c.hidden, c.components)
        self.action_units = nn.Sequential(
            nn.Linear(c.hidden + c.components, c.au_hidden),
            nn.SiLU(),
            nn.Linear(c.au_hidden, c.channels),
        )
        self.angles = nn.Linear(c.hidden, 3)
        self.register_buffer("mean", torch.zeros(LANDMARKS, 3))
        self.register_buffer("components", torch.zeros(c.components, LANDMARKS, 3))
        self.mean: Tensor
        self.components: Tensor

    def set_decoder(self, mean: Tensor, components: Tensor) -> None:
        """Fix the landmark decoder: mean (478, 3), components (C, 478, 3) of unit-variance code."""
        self.mean.copy_(mean)
        self.components.copy_(components[: self.config.components])

    def forward(self, crops: Tensor) -> PerceptionOutput:
        """(B, 3, S, S) crops, 0..1 -> PerceptionOutput."""
        x = self.features(crops * 2 - 1)
        x = self.hidden(self.squeeze(x).flatten(1)).float()
        with torch.autocast(crops.device.type, enabled=False):
            code = self.code(x)
            landmarks = self.mean + torch.tensordot(code, self.components, 1)
            units = self.action_units(torch.cat([x, code], 1))
            return PerceptionOutput(landmarks, units, self.angles(x) * 10)
