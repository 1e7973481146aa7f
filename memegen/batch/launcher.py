"""The processes of a local pool: a launcher that loads libraries once, and its workers.

On Linux, workers on the CPU are forked from the launcher: what it has loaded is in memory once,
and they start at once. It is a process of its own so that nothing but it is ever forked: programs
with threads, or with a GPU, cannot safely be. Elsewhere, and on GPUs, workers start afresh.
Whoever loses the connection to the one that started it ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Client, Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from memegen import models
from memegen.batch.jobs import Job
from memegen.batch.pool_engine import Died, Ended, Event, Ready
from memegen.batch.worker import SLOTS, PoolWorker, Stopped
from memegen.errors import MemegenError
from memegen.process import one_thread

GRACE_SECONDS = 10.0  # in which jobs that are given up end by themselves
FORKING = ("linux",)  # systems where a process that has loaded all this can be forked
ASKED_TO_END = ("SIGINT", "SIGTERM", "SIGHUP")  # whole groups are: the first of them says when


@dataclass(frozen=True)
class Setup:
    """What a launcher needs to know."""

    address: Any  # of the one that started it
    authkey: bytes = field(repr=False)
    device: str


@dataclass(frozen=True)
class Begin:
    """A launcher has loaded what it could."""

    device: str  # that `auto` stands for
    error: MemegenError | None = None  # why it is of no use


@dataclass(frozen=True)
class Start:
    """A worker is to start."""

    worker: int


@dataclass(frozen=True)
class Do:
    """A worker is to do a job."""

    worker: int
    job: Job


Said = tuple[Event, list[str]]  # and what a user should know


def main() -> None:
    """The launcher's program; its Setup comes from standard input."""
    setup: Setup = pickle.load(sys.stdin.buffer)
    _leave_signals()
    one_thread()
    with Client(setup.address, authkey=setup.authkey) as parent:
        _Launcher(parent, setup.device).run()


class _Launcher:
    """Starts workers, and passes on what is said to them and by them."""

    def __init__(self, parent: Connection, device: str) -> None:
        self._parent, self._device = parent, device
        self._model: PoolWorker | None = None  # that workers are copies of
        self._workers: dict[Connection, tuple[int, BaseProcess]] = {}

    def run(self) -> None:
        """Serve until the parent is gone."""
        self._parent.send(self._load())
        try:
            while True:
                for heard in wait([self._parent, *self._workers]):
                    if heard is self._parent:
                        self._obey(self._parent.recv())
                    else:
                        self._pass_on(heard)  # type: ignore[arg-type]
        except (EOFError, OSError):
            self._end()

    def _load(self) -> Begin:
        from memegen.devices import device_named

        try:
            device = device_named(self._device)
        except MemegenError as error:
            return Begin(self._device, error)
        if device == "cpu" and sys.platform in FORKING:
            self._model = PoolWorker(device)
            with contextlib.suppress(Exception):  # jobs tell it better
                self._model.load(models.DEFAULT)
        return Begin(device)

    def _obey(self, message: Start | Do) -> None:
        if isinstance(message, Start):
            self._start(message.worker)
            return
        for connection, (number, _) in self._workers.items():
            if number == message.worker:
                with contextlib.suppress(OSError):  # it died, which its connection tells
                    connection.send(message.job)

    def _start(self, number: int) -> None:
        """Start a worker; its connection is the only one that leads to it."""
        context: Any = multiprocessing.get_context("fork" if self._model else "spawn")
        here, there = context.Pipe()
        if self._model:
            ours = [self._parent, here, *self._workers]
            process = context.Process(target=_forked, args=(there, self._model, ours))
        else:
            process = context.Process(target=_spawned, args=(there, self._device))
        process.start()
        there.close()
        self._workers[here] = number, process
        self._parent.send((Ready(number), []))

    def _pass_on(self, connection: Connection) -> None:
        number, process = self._workers[connection]
        try:
            outcome, lines = connection.recv()
        except (EOFError, OSError):
            del self._workers[connection]
            connection.close()
            process.join(GRACE_SECONDS)
            self._parent.send((Died(number, _why(process.exitcode)), []))
            return
        self._parent.send((Ended(number, outcome.job, outcome), lines))

    def _end(self) -> None:
        """Let the workers end, then make them."""
        for connection in self._workers:
            connection.close()
        for _, process in self._workers.values():
            process.join(GRACE_SECONDS + 1)
            if process.is_alive():
                process.kill()


def _why(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-code).name}"
    return f"ended with {code}"


def _forked(connection: Connection, worker: PoolWorker, others: list[Connection]) -> None:
    """A worker's program where it is a copy of the launcher."""
    for other in others:
        other.close()  # else nobody would see the launcher end
    _serve(connection, worker)


def _spawned(connection: Connection, device: str) -> None:
    """A worker's program where it starts afresh."""
    _leave_signals()
    one_thread()
    _serve(connection, PoolWorker(device))


def _leave_signals() -> None:
    """Be there until the process that started this one ends; it tidies up first."""
    for name in ASKED_TO_END:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _serve(connection: Connection, worker: PoolWorker) -> None:
    """Do the jobs that come, SLOTS at a time, until the connection ends; then end soon."""
    answering = threading.Lock()

    def do(job: Job) -> None:
        with contextlib.suppress(Stopped, OSError):
            said = worker.answer(job)
            with answering:
                connection.send(said)

    with ThreadPoolExecutor(SLOTS, "job", one_thread) as threads:
        try:
            while True:
                threads.submit(do, connection.recv())
        except (EOFError, OSError):
            worker.stop()
            threads.shutdown(wait=False, cancel_futures=True)
            late = threading.Timer(GRACE_SECONDS, os._exit, [1])
            late.daemon = True
            late.start()
