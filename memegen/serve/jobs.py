"""Jobs: a bounded queue, as many threads as cores, progress, cancelling, results for a while."""

from __future__ import annotations

import secrets
import sys
import threading
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from memegen.serve.errors import (
    BusyError,
    CancelledError,
    ClosingError,
    TooLargeError,
    UnfinishedError,
    UnknownError,
    line_of,
    status_of,
)
from memegen.serve.settings import Limits

ID_BYTES = 16  # at random: nobody guesses the name of another client's job
USUAL_SECONDS = 2.0  # that a job takes, before any has been timed
REMEMBERED = 0.8  # of the mean time of jobs so far, which each new one changes
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Result:
    """What a job made."""

    data: bytes
    type: str  # as HTTP names it
    name: str = "memegen"  # that a browser saves it under


Work = Callable[["Job"], Result]


@dataclass(eq=False)
class Job:
    """One piece of work, and how far it is. Its thread calls `at`, anybody calls `cancel`."""

    id: str
    work: Work | None  # None once it ended: what it holds is let go
    size: int = 0  # bytes that it holds
    state: str = "queued"  # queued, running, done, failed or cancelled
    progress: float = 0.0
    result: Result | None = None
    error: str | None = None
    status: int = 200  # HTTP status of the error
    ended: float = 0.0  # when, by the queue's clock
    finished: Future[None] = field(default_factory=Future)  # when it ended, however
    cancelling: threading.Event = field(default_factory=threading.Event)
    overdue: Callable[[], bool] = lambda: False  # whether it runs for too long

    def at(self, share: float) -> None:
        """Tell how much is done, 0..1; see `check`."""
        self.check()
        self.progress = max(self.progress, min(1.0, share))

    def check(self) -> None:
        """Raise CancelledError if the job was cancelled, TooLargeError if it takes too long."""
        if self.cancelling.is_set():
            raise CancelledError("the job was cancelled")
        if self.overdue():
            raise TooLargeError("the job takes longer than any may")

    def about(self) -> dict[str, Any]:
        """What a client is told."""
        said: dict[str, Any] = {"state": self.state, "progress": round(self.progress, 3)}
        if self.error is not None:
            said |= {"error": self.error, "status": self.status}
        if self.result is not None:
            said |= {"bytes": len(self.result.data), "type": self.result.type}
        return said


