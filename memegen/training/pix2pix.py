"""Training of paired translation: `memegen train pix2pix DATA`.

Pairs are of `translation_pairs`; the losses are those of pix2pix (arXiv 1611.07004): L1 to the
target and an adversary that sees the input beside the picture. Its discriminators may be several
(`scales`), its game one of `adversaries` (`adversary`). Real pairs do not match pixel by pixel, so
theirs is an L1 of smoothed pictures: creases and light, but no texture.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memegen import aus, weights
from memegen.devices import has_halves, ready_to_train
from memegen.generators.network import condition_of
from memegen.generators.pix2pix import Pix2PixConfig, Pix2PixNet, Translation, translate
from memegen.generators.windows import FACE, MOUTH, sample_window
from memegen.training import checkpoint, losses
from memegen.training.adversaries import ADVERSARIES, Adversary, gradient_penalty
from memegen.training.augment import AugmentConfig, recolour
from memegen.training.checkpoint import Stateful
from memegen.training.crops import Crops, load_crops
from memegen.training.discriminator import (
    AutoencodingDiscriminator,
    MultiScaleDiscriminator,
    feature_distance,
)
from memegen.training.draws import Draws, DrawsConfig
from memegen.training.loop import Loop, Task, ema_of, set_rate
from memegen.training.processes import Alone
from memegen.training.run import Run
from memegen.training.settings import LoopSettings, checked, setting
from memegen.training.sheets import write_columns
from memegen.training.translation_pairs import TranslationConfig, TranslationPairs

SHOWN = 8  # held-out pairs on a sample sheet
CLIPPED = 5.0  # norm of gradients beyond which they are shortened
COARSE = 4  # pixels of a canvas that real pairs are compared over
# How much the adversary's loss counts beside an L1 of 1: verdicts have no scale, errors have L1's.
ADVERSARIAL = {"hinge": 0.05, "lsgan": 0.1, "wgan-gp": 0.02, "began": 0.5}
OPTIMIZERS = ("adam", "rmsprop")


@dataclass(frozen=True)
class TranslationWeights:
    """How much each part of the loss counts."""

    whole: float = 1.0  # reconstruction of warped pairs' canvases
    mouth: float = 2.0  # the same of the mouth's window
    eyes: float = 0.5  # and of each eye's
    real: float = 2.0  # L1 of real pairs, smoothed, inside the face
    features: float = 0.3  # distance in the discriminators' features, of warped pairs
    small: float = 0.02  # mean absolute change outside the mouth: what needs no change stays


@dataclass(frozen=True)
class Pix2PixTraining(LoopSettings):
    """Every setting of a run."""

    steps: int = setting(20_000, "optimiser steps", least=1)
    batch: int = setting(16, "pairs a step", least=1)
    lr: float = setting(4e-4, "learning rate of the generator; constant, then to zero", above=0.0)
    discriminator_lr: float = setting(2e-4, "learning rate of the discriminators", above=0.0)
    optimizer: str = setting("adam", "what descends", choices=OPTIMIZERS)
    adversary: str = setting(
        "hinge",
        "hinge, lsgan or wgan-gp: of patches; began: an autoencoding critic",
        choices=tuple(ADVERSARIES),
    )
    scales: int = setting(1, "discriminators, each of a picture half as large", least=1, most=3)
    adversary_from: float = setting(
        0.05, "share of the run after which the adversary joins", least=0.0, most=1.0
    )
    refine: bool = setting(True, "a local network refines mouth and eyes")
    real: float = setting(0.3, "share of real pairs of one person", least=0.0, most=1.0)
    decay: float = setting(0.4, "last share of the run, over which the rates fall to zero", above=0)
    workers: int = setting(2, "processes that make pairs", least=0)
    half: bool = setting(True, "bfloat16 where it is safe and fast")
    ema: float = setting(0.995, "decay of the averaged weights that are shipped", least=0.0)
    sheet_steps: int = setting(1_000, "steps between sample sheets", least=1)
    weights: TranslationWeights = field(default_factory=TranslationWeights)
    pairs: TranslationConfig = field(default_factory=TranslationConfig)
    draws: DrawsConfig = field(default_factory=DrawsConfig)
    colour: AugmentConfig = field(default_factory=lambda: AugmentConfig(colour=0.15, grey=0.1))
    network: Pix2PixConfig = field(default_factory=Pix2PixConfig)

    @classmethod
    def for_photos(cls) -> Pix2PixTraining:
        """For photos of one person, from weights that know people: short, without an adversary."""
        return cls(
            steps=150, batch=4, lr=1e-4, adversary_from=1.0, ema=0.9, save_minutes=1.0,
            sheet_steps=50, log_steps=10, draws=DrawsConfig(size=256, first=24, fresh=1),
        )  # fmt: skip


def train(settings: Pix2PixTraining, run: Run) -> Path:
    """Train on shards or photos; returns the path of the weights, `out/pix2pix.safetensors`.

    Writes `out/log.jsonl`, `out/sheets/*.png` and `out/checkpoint.pt` while it runs. A step whose
    gradients are not finite is left out.
    """
    checked(settings)
    if run.resume:
        checkpoint.required(run.out)
    ready_to_train(settings.seed)
    device = run.device or torch.device("cpu")
    settings = replace(
        settings,
        half=settings.half and has_halves(device),
        network=replace(settings.network, refine=settings.refine),
        pairs=replace(settings.pairs, real=settings.real),
        draws=replace(settings.draws, workers=settings.workers),
    )
    sources = dict(settings.pairs.warped.sources)
    crops = load_crops(run.data, sources, "train", run.log)
    held_out = load_crops(run.data, sources, "held out")
    return Loop(Pix2PixTask(settings, device, crops, held_out, run.init), run, Alone(device))()


class Pix2PixTask(Task[dict[str, Tensor]]):
    """The networks, what they learn from, and a step of learning."""

    name = "pix2pix"
    au_order = " ".join(aus.CHANNELS)
    smoothing = 0.98

    def __init__(
        self,
        settings: Pix2PixTraining,
        device: torch.device,
        crops: Crops,
        held_out: Crops,
        init: str | None = None,
    ) -> None:
        """Raises WeightsError where the weights `init` do not fit."""
        self.settings: Pix2PixTraining = settings
        self._device, config = device, settings.network
        self._maker, self._held_out = (
            TranslationPairs(c, settings.pairs, config.refined, seed)
            for c, seed in ((crops, settings.seed), (held_out, 1))
        )
        self.generator = Pix2PixNet(config)
        if init:
            weights.load_state(self.generator, weights.load(init, self.name))
        self.judges = judges_of(settings)
        for network in (self.generator, self.judges):
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = ema_of(self.generator, settings.ema)
        self.optimizer = _optimizer(settings, self.generator, settings.lr)
        self.judges_optimizer = _optimizer(settings, self.judges, settings.discriminator_lr)
        self.games: dict[str, Adversary] = {
            name: ADVERSARIES[settings.adversary]() for name in self.judges
        }

    @property
    def network(self) -> Pix2PixNet:
        """The averaged one."""
        network = self.average.module.eval()
        assert isinstance(network, Pix2PixNet)
        return network

    def stateful(self) -> dict[str, Stateful]:
        """See Task.stateful."""
        return {
            "network": self.generator, "average": self.average, "judges": self.judges,
            "optimizer": self.optimizer, "judges_optimizer": self.judges_optimizer,
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """How many draws were asked for, and where the games are."""
        return {"asked": self._draws.asked, "games": {n: g.state() for n, g in self.games.items()}}

    def fixed(self) -> dict[str, Any]:
        """See Task.fixed."""
        s = self.settings
        return {"seed": s.seed, "adversary": s.adversary, "scales": s.scales, "refine": s.refine}

    def begin(self, state: Mapping[str, Any]) -> None:
        """Begin to draw, and draw what is shown."""
        for name, game in state.get("games", {}).items():
            self.games[name].restore(game)
        config = self.settings.draws
        self._draws = Draws(self._maker, config, self._device, int(state.get("asked", 0)))
        shown = [self._held_out.draw(index) for index in range(SHOWN)]
        self._shown = {
            name: torch.from_numpy(np.stack([d[name] for d in shown])).to(self._device)
            for name in shown[0]
        }

    def batches(self, start: int) -> Generator[dict[str, Tensor], None, None]:
        """See Task.batches."""
        try:
            while True:
                yield self._draws.batch(self.settings.batch)
        finally:
            self._draws.close()

    def set_learning_rates(self, step: int) -> None:
        """Constant, then linear to zero."""
        self._done = self.share(step)
        fall = min(1.0, (1 - self._done) / self.settings.decay)
        set_rate(self.optimizer, self.settings.lr * fall)
        set_rate(self.judges_optimizer, self.settings.discriminator_lr * fall)

    def train_step(self, step: int, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """One step of the generator, and one of the discriminators once they have joined."""
        s = self.settings
        pair = _prepared(batch, s.colour)
        joined = self._done >= s.adversary_from
        with self._precision():
            made = self._translated(self.generator, pair)
            views = self._views(made, pair)
            parts = self._supervised(made, pair)
            if joined:
                self.judges.requires_grad_(False)
                parts |= self._adversarial(views, pair)
                self.judges.requires_grad_(True)
        loss = torch.stack([part.float() for part in parts.values()]).sum()
        if self._descend(self.optimizer, loss, self.generator):
            self.average.update_parameters(self.generator)
        figures = dict(parts)
        if joined:
            figures |= self._learn_judges(views)
        figures["change"] = (made.picture - pair["moved"]).detach().abs().mean()
        return {name: torch.nan_to_num(value.detach()) for name, value in figures.items()}

    def write_sheet(self, path: Path) -> None:
        """Photo, moved by the mesh, translated, what changed (times 3), target."""
        pair = _prepared(self._shown, None)
        with torch.inference_mode(), self._precision():
            made = self._translated(self.network, pair).picture.float()
        change = (made - pair["moved"]) * 3 + 0.5
        write_columns(path, [pair["photo"], pair["moved"], made, change, pair["target"]])

    def line(self, figures: Mapping[str, float]) -> str:
        """See Task.line."""
        names = ("whole", "mouth", "real", "distance", "convergence", "k", "change")
        shown = [f"{name} {figures[name]:.4f}" for name in names if name in figures]
        return "  ".join([*shown, f"{self._draws.taken} pairs"])

    def _translated(self, network: Pix2PixNet, pair: Mapping[str, Tensor]) -> Translation:
        names = [window.name for window in (FACE, *network.config.refined)]
        places = dict(zip(names, pair["affines"].unbind(1), strict=True))
        side = pair["photo"].shape[-1]
        photo = F.avg_pool2d(pair["photo"], side // network.config.size)
        units = condition_of(pair["source"], pair["reached"])
        return translate(network, photo, pair["moved"], places, units)

    def _views(
        self, made: Translation, pair: Mapping[str, Tensor]
    ) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        """What each discriminator sees: generated, target, and the moved picture beside both."""
        size = self.settings.network.size
        side = pair["target"].shape[-1] // size
        whole = (F.avg_pool2d(made.picture, side), F.avg_pool2d(pair["target"], side))
        found = {FACE.name: (*whole, made.moved)}
        if MOUTH.name in self.judges:
            affine, side = pair["affines"][:, 1], self.settings.network.refine_side
            pictures = (made.picture, pair["target"], pair["moved"])
            mouths = [sample_window(p, affine, side) for p in pictures]
            found[MOUTH.name] = (mouths[0], mouths[1], mouths[2])
        return found

    def _supervised(self, made: Translation, pair: Mapping[str, Tensor]) -> dict[str, Tensor]:
        w, c = self.settings.weights, self.settings.network
        real = pair["real"][:, None, None, None]
        generated, target = made.picture.float(), pair["target"]
        warped = (1 - real).expand_as(target[:, :1])
        parts = {"whole": w.whole * losses.reconstruction(generated, target, warped)}
        for part, window in enumerate(c.refined, 1):
            affine, side = pair["affines"][:, part], c.side_of(window)
            seen, wanted = (sample_window(p, affine, side) for p in (generated, target))
            weight = (1 - real).expand_as(seen[:, :1])
            name, share = ("mouth", w.mouth) if window is MOUTH else ("eyes", w.eyes)
            error = share * losses.reconstruction(seen, wanted, weight)
            parts[name] = parts[name] + error if name in parts else error
        difference = F.avg_pool2d(generated - target, COARSE).abs()
        parts["real"] = w.real * (difference * F.avg_pool2d(pair["weight"], COARSE) * real).mean()
        parts["small"] = w.small * (generated - pair["moved"]).abs().mean()
        return parts

    def _adversarial(
        self, views: Mapping[str, tuple[Tensor, Tensor, Tensor]], pair: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """What the discriminators say of the generator; distance of their features."""
        s, warped = self.settings, pair["real"] < 0.5
        verdicts, distances = [], []
        for name, (generated, target, moved) in views.items():
            ratings, features = self.judges[name](torch.cat([generated, moved], 1))
            verdicts.append(self.games[name].generator(ratings.float()))
            if features:
                with torch.no_grad():
                    _, true = self.judges[name](torch.cat([target, moved], 1))
                kept = [[f * warped[:, None, None, None] for f in fs] for fs in (true, features)]
                distances.append(feature_distance(*kept))
        found = {"adversarial": ADVERSARIAL[s.adversary] * torch.stack(verdicts).sum()}
        if distances:
            found["features"] = s.weights.features * torch.stack(distances).sum()
        return found

    def _learn_judges(
        self, views: Mapping[str, tuple[Tensor, Tensor, Tensor]]
    ) -> dict[str, Tensor]:
        """One step of all discriminators; figures are those of the last, the most local."""
        parts, rated = [], {}
        for name, (generated, target, moved) in views.items():
            game, judge = self.games[name], self.judges[name]
            true, made = (torch.cat([p.detach(), moved], 1).float() for p in (target, generated))
            with self._precision():
                real, fake = (judge(p)[0].float() for p in (true, made))
            rated[name] = (real.detach(), fake.detach())
            parts.append(game.discriminator(real, fake))
            if game.penalty:
                mix = torch.rand(len(real), 1, 1, 1, device=real.device)
                parts.append(game.penalty * gradient_penalty(judge, true, made, mix))
        loss, figures = torch.stack(parts).sum(), dict[str, Tensor]()
        if self._descend(self.judges_optimizer, loss, self.judges):
            for name, (real, fake) in rated.items():
                figures = self.games[name].update(real, fake)
        return figures | {"discriminators": loss}

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor, model: nn.Module) -> bool:
        """One step down a loss; False where gradients were not finite and it was left out."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), CLIPPED)
        finite = bool(torch.isfinite(norm))
        if finite:
            optimizer.step()
        return finite

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self.settings.half)


