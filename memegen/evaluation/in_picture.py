"""Self-reenactment in the picture's own frame: where the face is, how it looks, when it moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from memegen.arrays import Array, Integers, Picture
from memegen.errors import MemegenError
from memegen.evaluation import timing
from memegen.evaluation.driving_clips import DrivingClip
from memegen.evaluation.judges import Estimates, Judge
from memegen.evaluation.measures import mean_over, structure
from memegen.evaluation.subjects import looked_at
from memegen.geometry.shape import MESH_POINTS, iod
from memegen.performance.retarget import RetargetOptions
from memegen.photo import read_photo
from memegen.pipeline import Animator

EVERY = 5  # frames between those compared
FACE = 192  # pixels of the face's longer side where pictures are compared
FIGURES = ("landmarks", "aligned", "SSIM")
MARGIN = 8  # pixels around it, so that SSIM's window has something to see

Report = dict[str, dict[str, float]]


def aligned(points: Array, target: Array) -> Array:
    """(N, 2) points moved, scaled and turned to lie on `target` (N, 2) by least squares.

    Umeyama, PAMI 1991, in the plane, written with complex numbers: no reflection is possible.
    """
    z, w = (side[:, 0] + 1j * side[:, 1] for side in (points, target))
    centred = z - z.mean()
    factor = np.vdot(centred, w - w.mean()) / np.vdot(centred, centred)
    laid = factor * centred + w.mean()
    return np.stack([laid.real, laid.imag], 1)


def distances(driven: Array, real: Array) -> tuple[float, float]:
    """Mean distance of the 468 landmarks of (478, 2): in the picture; aligned. IOD of `real`."""
    mine, true = driven[:MESH_POINTS].astype(float), real[:MESH_POINTS].astype(float)
    gap = float(iod(real))

    def mean(points: Array) -> float:
        return float(np.linalg.norm(points - true, axis=1).mean() / gap)

    return mean(mine), mean(aligned(mine, true))


def ssim(driven: Picture, real: Picture, landmarks: Array) -> float:
    """SSIM inside the hull of the real frame's landmarks (478, 2), pictures laid as they are.

    Both are scaled so that the hull's longer side has FACE pixels.
    """
    low, high = landmarks.min(0), landmarks.max(0)
    scale = FACE / float((high - low).max())
    side = np.ceil((high - low) * scale).astype(int) + 2 * MARGIN
    offset = MARGIN - low * scale
    to = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    to[:, 2] += (scale - 1) / 2  # pixel centres
    width, height = int(side[0]), int(side[1])

    def cut(picture: Picture) -> Array:
        soft = picture[..., :3].astype(np.float32)
        if scale < 1:  # a smaller picture must not alias
            soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), 0.5 / scale))
        border = cv2.BORDER_REPLICATE
        return np.asarray(cv2.warpAffine(soft, to, (width, height), borderMode=border))

    inside = np.zeros((height, width), np.uint8)
    hull = cv2.convexHull((landmarks * scale + offset).astype(np.float32))
    cv2.fillConvexPoly(inside, np.rint(hull).astype(np.int32), 1)
    return mean_over(structure(cut(driven), cut(real)), inside.astype(np.float32))


def evaluate(
    clips: list[Path],
    models: Mapping[str, Animator],
    judge: Judge,
    options: RetargetOptions,
    most: int | None = None,
    warn: Callable[[str], None] = print,
) -> dict[str, Report]:
    """{clip: {way: figures}}, and the means under `all clips`: first frames driven by their clips.

    Ways: `still`, the first frame as it is; each model by its name, driven as asked; the same `from
    frame 0`, where changes are counted from the first frame. landmarks: mean distance of the 468
    in the picture's frame, IOD; aligned: the same where the driven face is first laid on the real
    one by a similarity; SSIM: see `ssim`; gains of each over `still`; every fifth frame counts.
    See `timing.figures` for the others. `most`: frames of a clip that are looked at. Clips of
    several that show too little are left out, and `warn` is told. Raises MemegenError if all do.
    """

    def estimate(clip: Path) -> Report:
        acted = DrivingClip.of(clip, next(iter(models.values())), judge, most)
        return _one(acted, models, judge, options)

    report = {clip.name: one for clip, one in looked_at(clips, estimate, warn).items()}
    each = list(report.values())
    report["all clips"] = {way: _means([one[way] for one in each]) for way in each[0]}
    return report


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def _one(
    acted: DrivingClip, models: Mapping[str, Animator], judge: Judge, options: RetargetOptions
) -> Report:
    seen = np.flatnonzero(acted.estimates.seen)
    rows = seen[(seen % EVERY == 0) & (seen > 0)]
    if not len(rows) or not acted.estimates.seen[0]:
        raise MemegenError(
            f"{acted.name}: {judge.name} sees too few faces (the first frame, every {EVERY}th)"
        )
    first = acted.estimates.rows(np.zeros_like(rows))
    still = _figures([acted.frames[0]] * len(rows), first, acted, rows)
    report = {"still": still}
    from_first = replace(options, neutral_frame=0)
    for name, animator in models.items():
        every = np.arange(len(acted.frames))
        figures, estimates = _driven(acted, rows, every, animator, judge, options)
        report[name] = figures | _gains(figures, still) | timing.figures(acted.estimates, estimates)
        figures, _ = _driven(acted, rows, rows, animator, judge, from_first)
        report[f"{name}, from frame 0"] = figures | _gains(figures, still)
    return report


def _driven(
    acted: DrivingClip,
    rows: Integers,
    reenactment: Integers,
    animator: Animator,
    judge: Judge,
    options: RetargetOptions,
) -> tuple[dict[str, float], Estimates]:
    """Figures of the frames `rows`, and what is seen of all that are rendered."""
    photo = read_photo(acted.frames[0])
    source = animator.analyze(photo)[0].analysis.action_units
    kept: dict[int, Picture] = {}
    pictures = animator.animate(photo, acted.track(options, source, reenactment))
    estimates = Estimates.of(
        judge.estimate(_keeping(pictures, reenactment, set(rows.tolist()), kept))
    )
    shown = estimates.rows(np.searchsorted(reenactment, rows))
    return _figures([kept[row] for row in rows.tolist()], shown, acted, rows), estimates


def _keeping(
    pictures: Iterable[Picture], numbers: Integers, target: set[int], kept: dict[int, Picture]
) -> Iterator[Picture]:
    """The pictures; those of the `target` numbers are put into `kept`."""
    for number, picture in zip(numbers.tolist(), pictures, strict=True):
        if number in target:
            kept[number] = picture
        yield picture


def _figures(
    pictures: list[Picture], estimates: Estimates, acted: DrivingClip, rows: Integers
) -> dict[str, float]:
    found = [
        (
            *distances(mine, true := acted.estimates.landmarks[row]),
            ssim(picture, acted.frames[row], true),
        )
        for picture, mine, row in zip(pictures, estimates.landmarks, rows, strict=True)
        if np.isfinite(mine[0, 0])
    ]
    if not found:
        return {"frames": 0.0}
    return dict(zip(FIGURES, np.mean(found, 0).tolist(), strict=True)) | {
        "frames": float(len(found))
    }


def _gains(driven: dict[str, float], still: dict[str, float]) -> dict[str, float]:
    """How much nearer each figure is to the truth than the still picture's."""
    return {
        f"{name} gain": sign * (driven[name] - still[name])
        for name, sign in zip(FIGURES, (-1, -1, 1), strict=True)
        if name in driven and name in still
    }
