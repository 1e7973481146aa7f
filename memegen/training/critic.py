"""Critics: small networks that learn to tell painted mouths, eyes and faces from real ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchCritic(nn.Module):
    """Judges every patch of a window, given the outlines drawn in it (Isola et al. 2017).

    It sees the outlines, so it asks for teeth exactly where the mesh opens the mouth. Spectral
    normalisation (Miyato et al. 2018) keeps it Lipschitz.
    """

    def __init__(self, masks: int, widths: tuple[int, ...] = (32, 64, 128, 192)) -> None:
        super().__init__()
        before, layers = 3 + masks, []
        for width in widths[:-1]:
            layers.append(spectral_norm(nn.Conv2d(before, width, 4, stride=2, padding=1)))
            before = width
        layers.append(spectral_norm(nn.Conv2d(before, widths[-1], 3, padding=1)))
        self.layers = nn.ModuleList(layers)
        self.verdict = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, window: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 3 + masks, S, S) -> verdicts (B, 1, S/8, S/8), positive for real; and features."""
        features = []
        x = window
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.verdict(x), features


def critic_loss(real: Tensor, painted: Tensor) -> Tensor:
    """Hinge loss of a critic (Lim and Ye 2017)."""
    return F.relu(1 - real).mean() + F.relu(1 + painted).mean()


def feature_distance(real: list[Tensor], painted: list[Tensor]) -> Tensor:
    """Mean absolute difference of a critic's features (Wang et al. 2018), real ones held."""
    parts = [F.l1_loss(p.float(), r.detach().float()) for r, p in zip(real, painted, strict=True)]
    return torch.stack(parts).mean()
