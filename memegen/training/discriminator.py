"""Discriminators: small networks that learn to tell generated mouths from real ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Rates every patch of a window, given the outlines drawn in it (Isola et al. 2017).

    It sees the outlines, so it asks for teeth exactly where the mesh opens the mouth. Spectral
    and instance normalisation together, as in Park et al. 2019: the one keeps it smooth, the
    other keeps its signal from fading layer by layer.
    """

    def __init__(self, masks: int, widths: tuple[int, ...] = (32, 64, 128, 192)) -> None:
        super().__init__()
        before, layers = 3 + masks, []
        for index, width in enumerate(widths):
            last = index == len(widths) - 1
            kernel, stride = (3, 1) if last else (4, 2)
            convolution = nn.Conv2d(before, width, kernel, stride=stride, padding=1)
            norm = nn.InstanceNorm2d(width) if index else nn.Identity()
            layers.append(nn.Sequential(spectral_norm(convolution), norm))
            before = width
        self.layers = nn.ModuleList(layers)
        self.verdict = nn.Conv2d(before, 1, 3, padding=1)

    def forward(self, window: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 3 + masks, S, S) in 0..1 -> verdicts (B, 1, S/8, S/8), and features."""
        features = []
        x = window * 2 - 1
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.verdict(x), features


def discriminator_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Hinge loss of a discriminator (Lim and Ye 2017)."""
    return F.relu(1 - real).mean() + F.relu(1 + generated).mean()


def feature_distance(real: list[Tensor], generated: list[Tensor]) -> Tensor:
    """Mean absolute difference of its features (Wang et al. 2018), real ones held."""
    parts = [F.l1_loss(p.float(), r.detach().float()) for r, p in zip(real, generated, strict=True)]
    return torch.stack(parts).mean()
