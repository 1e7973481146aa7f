"""Losses of a generated face. Canvases and windows are (T, 3, S, S) in 0..1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from memegen.arrays import LUMA
from memegen.generators.anatomical import WindowPass
from memegen.perception.network import PerceptionNet

FEATURES = 8  # layers of the perception network whose output is compared: to 1/4 of its input


def reconstruction(generated: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Absolute error of pixels and of their differences to neighbours, colour held tighter.

    weight (T, 1, S, S). Differences keep edges sharp; colour error counts twice, because a
    discriminator alone leaves coloured fringes.
    """
    difference = generated - target
    luma = (difference * difference.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    chroma = difference - luma
    error = (luma.abs() + 2 * chroma.abs().mean(1, keepdim=True)) * weight
    across = (difference[..., 1:] - difference[..., :-1]).abs() * weight[..., 1:]
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs() * weight[..., 1:, :]
    return error.mean() + across.mean() + down.mean()


def perceptual(
    network: PerceptionNet, generated: Tensor, target: Tensor, side: int | None = None
) -> Tensor:
    """Distance of what the first layers of perception see (as Johnson et al. 2016 do with VGG).

    side: pixels at which they look; those of the network's crops, if none are given.
    """
    early = network.features[:FEATURES]
    size = (side or network.config.size,) * 2
    small = F.interpolate(torch.cat([generated, target]), size, mode="bilinear") * 2 - 1
    with torch.no_grad():
        true = early(small[len(generated) :])
    output = early(small[: len(generated)])
    return F.l1_loss(output.float(), true.float()) / true.float().abs().mean()


def kept_skin(generated: Tensor, moved: Tensor, inside: Tensor) -> Tensor:
    """Change of smoothed colour outside the outlines (T, 1, S, S): no beard, no make-up."""
    outside = 1 - F.max_pool2d(inside, 9, 1, 4)
    return F.avg_pool2d((generated - moved) * outside, 8).abs().mean()


def changed_outside(generated: Tensor, moved: Tensor, inside: Tensor) -> Tensor:
    """Any change outside the outlines (T, 1, S, S), of the finest patterns too."""
    outside = 1 - F.max_pool2d(inside, 9, 1, 4)
    return ((generated - moved) * outside).abs().mean()


@dataclass(frozen=True)
class AttentionTerms:
    """GANimation's terms on the change 1 - A, and the same on the residual flow."""

    sparse: Tensor  # mean square of 1 - A
    rough: Tensor  # mean squared step between neighbours; a mean, so no size changes its weight
    residual: Tensor  # mean square and step of the residual flow


def attention_terms(passes: list[WindowPass]) -> AttentionTerms:
    """Summed over the windows."""
    change = [1 - window_pass.output.attention for window_pass in passes]
    flow = [window_pass.output.residual for window_pass in passes]
    return AttentionTerms(
        torch.stack([c.square().mean() for c in change]).sum(),
        torch.stack([_steps(c) for c in change]).sum(),
        torch.stack([f.square().mean() + 10 * _steps(f) for f in flow]).sum(),
    )


def _steps(x: Tensor) -> Tensor:
    across, down = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
    return across.square().mean() + down.square().mean()
