"""What GANimation's networks are taught by (arXiv 1807.09251, section 4).

Photos are (B, 3, S, S) in -1..1, attention (B, 1, S, S) is how much of the photo stays, action
units (B, U) are 0..1. Every term is a mean over the batch, so that parts of a batch on several
processes add up to the whole. Its adversary, WGAN-GP, is in `adversaries`.
"""

from __future__ import annotations

from torch import Tensor


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
