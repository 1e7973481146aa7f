"""Training of GANimation as it was published: `memegen train DATA --model ganimation`."""

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

from memegen import weights
from memegen.devices import has_halves, ready_to_train
from memegen.errors import MemegenError
from memegen.facedata.rated import RatedPictures, load_rated
from memegen.generators.ganimation import (
    UNITS,
    GanimationConfig,
    GanimationCritic,
    GanimationNet,
    blend,
)
from memegen.prefetch import prefetch
from memegen.training import checkpoint
from memegen.training.draws import Batch, Draws, for_sheet
from memegen.training.journal import Journal
from memegen.training.processes import Processes, bare, processes
from memegen.training.sheets import write_columns
from memegen.training.wasserstein import expression_miss, gradient_penalty, kept, roughness

WEIGHTS = "ganimation.safetensors"  # what a run makes, in its folder
COLLAPSED = 0.98  # mean attention above which the photo is returned as it is
FLOODED = 0.02  # mean attention below which nothing of the photo is kept
SHOWN = 6  # rows of a sample sheet
BETWEEN = 5  # interpolated expressions on it


@dataclass(frozen=True)
class ObjectiveWeights:
    """How much each term counts. The unnamed ones are the same in every source."""

    units: float  # mean squared error of the action units
    kept: float  # attention, each of both passes
    kept_squared: bool  # by its square, else by itself
    rough: float  # total variation of a mask, summed over its pixels
    cycle: float = 10.0  # absolute error of the photo that was painted there and back
    penalty: float = 10.0  # gradient penalty


# The paper and its public codes disagree. Published code divides the mean error of its units by
# the batch once more (4000 / 25 = 160, which the others write), and sums roughness over the batch.
SOURCES = {
    "paper": ObjectiveWeights(4000.0, 0.1, True, 1e-4),  # arXiv 1807.09251, section 5
    "authors": ObjectiveWeights(160.0, 0.1, False, 1e-5 * 25),  # albertpumarola/GANimation
    "replicate": ObjectiveWeights(160.0, 0.0, False, 0.0),  # donydchen/ganimation_replicate
}


@dataclass(frozen=True)
class GanimationTraining:
    """Every setting of a run. A step is a batch: the critic learns from each."""

    steps: int | None = None  # of them; as many as `epochs` takes unless given
    epochs: int = 30  # times through the data
    decay: float = 1 / 3  # last share of the steps, over which the rate falls to zero: 10 epochs
    batch: int = 25
    generator_every: int = 5  # critic steps to one of the generator
    lr: float = 1e-4  # Adam, for both
    betas: tuple[float, float] = (0.5, 0.999)
    noise: float = 0.1  # uniform, to either side, on the action units of targets
    source: str = "authors"  # which weights of SOURCES
    half: bool = True  # bfloat16 where safe and fast; the gradient penalty stays float32
    compile: bool = False  # the generator through torch.compile
    save_minutes: float = 3.0  # between checkpoints
    sheet_steps: int = 500  # between sample sheets
    log_steps: int = 25  # between lines of the log
    watch_from: int = 250  # step from which a collapsed attention ends the run
    max_minutes: float = math.inf  # then the run stops as if it were done
    seed: int = 0
    network: GanimationConfig = field(default_factory=GanimationConfig)

    def draws(self, pictures: RatedPictures, rows: slice) -> Draws:
        """Batches of such pictures; rows: those of this process."""
        return Draws(pictures, self.network.size, self.batch, self.noise, self.seed, rows)

    @property
    def objective(self) -> ObjectiveWeights:
        """How much each term counts."""
        return SOURCES[self.source]

    def for_size(self, size: int) -> GanimationTraining:
        """The published network for crops of that many pixels: 6 residual blocks, 9 from 256 on."""
        config = replace(self.network, size=size, blocks=9 if size >= 256 else 6)
        return replace(self, network=config)


