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
from memegen.evaluation.judges import Judge, Look, Looks
from memegen.performance.clip import open_clip, read_clip
from memegen.performance.drive import Driving, reference_weights, track_of
from memegen.performance.follow import Follower, Performance, performance_of
from memegen.photo import Photo, read_photo
from memegen.pipeline import Animator
from memegen.tracks import Track

EVERY = 4  # frames between those that drive other people
SIDE = 480  # pixels, longest side of driven photos: faces of more than judges look at


@dataclass(frozen=True)
class Acted:
    """A clip that drives."""

    name: str
    frames: list[Picture]
    told: Performance  # what drives
    looks: Looks  # what the judge sees

    @classmethod
    def of(cls, clip: Path, animator: Animator, judge: Judge, most: int | None = None) -> Acted:
        """Read a clip, its first `most` frames. Raises MemegenError if nobody sees a face."""
        opened = open_clip(clip)
        with closing(read_clip(opened)) as reading:
            frames = list(islice(reading.frames, most))
        found = Follower(animator.detector, animator.perceiver).follow(frames)
        told = performance_of(found, opened.fps, clip.stem)
        looks = Looks.of(judge.watch(frames))
        if not looks.seen.any():
            raise MemegenError(f"{clip}: {judge.name} sees no face")
        return cls(clip.name, frames, told, looks)

    def reference(self, driving: Driving, own: Array) -> Array:
        """(T,) weights, sum 1, of the frames that a photo's changes are counted from.

        Those of the driving where the judge sees a face; all it sees if it sees none of them.
        `own` (K,): the photo's expression.
        """
        weights = reference_weights(self.told, driving.neutral_frame, own) * self.looks.seen
        if weights.sum() < 1e-6:
            weights = self.looks.seen.astype(np.float32)
        return np.asarray(weights / weights.sum(), np.float32)

    def track(self, driving: Driving, own: Array, rows: Integers) -> Track:
        """The frames `rows` of what a photo with the expression `own` (K,) is asked to do."""
        return track_of(self.told, driving, own).rows(rows)


@dataclass(frozen=True)
class Played:
    """A photo that plays some frames of a clip."""

    photo: str
    performer: Acted
    own: Array  # (K,) the photo's expression
    rows: Integers  # (F,) frames of the clip
    weights: Array  # (T,) of the clip's frames, sum 1, that changes are counted from
    track: Track  # of these rows
    still: Look  # the photo
    pictures: list[Picture]
    looks: Looks  # the pictures


def plays(
    photos: list[Path], performers: list[Acted], animator: Animator, judge: Judge, driving: Driving
) -> Iterator[Played]:
    """Every photo driven by every performer, every fourth frame.

    Photos are at most SIDE pixels wide or high; those without a face are left out.
    """
    for path in photos:
        photo = _small(read_photo(path))
        still = next(judge.watch([photo.rgb]))
        try:
            own = animator.see(photo)[0].perception.action_units
        except NoFaceError:
            continue
        if still is None:
            continue
        for performer in performers:
            rows = np.arange(0, len(performer.told), EVERY)
            track = performer.track(driving, own, rows)
            pictures = list(animator.animate(photo, track))
            looks = Looks.of(judge.watch(pictures))
            weights = performer.reference(driving, own)
            yield Played(path.name, performer, own, rows, weights, track, still, pictures, looks)


def _small(photo: Photo) -> Photo:
    scale = min(1.0, SIDE / max(photo.size))
    return photo.resized(round(photo.size[0] * scale), round(photo.size[1] * scale))
