"""Discriminators: small networks that learn to tell generated mouths from real ones."""

from __future__ import annotations

import itertools

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


class MultiScaleDiscriminator(nn.Module):
    """Patch discriminators of one picture at several sizes (pix2pixHD, arXiv 1711.11585).

    Each sees half as many pixels across as the one before it: the first judges texture, the last
    the face as a whole.
    """

    def __init__(self, masks: int, scales: int = 1) -> None:
        super().__init__()
        self.scales = nn.ModuleList([PatchDiscriminator(masks) for _ in range(scales)])

    def forward(self, window: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 3 + masks, S, S) in 0..1 -> verdicts (B, V) of all scales, and features.

        Every scale counts alike: coarser verdicts are repeated as often as they are fewer.
        """
        verdicts: list[Tensor] = []
        features: list[Tensor] = []
        for scale in self.scales:
            found, seen = scale(window)
            verdicts.append(found.flatten(1))
            features += seen
            window = F.avg_pool2d(window, 2)
        most = verdicts[0].shape[1]
        even = [v.repeat(1, -(-most // v.shape[1]))[:, :most] for v in verdicts]
        return torch.cat(even, 1), features


class AutoencodingDiscriminator(nn.Module):
    """BEGAN's critic (arXiv 1703.10717): rates a picture by how badly it can be reconstructed.

    Channels beside the picture's three are not looked at: BEGAN judges pictures by themselves.
    """

    def __init__(self, size: int, width: int = 32, latent: int = 64) -> None:
        super().__init__()
        self.low = size // 16  # pixels of the innermost maps
        widths = [3, width, 2 * width, 3 * width, 4 * width]
        down: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            down += [nn.Conv2d(before, after, 4, 2, 1), nn.ELU()]
        numbers = widths[-1] * self.low**2
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(numbers, latent))
        self.spread = nn.Linear(latent, numbers)
        up: list[nn.Module] = []
        for before, after in zip(widths[:0:-1], [*widths[-2:0:-1], width], strict=True):
            up += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1), nn.ELU()]
        self.decoder = nn.Sequential(*up, nn.Conv2d(width, 3, 3, padding=1))

    def reconstruct(self, picture: Tensor) -> Tensor:
        """(B, 3, S, S) in 0..1, through the latent and back."""
        x = self.spread(self.encoder(picture * 2 - 1))
        return (self.decoder(x.unflatten(1, (-1, self.low, self.low))) + 1) / 2  # type: ignore[no-any-return]

    def forward(self, window: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 3 or more, S, S) in 0..1 -> absolute errors (B, 3, S, S), and no features."""
        picture = window[:, :3]
        return (picture - self.reconstruct(picture)).abs(), []


def feature_distance(real: list[Tensor], generated: list[Tensor]) -> Tensor:
    """Mean absolute difference of its features (Wang et al. 2018), real ones held."""
    if not real:
        return torch.zeros(())
    parts = [F.l1_loss(p.float(), r.detach().float()) for r, p in zip(real, generated, strict=True)]
    return torch.stack(parts).mean()
