"""Real to real: one photo of a person driven by another, and compared with that other photo.

What is asked for is what our perception says of the second photo; head pose and gaze stay the
first one's. Nothing is compared with anything that the program made itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from memegen.arrays import LUMA, Array, Picture
from memegen.errors import MemegenError, NoFaceError
from memegen.evaluation import creases
from memegen.evaluation.contact_sheets import pages
from memegen.evaluation.landmark_aus import (
    BY_NUMBER,
    LANDMARKS,
    LIPS,
    READINGS,
    expression_scores,
    face_shape,
    fit,
    intensities,
    read,
)
from memegen.evaluation.measures import mean_over, regions
from memegen.evaluation.real_pairs import RealPair, real_pairs
from memegen.evaluation.subjects import expressions_of
from memegen.facedata.teachers import Landmarker
from memegen.faces.align import Alignment
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.shape import iod
from memegen.geometry.topology import LIPS_INNER
from memegen.perception.analyze import FaceAnalyzer
from memegen.pipeline import Animator

PAIRS = 60  # unless told: one to two minutes a model on one core
STRONGEST = 0.25  # share of the pairs in which an action unit changes most
CREASED = {"AU4": (4,), "AU6": (6,), "AU9": (9,), "AU12": (12,), "AU1+2": (1, 2)}
OPEN, SHUT = 0.08, 0.03  # IOD between the lips from, and up to, which a mouth is open, and shut
LEAST_ENERGY = 1e-6  # of the Laplacian, skin's luma squared: what rounding to bytes leaves
CELL, ROWS = 320, 4  # pixels of a crop, and pairs, on a page of the sheet
LEAST_MOUTH = 60.0  # pixels of a mouth whose inside can be compared
STILL = "still"  # the row of the first photo itself
GROUPS: dict[str, Callable[[RealPair], bool]] = {
    "all": lambda pair: True,
    "neutral to smile": lambda pair: pair.smiles,
    "laboratory": lambda pair: pair.laboratory,
}

Report = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Face:
    """What a judge sees in an aligned crop."""

    picture: Picture  # (S, S, 3)
    landmarks: Array  # (478, 3) crop units
    scores: Array | None  # (S,) expression scores 0..1, of a judge that has them
    readings: Array | None  # (R,) raw values of READINGS, likewise

    @property
    def gap(self) -> float:
        """Between the lips, IOD."""
        upper, lower = self.landmarks[LIPS_INNER[5], :2], self.landmarks[LIPS_INNER[15], :2]
        return float(np.linalg.norm(upper - lower) / iod(self.landmarks))


Look = Callable[[Picture], Face | None]
# The first photo driven by the second one of its own pair, and of another; none: no face found.
Driven = tuple[Face | None, Face | None]


@dataclass(frozen=True)
class DrivenPair:
    """A pair as the judge sees it, and what perception says of the second photo."""

    pair: RealPair
    first: Face
    second: Face
    target: Array  # (K,)


@dataclass
class Compared:
    """Figures of one model, collected pair by pair: {figure: [(pair, value)]}."""

    values: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def add(self, name: str, pair: int, value: float) -> None:
        """One more value of a figure."""
        self.values.setdefault(name, []).append((pair, value))

    def mean(self, name: str, among: Sequence[int] | None = None) -> dict[str, float]:
        """Mean and standard error of a figure, of some pairs or of all that have it."""
        found = [v for p, v in self.values.get(name, []) if among is None or p in among]
        if not found:
            return {}
        spread = np.std(found, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else 0.0
        return {name: float(np.mean(found)), f"{name} (se)": float(spread)}


def evaluate(
    data: Path,
    models: list[str],
    count: int = PAIRS,
    landmarker: Path | None = None,
    sheet: Path | None = None,
) -> dict[str, Report]:
    """{model: {pairs: figures}} on `count` held-out couples of photos; `still` is the first photo.

    all pairs, and those from neutral to a smile: `lips`, mean distance of the lip landmarks
    (IOD, pose removed); `scores`, mean absolute error of MediaPipe's expression scores (with its
    landmarker only, which then finds the landmarks too; else our perception does); `creases`, the
    correlation of the change of skin with the real change, both freed of what they share with the
    first photo, as a face merely blurred would else seem to change as the real one does; `creases,
    plain` without that. Creases also where an action unit changes most. mouth: where a shut mouth
    opens, `tone` and `tone, real` (mean luma inside over that of the skin), `tone error`, and
    `sharpness`, log2 of its Laplacian energy over the real one's (0 is right, -1 half of it).
    sheet: a PNG with first photo, every model, second photo. Raises MemegenError if the judge
    sees no pair.
    """
    start, analyzer = time.perf_counter(), FaceAnalyzer()
    with looking(landmarker, analyzer) as look:
        seen = pairs_seen(data, count, look, analyzer)
        found: dict[str, list[Driven]] = {STILL: still(seen)}
        found |= {model: play(Animator(model), seen, look) for model in models}
    if sheet is not None:
        faces = [found[model] for model in models]
        shown = [
            [each.first, *(face[row][0] or each.first for face in faces), each.second]
            for row, each in enumerate(seen)
        ]
        _draw(sheet, [[face.picture for face in row] for row in shown])
    report = {name: report_of(seen, driven) for name, driven in found.items()}
    report[STILL] = {group: report[STILL][group] for group in GROUPS}  # all else is nothing
    report["run"] = {"run": {"pairs": float(len(seen)), "seconds": time.perf_counter() - start}}
    return report


def pairs_seen(data: Path, count: int, look: Look, analyzer: FaceAnalyzer) -> list[DrivenPair]:
    """The pairs, of `count`, in which a judge sees both faces. Raises MemegenError if in none."""
    seen = [
        DrivenPair(pair, first, second, _expression(analyzer, pair.second))
        for pair in real_pairs(data, count)
        if (first := look(pair.first)) and (second := look(pair.second))
    ]
    if not seen:
        raise MemegenError(f"{data}: the judge sees no face in the held-out pairs")
    return seen


def still(seen: list[DrivenPair]) -> list[Driven]:
    """What a generator would make that changes nothing."""
    return [(each.first, each.first) for each in seen]


def play(animator: Animator, seen: list[DrivenPair], look: Look) -> list[Driven]:
    """Every first photo driven by its second one, and by the second one of the next pair."""
    found: list[Driven] = []
    for index, each in enumerate(seen):
        other = seen[(index + 1) % len(seen)]
        frames = _driven(animator, each.pair, np.stack([each.target, other.target]))
        found.append((look(frames[0]), look(frames[1])) if frames else (None, None))
    return found


@contextmanager
def looking(landmarker: Path | None, analyzer: FaceAnalyzer) -> Iterator[Look]:
    """Who looks at crops: MediaPipe, or our own perception."""

    def by_perception(picture: Picture) -> Face:
        return Face(picture, analyzer.predict(picture, _whole(picture))[0], None, None)

    if landmarker is None:
        yield by_perception
        return
    with closing(Landmarker(landmarker, "`landmarker`")) as eye:

        def by_mediapipe(picture: Picture) -> Face | None:
            found = eye.find(picture)
            if found is None:
                return None
            readings = read(found, load_anatomy())
            return Face(picture, found.landmarks, expression_scores(found), readings)

        yield by_mediapipe


def _whole(picture: Picture) -> Alignment:
    """The alignment of a picture that is an aligned crop."""
    side = picture.shape[0]
    return Alignment(np.eye(2, dtype=np.float32) * side, np.zeros(2, np.float32))


def _expression(analyzer: FaceAnalyzer, crop: Picture) -> Array:
    """(K,) what perception says of an aligned crop, as of the target of `transfer`."""
    return analyzer.analyze_near(crop, _whole(crop)).action_units


def _driven(animator: Animator, pair: RealPair, target: Array) -> list[Picture]:
    """The first photo with expressions `target` (T, K), at its own size; none if it has no face."""
    try:
        frames = animator.animate(pair.photo(), expressions_of(target))
    except NoFaceError:
        return []
    size = (pair.first.shape[1], pair.first.shape[0])
    reduced = (Image.fromarray(f[..., :3]).resize(size, Image.Resampling.LANCZOS) for f in frames)
    return [np.asarray(frame) for frame in reduced]


def _compare(tally: Compared, pair: int, each: DrivenPair, mine: Face) -> None:
    first, real = each.first, each.second
    anatomy = load_anatomy()
    shapes = [face_shape(face.landmarks, anatomy)[LIPS, :2] for face in (mine, real)]
    tally.add("lips", pair, float(np.linalg.norm(shapes[0] - shapes[1], axis=1).mean()))
    if mine.scores is not None and real.scores is not None:
        tally.add("scores", pair, float(np.abs(mine.scores - real.scores).mean()))
    before, output, true = (_creases(face) for face in (first, mine, real))
    weight, plain = creases.skin(), (output - before, true - before)
    freed = [creases.without(change, before, weight) for change in plain]
    tally.add("creases", pair, creases.correlation(freed[0], freed[1], weight))
    tally.add("creases, plain", pair, creases.correlation(plain[0], plain[1], weight))
    if first.gap > SHUT or real.gap < OPEN:
        return
    inside, true_inside = _inside(mine), _inside(real)
    tally.add("mouths open", pair, float(inside is not None))
    if inside is None or true_inside is None:
        return
    (tone, energy), (real_tone, real_energy) = inside, true_inside
    tally.add("tone", pair, tone)
    tally.add("tone, real", pair, real_tone)
    tally.add("tone error", pair, abs(tone - real_tone))
    tally.add("sharpness", pair, float(np.log2(energy / real_energy)))


def _creases(face: Face) -> Array:
    return creases.creases(creases.unwrap(face.picture.astype(np.float32), face.landmarks))


def _inside(face: Face) -> tuple[float, float] | None:
    """Mean luma inside the mouth and its Laplacian energy, over the skin's luma (squared)."""
    weight = regions(face.landmarks, face.picture.shape[0])
    full = weight["mouth"] > 0.99
    inner = full.copy()  # without the pixels that touch the lips
    for axis in (0, 1):
        for step in (1, -1):
            inner &= np.roll(full, step, axis)
    if inner.sum() < LEAST_MOUTH:
        return None
    luma = face.picture.astype(np.float32) @ LUMA
    luma = luma / max(mean_over(luma, weight["skin"]), 1.0)
    padded = np.pad(luma, 1, mode="edge")
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    laplacian = around - 4 * luma
    return float(luma[inner].mean()), float((laplacian[inner] ** 2).mean() + LEAST_ENERGY)


