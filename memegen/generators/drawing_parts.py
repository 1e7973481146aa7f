"""Where a drawing has its eyes, brows and mouth: there, where a network would draw others.

The morpher of the talking head is asked for one change at a time. What it would wipe away is the
part as it is drawn, whatever the style; how it paints the new one does not matter here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from memegen.arrays import Array

SIDES = ("left", "right")  # the person's
Changed = Callable[[Mapping[str, float]], Array]
"""What numbers of a pose change of a picture: (S, S, 3) float32 levels, new minus old."""

_LEAST_CHANGE = 24  # levels of 255: less is doubt
_LEAST_PIXELS = 6  # of a part, at the network's resolution
_JOIN_PX = 3  # pieces of a part may be as far from one another, of 256
# Where parts are looked for, as centres and spreads (x, y). Of the crop's side:
_EYE = ((0.5, 0.13), 0.48, (0.10, 0.10))  # middle and distance from it, height, spreads
# Of the distance between the eyes:
_BROW = (0.45, (0.35, 0.25))  # above the eye
_MOUTH = (0.90, (0.35, 0.30))  # below the middle of the eyes
_LOWEST_MOUTH = 0.76  # of the crop's side: further down are chins and collars
_CHIN = (0.28, 1.10, 0.20)  # from and to below the mouth, to the sides
_USUAL_CHIN = 0.55
_STRAY = 0.18  # height that thickness and bend of a line do not explain: it is more than a mouth
_LEAST_EYES = 0.12  # of the crop's side: less apart, they are not both eyes


@dataclass(frozen=True)
class Part:
    """A box around a part: centre and half sizes, in shares of the crop's side."""

    x: float
    y: float
    half_width: float
    half_height: float


@dataclass(frozen=True)
class Mouth(Part):
    """Also in shares: how far corners are above the middle, thickness, the chin's height."""

    bend: float
    thickness: float
    chin: float


@dataclass(frozen=True)
class Parts:
    """What was found; `unit` is the distance between the eyes as a share of the crop's side."""

    unit: float
    eyes: dict[str, Part]
    brows: dict[str, Part]
    mouth: Mouth | None


NO_PARTS = Parts(1.0, {}, {}, None)


def find_parts(changed: Changed) -> Parts:
    """Eyes, brows and mouth: those that are in doubt are left out, all of them without two eyes."""
    eyes: dict[str, Part] = {}
    for side, sign in zip(SIDES, (1, -1), strict=True):
        mask = _strength(changed({f"{side}_eye": 1.0}))
        (middle, off), height, spread = _EYE
        found = _best(mask, (middle + sign * off, height), spread)
        if found is not None:
            eyes[side] = _box(found)
    if len(eyes) < 2:
        return NO_PARTS
    left, right = eyes["left"], eyes["right"]
    unit = left.x - right.x
    if unit < _LEAST_EYES or abs(left.y - right.y) > unit / 2:
        return NO_PARTS
    brows: dict[str, Part] = {}
    for side, eye in eyes.items():
        brow = _brow(changed, side, eye, unit)
        if brow is not None:
            brows[side] = brow
    return Parts(unit, eyes, brows, _mouth(changed, eyes, unit))


def _brow(changed: Changed, side: str, eye: Part, unit: float) -> Part | None:
    raised, lowered = (_strength(changed({f"brow_{side}": value})) for value in (1.0, -1.0))
    up, spread = _BROW
    mask = np.minimum(raised, lowered)  # wiped away by both
    found = _best(mask, (eye.x, eye.y - up * unit), (spread[0] * unit, spread[1] * unit))
    box = None if found is None else _box(found)
    return box if box is not None and box.y < eye.y - 0.5 * eye.half_height else None