def train(
    data: Path,
    out: Path,
    settings: GanimationTraining,
    device: torch.device,
    resume: bool = False,
    init: str | None = None,
    log: Callable[[str], None] = print,
    tensorboard: bool = False,
) -> Path:
    """Train on any rated pictures; returns the path of the weights, `out/ganimation.safetensors`.

    Writes `out/log.jsonl`, `out/sheets/*.png` and `out/checkpoint.pt` while it runs; `resume` goes
    on from there exactly, `init` begins with other weights (a name or a file). Under torchrun all
    processes share each batch, and the first writes.
    Raises MemegenError where the loss is not finite or the attention collapses.
    """
    if resume:
        checkpoint.required(out)
    ready_to_train(settings.seed)
    with processes(device) as team:
        first = team.rank == 0
        say = log if first else _silent
        pictures, held_out = load_rated(data, say)
        shown = for_sheet(held_out, settings.network.size, SHOWN).to(team.device)
        if first:
            out.mkdir(parents=True, exist_ok=True)
        run = Run.new(settings, team, init)
        start = run.restore(out, data, say) if resume else 0
        steps = settings.steps or math.ceil(settings.epochs * len(pictures) / settings.batch)
        draw = settings.draws(pictures, team.share(settings.batch))
        saved_at = begun = time.monotonic()
        waited, done = 0.0, start
        history: dict[str, float] = {}
        with Journal(out if first else None, start, tensorboard) as journal:
            batches = prefetch(draw, range(start, steps), workers=2, depth=4)
            for step in range(start, steps):
                run.set_rates(step / steps)
                asked = time.monotonic()
                batch = next(batches).to(team.device)
                waited += time.monotonic() - asked
                parts = run.learn(batch, (step + 1) % settings.generator_every == 0)
                numbers = {name: float(team.mean(part.detach())) for name, part in parts.items()}
                if not all(map(math.isfinite, numbers.values())):
                    raise MemegenError(
                        f"the loss is not finite at step {step}; try a lower --lr, and --resume "
                        "from the last checkpoint"
                    )
                history = {n: history.get(n, v) + 0.1 * (v - history.get(n, v))
                           for n, v in (history | numbers).items()}  # fmt: skip
                if step >= settings.watch_from:
                    refuse_collapse(history, step)
                done, seconds = step + 1, time.monotonic() - begun
                if done % settings.log_steps == 0:
                    rate = (done - start) * settings.batch / seconds
                    journal.write(step, {"rate": rate, "starved": waited / seconds} | history)
                    say(_line(step, history, rate))
                if first and step % settings.sheet_steps == 0:
                    write_sheet(out / "sheets" / f"{step:06d}.png", run.painter, shown)
                if first and time.monotonic() - saved_at > settings.save_minutes * 60:
                    run.save(out, done, data)
                    saved_at = time.monotonic()
                if float(team.mean(torch.tensor(seconds))) > settings.max_minutes * 60:
                    say(f"stopped at step {step}: {settings.max_minutes:g} minutes are over")
                    break
            batches.close()
        if first:
            run.save(out, done, data)
            write_sheet(out / "sheets" / "after.png", run.painter, shown)
    return out / WEIGHTS


def _silent(line: str) -> None:
    """What all processes but the first say."""


def _line(step: int, figures: Mapping[str, float], rate: float) -> str:
    names = ("distance", "units of real", "units", "cycle", "attention")
    said = "  ".join(f"{name} {figures[name]:.3f}" for name in names if name in figures)
    return f"{step:6d}  {said}  {rate:.1f}/s"


