"""Who looks at driven faces: MediaPipe, which shares nothing with the program, or our perception.

A judge looks at pictures and says of each where the landmarks are, how strong action units are, and
how the head is turned. What it says of a performer and of a photo that this performer drives can
be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from memegen import aus
from memegen.arrays import Array, Integers, Mask, Picture
from memegen.evaluation.landmark_aus import READINGS, intensities, read
from memegen.facedata.teachers import Landmarker
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.shape import LANDMARKS, angles_of
from memegen.performance.track import FaceTracker
from memegen.pipeline import Animator

UNIT_COLUMNS = [
    [aus.INDEX[channel] for channel in aus.BY_NUMBER[reading.number].channels]
    for reading in READINGS
]


@dataclass(frozen=True)
class Estimate:
    """What a judge sees in one picture."""

    landmarks: Array  # (478, 2) pixels, x right, y down
    intensities: Array  # (R,) in the order of READINGS, 5 for `full`; only changes mean something
    angles: Array  # (3,) degrees: yaw to the person's left, pitch up, roll to the left


@dataclass(frozen=True)
class Estimates:
    """What a judge sees in F pictures; NaN where it sees no face."""

    landmarks: Array  # (F, 478, 2) pixels
    intensities: Array  # (F, R)
    angles: Array  # (F, 3) degrees

    @classmethod
    def of(cls, estimates: Iterable[Estimate | None]) -> Estimates:
        """Gather what was seen."""
        rows = list(estimates)
        found = cls(
            np.full((len(rows), LANDMARKS, 2), np.nan, np.float32),
            np.full((len(rows), len(READINGS)), np.nan, np.float32),
            np.full((len(rows), 3), np.nan, np.float32),
        )
        for row, estimate in enumerate(rows):
            if estimate is not None:
                found.landmarks[row] = estimate.landmarks
                found.intensities[row] = estimate.intensities
                found.angles[row] = estimate.angles
        return found

    def rows(self, rows: Integers | slice) -> Estimates:
        """The same for some pictures."""
        return Estimates(self.landmarks[rows], self.intensities[rows], self.angles[rows])

    def mean(self, weights: Array) -> Estimate:
        """The mean of the estimates with a weight (F,); weights sum up to 1."""
        known = weights > 0
        weight = weights[known]
        return Estimate(
            np.tensordot(weight, self.landmarks[known], 1),
            weight @ self.intensities[known],
            weight @ self.angles[known],
        )

    @property
    def seen(self) -> Mask:
        """(F,) pictures in which a face was seen."""
        return np.asarray(np.isfinite(self.angles[:, 0]))


class Judge(Protocol):
    """Looks at pictures of one face."""

    name: str

    def estimate(self, pictures: Iterable[Picture]) -> Iterator[Estimate | None]:
        """What is seen in every (H, W, 3 or 4) picture; None where there is no face."""
        ...


class MediaPipeJudge:
    """MediaPipe's face landmarker."""

    name = "mediapipe"

    def __init__(self, eye: Landmarker) -> None:
        self._eye, self._anatomy = eye, load_anatomy()

    def estimate(self, pictures: Iterable[Picture]) -> Iterator[Estimate | None]:
        """See Judge.estimate."""
        for picture in pictures:
            found = self._eye.find(picture[..., :3])
            if found is None:
                yield None
                continue
            points = found.landmarks[:, :2] * picture.shape[1]
            values = intensities(read(found, self._anatomy))
            yield Estimate(points, values, angles_of(found.rotation))


class PerceptionJudge:
    """Our own perception. It reads the performers too, so it takes its own mistakes for right."""

    name = "perception"

    def __init__(self, animator: Animator) -> None:
        self._animator = animator

    def estimate(self, pictures: Iterable[Picture]) -> Iterator[Estimate | None]:
        """See Judge.estimate."""
        animator = self._animator
        tracker = FaceTracker(animator.detector, animator.analyzer)
        frames = (np.ascontiguousarray(picture[..., :3]) for picture in pictures)
        for seen in tracker.track(frames):
            if seen is None:
                yield None
            else:
                units = seen.units
                yield Estimate(seen.points[:, :2], units_read(units), aus.head_degrees(units))


@contextmanager
def judging(landmarker: Path | None, animator: Animator) -> Iterator[Judge]:
    """MediaPipe with its landmarker file, or without one the animator's perception.

    Raises UsageError as Landmarker does.
    """
    if landmarker is None:
        yield PerceptionJudge(animator)
        return
    eye = Landmarker(landmarker, "`landmarker`")
    try:
        yield MediaPipeJudge(eye)
    finally:
        eye.close()


def units_read(units: Array) -> Array:
    """(..., K) channels 0..1 to (..., R) intensities 0..5 of READINGS, sides averaged."""
    columns = [units[..., columns].mean(-1) for columns in UNIT_COLUMNS]
    return np.stack(columns, -1) * np.float32(aus.MAX_INTENSITY)
