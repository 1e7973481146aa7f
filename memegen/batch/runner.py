"""Running a batch: what is up to date is passed over, what was made is noted, errors go on."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path

from memegen.batch.engine import Engine, LocalEngine
from memegen.batch.fingerprint import Fingerprints
from memegen.batch.jobs import Job, Outcome, State
from memegen.batch.manifest import Manifests
from memegen.files import sweep


def run(
    jobs: Sequence[Job], engine: Engine | None = None, again: bool = False
) -> Generator[Outcome, None, None]:
    """Do jobs; their outcomes as they end, in any order.

    An output counts as up to date if it is there and its folder's manifest says that it was made
    of the same photo, recipe, settings and weights; `again` makes all anew. After a kill, the same
    call goes on: at most the jobs that were being done are repeated. Raises UsageError where a
    folder cannot be written to; what goes wrong in a job is in its outcome.
    """
    manifests = Manifests()
    manifests.plan([job.out for job in jobs])
    folders = {Path(job.out).parent for job in jobs}
    for folder in folders:
        sweep(folder)
    try:
        yield from _outcomes(jobs, engine, manifests, again)
    finally:  # after what a worker left that was killed
        for folder in folders:
            sweep(folder)


def _outcomes(
    jobs: Sequence[Job], engine: Engine | None, manifests: Manifests, again: bool
) -> Iterator[Outcome]:
    prints = _Prints(manifests, again)
    due = prints.due(jobs)
    first = next(due, None)  # the engine, and with it torch, is loaded only where there is work
    yield from prints.passed_over()
    if first is None:
        return
    chosen = LocalEngine() if engine is None else engine
    with closing(chosen.run(chain([first], due))) as outcomes:
        for outcome in outcomes:
            made_of = prints.of(outcome.job)
            if outcome.state is State.DONE:
                manifests.done(outcome.job.out, made_of, outcome.bytes)
            yield from prints.passed_over()
            yield outcome
    yield from prints.passed_over()


class _Prints:
    """Fingerprints of the jobs that are being done, and the outcomes of those that need not be."""

    def __init__(self, manifests: Manifests, again: bool) -> None:
        self._manifests, self._again = manifests, again
        self._fingerprints = Fingerprints()
        self._due: dict[Job, str] = {}
        self._over: deque[Outcome] = deque()

    def due(self, jobs: Sequence[Job]) -> Iterator[Job]:
        """The jobs that have to be done."""
        for job in jobs:
            try:
                made_of = self._fingerprints.of(job)
            except OSError:
                made_of = ""  # no such photo, or none that may be read: the job itself says which
            if made_of and not self._again and self._manifests.is_current(job.out, made_of):
                size = Path(job.out).stat().st_size
                self._over.append(Outcome(job, State.CURRENT, bytes=size))
                continue
            self._due[job] = made_of
            yield job

    def of(self, job: Job) -> str:
        """The fingerprint that a job had when it began; asked for once."""
        return self._due.pop(job)

    def passed_over(self) -> Iterator[Outcome]:
        """Outcomes of jobs that were up to date, once each."""
        while self._over:
            yield self._over.popleft()
