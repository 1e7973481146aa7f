"""StarGAN (Choi et al., CVPR 2018, arXiv 1711.09020): discrete expressions instead of action units.

What GANimation was written against: the same residual trunk, told one of eight expressions, and no
attention: its colour is the whole picture. A vector of action units is shown as the expression
nearest to it, as strongly as it lies in that direction, by a label between neutral and it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memegen import aus, weights
from memegen.arrays import Array, Integers
from memegen.errors import WeightsError
from memegen.generators.base import Scene
from memegen.generators.compose import output_of
from memegen.generators.crop_renderer import CropRenderer
from memegen.generators.ganimation import GanimationConfig, GanimationDiscriminator
from memegen.generators.network import WindowOutput
from memegen.generators.trunk import residual_trunk


@dataclass(frozen=True)
class DiscreteExpression:
    """One row of the table. Numbers of OpenFace's action units, intensities 0..1."""

    name: str
    shows: dict[int, float]  # the whole expression (EMFACS, Friesen and Ekman 1983)
    needs: dict[int, float]  # a face is labelled so from these intensities on
    without: dict[int, float] = field(default_factory=dict)  # and up to these


# A face is labelled by the first row that fits, none by none: many show something in between. What
# a row needs is what perception sees of such faces; AU1 and AU4 together, for example, it does not.
EXPRESSIONS: tuple[DiscreteExpression, ...] = (
    DiscreteExpression("shut eyes", {45: 1.0}, {45: 0.5}),
    DiscreteExpression(
        "surprised", {1: 0.8, 2: 0.8, 5: 0.6, 25: 0.4, 26: 0.7},
        {1: 0.3, 2: 0.3, 26: 0.12}, {4: 0.5, 12: 0.5},
    ),
    DiscreteExpression(
        "fearful", {1: 0.6, 2: 0.3, 4: 0.4, 5: 0.7, 20: 0.6, 25: 0.4}, {5: 0.3, 20: 0.1}, {12: 0.5}
    ),
    DiscreteExpression("disgusted", {9: 0.8, 10: 0.6, 17: 0.3}, {9: 0.4}, {1: 0.3, 12: 0.5}),
    DiscreteExpression("angry", {4: 0.9, 7: 0.6, 23: 0.5}, {4: 0.5}, {1: 0.35, 12: 0.3}),
    DiscreteExpression("sad", {1: 0.6, 4: 0.3, 15: 0.7, 17: 0.3}, {1: 0.15, 15: 0.25}, {12: 0.2}),
    DiscreteExpression("happy", {6: 0.7, 12: 0.9, 25: 0.3}, {6: 0.3, 12: 0.6}, {4: 0.6}),
    DiscreteExpression(
        "neutral", {}, {}, {1: 0.25, 2: 0.3, 4: 0.3, 9: 0.2, 10: 0.2, 12: 0.25, 15: 0.25, 20: 0.2,
                            25: 0.15, 26: 0.2, 45: 0.4},
    ),
)  # fmt: skip
NEUTRAL = len(EXPRESSIONS) - 1
UNLABELLED = -1
SKIPPED = 0.25  # gain of what is added to the photo: fresh weights change it little
_COLUMN = {au.number: column for column, au in enumerate(aus.OPENFACE)}


def labels_of(units: Array) -> Integers:
    """(N, 17) OpenFace's action units, 0..1, to (N,) rows of EXPRESSIONS, or UNLABELLED."""
    found = np.full(len(units), UNLABELLED)
    for row in range(NEUTRAL, -1, -1):
        kind, fits = EXPRESSIONS[row], np.ones(len(units), bool)
        for number, least in kind.needs.items():
            fits &= units[:, _COLUMN[number]] >= least
        for number, most in kind.without.items():
            fits &= units[:, _COLUMN[number]] <= most
        found[fits] = row
    return found


