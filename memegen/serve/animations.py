"""Jobs that make files: a photo or clip that plays a timeline."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from memegen.arrays import Array, Picture
from memegen.batch.jobs import Settings
from memegen.errors import NoFaceError, UsageError
from memegen.files import PREFIX
from memegen.frames import Frames
from memegen.media.commands import Sound
from memegen.media.formats import USUAL_ANIMATION, USUAL_STILL, USUAL_VIDEO, Format, format_of
from memegen.media.platforms import platform_named, presented
from memegen.perception.find import AnalyzedFace
from memegen.performance.clip import Clip
from memegen.photo import Photo
from memegen.pipeline import write
from memegen.serve.engine import Engine
from memegen.serve.errors import TooLargeError
from memegen.serve.jobs import Job, Result
from memegen.serve.settings import Limits
from memegen.serve.timelines import Timeline
from memegen.serve.uploads import clip_of, is_moving, picture_of
from memegen.tracks import Track

SEEN = 0.05  # of a job, when its faces are known
RENDERED = 0.95  # when all frames are painted; the rest is the encoder's
TYPES = {
    ".gif": "image/gif",
    ".png": "image/png",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}


def ignore(_: str) -> None:
    """For what the command line tells beside a result that went well."""


@dataclass(frozen=True)
class SeenPhoto:
    """A photo, and those of its faces that are animated."""

    photo: Photo
    faces: tuple[AnalyzedFace, ...]


@dataclass(frozen=True)
class Rendering:
    """How a file is made: of which networks, within which limits."""

    engine: Engine
    limits: Limits
    settings: Settings

    def check(self, still: bool = False) -> None:
        """Raise what can be refused before any work."""
        size = self.settings.size
        if size is not None and size > self.limits.output_side:
            raise TooLargeError(f"size {size} is more than {self.limits.output_side} pixels")
        if self.settings.cutout is not None:
            from memegen.cutout.asked import check_cutout

            check_cutout(self.settings.cutout, self.format(still))

    def format(self, still: bool = False, usual: Format = USUAL_ANIMATION) -> Format:
        """The format of the file."""
        asked = self.settings.format
        return format_of(asked) if asked else USUAL_STILL if still else usual

    def side(self, chosen: Format) -> int:
        """The longest side of frames: photos that are larger are reduced to the limit."""
        return min(self.settings.side(chosen) or self.limits.output_side, self.limits.output_side)

    def photo(
        self, job: Job, seen: SeenPhoto, track: Track, chosen: Format, sound: Sound | None = None
    ) -> Result:
        """A photo whose faces follow a track, as a file."""
        settings = self.settings
        job.at(SEEN)
        shown = self.side(chosen), settings.crop, settings.cutout
        ready = self.engine.animator.prepare_canvas(seen.photo, list(seen.faces), *shown)
        return self.file(job, ready.play(track, settings.intensity), chosen, sound)

    def clip(
        self, job: Job, clip: Clip, track: Track | Callable[[Array], Track], absolute: bool
    ) -> Result:
        """A clip whose face follows a track, or what is made of its usual expression, as a file."""
        settings = self.settings
        chosen = self.format(usual=USUAL_ANIMATION if clip.animated else USUAL_VIDEO)
        if not chosen.animated:
            raise UsageError(f"{chosen.suffix} holds one picture; a clip needs one that moves")
        if settings.cutout is not None:
            raise UsageError("cutout is for photos, not for clips")
        clip = replace(clip, fps=chosen.representable_fps(clip.fps))
        with self.engine.watching(job.check) as animator:
            frames = animator.animate_clip(
                clip,
                track,
                face=_number(settings.face),
                intensity=settings.intensity,
                absolute=absolute,
                size=self.side(chosen),
                warn=ignore,
            )
            loops = chosen.loops if settings.loop is None else settings.loop
            seconds = len(frames) / clip.fps
            sound = Sound(clip.path, 0.0, seconds, clip.sound) if clip.audio else None
            return self.file(job, replace(frames, loops=loops), chosen, sound)

    def file(self, job: Job, frames: Frames, chosen: Format, sound: Sound | None = None) -> Result:
        """Frames with captions, as a platform wants them, encoded in a folder that is removed."""
        settings = self.settings
        platform = platform_named(settings.platform) if settings.platform else None
        count = max(1, len(frames))

        def followed() -> Iterator[Picture]:
            for index, picture in enumerate(frames):
                job.at(SEEN + (RENDERED - SEEN) * index / count)
                self.engine.give_way()
                yield picture
            job.at(RENDERED)

        captioned = settings.captions.added_to(replace(frames, pictures=followed()))
        with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
            path = Path(folder, f"made{chosen.suffix}")
            write(
                presented(captioned, platform, settings.mark, ignore),
                path,
                fmt=chosen.suffix,
                max_size=settings.max_size,
                sound=sound,
                exact=platform is not None and platform.exact is not None,
            )
            return Result(path.read_bytes(), TYPES[chosen.suffix], f"memegen{chosen.suffix}")


@dataclass(frozen=True)
class StoredAnimation:
    """A job: faces of a stored photo play a timeline."""

    rendering: Rendering
    timeline: Timeline
    seen: SeenPhoto

    def __call__(self, job: Job) -> Result:
        """See Work."""
        chosen = self.rendering.format()
        return self.rendering.photo(job, self.seen, self.timeline.on_photo(chosen), chosen)


@dataclass(frozen=True)
class UploadedAnimation:
    """A job: an uploaded photo or clip plays a timeline."""

    rendering: Rendering
    timeline: Timeline
    data: bytes
    relative: bool = True  # of clips: added to what the face does

    def __call__(self, job: Job) -> Result:
        """See Work."""
        made, settings = self.rendering, self.rendering.settings
        if is_moving(self.data) and not settings.still:
            with clip_of(self.data, made.limits, self.timeline.fps, job.check) as clip:
                chosen = made.format(usual=USUAL_ANIMATION if clip.animated else USUAL_VIDEO)
                track = self.timeline.at(chosen.representable_fps(clip.fps))
                return made.clip(job, clip, track, not self.relative)
        photo = picture_of(self.data, made.limits)
        with made.engine.watching(job.check) as animator:
            faces = animator.analyze(photo, settings.face)
        chosen = made.format(settings.still)
        track = self.timeline.on_photo(chosen, settings.still)
        return made.photo(job, SeenPhoto(photo, tuple(faces)), track, chosen)


def chosen_faces(faces: list[AnalyzedFace], which: int | str) -> tuple[AnalyzedFace, ...]:
    """Faces by their index from 0, or `all`. Raises NoFaceError."""
    if which == "all":
        return tuple(faces)
    index = int(which)
    if index >= len(faces):
        raise NoFaceError(f"there is no face {index}, only {len(faces)} found")
    return (faces[index],)


def _number(face: str) -> int:
    """A face of a clip: largest, or a number from 1. Raises UsageError."""
    word = face.strip().lower()
    if word == "largest":
        return 1
    if word.isascii() and word.isdigit() and int(word[:6]) >= 1:
        return int(word[:6])
    raise UsageError(f"face {face}: in a clip write largest, or a number from 1, largest first")
