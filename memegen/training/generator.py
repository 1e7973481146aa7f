"""Training of the generator's networks: `memegen train DATA --model anatomical`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memegen import aus, weights
from memegen.devices import has_halves, ready_to_train
from memegen.errors import MemegenError
from memegen.generators.anatomical import Looked
from memegen.generators.network import GeneratorConfig, GeneratorNet
from memegen.perception.network import PerceptionNet
from memegen.perception.perceive import Perceiver
from memegen.training import checkpoint
from memegen.training.augment import AugmentConfig, recolour
from memegen.training.crops import load_crops
from memegen.training.journal import Journal
from memegen.training.judge import Critics, Judge, LossWeights, views_of
from memegen.training.painting import Samples, paint, samples_of
from memegen.training.pairs import PairConfig, PairMaker, Pool, PoolConfig
from memegen.training.sheets import write_sheet

COLLAPSED = 0.02  # mean change inside mouths below which attention has closed up
FLOODED = 0.85  # mean change of whole windows above which it has let go of the photo
SHOWN = 8  # held-out draws on a sample sheet
CHECKED = 32  # held-out draws that the held-out loss is measured on
WEIGHTS = "anatomical.safetensors"  # what a run makes, in its folder


@dataclass(frozen=True)
class GeneratorTraining:
    """Every setting of a run."""

    steps: int = 2_000  # optimiser steps
    batch: int = 20  # draws a step, each a pair
    unpaired: int = 8  # of them also used without a target
    lr: float = 1e-3  # peak learning rate of Adam, after a linear warm-up, cosine to zero
    warmup: int = 100  # steps
    critic_lr: float = 4e-4  # learning rate of the critics, on the same schedule
    critic_from: int = 500  # step at which the critics join
    half: bool = True  # bfloat16 where it is safe and fast; positions and losses stay float32
    ema: float = 0.998  # decay of the averaged weights that are shipped
    save_minutes: float = 3.0  # between checkpoints
    sheet_steps: int = 500  # between sample sheets
    log_steps: int = 50  # between lines of the log
    seed: int = 0
    # For fine-tuning: the held-out loss is looked at every so many steps (0: never), the best
    # weights are kept, and so many looks in a row without a better one end the run.
    check_steps: int = 0
    patience: int = 6
    frozen_norms: bool = False  # batch statistics stay as they were learnt from many people
    max_minutes: float = math.inf  # then the run stops as if it were done
    weights: LossWeights = field(default_factory=LossWeights)
    pairs: PairConfig = field(default_factory=PairConfig)
    pool: PoolConfig = field(default_factory=PoolConfig)
    colour: AugmentConfig = field(default_factory=lambda: AugmentConfig(colour=0.15, grey=0.06))
    network: GeneratorConfig = field(default_factory=GeneratorConfig)


def fine_tuning() -> GeneratorTraining:
    """Settings for tens of photos of one person, from the shipped weights: short and careful.

    No critics: they learn too slowly to be of use here, and one person's teeth are no riddle that
    only a critic keeps sharp.
    """
    return GeneratorTraining(
        steps=400, lr=3e-4, warmup=20, critic_from=1_000_000, ema=0.98, save_minutes=1.0,
        sheet_steps=100, log_steps=20, check_steps=20, frozen_norms=True,
        pairs=PairConfig(wider=0.15), pool=PoolConfig(size=1024, first=160),
    )  # fmt: skip


@dataclass
class Progress:
    """How far a run is; kept in its checkpoint."""

    step: int = 0
    made: int = 0  # draws of the pool
    best: float = math.inf  # least held-out loss
    worse: int = 0  # looks at it since


def train(
    data: Path,
    out: Path,
    settings: GeneratorTraining,
    device: torch.device,
    resume: bool = False,
    init: str | None = None,
    log: Callable[[str], None] = print,
    tensorboard: bool = False,
) -> Path:
    """Train on shards or photos; returns the path of the weights, `out/anatomical.safetensors`.

    Writes `out/log.jsonl`, `out/sheets/*.png` and `out/checkpoint.pt` while it runs; `resume` goes
    on from there exactly, `init` begins with other weights (a name or a file).
    Raises MemegenError where the loss is not finite or the attention collapses.
    """
    if resume:
        checkpoint.required(out)
    ready_to_train(settings.seed)
    settings = replace(settings, half=settings.half and has_halves(device))
    sources, sides = dict(settings.pairs.sources), settings.network.sides
    crops = load_crops(data, sources, "train", log)
    held_out = PairMaker(load_crops(data, sources, "held out"), settings.pairs, sides, seed=1)
    out.mkdir(parents=True, exist_ok=True)
    run = Run.new(settings, device, init)
    at = run.restore(out, data, log) if resume else Progress()
    random = torch.get_rng_state()
    pool = Pool(
        PairMaker(crops, settings.pairs, sides, settings.seed), settings.pool, device, at.made
    )
    shown = _draws(held_out, SHOWN, SHOWN, device)
    checked = _draws(held_out, CHECKED, 0, device) if settings.check_steps else None
    judge = judge_of(run, device)
    if checked is not None and not resume:
        at.best = run.miss(judge, checked)
        log(f"held out, before: {at.best:.4f}")
        run.write_weights(out, 0, data)
        write_sheet(out / "sheets" / "before.png", run.averaged, shown)
    torch.set_rng_state(random)  # whatever loaders and new networks drew

    saved_at = begun = time.monotonic()
    waited, start = 0.0, at.step
    history: dict[str, float] = {}
    held: dict[str, float] = {}  # the last look at what is held out
    with Journal(out, start, tensorboard) as journal:
        for step in range(start, settings.steps):
            run.set_rates(step)
            asked = time.monotonic()
            batch = pool.batch(settings.batch)
            waited += time.monotonic() - asked
            parts, looks = learn(run, judge, batch, critics=step >= settings.critic_from)
            numbers = {name: float(part.detach()) for name, part in parts.items()}
            numbers |= attention_figures(looks)
            blend = min(0.98, step / (step + 1))
            history = {n: v + blend * (history.get(n, v) - v) for n, v in numbers.items()}
            if not all(map(math.isfinite, numbers.values())):
                raise MemegenError(f"the loss is not finite at step {step}; try a lower --lr")
            if step >= settings.warmup:
                refuse_collapse(history, step)
            at.step, at.made = step + 1, pool.made
            if checked is not None and at.step % settings.check_steps == 0:
                miss = run.miss(judge, checked)
                held = {"held out": miss}
                at.worse = 0 if miss < at.best else at.worse + 1
                if miss < at.best:
                    at.best = miss
                    run.write_weights(out, at.step, data)
            seconds = time.monotonic() - begun
            if step % settings.log_steps == 0:
                rate = (at.step - start) * (settings.batch + settings.unpaired) / seconds
                line = {"rate": rate, "starved": waited / seconds, **history, **held}
                journal.write(step, line)
                log(_line(step, line))
            if step % settings.sheet_steps == 0:
                write_sheet(out / "sheets" / f"{step:06d}.png", run.averaged, shown)
            if time.monotonic() - saved_at > settings.save_minutes * 60:
                run.save(out, at, data)
                saved_at = time.monotonic()
            if at.worse >= settings.patience:
                since = at.worse * settings.check_steps
                log(f"stopped at step {step}: no better for {since} steps")
                break
            if seconds > settings.max_minutes * 60:
                log(f"stopped at step {step}: {settings.max_minutes:g} minutes are over")
                break
    path = run.save(out, at, data)
    if checked is not None:
        weights.load_state(run.averaged, weights.load(str(path), "anatomical"))
        log(f"held out, after: {run.miss(judge, checked):.4f}")
    write_sheet(out / "sheets" / "after.png", run.averaged, shown)
    return path


def _line(step: int, figures: Mapping[str, float]) -> str:
    shown = {"mouth": "mouth", "whole": "whole", "held out": "held out"}
    losses = "  ".join(f"{says} {figures[n]:.4f}" for n, says in shown.items() if n in figures)
    return (
        f"{step:6d}  {losses}  changed {figures['change in mouths']:.2f}  "
        f"{figures['rate']:.1f}/s, {figures['starved']:.0%} waiting"
    )


def learn(
    run: Run, judge: Judge, batch: dict[str, Tensor], critics: bool
) -> tuple[dict[str, Tensor], list[Looked]]:
    """One step of the networks, and of the critics: losses by name, and what was painted."""
    settings = run.settings
    samples = samples_of(batch, canvases(batch, settings.colour), settings.unpaired)
    device = samples.photo.device
    with torch.autocast(device.type, torch.bfloat16, enabled=settings.half):
        painted, looks = paint(run.network, samples)
        views = views_of(samples, looks, painted)
        parts = judge.supervised(samples, painted, views)
        parts |= judge.unsupervised(samples, painted, views)
        parts |= judge.attention(looks)
        if critics:
            run.critics.requires_grad_(False)
            parts |= judge.adversary(views)
            run.critics.requires_grad_(True)
    run.descend(run.optimizer, torch.stack(list(parts.values())).sum(), run.network)
    run.average.update_parameters(run.network)
    if critics:
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.half):
            critics_loss = judge.critics_loss(views)
        run.descend(run.critic_optimizer, critics_loss, run.critics)
        parts |= {"critics": critics_loss}
    return parts, looks


@dataclass(frozen=True)
class Run:
    """Everything that learns, and how it is kept."""

    settings: GeneratorTraining
    network: GeneratorNet
    average: torch.optim.swa_utils.AveragedModel
    critics: Critics
    optimizer: torch.optim.Optimizer
    critic_optimizer: torch.optim.Optimizer

    @classmethod
    def new(cls, settings: GeneratorTraining, device: torch.device, init: str | None) -> Run:
        """A run at its beginning. Raises WeightsError where `init` does not fit."""
        network = GeneratorNet(settings.network)
        if init:
            weights.load_state(network, weights.load(init, "anatomical"))
        if settings.frozen_norms:
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        critics = Critics().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = torch.optim.swa_utils.AveragedModel(
            network,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.ema),
            use_buffers=True,
        )
        return cls(
            settings,
            network,
            average,
            critics,
            torch.optim.Adam(network.parameters(), settings.lr, betas=(0.5, 0.99)),
            torch.optim.Adam(critics.parameters(), settings.critic_lr, betas=(0.0, 0.99)),
        )

    @property
    def averaged(self) -> GeneratorNet:
        """The network that is shipped."""
        network = self.average.module.eval()
        assert isinstance(network, GeneratorNet)
        return network

    def set_rates(self, step: int) -> None:
        """Linear warm-up, then a cosine to zero; the critics begin later, without a warm-up."""
        s = self.settings
        fall = 0.5 * (1 + math.cos(math.pi * step / s.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = s.lr * fall * min(1.0, (step + 1) / s.warmup)
        for group in self.critic_optimizer.param_groups:
            group["lr"] = s.critic_lr * fall

    def descend(self, optimizer: torch.optim.Optimizer, loss: Tensor, model: nn.Module) -> None:
        """One step down a loss."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        names = ("network", "average", "critics", "optimizer", "critic_optimizer")
        return {name: getattr(self, name) for name in names}

    def _begun(self) -> dict[str, Any]:
        return {"--seed": self.settings.seed}

    def restore(self, out: Path, data: Path, say: Callable[[str], None]) -> Progress:
        """Load the checkpoint of `out`; returns how far it was."""
        told = checkpoint.settings_of(self.settings, data)
        return Progress(**checkpoint.restore(out, self._parts(), self._begun(), told, say))

    def save(self, out: Path, at: Progress, data: Path) -> Path:
        """Write the checkpoint, and the weights unless the best are kept."""
        told = checkpoint.settings_of(self.settings, data)
        checkpoint.save(out, self._parts(), asdict(at), self._begun(), told)
        if self.settings.check_steps:
            return out / WEIGHTS
        return self.write_weights(out, at.step, data)

    def write_weights(self, out: Path, step: int, data: Path) -> Path:
        """The averaged weights as a file that generators read."""
        path = out / WEIGHTS
        weights.save(
            path,
            self.average.module.state_dict(),
            "anatomical",
            self.settings.network.sizes(),
            au_order=" ".join(aus.CHANNELS),
            crop="eyes (0.5, 0.40), IOD 0.27",
            data=", ".join(sorted({p.stem for p in data.glob("*.zip")})) or "photos",
            settings=json.dumps(asdict(self.settings)),
            steps=str(step),
        )
        return path

    def miss(self, judge: Judge, samples: Samples) -> float:
        """What the averaged networks lose on pairs that nothing was learnt from."""
        half = self.settings.half
        with (
            torch.inference_mode(),
            torch.autocast(samples.photo.device.type, torch.bfloat16, half),
        ):
            painted, looks = paint(self.averaged, samples)
            parts = judge.supervised(samples, painted, views_of(samples, looks, painted))
        return float(torch.stack(list(parts.values())).sum())


