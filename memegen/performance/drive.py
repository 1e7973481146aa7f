"""From a performance to a track: whose face is calm when, what of it to take, and how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from memegen import aus
from memegen.arrays import Array, Integers, Mask
from memegen.errors import UsageError, nearest
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.shape import MESH_POINTS, fit_pose
from memegen.geometry.topology import REGIONS
from memegen.performance.follow import Performance
from memegen.performance.smooth import smooth
from memegen.tracks import Detail, Track

CALM = 0.08  # share of the seen frames, the calmest, whose middle is the performer's neutral
NOISE_FLOOR = 0.004  # of a channel (of 1), and of a degree's share of a channel
DETAIL_FLOOR = 0.0015  # IOD of noise that landmarks have at least
DETAIL_REACH = {"mouth": 0.35, "brows": 0.2}  # IOD over which measured motion fades out
_FACE = ("brows", "eyes", "cheeks", "nose", "mouth")
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
    detail: float = 1.0  # how far lips and brows follow what action units do not say, 0..1


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


def neutral_frames(performance: Performance, frame: int | None = None) -> Integers:
    """The performer's calm frames: the given one, or those with little expression, eyes open.

    The head may be anywhere in them.
    """
    if frame is not None:
        if not 0 <= frame < len(performance):
            raise UsageError(f"--neutral-frame {frame}: there are {len(performance)} frames")
        return np.array([frame])
    seen = np.flatnonzero(performance.seen)
    parts = [aus.INDEX[c] for au in aus.TABLE if au.group in _FACE for c in au.channels]
    effort = performance.units[seen][:, parts].sum(1)
    return seen[np.argsort(effort)[: max(1, round(CALM * len(seen)))]]


def reference_weights(
    performance: Performance, frame: int | None = None, own: Array | None = None
) -> Array:
    """(T,) how much each frame says of what changes are counted from, sum 1."""
    weights = np.zeros(len(performance), np.float32)
    weights[neutral_frames(performance, frame)] = 1
    return weights / weights.sum()


def neutral_of(performance: Performance, frame: int | None = None) -> Array:
    """(K,) the expression of the performer's calm face: the middle of the calm frames."""
    calm = neutral_frames(performance, frame)
    return np.asarray(np.median(_signed(performance.units[calm]), 0), np.float32)


def track_of(performance: Performance, driving: Driving, own: Array | None = None) -> Track:
    """What a photo is asked to do, frame by frame; `own` (K,) is its expression, if it is known."""
    units = _smoothed(performance, driving.smoothing)
    followed = _followed(driving.only)
    gains = _gains(driving.gains)
    if driving.relative:
        keep = np.ones_like(units)
        add = _signed(units) - neutral_of(performance, driving.neutral_frame)
        add = _unsigned(add) * gains
    else:
        keep = np.zeros_like(units)
        add = np.clip(units * gains, 0, 1)
    keep[:, ~followed], add[:, ~followed] = 1, 0
    detail = None
    if driving.detail > 0 and driving.relative and performance.landmarks is not None:
        detail = detail_of(performance, driving)
    return Track(
        keep, add.astype(np.float32), performance.fps, False, performance.name, "performance",
        detail,
    )  # fmt: skip


def detail_of(performance: Performance, driving: Driving) -> Detail:
    """What lips and brows of the performer do beyond the action units that are read from them.

    Only that: an action unit stops at its end, on a photo that smiles already too.
    """
    assert performance.landmarks is not None
    anatomy = load_anatomy()
    pose = fit_pose(performance.landmarks, anatomy.canonical, anatomy.rigid_weights)
    faces = pose.to_face(performance.landmarks[:, :MESH_POINTS])
    frames = neutral_frames(performance, driving.neutral_frame)
    flat = (faces - np.median(faces[frames], 0)).reshape(len(faces), -1).astype(np.float32)
    shift = smooth(flat, performance.fps, driving.smoothing, DETAIL_FLOOR).reshape(faces.shape)
    calm = np.clip(np.median(performance.units[frames], 0), 0, 1)
    units = np.clip(_smoothed(performance, driving.smoothing), 0, 1)
    shift += anatomy.displacement(calm) - anatomy.displacement(anatomy.reaching(calm, units))
    share = np.zeros(MESH_POINTS, np.float32)
    for part, reach in DETAIL_REACH.items():
        if part in driving.only:
            share = np.maximum(share, _near(anatomy.canonical, REGIONS[part], reach))
    return Detail(shift, share * driving.detail)


def _near(canonical: Array, rows: tuple[int, ...], reach: float) -> Array:
    """(468,) one at vertices of a region, fading out over `reach` IOD."""
    distance = np.linalg.norm(canonical[:, None] - canonical[list(rows)][None], axis=-1).min(1)
    return np.exp(-0.5 * (distance / reach) ** 2).astype(np.float32)


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
