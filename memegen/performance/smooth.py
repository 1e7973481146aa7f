"""Time: interpolating what was not seen, and smoothing that keeps blinks and speech.

A face that holds still must hold still in its track, and a blink lasts three frames. A filter that
looks at time alone cannot have both; a bilateral one (Tomasi and Manduchi 1998, here over time)
averages a value with those of other moments only as far as they differ by no more than noise does.
They are compared with the line that the value moves along (Choudhury and Tumblin 2003, the
trilateral filter): else a head that turns would have no neighbours to be averaged with, and would
turn in steps. It looks both ways, so nothing is late.
"""

from __future__ import annotations

from math import comb

import numpy as np

from memegen.arrays import Array, Mask

REACH = 0.12  # seconds, standard deviation of the weights over time
TOLERANCE = 3.0  # differences up to about so many times the noise are averaged away
MEDIAN_TO_DEVIATION = 1.4826  # of the absolute values of a normal distribution
MOST_NOISE = 4.0  # times the floor: what trembles more is taken for fast speech, and kept
_PASSES = 2
_COLUMNS = 128  # smoothed together, so that long clips need little memory


def interpolate_gaps(values: Array, seen: Mask) -> Array:
    """(T, C) values with rows that were not seen interpolated between those that were.

    Before the first and after the last of them, the nearest is held. All zero if none was seen.
    """
    if not seen.any():
        return np.zeros_like(values)
    at, found = np.arange(len(values)), np.flatnonzero(seen)
    columns = [np.interp(at, found, column[found]) for column in values.T]
    return np.stack(columns, 1).astype(np.float32)


def estimate_noise(values: Array) -> Array:
    """(T, C) to (C,) standard deviation of frame-to-frame noise, blinks and speech left out.

    The median of fourth differences (Rousseeuw and Croux 1993 on medians as scales), of second ones
    where there are fewer than five frames: movement is smooth at most times, noise never is. In
    second differences fast speech looks like noise, and would be smoothed away with it.
    """
    if len(values) < 3:
        return np.zeros(values.shape[1], np.float32)
    order = 4 if len(values) > 4 else 2
    # Of white noise with a deviation of 1, a difference has that of its binomial coefficients.
    spread = np.sqrt(comb(2 * order, order))
    differences = np.abs(np.diff(values, n=order, axis=0))
    return np.asarray(MEDIAN_TO_DEVIATION * np.median(differences, 0) / spread, np.float32)


def smooth(values: Array, fps: float, strength: float = 1.0, floor: float = 0.0) -> Array:
    """(T, C) values without their noise.

    strength scales how far in time and how large a difference is averaged; 0 changes nothing.
    floor: smallest noise that is assumed, in the values' unit; the largest is MOST_NOISE times it
    (0: no limits).
    """
    if strength <= 0 or len(values) < 3:
        return values
    parts = [values[:, start : start + _COLUMNS] for start in range(0, values.shape[1], _COLUMNS)]
    return np.concatenate([_smooth(part, fps, strength, floor) for part in parts], 1)


def _smooth(values: Array, fps: float, strength: float, floor: float) -> Array:
    noise = np.clip(estimate_noise(values), floor, MOST_NOISE * floor if floor > 0 else None)
    sharp = 1 / np.maximum(noise * TOLERANCE * max(strength, 1e-6), 1e-9)
    reach = REACH * strength * fps
    offsets = np.arange(-int(np.ceil(2.5 * reach)), int(np.ceil(2.5 * reach)) + 1)
    at, last = np.arange(len(values)), len(values) - 1
    before, after = np.maximum(at - 1, 0), np.minimum(at + 1, last)
    guide = values
    for _ in range(_PASSES):  # the second pass compares with values that are calmer already
        slope = (guide[after] - guide[before]) / (after - before)[:, None]  # a frame
        total, weight = np.zeros_like(values), np.zeros_like(values)
        for offset in offsets:
            rows = np.clip(at + offset, 0, last)
            along = slope * (rows - at)[:, None]
            apart = (guide[rows] - guide - along) * sharp
            fraction = np.exp(-0.5 * (offset / max(reach, 1e-6)) ** 2 - 0.5 * apart**2)
            total += fraction * (values[rows] - along)
            weight += fraction
        guide = total / weight
    return np.asarray(guide, np.float32)
