"""What a character wears on its head and before its eyes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memegen.arrays import Array
from memegen.cartoon.canvas import Canvas, Color, ellipse, mix, smooth
from memegen.cartoon.hair import outline_color
from memegen.cartoon.head import Head
from memegen.cartoon.parts import Extras, EyeStyle, HairStyle, Ink

_GLASSES_LIFT = 0.16


def draw_glasses(canvas: Canvas, head: Head, extras: Extras, eye: EyeStyle) -> None:
    """Glasses."""
    if extras.glasses == "none":
        return
    rx = min(max(1.12 * eye.width, 0.27), 0.95 * eye.x)
    ry = rx * (0.95 if extras.glasses == "round" else 0.72)
    ry = max(ry, 0.8 * eye.up)
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    power = 1.0 if extras.glasses == "round" else 0.5
    lens = np.stack(
        [
            rx * np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power,
            ry * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power,
        ],
        -1,
    )
    y = eye.y - 0.1 * eye.up
    color = extras.glasses_color
    for side in (-1, 1):
        placed = head.on_face(lens + np.array([side * eye.x, y]), _GLASSES_LIFT)
        if extras.glasses == "shades":
            canvas.fill(placed, mix(color, (10, 10, 15), 0.7))
        else:
            with canvas.clipped(placed, 0.15) as inner:
                inner.fill(placed, (255, 255, 255))
        canvas.stroke(placed, color, 0.035)
        arm = np.array([[side * (eye.x + rx), y - 0.05], [side * 1.0, y - 0.08]])
        canvas.stroke(head.place(arm, np.array([0.55, 0.0])), color, 0.035, closed=False)
    bridge = np.array([[-(eye.x - rx), y - 0.04], [0, y - 0.08], [eye.x - rx, y - 0.04]])
    canvas.stroke(head.on_face(bridge, _GLASSES_LIFT + 0.03), color, 0.035, closed=False)


def draw_behind(canvas: Canvas, head: Head, extras: Extras, hair: HairStyle, ink: Ink) -> None:
    """What stands behind the hair: ears of animals, horns."""
    line = outline_color(ink, extras.hat_color)
    base = hair.color if extras.hat in ("cat", "bunny") else extras.hat_color
    shapes = _standing(-0.95 - hair.volume)
    if extras.hat not in shapes:
        return
    outer, inner = shapes[extras.hat]
    for side in (-1, 1):
        placed = head.place(smooth(np.array(outer) * [side, 1], steps=5), -0.05)
        canvas.fill(placed, base)
        if inner:
            canvas.fill(
                head.place(smooth(np.array(inner) * [side, 1], steps=5), 0.0),
                mix(base, (255, 170, 180), 0.55),
            )
        canvas.stroke(placed, line, ink.width)


def _standing(top: float) -> dict[str, tuple[list[list[float]], list[list[float]]]]:
    """Outer and inner outlines of what stands on a head's right half, whose hair ends at `top`."""
    return {
        "cat": (
            [
                [0.35, top + 0.1],
                [0.5, top - 0.25],
                [0.85, top - 0.52],
                [0.98, top - 0.1],
                [0.95, top + 0.45],
            ],
            [
                [0.52, top + 0.1],
                [0.6, top - 0.15],
                [0.8, top - 0.35],
                [0.88, top],
                [0.86, top + 0.35],
            ],
        ),
        "bunny": (
            [
                [0.2, top + 0.2],
                [0.18, top - 0.5],
                [0.42, top - 1.15],
                [0.62, top - 0.6],
                [0.55, top + 0.2],
            ],
            [
                [0.3, top + 0.1],
                [0.29, top - 0.45],
                [0.42, top - 0.9],
                [0.52, top - 0.5],
                [0.45, top + 0.1],
            ],
        ),
        "horns": (
            [
                [0.5, top + 0.3],
                [0.62, top - 0.05],
                [0.98, top - 0.42],
                [0.86, top + 0.05],
                [0.78, top + 0.4],
            ],
            [],
        ),
    }


