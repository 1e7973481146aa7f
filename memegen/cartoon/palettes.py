"""Colours that drawings have."""

from __future__ import annotations

import colorsys

import numpy as np

from memegen.cartoon.canvas import Color, mix

Rng = np.random.Generator

# Skin as cartoons and anime draw it, light to dark.
SKINS: tuple[Color, ...] = (
    (255, 236, 224),
    (255, 226, 206),
    (253, 216, 186),
    (248, 203, 166),
    (240, 190, 150),
    (226, 170, 124),
    (205, 147, 102),
    (178, 120, 80),
    (152, 98, 66),
    (122, 78, 54),
)
UNREAL_SKINS: tuple[Color, ...] = (
    (255, 217, 60),
    (140, 200, 110),
    (120, 170, 225),
    (180, 180, 188),
    (200, 150, 220),
    (235, 240, 245),
    (240, 120, 110),
)
HAIRS: tuple[Color, ...] = (
    (38, 32, 38),
    (60, 42, 34),
    (96, 62, 40),
    (140, 92, 52),
    (190, 134, 70),
    (232, 196, 112),
    (246, 226, 160),
    (190, 80, 40),
    (150, 50, 40),
    (170, 170, 176),
    (232, 232, 236),
)
ANIME_HAIRS: tuple[Color, ...] = (
    (245, 150, 180),
    (120, 150, 230),
    (90, 190, 200),
    (150, 110, 200),
    (110, 190, 110),
    (220, 60, 70),
    (60, 70, 130),
    (250, 180, 90),
    (190, 230, 240),
)
INKS: tuple[Color, ...] = ((12, 10, 14), (40, 26, 24), (60, 36, 30), (30, 34, 60), (70, 40, 60))


def pick(rng: Rng, colors: tuple[Color, ...], jitter: float = 9.0) -> Color:
    """One of some colours, a little off."""
    color = np.array(colors[int(rng.integers(len(colors)))]) + rng.normal(0, jitter, 3)
    return triple(np.clip(color, 0, 255))


def triple(values: np.ndarray) -> Color:
    """Three values as a colour."""
    return float(values[0]), float(values[1]), float(values[2])


def any_color(rng: Rng, saturation: tuple[float, float], value: tuple[float, float]) -> Color:
    """A colour of any hue."""
    rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
    return triple(255 * np.array(rgb))


def shadow(rng: Rng, color: Color) -> Color:
    """The colour of something in shade: darker, and redder or bluer."""
    toward: Color = [(140, 40, 60), (80, 60, 150), (120, 60, 30), (60, 30, 50)][
        int(rng.integers(4))
    ]  # type: ignore[assignment]
    dark = mix(color, toward, rng.uniform(0.16, 0.3))
    return mix(dark, (0, 0, 0), 0.04)


def lightness(color: Color) -> float:
    """0..1."""
    return (0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2]) / 255