class JobQueue:
    """Runs jobs in threads of its own. `clock` tells seconds; `begin` is called in each thread."""

    def __init__(
        self,
        limits: Limits,
        begin: Callable[[], None] | None = None,
        ended: Callable[[Job, float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._begin, self._ended, self._clock = limits, begin, ended, clock
        self._change = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: set[Job] = set()
        self._jobs: OrderedDict[str, Job] = OrderedDict()  # the oldest first
        self._closing, self._over = False, False
        self._mean = USUAL_SECONDS
        self._threads = [
            threading.Thread(target=self._run, name=f"memegen-job-{n}", daemon=True)
            for n in range(limits.workers)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        with self._change:
            return len(self._waiting)

    @property
    def running(self) -> int:
        """How many jobs run."""
        with self._change:
            return len(self._running)

    def submit(self, work: Work, size: int = 0) -> Job:
        """Queue some work that holds `size` bytes of uploads.

        Raises BusyError if the queue is full, ClosingError at the end.
        """
        with self._change:
            self._check_open()
            self._forget_old()
            self._check_room(size)
            job = Job(secrets.token_urlsafe(ID_BYTES), work, size)
            job.finished.set_running_or_notify_cancel()  # who stops waiting cancels nothing
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._change.notify()
        return job

    def check_room(self) -> None:
        """Raise what `submit` would: before a body is read, or a photo looked at."""
        with self._change:
            self._check_open()
            self._check_room()

    def get(self, id_: str) -> Job:
        """A job by its name. Raises UnknownError."""
        with self._change:
            self._forget_old()
            if id_ not in self._jobs:
                raise UnknownError("no such job: it never was, or its result is forgotten")
            return self._jobs[id_]

    def result(self, id_: str) -> Result:
        """What a job made. Raises UnfinishedError, or what the job raised."""
        job = self.get(id_)
        if job.state not in ENDED:
            raise UnfinishedError(f"the job is {job.state}, at {job.progress:.0%}")
        return result_of(job)

    def cancel(self, id_: str) -> Job:
        """Cancel a job that waits or runs; one that ended is forgotten. Raises UnknownError."""
        job = self.get(id_)
        with self._change:
            if job.state in ENDED:
                self._jobs.pop(id_, None)
                return job
            job.cancelling.set()
            if job in self._waiting:
                self._waiting.remove(job)
                self._end(job, CancelledError("the job was cancelled"))
        return job

    def close(self, grace: float) -> None:
        """Take no more; let those that run end within `grace` seconds, then cancel them."""
        with self._change:
            self._closing = True
            for job in list(self._waiting):
                self._waiting.remove(job)
                self._end(job, ClosingError("the server is ending"))
            until = self._clock() + grace
            while self._running and (left := until - self._clock()) > 0:
                self._change.wait(left)
            for job in self._running:
                job.cancelling.set()
            self._over = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join(grace + 5.0)  # seconds that the last frame and its encoder may take

    def refuse(self) -> None:
        """Take no more from now on."""
        with self._change:
            self._closing = True

    @property
    def closing(self) -> bool:
        """Whether nothing more is taken."""
        return self._closing

    def _check_room(self, size: int = 0) -> None:
        idle, waiting = self._limits.workers - len(self._running), len(self._waiting)
        held = sum(job.size for job in self._waiting)
        heavy = waiting > 0 and held + size > self._limits.queue_bytes
        if waiting >= self._limits.queue + idle or heavy:
            after = self._mean * (waiting + 1) / self._limits.workers
            raise BusyError(f"{waiting} jobs wait already; try again later", round(after))

    def _check_open(self) -> None:
        if self._closing:
            raise ClosingError("the server is ending")

    def _run(self) -> None:
        if self._begin is not None:
            self._begin()
        while True:
            with self._change:
                while not self._waiting and not self._over:
                    self._change.wait()
                if self._over:
                    return
                job = self._waiting.popleft()
                job.state = "running"
                self._running.add(job)
            self._do(job)

    def _do(self, job: Job) -> None:
        began, problem = self._clock(), None
        job.overdue = lambda: self._clock() - began > self._limits.job_seconds
        try:
            assert job.work is not None
            job.check()
            job.result = job.work(job)
        except Exception as error:  # whatever one job does, the others get their turn
            problem = error
            if status_of(error) == 500:
                traceback.print_exception(error, file=sys.stderr)
        took = self._clock() - began
        with self._change:
            self._running.discard(job)
            if problem is None:
                self._mean = REMEMBERED * self._mean + (1 - REMEMBERED) * took
            self._end(job, problem)
            self._change.notify_all()
        if self._ended is not None:
            self._ended(job, took)

    def _end(self, job: Job, problem: Exception | None) -> None:
        """Note how a job ended; those who wait for it are told."""
        job.work, job.ended = None, self._clock()
        if problem is None:
            job.state, job.progress = "done", 1.0
        else:
            job.result = None
            job.state = "cancelled" if isinstance(problem, CancelledError) else "failed"
            job.error, job.status = line_of(problem), status_of(problem)
        self._forget_old()
        job.finished.set_result(None)

    def _forget_old(self) -> None:
        """Drop results that are old, and the oldest beyond what is kept."""
        ended = [job for job in self._jobs.values() if job.state in ENDED]
        held = sum(len(job.result.data) for job in ended if job.result)
        count, now = len(ended), self._clock()
        for job in ended:
            size = len(job.result.data) if job.result else 0
            old = now - job.ended > self._limits.result_seconds
            room = count <= self._limits.results and held <= self._limits.result_bytes
            if not old and (room or count == 1):  # the last one is kept, however large
                continue
            del self._jobs[job.id]
            count, held = count - 1, held - size


def result_of(job: Job) -> Result:
    """What an ended job made. Raises what it failed of."""
    if job.result is not None:
        return job.result
    raise FailedError(job.error or "the job failed", job.status)


class FailedError(UnfinishedError):
    """What a job failed of, with the status of that."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
