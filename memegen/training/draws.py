"""Draws that cost more than a step: made by processes meanwhile, held on the device, used again."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from memegen.errors import MemegenError
from memegen.process import one_thread

AHEAD = 3  # draws asked for ahead, of each process
FAILURES = 50  # draws that may fail before the run does

Draw = Mapping[str, np.ndarray]  # arrays of the same names and shapes in every draw


class Maker(Protocol):
    """Makes draw number `index`, the same one whenever it is asked for."""

    def draw(self, index: int) -> Draw:
        """See the class."""
        ...


@dataclass(frozen=True)
class DrawsConfig:
    """How many draws are held, and who makes them."""

    size: int = 4096  # draws held; the oldest make room
    first: int = 256  # draws made before the first step, as far as `patience` lasts
    patience: float = 40.0  # seconds that the first step waits for more than `AHEAD` of them
    workers: int = 2  # processes; 0: the training itself makes `fresh` a step
    fresh: int = 2  # draws taken in a step at most, so that no step waits for long


class Draws:
    """The latest draws on the device.

    Unlike `pairs.Pool`, no step waits for new ones: it takes those that are ready. A network that
    is faster than the processes sees each draw more often, one that is slower each once.
    """

    def __init__(
        self, maker: Maker, config: DrawsConfig, device: torch.device, asked: int = 0
    ) -> None:
        """Begin with draw number `asked`; returns when the first of them are there.

        Raises MemegenError where draws cannot be made.
        """
        self._maker, self._config, self._device = maker, config, device
        self.asked, self.taken, self._failed = asked, 0, 0
        self._rows: dict[str, Tensor] = {}
        self._waiting: deque[Future[Draw]] = deque()
        self._executor: ProcessPoolExecutor | None = None
        if config.workers:
            # Not forked: this process may hold a GPU and threads. Each gets the maker once.
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(config.workers, context, _begin, (maker,))
        began = time.monotonic()
        while self.taken < config.first:
            self._take(1, wait=True)
            if config.workers and self._executor is None:
                break  # these are all that there will be
            if time.monotonic() - began > config.patience and self.taken >= AHEAD:
                break

    @property
    def held(self) -> int:
        """How many draws there are to choose from."""
        return min(self.taken, self._config.size)

    def batch(self, size: int) -> dict[str, Tensor]:
        """`size` held draws at random, after taking in new ones."""
        self._take(self._config.fresh, wait=self._config.workers == 0)
        rows = torch.randint(self.held, (size,)).to(self._device)
        return {name: values[rows] for name, values in self._rows.items()}

    def close(self) -> None:
        """Let the processes go."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    def _take(self, count: int, wait: bool) -> None:
        """Hold up to `count` new draws: those that are ready, or those that come next."""
        self._ask()
        for _ in range(count):
            if not self._config.workers:
                self._hold(self._maker.draw(self.asked))
                self.asked += 1
                continue
            if not self._waiting or not (wait or self._waiting[0].done()):
                return
            try:
                self._hold(self._waiting.popleft().result())
            except BrokenProcessPool:
                self.close()  # what is held is enough to go on with
                self._waiting.clear()
                if not self.held:
                    raise MemegenError("the processes that make training pairs died") from None
                return
            except Exception as error:  # one bad crop is no reason to end a run
                self._failed += 1
                if self._failed > FAILURES:
                    raise MemegenError(f"training pairs cannot be made ({error})") from error
            self._ask()

    def _ask(self) -> None:
        """Keep all processes busy."""
        while self._executor and len(self._waiting) < AHEAD * self._config.workers:
            try:
                self._waiting.append(self._executor.submit(_make, self.asked))
            except BrokenProcessPool:
                self.close()
                return
            self.asked += 1

    def _hold(self, draw: Draw) -> None:
        row = self.taken % self._config.size
        for name, value in draw.items():
            if name not in self._rows:
                kind = torch.from_numpy(value).dtype
                shape = (self._config.size, *value.shape)
                self._rows[name] = torch.empty(shape, dtype=kind, device=self._device)
            self._rows[name][row] = torch.from_numpy(value)
        self.taken += 1


_maker: Maker | None = None  # of a process that makes draws


def _begin(maker: Maker) -> None:
    global _maker
    _maker = maker
    one_thread()
    if hasattr(os, "nice"):  # not on Windows
        os.nice(5)  # the network goes first


def _make(index: int) -> Draw:
    assert _maker is not None
    return _maker.draw(index)
