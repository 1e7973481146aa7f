"""What a run says of itself while it goes on: JSON lines, and TensorBoard where it is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from memegen.errors import UsageError

NAME = "log.jsonl"  # in the folder of a run


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
