"""Runs that are killed at random moments, and go on."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from memegen.training.run import Run

CPU = torch.device("cpu")
# What takes seconds to import; the first optimiser would bring in `torch._dynamo`.
PRELOADED = ["torch._dynamo", "memegen.training.ganimation", "memegen.training.generator"]


def same_weights(one: Path, other: Path) -> bool:
    wanted, found = load_file(one), load_file(other)
    return all(torch.equal(wanted[name], found[name]) for name in wanted)


def killed_and_resumed(
    train: Callable[..., Path], data: Path, out: Path, settings: object, whole: Path, longest: float
) -> Path:
    """Weights of a run that kill -9 ended ten times, after up to `longest` seconds each.

    Where a run does not even come to its first checkpoint in that time, the next gets longer.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    random, kills, resumed = np.random.default_rng(0), 0, 0
    checkpoint = out / "checkpoint.pt"
    while kills < 10 or not resumed:
        resumed += checkpoint.exists()
        args = (settings, Run(data, out, CPU, checkpoint.exists(), log=str))
        child = context.Process(target=train, args=args)
        child.start()
        child.join(random.uniform(0.05, longest))
        if child.exitcode is None:
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.join()
        longest *= 1 if checkpoint.exists() else 1.3
        if child.exitcode == 0:  # it was done already: the next begins anew
            assert same_weights(whole, out / whole.name)
            checkpoint.unlink()
    return train(settings, Run(data, out, CPU, checkpoint.exists(), log=str))