def draw_hat(canvas: Canvas, head: Head, extras: Extras, hair: HairStyle, ink: Ink) -> None:
    """What is worn over the hair."""
    color, second = extras.hat_color, extras.hat_second
    line = outline_color(ink, color)
    v = hair.volume if hair.front != "none" else 0.0

    def put(points: Array, depth: Array | float, fill: Color) -> None:
        placed = head.place(points, depth)
        canvas.fill(placed, fill)
        canvas.stroke(placed, line, ink.width)

    wide = 1.08 + 0.7 * v
    t = np.linspace(0, np.pi, 31)
    if extras.hat in ("cap", "beanie"):
        _put_cap(put, extras, wide, v)
    elif extras.hat == "tophat":
        put(np.array([[-0.72, -0.85], [-0.8, -2.0], [0.8, -2.0], [0.72, -0.85]]), 0.0, color)
        put(np.array([[-0.73, -0.95], [-0.75, -1.2], [0.75, -1.2], [0.73, -0.95]]), 0.05, second)
        put(ellipse((0, -0.84), 1.25, 0.16), 0.1, color)
    elif extras.hat == "band":
        upper = np.stack([-np.cos(t) * wide, -0.4 - np.sin(t) * (0.42 + 0.6 * v)], -1)
        lower = np.stack([np.cos(t) * wide, -0.28 - np.sin(t) * (0.36 + 0.6 * v)], -1)
        put(
            np.concatenate([upper, lower]),
            np.concatenate([0.9 * np.sin(t), 0.9 * np.sin(t)]),
            color,
        )
    elif extras.hat == "bow":
        side = float(np.sign(hair.lean) or 1)
        x, y = side * 0.62, -0.98 - 0.8 * v
        for sign in (-1, 1):
            wing = np.array(
                [
                    [x, y],
                    [x + sign * 0.34, y - 0.26],
                    [x + sign * 0.42, y],
                    [x + sign * 0.34, y + 0.24],
                ]
            )
            put(smooth(wing, steps=5), 0.35, color)
        put(ellipse((x, y), 0.1, 0.11), 0.37, mix(color, second, 0.4))
    elif extras.hat == "headphones":
        arc = np.stack([-np.cos(t) * (wide + 0.04), 0.1 - np.sin(t) * (1.3 + v)], -1)
        inner = np.stack([np.cos(t) * (wide - 0.06), 0.1 - np.sin(t) * (1.19 + v)], -1)
        put(np.concatenate([arc, inner]), 0.0, color)
        for sign in (-1, 1):
            put(ellipse((sign * (wide + 0.0), 0.2), 0.2, 0.34), 0.1, second)


def _put_cap(put: Callable[..., None], extras: Extras, wide: float, v: float) -> None:
    """A cap or a beanie, half `wide`; v: the volume of the hair below."""
    color, second = extras.hat_color, extras.hat_second
    t = np.linspace(0, np.pi, 31)
    brim_y = -0.52
    dome_top = np.stack([-np.cos(t) * wide, brim_y - np.sin(t) * (0.78 + v)], -1)
    low = np.stack([np.cos(t) * wide, brim_y + 0.14 * np.sin(t)], -1)
    put(np.concatenate([dome_top, low]), np.concatenate([np.zeros(31), 0.8 * np.sin(t)]), color)
    if extras.hat == "cap":
        brim = np.stack([np.cos(t) * 0.85, brim_y + 0.06 + 0.26 * np.sin(t)], -1)
        back = np.stack([-np.cos(t) * 0.85, brim_y + 0.02 + 0.05 * np.sin(t)], -1)
        put(
            np.concatenate([brim, back]),
            np.concatenate([0.7 + 0.5 * np.sin(t), 0.75 * np.sin(t)]),
            second,
        )
    else:
        band = np.stack([-np.cos(t) * wide * 1.03, brim_y - 0.18 + 0.14 * np.sin(t)], -1)
        put(
            np.concatenate([band, (low + np.array([0, 0.06])) * [1.03, 1]]),
            np.concatenate([0.8 * np.sin(t), 0.8 * np.sin(t)]),
            second,
        )
        put(ellipse((0, brim_y - 0.86 - v), 0.22, 0.2), 0.0, second)
