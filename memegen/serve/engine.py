"""The networks of a server: loaded once, used by all of its threads."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

import numpy as np
from torch import Tensor

from memegen.arrays import Array, Picture
from memegen.devices import device_named
from memegen.errors import NoFaceError
from memegen.faces.choose import Choice
from memegen.faces.detect import Detector, Face
from memegen.perception.find import AnalyzedFace
from memegen.photo import Photo
from memegen.pipeline import Animator
from memegen.process import one_thread
from memegen.serve.errors import BusyError, ClosingError
from memegen.serve.giving_way import Gate
from memegen.serve.settings import Limits

T = TypeVar("T")
# Added to the niceness of threads that run jobs: previews and uploads, which somebody waits for, go
# first.
JOB_NICENESS = 5
MOST_NICENESS = 19  # there is none beyond
ALL = Choice("all")


class WatchedDetector(Detector):
    """A detector of one thread, which asks now and then whether anybody still wants an answer.

    Tracking a clip asks it about every few frames.
    """

    watch: Callable[[], None] | None = None

    def rungs(self, rgb: Picture, every: bool = False) -> Iterator[list[Face]]:
        """See Detector.rungs."""
        if self.watch is not None:
            self.watch()
        yield from super().rungs(rgb, every)

    def judge(self, crops: Tensor) -> tuple[Array, Array]:
        """See Detector.judge."""
        if self.watch is not None:
            self.watch()
        return super().judge(crops)


class Engine:
    """One Animator for all threads, and the threads that serve what somebody waits for.

    Every thread has one core for itself: small operations spend more on sharing themselves out
    than on work. Networks are shared; the detector, which keeps its settings of the moment in
    itself, is each thread's own (it has half a million parameters). Perception looks at a face in
    ten views at once: 28 ms a view on a core, 25 in a batch of two faces, 23 of four. So photos
    that wait are analyzed one a core, not as a batch.
    """

    def __init__(
        self, model: str, device: str, limits: Limits, animator: Animator | None = None
    ) -> None:
        self._shared = animator or Animator(model, device)
        self._device = device_named(device)
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(limits.workers, "memegen-serve", one_thread)
        self._painters = ThreadPoolExecutor(limits.workers, "memegen-paint", one_thread)
        self._lock = threading.Lock()
        self._gate = Gate(limits.workers)
        self._most = limits.workers + limits.queue
        self._pending, self._closed = 0, False

    def warm(self) -> None:
        """Load every network now, and use each once: the first request waits for none of it."""
        assert self._shared.analyzer  # loaded by one thread
        grey = Photo(np.full((64, 64, 3), 127, np.uint8), None)
        with suppress(NoFaceError):
            self.animator.analyze(grey)

    @property
    def animator(self) -> Animator:
        """The animator of the thread that asks."""
        if not hasattr(self._own, "animator"):
            own = copy.copy(self._shared)
            own.detector = WatchedDetector(self._device)
            self._own.animator = own
        found: Animator = self._own.animator
        return found

    @contextmanager
    def watching(self, watch: Callable[[], None]) -> Iterator[Animator]:
        """The animator of a job's thread; `watch` is called now and then, and may raise."""

        def watched() -> None:
            watch()
            self.give_way()

        animator = self.animator
        detector = animator.detector
        assert isinstance(detector, WatchedDetector)
        detector.watch = watched
        try:
            yield animator
        finally:
            detector.watch = None

    def do(self, work: Callable[[], T]) -> Future[T]:
        """Have a thread do what somebody waits for. Raises BusyError where too much waits."""
        return self._submitted(self._threads, work)

    def paint(self, work: Callable[[], T]) -> Future[T]:
        """The same for a preview, which has threads of its own. Raises BusyError."""

        def painted() -> T:
            with self._gate.painting():
                return work()

        return self._submitted(self._painters, painted)

    def give_way(self) -> None:
        """Wait, in a job, while previews are painted: it has its turns (see Gate)."""
        self._gate.give_way()

    def _submitted(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._closed:
                raise ClosingError("the server is ending")
            if self._pending >= self._most:
                raise BusyError(f"{self._pending} requests wait already; try again later")
            self._pending += 1
        future = threads.submit(work)
        future.add_done_callback(self._did)
        return future

    def faces(self, photo: Photo) -> list[AnalyzedFace]:
        """All faces of a photo, largest first. Raises NoFaceError if there is none."""
        return self.animator.analyze(photo, ALL)

    def close(self) -> None:
        """Begin nothing more; what runs ends by itself."""
        with self._lock:
            self._closed = True
        for threads in (self._threads, self._painters):
            threads.shutdown(wait=False, cancel_futures=True)

    def _did(self, _: Future[T]) -> None:
        with self._lock:
            self._pending -= 1


def begin_job_thread() -> None:
    """What a thread that runs jobs does first."""
    one_thread()
    with suppress(OSError, AttributeError):
        # On Linux a niceness is the thread's own, and that of programs which it starts. The
        # server itself may be niced: less than that would put jobs before what somebody waits for.
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + JOB_NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, min(niceness, MOST_NICENESS))
