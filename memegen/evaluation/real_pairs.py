"""Two real photos of one person, from the held-out split: what driving can be compared with."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from memegen.arrays import Array, Integers, Mask, Picture
from memegen.errors import UsageError
from memegen.evaluation.landmark_aus import READINGS, face_shape, intensities, raw_values
from memegen.facedata.shards import FaceLabels, load_labels, read_jpegs
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.shape import angles_of
from memegen.photo import Photo

SOURCES = ("celeba", "hires")
MOST_TURN = 15.0  # degrees from frontal, yaw or pitch
LABORATORY_SHARE = 1 / 3
A_PERSON = 3  # pairs at most
LEAST_SIDE = 288  # pixels; smaller crops are animated enlarged, and compared reduced again
SMILE = 0.6  # score from which the second photo counts as smiling
MOST_GAP = 0.03  # IOD between the lips of a neutral mouth
# Scores above which a face is not neutral; `*` is the mean of the sides.
NEUTRAL = {
    "mouthSmile*": 0.15, "jawOpen": 0.05, "eyeBlink*": 0.3, "browInnerUp": 0.3,
    "mouthLowerDown*": 0.1, "mouthPucker": 0.5,
}  # fmt: skip


@dataclass(frozen=True)
class RealPair:
    """One person twice, aligned crops of one size."""

    first: Picture  # (S, S, 3)
    second: Picture  # (S, S, 3)
    change: Array  # (R,) intensities (READINGS, scale 0..5) from first to second, by the labels
    smiles: bool  # from neutral to a smile
    person: int
    laboratory: bool  # under the same even light, in grey: all that changes is the face

    def photo(self) -> Photo:
        """The first, as it is animated: enlarged by a whole number where it is small."""
        side = self.first.shape[0]
        factor = -(-LEAST_SIDE // side)
        return Photo(self.first, None, Path("pair")).resized(side * factor, side * factor)


@dataclass(frozen=True)
class _Candidates:
    """Rows of labels that serve, and what they show."""

    labels: FaceLabels
    values: Array  # (N, R) raw values of READINGS
    neutral: Mask  # (N,)


def real_pairs(data: Path, count: int) -> list[RealPair]:
    """`count` pairs of held-out people, always the same: first neutral, most change first.

    A third are of the laboratory pictures, as long as there are any. People without a neutral
    photo follow, from their calmest one. Raises UsageError if nobody is seen twice.
    """
    found = _candidates(data)
    couples = _couples(found)
    if not len(couples):
        raise UsageError(f"{data}: nobody is seen twice, near-frontal, in the held-out split")
    first: list[int] = couples[:count, 0].tolist()
    second: list[int] = couples[:count, 1].tolist()
    pictures = _read(data, found.labels, np.array(first + second))
    change = intensities(found.values[second] - found.values[first])
    smiling = _score(found.labels, "mouthSmile*")
    return [
        RealPair(
            pictures[a],
            pictures[b],
            change[row],
            bool(found.neutral[a] and smiling[b] > SMILE),
            int(found.labels.identity[a]),
            bool(found.labels.source[a] == "hires"),
        )
        for row, (a, b) in enumerate(zip(first, second, strict=True))
    ]


def neutral_photos(data: Path, count: int) -> list[Photo]:
    """`count` neutral held-out crops of different people, the large ones (`hires`) first."""
    found = _candidates(data, known=False)
    rows = np.flatnonzero(found.neutral)
    rows = rows[np.argsort(found.labels.source[rows] != "hires", kind="stable")]
    people = found.labels.identity[rows]
    _, once = np.unique(np.where(people < 0, -1 - np.arange(len(rows)), people), return_index=True)
    chosen: list[int] = rows[np.sort(once)][:count].tolist()
    pictures = _read(data, found.labels, np.array(chosen, np.int64))
    return [Photo(pictures[row], None, Path(found.labels.ids[row])) for row in chosen]


def is_neutral(labels: FaceLabels, values: Mapping[int, Array]) -> Mask:
    """(N,) faces at rest, mouths shut; values: what `raw_values` says of them."""
    limits = [_score(labels, name) < most for name, most in NEUTRAL.items()]
    return np.asarray(np.all([*limits, values[25] < MOST_GAP], 0))


def _candidates(data: Path, known: bool = True) -> _Candidates:
    labels = load_labels(data)
    turned = np.abs(angles_of(labels.rotation))[:, :2].max(1)
    serves = labels.is_val & np.isin(labels.source, SOURCES) & (turned < MOST_TURN)
    serves &= labels.attributes["Eyeglasses"] != 1  # frames are no creases
    labels = labels.take(serves & (labels.identity >= 0) if known else serves)
    values = raw_values(labels.scores, face_shape(labels.landmarks, load_anatomy()))
    stacked = np.stack([values[reading.number] for reading in READINGS], -1)
    return _Candidates(labels, stacked, is_neutral(labels, values))


def _couples(found: _Candidates) -> Integers:
    """(P, 2) rows: for every person the calmest photo with those that differ most from it."""
    effort = np.abs(intensities(found.values - np.median(found.values, 0))).sum(1)
    couples, merit = [], []
    for person in np.unique(found.labels.identity):
        rows = np.flatnonzero(found.labels.identity == person)
        calm = rows[np.lexsort((effort[rows], ~found.neutral[rows]))[0]]
        others = rows[rows != calm]
        for row, change in _most_unlike(found.values, calm, others):
            couples.append((calm, row))
            merit.append((not found.neutral[calm], -change))
    order = sorted(range(len(couples)), key=merit.__getitem__)
    kinds = found.labels.source[[couple[0] for couple in couples]] == "hires"
    ranks = np.zeros(len(couples))  # of each among its kind, so that kinds come mixed
    for kind, each in ((True, LABORATORY_SHARE), (False, 1 - LABORATORY_SHARE)):
        of_kind = [index for index in order if kinds[index] == kind]
        ranks[of_kind] = np.arange(len(of_kind)) / each
    mixed = np.argsort(ranks, kind="stable")
    return np.array([couples[index] for index in mixed], np.int64).reshape(-1, 2)


def _most_unlike(values: Array, calm: int, others: Integers) -> list[tuple[int, float]]:
    """A_PERSON of `others` with their change from `calm`, the most unlike it and each other."""
    chosen, found = [calm], list[tuple[int, float]]()
    while len(others) and len(found) < A_PERSON:
        gaps = np.abs(intensities(values[others, None] - values[None, chosen])).sum(-1)
        best = int(gaps.min(1).argmax())
        found.append((int(others[best]), float(gaps[best, 0])))
        chosen.append(int(others[best]))
        others = np.delete(others, best)
    return found


def _read(data: Path, labels: FaceLabels, rows: Integers) -> dict[int, Picture]:
    """Crops at the size they are stored in."""
    rows = np.unique(rows)
    found = {}
    for row, packed in zip(rows, read_jpegs(data, labels.take(rows)), strict=True):
        with Image.open(io.BytesIO(packed)) as image:
            found[int(row)] = np.asarray(image.convert("RGB"))
    return found


def _score(labels: FaceLabels, name: str) -> Array:
    if not name.endswith("*"):
        return labels.scores[name]
    return (labels.scores[name[:-1] + "Left"] + labels.scores[name[:-1] + "Right"]) / 2