def canvases(batch: Mapping[str, Tensor], colour: AugmentConfig) -> dict[str, Tensor]:
    """The three canvases of every draw in 0..1, recoloured alike."""
    names = ("x", "x_moved", "x_back")
    side_by_side = torch.cat([batch[name] for name in names], 3).float() / 255
    return dict(zip(names, recolour(side_by_side, colour).clamp(0, 1).chunk(3, 3), strict=True))


def attention_figures(looks: list[Looked]) -> dict[str, float]:
    """Mean of 1 - A over all windows, and over mouths."""
    means = {look.window.name: 1 - float(look.painted.attention.detach().mean()) for look in looks}
    return {"change": sum(means.values()) / len(means), "change in mouths": means["mouth"]}


def refuse_collapse(history: Mapping[str, float], step: int) -> None:
    """MemegenError where attention keeps everything, or nothing, of the moved picture."""
    if history["change in mouths"] < COLLAPSED:
        raise MemegenError(
            f"attention has collapsed at step {step}: the moved picture is returned as it is "
            f"(mean change in mouths {history['change in mouths']:.3f}); "
            "try a lower --lr or another --seed"
        )
    if history["change"] > FLOODED:
        raise MemegenError(
            f"attention has collapsed at step {step}: nothing of the moved picture is kept "
            f"(mean change {history['change']:.2f}); try a lower --lr or another --seed"
        )


def _draws(maker: PairMaker, count: int, unpaired: int, device: torch.device) -> Samples:
    """The first draws of a maker, as pairs and unpaired."""
    draws = [maker[index] for index in range(count)]
    batch = {name: torch.stack([d[name] for d in draws]).to(device) for name in draws[0]}
    flat = {name: batch[name].float() / 255 for name in ("x", "x_moved", "x_back")}
    return samples_of(batch, flat, unpaired)


def judge_of(run: Run, device: torch.device) -> Judge:
    """What judges the pictures of a run."""
    return Judge(_perception(device), run.critics, run.settings.weights)


def _perception(device: torch.device) -> PerceptionNet:
    network = Perceiver(device=str(device)).network.requires_grad_(False)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
