"""Random eyes, brows, noses and mouths, by kind of drawing."""

from __future__ import annotations

import numpy as np

from memegen.cartoon import palettes
from memegen.cartoon.canvas import Color, mix
from memegen.cartoon.parts import (
    BrowStyle,
    EyeStyle,
    FaceStyle,
    HairStyle,
    Ink,
    MouthStyle,
    NoseStyle,
)

Rng = np.random.Generator
Genre = str  # a kind of drawing, one of style.GENRES

_EYE_KINDS: dict[Genre, dict[str, float]] = {
    "anime": {"anime": 0.93, "almond": 0.07},
    "chibi": {"anime": 0.7, "moe": 0.3},
    "western": {"oval": 0.62, "dot": 0.28, "almond": 0.1},
    "comic": {"almond": 0.7, "oval": 0.2, "dot": 0.1},
    "flat": {"dot": 0.5, "oval": 0.35, "almond": 0.15},
    "painted": {"almond": 0.6, "anime": 0.4},
}


def _pick(rng: Rng, options: dict[str, float]) -> str:
    weights = np.array(list(options.values()))
    return list(options)[int(rng.choice(len(options), p=weights / weights.sum()))]


def sample_eye(rng: Rng, genre: Genre, face: FaceStyle, hair: HairStyle, ink: Ink) -> EyeStyle:
    """Eyes that suit a kind of drawing."""
    kind = _pick(rng, _EYE_KINDS[genre])
    colors = [(60, 40, 30), (110, 70, 40), (60, 110, 180), (70, 140, 90), (110, 110, 120)]
    iris = (
        palettes.any_color(rng, (0.45, 0.95), (0.45, 0.95))
        if genre in ("anime", "chibi", "painted")
        else palettes.pick(rng, tuple(colors))
    )  # type: ignore[arg-type]
    dark = (
        mix(ink.color, hair.color, float(rng.uniform(0, 0.35)))
        if palettes.lightness(hair.color) < 0.7
        else ink.color
    )
    base = EyeStyle(
        kind,
        0.45,
        face.chin_y * 0.22,
        0.28,
        0.3,
        0.22,
        0.0,
        2.2,
        0.0,
        0.2,
        1.3,
        iris,
        0.5,
        0.6,
        2,
        0.06,
        0.015,
        0,
        False,
        0.75,
        float(rng.uniform(-0.3, 0.25)),
        (252, 252, 252),
        None,
        dark,
    )
    size = {
        "anime": _anime_eye,
        "moe": _moe_eye,
        "oval": _oval_eye,
        "almond": _almond_eye,
        "dot": _dot_eye,
    }
    return size[kind](rng, genre, base, face, ink)


def _with(eye: EyeStyle, **changes: object) -> EyeStyle:
    from dataclasses import replace

    return replace(eye, **changes)  # type: ignore[arg-type]


def _anime_eye(rng: Rng, genre: Genre, eye: EyeStyle, face: FaceStyle, ink: Ink) -> EyeStyle:
    width = rng.uniform(0.27, 0.36)
    up = width * rng.uniform(0.72, 1.25) * (1.1 if genre == "chibi" else 1)
    down = width * rng.uniform(0.55, 0.85)
    iris = width * rng.uniform(0.58, 0.76)
    return _with(
        eye,
        x=float(rng.uniform(0.44, 0.54)),
        y=float(face.chin_y * rng.uniform(0.2, 0.36)),
        width=float(width),
        up=float(up),
        down=float(down),
        tilt=float(rng.normal(0.02, 0.04)),
        upper_power=float(rng.uniform(2.2, 3.4)),
        peak=float(rng.uniform(-0.25, 0.25)),
        iris=float(iris),
        iris_tall=float(rng.uniform(1.05, 1.15) * (up + down) * 0.5 / iris),
        pupil=float(rng.choice([0.0, rng.uniform(0.35, 0.6)], p=[0.1, 0.9])),
        gradient=float(rng.choice([0.0, rng.uniform(0.4, 1)], p=[0.15, 0.85])),
        highlights=int(rng.integers(1, 4)),
        lash=float(rng.uniform(0.05, 0.13)),
        lower_lash=float(rng.choice([0.0, rng.uniform(0.01, 0.03)])),
        flicks=int(rng.choice([0, 0, 1, 2, 3])),
        crease=bool(rng.random() < 0.5),
        closing=float(rng.uniform(0.4, 1.0)),
    )