def report_of(seen: Sequence[DrivenPair], driven: Sequence[Driven]) -> Report:
    """The figures of one model; see `evaluate`."""
    tally, pairs = Compared(), [each.pair for each in seen]
    for index, (each, (mine, _)) in enumerate(zip(seen, driven, strict=True)):
        if mine is not None:
            _compare(tally, index, each, mine)
    report: Report = {}
    for name, belongs in GROUPS.items():
        among = [index for index, pair in enumerate(pairs) if belongs(pair)]
        figures = {"pairs": float(len(among))}
        for figure in ("lips", "scores", "creases", "creases, plain"):
            figures |= tally.mean(figure, among)
        report[name] = figures
    for name, numbers in CREASED.items():
        most = _most(pairs, numbers)
        report[f"creases, {name}"] = {"pairs": float(len(most))} | tally.mean("creases", most)
    mouths = [pair for pair, _ in tally.values.get("mouths open", [])]
    report["mouth"] = {"pairs": float(len(mouths))}
    for figure in ("mouths open", "tone", "tone, real", "tone error", "sharpness"):
        report["mouth"] |= tally.mean(figure)
    return report | _followed(seen, driven)


def _followed(seen: Sequence[DrivenPair], driven: Sequence[Driven]) -> Report:
    """Per action unit, how the change that is seen follows the driver's: slope, correlation.

    `source`: of faces driven by another photo of themselves; `cross`: by another pair's change.
    `by landmarks`: the same in IOD, of LANDMARKS.
    """
    names = [f"AU{reading.number}" for reading in READINGS]
    names += [f"AU{number} by landmarks" for number in LANDMARKS]
    nothing = np.full(len(names), np.nan)

    def change(before: Face, after: Face | None) -> Array:
        if before.readings is None or after is None or after.readings is None:
            return nothing
        anatomy = load_anatomy()
        shift = [
            read_from(face_shape(after.landmarks, anatomy))
            - read_from(face_shape(before.landmarks, anatomy))
            for read_from in LANDMARKS.values()
        ]
        return np.concatenate([intensities(after.readings - before.readings), np.array(shift)])

    real = np.stack([change(each.first, each.second) for each in seen])
    if np.isnan(real).all():
        return {}
    source, cross = (
        np.stack([change(each.first, faces[i]) for each, faces in zip(seen, driven, strict=True)])
        for i in (0, 1)
    )
    report: Report = {}
    for column, heading in enumerate(names):
        figures: dict[str, float] = {}
        for name, asked, shown in (("own", real, source), ("cross", np.roll(real, -1, 0), cross)):
            slope, correlation = fit(asked[:, column], shown[:, column])
            figures |= {f"{name} slope": slope, f"{name} correlation": correlation}
        report[heading] = figures
    return report


def _most(pairs: list[RealPair], numbers: tuple[int, ...]) -> list[int]:
    """The pairs in which some action units change most, upwards or down."""
    columns = [READINGS.index(BY_NUMBER[number]) for number in numbers]
    change = np.array([abs(pair.change[columns].mean()) for pair in pairs])
    count = max(1, round(STRONGEST * len(pairs)))
    return [int(index) for index in np.argsort(-change)[:count]]


def _draw(sheet: Path, rows: list[list[Picture]]) -> None:
    side = (CELL, CELL)
    cells = [[np.asarray(Image.fromarray(cell).resize(side)) for cell in row] for row in rows]
    pages(sheet, [np.concatenate(row, 1) for row in cells], ROWS)
