"""Drawn mouths, noses and beards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array
from memegen.cartoon.canvas import Canvas, Color, ellipse, mix, smooth
from memegen.cartoon.head import Head
from memegen.cartoon.parts import FaceStyle, Ink, MouthStyle, NoseStyle

_STEPS = 25
_PUCKERED = 0.16  # how far puckered lips part, to the mouth's half width
JAW_DROP = 0.32  # of a mouth's opening that the chin goes down by


@dataclass(frozen=True)
class MouthPose:
    """What a mouth does."""

    open: float
    smile: float
    pucker: float


@dataclass(frozen=True)
class MouthShape:
    """Lip lines (N, 2), in face units."""

    upper: Array
    lower: Array
    height: float


def shape_of(mouth: MouthStyle, pose: MouthPose) -> MouthShape:
    """Where the lip lines are."""
    u = np.linspace(-1, 1, _STEPS)
    height = pose.open * mouth.tall
    narrow = (1 - 0.58 * pose.pucker) * (1 - 0.18 * pose.open)
    half = mouth.width * narrow * (1 + 0.16 * pose.smile)
    bend = mouth.bend * pose.smile * (1 - 0.7 * pose.pucker) * (0.45 + mouth.width)
    middle = -bend * (0.75 * u**2 + 0.25 * u**4 - 0.45)
    round_ = np.sqrt(np.maximum(1 - u**2, 0))
    boxy = np.maximum(1 - np.abs(u) ** 4, 0) ** 0.5
    under = round_ + (boxy - round_) * mouth.square
    part = _PUCKERED * pose.pucker * mouth.width * round_
    # A smile opens downwards, a sad mouth upwards.
    above = np.clip(0.32 - 0.3 * pose.smile, 0.02, 0.75)
    upper = middle - height * above * (0.6 * round_ + 0.4 * boxy) - part
    lower = middle + height * (1 - above) * under + part
    x = u * half
    y = mouth.y + 0.12 * height
    return MouthShape(
        np.stack([x, y + upper], -1), np.stack([x, y + lower], -1), height + 2 * float(part.max())
    )


def draw_mouth(canvas: Canvas, head: Head, mouth: MouthStyle, pose: MouthPose) -> None:
    """The mouth, with what is in it."""
    shape = shape_of(mouth, pose)
    lift = 0.08
    upper, lower = head.on_face(shape.upper, lift), head.on_face(shape.lower, lift)
    opening = np.concatenate([upper, lower[::-1]])
    if mouth.lips is not None:
        _draw_lips(canvas, head, mouth, shape, lift)
    if shape.height > 1e-6:
        canvas.fill(opening, mouth.inside)
        with canvas.clipped(opening) as inner:
            _fill_mouth(inner, head, mouth, shape, lift)
    width = mouth.line
    canvas.line(upper, mouth.color, width, 0.45)
    canvas.line(lower, mouth.color, width * (0.75 if shape.height > 0.02 else 1), 0.45)
    if mouth.lower_mark:
        low = shape.lower[_STEPS // 2]
        mark = np.array([[-0.25, 0.085], [0, 0.1], [0.25, 0.085]]) * [mouth.width, 1] + [0, low[1]]
        canvas.line(head.on_face(mark, lift), mouth.color, 0.6 * width, 0.2)


def _fill_mouth(
    inner: Canvas, head: Head, mouth: MouthStyle, shape: MouthShape, lift: float
) -> None:
    gape = shape.lower - shape.upper
    middle = float(gape[_STEPS // 2, 1])
    if mouth.tongue is not None and middle > 0:
        low = shape.lower[_STEPS // 2]
        half = float(shape.lower[-1, 0])
        tongue = ellipse((0, float(low[1])), 0.62 * half, 0.42 * middle)
        inner.fill(head.on_face(tongue, lift), mouth.tongue)
    teeth = min(0.3 * mouth.tall, 0.34 * middle)
    if mouth.teeth in ("upper", "both"):
        edge = shape.upper + np.array([0, teeth])
        row = np.concatenate([shape.upper - [0, 0.1], edge[::-1]])
        inner.fill(head.on_face(row, lift), (250, 248, 242))
    if mouth.teeth == "both":
        edge = shape.lower - np.array([0, 0.7 * teeth])
        row = np.concatenate([shape.lower + np.array([0, 0.1]), edge[::-1]])
        inner.fill(head.on_face(row, lift), (238, 234, 228))


def _draw_lips(
    canvas: Canvas, head: Head, mouth: MouthStyle, shape: MouthShape, lift: float
) -> None:
    if mouth.lips is None:
        return
    u = np.linspace(-1, 1, _STEPS)
    bow = (1 - u**2) * (1 - 0.35 * np.exp(-((u / 0.22) ** 2)))
    top = shape.upper - np.stack([np.zeros_like(u), mouth.lip_size * 0.8 * bow], -1)
    bottom = shape.lower + np.stack([np.zeros_like(u), mouth.lip_size * (1 - u**2) ** 0.8], -1)
    canvas.fill(
        head.on_face(np.concatenate([top, shape.upper[::-1]]), lift),
        mix(mouth.lips, (40, 0, 20), 0.15),
    )
    canvas.fill(head.on_face(np.concatenate([shape.lower, bottom[::-1]]), lift), mouth.lips)
    shine = ellipse(
        (0, float(bottom[_STEPS // 2, 1]) - 0.5 * mouth.lip_size),
        0.25 * mouth.width,
        0.14 * mouth.lip_size,
    )
    canvas.fill(head.on_face(shine, lift), mix(mouth.lips, (255, 255, 255), 0.45))


def draw_nose(
    canvas: Canvas, head: Head, nose: NoseStyle, face: FaceStyle, ink: Ink, line: Color
) -> None:
    """The nose."""
    s, y = nose.size, nose.y
    width = max(ink.width, 0.014)
    dark = mix(face.skin, face.shade, 1.0)
    side = -face.light_side

    def at(points: list[list[float]] | Array, lift: float = 0.22) -> Array:
        return head.on_face(np.asarray(points, float), lift)

    if nose.kind == "dot":
        canvas.fill(at(ellipse((0, y), 0.28 * s, 0.2 * s)), mix(dark, line, 0.4))
    elif nose.kind == "line":
        points = smooth(
            np.array(
                [
                    [0.1 * s * side, y - s],
                    [0.35 * s * side, y - 0.1 * s],
                    [0.1 * s * side, y + 0.1 * s],
                ]
            ),
            False,
        )
        canvas.line(at(points), line, width, 0.2)
    elif nose.kind == "corner":
        points = np.array(
            [[0.1 * side * s, y - 0.9 * s], [0.4 * side * s, y], [-0.1 * side * s, y + 0.05 * s]]
        )
        canvas.line(at(points), line, width)
    elif nose.kind == "shadow":
        points = smooth(
            np.array([[0.0, y - 0.9 * s], [0.42 * side * s, y], [-0.25 * side * s, y + 0.08 * s]]),
            steps=4,
        )
        canvas.fill(at(points), dark)
    elif nose.kind in ("ball", "bulb"):
        _draw_ball(canvas, head, nose, face, ink, line)
    elif nose.kind == "button":
        arc = np.stack(
            [np.linspace(-0.7, 0.7, 9) * s, y + 0.25 * s * np.cos(np.linspace(-1.4, 1.4, 9))], -1
        )
        canvas.line(at(arc), line, width, 0.3)
    elif nose.kind == "nostrils":
        _draw_nostrils(canvas, head, nose, face, line, width)


def _draw_ball(
    canvas: Canvas, head: Head, nose: NoseStyle, face: FaceStyle, ink: Ink, line: Color
) -> None:
    s, y, side = nose.size, nose.y, -face.light_side
    color = nose.color or mix(face.skin, (255, 120, 100), 0.18)
    rx, ry = (0.9 * s, 0.8 * s) if nose.kind == "ball" else (0.62 * s, 1.15 * s)
    shape = head.on_face(ellipse((0, y), rx, ry), 0.3)
    canvas.fill(shape, color)
    canvas.fill(
        head.on_face(ellipse((-0.3 * rx * side, y - 0.4 * ry), 0.28 * rx, 0.2 * ry), 0.33),
        mix(color, (255, 255, 255), 0.5),
    )
    canvas.stroke(shape, mix(line, mix(color, (40, 0, 0), 0.5), ink.tint), ink.width)


def _draw_nostrils(
    canvas: Canvas, head: Head, nose: NoseStyle, face: FaceStyle, line: Color, width: float
) -> None:
    s, y, side = nose.size, nose.y, -face.light_side
    dark, lift = mix(face.skin, face.shade, 1.0), 0.22
    for sign in (-1, 1):
        hole = ellipse((0.38 * s * sign, y), 0.17 * s, 0.1 * s)
        canvas.fill(head.on_face(hole, lift), mix(dark, line, 0.5))
    bridge = smooth(
        np.array(
            [
                [0.22 * s * side, y - 2.6 * s],
                [0.3 * s * side, y - 1.2 * s],
                [0.75 * s * side, y - 0.2 * s],
                [0.5 * s * side, y + 0.15 * s],
            ]
        ),
        False,
    )
    canvas.line(head.on_face(bridge, lift), mix(dark, line, 0.35), 0.8 * width, 0.1)
