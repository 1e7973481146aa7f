"""Facial action units (FACS): the one table that everything else reads.

An expression is a mapping from an action-unit name to an intensity 0..5 (FACS A..E, the scale of
OpenFace). Networks and geometry use vectors of `len(CHANNELS)` values in 0..1, one channel per
side where an action unit has sides. Left and right are always the *person's*.

Heads and eyes turn by DEGREES_PER_STEP a step of intensity. They are *asked* to turn by 0..5 steps
(30 degrees), like all others; what is *read* of them, from pictures and from tables, goes up to
half a turn (30 steps, a channel of 6), and nothing cuts it off on its way: see MOST.

FACS: Ekman, Friesen & Hager, Facial Action Coding System, 2002. The first 17 rows are those of
OpenFace (Baltrusaitis et al. 2018), in its order, which public GANimation checkpoints share.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from memegen.arrays import Array
from memegen.errors import UsageError, nearest

Expression = dict[str, float]
Sides = Literal["both", "either", "none"]

MAX_INTENSITY = 5.0
DEGREES_PER_STEP = 6.0  # one step (of five) of a head or gaze action unit
MOST_DEGREES = 180.0  # that heads and eyes are turned by, in pictures that are read


@dataclass(frozen=True)
class ActionUnit:
    """One row of the table."""

    number: int
    facs_name: str
    group: str  # brows, eyes, nose, cheeks, mouth, head or gaze
    sides: Sides  # both: plain name moves both sides; either: a side must be named; none: central
    moves: str  # what a viewer sees

    @property
    def name(self) -> str:
        """Canonical name, for example `AU12`."""
        return f"AU{self.number}"

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the vector entries this action unit owns."""
        return (self.name,) if self.sides == "none" else (self.name + "L", self.name + "R")


TABLE: tuple[ActionUnit, ...] = (
    ActionUnit(1, "inner brow raiser", "brows", "both", "inner ends of the brows go up"),
    ActionUnit(2, "outer brow raiser", "brows", "both", "outer ends of the brows go up"),
    ActionUnit(4, "brow lowerer", "brows", "both", "brows go down and together"),
    ActionUnit(5, "upper lid raiser", "eyes", "both", "eyes open wide"),
    ActionUnit(6, "cheek raiser", "cheeks", "both", "cheeks go up, eyes narrow from below"),
    ActionUnit(7, "lid tightener", "eyes", "both", "lids tighten, eyes narrow"),
    ActionUnit(9, "nose wrinkler", "nose", "both", "nose wrinkles, wings go up"),
    ActionUnit(10, "upper lip raiser", "mouth", "both", "upper lip goes up"),
    ActionUnit(12, "lip corner puller", "mouth", "both", "corners of the mouth go up and out"),
    ActionUnit(14, "dimpler", "mouth", "both", "corners of the mouth tighten inwards"),
    ActionUnit(15, "lip corner depressor", "mouth", "both", "corners of the mouth go down"),
    ActionUnit(17, "chin raiser", "mouth", "none", "chin and lower lip push up"),
    ActionUnit(20, "lip stretcher", "mouth", "both", "mouth stretches sideways"),
    ActionUnit(23, "lip tightener", "mouth", "none", "lips tighten and roll in a little"),
    ActionUnit(25, "lips part", "mouth", "none", "lips part"),
    ActionUnit(26, "jaw drop", "mouth", "none", "jaw drops"),
    ActionUnit(45, "blink", "eyes", "both", "eyes close"),
    ActionUnit(16, "lower lip depressor", "mouth", "both", "lower lip goes down, lower teeth show"),
    ActionUnit(18, "lip pucker", "mouth", "none", "lips gather as for a kiss"),
    ActionUnit(22, "lip funneler", "mouth", "none", "lips push forward as in 'oh'"),
    ActionUnit(24, "lip pressor", "mouth", "none", "lips press together"),
    ActionUnit(27, "mouth stretch", "mouth", "none", "mouth opens as wide as it can"),
    ActionUnit(28, "lip suck", "mouth", "none", "lips roll in over the teeth"),
    ActionUnit(30, "jaw sideways", "mouth", "either", "jaw slides to one side"),
    ActionUnit(34, "cheek puff", "cheeks", "both", "cheeks fill with air"),
    ActionUnit(46, "wink", "eyes", "both", "eye closes and the cheek helps"),
    ActionUnit(51, "head turn left", "head", "none", "head turns to the person's left"),
    ActionUnit(52, "head turn right", "head", "none", "head turns to the person's right"),
    ActionUnit(53, "head up", "head", "none", "chin goes up"),
    ActionUnit(54, "head down", "head", "none", "chin goes down"),
    ActionUnit(55, "head tilt left", "head", "none", "head tilts to the person's left shoulder"),
    ActionUnit(56, "head tilt right", "head", "none", "head tilts to the person's right shoulder"),
    ActionUnit(61, "eyes turn left", "gaze", "none", "eyes look to the person's left"),
    ActionUnit(62, "eyes turn right", "gaze", "none", "eyes look to the person's right"),
    ActionUnit(63, "eyes up", "gaze", "none", "eyes look up"),
    ActionUnit(64, "eyes down", "gaze", "none", "eyes look down"),
)

