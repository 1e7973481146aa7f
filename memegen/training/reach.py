"""Gains of the anatomy: `memegen train DATA --model reach`.

Faces of the training split whose mouths are shut are asked for every action unit and looked at
again, by MediaPipe's landmarker where it is given (an estimator that shares nothing with the
program), else by the perception network. Where less is seen than was asked for, that channel is
given a gain; where more, it is held back. What faces can do sets the limit: no channel moves
further than `MOST` of real changes of expression do (see `limits`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from memegen import aus
from memegen.arrays import Array, Integers, Mask, Picture
from memegen.errors import MemegenError
from memegen.evaluation import reach
from memegen.facedata.labels import face_shapes, load_basis
from memegen.facedata.shards import FaceLabels, load_labels, read_crops
from memegen.facedata.teachers import MediaPipeTeacher
from memegen.generators import Scene, generator_named
from memegen.geometry.anatomy import Anatomy, load_anatomy
from memegen.geometry.motion import FaceMotion
from memegen.geometry.shape import angles_of, fit_pose
from memegen.perception.perceive import Perceiver
from memegen.training import anatomy as calibration

SIDE = 256  # pixels of the crops that are animated
LEVELS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)  # intensities asked for
LEAST_GAIN, MOST_GAIN = 0.7, 2.5  # whatever the estimator says
MOST = 0.995  # quantile of real displacements that no gain goes beyond
ROUNDS = 3
FIXED = ("head", "gaze")  # angles are what they are
# Action units that the estimators do not see as such (or not at all): their gains stay 1.
UNSEEN = (7, 14, 16, 18, 22, 23, 24, 27, 28, 30, 34, 46)
TARGETS = (1, 2, 4, 6, 9, 12, 15, 17, 20, 25, 26, 45)  # what is reported
SHUT = {"jawOpen": 0.06, "mouthLowerDownLeft": 0.12, "mouthSmileLeft": 0.3, "eyeBlinkLeft": 0.4}
FRONTAL = 12.0  # degrees of turn and nod about the average, at most


@dataclass(frozen=True)
class Marker:
    """A height on the face that tells an action unit whose blendshape score is dead.

    Heights are means over vertices in face coordinates (IOD), of the person's left side; the right
    is their mirror image.
    """

    rows: tuple[int, ...]
    minus: tuple[int, ...]  # the height they are measured from; none: the skull's own frame
    sign: float  # +1 where the action unit raises `rows`
    full: float  # IOD at intensity 5: 99.5% of changes within real people stay below


# Quantiles of 16,254 pairs of photos of one person; AU15 is half of theirs, which reach from
# frown to smile.
MARKERS: dict[int, Marker] = {
    5: Marker((386,), (374,), 1.0, 0.08),
    6: Marker((373, 374, 380), (), 1.0, 0.060),
    9: Marker((278, 294, 327, 358), (), 1.0, 0.080),
    15: Marker((291,), (0,), -1.0, 0.120),
}


class Judge(Protocol):
    """Says which action units a face shows."""

    def look(self, pictures: Picture) -> Array:
        """(T, S, S, 3) aligned crops, 0..255, to (T, K) channels; only changes have a meaning."""
        ...


class PerceptionJudge:
    """The program's own perception: at hand, but it taught the anatomy its errors."""

    def __init__(self) -> None:
        self._perceiver = Perceiver()

    def look(self, pictures: Picture) -> Array:
        """See Judge.look."""
        return reach._look(self._perceiver, pictures)[1]


class MediaPipeJudge:
    """MediaPipe's blendshape scores, and heights of its landmarks where the scores are dead."""

    def __init__(self, landmarker: Path, anatomy: Anatomy) -> None:
        self._teacher = MediaPipeTeacher(landmarker)
        self._anatomy = anatomy

    def look(self, pictures: Picture) -> Array:
        """See Judge.look. Raises MemegenError where MediaPipe sees no face."""
        none = np.zeros(len(aus.CHANNELS), np.float32)
        seen = [self._teacher.look(picture, none) for picture in pictures]
        landmarks, units = (np.stack(part) for part in zip(*seen, strict=True))
        pose = fit_pose(landmarks, self._anatomy.canonical, self._anatomy.rigid_weights)
        for channel, value in marked(pose.to_face(landmarks[:, :468])).items():
            units[:, aus.INDEX[channel]] = value
        return np.asarray(units, np.float32)


def marked(shapes: Array) -> dict[str, Array]:
    """(T, 468, 3) faces (face coordinates, IOD) to (T,) of each channel that has a marker."""
    mirrored = shapes[:, calibration.mirror_order(shapes[0])[:468]]
    found = {}
    for number, marker in MARKERS.items():
        for side, seen in (("L", shapes), ("R", mirrored)):
            height = seen[:, list(marker.rows), 1].mean(1)
            if marker.minus:
                height = height - seen[:, list(marker.minus), 1].mean(1)
            found[f"AU{number}{side}"] = marker.sign * height / marker.full
    return found


