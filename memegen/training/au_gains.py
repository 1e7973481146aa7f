"""Gains of the anatomy: `memegen train gains DATA`.

Faces of the training split whose mouths are shut are asked for every action unit and looked at
again, by MediaPipe's landmarker where it is given (an estimator that shares nothing with the
program), else by the perception network. Where less is seen than was asked for, that channel is
given a gain; where more, it is held back.

What faces can do sets the limit: no channel is *seen* to move further than `MOST` of the changes
of expression that the same landmarks show on real people (see `limits`). Landmarkers lag behind
strong motion, on real faces as on moved ones; so like is compared with like.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from memegen import aus
from memegen.arrays import Array, Integers, Mask, Picture
from memegen.errors import MemegenError
from memegen.facedata.dataset import FaceDataset
from memegen.facedata.shards import FaceLabels
from memegen.facedata.teachers import MediaPipeTeacher
from memegen.generators import Scene, generator_named
from memegen.geometry.anatomy import Anatomy, load_anatomy
from memegen.geometry.motion import FaceMotion
from memegen.geometry.shape import MESH_POINTS, angles_of, fit_pose, mirror_order
from memegen.perception.analyze import FaceAnalyzer
from memegen.training import anatomy as calibration
from memegen.training.run import Run
from memegen.training.settings import checked, setting

SIDE = 256  # pixels of the crops that are animated
LEVELS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)  # intensities asked for
LEAST_GAIN = 0.7  # whatever the estimator says
# The largest gains, whatever the estimator says. Beyond, brows press on lids and a forehead grows
# (looked at, each action unit at 5 on faces 400 px wide that nothing was tuned on), or what real
# people do is overshot: of two photos of one person, the first driven by the second's action units
# (`memegen evaluate pairs DATA --landmarker FILE`), the changes seen have a slope on the real ones
# of about 1 with these.
MOST_GAIN = {
    1: 2.5, 2: 2.0, 4: 2.4, 5: 1.6, 6: 1.2, 9: 1.9, 10: 1.1, 12: 1.15, 15: 2.1, 17: 1.8, 20: 1.0,
    25: 1.15, 26: 1.3,
}  # fmt: skip
MOST = 0.995  # quantile of real displacements that no gain goes beyond
ROUNDS = 2
# Action units that the estimators do not see as such, or not at all, and the gains they get: what
# regression on noisy scores loses of those beside them, or by looking. 27 and 46 are composed. A
# lid that is asked for in full always shuts (`geometry.motion`): no estimate of its reach tells.
UNSEEN_GAIN = {
    7: 1.25, 14: 1.1, 16: 1.25, 18: 1.8, 22: 1.25, 23: 1.25, 24: 1.25, 28: 1.25, 34: 2.0,
    45: 1.3,
}  # fmt: skip
TARGETS = (1, 2, 4, 6, 9, 12, 15, 17, 20, 25, 26, 45)  # what is reported
SHUT = {"jawOpen": 0.06, "mouthLowerDownLeft": 0.12, "mouthSmileLeft": 0.3, "eyeBlinkLeft": 0.4}
FRONTAL = 12.0  # degrees of yaw and pitch about the average, at most


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


# Quantiles of 14,279 pairs of photos of one person, from a face with shut mouth and open eyes to
# any other; of AU15 those that stay shut, because an open jaw lowers the corners of the mouth too.
MARKERS: dict[int, Marker] = {
    5: Marker((386,), (374,), 1.0, 0.097),
    6: Marker((373, 374, 380), (), 1.0, 0.054),
    9: Marker((278, 294, 327, 358), (), 1.0, 0.083),
    15: Marker((291,), (0,), -1.0, 0.101),
}


class AuEstimator(Protocol):
    """Says which action units a face shows."""

    def estimate(self, pictures: Picture) -> tuple[Array, Array]:
        """(T, S, S, 3) aligned crops, 0..255, to landmarks (T, 478, 3) in crop units and channels
        (T, K), of which only changes have a meaning.
        """
        ...

    def close(self) -> None:
        """Give back what it holds."""


class PerceptionEstimator:
    """The program's own perception: at hand, but it taught the anatomy its errors."""

    def __init__(self) -> None:
        self._perceiver = FaceAnalyzer()

    def estimate(self, pictures: Picture) -> tuple[Array, Array]:
        """See AuEstimator.estimate."""
        return self._perceiver.analyze_crops(pictures)

    def close(self) -> None:
        """It holds nothing."""


