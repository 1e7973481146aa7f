"""Retargeting: from a performance to a track, what of it to take and how much."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

import numpy as np

from memegen import aus
from memegen.arrays import Array, Mask
from memegen.curves import smoothstep
from memegen.errors import UsageError, nearest
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.shape import MESH_POINTS, fit_pose
from memegen.geometry.topology import REGIONS
from memegen.performance.smooth import smooth
from memegen.performance.track import Performance
from memegen.tracks import Detail, HeadTrajectory, Track

CALM = 0.08  # share of the seen frames, the nearest, that may belong to the reference
# How much more than perception reads is asked for: it is trained on noisy labels, so it says less
# of strong expressions than there is, and some of what is asked is lost on the way to the picture.
# Lips that part show more than was asked for: the dark between them counts as part of the gap.
# Set by `memegen evaluate transfer PHOTOS CLIPS --landmarker FILE`.
STRENGTH = {
    "AU1": 1.45, "AU2": 1.45, "AU4": 1.5, "AU12": 1.08, "AU18": 1.6, "AU22": 1.4, "AU25": 0.85,
    "AU26": 1.1, "AU45": 1.15,
}  # fmt: skip
# How much more than others some action units tell of whether two faces look alike. The others are
# partly read from wrinkles, brows and lips that a face has at rest.
TELLING = {"AU12": 6, "AU25": 16, "AU26": 16, "AU45": 10, "AU10": 6, "AU18": 4}
UNTOLD = 0.25  # weight of the others
LEAST = 0.2  # quantile of the performer's frames that is a channel's usual least
DOUBT = 0.06  # of a channel: readings of a photo and of a video's frame differ by so much
APART = 0.06  # of channels' distance (0..1, root of squares): over which frames count less
TURN_APART = 60.0  # degrees of a turn that count as one channel's whole range
HELD, LET_GO = (
    0.3,
    0.6,
)  # seconds that a lost face is held, and in which the photo then comes to rest
PATH_FLOOR = 0.004  # IOD, and log of the scale: noise that a head's place has at least
TILT_UNIT = 57.3  # degrees: rolls are smoothed as radians, of which an IOD away makes an IOD
NOISE_FLOOR = 0.004  # of a channel (of 1), and of a degree's share of a channel
DETAIL_FLOOR = 0.0015  # IOD of noise that landmarks have at least
DETAIL_REACH = {"mouth": 0.35, "eyes": 0.2, "brows": 0.2}  # IOD over which one part becomes another
_TURNS = [aus.INDEX[c] for pair in aus.OPPOSITES[:3] for c in pair]
_TILTS = [aus.INDEX[c] for c in aus.OPPOSITES[2]]
_FACE = ("brows", "eyes", "cheeks", "nose", "mouth")
PARTS: dict[str, tuple[str, ...]] = {
    "mouth": ("mouth", "cheeks", "nose"),
    "eyes": ("eyes",),
    "brows": ("brows",),
    "head": ("head",),
    "gaze": ("gaze",),
}


@dataclass(frozen=True)
class RetargetOptions:
    """How a performance drives another face."""

    relative: bool = True  # changes from the performer's reference, added to the photo's
    neutral_frame: int | None = None  # which frame the reference is; None: chosen
    only: tuple[str, ...] = tuple(PARTS)  # parts of the face that follow
    smoothing: float = 1.0  # 0: none
    gains: Mapping[str, float] = field(default_factory=dict)  # by action unit
    head: float = 1.0  # how far the head follows in turns and in the picture, 0..1
    detail: float = 1.0  # how far the face follows what action units do not say, 0..1


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


def reference_weights(
    performance: Performance, frame: int | None = None, source: Array | None = None
) -> Array:
    """(T,) how much each frame says of the performer's reference, sum 1.

    The reference is what changes are counted from: the given frame, or those whose expression is
    nearest to the photo's `source` (K,), so that a photo which smiles is not taken for a calm face.
    Without `source`, those with the least expression. The head's turns count a little.
    """
    weights = np.zeros(len(performance), np.float32)
    if frame is not None:
        if not 0 <= frame < len(performance):
            raise UsageError(f"--neutral-frame {frame}: there are {len(performance)} frames")
        weights[frame] = 1
        return weights
    seen = np.flatnonzero(performance.seen)
    parts = [aus.INDEX[c] for au in aus.TABLE if au.group in _FACE for c in au.channels]
    units = performance.units[seen]
    aim = np.zeros(units.shape[1], np.float32) if source is None else np.clip(source, 0, aus.MOST)
    telling = _gains(TELLING)[parts] * UNTOLD
    away = (telling * np.square(units[:, parts] - aim[parts])).sum(1)
    if source is not None:
        turn = aus.head_degrees(units) - aus.head_degrees(aim)
        away = away + np.square(turn / TURN_APART).sum(1)
    away = np.sqrt(away)
    best = np.argsort(away, kind="stable")[: max(1, round(CALM * len(seen)))]
    weights[seen[best]] = np.exp(-(away[best] - away[best[0]]) / APART)
    return np.asarray(weights / weights.sum(), np.float32)


def reference_of(performance: Performance, weights: Array, source: Array | None = None) -> Array:
    """(K,) signed: the expression of the performer's reference frames.

    Never more than the performer's usual least, unless the photo's `source` (K,) is more: a photo
    cannot do less than nothing, and what the reference had above it would be lost at that end.
    """
    reference = np.asarray(weights @ performance.units, np.float32)
    if source is not None and weights.max() < 1:  # not a frame that was given
        least = np.quantile(performance.units[performance.seen], LEAST, 0)
        parts = [aus.INDEX[c] for au in aus.TABLE if au.group in _FACE for c in au.channels]
        reference[parts] = np.minimum(reference, np.maximum(source + DOUBT, least))[parts]
    return _signed(reference)


def retarget(
    performance: Performance, options: RetargetOptions, source: Array | None = None
) -> Track:
    """What a photo is asked to do, frame by frame; `source` (K,): its expression, if known."""
    units = _smoothed(performance, options.smoothing)
    followed = _followed(options.only)
    gains = _gains(options.gains)
    weights = reference_weights(performance, options.neutral_frame, source)
    head, there = None, presence(performance)[:, None]
    if options.relative:
        keep = np.ones_like(units)
        changed = _signed(units) - reference_of(performance, weights, source)
        add = _unsigned(changed * _gains(STRENGTH)) * gains * there
        if performance.heads is not None and "head" in options.only and options.head > 0:
            head = head_trajectory(performance, weights, options)
            add[:, _TILTS] = 0  # the whole head tilts, not the face within it
        add[:, _TURNS] *= np.float32(options.head)
    else:
        keep = np.repeat(1 - there, units.shape[1], 1)
        add = np.clip(units * gains, 0, aus.MOST) * there
    keep[:, ~followed], add[:, ~followed] = 1, 0
    detail = None
    if options.detail > 0 and options.relative and performance.landmarks is not None:
        detail = detail_of(performance, options, weights)
    return Track(
        keep, add.astype(np.float32), performance.fps, False, performance.name, "performance",
        detail, head,
    )  # fmt: skip


def presence(performance: Performance) -> Array:
    """(T,) 0..1: how far a photo follows. Who is out of sight is held a moment, then let go.

    A face that leaves or is covered must not stay in the grimace that was seen last.
    """
    seen = np.flatnonzero(performance.seen)
    if not len(seen):
        return np.zeros(len(performance), np.float32)
    at = np.arange(len(performance))
    after = np.searchsorted(seen, at).clip(0, len(seen) - 1)
    before = (np.searchsorted(seen, at, "right") - 1).clip(0)
    away = np.minimum(np.abs(seen[after] - at), np.abs(at - seen[before])) / performance.fps
    return np.asarray(1 - smoothstep(HELD, HELD + LET_GO, away), np.float32)


def head_trajectory(
    performance: Performance, weights: Array, options: RetargetOptions
) -> HeadTrajectory:
    """Where the performer's head goes in the picture, from where it is at the start.

    It tilts from where the reference does; a given reference frame is its place too.
    """
    assert performance.heads is not None
    heads = performance.heads.copy()
    heads[:, 3] /= TILT_UNIT
    heads[:, :2] /= np.exp(weights @ heads[:, 2])
    path = smooth(heads, performance.fps, options.smoothing, PATH_FLOOR)
    start = path[weights.argmax() if options.neutral_frame is not None else 0]
    origin = np.r_[start[:3], weights @ path[:, 3]]  # who leans is not put straight by the photo
    follows = presence(performance)[:, None] * np.float32(options.head)
    moved = ((path - origin) * follows).astype(np.float32)
    return HeadTrajectory(moved[:, :2], moved[:, 2], moved[:, 3] * np.float32(TILT_UNIT))


def detail_of(performance: Performance, options: RetargetOptions, weights: Array) -> Detail:
    """What the performer's face does beyond the action units that are read from it.

    Only that: an action unit stops at its end, on a photo that smiles already too. `weights` (T,)
    of the reference frames.
    """
    assert performance.landmarks is not None
    anatomy = load_anatomy()
    pose = fit_pose(performance.landmarks, anatomy.canonical, anatomy.rigid_weights)
    faces = pose.to_face(performance.landmarks[:, :MESH_POINTS])
    flat = faces.reshape(len(faces), -1)
    flat = (flat - weights @ flat).astype(np.float32)
    shift = smooth(flat, performance.fps, options.smoothing, DETAIL_FLOOR).reshape(faces.shape)
    calm = np.clip(weights @ performance.units, 0, 1).astype(np.float32)
    units = np.clip(_smoothed(performance, options.smoothing), 0, 1)
    # Without the gains: they make up for landmarks that lag behind, and these do so too.
    shift += anatomy.displacement(calm) - anatomy.displacement(units)
    weight = detail_weights(options.only) * np.float32(options.detail)
    return Detail(shift * presence(performance)[:, None, None], weight)


def detail_weights(only: Container[str]) -> Array:
    """(468,) how far each vertex belongs to the parts that follow: 1 if all of the face does.

    Parts share the face out by how near they are to a vertex; shares add up to 1 (Shepard, 1968:
    interpolation weighted by inverse distances).
    """
    canonical = load_anatomy().canonical
    near = {part: _near(canonical, REGIONS[part], reach) for part, reach in DETAIL_REACH.items()}
    followed = sum((share for part, share in near.items() if part in only), np.zeros(MESH_POINTS))
    return np.asarray(followed / sum(near.values()), np.float32)


def _near(canonical: Array, rows: tuple[int, ...], reach: float) -> Array:
    """(468,) one at vertices of a region, falling off over `reach` IOD, nowhere zero."""
    distance = np.linalg.norm(canonical[:, None] - canonical[list(rows)][None], axis=-1).min(1)
    return 1 / (1 + (distance / reach) ** 4)


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
    for channel, gain in aus.by_channel(gains).items():
        found[aus.INDEX[channel]] = gain
    return found
