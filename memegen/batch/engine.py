"""Where jobs are done. The runner knows no more of it than the protocol."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Protocol

from memegen.batch.jobs import Job, Outcome
from memegen.batch.pool_engine import PoolEngine
from memegen.batch.process_pool import ProcessPool
from memegen.batch.worker import to_stderr


class Engine(Protocol):
    """Does jobs somewhere: in threads, processes, or on other machines."""

    def run(self, jobs: Iterable[Job]) -> Generator[Outcome, None, None]:
        """The outcome of every job, as they end, in any order.

        `jobs` is read only as far as there is room for more work. An output has its final name
        before its outcome comes. When the generator is closed, jobs that have not ended are given
        up, and leave nothing half-written.
        """
        ...


class LocalEngine(PoolEngine):
    """Processes of this machine. Their networks stay loaded from one run to the next.

    workers: how many processes, one core each; all cores unless given. Each paints one job while
    the encoder of another, a process of its own, finishes.
    """

    def __init__(
        self,
        workers: int | None = None,
        device: str = "auto",
        say: Callable[[str], None] = to_stderr,
    ) -> None:
        super().__init__(ProcessPool(workers, device, say), say)
