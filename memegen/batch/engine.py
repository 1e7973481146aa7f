"""Where jobs are done. The runner knows no more of it than the protocol."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Protocol

from memegen.batch.jobs import Job, Outcome
from memegen.batch.worker import Worker


class Engine(Protocol):
    """Does jobs somewhere: in threads, processes, or on other machines."""

    def run(self, jobs: Iterable[Job]) -> Generator[Outcome, None, None]:
        """The outcome of every job, as they end, in any order.

        `jobs` is read only as far as there is room for more work. An output has its final name
        before its outcome comes. When the generator is closed, jobs that have not ended are given
        up, and leave nothing half-written.
        """
        ...


class LocalEngine:
    """Threads of this process. Its networks stay loaded from one run to the next.

    workers: how many threads paint, one core each; all cores unless given.
    As many again wait for their encoders meanwhile, which are processes of their own.
    """

    def __init__(self, workers: int | None = None, device: str = "auto") -> None:
        self.workers = workers or _cores()
        self._slots = 2 * self.workers
        permits = threading.BoundedSemaphore(self.workers)
        self._worker = Worker(device, permits, keep=self._slots + 1)

    def run(self, jobs: Iterable[Job]) -> Generator[Outcome, None, None]:
        """See Engine.run."""
        worker = self._worker
        worker.resume()
        with _a_core_a_thread() as ready, ThreadPoolExecutor(self._slots, "job", ready) as threads:
            running: set[Future[Outcome]] = set()
            try:
                for job in jobs:
                    running.add(threads.submit(worker.do, job))
                    if len(running) > self._slots:
                        ended, running = wait(running, return_when=FIRST_COMPLETED)
                        yield from (future.result() for future in ended)
                while running:
                    ended, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in ended)
            except BaseException:
                worker.stop()
                for future in running:
                    future.cancel()
                raise


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _a_core_a_thread() -> Iterator[Callable[[], None]]:
    """What a thread calls first to have torch use its own core alone; undone for later threads.

    Jobs side by side use the cores better than one job that shares its small operations out.
    """
    import torch

    limit = torch.get_num_threads()
    try:
        yield lambda: torch.set_num_threads(1)
    finally:
        torch.set_num_threads(limit)