def measure(
    crops: Picture, judge: Judge, anatomy: Anatomy, numbers: tuple[int, ...] = TARGETS
) -> dict[int, dict[str, float]]:
    """Slope and correlation of seen on asked of each action unit, model `mesh`.

    crops (N, S, S, 3): every face is asked for every AU at LEVELS, the rest staying its own.
    Faces that the judge loses are left out.
    """
    perceiver, generator = Perceiver(), generator_named("mesh")
    asked: dict[int, list[float]] = {number: [] for number in numbers}
    seen: dict[int, list[float]] = {number: [] for number in numbers}
    for crop in crops:
        landmarks, own = reach._look(perceiver, crop[None].astype(np.float32))
        size = float(len(crop))
        to_pixels = np.array([[size, 0, 0], [0, size, 0]], np.float32)
        scene = Scene(crop, to_pixels, FaceMotion.of(landmarks[0], own[0], anatomy))
        painter = generator.prepare(scene)
        for number in numbers:
            columns = [aus.INDEX[c] for c in aus.BY_NUMBER[number].channels]
            targets = np.repeat(own, len(LEVELS), 0)
            targets[:, columns] = np.array(LEVELS, np.float32)[:, None] / aus.MAX_INTENSITY
            painted = np.stack([crop, *painter.paint(targets)]).clip(0, 255).astype(np.uint8)
            try:
                said = judge.look(painted)[:, columns].mean(1)
            except MemegenError:
                continue
            asked[number].extend((targets - own)[:, columns].mean(1))
            seen[number].extend(said[1:] - said[0])
    return {n: _fit(np.array(asked[n]), np.array(seen[n])) for n in numbers if asked[n]}


def _fit(asked: Array, seen: Array) -> dict[str, float]:
    slope = float((asked * seen).sum() / max(float((asked**2).sum()), 1e-9))
    steady = float(seen.std()) == 0
    return {"slope": slope, "correlation": 0.0 if steady else float(np.corrcoef(asked, seen)[0, 1])}


def limits(anatomy: Anatomy, shapes: Array, pairs: Integers) -> Array:
    """(K,) the largest gain of each channel that real faces reach.

    shapes (N, 468, 3) in face coordinates (IOD), pairs (P, 2) rows of one person: the change of
    each pair along a channel's own displacement u, at the vertices that it moves most, is
    `<change, u> / <u, u>`; the limit is its `MOST` quantile.
    """
    found = np.ones(len(aus.CHANNELS), np.float32)
    change = shapes[pairs[:, 1]] - shapes[pairs[:, 0]]
    for row, unit in enumerate(anatomy.units):
        size = np.linalg.norm(unit, axis=1)
        if size.max() <= 0:
            continue
        moving = size > size.max() / 2
        u = unit[moving][:, :2].reshape(-1)
        along = change[:, moving, :2].reshape(len(pairs), -1) @ u / max(float(u @ u), 1e-9)
        found[row] = np.quantile(np.abs(along), MOST)
    return found


def closed_mouths(labels: FaceLabels, held_out: bool) -> Integers:
    """Rows of one split that show a face from the front with shut mouth and open eyes."""
    angle = angles_of(labels.rotation)[:, :2]
    chosen: Mask = labels.is_val == held_out
    chosen = chosen & (np.abs(angle - np.median(angle, 0)) < FRONTAL).all(1)
    for name, most in SHUT.items():
        chosen = chosen & (labels.scores[name] < most)
    return np.flatnonzero(chosen)


def spaced(rows: Integers, count: int) -> Integers:
    """At most `count` of the rows, evenly spaced."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]


def train(
    data: Path,
    out: Path,
    faces: int,
    log: Callable[[str], None] = print,
    landmarker: Path | None = None,
) -> Path:
    """Measure on `faces` training crops, write `out/anatomy.safetensors` with the gains.

    Begins with the anatomy that is in `out`, else with the shipped one. `landmarker` is MediaPipe's
    `face_landmarker.task`, which then judges; without it the program's own perception does.
    """
    path = out / "anatomy.safetensors"
    anatomy = load_anatomy(str(path) if path.exists() else "anatomy")
    anatomy = replace(anatomy, gains=np.ones_like(anatomy.gains))
    labels, basis = load_labels(data), load_basis(data)
    pairs = calibration.person_pairs(labels, ~labels.is_val, FRONTAL)
    most = limits(anatomy, face_shapes(labels, basis), pairs).clip(1, MOST_GAIN)
    rows = spaced(closed_mouths(labels, held_out=False), faces)
    if not len(rows):
        raise MemegenError(f"{data}: no face with a shut mouth in the training split")
    crops = read_crops(data, labels.ids[rows], SIDE)
    judge: Judge = MediaPipeJudge(landmarker, anatomy) if landmarker else PerceptionJudge()
    seen = [au.number for au in aus.TABLE if au.group not in FIXED and au.number not in UNSEEN]
    for round_ in range(ROUNDS):
        report = measure(crops, judge, anatomy, tuple(seen))
        anatomy = replace(anatomy, gains=next_gains(anatomy.gains, report, most))
        shown = (
            f"AU{n} {r['slope']:.2f} x{anatomy.gains[aus.INDEX[aus.BY_NUMBER[n].channels[0]]]:.2f}"
            for n, r in report.items()
        )
        log(f"round {round_ + 1}: " + "  ".join(shown))
    out.mkdir(parents=True, exist_ok=True)
    calibration.save(path, anatomy)
    return path


def next_gains(gains: Array, report: dict[int, dict[str, float]], most: Array) -> Array:
    """(K,) gains that would make up for the slopes of `report`, within (K,) `most`."""
    better = gains.copy()
    for number, fit in report.items():
        rows = [aus.INDEX[c] for c in aus.BY_NUMBER[number].channels]
        wanted = gains[rows] / max(fit["slope"], 0.05)
        better[rows] = np.clip(wanted, LEAST_GAIN, most[rows])
    return better
