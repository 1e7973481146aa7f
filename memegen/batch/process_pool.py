"""Workers on this machine: processes, one a core, that share what they have loaded.

Threads of one process would not do: painting is thousands of small operations, between which
Python's lock lets one thread at a time go on, so that two threads paint hardly more than one.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import queue
import secrets
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from itertools import count
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from memegen.batch.jobs import Job
from memegen.batch.launcher import GRACE_SECONDS, Begin, Do, Setup, Start
from memegen.batch.pool_engine import Died, Event
from memegen.batch.worker import SLOTS
from memegen.errors import MemegenError

WAIT_SECONDS = 1.0  # after which `events` has nothing to tell
START_SECONDS = 0.1  # between two looks whether the launcher is still there while it starts
ACCELERATED = 4  # workers that share one GPU, unless told otherwise: each has a context there
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # Linux, control groups version 2
# The launcher's own. One thread a process, and one that waits sleeps.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


class ProcessPool:
    """See `memegen.batch.pool_engine.Pool`.

    workers: how many processes, a core each; all cores unless given, ACCELERATED where they share
    a GPU. say: is told, in one line, what a user should know of jobs that went well.
    """

    slots = SLOTS

    def __init__(self, workers: int | None, device: str, say: Callable[[str], None]) -> None:
        self._workers, self._device, self._say = workers, device, say
        self._numbers = count()
        self._said: set[str] = set()  # once each, however many jobs have it to say
        self._alive: set[int] = set()
        self._launcher: _Launcher | None = None

    def size(self) -> int:
        """How many workers are wanted. The launcher is asked what device `auto` is."""
        if self._workers is None:
            accelerated = self._device != "cpu" and self._ready().device != "cpu"
            self._workers = min(cores(), ACCELERATED) if accelerated else cores()
        return self._workers

    def start(self) -> int:
        """Have the launcher start a worker."""
        number = next(self._numbers)
        self._ready().send(Start(number))
        self._alive.add(number)
        return number

    def submit(self, worker: int, job: Job) -> None:
        """Give a job to a worker."""
        self._ready().send(Do(worker, job))

    def events(self) -> list[Event]:
        """What has happened since; if nothing has, what happens within WAIT_SECONDS."""
        launcher = self._ready()
        found: list[Event] = []
        try:
            while launcher.connection.poll(0 if found else WAIT_SECONDS):
                event, lines = launcher.connection.recv()
                for line in set(lines) - self._said:
                    self._say(line)
                self._said.update(lines)
                if isinstance(event, Died):
                    self._alive.discard(event.worker)
                found.append(event)
        except (EOFError, OSError):
            found += [Died(worker, "the process that started it ended") for worker in self._alive]
            self._forget()
        return found

    def close(self) -> None:
        """End all processes: jobs at their next frame, or within GRACE_SECONDS."""
        self._forget()

    def _forget(self) -> None:
        self._alive.clear()
        if self._launcher is not None:
            self._launcher.close()
            self._launcher = None

    def _ready(self) -> _Launcher:
        if self._launcher is None:
            self._launcher = _Launcher(self._device)
        return self._launcher


class _Launcher:
    """The launcher's process, and the way to it. Raises MemegenError where it does not start."""

    def __init__(self, device: str) -> None:
        authkey = secrets.token_bytes(32)
        with Listener(authkey=authkey) as listener:
            self._process = _process(Setup(listener.address, authkey, device))
            self.connection = _accepted(listener, self._process)
        # Whoever forgets to close it has it closed, when it is collected or the program ends.
        self.close = weakref.finalize(self, _end, self._process, self.connection)
        try:
            begin: Begin = self.connection.recv()
        except (EOFError, OSError):
            raise MemegenError("the processes of the batch do not start") from None
        if begin.error is not None:
            self.close()
            raise begin.error
        self.device = begin.device

    def send(self, message: Any) -> None:
        """Tell it something; that it is gone is an event."""
        with contextlib.suppress(OSError):
            self.connection.send(message)


def cores(quota: Path = CPU_QUOTA) -> int:
    """How many cores this process may use; of a container, no more than its share of time is worth.

    quota: the file that tells that share: microseconds of work in every so many microseconds.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        share, period = map(int, quota.read_text().split())
    except (OSError, ValueError):  # no such system, or "max": no limit
        return allowed or 1
    return max(1, min(allowed or 1, math.ceil(share / period)))


def _process(setup: Setup) -> subprocess.Popen[bytes]:
    """Start a launcher that imports what this process would, and none of its main program."""
    program = f"import sys; sys.path[:] = {sys.path!a}; from memegen.batch import launcher"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{program}; launcher.main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # ours is for results
        env=ENVIRONMENT | dict(os.environ) | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pickle.dump(setup, pipe)
    return process


def _accepted(listener: Listener, process: subprocess.Popen[bytes]) -> Connection:
    """The connection that the process makes. Raises MemegenError if it ends before."""
    made: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=lambda: made.put(listener.accept()), daemon=True).start()
    while True:
        try:
            connection: Connection = made.get(timeout=START_SECONDS)
        except queue.Empty:
            code = process.poll()
            if code is not None:
                raise MemegenError(f"the processes of the batch do not start ({code})") from None
            continue
        return connection


def _end(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    try:
        process.wait(GRACE_SECONDS + 5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
