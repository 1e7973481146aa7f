"""What does jobs: networks once, photos once for all their recipes, any number of threads."""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from memegen.batch.jobs import Job, Outcome, State
from memegen.errors import MemegenError, UsageError, in_one_line
from memegen.media.formats import output_format
from memegen.media.platforms import platform_named, presented
from memegen.played import Played

if TYPE_CHECKING:
    from memegen.arrays import Picture
    from memegen.perception.find import AnalyzedFace
    from memegen.photo import Photo
    from memegen.pipeline import Animator, PreparedPhoto


SLOTS = 2  # jobs of a pool's worker: one is painted while the encoder of the other finishes
Shown = tuple[int | None, str | None, str | None]  # size, crop and cutout


class Stopped(Exception):  # noqa: N818 (no error: it was asked for)
    """The batch is to end now."""


def to_stderr(line: str) -> None:
    """Standard output is for results."""
    print(line, file=sys.stderr)


class Worker:
    """Does jobs, in the threads that call it.

    `painting` is entered for whatever takes a core (a semaphore limits how many do), and left while
    an encoder finishes; `keep` is for how many photos what was understood of them is kept; `say` is
    told, in one line, what a user should know of a job that went well.
    """

    def __init__(
        self,
        device: str = "auto",
        painting: AbstractContextManager[object] | None = None,
        keep: int = 2,
        say: Callable[[str], None] = to_stderr,
    ) -> None:
        self._device, self._keep, self._say = device, keep, say
        self._painting = painting or nullcontext()
        self._lock = threading.Lock()
        self._animators: dict[str, Animator] = {}
        self._photos: OrderedDict[tuple[str, str], _UnderstoodPhoto] = OrderedDict()
        self._stopping = threading.Event()

    def do(self, job: Job) -> Outcome:
        """Make one output. Whatever goes wrong is in the outcome; after `stop`, raises Stopped."""
        began = time.perf_counter()
        try:
            self._make(job)
            size = Path(job.out).stat().st_size
        except Stopped:
            raise
        except Exception as error:  # whatever one job does, the others get their turn
            code = error.exit_code if isinstance(error, MemegenError) else 1
            seconds = time.perf_counter() - began
            said = in_one_line(error, job.photo)
            return Outcome(job, State.FAILED, seconds, error=said, exit_code=code)
        return Outcome(job, State.DONE, time.perf_counter() - began, size)

    def load(self, model: str) -> None:
        """Load a model's networks, and those that find faces, before any job needs them."""
        import torch

        animator = self._animator(model)
        animator.detector.judge(torch.zeros(1, 3, *(animator.analyzer.network.config.size,) * 2))

    def stop(self) -> None:
        """Let all jobs end at their next frame, until `resume`."""
        self._stopping.set()

    def resume(self) -> None:
        """Take jobs again."""
        self._stopping.clear()

    def _make(self, job: Job) -> None:
        from memegen.pipeline import write

        settings = job.settings
        chosen = output_format(job.out, settings.format)
        played = Played(job.recipe, job.au, settings.fps, settings.duration, settings.loop)
        track = played.on_photos(chosen, settings.still)
        animator = self._animator(settings.model)
        shown = settings.side(chosen), settings.crop, settings.cutout
        frames = (
            self._photo(job)
            .prepared(animator, settings.model, shown)
            .play(track, settings.intensity)
        )
        with closing(self._painted(frames.pictures)) as pictures:
            captioned = settings.captions.added_to(replace(frames, pictures=pictures))
            platform = platform_named(settings.platform) if settings.platform else None
            write(
                presented(captioned, platform, settings.mark, self._say),
                job.out,
                fmt=settings.format,
                max_size=settings.max_size,
                exact=platform is not None and platform.exact is not None,
            )

    def _painted(self, pictures: Iterator[Picture]) -> Generator[Picture, None, None]:
        """The pictures, made while painting is allowed."""
        with self._painting:
            for picture in pictures:
                if self._stopping.is_set():
                    raise Stopped
                yield picture

    def _photo(self, job: Job) -> _UnderstoodPhoto:
        """What is known of a job's photo; whoever asks first finds it out."""
        key = job.photo, job.settings.face
        with self._lock:
            if key not in self._photos:
                self._photos[key] = _UnderstoodPhoto(*key, self._painting)
                while len(self._photos) > self._keep:
                    self._photos.popitem(last=False)
            self._photos.move_to_end(key)
            return self._photos[key]

    def _animator(self, model: str) -> Animator:
        """The animator of a model; whoever asks first loads its networks."""
        with self._lock:
            if model not in self._animators:
                self._animators[model] = self._loaded(model)
            return self._animators[model]

    def _loaded(self, model: str) -> Animator:
        from memegen.pipeline import Animator

        animator = Animator(model, self._device)
        for other in self._animators.values():  # how faces are found does not depend on the model
            animator.detector, animator.analyzer = other.detector, other.analyzer
            break
        assert animator.analyzer  # loaded now, by one thread
        return animator


class PoolWorker(Worker):
    """A worker of a pool: SLOTS jobs at a time, one of them painted; answers tell what it says."""

    def __init__(self, device: str) -> None:
        super().__init__(device, threading.BoundedSemaphore(1), SLOTS + 1, self._hear)
        self._heard = threading.local()

    def answer(self, job: Job) -> tuple[Outcome, list[str]]:
        """See Worker.do; and what was said meanwhile."""
        lines: list[str] = []
        self._heard.lines = lines
        return self.do(job), lines

    def _hear(self, line: str) -> None:
        self._heard.lines.append(line)


class _UnderstoodPhoto:
    """A photo and its faces: read, found and understood at most once, whoever asks."""

    def __init__(self, path: str, face: str, painting: AbstractContextManager[object]) -> None:
        self._path, self._face, self._painting = path, face, painting
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        # By whether they are faces of drawings.
        self._seen: dict[bool, tuple[Photo, list[AnalyzedFace]] | MemegenError] = {}
        self._prepared: dict[tuple[str, Shown], PreparedPhoto] = {}

    def prepared(self, animator: Animator, model: str, shown: Shown) -> PreparedPhoto:
        """The photo at a size, or a part of it, ready to be painted."""
        with self._lock, self._painting:
            photo, faces = self._understood(animator)
            key = model, shown
            if key not in self._prepared:
                self._prepared[key] = animator.prepare_canvas(photo, faces, *shown)
            return self._prepared[key]

    def _understood(self, animator: Animator) -> tuple[Photo, list[AnalyzedFace]]:
        """Photo and faces, or again the error that they gave. One that has changed is read anew."""
        stamp = _stamp(Path(self._path))
        if stamp != self._stamp:
            self._stamp, self._seen, self._prepared = stamp, {}, {}
        if animator.drawings not in self._seen:
            try:
                seen = _understand(animator, self._path, self._face)
            except MemegenError as error:
                self._seen[animator.drawings] = error
            else:
                self._seen[animator.drawings] = seen
        known = self._seen[animator.drawings]
        if isinstance(known, MemegenError):
            raise known
        return known


def _understand(animator: Animator, path: str, face: str) -> tuple[Photo, list[AnalyzedFace]]:
    from memegen.photo import picture_kind, read_photo

    if Path(path).is_file() and Path(path).stat().st_size and picture_kind(Path(path)) != "still":
        raise UsageError(f"{path}: moves; a batch animates photos, for clips use memegen animate")
    photo = read_photo(path)
    return photo, animator.analyze(photo, face)


def _stamp(path: Path) -> tuple[int, int] | None:
    """What is different of a file that was written anew."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
