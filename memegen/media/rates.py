"""Frame rates: exact where it is known which one is meant, and read off the times of frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from memegen.arrays import Array

# Rates of films and television (SMPTE ST 12-1 and its doubles), which files often round.
KNOWN = tuple(
    Fraction(whole * 1000, 1001) if ntsc else Fraction(whole)
    for whole in (24, 25, 30, 48, 50, 60, 100, 120)
    for ntsc in (False, True)
    if not (ntsc and whole in (25, 50, 100))
)
ROUNDING = 0.005  # frames a second: what a rate said with two decimals may be off by
MOST_ROUNDING = 1.0  # frames a second that times of few frames, roughly told, may be off by
USUAL = 0.25  # of all steps: as many are as short as the rate, where some frames are held
# Seconds that one frame may stay. Times that jump further are damage, and would be filled with
# frames for hours.
MOST_GAP = 60.0


def exact_rate(fps: float, within: float = ROUNDING) -> float:
    """The known rate that is `within` frames a second of `fps`, or `fps` itself.

    23.98 is 24000/1001. Where several are near, whole ones are meant.
    """
    near = [rate for rate in KNOWN if abs(float(rate) - fps) <= within]
    if not near:
        return fps
    return float(min(near, key=lambda rate: (rate.denominator, abs(float(rate) - fps))))


def rate_text(fps: float) -> str:
    """A frame rate as ffmpeg takes it: an exact fraction where it is a known rate."""
    for rate in KNOWN:
        if abs(float(rate) - fps) < 1e-6:
            return str(rate)
    return f"{fps:.6f}"


@dataclass(frozen=True)
class Beat:
    """The frame rate that times of frames stand for."""

    fps: float
    steady: bool  # the times are those of this rate, but for their rounding


def beat_of(times: Array, resolution: float) -> Beat | None:
    """The rate of frames that begin at `times` (T,), seconds rounded to `resolution`.

    Steps of 33, 33 and 34 ms are 30 frames a second, not 30.3: it is the whole way that counts.
    Frames that are held for several steps leave the rate as it is. Where frames come at odd times,
    the median of the steps says how fast most of them come. None where there is no step.
    """
    count = len(times)
    if count < 2 or not times[-1] > times[0]:
        return None
    steps = np.diff(times)
    for taken in (np.ones(count - 1), _held(steps)):
        ends = np.cumsum([0.0, *taken])
        step = float(times[-1] - times[0]) / ends[-1]
        if np.abs(times - times[0] - ends * step).max() <= 1.01 * resolution + 1e-9:
            fps = exact_rate(1 / step, _doubt(resolution / ends[-1], step))
            return Beat(fps, bool((taken == 1).all()))
    step = float(np.median(steps[steps > 0]))
    return Beat(exact_rate(1 / step, _doubt(resolution, step)), False)


def _held(steps: Array) -> Array:
    """How many of the shortest steps each (T - 1,) seems to take; one where few are as short."""
    short = (steps > 0) & (steps < 1.5 * steps[steps > 0].min())
    return np.rint(steps / steps[short].mean()) if short.mean() >= USUAL else np.ones(len(steps))


def _doubt(seconds: float, step: float) -> float:
    """How far a rate may be off whose `step` may be, in seconds: |d(1/s)| = ds / s^2."""
    return min(seconds / step**2 + 1e-6, MOST_ROUNDING)
