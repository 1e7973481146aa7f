"""Training of GANimation as it was published: `memegen train ganimation DATA`."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memegen import weights
from memegen.devices import has_halves, ready_to_train
from memegen.errors import MemegenError, UsageError
from memegen.facedata.rated import Rated, RatedPictures, load_rated
from memegen.generators.ganimation import (
    UNITS,
    GanimationConfig,
    GanimationDiscriminator,
    GanimationNet,
    blend,
)
from memegen.training import checkpoint
from memegen.training.adversaries import gradient_penalty
from memegen.training.batches import Batch, BatchSampler, for_sheet
from memegen.training.loop import Loop, Task, set_rate, silent
from memegen.training.processes import Processes, bare, processes
from memegen.training.run import Run
from memegen.training.settings import LoopSettings, Rule, checked, setting
from memegen.training.sheets import write_columns
from memegen.training.wasserstein import attention_penalty, au_error, total_variation

SIZES = (128, 256)  # pixels of the crops of the published networks
COLLAPSED = 0.98  # mean attention above which the photo is returned as it is
FLOODED = 0.02  # mean attention below which nothing of the photo is kept
SHOWN = 6  # rows of a sample sheet
BETWEEN = 5  # interpolated expressions on it


@dataclass(frozen=True)
class ObjectiveWeights:
    """How much each term counts. The unnamed ones are the same in every source."""

    units: float  # mean squared error of the action units
    attention: float  # attention, each of both passes
    attention_squared: bool  # by its square, else by itself
    total_variation: float  # total variation of a mask, summed over its pixels
    cycle: float = 10.0  # absolute error of the photo after there and back again
    penalty: float = 10.0  # gradient penalty


# The paper and its public codes disagree. Published code divides the mean error of its units by
# the batch once more (4000 / 25 = 160, which the others write), and sums total variation over it.
SOURCES = {
    "paper": ObjectiveWeights(4000.0, 0.1, True, 1e-4),  # arXiv 1807.09251, section 5
    "authors": ObjectiveWeights(160.0, 0.1, False, 1e-5 * 25),  # albertpumarola/GANimation
    "replicate": ObjectiveWeights(160.0, 0.0, False, 0.0),  # donydchen/ganimation_replicate
}


def network_of(size: int) -> GanimationConfig:
    """The published network for crops of that many pixels: 6 residual blocks, 9 from 256 on."""
    if size not in SIZES:
        raise UsageError(f"`size` {size}: must be {' or '.join(map(str, SIZES))}")
    return GanimationConfig(size=size, blocks=9 if size >= 256 else 6)


@dataclass(frozen=True)
class GanimationTraining(LoopSettings):
    """Every setting of a run. A step is a batch: the discriminator learns from each."""

    steps: int | None = setting(None, "optimiser steps; as many as `epochs` take", least=1)
    epochs: int = setting(30, "times through the data", least=1)
    decay: float = setting(
        1 / 3, "last share of the steps, over which the rate falls to zero: 10 epochs", above=0.0
    )
    batch: int = setting(25, "crops a step", least=1)
    generator_every: int = setting(5, "discriminator steps to one of the generator", least=1)
    lr: float = setting(1e-4, "learning rate of Adam, for both networks", above=0.0)
    betas: tuple[float, float] = (0.5, 0.999)
    noise: float = setting(
        0.1, "uniform, to either side, on the action units of targets", least=0.0
    )
    source: str = setting("authors", "whose loss weights", choices=tuple(SOURCES))
    half: bool = setting(True, "bfloat16 where safe and fast; the gradient penalty stays float32")
    resident: bool = setting(
        False, "all crops decoded into memory first, as it is done on a GPU where they fit"
    )
    compile: bool = setting(False, "the generator through torch.compile")
    channels_last: bool = setting(True, "networks in channels-last order, on a GPU")
    log_steps: int = setting(25, "steps between lines of the log", least=1)
    sheet_steps: int = setting(500, "steps between sample sheets", least=1)
    watch_from: int = setting(250, "step from which a collapsed attention ends the run", least=0)
    network: GanimationConfig = field(
        default_factory=GanimationConfig,
        metadata={
            "rule": Rule("side of the crops: 128 or 256", option="size", parse=network_of, kind=int)
        },
    )

    def draws(self, pictures: RatedPictures, rows: slice) -> BatchSampler:
        """Batches of such pictures; rows: those of this process."""
        return BatchSampler(pictures, self.network.size, self.batch, self.noise, self.seed, rows)

    @property
    def objective(self) -> ObjectiveWeights:
        """How much each term counts."""
        return SOURCES[self.source]


def train(settings: GanimationTraining, run: Run) -> Path:
    """Train on any rated pictures; returns the path of the weights, `out/ganimation.safetensors`.

    Writes `out/log.jsonl`, `out/sheets/*.png` and `out/checkpoint.pt` while it runs; to resume is
    to go on from there exactly. Under torchrun all processes share each batch, and the first
    writes. Raises MemegenError where the loss is not finite or the attention collapses.
    """
    checked(settings)
    if run.resume:
        checkpoint.required(run.out)
    ready_to_train(settings.seed)
    with processes(run.device or torch.device("cpu")) as team:
        with team.first_alone():  # labels of photos are kept in a cache
            pictures = load_rated(run.data, run.log if team.rank == 0 else silent)
        return Loop(GanimationTask(settings, team, pictures, run.init), run, team)()


class GanimationTask(Task[Batch]):
    """Both networks and their optimisers, the pictures they learn from, and a step of learning."""

    name = "ganimation"
    au_order = UNITS
    smoothing = 0.9
    read_error = staticmethod(au_error)  # of what the discriminator reads, against what it should

    def __init__(
        self, settings: GanimationTraining, team: Processes, data: Rated, init: str | None = None
    ) -> None:
        """Raises WeightsError where the weights `init` do not fit."""
        self.settings: GanimationTraining = settings
        self.team, self._data = team, data
        generator, discriminator = self.networks()
        for module in (*generator.modules(), *discriminator.modules()):
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, 0, 0.02)  # as all public codes begin
        if init:
            weights.load_state(generator, weights.load(init, self.name))
        for network in (generator, discriminator):
            network.to(team.device)
            if settings.channels_last and team.device.type == "cuda":
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        fused = team.device.type in ("cpu", "cuda")
        made = [
            team.setup(
                network,
                torch.optim.Adam(network.parameters(), settings.lr, settings.betas, fused=fused),
            )
            for network in (generator, discriminator)
        ]
        (self.generator, self.optimizer), (self.discriminator, self.discriminator_optimizer) = made
        if settings.compile:
            self.generator = torch.compile(self.generator)

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """Generator and discriminator, new."""
        config = self.settings.network
        return GanimationNet(config), GanimationDiscriminator(config)

    @property
    def steps(self) -> int:
        """See Task.steps."""
        s = self.settings
        return s.steps or math.ceil(s.epochs * len(self._data.train) / s.batch)

    @property
    def network(self) -> nn.Module:
        """The generator itself, out of what compiles it and averages its gradients."""
        return bare(getattr(self.generator, "_orig_mod", self.generator))

    def stateful(self) -> dict[str, checkpoint.Stateful]:
        """See Task.stateful."""
        return {
            "generator": self.network, "critic": bare(self.discriminator),
            "optimizer": self.optimizer, "critic_optimizer": self.discriminator_optimizer,
        }  # fmt: skip

    def fixed(self) -> dict[str, Any]:
        """See Task.fixed."""
        s = self.settings
        return {"seed": s.seed, "batch": s.batch, "source": s.source}

    def begin(self, state: Mapping[str, Any]) -> None:
        """Draw what is shown."""
        held_out, size = self._data.held_out, self.settings.network.size
        self._shown = for_sheet(held_out, size, SHOWN).to(self.team.device)

    def batches(self, start: int) -> Generator[Batch, None, None]:
        """See Task.batches."""
        s = self.settings
        draw = s.draws(self._data.train, self.team.batch_slice(s.batch))
        yield from draw.batches(range(start, self.steps), self.team.device, s.resident)

    def set_learning_rates(self, step: int) -> None:
        """Constant, then linear to zero."""
        fall = min(1.0, (1 - self.share(step)) / self.settings.decay)
        for optimizer in (self.optimizer, self.discriminator_optimizer):
            set_rate(optimizer, self.settings.lr * fall)

    def train_step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """One step of the discriminator, and every few steps one of the generator."""
        return self.learn(batch, (step + 1) % self.settings.generator_every == 0)

    def refuse_collapse(self, step: int, figures: Mapping[str, float]) -> None:
        """See Task.refuse_collapse."""
        if step >= self.settings.watch_from:
            refuse_collapse(figures, step)

    def write_sheet(self, path: Path) -> None:
        """See Task.write_sheet."""
        write_sheet(path, self.network, self._shown)

    def line(self, figures: Mapping[str, float]) -> str:
        """See Task.line."""
        names = ("distance", "units of real", "units", "cycle", "attention")
        return "  ".join(f"{name} {figures[name]:.3f}" for name in names if name in figures)

    def learn(self, batch: Batch, both: bool) -> dict[str, Tensor]:
        """One step of the discriminator, and one of the generator if both are to learn."""
        with self._precision(), torch.set_grad_enabled(both):
            network = self.generator if both else self.network
            attention, colour = network(batch.photo, batch.target)
            generated = blend(batch.photo, attention.float(), colour.float())
        found = self.learn_discriminator(batch, generated.detach())
        return found | (self.learn_generator(batch, generated, attention) if both else {})

    def learn_discriminator(self, batch: Batch, generated: Tensor) -> dict[str, Tensor]:
        """One step of the discriminator: real above generated, slope near 1, units of the real."""
        w = self.settings.objective
        with self._precision():  # both in one pass: the weights are the larger part of the work
            verdicts, read = self.discriminator(torch.cat([batch.photo, generated]))
        count = len(batch.photo)
        real, fake = verdicts.float().split(count)
        distance = real.mean() - fake.mean()
        error = self.read_error(read[:count].float(), batch.source)
        penalty = gradient_penalty(self.discriminator, batch.photo, generated, batch.mix)
        loss = w.units * error + w.penalty * penalty - distance
        self._descend(self.discriminator_optimizer, loss)
        return {
            "distance": distance,
            "units of real": error,
            "penalty": penalty,
            "discriminator": loss,
        }

    def learn_generator(self, batch: Batch, generated: Tensor, there: Tensor) -> dict[str, Tensor]:
        """One step of the generator: its picture (and attention) rated, and back again."""
        w, discriminator = self.settings.objective, bare(self.discriminator).requires_grad_(False)
        with self._precision():
            back, colour = self.generator(generated, batch.source)
            again = blend(generated, back.float(), colour.float())
            verdict, read = discriminator(generated)
        attention = [a.float() for a in (there, back)]
        error = self.read_error(read.float(), batch.target)
        cycle = (again - batch.photo).abs().mean()
        loss = w.units * error + w.cycle * cycle - verdict.float().mean()
        loss = loss + w.attention * sum(
            attention_penalty(a, w.attention_squared) for a in attention
        )
        loss = loss + w.total_variation * sum(total_variation(a) for a in attention)
        self._descend(self.optimizer, loss)
        discriminator.requires_grad_(True)
        change = (generated - batch.photo).abs().mean() / 2
        return {
            "units": error, "cycle": cycle, "attention": attention[0].mean(),
            "change": change, "generator": loss,
        }  # fmt: skip

    def _precision(self) -> torch.autocast:
        device = self.team.device
        half = self.settings.half and has_halves(device)
        return torch.autocast(device.type, torch.bfloat16, half)

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        self.team.backward(loss)
        optimizer.step()


def refuse_collapse(history: Mapping[str, float], step: int) -> None:
    """MemegenError where attention keeps everything, or nothing, of the photo; with what helps."""
    attention = history.get("attention", 0.5)
    if COLLAPSED >= attention >= FLOODED:
        return
    if attention > COLLAPSED:
        what = "the photo is returned as it is"
        helps = "`source` authors makes keeping it cost, a lower `lr` lets the discriminator follow"
    else:
        what = "nothing of the photo is kept"
        helps = "`source` replicate lets it be kept for nothing, a lower `lr` helps too"
    raise MemegenError(
        f"attention has collapsed at step {step}: {what} (mean attention {attention:.3f}); {helps}"
    )


def write_sheet(path: Path, network: nn.Module, shown: Batch) -> None:
    """One row a photo: as it is, on the way to another's expression, attention there, the other."""
    photo, other = shown.photo.chunk(2)
    source, target = shown.source.chunk(2)
    network.eval()
    columns = [photo]
    with torch.inference_mode():
        for way in torch.linspace(0, 1, BETWEEN).tolist():
            attention, colour = network(photo, source + way * (target - source))
            columns.append(blend(photo, attention, colour))
    network.train()
    columns += [(attention * 2 - 1).expand_as(photo), other]
    write_columns(path, [(column + 1) / 2 for column in columns])
