"""How much of a performance arrives on other people's photos, and how well it keeps its form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from memegen.arrays import Array
from memegen.evaluation.driving_clips import Reenactment
from memegen.evaluation.judges import Estimate, Estimates
from memegen.evaluation.landmark_aus import READINGS, fit

EXPRESSION: Mapping[str, tuple[int, ...]] = {
    "jaw open": (26,),
    "smile": (12,),
    "pucker": (18,),
    "brows down": (4,),
    "brows up": (1, 2),
    "blink": (45,),
    "lips part": (25,),
}  # by action unit
HEAD = ("yaw", "pitch", "roll")
# What a performer's range over the compared frames must exceed to count. Scores of a face that
# holds still wander over a tenth of their range, a half of 5.
ALIVE, ALIVE_DEGREES = 0.75, 3.0  # intensity of 5; degrees
COLUMN = {reading.number: column for column, reading in enumerate(READINGS)}

Report = dict[str, dict[str, float]]
Changes = dict[str, Array]


def changes_of(estimates: Estimates, base: Estimate) -> Changes:
    """{channel: (F,)} intensities of 5, and degrees, from what was seen first."""
    intensities, angles = estimates.intensities - base.intensities, estimates.angles - base.angles
    expression = {
        name: intensities[:, [COLUMN[number] for number in numbers]].mean(1)
        for name, numbers in EXPRESSION.items()
    }
    return expression | {name: angles[:, axis] for axis, name in enumerate(HEAD)}


def is_alive(change: Array, floor: float) -> bool:
    """Whether a performer's change (F,) has a range beyond the floor; NaN is passed over."""
    known = change[np.isfinite(change)]
    return len(known) > 1 and float(np.ptp(known)) > floor


def compared(reenactment: Reenactment) -> tuple[Changes, Changes]:
    """What the performer does and what the driven photo does, each from its own beginning."""
    estimates = reenactment.driver.estimates
    acted = changes_of(estimates.rows(reenactment.rows), estimates.mean(reenactment.weights))
    return acted, changes_of(reenactment.estimates, reenactment.still)


def figures(pairs: Iterable[tuple[Changes, Changes]]) -> Report:
    """{channel: slope, correlation, pairs} pooled over (performer, driven) where one acts.

    Slope through the origin. `centred`: the same where each pair's means are taken out first, so
    that only the course of the performance counts and not what it is counted from; `of a pair`: the
    means of each pair's own figures, centred: what a viewer of one film sees. Under `expression`
    and `head` their channels' means.
    """
    known = list(pairs)
    report: Report = {}
    for name in (*EXPRESSION, *HEAD):
        floor = ALIVE_DEGREES if name in HEAD else ALIVE
        alive = [(x[name], y[name]) for x, y in known if is_alive(x[name], floor)]
        if alive:
            acted, driven = (np.concatenate(side) for side in zip(*alive, strict=True))
            report[name] = _fitted(acted, driven, "")
            centred = [_centred(x, y) for x, y in alive]
            acted, driven = (np.concatenate(side) for side in zip(*centred, strict=True))
            report[name] |= _fitted(acted, driven, ", centred")
            each = np.array([fit(*pair) for pair in centred])
            slope, correlation = each.mean(0).tolist()
            report[name] |= {"slope of a pair": slope, "correlation of a pair": correlation}
            report[name]["pairs"] = float(len(alive))
    for heading, names in (("expression", tuple(EXPRESSION)), ("head", HEAD)):
        rows = [report[name] for name in names if name in report]
        if rows:
            report[heading] = {
                figure: float(np.mean([row[figure] for row in rows]))
                for figure in rows[0]
                if figure != "pairs"
            }
    return report


def _fitted(acted: Array, driven: Array, how: str) -> dict[str, float]:
    slope, correlation = fit(acted, driven)
    return {f"slope{how}": slope, f"correlation{how}": correlation}


def _centred(acted: Array, driven: Array) -> tuple[Array, Array]:
    """Both (F,) less their means over the frames in which both are known."""
    known = np.isfinite(acted) & np.isfinite(driven)
    if not known.any():
        return acted, driven
    return acted - acted[known].mean(), driven - driven[known].mean()
