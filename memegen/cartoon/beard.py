"""Drawn beards."""

from __future__ import annotations

import numpy as np

from memegen.cartoon.canvas import Canvas, smooth
from memegen.cartoon.hair import outline_color
from memegen.cartoon.head import Head
from memegen.cartoon.parts import FaceStyle, HairStyle, Ink


def draw_beard(
    canvas: Canvas,
    head: Head,
    hair: HairStyle,
    face: FaceStyle,
    ink: Ink,
    mouth_y: float,
    drop: float,
) -> None:
    """A beard below the nose; `drop`: how far the chin went down."""
    color = hair.beard_color
    line = outline_color(ink, color)
    chin = face.chin_y + drop

    def put(points: list[list[float]], steps: int = 6) -> None:
        placed = head.on_face(smooth(np.array(points), steps=steps), 0.06)
        canvas.fill(placed, color)
        canvas.stroke(placed, line, ink.width)

    if hair.beard in ("full", "stubble"):
        ring = _around_jaw(face, mouth_y, chin, 0.13 if hair.beard == "full" else -0.01)
        if hair.beard == "stubble":
            with canvas.clipped(head.on_face(smooth(np.array(ring)), 0.0), 0.3) as inner:
                inner.fill(head.on_face(smooth(np.array(ring)), 0.0), color)
        else:
            put(ring)
    if hair.beard == "goatee":
        put(
            [
                [0.22, chin - 0.2],
                [0.2, chin + 0.02],
                [0, chin + 0.16],
                [-0.2, chin + 0.02],
                [-0.22, chin - 0.2],
                [0, chin - 0.16],
            ]
        )
    if hair.beard in ("moustache", "goatee"):
        up = mouth_y - 0.12
        put(
            [
                [0, up - 0.1],
                [0.25, up - 0.08],
                [0.5, up + 0.08],
                [0.25, up + 0.05],
                [0, up + 0.01],
                [-0.25, up + 0.05],
                [-0.5, up + 0.08],
                [-0.25, up - 0.08],
            ]
        )


def _around_jaw(face: FaceStyle, mouth_y: float, chin: float, out: float) -> list[list[float]]:
    """Points of a beard along the jaw, `out` beyond it, that leaves the upper lip free."""
    x = face.temple * 0.97
    return [
        [x, 0.2],
        [face.cheek * 0.98 + out / 2, 0.55],
        [face.jaw + out, chin - 0.3],
        [face.chin + out, chin + 0.3 * out],
        [0, chin + 1.6 * out],
        [-face.chin - out, chin + 0.3 * out],
        [-face.jaw - out, chin - 0.3],
        [-face.cheek * 0.98 - out / 2, 0.55],
        [-x, 0.2],
        [-0.8, 0.5],
        [-0.52, mouth_y - 0.12],
        [0, mouth_y - 0.16],
        [0.52, mouth_y - 0.12],
        [0.8, 0.5],
    ]
