"""What `animate` and `transfer` do where the source is a clip: a video or an animated picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memegen.cli.console import say
from memegen.cli.output import Output
from memegen.errors import UsageError

if TYPE_CHECKING:
    from memegen.arrays import Array
    from memegen.media.formats import Format
    from memegen.performance.clip import Clip
    from memegen.pipeline import Animator
    from memegen.tracks import Track


@dataclass(frozen=True)
class ClipJob:
    """A clip, where its changed version goes, and what is changed beside its track."""

    clip: Clip
    path: str  # `-` is standard output
    output: Output  # its format is known
    face: int  # from 1, largest first
    intensity: float
    absolute: bool  # whether the track takes its channels over, or adds to them


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


def clip_for(source: str, path: str, output: Output, fps: float | None) -> tuple[Clip, Output]:
    """Look at a clip and where it goes; its frame rate becomes one that the format can say.

    Raises UsageError where that cannot be.
    """
    from memegen.media.encode import target_for
    from memegen.media.formats import suffixes_said
    from memegen.performance.clip import open_clip

    unsaid = path == "-" and not output.fmt
    chosen = usual_format(source) if unsaid else output.format_at(path)
    if not chosen.animated:
        raise UsageError(
            f"{path}: holds one picture; a clip needs one of {suffixes_said(animated=True)}"
        )
    target_for(path, output.fmt or chosen.suffix if path == "-" else output.fmt)
    clip = open_clip(source, fps)
    exact = replace(clip, fps=chosen.representable_fps(clip.fps))
    return exact, replace(output, fmt=output.fmt or chosen.suffix)


def face_number(face: str) -> int:
    """`--face` for a clip: largest, or a number from 1."""
    if face.strip().lower() == "largest":
        return 1
    if face.strip().isdigit() and int(face) >= 1:
        return int(face)
    raise UsageError(f"--face {face}: in a clip write largest, or a number from 1, largest first")


def write_clip(animator: Animator, job: ClipJob, track: Track | Callable[[Array], Track]) -> None:
    """Write a clip whose face follows a track; its sound is kept where the format has sound.

    track: or what makes one of the face's usual expression (K,).
    """
    from memegen.media.commands import Sound

    clip, chosen = job.clip, job.output.format_at(job.path)
    frames = animator.animate_clip(
        clip,
        track,
        face=job.face,
        intensity=job.intensity,
        absolute=job.absolute,
        size=job.output.size or chosen.default_side or None,
        warn=say,
    )
    loops = chosen.loops if job.output.loop is None else job.output.loop
    sound = Sound(clip.path, 0.0, len(frames) / clip.fps, clip.sound) if clip.audio else None
    job.output.write(replace(frames, loops=loops), job.path, clip.path.name, sound)
