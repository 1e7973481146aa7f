"""Workers on Ray: actors, one a core, each with its networks; a local Ray, or a cluster's.

Ray is the extra `[cluster]`, and is imported only where a pool is made.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from memegen import __version__
from memegen.batch import ray_address
from memegen.batch.jobs import Job, Outcome, State
from memegen.batch.pool_engine import Died, Ended, Event, PoolEngine, Ready
from memegen.batch.worker import SLOTS, PoolWorker, to_stderr
from memegen.errors import MemegenError, UsageError, in_one_line

WAIT_SECONDS = 1.0  # after which `events` has nothing to tell
STOP_SECONDS = 10.0  # in which jobs that are given up end by themselves
PATIENCE_SECONDS = 30.0  # without any worker, after which that is said
START_SECONDS = 600.0  # that a worker may take to start: a cluster may have to grow first
STORE_BYTES = 100 << 20  # of a local Ray's store of objects: outcomes are small
PASSED_ON = ("MEMEGEN_", "OMP_", "OPENBLAS_")  # variables that workers get from here
Said = tuple[Outcome, list[str]]


class RayEngine(PoolEngine):
    """Actors of Ray do the jobs. Their networks stay loaded from one run to the next.

    workers: how many, one core each (with `device` cuda, one GPU each); all there are unless given.
    address: of a cluster, as `ray.init` takes it; else $RAY_ADDRESS; else Ray is started here.
    Raises UsageError where Ray is not installed, MemegenError where none answers at the address.
    """

    def __init__(
        self,
        workers: int | None = None,
        device: str = "auto",
        address: str | None = None,
        say: Callable[[str], None] = to_stderr,
    ) -> None:
        super().__init__(RayPool(workers, device, address, say), say)


@dataclass(frozen=True)
class Setup:
    """What an actor needs to know."""

    folder: str  # that relative names begin at
    device: str
    version: str  # of memegen


class MemegenWorker:
    """A worker, in a process of its own, somewhere in the cluster."""

    def begin(self, setup: Setup) -> str:
        """Get ready; returns the machine's address. Raises MemegenError if it is of no use."""
        import ray

        where = ray.util.get_node_ip_address()
        if setup.version != __version__:
            raise MemegenError(f"{where} has memegen {__version__}, here is {setup.version}")
        try:
            os.chdir(setup.folder)
        except OSError as error:
            raise MemegenError(
                f"{setup.folder}: {error.strerror} on {where}; all machines must share the folder "
                "that the batch is started in, and those of photos and outputs"
            ) from None
        self._worker = PoolWorker(setup.device)
        return str(where)

    def do(self, job: Job) -> Said:
        """See Worker.do; and what was said meanwhile."""
        import torch

        torch.set_num_threads(1)
        return self._worker.answer(job)

    def stop(self) -> None:
        """Have the jobs end at their next frame."""
        self._worker.stop()


@dataclass
class _Started:
    """An actor of this pool."""

    actor: Any
    since: float = field(default_factory=time.monotonic)
    where: str = ""  # the machine; not known before it is ready


