"""Adversaries: what a discriminator and a generator play for, each formula stated once.

All of them take *ratings*, tensors of any shape. Those of a patch discriminator are verdicts, high
for real; those of an autoencoding discriminator are its errors of reconstruction, low for real.
`discriminator` and `generator` are losses to be made small, single numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

PENALTY = 10.0  # weight of the gradient penalty, as Gulrajani et al. 2017 and StarGAN have it

Critic = Callable[[Tensor], tuple[Tensor, Any]]  # pictures to ratings, and whatever else


class Adversary(Protocol):
    """One game between two networks."""

    penalty: float  # weight of `gradient_penalty` in the discriminator's loss; 0: none

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """The discriminator's loss of its ratings."""
        ...

    def generator(self, generated: Tensor) -> Tensor:
        """The generator's loss of the discriminator's ratings."""
        ...

    def update(self, real: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Called after each step of the discriminator; figures for the log."""
        ...

    def state(self) -> dict[str, float]:
        """Numbers that a run goes on from."""
        ...

    def restore(self, state: dict[str, float]) -> None:
        """Go on from such numbers."""
        ...


class Stateless:
    """A game without a memory."""

    penalty = 0.0

    def update(self, real: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """How far the mean verdicts are apart."""
        return {"distance": real.mean() - generated.mean()}

    def state(self) -> dict[str, float]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, float]) -> None:
        """Nothing to do."""


class Hinge(Stateless):
    """The hinge loss (Lim and Ye 2017, arXiv 1705.02894).

    D: `mean max(0, 1 - real) + mean max(0, 1 + generated)`; G: `-mean generated`.
    """

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """See Adversary.discriminator."""
        return F.relu(1 - real).mean() + F.relu(1 + generated).mean()

    def generator(self, generated: Tensor) -> Tensor:
        """See Adversary.generator."""
        return -generated.mean()


class LeastSquares(Stateless):
    """Least squares (LSGAN, Mao et al. 2017, arXiv 1611.04076), with labels 1 and 0.

    D: `mean (real - 1)^2 / 2 + mean generated^2 / 2`; G: `mean (generated - 1)^2 / 2`.
    """

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """See Adversary.discriminator."""
        return ((real - 1).square().mean() + generated.square().mean()) / 2

    def generator(self, generated: Tensor) -> Tensor:
        """See Adversary.generator."""
        return (generated - 1).square().mean() / 2


class Wasserstein(Stateless):
    """Earth mover's distance with a gradient penalty (WGAN-GP, Gulrajani et al. 2017, 1704.00028).

    D: `mean generated - mean real + 10 * gradient_penalty`; G: `-mean generated`.
    """

    penalty = PENALTY

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """See Adversary.discriminator; without the penalty, which needs the network."""
        return generated.mean() - real.mean()

    def generator(self, generated: Tensor) -> Tensor:
        """See Adversary.generator."""
        return -generated.mean()


@dataclass
class Equilibrium:
    """BEGAN's game (Berthelot et al. 2017, arXiv 1703.10717): ratings are errors `L`.

    D: `L(real) - k L(generated)`; G: `L(generated)`; after each step
    `k <- clip(k + rate (balance L(real) - L(generated)), 0, 1)`. The measure of convergence is
    `M = L(real) + |balance L(real) - L(generated)|`.
    """

    balance: float = (
        0.5  # gamma: L(generated) / L(real) that is held; lower is sharper, less varied
    )
    rate: float = 1e-3  # lambda: how fast k follows
    k: float = 0.0  # how much the discriminator minds generated pictures, 0..1
    penalty: float = 0.0

    def discriminator(self, real: Tensor, generated: Tensor) -> Tensor:
        """See Adversary.discriminator."""
        return real.mean() - self.k * generated.mean()

    def generator(self, generated: Tensor) -> Tensor:
        """See Adversary.generator."""
        return generated.mean()

    def update(self, real: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Move k; returns it and the measure of convergence."""
        true, made = real.detach().float().mean(), generated.detach().float().mean()
        gap = self.balance * true - made
        moved = self.k + self.rate * float(gap)
        if moved == moved:  # an undefined error must not stay in k
            self.k = min(max(moved, 0.0), 1.0)
        return {"convergence": true + gap.abs(), "k": true.new_tensor(self.k)}

    def state(self) -> dict[str, float]:
        """Where k is."""
        return {"k": self.k}

    def restore(self, state: dict[str, float]) -> None:
        """See Adversary.restore."""
        self.k = float(state.get("k", self.k))


ADVERSARIES: dict[str, Callable[[], Adversary]] = {
    "hinge": Hinge,
    "lsgan": LeastSquares,
    "wgan-gp": Wasserstein,
    "began": Equilibrium,
}


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
