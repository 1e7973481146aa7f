"""A drawn face's outline, skin, ears, neck and shoulders."""

from __future__ import annotations

import numpy as np

from memegen.arrays import Array
from memegen.cartoon.canvas import Canvas, Color, ellipse, mix, smooth
from memegen.cartoon.hair import front_shadow, outline_color
from memegen.cartoon.head import Head
from memegen.cartoon.parts import FaceStyle, HairStyle, Ink

BROW_LINE_Y = -0.45  # where a face box begins: between hairline and brows
_SKULL_TOP = -1.08
_MIDDLE_Y = 0.1  # of a face
_ROUND = 0.9  # how far out, to its edge, the front of a face is drawn on the rounded head
_BEHIND_SKIN = 1.6  # width of a line of which the skin covers the inner half, to other lines


def face_outline(face: FaceStyle, drop: float) -> Array:
    """(N, 2) the outline of a face whose chin went down by `drop`."""
    chin = face.chin_y + drop
    side = [
        [0.5, _SKULL_TOP + 0.13],
        [0.86, -0.68],
        [face.temple, -0.2],
        [face.cheek, 0.36 * face.chin_y],
        [face.jaw, 0.78 * face.chin_y + 0.5 * drop],
        [face.chin, chin - 0.045],
    ]
    points = [[0.0, _SKULL_TOP], *side, [0.0, chin], *[[-x, y] for x, y in side[::-1]]]
    return smooth(np.array(points), steps=8)


def outline_depth(points: Array) -> Array:
    """Depths of the outline: the chin is before the temples."""
    return 0.34 * np.clip((points[:, 1] - 0.15) / 0.9, 0, 1) ** 1.5


def draw_body(canvas: Canvas, head: Head, face: FaceStyle, ink: Ink) -> None:
    """Shoulders and neck; the neck's root stays, its tip goes with the head."""
    line = outline_color(ink, face.skin)
    root = face.chin_y + face.neck_length
    s = face.shoulders
    if face.neck > 0:
        side = np.array(
            [
                [face.neck, face.chin_y - 0.35],
                [face.neck, root - 0.08],
                [face.neck * 1.5, root + 0.12],
            ]
        )
        neck = np.concatenate([side, (side * [-1, 1])[::-1]])
        lean = np.array([1.0, 0.25, 0.0, 0.0, 0.25, 1.0])
        placed = head.place(neck, np.array([0.1, 0, 0, 0, 0, 0.1]), lean)
        canvas.fill(placed, face.skin)
        with canvas.clipped(placed) as inner:
            if face.shading != "none":
                under = head.place(
                    face_outline(face, 0.0) * [0.92, 1] + [0.06 * face.light_side, 0.17], 0.3
                )
                inner.fill(under, face.shade)
        canvas.stroke(placed, line, ink.width)
    slope = 0.28
    right = [
        [face.neck * 1.25, root - 0.02],
        [s * 0.6, root + 0.5 * slope],
        [s, root + 1.6 * slope],
        [s * 1.06, root + 1.4],
        [s * 1.1, root + 4],
    ]
    left = [[-x, y] for x, y in right[::-1]]
    depth = {0: 0.14, 1: 0.55, 2: 0.3}[face.collar]
    shape = (
        smooth(np.array(right), closed=False, steps=5),
        smooth(np.array(left), closed=False, steps=5),
    )
    body = np.concatenate([*shape, np.array([[0.0, root + depth]])])
    canvas.fill(body, face.clothes)
    canvas.stroke(body, outline_color(ink, face.clothes), ink.width)
    if face.collar == 2:
        for sign in (-1, 1):
            flap = np.array(
                [
                    [sign * face.neck * 1.2, root - 0.06],
                    [0.0, root + depth],
                    [sign * face.neck * 1.9, root + 0.5],
                ]
            )
            canvas.fill(flap, mix(face.clothes, (255, 255, 255), 0.55))
            canvas.stroke(flap, outline_color(ink, face.clothes), ink.width)