class MediaPipeEstimator:
    """MediaPipe's blendshape scores, and heights of its landmarks where the scores are dead."""

    def __init__(self, landmarker: Path, anatomy: Anatomy) -> None:
        self._teacher = MediaPipeTeacher(landmarker)
        self._anatomy = anatomy

    def close(self) -> None:
        """Give MediaPipe's threads back."""
        self._teacher.close()

    def estimate(self, pictures: Picture) -> tuple[Array, Array]:
        """See AuEstimator.estimate. Raises MemegenError where MediaPipe sees no face."""
        none = np.zeros(len(aus.CHANNELS), np.float32)
        seen = [self._teacher.label(picture, none) for picture in pictures]
        landmarks, units = (np.stack(part) for part in zip(*seen, strict=True))
        pose = fit_pose(landmarks, self._anatomy.canonical, self._anatomy.rigid_weights)
        for channel, value in marked(pose.to_face(landmarks[:, :MESH_POINTS])).items():
            units[:, aus.INDEX[channel]] = value
        return landmarks, np.asarray(units, np.float32)


def marked(shapes: Array) -> dict[str, Array]:
    """(T, 468, 3) faces (face coordinates, IOD) to (T,) of each channel that has a marker."""
    mirrored = shapes[:, mirror_order(shapes[0])[:MESH_POINTS]]
    found = {}
    for number, marker in MARKERS.items():
        for side, seen in (("L", shapes), ("R", mirrored)):
            height = seen[:, list(marker.rows), 1].mean(1)
            if marker.minus:
                height = height - seen[:, list(marker.minus), 1].mean(1)
            found[f"AU{number}{side}"] = marker.sign * height / marker.full
    return found


def measure(
    crops: Picture, judge: AuEstimator, anatomy: Anatomy, numbers: tuple[int, ...] = TARGETS
) -> dict[int, dict[str, float]]:
    """Slope and correlation of seen on asked of each action unit, model `mesh`.

    crops (N, S, S, 3): every face is asked for every AU at LEVELS, the rest staying its own.
    Faces that the judge loses are left out. `follows` is how far the judge's landmarks move along
    the action unit's own displacement, of how far the mesh moved them.
    """
    analyzer, generator = FaceAnalyzer(), generator_named("mesh")
    asked: dict[int, list[float]] = {number: [] for number in numbers}
    seen: dict[int, list[float]] = {number: [] for number in numbers}
    moved: dict[int, list[float]] = {number: [] for number in numbers}
    for crop in crops:
        landmarks, source = analyzer.analyze_crops(crop[None])
        size = float(len(crop))
        to_pixels = np.array([[size, 0, 0], [0, size, 0]], np.float32)
        scene = Scene(crop, to_pixels, FaceMotion.of(landmarks[0], source[0], anatomy))
        renderer = generator.prepare(scene)
        for number in numbers:
            columns = [aus.INDEX[c] for c in aus.BY_NUMBER[number].channels]
            targets = np.repeat(source, len(LEVELS), 0)
            targets[:, columns] = np.array(LEVELS, np.float32)[:, None] / aus.MAX_INTENSITY
            generated = np.stack([crop, *renderer.render(targets)]).clip(0, 255).astype(np.uint8)
            try:
                points, units = judge.estimate(generated)
            except MemegenError:
                continue
            pose = fit_pose(points, anatomy.canonical, anatomy.rigid_weights)
            shapes = pose.to_face(points[:, :MESH_POINTS])
            unit = anatomy.units[columns].sum(0)
            asked[number].extend((targets - source)[:, columns].mean(1))
            seen[number].extend((units[1:] - units[0])[:, columns].mean(1))
            moved[number].extend(along(shapes[1:] - shapes[0], unit))
    gains = {n: anatomy.gains[_first(n)] for n in numbers}
    return {n: _fit(asked[n], seen[n], moved[n], float(gains[n])) for n in numbers if asked[n]}


def _fit(
    asked_: list[float], seen_: list[float], moved_: list[float], gain: float
) -> dict[str, float]:
    asked, seen, moved = (np.array(values) for values in (asked_, seen_, moved_))
    more = np.clip(asked, 0, None)
    return {
        "slope": float((asked * seen).sum() / max(float((asked**2).sum()), 1e-9)),
        "correlation": float(np.corrcoef(asked, seen)[0, 1]) if seen.std() > 0 else 0.0,
        "follows": float((more * moved).sum() / max(gain * float((more**2).sum()), 1e-9)),
    }


