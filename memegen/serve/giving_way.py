"""Jobs beside live previews: somebody looks at those, so jobs leave them a core."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LIVE = 0.3  # seconds after a preview in which the next one is expected
MOST_PAID = 1.0  # processor seconds of work that are paid for at a time
MOST_WAIT = 2.0  # seconds that a job waits at a time: it may be cancelled meanwhile
LEAST_CORES = 0.5  # that all jobs together get: they go on, whatever is looked at


class Gate:
    """Where jobs wait between two frames while previews are painted.

    A leaky bucket: the processor seconds that any job worked since it was here last are added to
    what all of them owe, which runs off by `workers - 1` seconds a second (at least LEAST_CORES);
    a job goes on when what was owed with its own is paid. So on two cores one job works at a time,
    each in its turn, and Python's lock has one other thread that wants it. Without previews
    nobody waits. `clock` tells seconds, `worked` the processor seconds of the thread that asks.
    """

    def __init__(
        self,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cores = max(LEAST_CORES, workers - 1.0)
        self._clock, self._worked, self._sleep = clock, worked, sleep
        self._lock, self._own = threading.Lock(), threading.local()
        self._painting, self._last = 0, float("-inf")  # previews; when one ended
        self._paid = float("-inf")  # when all that is owed will be

    @contextmanager
    def painting(self) -> Iterator[None]:
        """While a preview is painted."""
        with self._lock:
            self._painting += 1
        try:
            yield
        finally:
            with self._lock:
                self._painting -= 1
                self._last = self._clock()

    @property
    def live(self) -> bool:
        """Whether somebody looks at previews."""
        with self._lock:
            return self._painting > 0 or self._clock() - self._last < LIVE

    def give_way(self) -> None:
        """Wait, in a job, until what it worked is paid for, or nobody looks at previews."""
        worked, before = self._worked(), getattr(self._own, "worked", 0.0)
        self._own.worked = worked
        if not self.live:
            return
        now = self._clock()
        with self._lock:
            self._paid = max(self._paid, now) + min(worked - before, MOST_PAID) / self._cores
            until = min(self._paid, now + MOST_WAIT)
        while now < until and self.live:
            self._sleep(min(until - now, LIVE))
            now = self._clock()