BY_NUMBER = {au.number: au for au in TABLE}
OPENFACE: tuple[ActionUnit, ...] = TABLE[:17]
CHANNELS: tuple[str, ...] = tuple(channel for au in TABLE for channel in au.channels)
INDEX: dict[str, int] = {channel: i for i, channel in enumerate(CHANNELS)}

# Pairs of channels that pull one degree of freedom in opposite directions.
OPPOSITES: tuple[tuple[str, str], ...] = (
    ("AU51", "AU52"), ("AU53", "AU54"), ("AU55", "AU56"),
    ("AU61", "AU62"), ("AU63", "AU64"), ("AU30L", "AU30R"),
)  # fmt: skip

# (K,) the highest value of each channel that is read: heads and eyes turn beyond what is asked.
MOST: Array = np.ones(len(CHANNELS), np.float32)
MOST[[INDEX[channel] for pair in OPPOSITES[:5] for channel in pair]] = MOST_DEGREES / (
    MAX_INTENSITY * DEGREES_PER_STEP
)

_BY_FACS_NAME = {au.facs_name: au for au in TABLE}


@lru_cache(maxsize=256)
def channels_of(name: str) -> tuple[str, ...]:
    """The vector channels a name stands for.

    Accepts `AU12`, `au12`, `12`, `AU12L`, `AU12R`, OpenFace's intensity columns `AU12_r` (both
    sides; also with a leading zero, `AU01_r`) and FACS names, with or without a side
    (`lip corner puller`, `lip corner puller left`).

    Raises UsageError naming the nearest valid name.
    """
    text = " ".join(name.strip().split())
    number = re.fullmatch(r"(?:AU)?0*(\d{1,3})(_r|[LR])?", text, re.IGNORECASE)
    if number and int(number[1]) in BY_NUMBER:
        side = number[2] or ""
        return _with_side(BY_NUMBER[int(number[1])], "" if side.lower() == "_r" else side.upper())
    words = text.casefold().replace("_", " ")
    if words in _BY_FACS_NAME:
        return _with_side(_BY_FACS_NAME[words], "")
    for ending, side in ((" left", "L"), (" right", "R")):
        if words.endswith(ending) and words.removesuffix(ending) in _BY_FACS_NAME:
            return _with_side(_BY_FACS_NAME[words.removesuffix(ending)], side)
    known = [au.name for au in TABLE] + list(CHANNELS) + list(_BY_FACS_NAME)
    raise UsageError(f"unknown action unit '{name}'{nearest(text, known)} (see memegen aus --list)")


def _with_side(au: ActionUnit, side: str) -> tuple[str, ...]:
    if au.sides == "none":
        if side:
            raise UsageError(f"{au.name} ({au.facs_name}) has no sides: write {au.name}")
        return au.channels
    if side:
        return (au.name + side,)
    if au.sides == "either":
        raise UsageError(f"{au.name} ({au.facs_name}) needs a side: {au.name}L or {au.name}R")
    return au.channels


def by_channel(values: Mapping[str, float]) -> dict[str, float]:
    """Values by name to values by channel, in whatever order the names stand.

    A side says more than both: `AU12L` beside `AU12` wins on its side. Raises UsageError for names
    that are unknown, and for two that mean the same (`AU12` and `AU12_r`).
    """
    given: dict[tuple[str, ...], tuple[str, float]] = {}
    for name, value in values.items():
        channels = channels_of(name)
        if channels in given:
            raise UsageError(f"{name.strip()} is given twice")
        given[channels] = (name, value)
    wide_first = sorted(given.items(), key=lambda item: -len(item[0]))
    return {channel: value for channels, (_, value) in wide_first for channel in channels}


