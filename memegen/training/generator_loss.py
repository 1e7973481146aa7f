"""From generated samples to one loss: of pairs, and of samples without a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from memegen.generators.anatomical import WindowPass
from memegen.generators.network import COARSE, smoothed
from memegen.generators.windows import Window, sample_window
from memegen.perception.network import PerceptionNet
from memegen.training import losses
from memegen.training.adversaries import Hinge
from memegen.training.discriminator import (
    MultiScaleDiscriminator,
    PatchDiscriminator,
    feature_distance,
)
from memegen.training.generation import Samples, pixels

OPEN = 0.012  # share of a mouth's window inside the lips from which it counts as open
HINGE = Hinge()


@dataclass(frozen=True)
class LossWeights:
    """How much each part of the loss counts."""

    whole: float = 1.0  # reconstruction of the whole crop
    window: float = 1.0  # reconstruction of each window, at the resolution of the output
    fine: float = 0.15  # share of the same at full resolution, where only the flow can tell
    inside: float = 6.0  # how much more pixels inside the lips count there
    perceptual: float = 0.1  # distance in perception's first layers
    discriminator: float = 0.04  # each discriminator's verdict
    features: float = 0.3  # distance in the discriminators' features
    skin: float = 1.0  # colour of unpaired skin outside the lips
    still: float = 0.5  # any change of theirs: outside the lips, and of the whole
    sparse: float = 0.01  # mean square of what attention changes
    rough: float = 0.05  # its steps
    residual: float = 0.5  # size and steps of the residual flow
    distillation: float = 5.0  # distance from the output of a teacher, where there is one


class Discriminators(nn.Module):
    """One discriminator for each kind of window; of several scales where that is asked for."""

    def __init__(self, scales: int = 1) -> None:
        super().__init__()
        # One scale is the plain network, named in checkpoints as it always was.
        self.mouth = MultiScaleDiscriminator(2, scales) if scales > 1 else PatchDiscriminator(2)

    def of(self, window: Window) -> PatchDiscriminator | MultiScaleDiscriminator:
        """The discriminator of a window."""
        return {"mouth": self.mouth}[window.name]


class View(NamedTuple):
    """One window of the finished pictures."""

    window: Window
    generated: Tensor  # (T, 3, S, S)
    outlines: Tensor  # (T, R, S, S)
    target: Tensor  # (P, 3, S, S) the same place of the first P samples' targets


def views_of(samples: Samples, passes: list[WindowPass], generated: Tensor) -> list[View]:
    """The windows of finished canvases (T, 3, S, S), and of their targets."""
    side, found = samples.target.shape[-1], []
    for window_pass in passes:
        size = window_pass.seen.shape[-1] * COARSE
        affine = pixels(samples.places[f"{window_pass.window.name}/affine"], side)
        found.append(
            View(
                window_pass.window,
                sample_window(generated, affine, size),
                samples.places[f"{window_pass.window.name}/masks"],
                sample_window(samples.target, affine[: samples.paired], size),
            )
        )
    return found


def discriminated(view: View) -> Tensor:
    """Rows of a view that discriminators see: all pairs, and unpaired mouths that are to be open.

    Pairs ask for the expressions that their targets show. Among the unpaired are more shut mouths
    than among real ones, and discriminators that see those soon ask for teeth on shut lips.
    """
    seen = torch.arange(len(view.generated), device=view.generated.device) < len(view.target)
    seen |= view.outlines[:, 0].mean((1, 2)) > OPEN
    return seen.nonzero()[:, 0]


@dataclass(frozen=True)
class GeneratorLoss:
    """Everything that turns generated samples into losses; each part is already weighted."""

    perception: PerceptionNet
    discriminators: Discriminators
    weights: LossWeights

    def supervised(
        self, samples: Samples, generated: Tensor, views: list[View]
    ) -> dict[str, Tensor]:
        """Losses of the pairs, whose target is known."""
        w, p = self.weights, samples.paired
        output, true = generated[:p], samples.target
        parts = {
            "whole": w.whole * losses.reconstruction(output, true, torch.ones_like(output[:, :1]))
        }
        for view in views:
            weight = 1 + w.inside * view.outlines[:p, :1]
            fine = (view.generated[:p], view.target, weight)
            found = losses.reconstruction(*map(smoothed, fine))
            found = found + w.fine * losses.reconstruction(*fine)
            parts[view.window.name] = w.window * found
        parts["perceptual"] = w.perceptual * losses.perceptual(self.perception, output, true)
        return parts

    def unsupervised(
        self, samples: Samples, generated: Tensor, views: list[View]
    ) -> dict[str, Tensor]:
        """Losses of the samples without a target: the skin is left alone."""
        w, p = self.weights, samples.paired
        if len(generated) == p:
            return {}
        output = generated[p:]
        skin, still = generated.new_zeros(()), (output - samples.moved[p:]).abs().mean()
        for view in views:
            affine = pixels(samples.places[f"{view.window.name}/affine"][p:], output.shape[-1])
            before = sample_window(samples.moved[p:], affine, view.generated.shape[-1])
            inside = view.outlines[p:, -1:]
            skin = skin + losses.kept_skin(view.generated[p:], before, inside)
            still = still + losses.changed_outside(view.generated[p:], before, inside)
        return {"skin": w.skin * skin, "still": w.still * still}

    def attention(self, passes: list[WindowPass]) -> dict[str, Tensor]:
        """GANimation's terms: change little, and smoothly."""
        w, terms = self.weights, losses.attention_terms(passes)
        change = w.sparse * terms.sparse + w.rough * terms.rough
        return {"attention": change, "residual": w.residual * terms.residual}

    def adversary(self, views: list[View]) -> dict[str, Tensor]:
        """What discriminators say of generated windows; distance of pairs from their targets."""
        verdicts, distances = [], []
        for view in views:
            discriminator, p = self.discriminators.of(view.window), len(view.target)
            rows = discriminated(view)
            verdict, output = discriminator(
                torch.cat([view.generated[rows], view.outlines[rows]], 1)
            )
            with torch.no_grad():
                _, true = discriminator(torch.cat([view.target, view.outlines[:p]], 1))
            verdicts.append(HINGE.generator(verdict.float()))
            distances.append(feature_distance(true, [feature[:p] for feature in output]))
        return {
            "adversarial": self.weights.discriminator * torch.stack(verdicts).sum(),
            "features": self.weights.features * torch.stack(distances).sum(),
        }

    def discriminators_loss(self, views: list[View]) -> Tensor:
        """The discriminators' own loss: real windows of the targets against generated ones."""
        found = []
        for view in views:
            discriminator, p = self.discriminators.of(view.window), len(view.target)
            real, _ = discriminator(torch.cat([view.target, view.outlines[:p]], 1))
            rows = discriminated(view)
            fake, _ = discriminator(
                torch.cat([view.generated[rows].detach(), view.outlines[rows]], 1)
            )
            found.append(HINGE.discriminator(real.float(), fake.float()))
        return torch.stack(found).sum()