def along(change: Array, unit: Array) -> Array:
    """(N, 468, 3) changes of shape to (N,): how many times `unit` (468, 3) they hold.

    `<change, u> / <u, u>` as seen from the front, at the vertices that `unit` moves most.
    """
    size = np.linalg.norm(unit[:, :2], axis=1)
    moving = size > size.max() / 2
    u = unit[moving][:, :2].reshape(-1)
    flat = change[:, moving, :2].reshape(len(change), -1)
    return np.asarray(flat @ u / max(float(u @ u), 1e-9))


def limits(anatomy: Anatomy, shapes: Array, pairs: Integers) -> Array:
    """(K,) how many times each channel's displacement real changes of expression hold, at most.

    shapes (N, 468, 3) in face coordinates (IOD), pairs (P, 2) rows of one person; the `MOST`
    quantile of `along`, either way.
    """
    found = np.ones(len(aus.CHANNELS), np.float32)
    change = shapes[pairs[:, 1]] - shapes[pairs[:, 0]]
    for row, unit in enumerate(anatomy.units):
        if np.abs(unit).max() > 0:
            found[row] = np.quantile(np.abs(along(change, unit)), MOST)
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


@dataclass(frozen=True)
class AuGainsTraining:
    """Every setting of the measurement."""

    steps: int = setting(60, "faces that are measured", least=1)
    judge: str = setting(
        "", "MediaPipe's face_landmarker.task, to measure with; else our perception"
    )


def train(settings: AuGainsTraining, run: Run) -> Path:
    """Measure on training crops, write `out/anatomy.safetensors` with the gains.

    Begins with the anatomy that is in `out`, else with the shipped one. With MediaPipe's landmarker
    that judges; without it the program's own perception does.
    """
    checked(settings)
    path = run.out / "anatomy.safetensors"
    anatomy = load_anatomy(str(path) if path.exists() else "anatomy")
    anatomy = replace(anatomy, gains=first_gains())
    data = FaceDataset.load(run.data)
    most = limits(anatomy, data.shapes, data.person_pairs(False, FRONTAL))
    rows = spaced(closed_mouths(data.labels, held_out=False), settings.steps)
    if not len(rows):
        raise MemegenError(f"{run.data}: no face with a shut mouth in the training split")
    crops, landmarker = data.crops(rows, SIDE), settings.judge
    judge: AuEstimator = (
        MediaPipeEstimator(Path(landmarker), anatomy) if landmarker else PerceptionEstimator()
    )
    seen = MOST_GAIN
    for round_ in range(ROUNDS):
        report = measure(crops, judge, anatomy, tuple(seen))
        anatomy = replace(anatomy, gains=next_gains(anatomy.gains, report, most))
        shown = [
            f"AU{n} {r['slope']:.2f} x{anatomy.gains[_first(n)]:.2f}" for n, r in report.items()
        ]
        run.log(f"round {round_ + 1}: " + "  ".join(shown))
    judge.close()
    run.out.mkdir(parents=True, exist_ok=True)
    calibration.save(path, anatomy)
    return path


def _first(number: int) -> int:
    return aus.INDEX[aus.BY_NUMBER[number].channels[0]]


def first_gains() -> Array:
    """(K,) 1, and UNSEEN_GAIN of what no estimator tells."""
    gains = np.ones(len(aus.CHANNELS), np.float32)
    for number, gain in UNSEEN_GAIN.items():
        gains[[aus.INDEX[c] for c in aus.BY_NUMBER[number].channels]] = gain
    return gains


def next_gains(gains: Array, report: dict[int, dict[str, float]], most: Array) -> Array:
    """(K,) gains that would make up for the slopes of `report`.

    No further than looks like (K,) `most` displacements to a judge that sees them shrunk to
    `follows`, nor outside LEAST_GAIN..MOST_GAIN.
    """
    better = gains.copy()
    for number, fit in report.items():
        rows = [aus.INDEX[c] for c in aus.BY_NUMBER[number].channels]
        target = gains[rows] / max(fit["slope"], 0.05)
        likely = np.clip(most[rows] / max(fit["follows"], 0.05), 1, MOST_GAIN[number])
        better[rows] = np.clip(target, LEAST_GAIN, likely)
    return better