class RayPool:
    """See `memegen.batch.pool_engine.Pool`; arguments as of RayEngine."""

    slots = SLOTS

    def __init__(
        self, workers: int | None, device: str, address: str | None, say: Callable[[str], None]
    ) -> None:
        self._ray = _imported()
        self._say = say
        self._wanted = workers
        self._needs = {"num_gpus": 1} if device.startswith("cuda") else {"num_gpus": 0}
        self._setup = Setup(os.getcwd(), device, __version__)  # noqa: PTH109 (as it is named)
        self._numbers = count()
        self._started: dict[int, _Started] = {}
        self._pending: dict[Any, tuple[int, Job | None]] = {}  # by Ray's reference; None: it begins
        self._said: set[str] = set()  # once each, however many jobs have it to say
        self._told = False
        _connect(self._ray, address, workers)

    def size(self) -> int:
        """How many workers are wanted: as asked for, or as many as the cluster has room for."""
        if self._wanted is None:
            kind = "GPU" if self._needs["num_gpus"] else "CPU"
            self._wanted = max(1, int(self._ray.cluster_resources().get(kind, 0)))
        return self._wanted

    def start(self) -> int:
        """Ask for an actor; Ray starts it where there is room, once there is."""
        number = next(self._numbers)
        kind = self._ray.remote(
            num_cpus=1,
            max_concurrency=SLOTS + 1,  # and `stop`
            runtime_env={"env_vars": _environment()},
            **self._needs,
        )(MemegenWorker)
        started = self._started[number] = _Started(kind.remote())
        self._pending[started.actor.begin.remote(self._setup)] = number, None
        return number

    def submit(self, worker: int, job: Job) -> None:
        """Give a job to an actor."""
        self._pending[self._started[worker].actor.do.remote(job)] = worker, job

    def events(self) -> list[Event]:
        """What has ended. An actor that died is told of once, after all that it had ended."""
        self._complain_of_waiting()
        ready, _ = self._ray.wait(list(self._pending), timeout=WAIT_SECONDS)
        if ready:  # and whatever else is there
            ready, _ = self._ray.wait(
                list(self._pending), num_returns=len(self._pending), timeout=0
            )
        events: list[Event] = []
        deaths: dict[int, Died] = {}
        for reference in ready:
            worker, job = self._pending.pop(reference)
            event = self._event(reference, worker, job)
            if isinstance(event, Died):
                deaths[worker] = event
            else:
                events.append(event)
        deaths |= {worker: death for worker, death in self._late() if worker not in deaths}
        for worker in deaths:
            self._drop(worker)
        return [*events, *deaths.values()]

    def close(self) -> None:
        """End all actors: jobs at their next frame, or with their process if that takes long."""
        stopping = [s.actor.stop.remote() for s in self._started.values() if s.where]
        doing = [reference for reference, (_, job) in self._pending.items() if job is not None]
        with contextlib.suppress(Exception):  # Ray itself may be gone
            if doing:
                self._ray.wait([*stopping, *doing], num_returns=len(stopping) + len(doing),
                               timeout=STOP_SECONDS)  # fmt: skip
            for worker in list(self._started):
                self._drop(worker)
        self._started.clear()
        self._pending.clear()

    def _event(self, reference: Any, worker: int, job: Job | None) -> Event:
        """What a reference says, now that it is ready."""
        started = self._started[worker]
        try:
            value = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:  # raised by our own code there
            said = in_one_line(error.cause if isinstance(error.cause, Exception) else error)
            if job is None:
                return Died(worker, said)
            return Ended(worker, job, Outcome(job, State.FAILED, error=said, exit_code=1))
        except self._ray.exceptions.RayError as error:
            return Died(worker, _why(error), started.where)
        if job is None:
            started.where = value
            return Ready(worker)
        outcome, lines = value
        for line in set(lines) - self._said:
            self._say(line)
        self._said.update(lines)
        return Ended(worker, job, outcome, started.where)

    def _late(self) -> Iterator[tuple[int, Died]]:
        """Workers that have not started for too long."""
        now = time.monotonic()
        for worker, started in self._started.items():
            if not started.where and now - started.since > START_SECONDS:
                yield worker, Died(worker, f"no free core within {START_SECONDS:.0f} s")

    def _complain_of_waiting(self) -> None:
        """Say, once, that no machine has room."""
        now = time.monotonic()
        if self._told or any(started.where for started in self._started.values()):
            return
        if any(now - started.since > PATIENCE_SECONDS for started in self._started.values()):
            self._say("waiting for a free core of the cluster")
            self._told = True

    def _drop(self, worker: int) -> None:
        """Forget an actor, and see to it that it is gone."""
        actor = self._started.pop(worker).actor
        self._pending = {ref: row for ref, row in self._pending.items() if row[0] != worker}
        with contextlib.suppress(Exception):
            self._ray.kill(actor)


def check_installed() -> None:
    """Raise UsageError where Ray is not; quicker than to import it."""
    if importlib.util.find_spec("ray") is None:
        raise UsageError("`engine` ray needs Ray: pip install 'memegen-faces[cluster]'")


def _imported() -> Any:
    check_installed()
    import ray

    return ray


def _connect(ray: Any, address: str | None, workers: int | None) -> None:
    """Connect to a cluster, or start a Ray here, unless this process has one already."""
    if ray.is_initialized():
        if address is not None:
            raise UsageError("`address`: this process is connected to a Ray already")
        return
    where = address or os.environ.get("RAY_ADDRESS") or ray_address.LOCAL
    ray_address.check(where)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone
    options: dict[str, Any] = {"address": where, "logging_level": "ERROR", "log_to_driver": False}
    if where == ray_address.LOCAL:
        options |= {"include_dashboard": False, "object_store_memory": STORE_BYTES}
        options |= {"num_cpus": workers} if workers else {}
    try:
        with _own_signals(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(**options)
        # Ray tells of deaths, as we do, but on standard output, where results go. There is no
        # public way to have it silent.
        ray._private.worker._worker_logs_enabled = False
    except (Exception, SystemExit) as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise MemegenError(f"Ray at {where} does not answer: {told[:300]}") from None


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself; how this program ends is its own concern."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError, TypeError):  # not the main thread; not set by Python
            signal.signal(signal.SIGTERM, before)


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name.startswith(PASSED_ON)}


def _why(error: Exception) -> str:
    """Ray's words for a death, in one short line."""
    for line in str(error).splitlines():
        text = line.strip()
        if text and not text.lower().startswith(("class_name", "actor_id", "pid", "namespace")):
            return text[:200].rstrip(".")
    return type(error).__name__
