"""Where a performance loses strength: every stage from the performer to the picture, alone."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from memegen import aus
from memegen.arrays import Array
from memegen.evaluation.driving_clips import Reenactment
from memegen.evaluation.judges import units_read
from memegen.evaluation.landmark_aus import fit
from memegen.evaluation.strength import ALIVE, COLUMN, is_alive
from memegen.geometry.anatomy import load_anatomy
from memegen.performance.retarget import NOISE_FLOOR, RetargetOptions
from memegen.performance.smooth import smooth
from memegen.performance.track import FaceTracker
from memegen.pipeline import Animator

NUMBERS = (1, 2, 4, 6, 9, 12, 17, 18, 20, 25, 26, 45)  # action units of the table
STAGES = (
    "perceived",  # what perception reads in the performer
    "smoothed",
    "added",  # what the track adds to the photo's expression
    "asked",  # what of it is within the photo's range
    "reached",  # with the gains of the anatomy
    "by perception",  # in the driven photo
    "by judge",
)

Report = dict[str, dict[str, float]]


def stages_of(
    reenactment: Reenactment, animator: Animator, options: RetargetOptions
) -> dict[str, Array]:
    """{stage: (F, R)} changes of intensity, 0..5, and `acted`: the performer's by the judge."""
    performance, source, track = (
        reenactment.driver.performance,
        reenactment.source,
        reenactment.track,
    )
    estimates, rows, weights = reenactment.driver.estimates, reenactment.rows, reenactment.weights
    raw = units_read(performance.units)
    steady = units_read(smooth(performance.units, performance.fps, options.smoothing, NOISE_FLOOR))
    asked = track.resolve(source)
    reached = load_anatomy().reaching(source, asked)
    return {
        "acted": estimates.intensities[rows] - estimates.mean(weights).intensities,
        "perceived": raw[rows] - weights @ raw,
        "smoothed": steady[rows] - weights @ steady,
        "added": units_read((track.keep - 1) * source + track.add),
        "asked": units_read(asked - source),
        "reached": units_read(reached - source),
        "by perception": _perceived(reenactment, animator) - units_read(np.clip(source, 0, 1)),
        "by judge": reenactment.estimates.intensities - reenactment.still.intensities,
    }


def _perceived(reenactment: Reenactment, animator: Animator) -> Array:
    """(F, R) intensities that perception reads in the pictures, as it reads performers."""
    tracker = FaceTracker(animator.detector, animator.analyzer)
    nothing = np.full(len(aus.CHANNELS), np.nan, np.float32)
    rgb = (np.ascontiguousarray(picture[..., :3]) for picture in reenactment.pictures)
    rows = [nothing if seen is None else seen.units for seen in tracker.track(rgb)]
    return units_read(np.stack(rows))


def figures(found: Iterable[dict[str, Array]]) -> Report:
    """{stage: {`AU4 slope`, `AU4 correlation`}} on what the judge sees in the performer.

    Slope through the origin. Pooled over the plays in which the performer uses the action unit;
    `pairs` tells of each how many those are.
    """
    known = list(found)
    report: Report = {name: {} for name in (*STAGES, "pairs")}
    for number in NUMBERS:
        column, name = COLUMN[number], f"AU{number}"
        alive = [one for one in known if is_alive(one["acted"][:, column], ALIVE)]
        if not alive:
            continue
        report["pairs"][name] = float(len(alive))
        acted = np.concatenate([one["acted"][:, column] for one in alive])
        for stage in STAGES:
            there = np.concatenate([one[stage][:, column] for one in alive])
            slope, correlation = fit(acted, there)
            report[stage] |= {f"{name} slope": slope, f"{name} correlation": correlation}
    return report
