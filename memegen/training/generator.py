"""Training of the generator's networks: `memegen train anatomical DATA`."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memegen import aus, weights
from memegen.devices import has_halves, ready_to_train
from memegen.errors import MemegenError, UsageError
from memegen.generators.anatomical import WindowPass
from memegen.generators.network import SMALL, GeneratorConfig, GeneratorNet, WindowConfig
from memegen.perception.analyze import FaceAnalyzer
from memegen.perception.network import PerceptionNet
from memegen.training import checkpoint
from memegen.training.augment import AugmentConfig, recolour
from memegen.training.checkpoint import Stateful
from memegen.training.crops import Crops, load_crops
from memegen.training.distillation import distances, teacher_named
from memegen.training.generation import Samples, generate, run_windows, samples_of
from memegen.training.generator_loss import Discriminators, GeneratorLoss, LossWeights, views_of
from memegen.training.loop import Loop, Task, ema_of, set_rate, warm_cosine
from memegen.training.pairs import PairConfig, PairDataset, Pool, PoolConfig
from memegen.training.processes import Alone
from memegen.training.run import Run
from memegen.training.settings import LoopSettings, Rule, checked, setting
from memegen.training.sheets import write_sheet

COLLAPSED = 0.02  # mean change inside mouths below which attention has closed up
FLOODED = 0.85  # mean change of whole windows above which it has let go of the photo
SHOWN = 8  # held-out draws on a sample sheet
CHECKED = 32  # held-out draws that the validation loss is measured on
CLIPPED = 5.0  # norm of gradients beyond which they are shortened
NEVER = 1_000_000  # step at which discriminators join that are not wanted
_TEACHER = "weights of a network whose output is matched beside the pairs' targets"


def _network_of(text: str) -> GeneratorConfig:
    """The sizes that `24,48,96` or `24,48,96,2` ask for; action units enter by the last width."""
    try:
        fine, middle, coarse, *blocks = map(int, text.split(","))
    except ValueError:
        fine, middle, coarse, blocks = 0, 0, 0, []
    if min(fine, middle, coarse, *blocks) < 1 or len(blocks) > 1:
        raise UsageError(f"`width` {text}: must be three numbers, as 24,48,96, or four")
    deep = blocks[0] if blocks else 2
    usual = GeneratorConfig().mouth
    mouth = WindowConfig(usual.side, (fine, middle, coarse), usual.masks, deep)
    return GeneratorConfig(mouth, condition=coarse)


_WIDTH = Rule(
    "feature maps at 1/2, 1/4 and 1/8 of the mouth's window and, fourth, residual blocks",
    option="width", parse=_network_of, kind=str,
)  # fmt: skip


@dataclass(frozen=True)
class GeneratorTraining(LoopSettings):
    """Every setting of a run."""

    steps: int = setting(2_000, "optimiser steps", least=1)
    batch: int = setting(20, "draws a step, each a pair", least=1)
    unpaired: int = setting(8, "of them also used without a target", least=0)
    lr: float = setting(1e-3, "peak learning rate of Adam; warm-up, then cosine to zero", above=0.0)
    sheet_steps: int = setting(500, "steps between sample sheets", least=1)
    check_steps: int = setting(0, "steps between looks at the validation loss; 0: none", least=0)
    patience: int = setting(6, "looks without a better one that end the run", least=1)
    warmup: int = setting(100, "steps of the warm-up", least=1)
    discriminator_lr: float = setting(
        4e-4, "learning rate of the discriminators, on that schedule", above=0.0
    )
    discriminator_from: int = setting(500, "step at which the discriminators join", least=0)
    scales: int = setting(1, "discriminators, each of a picture half as large", least=1, most=3)
    half: bool = setting(True, "bfloat16 where it is safe and fast")
    ema: float = setting(0.998, "decay of the averaged weights that are shipped", least=0.0)
    frozen_norms: bool = setting(False, "batch statistics stay as many people taught them")
    teacher: str | None = setting(None, _TEACHER)
    workers: int | None = setting(None, "processes that make draws; none: 2", least=0)
    fresh: int | None = setting(None, "new draws a step, the others of its batch again", least=1)
    weights: LossWeights = field(default_factory=LossWeights)
    pairs: PairConfig = field(default_factory=PairConfig)
    pool: PoolConfig = field(default_factory=PoolConfig)
    colour: AugmentConfig = field(default_factory=lambda: AugmentConfig(colour=0.15, grey=0.06))
    network: GeneratorConfig = field(default_factory=GeneratorConfig, metadata={"rule": _WIDTH})

    @property
    def drawn(self) -> PoolConfig:
        """The pool, with the `workers` and `fresh` draws that were asked for."""
        asked = {"workers": self.workers, "fresh": self.fresh}
        return replace(self.pool, **{n: value for n, value in asked.items() if value is not None})

    @classmethod
    def for_photos(cls) -> GeneratorTraining:
        """For tens of photos of one person, from the shipped weights: short and careful.

        No discriminators: they learn too slowly to be of use here, and one person's teeth are no
        riddle that only a discriminator keeps sharp.
        """
        return cls(
            steps=400, lr=3e-4, warmup=20, discriminator_from=NEVER, ema=0.98, save_minutes=1.0,
            sheet_steps=100, log_steps=20, check_steps=20, frozen_norms=True,
            pairs=PairConfig(wider=0.15), pool=PoolConfig(size=1024, first=160),
        )  # fmt: skip


@dataclass(frozen=True)
class SmallGeneratorTraining(GeneratorTraining):
    """Of `anatomical-small`: what the default returns is its lesson, so there is no adversary."""

    lr: float = setting(2e-3, "peak learning rate of Adam; warm-up, then cosine to zero", above=0.0)
    discriminator_from: int = setting(NEVER, "step at which the discriminators join", least=0)
    teacher: str | None = setting("anatomical", _TEACHER)
    pool: PoolConfig = field(default_factory=lambda: PoolConfig(first=160))
    network: GeneratorConfig = field(default_factory=lambda: SMALL, metadata={"rule": _WIDTH})


def train_small(settings: SmallGeneratorTraining, run: Run) -> Path:
    """Distil `anatomical-small`; see `train`."""
    return train(settings, run, "anatomical-small")


def train(settings: GeneratorTraining, run: Run, name: str = "anatomical") -> Path:
    """Train on shards or photos; returns the path of the weights, `out/NAME.safetensors`.

    Writes `out/log.jsonl`, `out/sheets/*.png` and `out/checkpoint.pt` while it runs; to resume is
    to go on from there exactly.
    Raises MemegenError where the loss is not finite or the attention collapses.
    """
    checked(settings)
    if run.resume:
        checkpoint.required(run.out)
    ready_to_train(settings.seed)
    device = run.device or torch.device("cpu")
    settings = replace(settings, half=settings.half and has_halves(device))
    sources = dict(settings.pairs.sources)
    crops = load_crops(run.data, sources, "train", run.log)
    held_out = load_crops(run.data, sources, "held out")
    task = GeneratorTask(settings, device, crops, held_out, run.init, name)
    return Loop(task, run, Alone(device))()


class GeneratorTask(Task[dict[str, Tensor]]):
    """Networks and discriminators, what they learn from, and a step of learning."""

    au_order = " ".join(aus.CHANNELS)
    smoothing = 0.98

    def __init__(
        self,
        settings: GeneratorTraining,
        device: torch.device,
        crops: Crops,
        held_out: Crops,
        init: str | None = None,
        name: str = "anatomical",
    ) -> None:
        """Raises WeightsError where the weights `init`, or the teacher's, do not fit."""
        self.name = name
        self.settings: GeneratorTraining = settings
        self._device = device
        sides = settings.network.sides
        self._pairs = PairDataset(crops, settings.pairs, sides, settings.seed)
        self._held_out = PairDataset(held_out, settings.pairs, sides, seed=1)
        self.generator = GeneratorNet(settings.network)
        if init:
            weights.load_state(self.generator, weights.load(init, self.name))
        if settings.frozen_norms:
            for module in self.generator.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        self.generator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminators = Discriminators(settings.scales)
        self.discriminators.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = ema_of(self.generator, settings.ema)
        self.teacher = None
        if settings.teacher:
            self.teacher = teacher_named(settings.teacher, settings.network, device)
        self.optimizer = torch.optim.Adam(
            self.generator.parameters(), settings.lr, betas=(0.5, 0.99)
        )
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminators.parameters(), settings.discriminator_lr, betas=(0.0, 0.99)
        )

    @property
    def network(self) -> GeneratorNet:
        """The averaged one."""
        network = self.average.module.eval()
        assert isinstance(network, GeneratorNet)
        return network

    def stateful(self) -> dict[str, Stateful]:
        """See Task.stateful."""
        return {
            "network": self.generator, "average": self.average, "critics": self.discriminators,
            "optimizer": self.optimizer, "critic_optimizer": self.discriminator_optimizer,
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """How many draws the pool has made."""
        return {"made": self._pool.made}

    def fixed(self) -> dict[str, Any]:
        """See Task.fixed."""
        return super().fixed() | {"scales": self.settings.scales}

    def begin(self, state: Mapping[str, Any]) -> None:
        """Fill the pool with the draws that it held, and draw what is shown and checked."""
        made = int(state.get("made", 0))
        self._pool = Pool(self._pairs, self.settings.drawn, self._device, made)
        self._shown = _draws(self._held_out, SHOWN, SHOWN, self._device)
        if self.settings.check_steps:
            self._checked = _draws(self._held_out, CHECKED, 0, self._device)
        self._loss = GeneratorLoss(
            _perception(self._device), self.discriminators, self.settings.weights
        )

    def batches(self, start: int) -> Generator[dict[str, Tensor], None, None]:
        """See Task.batches."""
        try:
            while True:
                yield self._pool.batch(self.settings.batch)
        finally:
            self._pool.close()

    def set_learning_rates(self, step: int) -> None:
        """Linear warm-up, then a cosine to zero; the discriminators begin later, without one."""
        s = self.settings
        steps, time = self.steps, self.time_share
        set_rate(self.optimizer, s.lr * warm_cosine(step, steps, s.warmup, time))
        fall = warm_cosine(step, steps, 1, time)
        set_rate(self.discriminator_optimizer, s.discriminator_lr * fall)

    def train_step(self, step: int, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """One step of the networks, and of the discriminators once they have joined."""
        s, with_discriminators = self.settings, step >= self.settings.discriminator_from
        samples = samples_of(batch, canvases(batch, s.colour), s.unpaired)
        with self._precision():
            generated, passes = generate(self.generator, samples)
            views = views_of(samples, passes, generated)
            parts = self._loss.supervised(samples, generated, views)
            parts |= self._loss.unsupervised(samples, generated, views)
            parts |= self._loss.attention(passes)
            if self.teacher is not None:
                parts |= {"distillation": self._distillation(self.teacher, samples, passes)}
            if with_discriminators:
                self.discriminators.requires_grad_(False)
                parts |= self._loss.adversary(views)
                self.discriminators.requires_grad_(True)
        _descend(self.optimizer, torch.stack(list(parts.values())).sum(), self.generator)
        self.average.update_parameters(self.generator)
        if with_discriminators:
            with self._precision():
                discriminators_loss = self._loss.discriminators_loss(views)
            _descend(self.discriminator_optimizer, discriminators_loss, self.discriminators)
            parts |= {"discriminators": discriminators_loss}
        return parts | attention_figures(passes)

    def _distillation(
        self, teacher: GeneratorNet, samples: Samples, passes: list[WindowPass]
    ) -> Tensor:
        """The weighted distance of what the networks returned from what a teacher does."""
        with torch.no_grad():
            taught = run_windows(teacher, samples)
        parts = distances(passes, taught)
        return self.settings.weights.distillation * torch.stack(list(parts.values())).sum()

    def refuse_collapse(self, step: int, figures: Mapping[str, float]) -> None:
        """See Task.refuse_collapse. To change as little as a teacher does is no collapse."""
        if step >= self.settings.warmup and self.teacher is None:
            refuse_collapse(figures, step)

    def validation_loss(self) -> float:
        """What the averaged networks lose on pairs that nothing was learnt from."""
        samples = self._checked
        with torch.inference_mode(), self._precision():
            generated, passes = generate(self.network, samples)
            parts = self._loss.supervised(samples, generated, views_of(samples, passes, generated))
        return float(torch.stack(list(parts.values())).sum())

    def write_sheet(self, path: Path) -> None:
        """See Task.write_sheet."""
        write_sheet(path, self.network, self._shown)

    def line(self, figures: Mapping[str, float]) -> str:
        """See Task.line."""
        names = ("mouth", "whole", "distillation", "validation loss")
        losses = "  ".join(f"{name} {figures[name]:.4f}" for name in names if name in figures)
        changed, waiting = figures["change in mouths"], figures["data_wait"]
        return f"{losses}  changed {changed:.2f}  {waiting:.0%} waiting"

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self.settings.half)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, model: nn.Module) -> None:
    """One step down a loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), CLIPPED)
    optimizer.step()


def canvases(batch: Mapping[str, Tensor], colour: AugmentConfig) -> dict[str, Tensor]:
    """The three canvases of every draw in 0..1, recoloured alike."""
    names = ("x", "x_moved", "x_back")
    side_by_side = torch.cat([batch[name] for name in names], 3).float() / 255
    return dict(zip(names, recolour(side_by_side, colour).clamp(0, 1).chunk(3, 3), strict=True))


def attention_figures(passes: list[WindowPass]) -> dict[str, Tensor]:
    """Mean of 1 - A over all windows, and over mouths."""
    means = {
        window_pass.window.name: 1 - window_pass.output.attention.detach().mean()
        for window_pass in passes
    }
    return {"change": torch.stack(list(means.values())).mean(), "change in mouths": means["mouth"]}


def refuse_collapse(history: Mapping[str, float], step: int) -> None:
    """MemegenError where attention keeps everything, or nothing, of the moved picture."""
    if history["change in mouths"] < COLLAPSED:
        raise MemegenError(
            f"attention has collapsed at step {step}: the moved picture is returned as it is "
            f"(mean change in mouths {history['change in mouths']:.3f}); "
            "try a lower `lr` or another `seed`"
        )
    if history["change"] > FLOODED:
        raise MemegenError(
            f"attention has collapsed at step {step}: nothing of the moved picture is kept "
            f"(mean change {history['change']:.2f}); try a lower `lr` or another `seed`"
        )


def _draws(maker: PairDataset, count: int, unpaired: int, device: torch.device) -> Samples:
    """The first draws of a maker, as pairs and unpaired."""
    draws = [maker[index] for index in range(count)]
    batch = {name: torch.stack([d[name] for d in draws]).to(device) for name in draws[0]}
    flat = {name: batch[name].float() / 255 for name in ("x", "x_moved", "x_back")}
    return samples_of(batch, flat, unpaired)


def _perception(device: torch.device) -> PerceptionNet:
    network = FaceAnalyzer(device=str(device)).network.requires_grad_(False)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
