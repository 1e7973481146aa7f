"""Performers and the photos that they drive, as `memegen transfer` does it, seen by a judge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from memegen.arrays import Array, Integers, Picture
from memegen.errors import MemegenError, NoFaceError
from memegen.evaluation.judges import Estimate, Estimates, Judge
from memegen.performance.clip import open_clip, read_clip
from memegen.performance.retarget import RetargetOptions, reference_weights, retarget
from memegen.performance.track import FaceTracker, Performance, performance_from
from memegen.photo import Photo, read_photo
from memegen.pipeline import Animator
from memegen.tracks import Track

EVERY = 4  # frames between those that drive other people
SIDE = 480  # pixels, longest side of driven photos: faces of more than judges look at


@dataclass(frozen=True)
class DrivingClip:
    """A clip that drives."""

    name: str
    frames: list[Picture]
    performance: Performance  # what drives
    estimates: Estimates  # what the judge sees

    @classmethod
    def of(
        cls, clip: Path, animator: Animator, judge: Judge, most: int | None = None
    ) -> DrivingClip:
        """Read a clip, its first `most` frames. Raises MemegenError if nobody sees a face."""
        opened = open_clip(clip)
        with closing(read_clip(opened)) as reading:
            frames = list(islice(reading.frames, most))
        found = FaceTracker(animator.detector, animator.analyzer).track(frames)
        performance = performance_from(found, opened.fps, clip.stem)
        estimates = Estimates.of(judge.estimate(frames))
        if not estimates.seen.any():
            raise MemegenError(f"{clip}: {judge.name} sees no face")
        return cls(clip.name, frames, performance, estimates)

    def reference(self, options: RetargetOptions, source: Array) -> Array:
        """(T,) weights, sum 1, of the frames that a photo's changes are counted from.

        Those of `reference_weights` where the judge sees a face; all it sees if it sees none of
        them.
        `source` (K,): the photo's expression.
        """
        weights = (
            reference_weights(self.performance, options.neutral_frame, source) * self.estimates.seen
        )
        if weights.sum() < 1e-6:
            weights = self.estimates.seen.astype(np.float32)
        return np.asarray(weights / weights.sum(), np.float32)

    def track(self, options: RetargetOptions, source: Array, rows: Integers) -> Track:
        """The frames `rows` of what a photo with the expression `source` (K,) is asked to do."""
        return retarget(self.performance, options, source).rows(rows)


@dataclass(frozen=True)
class Reenactment:
    """A photo that plays some frames of a clip."""

    photo: str
    driver: DrivingClip
    source: Array  # (K,) the photo's expression
    rows: Integers  # (F,) frames of the clip
    weights: Array  # (T,) of the clip's frames, sum 1, that changes are counted from
    track: Track  # of these rows
    still: Estimate  # the photo
    pictures: list[Picture]
    estimates: Estimates  # the pictures


def reenact(
    photos: list[Path],
    performers: list[DrivingClip],
    animator: Animator,
    judge: Judge,
    options: RetargetOptions,
) -> Iterator[Reenactment]:
    """Every photo driven by every performer, every fourth frame.

    Photos are at most SIDE pixels wide or high; those without a face are left out.
    """
    for path in photos:
        photo = _small(read_photo(path))
        still = next(judge.estimate([photo.rgb]))
        try:
            source = animator.analyze(photo)[0].analysis.action_units
        except NoFaceError:
            continue
        if still is None:
            continue
        for driver in performers:
            rows = np.arange(0, len(driver.performance), EVERY)
            track = driver.track(options, source, rows)
            pictures = list(animator.animate(photo, track))
            estimates = Estimates.of(judge.estimate(pictures))
            weights = driver.reference(options, source)
            yield Reenactment(
                path.name, driver, source, rows, weights, track, still, pictures, estimates
            )


def _small(photo: Photo) -> Photo:
    scale = min(1.0, SIDE / max(photo.size))
    return photo.resized(round(photo.size[0] * scale), round(photo.size[1] * scale))
