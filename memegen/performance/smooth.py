"""Time: bridging what was not seen, and smoothing that keeps blinks and speech.

A face that holds still must hold still in its track, and a blink lasts three frames. A filter that
looks at time alone cannot have both; a bilateral one (Tomasi and Manduchi 1998, here over time)
averages a value with those of other moments only as far as they differ by no more than noise does.
It looks both ways, so nothing is late.
"""

from __future__ import annotations

import numpy as np

from memegen.arrays import Array, Mask

REACH = 0.12  # seconds, standard deviation of the weights over time
TOLERANCE = 3.0  # differences up to about so many times the noise are averaged away
_PASSES = 2
_COLUMNS = 128  # smoothed together, so that long clips need little memory


def bridge(values: Array, seen: Mask) -> Array:
    """(T, C) values with rows that were not seen interpolated between those that were.

    Before the first and after the last of them, the nearest is held. All zero if none was seen.
    """
    if not seen.any():
        return np.zeros_like(values)
    at, found = np.arange(len(values)), np.flatnonzero(seen)
    columns = [np.interp(at, found, column[found]) for column in values.T]
    return np.stack(columns, 1).astype(np.float32)


def noise_of(values: Array) -> Array:
    """(T, C) to (C,) standard deviation of frame-to-frame noise, blinks and speech left out.

    The median of second differences (Rousseeuw and Croux 1993 on medians as scales): movement is
    smooth at most times, noise never is.
    """
    if len(values) < 3:
        return np.zeros(values.shape[1], np.float32)
    second = values[2:] - 2 * values[1:-1] + values[:-2]
    return np.asarray(1.4826 * np.median(np.abs(second), 0) / np.sqrt(6), np.float32)


def smooth(values: Array, fps: float, strength: float = 1.0, floor: float = 0.0) -> Array:
    """(T, C) values without their noise.

    strength scales how far in time and how large a difference is averaged; 0 changes nothing.
    floor: smallest noise that is assumed, in the values' unit.
    """
    if strength <= 0 or len(values) < 3:
        return values
    parts = [values[:, start : start + _COLUMNS] for start in range(0, values.shape[1], _COLUMNS)]
    return np.concatenate([_smooth(part, fps, strength, floor) for part in parts], 1)


def _smooth(values: Array, fps: float, strength: float, floor: float) -> Array:
    spread = np.maximum(noise_of(values), floor) * TOLERANCE * max(strength, 1e-6)
    reach = REACH * strength * fps
    offsets = np.arange(-int(np.ceil(2.5 * reach)), int(np.ceil(2.5 * reach)) + 1)
    guide = values
    for _ in range(_PASSES):  # the second pass compares with values that are calmer already
        total, weight = np.zeros_like(values), np.zeros_like(values)
        for offset in offsets:
            rows = np.clip(np.arange(len(values)) + offset, 0, len(values) - 1)
            apart = (guide[rows] - guide) / np.maximum(spread, 1e-9)
            share = np.exp(-0.5 * (offset / max(reach, 1e-6)) ** 2 - 0.5 * apart**2)
            total += share * values[rows]
            weight += share
        guide = total / weight
    return np.asarray(guide, np.float32)
