"""The training loop that all networks share: resume, deadline, log, checkpoints, sample sheets.

A task says what a step is; read it beside this.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from memegen import weights
from memegen.errors import MemegenError
from memegen.faces.align import CROP
from memegen.training import checkpoint
from memegen.training.checkpoint import Stateful
from memegen.training.clock import Clock, EndRequest
from memegen.training.metrics import MetricsLogger, Readings
from memegen.training.processes import Processes
from memegen.training.run import Run
from memegen.training.settings import LoopSettings

B = TypeVar("B")


class Task(ABC, Generic[B]):
    """What is learnt. The loop calls these in order; those with a body may be left as they are."""

    name: str  # of the model, and of the weights that are written
    au_order: str  # as the weights file says it
    crop: str = CROP  # where a face lies in what the network sees, as the weights file says it
    data: str = ""  # what was learnt from, where it is not what the run was given
    settings: LoopSettings
    smoothing: float = 0.0  # decay of the running mean of figures that is logged
    time_share: float = 0.0  # of `max_minutes` that is over; the loop sets it before each step

    @property
    def steps(self) -> int:
        """Of the whole run: the setting, unless a task counts otherwise."""
        assert self.settings.steps is not None
        return self.settings.steps

    def share(self, step: int) -> float:
        """How much of the run is done at a step, 0..1: what schedules and stages follow.

        The share of the steps, or of the time where `max_minutes` limits it and more of that is
        over: so a schedule comes to its end however fast the machine is.
        """
        return max(step / self.steps, self.time_share)

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """What is shipped; has its `config`."""

    @abstractmethod
    def stateful(self) -> dict[str, Stateful]:
        """Everything that learns, by name, for checkpoints."""

    def state(self) -> dict[str, Any]:
        """Numbers to go on from, beside the step."""
        return {}

    def fixed(self) -> dict[str, Any]:
        """Settings that a run cannot change when it is resumed."""
        return {"seed": self.settings.seed}

    def begin(self, state: Mapping[str, Any]) -> None:
        """Called once, with what `state` said where the run goes on."""

    @abstractmethod
    def batches(self, start: int) -> Generator[B, None, None]:
        """Batches from step `start` on."""

    @abstractmethod
    def set_learning_rates(self, step: int) -> None:
        """Called before each step; `share` says how far the run is."""

    @abstractmethod
    def train_step(self, step: int, batch: B) -> dict[str, Tensor]:
        """Learn from a batch; losses and other figures by name, each a single number."""

    def refuse_collapse(self, step: int, figures: Mapping[str, float]) -> None:
        """Raises MemegenError where running means say that there is no use in going on."""

    def validation_loss(self) -> float:
        """What the shipped network loses on data that nothing was learnt from."""
        raise NotImplementedError

    def write_sheet(self, path: Path) -> None:
        """Write a picture of what the network makes now, if it makes pictures."""

    @abstractmethod
    def line(self, figures: Mapping[str, float]) -> str:
        """What a line of the log shows a person."""


@dataclass
class Progress:
    """How far a run is; kept in its checkpoint."""

    step: int = 0
    best: float = math.inf  # least validation loss
    worse: int = 0  # looks at it since
    seconds: float = 0.0  # of all processes so far
    ending: float = 0.0  # seconds that writing everything takes


class Loop(Generic[B]):
    """One run of one task, in this process of the run's."""

    def __init__(self, task: Task[B], run: Run, team: Processes) -> None:
        self.task, self.run, self.team = task, run, team
        self.first = team.rank == 0  # the one that writes
        self.log = run.log if self.first else silent
        self.progress = Progress()
        self._asked = EndRequest()

    def __call__(self) -> Path:
        """Train to the end; returns the path of the weights, `out/NAME.safetensors`.

        SIGTERM ends the run after the step it is at, as if its time were over.
        Raises MemegenError where a figure is not finite or the task says that it has collapsed.
        """
        if self.first:
            self.run.out.mkdir(parents=True, exist_ok=True)
        self._begin()
        with self._asked.watched():
            self._train()
            return self._end()

    def _train(self) -> None:
        task, s, at = self.task, self.task.settings, self.progress
        start = at.step
        self.clock = clock = Clock(at.seconds, s.max_minutes * 60, at.ending)
        self.readings = Readings(task.smoothing, self._refuse)
        with (
            MetricsLogger(self.run.out if self.first else None, start, self.run.tensorboard) as log,
            closing(task.batches(start)) as batches,
        ):
            for step in range(start, task.steps):
                if self._ends(step):
                    break
                task.time_share = clock.share
                task.set_learning_rates(step)
                batch = clock.waiting(batches)
                self._note(step, task.train_step(step, batch))
                self.progress.step = step + 1
                at.seconds = clock.total
                if s.check_steps and (step + 1) % s.check_steps == 0:
                    self.readings.read()["validation loss"] = self._validate()
                if step % s.log_steps == 0:
                    self._log(step, start, log)
                if self.first and step % s.sheet_steps == 0:
                    self._write_sheet(f"{step:06d}")
                if self.first and clock.save_is_due(s.save_minutes * 60):
                    self.save()
                clock.step()
            self.readings.read()

    def _begin(self) -> None:
        task, out = self.task, self.run.out
        state: dict[str, Any] = {}
        if self.run.resume:
            told = checkpoint.settings_of(task.settings, self.run.data)
            state = checkpoint.restore(out, task.stateful(), task.fixed(), told, self.log)
            ours = Progress.__dataclass_fields__
            self.progress = Progress(**{n: value for n, value in state.items() if n in ours})
        random = torch.get_rng_state()
        task.begin(state)
        if task.settings.check_steps and not self.run.resume:
            self.progress.best = task.validation_loss()
            self.log(f"validation loss before: {self.progress.best:.4f}")
            self.write_weights()
            task.write_sheet(out / "sheets" / "before.png")
        torch.set_rng_state(random)  # whatever loaders and new networks drew

    def _note(self, step: int, parts: Mapping[str, Tensor]) -> None:
        """Keep the figures of a step, averaged over all processes; read them every few steps."""
        stacked = torch.stack([part.detach().float().reshape(()) for part in parts.values()])
        self.readings.add(step, tuple(parts), self.team.mean(stacked))

    def _refuse(self, step: int, numbers: Mapping[str, float], means: Mapping[str, float]) -> None:
        """Raises MemegenError where there is no use in going on from a step."""
        if not all(map(math.isfinite, numbers.values())):
            raise MemegenError(
                f"the loss is not finite at step {step}; try a lower `lr`, and `resume` from the "
                "last checkpoint"
            )
        self.task.refuse_collapse(step, means)

    def _log(self, step: int, start: int, logger: MetricsLogger) -> None:
        means, clock = self.readings.read(), self.clock
        rate = (step + 1 - start) * self.task.settings.batch / clock.seconds
        figures = {"rate": rate, "data_wait": clock.data_wait} | means
        logger.write(step, figures)
        self.log(f"{step:6d}  {self.task.line(figures)}  {rate:.1f}/s")

    def _write_sheet(self, name: str) -> None:
        with self.clock.ending("sheet"):
            self.task.write_sheet(self.run.out / "sheets" / f"{name}.png")

    def _validate(self) -> float:
        """Look at the validation loss, and keep the weights if they are the best so far."""
        at, loss = self.progress, self.task.validation_loss()
        at.worse = 0 if loss < at.best else at.worse + 1
        if loss < at.best:
            at.best = loss
            self.write_weights()
        return loss

    def _ends(self, step: int) -> bool:
        """Whether the run is over before a step: all processes say the same."""
        s, at, clock = self.task.settings, self.progress, self.clock
        if s.check_steps and at.worse >= s.patience:
            self.log(f"stopped at step {step}: no better for {at.worse * s.check_steps} steps")
            return True
        known = [clock.share, float(self._asked.made)]
        clock.share, asked = self.team.mean(torch.tensor(known, dtype=torch.float64)).tolist()
        if asked:
            self.log(f"stopped at step {step}: asked to end")
        elif clock.share >= 1:
            self.log(f"stopped at step {step}: {s.max_minutes:g} minutes are over")
        return bool(asked) or clock.share >= 1

    def _end(self) -> Path:
        """The weights first: whoever ends a process that is out of time finds them."""
        task, path = self.task, weights_path(self.run.out, self.task.name)
        if not self.first:
            return path
        if task.settings.check_steps:
            self._save_checkpoint()
            weights.load_state(task.network, weights.load(str(path), task.name))
            self.log(f"validation loss after: {task.validation_loss():.4f}")
            self._write_sheet("after")
            return path
        self.write_weights()
        self._write_sheet("after")
        self._save_checkpoint()
        return path

    def save(self) -> None:
        """Write the checkpoint, and the weights unless the best are kept."""
        with self.clock.ending("save"):
            self.readings.read()  # what is not finite is not written
            self._save_checkpoint()
            if not self.task.settings.check_steps:
                self.write_weights()
        self.clock.saved()

    def _save_checkpoint(self) -> None:
        task = self.task
        told = checkpoint.settings_of(task.settings, self.run.data)
        self.progress.seconds = self.clock.total
        self.progress.ending = self.clock.ending_seconds
        state = asdict(self.progress) | task.state()
        checkpoint.save(self.run.out, task.stateful(), state, task.fixed(), told)

    def write_weights(self) -> None:
        """The shipped network as a file, with what it was made of."""
        data, task = self.run.data, self.task
        weights.save(
            weights_path(self.run.out, task.name),
            task.network.state_dict(),
            task.name,
            task.network.config,
            au_order=task.au_order,
            crop=task.crop,
            data=task.data or ", ".join(sorted({p.stem for p in data.glob("*.zip")})) or "photos",
            settings=json.dumps(asdict(task.settings)),
            half=True,
            **history_of(self.progress, task.settings.batch, self.team.device),
        )


def history_of(progress: Progress, batch: int, device: torch.device) -> dict[str, str]:
    """What weights say of the run that made them: steps, minutes, images a second, device.

    minutes: of all runs that were resumed, with checkpoints, sheets and waiting for data.
    """
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    told = {"steps": str(progress.step), "device": kind}
    if progress.seconds > 0:
        told["minutes"] = f"{progress.seconds / 60:.3g}"
        told["images_per_second"] = f"{progress.step * batch / progress.seconds:.3g}"
    return told


def weights_path(out: Path, name: str) -> Path:
    """The weights that a run makes, in its folder."""
    return out / f"{name}.safetensors"


def ema_of(network: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel:
    """A network whose weights are an exponential moving average of another's."""
    return torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay),
        use_buffers=True,
    )


def warm_cosine(step: int, steps: int, warmup: int, time_share: float = 0.0) -> float:
    """The share of the peak learning rate: linear warm-up, then a cosine to zero.

    time_share: `Task.time_share`, so that the cosine ends with the run's time.
    """
    done = max(step / steps, time_share)
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * done))


def set_rate(optimizer: Any, lr: float) -> None:
    """The learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def silent(line: str) -> None:
    """What all processes but the first say."""