def _moe_eye(rng: Rng, genre: Genre, eye: EyeStyle, face: FaceStyle, ink: Ink) -> EyeStyle:
    width = rng.uniform(0.17, 0.25)
    up, down = width * rng.uniform(1.1, 1.5), width * rng.uniform(1.0, 1.3)
    return _with(
        eye,
        x=float(rng.uniform(0.42, 0.52)),
        y=float(face.chin_y * rng.uniform(0.3, 0.42)),
        width=float(width),
        up=float(up),
        down=float(down),
        iris=float(width * 1.02),
        iris_tall=float((up + down) * 0.5 / width),
        gradient=float(rng.uniform(0.3, 1)),
        highlights=int(rng.integers(1, 4)),
        lash=float(rng.uniform(0.04, 0.09)),
        lower_lash=0.0,
        closing=float(rng.uniform(0.3, 0.8)),
    )


def _oval_eye(rng: Rng, genre: Genre, eye: EyeStyle, face: FaceStyle, ink: Ink) -> EyeStyle:
    big = rng.random() < 0.5
    width = rng.uniform(0.26, 0.42) if big else rng.uniform(0.15, 0.26)
    up, down = width * rng.uniform(0.85, 1.45), width * rng.uniform(0.8, 1.2)
    iris = width * rng.uniform(0.3, 0.62)
    colored = rng.random() < 0.5
    return _with(
        eye,
        x=float(max(rng.uniform(0.3, 0.48), width * rng.uniform(0.95, 1.2))),
        y=float(face.chin_y * rng.uniform(0.0, 0.22)),
        width=float(width),
        up=float(up),
        down=float(down),
        tilt=float(rng.normal(0, 0.02)),
        upper_power=2.1,
        iris=float(iris),
        iris_tall=float(rng.uniform(1, 1.3)),
        iris_color=eye.iris_color if colored else eye.color,
        pupil=float(rng.uniform(0.4, 0.6)) if colored else 0.0,
        gradient=0.0,
        highlights=int(rng.integers(0, 2)),
        lash=float(max(ink.width, 0.015) * rng.uniform(1, 1.8)),
        lower_lash=float(max(ink.width, 0.01)),
        flicks=int(rng.choice([0, 0, 0, 2, 3])),
        closing=float(rng.uniform(0.1, 0.9)),
        lid=mix(face.skin, face.shade, float(rng.uniform(0.3, 1.0)))
        if rng.random() < 0.45
        else None,
    )


def _almond_eye(rng: Rng, genre: Genre, eye: EyeStyle, face: FaceStyle, ink: Ink) -> EyeStyle:
    width = rng.uniform(0.2, 0.29)
    up, down = width * rng.uniform(0.45, 0.75), width * rng.uniform(0.3, 0.5)
    iris = (up + down) * rng.uniform(0.42, 0.56)
    return _with(
        eye,
        x=float(rng.uniform(0.4, 0.48)),
        y=float(face.chin_y * rng.uniform(0.05, 0.17)),
        width=float(width),
        up=float(up),
        down=float(down),
        tilt=float(rng.normal(0.025, 0.025)),
        upper_power=2.0,
        peak=float(rng.uniform(-0.3, 0.1)),
        iris=float(iris),
        iris_tall=1.0,
        gradient=float(rng.uniform(0, 0.6)),
        highlights=int(rng.integers(0, 3)),
        lash=float(rng.uniform(0.025, 0.07)),
        lower_lash=float(rng.choice([0.0, rng.uniform(0.01, 0.025)])),
        flicks=int(rng.choice([0, 0, 1, 3])),
        crease=bool(rng.random() < 0.6),
        closing=float(rng.uniform(0.5, 0.95)),
        closed_bend=float(rng.uniform(0, 0.2)),
    )


def _dot_eye(rng: Rng, genre: Genre, eye: EyeStyle, face: FaceStyle, ink: Ink) -> EyeStyle:
    width = rng.uniform(0.055, 0.13)
    tall = width * rng.uniform(1.0, 1.9)
    return _with(
        eye,
        x=float(rng.uniform(0.32, 0.48)),
        y=float(face.chin_y * rng.uniform(0.05, 0.3)),
        width=float(width),
        up=float(tall),
        down=float(tall),
        upper_power=2.1,
        peak=0.0,
        highlights=int(rng.integers(0, 2)),
        lash=float(max(ink.width, rng.uniform(0.03, 0.05))),
        closing=0.0,
        closed_bend=float(rng.choice([-0.6, 0.6, 0.0])),
        color=eye.color if rng.random() < 0.8 else mix(eye.iris_color, (0, 0, 0), 0.5),
    )


