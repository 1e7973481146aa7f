"""GANimation as it was published (Pumarola et al., ECCV 2018, arXiv 1807.09251).

One network sees the photo's crop with the target action units tiled behind it, and returns
attention A and colour C: `out = A * photo + (1 - A) * C`. It knows neither head nor gaze.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memegen import aus, weights
from memegen.arrays import Array
from memegen.errors import WeightsError
from memegen.generators.base import Scene
from memegen.generators.crop_renderer import CropRenderer
from memegen.generators.network import WindowOutput
from memegen.generators.trunk import residual_trunk

DISCRIMINATOR_LAYERS = 6  # halvings of the discriminator, down to 2 px at 128 and 4 px at 256
UNITS = "OpenFace's 17"  # order of the action units, as weights files name it


@dataclass(frozen=True)
class GanimationConfig:
    """Sizes of generator and discriminator; stored in the weights file."""

    size: int = 128  # side of the crop in pixels
    units: int = 17  # action units, each 0..1
    width: int = 64  # feature maps at full resolution
    blocks: int = 6  # residual blocks: 6 at 128 px, 9 at 256 px
    affine: bool = True  # whether instance norms have a gain and a shift
    biased: bool = False  # whether the convolutions before them have a bias


class GanimationNet(nn.Module):
    """The generator."""

    def __init__(self, config: GanimationConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or GanimationConfig()
        self.trunk = residual_trunk(3 + c.units, c.width, c.blocks, c.affine, c.biased)
        self.colour = nn.Conv2d(c.width, 3, 7, padding=3, bias=False)
        self.attention = nn.Conv2d(c.width, 1, 7, padding=3, bias=False)

    def forward(self, photo: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
        """Photos (B, 3, S, S) in -1..1 and units (B, U) in 0..1.

        Returns attention (B, 1, S, S) in 0..1 and colour (B, 3, S, S) in -1..1.
        """
        tiled = units[:, :, None, None].expand(-1, -1, *photo.shape[2:])
        x = self.trunk(torch.cat([photo, tiled], 1))
        # Both heads as one convolution: four output channels cost what one does.
        heads = F.conv2d(x, torch.cat([self.attention.weight, self.colour.weight]), padding=3)
        return torch.sigmoid(heads[:, :1]), torch.tanh(heads[:, 1:])


class PatchConv2d(nn.Conv2d):
    """A convolution that turns small pictures into one matrix product.

    With many channels and few pixels, the backward pass of a convolution takes CPUs several times
    as long as the same sums written as a product.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, H', W')."""
        batch, _, height, width = x.shape
        if height * width > 64 or x.is_cuda:
            return super().forward(x)
        patches = F.unfold(x, self.kernel_size, padding=int(self.padding[0]), stride=self.stride)
        # Two axes, or the product would be one for each picture, with a copy of the weights.
        rows = patches.transpose(1, 2).flatten(0, 1)
        found = F.linear(rows, self.weight.flatten(1), self.bias)
        down = (height + 2 * int(self.padding[0]) - self.kernel_size[0]) // self.stride[0] + 1
        return found.view(batch, down, -1, self.out_channels).permute(0, 3, 1, 2)


class GanimationDiscriminator(nn.Module):
    """Rates patches of a photo as real or generated, and reads its action units."""

    def __init__(self, config: GanimationConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or GanimationConfig()
        layers: list[nn.Module] = []
        before, width = 3, c.width
        for _ in range(DISCRIMINATOR_LAYERS):
            layers += [PatchConv2d(before, width, 4, 2, 1), nn.LeakyReLU(0.01)]
            before, width = width, 2 * width
        self.main = nn.Sequential(*layers)
        self.verdict = nn.Conv2d(before, 1, 3, padding=1, bias=False)
        self.units = nn.Conv2d(before, c.units, c.size // 2**DISCRIMINATOR_LAYERS, bias=False)

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) in -1..1 -> verdicts (B, 1, P, P), units (B, U)."""
        x = self.main(photo)
        return self.verdict(x), self.units(x).flatten(1)


def blend(photo: Tensor, attention: Tensor, colour: Tensor) -> Tensor:
    """The paper's composition: attention is how much of the photo stays."""
    return attention * photo + (1 - attention) * colour


class GanimationGenerator:
    """Registered as `ganimation`; `file` names or is a weights file."""

    name = "ganimation"

    def __init__(self, device: str = "cpu", file: str = "ganimation") -> None:
        self._device = torch.device(device)
        self.network: GanimationNet
        self.network, found = weights.load_network(file, self.name)
        if self.network.config.units != len(aus.OPENFACE):
            raise WeightsError(
                f"{found.path}: drives {self.network.config.units} action units; "
                f"only the {len(aus.OPENFACE)} of OpenFace can be asked for by name"
            )
        self.network.to(self._device)

    def prepare(self, scene: Scene) -> GanimationRenderer:
        """See Generator.prepare."""
        return GanimationRenderer(scene, self.network)


class GanimationRenderer(CropRenderer):
    """One scene."""

    def __init__(self, scene: Scene, network: GanimationNet) -> None:
        super().__init__(scene, network.config.size, next(network.parameters()).device)
        self._network = network

    def output(self, targets: Array) -> WindowOutput:
        """See CropRenderer.output."""
        units = np.clip(aus.to_openface(targets) / aus.MAX_INTENSITY, 0, 1).astype(np.float32)
        photo = self.seen.expand(len(units), -1, -1, -1)
        attention, colour = self._network(photo * 2 - 1, torch.from_numpy(units).to(photo.device))
        return WindowOutput(attention, (colour + 1) / 2, torch.zeros_like(photo[:, :2]))
