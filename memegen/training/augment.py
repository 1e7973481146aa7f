"""Augmentation of aligned crops, in batches, on whatever device they are on.

Real inputs differ from the training crops in how they were aligned, lit, scaled, compressed and
covered; each difference is imitated here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class AugmentConfig:
    """How strongly crops are disturbed. Fractions are of the crop's width."""

    rotation: float = 5.0  # degrees, standard deviation of the misalignment
    scale: float = 0.06  # log scale, standard deviation
    shift: float = 0.025  # standard deviation
    rough: float = 0.12  # share of crops misaligned four times as much, as by a hand-drawn box
    colour: float = 0.2  # spread of brightness, contrast, saturation and channel gains
    grey: float = 0.1  # share without colour
    blur: float = 0.2  # share reduced to 24..80 px and enlarged again
    compress: float = 0.2  # share with JPEG block artefacts
    noise: float = 0.1  # share with sensor noise
    cover: float = 0.12  # share with a patch over part of the face

    def scaled(self, strength: float) -> AugmentConfig:
        """Every spread and share times `strength`."""
        return AugmentConfig(**{name: value * strength for name, value in vars(self).items()})


def similarity(batch: int, config: AugmentConfig, device: torch.device) -> Tensor:
    """(B, 2, 3) random similarity from output to input coordinates, about the crop's centre.

    Coordinates run from -1 to 1, as `torch.nn.functional.affine_grid` takes them.
    """
    strength = torch.where(torch.rand(batch, device=device) < config.rough, 4.0, 1.0)
    normal = torch.randn(4, batch, device=device) * strength
    angle = (normal[0] * math.radians(config.rotation)).clamp(-0.7, 0.7)
    scale = torch.exp((normal[1] * config.scale).clamp(-0.4, 0.4))
    shift = (normal[2:] * 2 * config.shift).clamp(-0.4, 0.4)
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    return torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], -1).view(batch, 2, 3)


def warp_crops(crops: Tensor, theta: Tensor, size: int) -> Tensor:
    """Sample (B, 3, H, W) crops at (B, 3, size, size) through `theta` of `similarity`."""
    grid = F.affine_grid(theta, [len(crops), 3, size, size], align_corners=False)
    return F.grid_sample(crops, grid, padding_mode="border", align_corners=False)


def warp_points(points: Tensor, theta: Tensor) -> Tensor:
    """(B, P, 3) landmarks in crop units of the input to those of the output of `warp_crops`."""
    linear = theta[:, :, :2]
    inverse = torch.linalg.inv(linear)
    flat = (points[..., :2] * 2 - 1 - theta[:, None, :, 2]) @ inverse.transpose(1, 2)
    scale = torch.linalg.det(linear).sqrt()[:, None, None]
    return torch.cat([(flat + 1) / 2, points[..., 2:] / scale], -1)


def in_plane(theta: Tensor) -> Tensor:
    """(B, 3, 3) rotation that `theta` adds to head rotations, in face axes."""
    scale = torch.linalg.det(theta[:, :, :2]).sqrt()
    cos, sin = theta[:, 0, 0] / scale, theta[:, 1, 0] / scale
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    rows = [cos, -sin, zero, sin, cos, zero, zero, zero, one]
    return torch.stack(rows, -1).view(-1, 3, 3)


def disturb(crops: Tensor, config: AugmentConfig) -> Tensor:
    """Photometric disturbances of (B, 3, S, S) crops in 0..1, each on a random share."""
    x = recolour(crops, config)
    x = _some(x, _cover(x), config.cover)
    x = _some(x, _blur(x), config.blur)
    x = _some(x, _noise(x), config.noise)
    x = _some(x, _compress(x), config.compress)
    return x.clamp(0, 1)


def _some(before: Tensor, after: Tensor, share: float) -> Tensor:
    chosen = torch.rand(len(before), 1, 1, 1, device=before.device) < share
    return torch.where(chosen, after, before)


def recolour(x: Tensor, config: AugmentConfig) -> Tensor:
    """Random exposure, contrast, saturation and tint of (B, 3, H, W) pictures in 0..1."""
    batch, spread = len(x), config.colour

    def gain(channels: int = 1, of: float = spread) -> Tensor:
        return torch.exp(torch.randn(batch, channels, 1, 1, device=x.device) * of)

    x = x.clamp(1e-4, 1) ** gain() * gain() * gain(3, spread / 4)
    mean = x.mean((2, 3), keepdim=True)
    x = mean + (x - mean) * gain()
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * gain()
    return _some(x, grey.expand_as(x), config.grey)


def _blur(x: Tensor) -> Tensor:
    small = int(torch.randint(24, 80, ()))
    reduced = F.interpolate(x, size=(small, small), mode="bilinear", antialias=True)
    return F.interpolate(reduced, size=x.shape[2:], mode="bilinear")


def _noise(x: Tensor) -> Tensor:
    sigma = torch.rand(len(x), 1, 1, 1, device=x.device) * 0.08
    return x + torch.randn_like(x) * sigma


def _cover(x: Tensor) -> Tensor:
    """A rotated box of one colour, or of another crop's pixels, over 5 to 25% of the crop."""
    batch, size = len(x), x.shape[-1]
    line = torch.linspace(0, 1, size, device=x.device)
    centre, extent = torch.rand(2, batch, 2, 1, 1, device=x.device)
    extent = 0.08 + 0.2 * extent
    angle = torch.rand(batch, 1, 1, device=x.device) * math.pi
    dx, dy = line[None, None, :] - centre[:, 0], line[None, :, None] - centre[:, 1]
    u = (dx * angle.cos() + dy * angle.sin()).abs() / extent[:, 0]
    v = (dy * angle.cos() - dx * angle.sin()).abs() / extent[:, 1]
    inside = (torch.maximum(u, v) < 1)[:, None]
    flat = torch.rand(batch, 3, 1, 1, device=x.device).expand_as(x)
    other = _some(flat, x.roll(1, 0).flip(2), 0.5)
    return torch.where(inside, other, x)


def _compress(x: Tensor) -> Tensor:
    """JPEG's loss: quantise the 8x8 cosine transform of each channel."""
    k = torch.arange(8, device=x.device)
    basis = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    batch, channels, height, width = x.shape
    blocks = x.view(batch, channels, height // 8, 8, width // 8, 8)
    coefficients = torch.einsum("ui,bcyixj,vj->bcyuxv", basis, blocks, basis)
    step = (1 + k[:, None] + k[None]).float() * (0.01 + 0.05 * float(torch.rand(())))
    step = step[:, None, :]  # (u, 1, v)
    coefficients = torch.round(coefficients / step) * step
    return torch.einsum("ui,bcyuxv,vj->bcyixj", basis, coefficients, basis).reshape(x.shape)
