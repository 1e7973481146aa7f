"""The network of `anatomical`: light and colour of a mouth that was moved and drawn.

GANimation's idea (Pumarola et al., ECCV 2018): attention says where a picture stays, colour says
what it becomes elsewhere. Here the picture is already moved and drawn, and a residual flow mends
what that missed. All three come at a quarter of the window's resolution: detail comes
from the graphics, not from the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memegen import aus
from memegen.generators.windows import fade

RESIDUAL_REACH = 0.06  # half widths of a window that the residual flow moves a pixel at most
COARSE = 4  # pixels of the window in one of the output
WAKING = 0.06  # change of an action unit (of 1) below which a network's change fades out
FLOW = 2  # channels of the mesh flow, in window units


@dataclass(frozen=True)
class WindowConfig:
    """Sizes of the network of one kind of window."""

    side: int  # pixels of the window
    widths: tuple[int, int, int]  # feature maps at 1/2, 1/4 and 1/8
    masks: int  # outlines shown beside the picture
    deep: int = 2  # residual blocks at 1/8


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes of all networks; stored in the weights file."""

    mouth: WindowConfig = field(default_factory=lambda: WindowConfig(128, (24, 48, 96), 2))
    condition: int = 96  # width of the layer that reads the action units

    @property
    def sides(self) -> dict[str, int]:
        """Pixels of each kind of window."""
        return {"mouth": self.mouth.side}


# The sizes of `anatomical-small`: 14% of the default's arithmetic and of its parameters.
SMALL = GeneratorConfig(mouth=WindowConfig(128, (8, 16, 48), 2, deep=1), condition=48)


class WindowOutput(NamedTuple):
    """A network's output for T windows; S is the side of that output."""

    attention: Tensor  # (T, 1, S, S) share of the moved picture that stays, 1 at the rim
    colour: Tensor  # (T, 3, S, S) 0..1, not clipped
    residual: Tensor  # (T, 2, S, S) shift of the sampling position, in window units (-1..1)


class Block(nn.Module):
    """Two convolutions around a skip, told the action units between them (FiLM, Perez 2018)."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.film = nn.Linear(condition, 2 * width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(T, C, H, W), (T, condition) -> (T, C, H, W)."""
        scale, shift = self.film(condition)[..., None, None].chunk(2, 1)
        y = F.silu(self.norm1(self.conv1(x)) * (1 + scale) + shift)
        return F.silu(x + self.norm2(self.conv2(y)))


def _conv(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.SiLU(),
    )


class WindowNet(nn.Module):
    """A small U-Net. The photo's window is encoded once, the moved window on every frame."""

    def __init__(self, config: WindowConfig, condition: int) -> None:
        super().__init__()
        self.config = config
        fine, middle, coarse = config.widths
        self.photo = nn.ModuleList(
            [
                _conv(4 * (3 + config.masks), fine),
                _conv(fine, middle, 2),
                _conv(middle, coarse, 2),
            ]
        )
        self.read = nn.Sequential(nn.Linear(2 * len(aus.CHANNELS), condition), nn.SiLU())
        self.stem = _conv(4 * (3 + config.masks + FLOW), fine)
        self.fine_in = Block(fine, condition)
        self.down1 = _conv(fine, middle, 2)
        self.middle_in, self.middle_out = Block(middle, condition), Block(middle, condition)
        self.down2 = _conv(middle, coarse, 2)
        self.deep = nn.ModuleList([Block(coarse, condition) for _ in range(config.deep)])
        self.up1 = nn.Conv2d(coarse, middle, 1)
        self.head = nn.Conv2d(middle, 6, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.register_buffer("fade", fade(config.side // COARSE), persistent=False)
        self.fade: Tensor

    def encode(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3 + masks, S, S) the photo's window to features at 1/4 and 1/8."""
        x = self.photo[0](F.pixel_unshuffle(photo, 2))
        middle = self.photo[1](x)
        return middle, self.photo[2](middle)

    def forward(self, frame: Tensor, units: Tensor, photo: tuple[Tensor, Tensor]) -> WindowOutput:
        """The output for T windows.

        frame (T, 3 + masks + 2, S, S): moved picture 0..1, outlines, mesh flow in window units;
        units (T, 2 K): change of the action units from the photo, and what they become; photo:
        `encode` of the photo (N = 1 or T).
        """
        condition = self.read(units)
        fine = self.fine_in(self.stem(F.pixel_unshuffle(frame, 2)), condition)
        middle = self.middle_in(self.down1(fine) + photo[0], condition)
        x = self.down2(middle) + photo[1]
        for block in self.deep:
            x = block(x, condition)
        x = F.interpolate(self.up1(x), scale_factor=2.0)
        output = self.head(self.middle_out(x + middle, condition)).float()
        moved = smoothed(frame[:, :3].float())
        change = (1 - torch.sigmoid(output[:, :1])) * self.fade
        return WindowOutput(
            1 - change,
            moved + output[:, 1:4],
            torch.tanh(output[:, 4:]) * (RESIDUAL_REACH * self.fade),
        )


def smoothed(window: Tensor) -> Tensor:
    """(T, C, S, S) windows at the resolution of the output."""
    return F.avg_pool2d(window, COARSE)


class GeneratorNet(nn.Module):
    """One WindowNet for every window that needs one."""

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        super().__init__()
        self.config = config or GeneratorConfig()
        self.mouth = WindowNet(self.config.mouth, self.config.condition)

    def of(self, name: str) -> WindowNet:
        """The network of a window."""
        return {"mouth": self.mouth}[name]


def condition_of(source: Tensor, target: Tensor) -> Tensor:
    """(T, K) expression of the photo and of the frame to (T, 2 K) for a window."""
    return torch.cat([target - source, target], 1)


def awake(source: Tensor, target: Tensor) -> Tensor:
    """Share 0..1 of a change that is made, (T, 1, 1, 1), of expressions of photo and frames (T, K).

    A photo that is asked for what it shows already stays as it is.
    """
    return ((target - source).abs().amax(1) / WAKING).clamp(0, 1)[:, None, None, None]