def sample_brow(rng: Rng, genre: Genre, eye: EyeStyle, hair: HairStyle) -> BrowStyle:
    """Brows above such eyes."""
    kind = (
        "block"
        if genre in ("western", "flat") and rng.random() < 0.6
        else str(rng.choice(["taper", "short", "none"], p=[0.84, 0.1, 0.06]))
    )
    thick = rng.uniform(0.02, 0.05) if genre in ("anime", "chibi") else rng.uniform(0.035, 0.12)
    color = mix(hair.color, (0, 0, 0), float(rng.uniform(0.2, 0.6)))
    if palettes.lightness(color) > 0.75 or rng.random() < 0.3:
        color = eye.color
    return BrowStyle(
        kind,
        float(eye.up + rng.uniform(0.13, 0.26) + thick / 2),
        float(np.clip(eye.width * rng.uniform(0.75, 1.1), 0.13, 0.36)),
        float(thick),
        float(rng.uniform(0, 0.09)),
        float(rng.normal(0, 0.04)),
        color,
        bool(genre == "anime" and rng.random() < 0.5),
    )


def sample_nose(rng: Rng, genre: Genre, face: FaceStyle, eye: EyeStyle) -> NoseStyle:
    """A nose."""
    kinds = {
        "anime": {"dot": 0.3, "line": 0.25, "shadow": 0.25, "none": 0.08, "corner": 0.12},
        "chibi": {"none": 0.5, "dot": 0.4, "line": 0.1},
        "western": {"ball": 0.32, "bulb": 0.28, "corner": 0.15, "button": 0.15, "nostrils": 0.1},
        "comic": {"nostrils": 0.55, "corner": 0.2, "shadow": 0.25},
        "flat": {"none": 0.25, "button": 0.25, "shadow": 0.25, "ball": 0.25},
        "painted": {"shadow": 0.5, "nostrils": 0.3, "dot": 0.2},
    }
    kind = _pick(rng, kinds[genre])
    size = {
        "dot": 0.1,
        "line": 0.13,
        "shadow": 0.15,
        "corner": 0.18,
        "ball": 0.2,
        "bulb": 0.2,
        "button": 0.16,
        "nostrils": 0.2,
        "none": 0.1,
    }[kind]
    low = eye.y + 0.5 * eye.down
    y = low + (face.chin_y - low) * rng.uniform(0.32, 0.42)
    colored: Color | None = (235, 90, 80) if rng.random() < 0.08 else None
    return NoseStyle(kind, float(y), float(size * rng.uniform(0.8, 1.35)), colored)


def sample_mouth(
    rng: Rng, genre: Genre, face: FaceStyle, nose: NoseStyle, line: Color, ink: Ink
) -> MouthStyle:
    """A mouth."""
    width = {
        "anime": rng.uniform(0.14, 0.27),
        "chibi": rng.uniform(0.12, 0.22),
        "western": rng.uniform(0.26, 0.55),
        "comic": rng.uniform(0.26, 0.38),
        "flat": rng.uniform(0.2, 0.42),
        "painted": rng.uniform(0.2, 0.32),
    }[genre]
    lips = genre in ("comic", "painted", "western") and rng.random() < 0.35
    reds: tuple[Color, ...] = ((200, 90, 90), (180, 60, 70), (220, 120, 120), (150, 40, 60))
    below = {"ball": 0.95, "bulb": 1.2}.get(nose.kind, 0.4) * nose.size + 0.07
    share = {
        "anime": 0.76,
        "chibi": 0.74,
        "western": 0.72,
        "comic": 0.75,
        "flat": 0.7,
        "painted": 0.76,
    }[genre]
    return MouthStyle(
        y=float(
            np.clip(
                face.chin_y * share * rng.uniform(0.97, 1.04), nose.y + below, face.chin_y - 0.13
            )
        ),
        width=float(width),
        tall=float(
            width * rng.uniform(1.1, 1.9)
            if genre in ("anime", "chibi")
            else min(width * rng.uniform(0.9, 1.4), 0.5)
        ),
        line=float(max(ink.width * rng.uniform(0.8, 1.3), 0.018)),
        color=line,
        inside=palettes.pick(
            rng, ((110, 30, 40), (150, 50, 60), (70, 15, 25), (190, 80, 85), (40, 10, 15)), 8
        ),
        teeth=str(rng.choice(["none", "upper", "both"], p=[0.35, 0.5, 0.15])),
        tongue=palettes.pick(rng, ((230, 120, 120), (240, 140, 140), (210, 90, 100)), 6)
        if rng.random() < 0.65
        else None,
        lips=palettes.pick(rng, reds, 8) if lips else None,
        lip_size=float(rng.uniform(0.05, 0.11)),
        square=float(rng.uniform(0, 0.8)),
        lower_mark=bool(rng.random() < 0.15),
        bend=float(rng.uniform(0.16, 0.32)),
    )