@dataclass(frozen=True)
class Run:
    """Both networks and their optimisers, and how they are kept."""

    settings: GanimationTraining
    team: Processes
    generator: Any  # GanimationNet, maybe compiled or wrapped
    critic: Any  # GanimationCritic, maybe wrapped
    optimizer: Any
    critic_optimizer: Any

    @classmethod
    def new(cls, settings: GanimationTraining, team: Processes, init: str | None) -> Run:
        """A run at its beginning. Raises WeightsError where `init` does not fit."""
        generator, critic = GanimationNet(settings.network), GanimationCritic(settings.network)
        for module in (*generator.modules(), *critic.modules()):
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, 0, 0.02)  # as all public codes begin
        if init:
            weights.load_state(generator, weights.load(init, "ganimation"))
        generator.to(team.device)
        critic.to(team.device)
        fused = team.device.type in ("cpu", "cuda")
        made = [
            team.setup(
                network,
                torch.optim.Adam(network.parameters(), settings.lr, settings.betas, fused=fused),
            )
            for network in (generator, critic)
        ]
        if settings.compile:
            made[0] = (torch.compile(made[0][0]), made[0][1])
        return cls(settings, team, made[0][0], made[1][0], made[0][1], made[1][1])

    @property
    def painter(self) -> GanimationNet:
        """The generator itself."""
        found = bare(getattr(self.generator, "_orig_mod", self.generator))
        assert isinstance(found, GanimationNet)
        return found

    def set_rates(self, progress: float) -> None:
        """Constant, then linear to zero. progress: share of all steps that is done."""
        fall = min(1.0, (1 - progress) / self.settings.decay)
        for optimizer in (self.optimizer, self.critic_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = self.settings.lr * fall

    def learn(self, batch: Batch, both: bool) -> dict[str, Tensor]:
        """One step of the critic, and one of the generator if both are to learn."""
        with self._precision(), torch.set_grad_enabled(both):
            network = self.generator if both else self.painter
            attention, colour = network(batch.photo, batch.wanted)
            painted = blend(batch.photo, attention.float(), colour.float())
        found = self.learn_critic(batch, painted.detach())
        return found | (self.learn_generator(batch, painted, attention) if both else {})

    def learn_critic(self, batch: Batch, painted: Tensor) -> dict[str, Tensor]:
        """One step of the critic: real above painted, its slope near 1, units of real photos."""
        w = self.settings.objective
        with self._precision():  # both in one pass: the weights are the larger part of the work
            verdicts, read = self.critic(torch.cat([batch.photo, painted]))
        count = len(batch.photo)
        real, fake = verdicts.float().split(count)
        distance = real.mean() - fake.mean()
        miss = expression_miss(read[:count].float(), batch.own)
        penalty = gradient_penalty(self.critic, batch.photo, painted, batch.mix)
        loss = w.units * miss + w.penalty * penalty - distance
        self._descend(self.critic_optimizer, loss)
        return {"distance": distance, "units of real": miss, "penalty": penalty, "critic": loss}

    def learn_generator(self, batch: Batch, painted: Tensor, there: Tensor) -> dict[str, Tensor]:
        """One step of the generator: what it painted (and its attention) judged, and back again."""
        w, critic = self.settings.objective, bare(self.critic).requires_grad_(False)
        with self._precision():
            back, colour = self.generator(painted, batch.own)
            again = blend(painted, back.float(), colour.float())
            verdict, read = critic(painted)
        attention = [a.float() for a in (there, back)]
        miss = expression_miss(read.float(), batch.wanted)
        cycle = (again - batch.photo).abs().mean()
        loss = w.units * miss + w.cycle * cycle - verdict.float().mean()
        loss = loss + w.kept * sum(kept(a, w.kept_squared) for a in attention)
        loss = loss + w.rough * sum(roughness(a) for a in attention)
        self._descend(self.optimizer, loss)
        critic.requires_grad_(True)
        change = (painted - batch.photo).abs().mean() / 2
        return {
            "units": miss, "cycle": cycle, "attention": attention[0].mean(),
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

    def _parts(self) -> dict[str, checkpoint.Stateful]:
        return {
            "generator": self.painter, "critic": bare(self.critic),
            "optimizer": self.optimizer, "critic_optimizer": self.critic_optimizer,
        }  # fmt: skip

    def _begun(self) -> dict[str, Any]:
        s = self.settings
        return {"--seed": s.seed, "--batch": s.batch, "--source": s.source}

    def restore(self, out: Path, data: Path, say: Callable[[str], None]) -> int:
        """Load the checkpoint of `out`; returns how many steps it has done."""
        told = checkpoint.settings_of(self.settings, data)
        return int(checkpoint.restore(out, self._parts(), self._begun(), told, say)["step"])

    def save(self, out: Path, step: int, data: Path) -> None:
        """Write the checkpoint and the weights."""
        told = checkpoint.settings_of(self.settings, data)
        checkpoint.save(out, self._parts(), {"step": step}, self._begun(), told)
        weights.save(
            out / WEIGHTS,
            self.painter.state_dict(),
            "ganimation",
            self.settings.network.sizes(),
            au_order=UNITS,
            data=", ".join(sorted({p.stem for p in data.glob("*.zip")})) or "photos",
            settings=json.dumps(asdict(self.settings)),
            steps=str(step),
        )


def refuse_collapse(history: Mapping[str, float], step: int) -> None:
    """MemegenError where attention keeps everything, or nothing, of the photo; with what helps."""
    attention = history.get("attention", 0.5)
    if COLLAPSED >= attention >= FLOODED:
        return
    if attention > COLLAPSED:
        what = "the photo is returned as it is"
        helps = "--source authors makes keeping it cost, a lower --lr lets the critic come along"
    else:
        what = "nothing of the photo is kept"
        helps = "--source replicate lets it be kept for nothing, a lower --lr helps too"
    raise MemegenError(
        f"attention has collapsed at step {step}: {what} (mean attention {attention:.3f}); {helps}"
    )


def write_sheet(path: Path, network: GanimationNet, shown: Batch) -> None:
    """One row a photo: as it is, on the way to another's expression, attention there, the other."""
    photo, other = shown.photo.chunk(2)
    own, wanted = shown.own.chunk(2)
    network.eval()
    columns = [photo]
    with torch.inference_mode():
        for way in torch.linspace(0, 1, BETWEEN).tolist():
            attention, colour = network(photo, own + way * (wanted - own))
            columns.append(blend(photo, attention, colour))
    network.train()
    columns += [(attention * 2 - 1).expand_as(photo), other]
    write_columns(path, [(column + 1) / 2 for column in columns])
