"""From a performance to a track: whose face is calm when, what of it to take, and how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from memegen import aus
from memegen.arrays import Array, Mask
from memegen.errors import UsageError, nearest
from memegen.performance.follow import Performance
from memegen.performance.smooth import smooth
from memegen.tracks import Track

CALM = 0.08  # share of the seen frames, the calmest, whose middle is the performer's neutral
NOISE_FLOOR = 0.004  # of a channel (of 1), and of a degree's share of a channel
PARTS: dict[str, tuple[str, ...]] = {
    "mouth": ("mouth", "cheeks", "nose"),
    "eyes": ("eyes",),
    "brows": ("brows",),
    "head": ("head",),
    "gaze": ("gaze",),
}


@dataclass(frozen=True)
class Driving:
    """How a performance drives another face."""

    relative: bool = True  # changes from the performer's own neutral, added to the photo's
    neutral_frame: int | None = None  # which frame that is; None: chosen
    only: tuple[str, ...] = tuple(PARTS)  # parts of the face that follow
    smoothing: float = 1.0  # 0: none
    gains: Mapping[str, float] = field(default_factory=dict)  # by action unit


def parse_parts(text: str) -> tuple[str, ...]:
    """Read `mouth,eyes`. Raises UsageError naming the nearest part."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in parts:
        if part not in PARTS:
            raise UsageError(
                f"unknown part '{part}'{nearest(part, PARTS)} (known: {', '.join(PARTS)})"
            )
    if not parts:
        raise UsageError(f"--only names no part (known: {', '.join(PARTS)})")
    return parts


def parse_gains(text: str) -> dict[str, float]:
    """Read `AU12=1.5,AU4=0`. Raises UsageError."""
    gains = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, value = part.replace(":", "=").partition("=")
        try:
            gain = float(value)
        except ValueError:
            raise UsageError(f"--gain {part}: write NAME=FACTOR, for example AU12=1.5") from None
        if not 0 <= gain <= 5:
            raise UsageError(f"--gain {part}: a factor is 0..5")
        for channel in aus.channels_of(name):
            gains[channel] = gain
    return gains


def neutral_of(performance: Performance, frame: int | None = None) -> Array:
    """(K,) the performer's calm face: the given frame, or the middle of the calmest ones.

    Calm is little expression and eyes open; the head may be anywhere.
    """
    if frame is not None:
        if not 0 <= frame < len(performance):
            raise UsageError(f"--neutral-frame {frame}: there are {len(performance)} frames")
        return performance.units[frame]
    seen = np.flatnonzero(performance.seen)
    face = [
        aus.INDEX[c] for au in aus.TABLE if au.group not in ("head", "gaze") for c in au.channels
    ]
    effort = performance.units[seen][:, face].sum(1)
    count = max(1, round(CALM * len(seen)))
    return np.asarray(np.median(performance.units[seen[np.argsort(effort)[:count]]], 0))


def track_of(performance: Performance, driving: Driving) -> Track:
    """What a photo is asked to do, frame by frame."""
    units = _smoothed(performance, driving.smoothing)
    followed = _followed(driving.only)
    gains = _gains(driving.gains)
    if driving.relative:
        keep = np.ones_like(units)
        add = _signed(units) - _signed(neutral_of(performance, driving.neutral_frame))
        add = _unsigned(add) * gains
    else:
        keep = np.zeros_like(units)
        add = np.clip(units * gains, 0, 1)
    keep[:, ~followed], add[:, ~followed] = 1, 0
    return Track(
        keep, add.astype(np.float32), performance.fps, False, performance.name, "performance"
    )


def _smoothed(performance: Performance, strength: float) -> Array:
    signed = smooth(_signed(performance.units), performance.fps, strength, NOISE_FLOOR)
    return np.clip(_unsigned(signed), 0, None)


def _signed(units: Array) -> Array:
    """Opposites (head, gaze, jaw sideways) as one signed value in the first of their channels."""
    found = units.copy()
    for plus, minus in aus.OPPOSITES:
        found[..., aus.INDEX[plus]] -= units[..., aus.INDEX[minus]]
        found[..., aus.INDEX[minus]] = 0
    return found


def _unsigned(signed: Array) -> Array:
    """The inverse of `_signed`: negative values go to the opposite channel."""
    found = signed.copy()
    for plus, minus in aus.OPPOSITES:
        value = signed[..., aus.INDEX[plus]]
        found[..., aus.INDEX[plus]] = np.maximum(value, 0)
        found[..., aus.INDEX[minus]] = np.maximum(-value, 0)
    return found


def _followed(only: tuple[str, ...]) -> Mask:
    groups = {group for part in only for group in PARTS[part]}
    chosen = [aus.INDEX[c] for au in aus.TABLE if au.group in groups for c in au.channels]
    return np.isin(np.arange(len(aus.CHANNELS)), chosen)


def _gains(gains: Mapping[str, float]) -> Array:
    found = np.ones(len(aus.CHANNELS), np.float32)
    for name, gain in gains.items():
        found[[aus.INDEX[c] for c in aus.channels_of(name)]] = gain
    return found
