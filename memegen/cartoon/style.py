"""How a character is drawn: everything of it that its pose does not change."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from memegen.cartoon import palettes
from memegen.cartoon.canvas import Color, mix
from memegen.cartoon.crop import FACE_MIDDLE, FACE_SHARE
from memegen.cartoon.features import Genre, sample_brow, sample_eye, sample_mouth, sample_nose
from memegen.cartoon.outfit import sample_backdrop, sample_extras, sample_finish, sample_hair
from memegen.cartoon.parts import (
    Backdrop,
    BrowStyle,
    Extras,
    EyeStyle,
    FaceStyle,
    Finish,
    HairStyle,
    Ink,
    MouthStyle,
    NoseStyle,
    Placement,
)
from memegen.cartoon.pose import INDEX, POSE

# How often each kind of drawing is made.
GENRES: dict[Genre, float] = {
    "anime": 0.36,
    "chibi": 0.1,
    "western": 0.2,
    "comic": 0.14,
    "flat": 0.1,
    "painted": 0.1,
}


_DARK = 0.45  # lightness of skin on which only black lines are seen


@dataclass(frozen=True)
class CartoonStyle:
    """One character. Equal styles and poses make equal pictures."""

    genre: Genre
    ink: Ink
    face: FaceStyle
    eye: EyeStyle
    brow: BrowStyle
    nose: NoseStyle
    mouth: MouthStyle
    hair: HairStyle
    extras: Extras
    backdrop: Backdrop
    placement: Placement
    finish: Finish
    rest: tuple[float, ...]  # (P,) the pose that it was drawn in, to which others are added


def choose(rng: np.random.Generator, options: dict[str, float]) -> str:
    """One of some words, by their weights."""
    weights = np.array(list(options.values()))
    return list(options)[int(rng.choice(len(options), p=weights / weights.sum()))]


def sample_style(rng: np.random.Generator, genre: Genre | None = None) -> CartoonStyle:
    """A random character."""
    genre = genre or choose(rng, GENRES)
    ink = _sample_ink(rng, genre)
    face = _sample_face(rng, genre)
    if palettes.lightness(face.skin) < _DARK:  # lines must be seen on it
        ink = replace(ink, color=palettes.INKS[0], tint=0.0)
    hair = sample_hair(rng, genre, face)
    line = mix(ink.color, mix(face.skin, (30, 5, 15), 0.7), 0.6 * ink.tint)
    eye = sample_eye(rng, genre, face, hair, ink)
    nose = sample_nose(rng, genre, face, eye)
    style = CartoonStyle(
        genre,
        ink,
        face,
        eye,
        sample_brow(rng, genre, eye, hair),
        nose,
        sample_mouth(rng, genre, face, nose, line, ink),
        hair,
        sample_extras(rng, genre, hair),
        sample_backdrop(rng),
        sample_placement(rng),
        sample_finish(rng),
        _sample_rest(rng),
    )
    return _as_sketch(style, rng) if style.finish.medium == "sketch" else style


def sample_placement(rng: np.random.Generator) -> Placement:
    """Where faces lie in the crops of `crop.py`, and how far they may lie beside that."""
    return Placement(
        float(np.clip(rng.normal(FACE_SHARE, 0.055), 0.45, 0.75)),
        float(np.clip(rng.normal(FACE_MIDDLE[0], 0.025), 0.42, 0.58)),
        float(np.clip(rng.normal(FACE_MIDDLE[1], 0.03), 0.48, 0.68)),
        float(np.clip(rng.normal(0, 0.06), -0.25, 0.25)),
        float(np.clip(rng.normal(1, 0.06), 0.85, 1.2)),
    )


def _sample_ink(rng: np.random.Generator, genre: Genre) -> Ink:
    width = {
        "anime": rng.uniform(0.012, 0.035),
        "chibi": rng.uniform(0.018, 0.05),
        "western": rng.uniform(0.025, 0.085),
        "comic": rng.uniform(0.02, 0.06),
        "flat": rng.choice([0.0, 0.0, rng.uniform(0.02, 0.05)]),
        "painted": rng.choice([0.0, rng.uniform(0.008, 0.02)]),
    }[genre]
    tint = float(rng.choice([0.0, rng.uniform(0.3, 1.0)], p=[0.55, 0.45]))
    if genre == "western" and rng.random() < 0.1:
        width = 0.0
    return Ink(
        float(width), palettes.pick(rng, palettes.INKS, 5), tint, float(rng.uniform(0.1, 0.6))
    )


def _sample_face(rng: np.random.Generator, genre: Genre) -> FaceStyle:
    unreal = rng.random() < (0.22 if genre in ("western", "flat") else 0.08)
    # Most drawn anime characters are pale.
    skins = (
        palettes.SKINS[:4] if genre in ("anime", "chibi") and rng.random() < 0.6 else palettes.SKINS
    )
    skin = palettes.pick(rng, palettes.UNREAL_SKINS if unreal else skins, 5)
    wide = genre == "chibi"
    chin_y = {
        "anime": rng.uniform(1.08, 1.28),
        "chibi": rng.uniform(0.84, 1.0),
        "western": rng.uniform(0.95, 1.5),
        "comic": rng.uniform(1.2, 1.45),
        "flat": rng.uniform(1.05, 1.3),
        "painted": rng.uniform(1.12, 1.35),
    }[genre]
    jaw = {
        "anime": rng.uniform(0.5, 0.66),
        "chibi": rng.uniform(0.68, 0.84),
        "western": rng.uniform(0.5, 1.0),
        "comic": rng.uniform(0.62, 0.84),
        "flat": rng.uniform(0.66, 0.9),
        "painted": rng.uniform(0.58, 0.78),
    }[genre]
    return FaceStyle(
        skin=skin,
        jaw=float(jaw),
        chin=float(jaw * (rng.uniform(0.2, 0.36) if genre == "anime" else rng.uniform(0.35, 0.62))),
        chin_y=float(chin_y),
        cheek=float(rng.uniform(0.86, 1.0) + (0.06 if wide else 0)),
        temple=float(rng.uniform(0.92, 0.99)),
        neck=float(
            rng.uniform(0.22, 0.34) if genre in ("anime", "chibi") else rng.uniform(0.22, 0.55)
        ),
        neck_length=float(rng.uniform(0.12, 0.4)),
        shoulders=float(
            rng.uniform(0.9, 1.5) if genre in ("anime", "chibi") else rng.uniform(1.2, 2.1)
        ),
        clothes=palettes.any_color(rng, (0.1, 0.8), (0.2, 0.95)),
        collar=int(rng.integers(3)),
        ears=str(rng.choice(["round", "none", "elf"], p=[0.72, 0.22, 0.06])),
        ear_y=float(rng.uniform(0.1, 0.3)),
        blush=float(rng.choice([0.0, rng.uniform(0.2, 0.6)])),
        blush_lines=bool(genre in ("anime", "chibi") and rng.random() < 0.25),
        freckles=bool(rng.random() < 0.07),
        shading={"flat": "none", "painted": "soft"}.get(genre)
        or str(rng.choice(["cel", "soft", "none"], p=[0.55, 0.2, 0.25])),
        shade=palettes.shadow(rng, skin),
        light_side=float(rng.choice([-1, 1])),
    )


def _sample_rest(rng: np.random.Generator) -> tuple[float, ...]:
    """Many characters look straight ahead, with open eyes; many do not quite."""
    rest = np.zeros(len(POSE))
    if rng.random() < 0.6:
        rest[INDEX["yaw"]] = np.clip(rng.normal(0, 0.8), -1.6, 1.6)
        rest[INDEX["pitch"]] = np.clip(rng.normal(0, 0.25), -0.6, 0.6)
        rest[INDEX["roll"]] = np.clip(rng.normal(0, 0.25), -0.6, 0.6)
    rest[INDEX["smile"]] = np.clip(rng.normal(0.28, 0.28), -0.5, 0.8)
    if rng.random() < 0.2:
        rest[INDEX["left_eye"]] = rest[INDEX["right_eye"]] = rng.uniform(0.05, 0.3)
    if rng.random() < 0.22:
        rest[INDEX["mouth"]] = rng.uniform(0.05, 0.5)
    if rng.random() < 0.25:
        rest[INDEX["gaze_x"]], rest[INDEX["gaze_y"]] = rng.normal(0, 0.3, 2)
    if rng.random() < 0.25:
        rest[INDEX["brow_left"]] = rest[INDEX["brow_right"]] = rng.normal(0, 0.3)
        rest[INDEX["frown"]] = max(0.0, rng.normal(0, 0.3))
    return tuple(float(v) for v in rest)


def _as_sketch(style: CartoonStyle, rng: np.random.Generator) -> CartoonStyle:
    """The same character as lines on paper."""
    paper = style.finish.paper
    grey = float(rng.uniform(10, 90))
    pen: Color = (grey, grey, grey + float(rng.uniform(0, 20)))
    filled = rng.random() < 0.35  # hair may be inked
    hair: Color = pen if filled else paper

    def faint(share: float) -> Color:
        return mix(paper, pen, share)

    ink = replace(style.ink, width=max(style.ink.width, 0.014), color=pen, tint=0.0)
    return replace(
        style,
        ink=ink,
        face=replace(
            style.face,
            skin=paper,
            shade=faint(0.25),
            clothes=paper,
            blush=0.0,
            shading="cel" if rng.random() < 0.3 else "none",
        ),
        eye=replace(
            style.eye,
            white=paper,
            color=pen,
            iris_color=faint(float(rng.uniform(0.2, 0.9))),
            lid=paper if style.eye.lid else None,
        ),
        brow=replace(style.brow, color=pen),
        nose=replace(style.nose, color=paper),
        mouth=replace(
            style.mouth,
            color=pen,
            inside=faint(float(rng.choice([0.0, 0.5, 1.0]))),
            tongue=faint(0.2) if style.mouth.tongue else None,
            lips=faint(0.2) if style.mouth.lips else None,
        ),
        hair=replace(
            style.hair,
            color=hair,
            shade=paper if filled else pen,
            light=paper,
            beard_color=hair,
            cel=0.0,
            shine="none" if not filled else style.hair.shine,
            marks=max(style.hair.marks, 4),
        ),
        extras=replace(
            style.extras, glasses_color=pen, hat_color=paper, hat_second=faint(0.4), earrings=False
        ),
        backdrop=replace(style.backdrop, kind="flat", first=paper, second=faint(0.1)),
    )
