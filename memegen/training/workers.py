"""Processes that make training examples ahead of the network that learns from them.

Free of torch, so that processes whose examples need none start at once and stay small.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from multiprocessing import resource_tracker, util
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Generic, TypeVar

import cv2

from memegen.errors import MemegenError
from memegen.process import one_thread

T = TypeVar("T")
AHEAD = 4  # examples that every process has been asked for
DEATHS = 3  # processes that may die, in all, before there are none any more
NICENESS = 5  # added to that of a process that makes examples: the network goes first
WATCH_SECONDS = 0.5  # between two looks whether the parent is still there
ENDINGS = (signal.SIGINT, signal.SIGTERM)  # what ends a run, and goes to all its processes


class Workers(Generic[T]):
    """`make(i)` for i = first, first + 1, ... by processes that work ahead, results in order.

    make(i) gives the same whenever and wherever it is called. It is sent to each process once, as
    it begins. A process that dies is replaced, and what it was making is made again; where DEATHS
    have died, a warning says so and this process makes what is waited for.
    """

    def __init__(
        self,
        make: Callable[[int], T],
        first: int = 0,
        workers: int = 0,
        failures: int = 0,
        ahead: int = AHEAD,
    ) -> None:
        """workers: processes; none: this one makes each when it is asked for.

        failures: examples that may fail, and are left out, before MemegenError is raised.
        """
        self.next = first  # number of the one that is given next
        self._make, self._failures, self._failed = make, failures, 0
        self._waiting = deque[Future[T]]()  # of the numbers from `next` on
        self._depth = workers * ahead
        self._team = _Team(make, workers)
        # Also called where these are forgotten, and before Python waits for its children to end.
        self._end = util.Finalize(self, self._team.end, exitpriority=0)

    def take(self) -> T:
        """The next one, waited for. Raises MemegenError where too many fail."""
        while True:
            self._ask()
            made = self._advance()
            if made:
                return made[0]

    def ready(self, most: int = sys.maxsize) -> list[T]:
        """Up to `most` that need no waiting, of those asked for so far: none without processes."""
        found = list[T]()
        self._ask()
        while len(found) < most and self._next_is_ready():
            found += self._advance()
        self._ask()
        return found

    def close(self) -> None:
        """End the processes, whatever they are at. What is asked for later is made here."""
        self._depth = 0
        self._waiting.clear()
        self._end()
        self._team.join()

    def _ask(self) -> None:
        """Keep all processes busy, or give them up."""
        if self._depth and self._team.over:
            self._depth = 0
            warnings.warn(
                f"training examples are not made ahead any more: {DEATHS} processes that did it "
                "have died",
                RuntimeWarning,
                stacklevel=3,
            )
        while len(self._waiting) < self._depth:
            self._waiting.append(self._team.ask(self.next + len(self._waiting)))

    def _next_is_ready(self) -> bool:
        if not (self._waiting and self._waiting[0].done()):
            return False
        return not isinstance(self._waiting[0].exception(), _AllDeadError)

    def _advance(self) -> list[T]:
        """The next one, alone; nothing where it cannot be made."""
        found = list[T]()
        try:
            try:
                found.append(self._waiting[0].result() if self._waiting else self._make(self.next))
            except _AllDeadError:
                self._waiting.clear()
                found.append(self._make(self.next))
        except Exception as error:  # one bad picture is no reason to end a run
            self._failed += 1
            if self._failed > self._failures:
                raise MemegenError(f"training examples cannot be made ({error})") from error
        if self._waiting:
            self._waiting.popleft()
        self.next += 1
        return found


class _AllDeadError(Exception):
    """There is no process, and there will be none."""


class _NotMadeError(Exception):
    """What an error in a process said."""


class _Team(Generic[T]):
    """Processes asked by as many threads of this one, each its own.

    Every process has a pipe of its own. Where all write to one, as those of ProcessPoolExecutor
    do, one killed in the middle of a result leaves the others, and this one, waiting for ever.
    """

    def __init__(self, make: Callable[[int], T], count: int) -> None:
        self._make, self._deaths, self.over = make, 0, False
        self._lock = threading.RLock()  # `end` may be called in the middle of anything
        self._processes = set[_Worker[T]]()
        self._asked = SimpleQueue[tuple[int, Future[T]] | None]()
        # Daemons: a program that ends does not wait for what they wait for.
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def ask(self, number: int) -> Future[T]:
        """Example `number`; or _AllDeadError, or _NotMadeError with what `make` said."""
        future = Future[T]()
        self._asked.put((number, future))
        return future

    def end(self) -> None:
        """Kill all, and ask nothing any more."""
        self._kill()
        for _ in self._threads:
            self._asked.put(None)

    def join(self) -> None:
        """Wait until none is left, not even one that was about to start."""
        for thread in self._threads:
            thread.join()

    def _kill(self) -> None:
        """They hold nothing that anyone would miss."""
        with self._lock:
            self.over = True
            while self._processes:
                self._processes.pop().end()

    def _serve(self) -> None:
        worker = None
        for number, future in iter(self._asked.get, None):
            while not future.done():
                try:
                    worker = worker or self._begun()
                    future.set_result(worker.ask(number))
                except (EOFError, OSError):
                    self._lose(worker)
                    worker = None
                except Exception as error:
                    future.set_exception(error)

    def _begun(self) -> _Worker[T]:
        """A new process."""
        if self.over:
            raise _AllDeadError
        worker = _Worker(self._make)  # takes seconds where `make` is large
        with self._lock:
            self._processes.add(worker)
            if self.over:
                self._kill()
        return worker

    def _lose(self, worker: _Worker[T] | None) -> None:
        """One has died, or could not even begin."""
        with self._lock:
            if worker in self._processes:
                self._processes.remove(worker)
                worker.end()
            self._deaths += 1
            if self._deaths >= DEATHS:
                self._kill()


class _Worker(Generic[T]):
    """A process and the pipe to it. Its methods raise EOFError or OSError where it has died."""

    def __init__(self, make: Callable[[int], T]) -> None:
        context = multiprocessing.get_context("spawn")  # not forked: there may be threads, a GPU
        self._pipe, theirs = context.Pipe()
        what = (theirs, make, os.getpid())
        self._process = context.Process(target=_work, args=what, daemon=True)
        with _endings_held_back():
            self._process.start()
        theirs.close()

    def ask(self, number: int) -> T:
        """Example `number`. Raises _NotMadeError where `make` raised an error."""
        self._pipe.send(number)
        done, answer = self._pipe.recv()
        if not done:
            short, long = answer
            raise _NotMadeError(short) from _NotMadeError(long)
        made: T = answer
        return made

    def end(self) -> None:
        """Kill it. The pipe is left to whoever reads from it."""
        self._process.kill()
        self._process.join()


@contextlib.contextmanager
def _endings_held_back() -> Iterator[None]:
    """A process that is started meanwhile gets no SIGINT or SIGTERM until it ignores them.

    Other threads of this process still get them.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # started later, it would let them through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, make: Callable[[int], T], parent: int) -> None:
    """What a process does until nobody asks it any more."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)  # the run may go on for a step, and then ends this
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    yield_to_training()
    with contextlib.suppress(EOFError, OSError):
        while True:
            number = pipe.recv()
            try:
                pipe.send((True, make(number)))
            except Exception as error:
                said = (str(error) or type(error).__name__, traceback.format_exc())
                pipe.send((False, said))


def yield_to_training() -> None:
    """One core for this process, and the network's goes first."""
    if "torch" in sys.modules:
        one_thread()
    else:
        cv2.setNumThreads(1)
    if hasattr(os, "nice"):  # not on Windows
        os.nice(NICENESS)


def _end_with(parent: int) -> None:
    """End this process with another: an example may take long, and nobody wants it any more."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(0)