def domains_of(units: Array) -> Array:
    """(T, 17) action units 0..1 to (T, 8) labels that sum to one, continuous in their strength.

    The nearest expression e is that of the largest cosine between the units u and `shows`, p; its
    share is `s = clip(u p / p p, 0, 1)`, that of neutral 1 - s.
    """
    shows = np.zeros((len(EXPRESSIONS), len(aus.OPENFACE)), np.float32)
    for row, kind in enumerate(EXPRESSIONS):
        for number, intensity in kind.shows.items():
            shows[row, _COLUMN[number]] = intensity
    norm = np.linalg.norm(shows, axis=1)
    along = units @ shows.T / np.maximum(norm, 1e-6)
    along[:, NEUTRAL] = 0
    nearest, rows = along.argmax(1), np.arange(len(units))
    share = np.clip(along[rows, nearest] / np.maximum(norm[nearest], 1e-6), 0, 1)
    found = np.zeros((len(units), len(EXPRESSIONS)), np.float32)
    found[rows, nearest] = share
    found[:, NEUTRAL] += 1 - share
    return found


@dataclass(frozen=True)
class StarganConfig(GanimationConfig):
    """Sizes of generator and discriminator; stored in the weights file."""

    units: int = len(EXPRESSIONS)  # labels, where GANimation has action units
    skip: bool = False  # colour is added to the photo: not in the paper, learnt in minutes


class StarganNet(nn.Module):
    """The generator: GANimation's without attention."""

    def __init__(self, config: StarganConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or StarganConfig()
        self.trunk = residual_trunk(3 + c.units, c.width, c.blocks, c.affine, c.biased)
        self.colour = nn.Conv2d(c.width, 3, 7, padding=3, bias=False)

    def forward(self, photo: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Photos (B, 3, S, S) in -1..1 and labels (B, 8): attention, zero, and colour in -1..1.

        So that what composes GANimation's pictures composes these.
        """
        tiled = label[:, :, None, None].expand(-1, -1, *photo.shape[2:])
        colour = self.colour(self.trunk(torch.cat([photo, tiled], 1)))
        added = SKIPPED * colour
        colour = (photo + added).clamp(-1, 1) if self.config.skip else torch.tanh(colour)
        return torch.zeros_like(photo[:, :1]), colour


class StarganDiscriminator(GanimationDiscriminator):
    """GANimation's; what that reads as action units are the labels' logits here."""


def classification_error(read: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of logits (B, 8) against labels (B, 8) that sum to one (StarGAN, eq. 2, 3)."""
    return F.cross_entropy(read, target)


class StarganGenerator:
    """Registered as `stargan`; `file` names or is a weights file."""

    name = "stargan"

    def __init__(self, device: str = "cpu", file: str = "stargan") -> None:
        self._device = torch.device(device)
        self.network: StarganNet
        self.network, found = weights.load_network(file, self.name)
        if self.network.config.units != len(EXPRESSIONS):
            raise WeightsError(f"{found.path}: knows other expressions than these eight")
        self.network.to(self._device)

    def prepare(self, scene: Scene) -> StarganRenderer:
        """See Generator.prepare."""
        return StarganRenderer(scene, self.network)


class StarganRenderer(CropRenderer):
    """One scene. Head and gaze stay.

    What changes is the difference between the pictures of two labels, the target's and the photo's
    own: what the network cannot reconstruct stays as it was.
    """

    def __init__(self, scene: Scene, network: StarganNet) -> None:
        super().__init__(scene, network.config.size, next(network.parameters()).device)
        self._network = network
        with torch.inference_mode():
            self._own = self._generated(scene.motion.source[None])

    def output(self, targets: Array) -> WindowOutput:
        """See CropRenderer.output."""
        seen = self.seen.expand(len(targets), -1, -1, -1)
        return output_of(seen, seen + self._generated(targets) - self._own)

    def _generated(self, targets: Array) -> Tensor:
        units = np.clip(aus.to_openface(targets) / aus.MAX_INTENSITY, 0, 1).astype(np.float32)
        label = torch.from_numpy(domains_of(units)).to(self.seen.device)
        photo = self.seen.expand(len(targets), -1, -1, -1)
        return (self._network(photo * 2 - 1, label)[1] + 1) / 2  # type: ignore[no-any-return]
