"""Action units read from a face by MediaPipe: its scores where alive, plain geometry elsewhere.

Independent of our perception: nothing that it learnt goes in. All geometry is measured in the
frame of the head (pose and size taken out by `fit_pose`), in inter-ocular distances (IOD).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from memegen import aus
from memegen.arrays import Array
from memegen.facedata.labels import JAW_AT_AU26
from memegen.facedata.teachers import MediaPipeFace
from memegen.geometry.anatomy import Anatomy
from memegen.geometry.shape import MESH_POINTS, fit_pose
from memegen.geometry.topology import EYE_CORNERS, EYE_LEFT, EYE_RIGHT, LIPS_INNER, LIPS_OUTER

LIPS = list(LIPS_OUTER + LIPS_INNER)
_LIP_MIDDLE = [0, 17]  # upper and lower lip, outer edge
_LIP_CORNERS = [61, 291]
_INNER_UPPER, _INNER_LOWER = [82, 13, 312], [87, 14, 317]
_CHEEKS = [117, 118, 119, 101, 50, 346, 347, 348, 330, 280]  # below the lower lids, cheek apples
_NOSE_WINGS = [129, 98, 64, 48, 358, 327, 294, 278]
_LID_MIDDLE = slice(3, 6)  # of an eye ring: the middle of the upper lid
_LOWER_LID_MIDDLE = slice(11, 14)
_INNER_BROWS = [107, 55, 336, 285]
_OUTER_BROWS = [70, 63, 46, 53, 300, 293, 276, 283]


@dataclass(frozen=True)
class Reading:
    """How one action unit is read.

    The scale of scores is that of the labels that perception learns from (facedata/labels.py), the
    scale of geometry what real people do: `full` is then `people`.
    """

    number: int
    full: float  # change of the raw value that counts as intensity 5
    people: float  # its 99th percentile from neutral to another photo of the same person
    scores: Mapping[str, float] | None  # score name (`*`: mean of the sides) -> weight; or geometry


# Percentiles of 9,043 pairs (CelebA and the laboratory pictures, within 15 degrees of frontal;
# AU25: of those whose jaws stay), by benchmarks/reading_scale.py.
READINGS: tuple[Reading, ...] = (
    Reading(1, 1.0, 0.759, {"browInnerUp": 1}),
    Reading(2, 1.0, 0.725, {"browOuterUp*": 1}),
    Reading(4, 1.0, 0.576, {"browDown*": 1}),
    Reading(5, 0.048, 0.048, None),
    Reading(6, 0.048, 0.048, None),
    Reading(7, 1.0, 0.462, {"eyeSquint*": 1}),
    Reading(9, 0.075, 0.075, None),
    Reading(10, 1.0, 0.824, {"mouthUpperUp*": 1}),
    Reading(12, 1.0, 0.957, {"mouthSmile*": 1}),
    Reading(14, 1.0, 0.133, {"mouthDimple*": 1}),
    Reading(15, 0.050, 0.050, None),
    Reading(17, 1.0, 0.486, {"mouthShrugLower": 1}),
    Reading(18, 1.0, 0.569, {"mouthPucker": 1}),
    Reading(20, 1.0, 0.518, {"mouthStretch*": 1}),
    Reading(23, 1.0, 0.226, {"mouthPress*": 0.8, "mouthRollUpper": 0.25, "mouthRollLower": 0.25}),
    Reading(25, 0.225, 0.225, None),
    Reading(26, JAW_AT_AU26, 0.682, {"jawOpen": 1}),
    Reading(45, 1.0, 0.415, {"eyeBlink*": 1}),
)
BY_NUMBER = {reading.number: reading for reading in READINGS}


def _upper_lids(shape: Array) -> Array:
    rings: tuple[tuple[int, ...], ...] = (EYE_RIGHT, EYE_LEFT)
    heights = []
    for ring in rings:
        corners = [ring[index] for index in EYE_CORNERS]
        heights.append(_height(shape, list(ring[_LID_MIDDLE])) - _height(shape, corners))
    return np.asarray((heights[0] + heights[1]) / 2)


def _height(shape: Array, rows: list[int]) -> Array:
    return np.asarray(shape[..., rows, 1].mean(-1), np.float32)


# (..., 468, 3) shape in the head's frame, IOD, y up -> (...,) IOD, larger the stronger the AU.
GEOMETRY: dict[int, Callable[[Array], Array]] = {
    5: _upper_lids,  # upper lids above the corners of the eyes
    6: lambda shape: _height(shape, _CHEEKS),
    9: lambda shape: _height(shape, _NOSE_WINGS),
    15: lambda shape: _height(shape, _LIP_MIDDLE) - _height(shape, _LIP_CORNERS),
    25: lambda shape: _height(shape, _INNER_UPPER) - _height(shape, _INNER_LOWER),
}


def _lid_gap(shape: Array) -> Array:
    """Between the middles of upper and lower lids, both eyes."""
    rings: tuple[tuple[int, ...], ...] = (EYE_RIGHT, EYE_LEFT)
    upper = [vertex for ring in rings for vertex in ring[_LID_MIDDLE]]
    lower = [vertex for ring in rings for vertex in ring[_LOWER_LID_MIDDLE]]
    return _height(shape, upper) - _height(shape, lower)


# A second opinion where a score is a poor ruler on single pictures: that of lowered brows changes
# from .03 to .36 with the size of one and the same photo, that of stretched lips hardly at all.
LANDMARKS: dict[int, Callable[[Array], Array]] = {
    2: lambda shape: _height(shape, _OUTER_BROWS),
    4: lambda shape: -_height(shape, _INNER_BROWS),
    20: lambda shape: np.asarray(np.diff(shape[..., _LIP_CORNERS, 0])[..., 0]),
    45: lambda shape: -_lid_gap(shape),
}


def face_shape(landmarks: Array, anatomy: Anatomy) -> Array:
    """(..., 478, 3) landmarks to (..., 468, 3) in the head's frame, IOD: pose and size gone."""
    pose = fit_pose(landmarks, anatomy.canonical, anatomy.rigid_weights)
    return pose.to_face(landmarks[..., :MESH_POINTS, :])