def draw_ears(canvas: Canvas, head: Head, face: FaceStyle, ink: Ink, earrings: bool) -> None:
    """Ears, behind the face's edge."""
    if face.ears == "none":
        return
    line = outline_color(ink, face.skin)
    for side in (-1, 1):
        x, y = side * (face.temple + 0.06), face.ear_y
        if face.ears == "elf":
            points = np.array(
                [
                    [x - side * 0.12, y + 0.2],
                    [x + side * 0.1, y + 0.12],
                    [x + side * 0.5, y - 0.3],
                    [x + side * 0.1, y - 0.2],
                    [x - side * 0.12, y - 0.16],
                ]
            )
            shape = smooth(points, steps=6)
        else:
            shape = ellipse((x, y), 0.15, 0.24)
        placed = head.place(shape, -0.12)
        canvas.fill(placed, face.skin)
        canvas.stroke(placed, line, ink.width)
        inner = np.array(
            [
                [x + side * 0.07, y - 0.1],
                [x + side * 0.01, y - 0.06],
                [x + side * 0.03, y + 0.03],
                [x + side * 0.0, y + 0.09],
            ]
        )
        canvas.line(
            head.place(smooth(inner, False), -0.12),
            mix(face.shade, line, 0.5),
            max(0.6 * ink.width, 0.014),
            0.3,
        )
        if earrings:
            canvas.fill(head.place(ellipse((x, y + 0.29), 0.05, 0.06, 16), -0.12), (240, 205, 80))


def draw_face(
    canvas: Canvas, head: Head, face: FaceStyle, hair: HairStyle, ink: Ink, drop: float
) -> None:
    """Skin, with its shading, and the outline."""
    outline = face_outline(face, drop)
    placed = head.place(outline, outline_depth(outline))
    # A head that is turned is seen as far as its surface comes round, beyond what was its edge.
    middle = np.array([0.0, _MIDDLE_Y])
    round_ = head.on_face((outline - middle) * _ROUND + middle)
    line = outline_color(ink, face.skin)
    for shape in (placed, round_):
        canvas.stroke(shape, line, _BEHIND_SKIN * ink.width)
    for shape in (round_, placed):
        canvas.fill(shape, face.skin)
    with canvas.clipped(placed) as inner:
        _shade(inner, head, face, drop)
        shadow = front_shadow(hair)
        if shadow is not None and face.shading != "none":
            inner.fill(head.on_face(shadow, 0.05), face.shade)
        _marks(inner, head, face, ink)


def _shade(inner: Canvas, head: Head, face: FaceStyle, drop: float) -> None:
    if face.shading == "cel":
        lit = face_outline(face, drop) * [1.0, 1.0] + [0.17 * face.light_side, -0.07]
        with inner.clipped(head.on_face(lit), outside=True) as dark:
            dark.picture[:] = np.round(face.shade)
    elif face.shading == "soft":
        for x, y, rx, ry, share in (
            (-1.0 * face.light_side, 0.5, 0.3, 0.6, 0.7),
            (0.0, face.chin_y + 0.1, 0.5, 0.16, 0.45),
        ):
            inner.glow(head.on_face(np.array([[x, y]]))[0], rx, ry, face.shade, share)
        inner.glow(
            head.on_face(np.array([[0.25 * face.light_side, -0.3]]))[0],
            0.4,
            0.3,
            mix(face.skin, (255, 255, 255), 0.5),
            0.5,
        )
        inner.glow(
            head.on_face(np.array([[0.0, 0.45]]), 0.2)[0],
            0.1,
            0.14,
            mix(face.skin, (255, 255, 255), 0.5),
            0.35,
        )


def _marks(inner: Canvas, head: Head, face: FaceStyle, ink: Ink) -> None:
    pink: Color = mix(face.skin, (250, 90, 90), 0.5)
    for side in (-1, 1):
        center = np.array([[side * 0.56, 0.52 * face.chin_y]])
        if face.blush > 0:
            inner.glow(head.on_face(center)[0], 0.15, 0.09, pink, face.blush)
        if face.blush_lines:
            for i in (-1, 0, 1):
                stroke = center + np.array([[0.06 * i + 0.025, -0.045], [0.06 * i - 0.025, 0.045]])
                inner.line(head.on_face(stroke), mix(pink, (200, 40, 40), 0.4), 0.018)
        if face.freckles:
            for i in range(4):
                spot = center[0] + [0.1 * (i - 1.5), 0.05 * (-1) ** i]
                inner.fill(
                    head.on_face(ellipse((float(spot[0]), float(spot[1])), 0.022, 0.022, 10)),
                    mix(face.skin, (120, 60, 20), 0.5),
                )
