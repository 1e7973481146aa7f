"""What all routes share: networks, photos, jobs, counts; made once, closed once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from fastapi import Request

from memegen.photo import Photo, read_photo
from memegen.pipeline import Animator
from memegen.process import give_back_memory
from memegen.serve.engine import Engine, begin_job_thread
from memegen.serve.errors import CancelledError, UnknownError
from memegen.serve.jobs import Job, JobQueue, Result, Work, result_of
from memegen.serve.metrics import Metrics, resident_bytes
from memegen.serve.photos import PhotoStore, StoredPhoto
from memegen.serve.settings import Settings

T = TypeVar("T")
SAMPLE = Path(__file__).with_name("sample.jpg")  # see its licence in examples/README.md
LOOK_EVERY = 0.5  # seconds between looks whether a client that waits is still there


@dataclass
class Service:
    """One server's state."""

    settings: Settings
    engine: Engine
    photos: PhotoStore
    jobs: JobQueue
    metrics: Metrics
    previews: int = 0  # open connections
    problem: Exception | None = None  # why it could not start
    sample: StoredPhoto | None = None
    sampling: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, settings: Settings, animator: Animator | None = None) -> Service:
        """A server's state; its networks are loaded now unless an animator is given."""
        settings.check()
        limits, metrics = settings.limits, Metrics()

        def ended(job: Job, seconds: float) -> None:
            metrics.count("memegen_jobs_total", state=job.state)
            metrics.time("memegen_job_seconds", seconds)
            give_back_memory()

        engine = Engine(settings.model, settings.device, limits, animator)
        jobs = JobQueue(limits, begin_job_thread, ended)
        return cls(settings, engine, PhotoStore(limits), jobs, metrics)

    async def do(self, work: Callable[[], T]) -> T:
        """Have a thread do what a client waits for; the event loop goes on."""
        return await asyncio.wrap_future(self.engine.do(work))

    async def paint(self, work: Callable[[], T]) -> T:
        """The same for a preview, which is never behind uploads."""
        return await asyncio.wrap_future(self.engine.paint(work))

    def keep(self, photo: Photo, lasts: bool = False) -> StoredPhoto:
        """Find the faces of a photo and keep both. Raises NoFaceError."""
        try:
            return self.photos.add(photo, self.engine.faces(photo), lasts)
        finally:
            give_back_memory()

    def first_photo(self) -> StoredPhoto:
        """The photo that the studio begins with: the user's own, or the sample."""
        with self.sampling:
            if self.sample is None:
                self.sample = self.keep(read_photo(self.settings.photo or SAMPLE), lasts=True)
            return self.sample

    async def finished(self, work: Work, request: Request, size: int) -> Result:
        """What a job makes, for a client that waits; it is cancelled if the client goes away.

        `size`: bytes of the uploads that it holds.
        """
        job = self.jobs.submit(work, size)
        waiter = asyncio.wrap_future(job.finished)
        try:
            while not (await asyncio.wait({waiter}, timeout=LOOK_EVERY))[0]:
                if await request.is_disconnected():
                    raise CancelledError("nobody waits for it any more")
            return result_of(job)
        finally:
            with suppress(UnknownError):  # it may be forgotten already
                self.jobs.cancel(job.id)  # or, where it ended, forget it: its result is on its way

    def gauges(self) -> dict[str, float]:
        """Values of this moment, for the metrics."""
        return {
            "memegen_queue_length": len(self.jobs),
            "memegen_jobs_running": self.jobs.running,
            "memegen_photos": len(self.photos),
            "memegen_previews": self.previews,
            "memegen_resident_bytes": resident_bytes(),
        }

    def close(self) -> None:
        """End jobs, cancel them after the grace, and let threads go."""
        self.jobs.close(self.settings.limits.grace_seconds)
        self.engine.close()