def raw_values(scores: Mapping[str, Array], shape: Array) -> dict[int, Array]:
    """{AU: (...,)} raw value of every reading, from scores (...,) and shapes (..., 468, 3)."""
    found = {}
    for reading in READINGS:
        if reading.scores is None:
            found[reading.number] = GEOMETRY[reading.number](shape)
        else:
            parts = [weight * _score(scores, name) for name, weight in reading.scores.items()]
            found[reading.number] = np.asarray(np.sum(parts, 0))
    return found


def read(sighting: MediaPipeFace, anatomy: Anatomy) -> Array:
    """(R,) raw values of one face, in the order of READINGS."""
    shape = face_shape(sighting.landmarks, anatomy)
    scores = {name: np.float32(value) for name, value in sighting.scores.items()}
    values = raw_values(scores, shape)  # type: ignore[arg-type]
    return np.array([values[reading.number] for reading in READINGS], np.float32)


def intensities(change: Array) -> Array:
    """(..., R) changes of raw values to changes of intensity, 5 for a reading's `full`."""
    return np.asarray(change / np.array([r.full for r in READINGS]) * aus.MAX_INTENSITY)


def fit(asked: Array, seen: Array) -> tuple[float, float]:
    """Slope (least squares through the origin) and Pearson's correlation; NaN is passed over."""
    known = np.isfinite(asked) & np.isfinite(seen)
    x, y = asked[known], seen[known]
    slope = float((x * y).sum() / max(float((x * x).sum()), 1e-9))
    flat = len(x) < 2 or x.std() < 1e-9 or y.std() < 1e-9
    return slope, 0.0 if flat else float(np.corrcoef(x, y)[0, 1])


def expression_scores(sighting: MediaPipeFace) -> Array:
    """(S,) blendshape scores of expression: all but `_neutral` and the directions of gaze."""
    named = sorted(sighting.scores.items())
    return np.array([v for n, v in named if n != "_neutral" and not n.startswith("eyeLook")])


def _score(scores: Mapping[str, Array], name: str) -> Array:
    if not name.endswith("*"):
        return scores[name]
    stem = name[:-1]
    return np.asarray((scores[stem + "Left"] + scores[stem + "Right"]) / 2)
