"""Jobs that copy expressions: of a picture, a clip or a table, onto a photo or a clip."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from memegen.arrays import Array
from memegen.errors import UsageError
from memegen.media.commands import Sound
from memegen.media.formats import USUAL_ANIMATION, USUAL_VIDEO
from memegen.performance.clip import Clip
from memegen.performance.retarget import RetargetOptions, retarget
from memegen.performance.table import read_csv
from memegen.performance.track import Performance
from memegen.serve.animations import Rendering, SeenPhoto, ignore
from memegen.serve.engine import Engine
from memegen.serve.errors import TooLargeError
from memegen.serve.jobs import Job, Result
from memegen.serve.photos import expression_json
from memegen.serve.settings import Limits
from memegen.serve.uploads import as_file, check_size, clip_of, is_moving, is_table, picture_of
from memegen.tracks import Track


@dataclass(frozen=True)
class Excerpt:
    """Which part of whose performance, and how fast."""

    face: int = 1  # from 1, largest first
    start: float = 0.0  # seconds
    end: float | None = None
    speed: float = 1.0
    boomerang: bool = False
    fps: float | None = None

    def check(self) -> None:
        """Raises UsageError."""
        if self.end is not None and not self.end > self.start:
            raise UsageError("end must be after start")


@dataclass(frozen=True)
class Performed:
    """A performance and where it is from."""

    performance: Performance
    clip: Clip | None  # None for pictures and tables
    still: bool


@contextmanager
def performed(
    data: bytes, excerpt: Excerpt, engine: Engine, limits: Limits, job: Job
) -> Iterator[Performed]:
    """What a face does in an upload: a picture, a clip, or a table of OpenFace's columns."""
    what = "target"
    if is_table(data):
        check_size(data, limits.photo_bytes, what)
        with as_file(data, what, ".csv") as upload:
            table = read_csv(upload.path, excerpt.face).between(excerpt.start, excerpt.end)
        if len(table) > limits.frames:
            raise TooLargeError(f"{what}: {len(table)} frames are more than {limits.frames}")
        yield Performed(replace(table, name=what), None, False)
        return
    if is_moving(data):
        with clip_of(data, limits, excerpt.fps, job.check, what) as clip:
            found = _tracked(clip.path, excerpt, engine, job)
            yield Performed(replace(found, name=what), clip, False)
        return
    picture_of(data, limits, what)  # within the limits, and sound
    with as_file(data, what, ".picture") as upload:
        found = _tracked(upload.path, replace(excerpt, start=0.0, end=None), engine, job)
    yield Performed(replace(found, name=what), None, True)


def _tracked(path: Path, excerpt: Excerpt, engine: Engine, job: Job) -> Performance:
    with engine.watching(job.check) as animator:
        return animator.track_face(
            path,
            face=excerpt.face,
            fps=excerpt.fps,
            start=excerpt.start,
            end=excerpt.end,
            warn=ignore,
        )


@dataclass(frozen=True)
class Transfer:
    """A job: an uploaded photo or clip is given the performance of another upload."""

    rendering: Rendering
    source: bytes
    target: bytes
    excerpt: Excerpt
    options: RetargetOptions
    relative: bool | None  # None: of clips, not of pictures
    moves_head: bool  # of clips: whether their own head goes along

    def __call__(self, job: Job) -> Result:
        """See Work."""
        made = self.rendering
        if is_moving(self.source) and self.excerpt.boomerang:
            raise UsageError("boomerang needs a photo as source")
        with performed(self.target, self.excerpt, made.engine, made.limits, job) as whom:
            relative = not whom.still if self.relative is None else self.relative
            options = replace(self.options, relative=relative)
            if is_moving(self.source):
                return self._onto_clip(job, whom, options)
            return self._onto_photo(job, whom, options)

    def _onto_photo(self, job: Job, whom: Performed, options: RetargetOptions) -> Result:
        made, settings = self.rendering, self.rendering.settings
        photo = picture_of(self.source, made.limits, "source")
        with made.engine.watching(job.check) as animator:
            faces = animator.analyze(photo, settings.face)
        film = whom.clip is not None and not whom.clip.animated
        chosen = made.format(settings.still, USUAL_VIDEO if film else USUAL_ANIMATION)
        track = retarget(whom.performance, options, faces[0].analysis.action_units)
        if whom.still and not chosen.for_pictures and not settings.still:
            track = track.there_and_back()
        rate = chosen.representable_fps(settings.fps or track.fps)
        if rate != track.fps or self.excerpt.speed != 1:
            track = track.resampled(rate, self.excerpt.speed)
        track = track.boomerang() if self.excerpt.boomerang else track
        if settings.loop is not None or chosen.loops:
            track = replace(track, loops=settings.loop is not False)
        if settings.still or not chosen.animated:
            track = track.frame(track.strongest())
        if len(track) > made.limits.frames:
            raise TooLargeError(f"{len(track)} frames are more than {made.limits.frames}")
        sound = self._sound(whom.clip, len(track) / track.fps)
        return made.photo(job, SeenPhoto(photo, tuple(faces)), track, chosen, sound)

    def _sound(self, clip: Clip | None, seconds: float) -> Sound | None:
        """The target's own, as long as it plays as it was filmed."""
        excerpt = self.excerpt
        if clip is None or not clip.audio or excerpt.boomerang or excerpt.speed != 1:
            return None
        return Sound(clip.path, excerpt.start, seconds, clip.sound)

    def _onto_clip(self, job: Job, whom: Performed, options: RetargetOptions) -> Result:
        made, settings = self.rendering, self.rendering.settings
        performance = whom.performance
        if not self.moves_head:
            performance = replace(performance, heads=None)
        loops = whom.still or bool(settings.loop)
        with clip_of(self.source, made.limits, settings.fps, job.check, "source") as clip:
            chosen = made.format(usual=USUAL_ANIMATION if clip.animated else USUAL_VIDEO)
            rate = chosen.representable_fps(clip.fps)

            def counted_from(usual: Array) -> Track:
                track = retarget(performance, options, usual)
                return replace(track.resampled(rate, self.excerpt.speed), loops=loops)

            return made.clip(job, clip, counted_from, self.relative is False)


@dataclass(frozen=True)
class ReadUnits:
    """A job: the intensities of a face over the frames of an uploaded clip, as JSON."""

    engine: Engine
    limits: Limits
    data: bytes

    def __call__(self, job: Job) -> Result:
        """See Work."""
        with clip_of(self.data, self.limits, None, job.check, "photo") as clip:
            found = _tracked(clip.path, Excerpt(), self.engine, job)
        frames = [
            {"seconds": round(row / found.fps, 3), "expression": expression_json(units)}
            for row, units in enumerate(found.units)
        ]
        said = json.dumps({"fps": found.fps, "frames": frames})
        return Result(said.encode(), "application/json", "memegen.json")
