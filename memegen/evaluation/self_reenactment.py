"""Self-reenactment: a clip's first frame, driven by the clip, against the clip itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from memegen.arrays import Array, Picture
from memegen.errors import MemegenError, UsageError
from memegen.evaluation.measures import absolute, mean_over, regions, structure
from memegen.evaluation.subjects import looked_at
from memegen.faces.align import Alignment
from memegen.geometry.shape import MESH_POINTS, iod
from memegen.perception.analyze import FaceAnalyzer, read_crop
from memegen.performance.clip import open_clip, read_clip
from memegen.performance.retarget import RetargetOptions, retarget
from memegen.performance.track import FaceTracker, TrackedFace, performance_from
from memegen.photo import picture_kind, read_photo
from memegen.pipeline import Animator

EVERY = 5  # frames between those compared
CROP = 192  # pixels of the aligned crops that are compared
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".gif", ".webp")

Report = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Way:
    """One way of playing a clip."""

    name: str
    model: str | None  # None: the first frame stands still
    detail: float = 0.0


def ways_of(models: list[str]) -> list[Way]:
    """The still photo; every model, driven by action units and by the performer's mesh too."""
    found = [Way("still", None)]
    for model in models:
        found += [Way(model, model), Way(f"{model}, detail", model, 1.0)]
    return found


def is_clip(path: Path) -> bool:
    """Whether a file is a video or an animated picture."""
    return path.suffix.lower() in SUFFIXES and picture_kind(path) != "still"


def clips_in(source: Path) -> list[Path]:
    """A clip, or all clips of a folder. Raises UsageError if there is none."""
    if source.is_file():
        return [source]
    found = sorted(path for path in source.iterdir() if is_clip(path))
    if not found:
        raise UsageError(f"{source}: neither face data nor clips in this folder")
    return found


def evaluate(
    clips: list[Path],
    models: list[str],
    most: int | None = None,
    warn: Callable[[str], None] = print,
) -> dict[str, Report]:
    """{clip: {way: figures}}, and the mean under `all clips`.

    landmarks: mean distance (IOD) of the 468 in their aligned crops; L1 (levels of 255) and SSIM
    inside the face, in those crops. Every fifth frame counts, of the first `most`. Clips of several
    that show too little are left out, and `warn` is told.
    """
    animators = {model: Animator(model) for model in models}
    ways = ways_of(models)
    first = next(iter(animators.values()))
    found = looked_at(clips, lambda clip: _one(clip, ways, animators, first, most), warn)
    report = {clip.name: one for clip, one in found.items()}
    names = [way.name for way in ways]
    report["all clips"] = {
        name: {
            figure: float(np.mean([found[name][figure] for found in list(report.values())]))
            for figure in ("landmarks", "L1", "SSIM")
        }
        for name in names
    }
    return report


def _one(
    clip: Path,
    ways: list[Way],
    animators: dict[str, Animator],
    first: Animator,
    most: int | None,
) -> Report:
    opened = open_clip(clip)
    with closing(read_clip(opened)) as reading:
        frames = list(islice(reading.frames, most))
    analyzer = first.analyzer
    found = list(FaceTracker(first.detector, analyzer).track(frames))
    performance = performance_from(found, opened.fps, clip.stem)
    if found[0] is None:
        raise MemegenError(f"{clip}: no face in the first frame")
    shown = [i for i in range(EVERY, len(frames), EVERY) if found[i] is not None]
    if not shown:
        raise MemegenError(f"{clip}: too few frames with a face, every {EVERY}th is compared")
    photo = read_photo(frames[0])
    report: Report = {}
    for way in ways:
        if way.model is None:
            reenactment: Iterator[Picture] = (frames[0] for _ in frames)
        else:
            track = retarget(performance, RetargetOptions(neutral_frame=0, detail=way.detail))
            reenactment = iter(animators[way.model].animate(photo, track))
        figures = [
            _compared(picture, frames[index], found[index], found[0].alignment, analyzer)
            for index, picture in enumerate(reenactment)
            if index in shown
        ]
        columns = zip(*figures, strict=True)
        report[way.name] = dict(
            zip(("landmarks", "L1", "SSIM"), (float(np.mean(c)) for c in columns), strict=True)
        )
    return report


def _compared(
    picture: Picture, real: Picture, seen: TrackedFace | None, at: Alignment, analyzer: FaceAnalyzer
) -> tuple[float, float, float]:
    assert seen is not None
    places = [analyzer.realign(picture, at), analyzer.realign(real, seen.alignment)]
    output = [
        analyzer.predict(frame, place)[0]
        for frame, place in zip((picture, real), places, strict=True)
    ]
    gap = float(iod(output[1]))
    distance = float(np.linalg.norm((output[0] - output[1])[:MESH_POINTS, :2], axis=1).mean() / gap)
    mine, true = (_crop(frame, place) for frame, place in zip((picture, real), places, strict=True))
    face = 1 - regions(output[1], CROP)["background"]
    return (
        distance,
        mean_over(absolute(mine, true), face),
        mean_over(structure(mine, true), face),
    )


def _crop(frame: Picture, at: Alignment) -> Array:
    return np.asarray(read_crop(frame, at, CROP)[0].permute(1, 2, 0).numpy() * 255)
