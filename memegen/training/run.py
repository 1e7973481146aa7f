"""Where a training reads and writes, and how it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Run:
    """One run of `memegen train`; its settings are the model's own."""

    data: Path  # folder of shards or photos, or a clip
    out: Path  # folder for weights, log, checkpoint and sample sheets
    device: torch.device | None = None  # None: the processor
    resume: bool = False  # go on from the checkpoint in `out`
    init: str | None = None  # weights to begin with: a name, a file or the folder of a run
    tensorboard: bool = False  # write TensorBoard's files beside the log
    log: Callable[[str], None] = print  # told what happens, a line each
