"""What a run says of itself while it goes on: JSON lines, and TensorBoard where it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from memegen.errors import UsageError

NAME = "log.jsonl"  # in the folder of a run
READ_STEPS = 10  # steps between looks at figures that are not on the processor
Refuse = Callable[[int, Mapping[str, float], Mapping[str, float]], None]


class Readings:
    """Figures of steps and their running means, fetched from the device for many steps at once.

    Every look at a number makes a GPU wait for its processor; it stays where it is until a line of
    the log or a checkpoint needs it, or `READ_STEPS` steps have gone by.
    A step may give only some of the figures; `decay` is that of the running means.
    `refuse` is called for every step in turn, with its own figures and the means up to then.
    """

    def __init__(self, decay: float, refuse: Refuse) -> None:
        self._decay, self._refuse = decay, refuse
        self._waiting: list[tuple[int, tuple[str, ...], Tensor]] = []
        self._means: dict[str, float] = {}

    def add(self, step: int, names: tuple[str, ...], figures: Tensor) -> None:
        """Keep (F,) figures of a step. Raises what `refuse` raises, for this step or others."""
        self._waiting.append((step, names, figures))
        if figures.device.type == "cpu" or len(self._waiting) >= READ_STEPS:
            self.read()

    def read(self) -> dict[str, float]:
        """The running means up to the last step. Raises what `refuse` raises."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            numbers = iter(torch.cat([figures for _, _, figures in waiting]).tolist())
            for step, names, _ in waiting:
                found = {name: next(numbers) for name in names}
                self._add(step, found)
                self._refuse(step, found, self._means)
        return self._means

    def _add(self, step: int, numbers: Mapping[str, float]) -> None:
        kept = min(self._decay, step / (step + 1))
        for name, number in numbers.items():
            self._means[name] = number + kept * (self._means.get(name, number) - number)


class MetricsLogger(AbstractContextManager["MetricsLogger"]):
    """`out/log.jsonl`, one object a line; `out/tensorboard/` beside it if asked for.

    out: folder of the run; None writes nothing, for all but the first of several processes.
    start: the step that a run goes on from; what a killed one said of later steps is dropped.
    Raises UsageError if TensorBoard is asked for and not installed.
    """

    def __init__(self, out: Path | None, start: int = 0, tensorboard: bool = False) -> None:
        self._file, self._board = None, None
        if out is None:
            return
        self._board = _board(out / "tensorboard", start) if tensorboard else None
        _keep_before(out / NAME, start)
        self._file = (out / NAME).open("a")

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """One line, on disk when this returns."""
        if self._file is None:
            return
        line = {"step": step} | {name: round(value, 5) for name, value in figures.items()}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()


def _keep_before(path: Path, start: int) -> None:
    """Leave only whole lines of steps before `start`. Killed at any moment, it loses none."""
    kept = []
    for line in path.read_text().splitlines(keepends=True) if start and path.exists() else []:
        try:
            if json.loads(line)["step"] < start:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue  # cut off by whatever killed it
    side_by_side = path.with_name(f"{NAME}.part")
    side_by_side.write_text("".join(kept))
    side_by_side.replace(path)


def _board(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "`tensorboard` needs the tensorboard package: pip install 'memegen-faces[train]'"
        ) from None
    return SummaryWriter(str(folder), purge_step=start or None)
