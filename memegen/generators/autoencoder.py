"""Expression transfer by autoencoder (Liu and Jin, 2019), and what it is compared with: Fader
Networks (Lample et al., NIPS 2017, arXiv 1706.00409).

An encoder turns an aligned crop into a latent code, a decoder turns the code and a label, how
strong the smile is, into a crop again. While they learn, a classifier tries to read the label off
the code and the encoder learns to give it nothing to read, so that the decoder has to take the
smile from the label: sliding that slides the smile.

Seven convolutions of 4x4 and stride 2 halve 256 px to 2 px. The two designs differ in the way
back, and in what is normalised:

- `autoencoder`: every level of the decoder enlarges to the nearest pixel and convolves 3x3; the
  label is one map beside the features of every level (513, 257, 129, 65, 33, 17 and 9 channels
  in). The encoder has no batch norm, the decoder has.
- `fader`: 4x4 transposed convolutions of stride 2, the label one-hot in two maps (514, 258, ...
  channels in), batch norm in the encoder too.

A reconstruction is blurred: all of a face has passed through 2048 numbers. So what is put into a
photo is the *change*, decoder(label) - decoder(own label), added to the photo's own pixels; its
skin, hair and background stay as sharp as they were. Where the label is the face's own, nothing
changes at all. The published output itself, `reconstruct`, is there to be judged.

Of all action units these networks know AU12 (smile) alone; whatever else is asked for is ignored.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memegen import aus, weights
from memegen.arrays import Array
from memegen.errors import UsageError
from memegen.generators.base import Scene
from memegen.generators.compose import compose_change
from memegen.generators.crop_renderer import PEAK, CropRenderer
from memegen.generators.network import WindowOutput
from memegen.geometry.box import Box

LABEL = "AU12"  # the action unit whose intensity is the label
_CHANNELS = [aus.INDEX[channel] for channel in aus.channels_of(LABEL)]
WIDTHS = (8, 16, 32, 64, 128, 256, 512)  # feature maps of the encoder's levels
SLOPE = 0.2  # of leaky rectifiers below zero
DROPOUT = 0.3  # of the classifier, as in Fader Networks


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes and design; stored in the weights file."""

    size: int = 256  # side of the crop in pixels
    widths: tuple[int, ...] = WIDTHS  # of the encoder's levels, each half the size of the last
    fader: bool = False  # transposed convolutions, one-hot label, batch norm in the encoder too

    @property
    def label_maps(self) -> int:
        """Channels that say the label, at every level of the decoder."""
        return 2 if self.fader else 1

    @property
    def latent(self) -> tuple[int, int, int]:
        """Channels, height and width of the code."""
        side = self.size // 2 ** len(self.widths)
        return self.widths[-1], side, side


def config_of(size: int, fader: bool = False) -> AutoencoderConfig:
    """The published widths from the top, as many levels as leave 2 px of a crop's side.

    Raises UsageError for a size that is no power of two in 16..256.
    """
    levels = size.bit_length() - 2
    if size not in (16, 32, 64, 128, 256):
        raise UsageError(f"`size` {size}: must be 16, 32, 64, 128 or 256")
    return AutoencoderConfig(size, WIDTHS[:levels], fader)


class AutoencoderNet(nn.Module):
    """Encoder and decoder."""

    def __init__(self, config: AutoencoderConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or AutoencoderConfig()
        widths = (3, *c.widths)
        self.encoder = nn.Sequential(
            *itertools.chain.from_iterable(
                _down(before, after, c.fader) for before, after in itertools.pairwise(widths)
            )
        )
        up = list(itertools.pairwise(reversed(widths)))
        self.decoder = nn.ModuleList(
            _up(before + c.label_maps, after, c.fader, last=level == len(up) - 1)
            for level, (before, after) in enumerate(up)
        )

    def encode(self, photo: Tensor) -> Tensor:
        """Crops (B, 3, S, S) in -1..1 to codes (B, C, 2, 2)."""
        return self.encoder(photo)  # type: ignore[no-any-return]

    def decode(self, code: Tensor, label: Tensor) -> Tensor:
        """Codes, and labels (B,) in 0..1, to crops (B, 3, S, S) in -1..1."""
        maps = torch.stack([1 - label, label] if self.config.fader else [label], 1)
        maps = maps[:, :, None, None].to(code.dtype)
        x = code
        for level in self.decoder:
            x = level(torch.cat([x, maps.expand(-1, -1, *x.shape[2:])], 1))
        return x

    def forward(self, photo: Tensor, label: Tensor) -> Tensor:
        """Crops (B, 3, S, S) in -1..1 as they would look with labels (B,)."""
        return self.decode(self.encode(photo), label)


def _down(before: int, after: int, norm: bool) -> list[nn.Module]:
    """One level of an encoder."""
    layers: list[nn.Module] = [nn.Conv2d(before, after, 4, 2, 1, bias=not norm)]
    layers += [nn.BatchNorm2d(after)] if norm else []
    return [*layers, nn.LeakyReLU(SLOPE)]


def _up(before: int, after: int, transposed: bool, last: bool) -> nn.Sequential:
    """One level of a decoder, `before` counting the label; the last one makes the colours."""
    layers: list[nn.Module]
    if transposed:
        layers = [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=last)]
    else:
        layers = [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1, bias=last)]
    return nn.Sequential(*layers, *([nn.Tanh()] if last else [nn.BatchNorm2d(after), nn.ReLU()]))


