"""The time of a run: what is over, what is left, what waits; and who asks it to end."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

B = TypeVar("B")
SLACK = 1.2  # times as long as an ending took is kept free for the last one
FIRST_SAVE = (
    0.25  # share of a limited run by which it has saved once, and knows how long that takes
)


class Clock:
    """Seconds of a run; those of earlier processes, whose checkpoint it goes on from, count too.

    before: seconds that went by in these; limit: seconds of the whole run, writing included;
    ending: seconds that an ending took these.
    """

    def __init__(self, before: float = 0.0, limit: float = math.inf, ending: float = 0.0) -> None:
        self._began = self._saved = time.monotonic()
        self._before, self._limit, self._ending = before, limit, ending
        self._waited = 0.0
        self._took = dict[str, float]()  # seconds of what the ending consists of
        self._stepped = before  # total seconds as of the last step
        self.share = min(1.0, before / limit)  # of the time, as of the last step; 1 as it ends

    def waiting(self, batches: Generator[B, None, None]) -> B:
        """The next batch."""
        asked = time.monotonic()
        batch = next(batches)
        self._waited += time.monotonic() - asked
        return batch

    @contextmanager
    def ending(self, part: str) -> Iterator[None]:
        """Something that comes at the end too, by name: as much time as it took is kept free."""
        began = time.monotonic()
        yield
        self._took[part] = time.monotonic() - began

    def saved(self) -> None:
        """A checkpoint was written now."""
        self._saved = time.monotonic()

    def save_is_due(self, every: float) -> bool:
        """Whether the last save was `every` seconds ago, or less where the run is short."""
        return time.monotonic() - self._saved > min(every, FIRST_SAVE * self._limit)

    def step(self) -> None:
        """A step is over: see how much of the time that leaves, and whether for another."""
        now, left = self.total, self._limit - SLACK * self.ending_seconds
        another = now + (now - self._stepped) <= left
        self.share = max(self.share, now / left) if another else 1.0
        self._stepped = now

    @property
    def ending_seconds(self) -> float:
        """How long an ending takes, as far as is known."""
        return sum(self._took.values()) or self._ending

    @property
    def seconds(self) -> float:
        """In this process."""
        return time.monotonic() - self._began

    @property
    def total(self) -> float:
        """In all processes of the run."""
        return self._before + self.seconds

    @property
    def data_wait(self) -> float:
        """Share of the time that the network waited for data."""
        return self._waited / max(self.seconds, 1e-9)


class EndRequest:
    """Whether SIGTERM asked this process to end: the loop then writes its weights and ends."""

    def __init__(self) -> None:
        self.made, self._process = False, os.getpid()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """SIGTERM is a request inside, and what it was before afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may say what signals do
            return
        before = signal.signal(signal.SIGTERM, self._asked)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._process:
            self.made = True
            return
        signal.signal(number, signal.SIG_DFL)  # a process that was forked off: ends as usual
        os.kill(os.getpid(), number)
