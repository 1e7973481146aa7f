"""Whether the asked-for intensity is reached: animate held-out faces, look at them again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memegen import aus
from memegen.arrays import Array
from memegen.facedata.labels import JAW_AT_AU26
from memegen.facedata.shards import load_labels, read_crops
from memegen.generators import Scene, generator_named
from memegen.geometry.anatomy import Anatomy, load_anatomy
from memegen.geometry.motion import FaceMotion
from memegen.perception.analyze import FaceAnalyzer

SIDE = 256  # pixels of the crops that are animated
FACES = 100  # unless told
LEVELS = (0.0, 1.0, 2.0, 3.0, 4.0)  # intensities asked for
SILENT = (46,)  # a wink is measured as the blink that it is


def evaluate(
    data: Path,
    model: str = "mesh",
    faces: int = FACES,
    anatomy: Anatomy | None = None,
    held_out: bool = True,
) -> dict[str, dict[str, float]]:
    """Per action unit: slope and correlation of reached on asked, and drift of the others.

    Every AU is asked for at LEVELS on every face, the rest staying the face's own; faces are
    evenly spaced rows of the `val` split, or of the training split to learn from. Drift is the
    mean change (0..5) of the other AUs of other groups, which nothing was asked of.
    """
    labels = load_labels(data)
    rows = np.flatnonzero(labels.is_val == held_out)
    rows = rows[np.linspace(0, len(rows) - 1, faces).astype(int)]
    crops = read_crops(data, labels.ids[rows], SIDE)
    analyzer, generator = FaceAnalyzer(), generator_named(model)
    anatomy = anatomy or load_anatomy()
    asked: dict[str, list[float]] = {}
    reached: dict[str, list[float]] = {}
    drift: dict[str, list[float]] = {}
    for crop in crops:
        landmarks, source = analyzer.analyze_crops(crop[None])
        scene = Scene(
            crop,
            np.array([[SIDE, 0, 0], [0, SIDE, 0]], np.float32),
            FaceMotion.of(landmarks[0], source[0], anatomy),
        )
        renderer = generator.prepare(scene)
        for au in aus.TABLE:
            if au.number in SILENT:
                continue
            names = au.channels if au.sides != "either" else au.channels[:1]
            columns = [aus.INDEX[c] for c in names]
            targets = _asked(source[0], columns)
            rendered = np.stack(list(renderer.render(targets)))
            _, seen = analyzer.analyze_crops(rendered)
            change = seen - source
            asked.setdefault(au.name, []).extend((targets - source)[:, columns].mean(1) * 5)
            reached.setdefault(au.name, []).extend(_signed(change, names) * 5)
            others = [
                aus.INDEX[c]
                for other in aus.OPENFACE
                if other.group != au.group and {other.group, au.group} != {"cheeks", "mouth"}
                for c in other.channels
            ]
            drift.setdefault(au.name, []).append(float(np.abs(change[:, others]).mean()) * 5)
    return {name: _fit(asked[name], reached[name], drift[name]) for name in asked}


def _asked(source: Array, columns: list[int]) -> Array:
    targets = np.repeat(source[None], len(LEVELS), 0)
    targets[:, columns] = np.array(LEVELS, np.float32)[:, None] / aus.MAX_INTENSITY
    return targets


def _signed(change: Array, names: tuple[str, ...]) -> Array:
    """(T, K) change to (T,): mean over the sides; opposites (head, gaze) count against."""
    values = change[:, [aus.INDEX[c] for c in names]].mean(1)
    for plus, minus in aus.OPPOSITES:
        if names == (plus,):
            return values - change[:, aus.INDEX[minus]]
        if names == (minus,):
            return values - change[:, aus.INDEX[plus]]
    if names == ("AU27",):  # labels call a jaw AU26 up to 0.6 open, and AU27 what goes beyond
        return values + change[:, aus.INDEX["AU26"]] * JAW_AT_AU26
    return values


def _fit(asked: list[float], reached: list[float], drift: list[float]) -> dict[str, float]:
    x, y = np.array(asked), np.array(reached)
    return {
        "slope": float((x * y).sum() / max((x * x).sum(), 1e-9)),
        "correlation": float(np.corrcoef(x, y)[0, 1]) if y.std() > 0 else 0.0,
        "others": float(np.mean(drift)),
    }
