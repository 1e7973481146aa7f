"""What `animate` and `transfer` do where the source is a clip: a video or an animated picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memegen.cli.console import progress, say
from memegen.errors import UsageError

if TYPE_CHECKING:
    from memegen.arrays import Array
    from memegen.media.formats import Format
    from memegen.performance.clip import Clip
    from memegen.pipeline import Animator
    from memegen.tracks import Track


@dataclass(frozen=True)
class ClipJob:
    """A clip and where its changed version goes."""

    clip: Clip
    path: str  # `-` is standard output
    fmt: str | None  # of the output, if no suffix says it
    chosen: Format


@dataclass(frozen=True)
class Changes:
    """How a clip is changed, beside its track; as the options of the same names."""

    face: int
    intensity: float
    absolute: bool
    size: int | None
    loop: bool | None
    mute: bool


def is_clip(source: str) -> bool:
    """Whether a file that exists is a video or an animated picture, not a photo."""
    from memegen.photo import picture_kind

    path = Path(source)
    if not path.is_file() or path.stat().st_size == 0:
        return False
    return picture_kind(path) != "still"


def usual_format(source: str) -> Format:
    """What a changed clip becomes unless somebody says: an animation, or a video, as it was."""
    from memegen.media.formats import USUAL_ANIMATION, USUAL_VIDEO
    from memegen.photo import picture_kind

    return USUAL_ANIMATION if picture_kind(Path(source)) == "animated" else USUAL_VIDEO


def job_of(source: str, path: str, fmt: str | None, fps: float | None) -> ClipJob:
    """Look at a clip and where it goes. Raises UsageError where that cannot be."""
    from memegen.media.encode import target_for
    from memegen.media.formats import output_format, suffixes_said
    from memegen.performance.clip import open_clip

    chosen = usual_format(source) if path == "-" and not fmt else output_format(path, fmt)
    if not chosen.animated:
        raise UsageError(
            f"{path}: holds one picture; a clip needs one of {suffixes_said(animated=True)}"
        )
    target_for(path, fmt or chosen.suffix if path == "-" else fmt)
    clip = open_clip(source, fps)
    rate = chosen.representable_fps(clip.fps)
    return ClipJob(replace(clip, fps=rate), path, fmt or chosen.suffix, chosen)


def face_number(face: str) -> int:
    """`--face` for a clip: largest, or a number from 1."""
    if face.strip().lower() == "largest":
        return 1
    if face.strip().isdigit() and int(face) >= 1:
        return int(face)
    raise UsageError(f"--face {face}: in a clip write largest, or a number from 1, largest first")


def write_clip(
    animator: Animator,
    job: ClipJob,
    track: Track | Callable[[Array], Track],
    changes: Changes,
    limit: int | None,
) -> Path | None:
    """Write a clip whose face follows a track; its sound is kept where the format has sound.

    track: or what makes one of the face's habitual expression (K,).
    """
    from memegen.media.commands import Sound
    from memegen.pipeline import write

    clip, size = job.clip, changes.size or job.chosen.default_side or None
    frames = animator.animate_clip(
        clip,
        track,
        face=changes.face,
        intensity=changes.intensity,
        absolute=changes.absolute,
        size=size,
        warn=say,
    )
    loops = job.chosen.loops if changes.loop is None else changes.loop
    sound = Sound(clip.path, 0.0, len(frames) / clip.fps, clip.sound)
    with progress(clip.path.name) as follow:
        shown = replace(frames, pictures=iter(follow(frames, len(frames))), loops=loops)
        return write(
            shown, job.path, fmt=job.fmt, max_size=limit,
            sound=sound if clip.audio and not changes.mute else None,
        )  # fmt: skip