def check_intensity(name: str, value: object, lowest: float = 0.0) -> float:
    """`value` as a float, or UsageError if it is no number in `lowest`..5."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{name}: intensity must be a number, not {value!r}")
    if not math.isfinite(value) or not lowest <= value <= MAX_INTENSITY:
        raise UsageError(f"{name}: intensity {value:g} is outside {lowest:g}..{MAX_INTENSITY:g}")
    return float(value)


def parse_expression(text: str) -> Expression:
    """Read `"AU12=4, AU6=2"` (also `AU12:4`) into an expression by channel, intensities 0..5."""
    given: Expression = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, separator, value = part.replace(":", "=").partition("=")
        name = name.strip()
        if not separator:
            raise UsageError(f"'{part}': write NAME=INTENSITY, for example AU12=4")
        try:
            number = float(value)
        except ValueError:
            raise UsageError(f"{name}: '{value.strip()}' is not a number") from None
        _once(given, name, check_intensity(name, number))
    if not given:
        raise UsageError('no action unit given: write for example --au "AU12=4,AU6=2"')
    return by_channel(given)


def parse_factors(text: str, option: str, most: float = 5) -> dict[str, float]:
    """Read `AU12=1.5,AU4=0`, given to an option, into factors 0..most by channel."""
    given: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, value = part.replace(":", "=").partition("=")
        try:
            factor = float(value)
        except ValueError:
            raise UsageError(f"{option} {part}: write NAME=FACTOR, for example AU12=1.5") from None
        if not 0 <= factor <= most:
            raise UsageError(f"{option} {part}: a factor is 0..{most:g}")
        _once(given, name.strip(), factor)
    return by_channel(given)


def _once(given: dict[str, float], name: str, value: float) -> None:
    if name in given:
        raise UsageError(f"{name} is given twice")
    given[name] = value


def to_expression(vector: Array) -> Expression:
    """Channel vector (K,), 0..1, to an expression 0..5 by channel name."""
    return {c: float(v) * MAX_INTENSITY for c, v in zip(CHANNELS, vector, strict=True)}


def to_openface(vectors: Array) -> Array:
    """(..., K) channels 0..1 to (..., 17) intensities 0..5 in OpenFace's order, sides averaged."""
    columns = [[INDEX[c] for c in au.channels] for au in OPENFACE]
    return np.stack([vectors[..., i].mean(-1) for i in columns], -1) * np.float32(MAX_INTENSITY)


def from_openface(intensities: Array) -> Array:
    """(..., 17) intensities 0..5 in OpenFace's order to (..., K) channels 0..1, sides equal."""
    vectors = np.zeros((*intensities.shape[:-1], len(CHANNELS)), np.float32)
    for column, au in enumerate(OPENFACE):
        for channel in au.channels:
            vectors[..., INDEX[channel]] = intensities[..., column] / MAX_INTENSITY
    return vectors


def head_degrees(vectors: Array) -> Array:
    """(..., K) channels to (..., 3) degrees: yaw to the person's left, pitch up, roll left."""
    return _signed(vectors, OPPOSITES[:3])


def gaze_degrees(vectors: Array) -> Array:
    """(..., K) channels to (..., 2) degrees: look to the person's left, look up."""
    return _signed(vectors, OPPOSITES[3:5])


def _signed(vectors: Array, pairs: tuple[tuple[str, str], ...]) -> Array:
    plus = vectors[..., [INDEX[a] for a, _ in pairs]]
    minus = vectors[..., [INDEX[b] for _, b in pairs]]
    return (plus - minus) * np.float32(MAX_INTENSITY * DEGREES_PER_STEP)


def set_head_and_gaze(vectors: Array, head: Array, gaze: Array) -> None:
    """Write head (..., 3) and gaze (..., 2) degrees into (..., K) channels, in place."""
    degrees = np.concatenate([head, gaze], -1) / (MAX_INTENSITY * DEGREES_PER_STEP)
    for column, (plus, minus) in enumerate(OPPOSITES[:5]):
        vectors[..., INDEX[plus]] = np.maximum(degrees[..., column], 0)
        vectors[..., INDEX[minus]] = np.maximum(-degrees[..., column], 0)


def mirror(vectors: Array) -> Array:
    """(..., K) channels of the same face seen in a mirror: sides and directions swapped."""
    return vectors[..., list(MIRROR)]


def _mirror_order() -> list[int]:
    swap = {"AU51": "AU52", "AU55": "AU56", "AU61": "AU62"}
    swap |= {b: a for a, b in swap.items()}
    for au in TABLE:
        if au.sides != "none":
            swap |= {au.name + "L": au.name + "R", au.name + "R": au.name + "L"}
    return [INDEX[swap.get(channel, channel)] for channel in CHANNELS]


MIRROR: tuple[int, ...] = tuple(_mirror_order())
