"""Whether what is asked for is seen, by MediaPipe: an estimator that shares nothing with ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from memegen import aus
from memegen.arrays import Array
from memegen.errors import MemegenError
from memegen.evaluation.cross_reenactment import photos_in
from memegen.evaluation.landmark_aus import READINGS, fit, intensities, read
from memegen.evaluation.real_pairs import MOST_GAP, neutral_photos
from memegen.evaluation.subjects import Subject, subjects_in, track_of_targets
from memegen.facedata.shards import is_shards
from memegen.facedata.teachers import Landmarker
from memegen.geometry.anatomy import load_anatomy
from memegen.photo import Photo, read_photo
from memegen.pipeline import Animator
from memegen.tracks import Track

SIDE = 320  # pixels of the square photo that is animated
FACES = 10  # unless told: a minute or two a model on one core
LEVELS = (0.0, 1.0, 2.0, 3.0, 4.0)  # intensities asked for
MOST_SMILE = 0.4  # score of a neutral mouth

Report = dict[str, dict[str, float]]


def evaluate(model: str, data: Path, landmarker: Path, faces: int = FACES) -> Report:
    """{AU: figures} on the first `faces` photos whose mouths are shut; `run` tells of the run.

    data: a photo, a folder of photos, or of shards (neutral held-out faces, large ones first).

    Every AU of READINGS is asked for at LEVELS, the rest staying the photo's own. slope (through
    the origin) and correlation are of the change that is seen on the change that was asked for,
    both 0..5; `of people` is the slope where 5 is what one real photo in a hundred reaches;
    `at 4` the mean change seen in the strongest frame. The standard error of the slope is taken
    over faces. Raises MemegenError if no photo serves.
    """
    start = time.perf_counter()
    asked, seen = [], []
    with closing(Landmarker(landmarker, "`landmarker`")) as eye:
        for subject, changes in _looked(eye, Animator(model), _photos(data, faces)):
            asked.append(_asked(subject))
            seen.append(changes)
            if len(seen) == faces:
                break
    if not seen:
        raise MemegenError(f"{data}: no face with its mouth shut, by MediaPipe")
    report = _fits(np.stack(asked), np.stack(seen))
    report["run"] = {"faces": float(len(seen)), "seconds": time.perf_counter() - start}
    return report


def _looked(
    eye: Landmarker, animator: Animator, photos: list[Photo]
) -> Iterator[tuple[Subject, Array]]:
    """Every subject that is neutral to MediaPipe, and the changes (R, L) that it sees."""
    anatomy = load_anatomy()
    for subject in subjects_in(animator, photos, SIDE):
        found = eye.find(subject.photo.rgb)
        if found is None or not _is_neutral(values := read(found, anatomy)):
            continue
        frames = animator.animate(subject.photo, _questions())
        faces = [eye.find(frame) for frame in frames]
        rows = [None if face is None else read(face, anatomy) for face in faces]
        yield subject, _changes(rows, values)


def _photos(data: Path, faces: int) -> list[Photo]:
    if is_shards(data):
        return neutral_photos(data, 2 * faces)  # some are none to MediaPipe's second look
    return [read_photo(path) for path in photos_in(data)]


def _is_neutral(values: Array) -> bool:
    column = {reading.number: column for column, reading in enumerate(READINGS)}
    return bool(values[column[25]] < MOST_GAP and values[column[12]] < MOST_SMILE)


def _questions() -> Track:
    """One frame for every reading and level, in this order."""
    targets = np.zeros((len(READINGS), len(LEVELS), len(aus.CHANNELS)), np.float32)
    named = np.zeros(targets.shape, bool)
    for row, reading in enumerate(READINGS):
        columns = [aus.INDEX[channel] for channel in aus.BY_NUMBER[reading.number].channels]
        targets[row][:, columns] = np.array(LEVELS)[:, None] / aus.MAX_INTENSITY
        named[row][:, columns] = True
    width = targets.shape[-1]
    return track_of_targets(targets.reshape(-1, width), named.reshape(-1, width))


def _asked(subject: Subject) -> Array:
    """(R, L) change asked for, 0..5."""
    source = [
        subject.seen.action_units[[aus.INDEX[c] for c in aus.BY_NUMBER[r.number].channels]].mean()
        for r in READINGS
    ]
    return np.array(LEVELS)[None] - np.array(source)[:, None] * aus.MAX_INTENSITY


def _changes(rows: list[Array | None], values: Array) -> Array:
    """(R, L) change seen of the reading that was asked for, 0..5; NaN where no face was seen."""
    nothing = np.full(len(READINGS), np.nan)
    read_rows = np.stack([nothing if row is None else row - values for row in rows])
    change = intensities(read_rows).reshape(len(READINGS), len(LEVELS), len(READINGS))
    return np.stack([change[i, :, i] for i in range(len(READINGS))])


def _fits(asked: Array, seen: Array) -> Report:
    """Figures by AU of (F, R, L) changes asked for and seen."""
    report = {}
    for row, reading in enumerate(READINGS):
        slope, correlation = fit(asked[:, row], seen[:, row])
        each = [fit(a, b)[0] for a, b in zip(asked[:, row], seen[:, row], strict=True)]
        report[f"AU{reading.number}"] = {
            "slope": slope,
            "slope (se)": float(np.std(each, ddof=1) / np.sqrt(len(each)))
            if len(each) > 1
            else 0.0,
            "correlation": correlation,
            "of people": slope * reading.full / reading.people,
            "at 4": float(np.nanmean(seen[:, row, -1])),
        }
    return report
