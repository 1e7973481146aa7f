"""What GANimation's networks are taught by (arXiv 1807.09251, section 4).

Photos are (B, 3, S, S) in -1..1, attention (B, 1, S, S) is how much of the photo stays, action
units (B, U) are 0..1. Every term is a mean over the batch, so that parts of a batch on several
processes add up to the whole.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Critic = Callable[[Tensor], tuple[Tensor, Tensor]]


def gradient_penalty(discriminator: Critic, real: Tensor, generated: Tensor, mix: Tensor) -> Tensor:
    """How far the critic's slope is from 1 between real and generated (Gulrajani et al. 2017).

    mix: (B, 1, 1, 1) share of the real photo, uniform in 0..1. Always in float32: squared slopes
    leave the range in which bfloat16 is of use.
    """
    between = (mix * real + (1 - mix) * generated).detach().float().requires_grad_()
    with torch.autocast(real.device.type, enabled=False):
        verdict, _ = discriminator(between)
        slope = torch.autograd.grad(verdict.sum(), between, create_graph=True)[0]
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def total_variation(attention: Tensor) -> Tensor:
    """Total variation: absolute steps to the right and downward, summed over the mask."""
    across = (attention[..., 1:] - attention[..., :-1]).abs().flatten(1).sum(1)
    down = (attention[..., 1:, :] - attention[..., :-1, :]).abs().flatten(1).sum(1)
    return (across + down).mean()


def attention_penalty(attention: Tensor, squared: bool) -> Tensor:
    """How much of the photo attention keeps, which costs: a mask that keeps all learns nothing."""
    return attention.square().mean() if squared else attention.mean()


def au_error(read: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the action units that the discriminator reads."""
    return (read - target).square().mean()
