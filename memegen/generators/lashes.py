"""Lashes of a shut eye: a dark line where the lids meet, and single hairs that hang from it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from memegen.arrays import Array
from memegen.curves import smoothstep
from memegen.geometry.box import Box
from memegen.geometry.lids import LidCurves

# Lengths in IOD.
LINE_WIDTH = 0.006  # half of the lash line where it is thickest
LINE_BLUR = 0.004  # standard deviation
HAIR_WIDTH = 0.005  # a lash, or a few that cling together, at the root
HAIR_LENGTH = (0.034, 0.066)  # at the inner corner, and what the outer one adds
HAIRS = 64
HAIR_OPACITY, LINE_OPACITY = 0.8, 0.8
_SUPERSAMPLE = 4


def draw_lashes(eye: LidCurves, box: Box, iod: float, fullness: float, blur: float) -> Array:
    """Opacity (h, w), 0..1, in `box`: a line thicker outward, and single lashes down and outward.

    `eye` at rest; `iod` in pixels; `fullness` 0..1; `blur` the photo's own, standard deviation in
    pixels: a soft photo has soft lashes.
    """
    height, width = box.shape
    size = (width * _SUPERSAMPLE, height * _SUPERSAMPLE)
    line, hairs = Image.new("L", size, 0), Image.new("L", size, 0)
    along = np.linspace(-0.05, 1, 40, dtype=np.float32)
    half = LINE_WIDTH * iod * (0.4 + 0.6 * (1 - along).clip(0, 1) ** 0.6) + 0.5 * blur
    half = half * smoothstep(1.02, 0.75, along) * smoothstep(-0.06, 0.12, along)
    meet = eye.shut(along, np.zeros_like(along))[0]
    above, below = _at(eye, along, meet + half), _at(eye, along, meet - 1.3 * half)
    _polygon(ImageDraw.Draw(line), box, np.concatenate([above, below[::-1]]), 255)
    pen = ImageDraw.Draw(hairs)
    for stroke, strength in _hairs(eye, iod, fullness, blur):
        _polygon(pen, box, stroke, round(255 * strength))
    soft = ImageFilter.GaussianBlur(float(np.hypot(blur, LINE_BLUR * iod)))
    drawn_line = np.asarray(line.reduce(_SUPERSAMPLE).filter(soft), np.float32) / 255
    fine = ImageFilter.GaussianBlur(0.8 * blur)
    drawn_hairs = np.asarray(hairs.reduce(_SUPERSAMPLE).filter(fine), np.float32) / 255
    return np.asarray(1 - (1 - LINE_OPACITY * drawn_line) * (1 - drawn_hairs), np.float32)


def _hairs(eye: LidCurves, iod: float, fullness: float, blur: float) -> list[tuple[Array, float]]:
    """Outlines (N, 2) in pixels of the lashes of the shut eye, and their opacities."""
    k = np.arange(HAIRS)
    # Multiples of irrational numbers spread evenly without repeating.
    jitter, other, third = (k * 0.618034) % 1, (k * 0.754878) % 1, (k * 0.569840) % 1
    root = 0.02 + 0.94 * (k + 2.6 * (jitter - 0.5)).clip(0) / HAIRS
    outward = 1 - root
    length = (HAIR_LENGTH[0] + HAIR_LENGTH[1] * outward**1.3) * (0.3 + 0.8 * other)
    length = length * (0.5 + 0.5 * fullness) * smoothstep(1.0, 0.7, root)
    length = length * iod * smoothstep(-0.08, 0.12, root)
    lean = 0.05 + 1.05 * outward**1.2 + 0.5 * (third - 0.5)
    base = eye.shut(root.astype(np.float32), np.zeros(HAIRS, np.float32))[0]
    opacity = HAIR_OPACITY * (0.45 + 0.55 * fullness) * (0.55 + 0.45 * third)
    t = np.linspace(0, 1, 7)
    bow = 2 * t * (1 - t)
    taper = (HAIR_WIDTH / 2 * iod + 0.4 * blur) * (1 - t) ** 0.8 + 0.06
    found = []
    for i in range(HAIRS):
        step = length[i] / np.hypot(1, lean[i])
        # Quadratic Bezier: down first, off the skin, then curling outward and up.
        middle = np.stack([-(bow * 0.3 + t**2) * lean[i], -(bow * 0.65 + t**2 * 0.85)], 1) * step
        along = np.gradient(middle, axis=0)
        normal = np.stack([along[:, 1], -along[:, 0]], 1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        side = normal * taper[:, None]
        outline = np.concatenate([middle + side, (middle - side)[::-1]])
        at = _at(eye, root[i] + outline[:, 0] / eye.axes.length, base[i] + outline[:, 1])
        found.append((at, float(opacity[i])))
    return found


def _at(eye: LidCurves, along: Array, above: Array) -> Array:
    return np.stack(eye.axes.pixels(along, above), -1)


def _polygon(pen: ImageDraw.ImageDraw, box: Box, outline: Array, value: int) -> None:
    at = (outline - [box.left, box.top]) * _SUPERSAMPLE - 0.5
    pen.polygon([(float(x), float(y)) for x, y in at], fill=value)
