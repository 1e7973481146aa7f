"""`--dry-run`: what would be written, told without painting or writing anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memegen.cli.console import fail, result, say
from memegen.errors import UsageError

if TYPE_CHECKING:
    from memegen.batch.dry_run import Forecast
    from memegen.cli.clips import ClipJob
    from memegen.cli.output import Output
    from memegen.frames import Frames
    from memegen.media.formats import Format
    from memegen.media.platforms import Platform
    from memegen.perception.find import AnalyzedFace
    from memegen.photo import Photo
    from memegen.tracks import Track


@dataclass(frozen=True)
class Planned:
    """A file that would be written."""

    path: str  # `-` is standard output
    fmt: Format
    size: tuple[int, int]  # width and height in pixels, as they are encoded
    frames: int
    fps: float
    loops: bool
    most_bytes: int | None
    platform: Platform | None = None
    about: bool = False  # whether frames are counted by what the clip says of its length

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return self.frames / self.fps

    def __str__(self) -> str:
        parts = [self.fmt.name.upper(), "{}x{}".format(*self.size)]
        if self.frames == 1 and not self.about:
            parts.append("one picture")
        else:
            some = "about " if self.about else ""
            parts.append(f"{some}{self.frames} frames at {self.fps:.4g} fps, {self.seconds:.2f} s")
            parts.append("loops" if self.loops else "plays once")
        if self.most_bytes:
            parts.append(f"at most {self.most_bytes / 1000:.4g} kB")
        if self.platform is not None:
            parts.append(f"for {self.platform.name} ({_limits(self.platform)})")
        there = " (replaces the one there)" if Path(self.path).is_file() else ""
        return f"{self.path}: {', '.join(parts)}{there}"


def tell(planned: Planned, faces: str = "") -> None:
    """A line of result about a file, and what of its source there is to say."""
    result(f"would write {planned}{f'; {faces}' if faces else ''}")


def of_frames(frames: Frames, path: str, output: Output, about: bool = False) -> Planned:
    """What encoding these frames would make, which need no pictures yet."""
    fmt = output.format_at(path)
    return Planned(
        path, fmt, encoded_size(frames.size, fmt), len(frames), frames.fps, frames.loops,
        output.limit, output.platform, about,
    )  # fmt: skip


def of_photo(
    photo: Photo, seen: Sequence[AnalyzedFace], track: Track, path: str, output: Output
) -> Planned:
    """What a photo whose faces are known would become, playing a track at the output's size."""
    from memegen.frames import Frames
    from memegen.pipeline import framed

    placed = framed(photo, seen, output.size, output.crop, output.cutout)
    frames = Frames(
        iter(()), len(track), placed.size, track.fps, track.loops, "", track.captions, placed.boxes
    )
    return of_frames(output.composed(frames), path, output)


def of_clip(job: ClipJob, captions: Track | None = None) -> Planned:
    """What a clip would become; its first picture is read. Raises what reading raises."""
    from memegen.frames import Frames
    from memegen.media.sizes import MAX_SIDE
    from memegen.performance.clip import read_clip

    chosen = job.output.format_at(job.path)
    side = job.output.size or chosen.default_side or MAX_SIDE
    reading = read_clip(job.clip, side=min(side, MAX_SIDE))
    try:
        first = next(reading.frames, None)
    finally:
        reading.close()
    if first is None:
        raise UsageError(f"{job.clip.path}: has no pictures")
    count = max(1, round((job.clip.seconds or 0) * job.clip.fps))
    loops = chosen.loops if job.output.loop is None else job.output.loop
    size = (first.shape[1], first.shape[0])
    shown = captions.captions_over(count) if captions is not None else ()
    frames = Frames(iter(()), count, size, job.clip.fps, loops, "", shown)
    composed = job.output.composed(frames)
    return of_frames(composed, job.path, job.output, about=not job.clip.animated)


def of_job(forecast: Forecast, as_json: bool) -> str:
    """Tell of a job of a batch; returns what would become of it, in words."""
    from memegen.cli.output import Output
    from memegen.frames import Frames
    from memegen.media.platforms import platform_named

    job, settings = forecast.job, forecast.job.settings
    words = {"done": "would be made", "current": "up to date", "failed": "cannot be made"}
    said = words[forecast.state.value]
    if forecast.size is None:
        if as_json:
            result(json.dumps({"out": job.out, "state": said, "error": forecast.error}))
        fail(forecast.error)
        return said
    platform = platform_named(settings.platform) if settings.platform else None
    output = Output(
        settings.format, None, settings.max_size, settings.loop, True, platform=platform,
        captions=settings.captions, mark=settings.mark,
    )  # fmt: skip
    side = settings.side(forecast.fmt)
    scale = 1.0 if side is None else min(1.0, side / max(forecast.size))
    # What a crop or a cut-out shows depends on the face: it is at most so large.
    size = (max(1, round(forecast.size[0] * scale)), max(1, round(forecast.size[1] * scale)))
    track = forecast.track
    frames = Frames(iter(()), len(track), size, track.fps, track.loops, "", track.captions)
    planned = of_frames(output.composed(frames), job.out, output)
    if as_json:
        asked = {"crop": settings.crop, "cutout": settings.cutout}
        cropped = {key: value for key, value in asked.items() if value not in (None, "none")}
        result(json.dumps(_as_json(planned) | cropped | {"photo": job.photo, "state": said}))
    elif said == "up to date":
        result(f"up to date {job.out}")
    else:
        parts = [f"{settings.crop} cropped"] if settings.crop not in (None, "none") else []
        parts += [f"{settings.cutout} cut out"] if settings.cutout is not None else []
        tell(planned, ", ".join([*parts, "size at most"]) if parts else "")
    return said


def faces_said(count: int) -> str:
    """`1 face`, `3 faces`."""
    return f"{count} face{'' if count == 1 else 's'}"


def encoded_size(size: tuple[int, int], fmt: Format) -> tuple[int, int]:
    """Width and height that the format makes of these: videos have even sides."""
    width, height = size
    return (width // 2 * 2, height // 2 * 2) if fmt.even_sides else size


def end() -> None:
    """Say that it was for show."""
    say("dry run: nothing was painted or written")


def _as_json(planned: Planned) -> dict[str, object]:
    """For `--json`."""
    return {
        "out": planned.path,
        "format": planned.fmt.name,
        "width": planned.size[0],
        "height": planned.size[1],
        "frames": planned.frames,
        "fps": planned.fps,
        "seconds": round(planned.seconds, 3),
        "loops": planned.loops,
        "most_bytes": planned.most_bytes,
        "platform": planned.platform.name if planned.platform else None,
    }


def _limits(platform: Platform) -> str:
    """What a platform asks for, in words."""
    parts = []
    if platform.exact:
        parts.append("exactly {}x{}".format(*platform.exact))
    if platform.most:
        parts.append("at most {}x{}".format(*platform.most))
    for value, unit in (
        (platform.seconds, "s"),
        (platform.fps, "fps"),
        (platform.frames, "frames"),
    ):
        if value is not None:
            parts.append(f"at most {value:g} {unit}")
    parts.append(f"{platform.bytes / 1000:.4g} kB")
    return ", ".join(parts)
