"""How a run ends: by a signal, tidily; and at its end, at once."""

from __future__ import annotations

import atexit
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

BY_SIGNAL = 128  # and the number of the signal: the exit code of who was ended by one
GRACE = 2.0  # seconds in which who was asked to end tidies up, and is not asked again
ENDING = ("SIGINT", "SIGTERM", "SIGHUP")  # SIGHUP is not on Windows


@dataclass
class Signals:
    """The signal that ends a run; Ctrl-C unless another came."""

    number: int = signal.SIGINT
    came: float = -math.inf  # when, by the monotonic clock

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal: KeyboardInterrupt, unless one came a moment ago."""
        now = time.monotonic()
        if now - self.came < GRACE:
            return
        self.number, self.came = number, now
        raise KeyboardInterrupt


@contextmanager
def ending_tidily() -> Iterator[Signals]:
    """Let every signal that asks a program to end do so as Ctrl-C does: children and files go."""
    ending, before = Signals(), {}
    for name in ENDING:
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) == signal.SIG_IGN:
            continue  # `nohup` has asked for this one to be ignored
        with suppress(ValueError):  # outside the main thread
            before[number] = signal.signal(number, ending)
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class HardExit:
    """An end of this process without Python's own, in which every module is taken apart.

    Of torch's that takes a third of a second and a hundred megabytes, for memory that the system
    takes back anyway. Threads are waited for, and whatever was registered to be done at exit is
    done, if it was after this.
    """

    def __init__(self) -> None:
        self.code = 1  # exit code
        self._process = os.getpid()
        atexit.register(self._end)

    def _end(self) -> None:
        if os.getpid() != self._process:  # a fork, which ends as it likes
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(self.code)