def _mouth(changed: Changed, eyes: dict[str, Part], unit: float) -> Mouth | None:
    opened = _strength(changed({"mouth": 1.0}))
    mask = np.maximum(
        np.minimum(_strength(changed({"smile": 1.0})), _strength(changed({"smile": -1.0}))),
        np.minimum(_strength(changed({"smile": 1.0})), opened),
    )
    left, right = eyes["left"], eyes["right"]
    down, spread = _MOUTH
    tilt = (left.y - right.y) / unit  # the mouth lies across the line of the eyes
    x = (left.x + right.x) / 2 - tilt * down * unit
    y = (left.y + right.y) / 2 + down * unit
    found = _best(mask, (x, y), (spread[0] * unit, spread[1] * unit))
    if found is None:
        return None
    box, bend, thickness = _box(found), _bend(found), _thickness(found)
    if box.y > _LOWEST_MOUTH or 2 * box.half_height - thickness - abs(bend) > _STRAY * unit:
        return None
    chin = _chin(opened, box, unit)
    return Mouth(box.x, box.y, box.half_width, box.half_height, bend, thickness, chin)


def _thickness(mask: Array) -> float:
    """Of a mask (S, S), the median extent of its columns, as a share of S."""
    columns = (mask > 0).T
    extents = [np.ptp(np.flatnonzero(column)) + 1 for column in columns if column.any()]
    return float(np.median(extents)) / len(mask)


def _bend(mask: Array) -> float:
    """Of a mask (S, S), how far its ends are above its middle, as a share of S."""
    rows, columns = np.nonzero(mask)
    if np.ptp(columns) < 4:
        return 0.0
    middle, half = (columns.max() + columns.min()) / 2, np.ptp(columns) / 2
    u = (columns - middle) / half
    bend = -np.polyfit(u, rows, 2, w=mask[rows, columns])[0]
    return float(np.clip(bend, -half, half)) / len(mask)


def _chin(opened: Array, mouth: Part, unit: float) -> float:
    """The height of the chin: what opening the mouth changes below it."""
    side = len(opened)
    first, last, aside = (part * unit * side for part in _CHIN)
    y, x = mouth.y * side, mouth.x * side
    rows = slice(round(y + first), round(y + last))
    line = opened[rows, max(0, round(x - aside)) : round(x + aside)].mean(-1)
    # A tongue is drawn there too, but chins are drawn below it: the last strong row counts.
    strong = np.flatnonzero(line > max(_LEAST_CHANGE, 0.5 * line.max(initial=0)))
    if not len(strong):
        return mouth.y + _USUAL_CHIN * unit
    return (y + first + float(strong[-1])) / side


def _strength(change: Array) -> Array:
    """(S, S) float32 levels of the channel that changes most."""
    return np.abs(change).max(-1).astype(np.float32)


def _best(
    strength: Array, centre: tuple[float, float], spread: tuple[float, float]
) -> Array | None:
    """(S, S) strengths of the one thing that changes most near a place; others are 0."""
    side = len(strength)
    mask = (strength > _LEAST_CHANGE).astype(np.uint8)
    reach = max(1, round(_JOIN_PX * side / 256))
    joined = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
    count, labels = cv2.connectedComponents(joined)
    at = (np.arange(side, dtype=np.float32) + 0.5) / side
    near = np.outer(
        np.exp(-0.5 * ((at - centre[1]) / spread[1]) ** 2),
        np.exp(-0.5 * ((at - centre[0]) / spread[0]) ** 2),
    )
    weights = np.bincount(labels.ravel(), (near * strength * mask).ravel(), count)
    best = int(np.argmax(weights[1:])) + 1 if count > 1 else 0
    found = np.where((labels == best) & (mask > 0), strength, 0).astype(np.float32)
    enough = best and np.count_nonzero(found) >= _LEAST_PIXELS * (side / 256) ** 2
    return found if enough else None


def _box(mask: Array) -> Part:
    rows, columns = np.nonzero(mask)
    (x0, x1), (y0, y1) = (np.percentile(at, (1, 99)) for at in (columns, rows))
    side = len(mask)
    return Part(
        float(x0 + x1 + 1) / 2 / side, float(y0 + y1 + 1) / 2 / side,
        float(x1 - x0 + 1) / 2 / side, float(y1 - y0 + 1) / 2 / side,
    )  # fmt: skip
