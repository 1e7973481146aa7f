"""Draws that cost more than a step: made by processes meanwhile, held on the device, used again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from memegen.training.ring_buffer import Example, RingBuffer
from memegen.training.workers import Workers

FEWEST = 3  # draws that the first step waits for, however long they take
FAILURES = 50  # draws that may fail before the run does: one bad crop is no reason to end it


class Maker(Protocol):
    """Makes draw number `index`, the same one whenever it is asked for."""

    def draw(self, index: int) -> Example:
        """See the class."""
        ...


@dataclass(frozen=True)
class DrawsConfig:
    """How many draws are held, and who makes them."""

    size: int = 4096  # draws held; the oldest make room
    first: int = 256  # draws made before the first step, as far as `patience` lasts
    patience: float = 40.0  # seconds that the first step waits for more than `FEWEST` of them
    workers: int = 2  # processes; 0: the training itself makes `fresh` a step
    fresh: int = 2  # draws taken in a step at most, so that no step waits for long


class Draws:
    """The latest draws on the device.

    Unlike `pairs.Pool`, no step waits for new ones: it takes those that are ready. A network that
    is faster than the processes sees each draw more often, one that is slower each once. Where
    they have died, it goes on with those that are held.
    """

    def __init__(
        self, maker: Maker, config: DrawsConfig, device: torch.device, asked: int = 0
    ) -> None:
        """Begin with draw number `asked`; returns when the first of them are there.

        Raises MemegenError where draws cannot be made.
        """
        self._config = config
        self._workers = Workers(maker.draw, asked, config.workers, FAILURES)
        self._buffer = RingBuffer(config.size, device)
        began = time.monotonic()
        while self.taken < config.first:
            self._buffer.add(self._workers.take())
            if time.monotonic() - began > config.patience and self.taken >= FEWEST:
                break

    @property
    def asked(self) -> int:
        """Number of the draw that comes next."""
        return self._workers.next

    @property
    def taken(self) -> int:
        """How many draws there have been."""
        return self._buffer.added

    @property
    def held(self) -> int:
        """How many draws there are to choose from."""
        return len(self._buffer.held)

    def batch(self, size: int) -> dict[str, Tensor]:
        """`size` held draws at random, after taking in new ones."""
        fresh = self._config.fresh
        if self._config.workers:
            drawn = self._workers.ready(fresh)
        else:
            drawn = [self._workers.take() for _ in range(fresh)]
        for draw in drawn:
            self._buffer.add(draw)
        return self._buffer.batch(size)

    def close(self) -> None:
        """End the processes."""
        self._workers.close()
