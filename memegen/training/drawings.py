"""Drawn pairs for the talking head: one character as it is, with another face, and turned.

Free of torch, so that processes that only draw start at once and stay small.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Future,
    ProcessPoolExecutor,
)
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import cv2
import numpy as np

from memegen.arrays import Array, Picture
from memegen.cartoon.pose import HIGH, LOW, MORPH, POSE, ROTATE, sample_pose
from memegen.cartoon.renderer import render
from memegen.cartoon.style import sample_style

T = TypeVar("T")
TRAINED, HELD_OUT = 0, 1  # whose characters: they never share a seed
_AHEAD = 4  # drawings that every process has been asked for
_PATIENCE_SECONDS = 60.0  # for a drawing, which takes a tenth of one


@dataclass(frozen=True)
class DrawingConfig:
    """How triples are drawn. Shares are probabilities."""

    size: int = 256  # pixels
    few: float = 0.35  # share of target poses that move one or two numbers of the face only
    turned: float = 0.85  # share of target poses that turn the head, about each axis
    expressive: float = 0.15  # share of sources that show an expression of their own, a weak one
    strength: float = 0.5  # how much of a random pose that is


@dataclass(frozen=True)
class Triple:
    """One character three times."""

    source: Picture  # (S, S, 3) uint8, head at rest
    morphed: Picture  # with the pose's face, head at rest
    turned: Picture  # in the pose
    own: Array  # (P,) pose of the source; its angles are 0
    pose: Array  # (P,)


def draw(index: int, seed: int = 0, split: int = TRAINED, config: DrawingConfig | None = None,
         ) -> Triple:  # fmt: skip
    """Triple number `index` is always the same one. split: TRAINED or HELD_OUT."""
    c = config or DrawingConfig()
    rng = np.random.default_rng([seed, split, index])
    style, pose = sample_style(rng), sample_target(rng, c)
    own = np.zeros(len(POSE), np.float32)
    if rng.random() < c.expressive:
        own = without_turn(sample_pose(rng) * c.strength)
    return Triple(
        render(style, own, c.size),
        render(style, without_turn(pose), c.size),
        render(style, pose, c.size),
        own.astype(np.float32),
        pose.astype(np.float32),
    )


def sample_target(rng: np.random.Generator, config: DrawingConfig) -> Array:
    """A random pose (P,) for a drawing to be given."""
    pose = sample_pose(rng)
    if rng.random() < config.few:
        few = rng.choice(MORPH, int(rng.integers(1, 3)), replace=False)
        pose = np.zeros(len(POSE), np.float32)
        pose[few] = rng.uniform(LOW[few], HIGH[few])
    turned = rng.random(len(ROTATE)) < config.turned
    pose[list(ROTATE)] = np.where(turned, rng.uniform(-1, 1, len(ROTATE)), 0.0)
    return pose


def without_turn(pose: Array) -> Array:
    """A pose with the head at rest."""
    still = pose.copy()
    still[list(ROTATE)] = 0
    return still


class Drawers(Generic[T]):
    """`make(i)` for i = first, first + 1, ... by processes that work ahead, results in order.

    Where one of the processes dies, this process makes all that is still asked for.
    """

    def __init__(self, make: Callable[[int], T], first: int = 0, workers: int = 0) -> None:
        """No workers: this process makes each when it is asked for."""
        self._make, self._next = make, first
        self._waiting = deque[tuple[int, Future[T]]]()
        self._depth = workers * _AHEAD
        self._pool = None
        if workers:
            # Not forked: this process may hold a GPU and threads.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers, context, _alone, (os.getpid(),))

    def take(self) -> T:
        """The next one, waited for."""
        self._ask()
        if not self._waiting:
            self._next += 1
            return self._make(self._next - 1)
        index, future = self._waiting.popleft()
        try:
            return future.result(_PATIENCE_SECONDS)
        except (BrokenExecutor, CancelledError, futures.TimeoutError):
            self._depth = 0
            return self._make(index)

    def ready(self) -> list[T]:
        """All that need no waiting: none without workers."""
        self._ask()
        found = []
        while self._waiting and self._waiting[0][1].done():
            found.append(self.take())
        return found

    def close(self) -> None:
        """Let the processes end."""
        if self._pool is not None:
            self._pool.shutdown(wait=self._depth > 0, cancel_futures=True)

    def _ask(self) -> None:
        while self._pool is not None and len(self._waiting) < self._depth:
            try:
                future = self._pool.submit(self._make, self._next)
            except BrokenExecutor:
                self._depth = 0
                return
            self._waiting.append((self._next, future))
            self._next += 1


def drawers(
    seed: int, config: DrawingConfig, first: int = 0, workers: int = 0, split: int = TRAINED
) -> Drawers[Triple]:
    """Those that draw triples from number `first` on."""
    make = partial(draw, seed=seed, split=split, config=config)
    return Drawers(make, first, workers)


def _alone(parent: int) -> None:
    """One core for each, the network's process goes first, and none outlives it.

    A signal that ends the run goes to all its processes. One that ended here in the middle of a
    result would have the run wait for the rest of it for ever.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    cv2.setNumThreads(1)
    if hasattr(os, "nice"):  # not on Windows
        os.nice(5)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)