def judges_of(settings: Pix2PixTraining) -> nn.ModuleDict:
    """A discriminator of the whole face, and one of the mouth where that is refined."""
    c = settings.network
    sides = {FACE.name: c.size} | ({MOUTH.name: c.refine_side} if c.refine else {})
    if settings.adversary == "began":
        return nn.ModuleDict({name: AutoencodingDiscriminator(s) for name, s in sides.items()})
    return nn.ModuleDict({name: MultiScaleDiscriminator(3, settings.scales) for name in sides})


def _optimizer(settings: Pix2PixTraining, network: nn.Module, lr: float) -> torch.optim.Optimizer:
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr)
    return torch.optim.Adam(network.parameters(), lr, betas=(0.5, 0.999))


def _prepared(batch: Mapping[str, Tensor], colour: AugmentConfig | None) -> dict[str, Tensor]:
    """A batch of draws as floats, its pictures recoloured alike."""
    names = ("photo", "moved", "target")
    together = torch.cat([batch[name] for name in names], 3).float() / 255
    if colour is not None:
        together = recolour(together, colour).clamp(0, 1)
    pictures = dict(zip(names, together.chunk(3, 3), strict=True))
    return dict(batch) | pictures | {
        "weight": batch["weight"].float() / 255, "real": batch["real"].float()
    }  # fmt: skip