class LatentClassifier(nn.Module):
    """Reads the label off a code: three fully connected layers. Not part of the weights file.

    Codes are normalised first: nothing else says how large they are, and a classifier that learns
    slowly from small numbers is fooled by an encoder that hides nothing (measured: codes that one
    without it read to 56% told a fresh one 78%).
    """

    def __init__(self, config: AutoencoderConfig, width: int = 512) -> None:
        super().__init__()
        channels, height, across = config.latent
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.BatchNorm1d(channels * height * across, affine=False),
            nn.Linear(channels * height * across, width),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(DROPOUT),
            nn.Linear(width, width),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(DROPOUT),
            nn.Linear(width, 1),
        )

    def forward(self, code: Tensor) -> Tensor:
        """Codes (B, C, h, w) to log odds (B,) that the label is 1."""
        return self.layers(code)[:, 0]  # type: ignore[no-any-return]


def classifier_loss(odds: Tensor, label: Tensor) -> Tensor:
    """What the classifier learns by: cross entropy with the label. Both (B,)."""
    return F.binary_cross_entropy_with_logits(odds.float(), label)


def adversary_loss(odds: Tensor, label: Tensor) -> Tensor:
    """What the encoder learns by: cross entropy with the *other* label (Fader, equation 3).

    It rises the surer the classifier is of the right label.
    """
    return classifier_loss(odds, 1 - label)


def labels_of(units: Array) -> Array:
    """(..., K) channels to (...) labels 0..1: the intensity of AU12, sides averaged."""
    return np.clip(units[..., _CHANNELS].mean(-1), 0, 1).astype(np.float32)


class AutoencoderGenerator:
    """Registered as `autoencoder`; `file` names or is a weights file."""

    name = "autoencoder"

    def __init__(self, device: str = "cpu", file: str | None = None) -> None:
        self._device = torch.device(device)
        self.network: AutoencoderNet
        self.network, _ = weights.load_network(file or self.name, self.name)
        self.network.to(self._device)

    def prepare(self, scene: Scene) -> AutoencoderRenderer:
        """See Generator.prepare."""
        return AutoencoderRenderer(scene, self.network)

    def reconstruct(self, crops: Tensor, labels: Tensor) -> Tensor:
        """The published output: crops (B, 3, S, S) in 0..1 with labels (B,), in 0..1."""
        with torch.inference_mode():
            found = self.network(crops.to(self._device) * 2 - 1, labels.to(self._device))
        return (found + 1) / 2


class FaderGenerator(AutoencoderGenerator):
    """Registered as `fader`."""

    name = "fader"


class AutoencoderRenderer(CropRenderer):
    """One scene: encoded once, decoded for every frame."""

    def __init__(self, scene: Scene, network: AutoencoderNet) -> None:
        super().__init__(scene, network.config.size, next(network.parameters()).device)
        self.network = network
        own = torch.from_numpy(labels_of(scene.motion.source[None])).to(self.seen.device)
        with torch.inference_mode():
            self._code = network.encode(self.seen * 2 - 1)
            self._own = network.decode(self._code, own)

    def output(self, targets: Array) -> WindowOutput:
        """See CropRenderer.output: the crop plus what the label changes."""
        label = torch.from_numpy(labels_of(targets)).to(self.seen.device)
        made = self.network.decode(self._code.expand(len(label), -1, -1, -1), label)
        colour = self.seen + (made - self._own) / 2  # -1..1 is twice as wide as 0..1
        still = torch.zeros_like(colour[:, :2])
        return WindowOutput(torch.zeros_like(colour[:, :1]), colour, still)

    def composed(
        self, image: Tensor, affine: Tensor, seen: Tensor, output: WindowOutput
    ) -> tuple[Box, Tensor]:
        """The change is added, all of the photo's own detail stays."""
        change = (1 - output.attention) * (output.colour - seen)
        return compose_change(image, affine, change * PEAK)
