"""An engine over workers that may die: each has a few jobs at a time, and what died is done again.

Which workers these are, and on which machines, is a `Pool`'s concern (`memegen.batch.ray_pool`).
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from memegen.batch.jobs import Job, Outcome, State
from memegen.batch.worker import to_stderr
from memegen.errors import MemegenError

MOST_DEATHS = 3  # of workers over one job, after which it counts as failed
FAILED_STARTS = 3  # in a row, after which a worker is not replaced any more
READ_AHEAD = 8  # jobs for each worker: among them are looked for those of a photo it knows
ARRIVAL_SECONDS = 65.0  # that other machines may show a new file late: NFS keeps names for up to 60
LOOK_SECONDS = 0.2  # between two looks for such a file


@dataclass(frozen=True)
class Ready:
    """A worker has started, and takes jobs."""

    worker: int


@dataclass(frozen=True)
class Ended:
    """A job has ended."""

    worker: int
    job: Job
    outcome: Outcome
    where: str = ""  # the machine


@dataclass(frozen=True)
class Died:
    """A worker is gone, and the jobs that it had."""

    worker: int
    why: str  # one line
    where: str = ""  # the machine


Event = Ready | Ended | Died


class Pool(Protocol):
    """Workers somewhere, named by numbers that are never used again."""

    slots: int  # jobs that a worker is given at a time

    def size(self) -> int:
        """How many workers are wanted."""
        ...

    def start(self) -> int:
        """Have a worker start; Ready or Died tells of it later."""
        ...

    def submit(self, worker: int, job: Job) -> None:
        """Give a job to a worker that is ready; Ended, or Died, tells of it later."""
        ...

    def events(self) -> list[Event]:
        """What has happened since; waits for something, but not for ever."""
        ...

    def close(self) -> None:
        """End all workers and what they do; nothing is left half-written. None is there after."""
        ...


@dataclass
class _Member:
    """A worker, as the engine knows it."""

    ready: bool = False
    jobs: list[Job] = field(default_factory=list)  # that it does now
    photo: str = ""  # of the job that it was given last


class PoolEngine:
    """See `memegen.batch.Engine`. Jobs of a photo go to the worker that knows it, if it can be.

    A job whose worker died is done again, then alone on its worker, so that a second death is its
    own doing; after MOST_DEATHS it has failed. Raises MemegenError where no worker starts.
    """

    def __init__(self, pool: Pool, say: Callable[[str], None] = to_stderr) -> None:
        self._pool, self._say = pool, say
        self._members: dict[int, _Member] = {}
        self._failed_starts = 0
        self._why = ""  # the last one did not start
        self._deaths: Counter[Job] = Counter()
        self._again: deque[Job] = deque()

    def run(self, jobs: Iterable[Job]) -> Generator[Outcome, None, None]:
        """See Engine.run."""
        self._failed_starts = 0
        self._deaths.clear()
        self._again.clear()
        waiting = _Waiting(jobs)
        try:
            while True:
                self._start_workers(waiting)
                self._hand_out(waiting)
                if not self._again and not waiting.look(1) and not self._in_hand():
                    return
                for event in self._pool.events():
                    yield from self._outcomes(event)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the workers. A later run starts them anew."""
        self._members.clear()
        self._pool.close()

    def _in_hand(self) -> int:
        return sum(len(member.jobs) for member in self._members.values())

    def _start_workers(self, waiting: _Waiting) -> None:
        """As many workers as are wanted, but no more than there are jobs for."""
        size = self._pool.size()
        jobs = self._in_hand() + len(self._again) + len(waiting.look(size))
        while len(self._members) < min(size, jobs) and self._failed_starts < FAILED_STARTS:
            self._members[self._pool.start()] = _Member()
        if not self._members and jobs:
            raise MemegenError(f"no worker could be started: {self._why}")

    def _hand_out(self, waiting: _Waiting) -> None:
        """Give jobs to free workers; those that lost theirs come first, and get one of their own.

        While such a job waits, workers get nothing beside what they do, until one is free for it.
        """
        ahead = READ_AHEAD * len(self._members)
        for fill in range(1, self._pool.slots + 1):  # one each, before any has two
            for number, member in self._members.items():
                if not member.ready or len(member.jobs) >= fill:
                    continue
                if any(self._deaths[job] for job in member.jobs) or (self._again and member.jobs):
                    continue
                if self._again:
                    job: Job | None = self._again.popleft()
                else:
                    job = waiting.pick(member.photo, self._photos(), ahead)
                if job is None:
                    return
                member.jobs.append(job)
                member.photo = job.photo
                self._pool.submit(number, job)

    def _photos(self) -> set[str]:
        return {member.photo for member in self._members.values()}

    def _outcomes(self, event: Event) -> Iterator[Outcome]:
        """What comes of an event."""
        member = self._members.get(event.worker)
        if member is None:
            return
        if isinstance(event, Ready):
            member.ready, self._failed_starts = True, 0
        elif isinstance(event, Ended):
            member.jobs.remove(event.job)
            if event.outcome.state is State.DONE:
                _wait_for(event)
            yield event.outcome
        else:
            del self._members[event.worker]
            if not member.ready:
                self._failed_starts, self._why = self._failed_starts + 1, event.why
            yield from self._lost(member.jobs, event)

    def _lost(self, jobs: list[Job], death: Died) -> Iterator[Outcome]:
        """Note the jobs of a worker that died, to be done again; those that killed it failed."""
        where = f" on {death.where}" if death.where else ""
        if jobs:
            self._say(f"a worker{where} died, what it did is done again ({death.why})")
        for job in jobs:
            self._deaths[job] += 1
            if self._deaths[job] < MOST_DEATHS:
                self._again.append(job)
                continue
            told = f"{job.photo}: {MOST_DEATHS} workers died of it ({death.why})"
            yield Outcome(job, State.FAILED, error=told, exit_code=MemegenError.exit_code)


def _wait_for(ended: Ended) -> None:
    """Wait for an output to be seen here too. Raises MemegenError if it is not."""
    until = time.monotonic() + ARRIVAL_SECONDS
    while not Path(ended.job.out).exists():
        if time.monotonic() > until:
            raise MemegenError(
                f"{ended.job.out}: was written on {ended.where or 'another machine'} and is not to "
                "be seen here; all machines must share the folders of photos and outputs"
            )
        time.sleep(LOOK_SECONDS)


class _Waiting:
    """Jobs that no worker has yet; read from an iterable no further than is asked for."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._unread = iter(jobs)
        self._read: list[Job] = []

    def look(self, count: int) -> list[Job]:
        """The first jobs, `count` at most."""
        self._read.extend(islice(self._unread, max(0, count - len(self._read))))
        return self._read[:count]

    def pick(self, known: str, taken: set[str], ahead: int) -> Job | None:
        """Take the best job for a worker of the first `ahead`; None if there are no more.

        One of the photo that it knows; or else one of a photo that nobody has; or else the first.
        """
        jobs = self.look(ahead)
        for index, job in enumerate(jobs):
            if job.photo == known:
                return self._read.pop(index)
        for index, job in enumerate(jobs):
            if job.photo not in taken:
                return self._read.pop(index)
        return self._read.pop(0) if jobs else None
