"""Random hair, things worn, backgrounds and media."""

from __future__ import annotations

import numpy as np

from memegen.cartoon import palettes
from memegen.cartoon.canvas import Color, mix
from memegen.cartoon.features import Genre
from memegen.cartoon.parts import Backdrop, Extras, FaceStyle, Finish, HairStyle

Rng = np.random.Generator


def _pick(rng: Rng, options: dict[str, float]) -> str:
    weights = np.array(list(options.values()))
    return list(options)[int(rng.choice(len(options), p=weights / weights.sum()))]


def sample_hair(rng: Rng, genre: Genre, face: FaceStyle) -> HairStyle:
    """Hair and a beard."""
    anime = genre in ("anime", "chibi")
    color = palettes.pick(
        rng, palettes.ANIME_HAIRS if anime and rng.random() < 0.45 else palettes.HAIRS, 10
    )
    front, back = _sample_cut(rng, genre)
    mature = genre in ("western", "comic", "flat", "painted") and back in ("none", "cap", "afro")
    beard = (
        _pick(rng, {"full": 0.4, "goatee": 0.15, "moustache": 0.25, "stubble": 0.2})
        if mature and rng.random() < 0.4
        else "none"
    )
    locks = (
        float(rng.uniform(0.5, 1.7))
        if front in ("zigzag", "bangs", "part", "sweep")
        and back != "none"
        and rng.random() < (0.75 if anime else 0.3)
        else 0.0
    )
    return HairStyle(
        front,
        back,
        color,
        palettes.shadow(rng, color),
        mix(color, (255, 255, 255), float(rng.uniform(0.3, 0.6))),
        float(
            rng.uniform(0.08, 0.3)
            if front not in ("short", "receding")
            else rng.uniform(0.02, 0.12)
        ),
        float(
            rng.uniform(-0.4, -0.02) if front in ("zigzag", "bangs") else rng.uniform(-0.6, -0.3)
        ),
        int(rng.integers(3, 8)),
        float(rng.uniform(-1, 1)),
        float(rng.uniform(-0.45, 0.45)),
        int(rng.integers(1 << 30)),
        locks,
        float(rng.uniform(0.2, 0.4)),
        _pick(rng, {"none": 0.5, "ring": 0.3, "spots": 0.2}) if genre != "flat" else "none",
        face.light_side if face.shading == "cel" and rng.random() < 0.75 else 0.0,
        int(rng.integers(0, 8)) if genre != "flat" else 0,
        bool(anime and rng.random() < 0.2),
        int(rng.integers(7, 13))
        if rng.random() < 0.5 and front in ("zigzag", "part", "sweep")
        else 0,
        float(rng.uniform(0.05, 0.2)),
        beard,
        mix(color, (0, 0, 0), float(rng.uniform(0, 0.25))),
    )


def _sample_cut(rng: Rng, genre: Genre) -> tuple[str, str]:
    """Kinds of hair in front and behind that go together."""
    anime = genre in ("anime", "chibi")
    if anime or genre == "painted":
        front = _pick(
            rng, {"zigzag": 0.55, "bangs": 0.12, "part": 0.18, "sweep": 0.13, "none": 0.02}
        )
    else:
        front = _pick(
            rng,
            {
                "short": 0.24,
                "part": 0.16,
                "sweep": 0.17,
                "curly": 0.12,
                "zigzag": 0.1,
                "bangs": 0.07,
                "receding": 0.07,
                "none": 0.07,
            },
        )
    back = _pick(
        rng,
        {
            "cap": 0.25,
            "bob": 0.2,
            "long": 0.28,
            "twin": 0.07,
            "pony": 0.08,
            "spiky": 0.09,
            "bun": 0.03,
        },
    )
    if front in ("short", "receding", "none"):
        back = "none" if rng.random() < 0.75 else back
    if front == "curly":
        back = _pick(rng, {"afro": 0.6, "cap": 0.4})
    if front == "none" and rng.random() < 0.7:
        back = "none"
    return front, back


def sample_extras(rng: Rng, genre: Genre, hair: HairStyle) -> Extras:
    """What is worn; mostly nothing."""
    anime = genre in ("anime", "chibi")
    glasses = _pick(rng, {"none": 0.86, "round": 0.07, "square": 0.06, "shades": 0.01})
    hats = (
        {
            "none": 0.74,
            "bow": 0.06,
            "cat": 0.06,
            "band": 0.05,
            "headphones": 0.03,
            "horns": 0.02,
            "bunny": 0.02,
            "beanie": 0.02,
        }
        if anime
        else {
            "none": 0.78,
            "cap": 0.06,
            "beanie": 0.06,
            "band": 0.04,
            "tophat": 0.03,
            "horns": 0.02,
            "headphones": 0.01,
        }
    )
    return Extras(
        glasses,
        palettes.any_color(rng, (0.2, 0.9), (0.1, 0.6)),
        _pick(rng, hats),
        palettes.any_color(rng, (0.3, 0.9), (0.3, 0.95)),
        palettes.any_color(rng, (0.1, 0.8), (0.5, 1.0)),
        bool(rng.random() < 0.1),
    )


def sample_backdrop(rng: Rng) -> Backdrop:
    """A background."""
    kind = _pick(
        rng,
        {
            "flat": 0.36,
            "gradient": 0.2,
            "stripes": 0.08,
            "dots": 0.07,
            "rays": 0.05,
            "noise": 0.08,
            "scene": 0.13,
            "checks": 0.03,
        },
    )
    first = palettes.any_color(rng, (0.05, 0.7), (0.4, 1.0))
    if rng.random() < 0.3:
        first = (255.0, 255.0, 255.0)
    near = mix(
        first, palettes.any_color(rng, (0.1, 0.8), (0.3, 1.0)), float(rng.uniform(0.15, 0.8))
    )
    return Backdrop(
        kind,
        first,
        near,
        float(rng.uniform(0.06, 0.25)),
        float(rng.uniform(0, np.pi)),
        int(rng.integers(1 << 30)),
    )


def sample_finish(rng: Rng) -> Finish:
    """A medium and its flaws; many pictures have none."""
    medium = _pick(rng, {"color": 0.87, "grey": 0.04, "sketch": 0.09})
    level = float(rng.uniform(225, 255))
    paper: Color = (level, level - float(rng.uniform(0, 6)), level - float(rng.uniform(0, 18)))
    flawed = rng.random(4) < (0.25, 0.2, 0.12, 0.35)
    gain = 1 + rng.normal(0, 0.04, 3) if rng.random() < 0.5 else np.ones(3)
    return Finish(
        medium,
        paper,
        float(rng.uniform(0.3, 0.9)) if flawed[0] else 0.0,
        float(rng.uniform(0.5, 3)) if flawed[1] else 0.0,
        float(rng.uniform(1, 4)) if flawed[2] else 0.0,
        int(rng.integers(70, 96)) if flawed[3] else 0,
        (float(gain[0]), float(gain[1]), float(gain[2])),
        int(rng.integers(1 << 30)),
    )
