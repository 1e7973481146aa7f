"""Drawn eyes and brows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array
from memegen.cartoon.canvas import Canvas, ellipse, mix, ribbon
from memegen.cartoon.head import Head
from memegen.cartoon.parts import BrowStyle, EyeStyle, Ink

_STEPS = 21  # points along a lid
_WIDER = 0.3  # how much taller wide eyes are
_GAZE_X, _GAZE_Y = 0.42, 0.32  # how far an iris goes, in half widths and heights of the eye
_LIFT = 0.04  # eyes' depth before the face


@dataclass(frozen=True)
class EyePose:
    """What one eye does."""

    closed: float
    wide: float
    gaze_x: float
    gaze_y: float


@dataclass(frozen=True)
class Lids:
    """An eye's lids in its own units: x to the outer corner; (N, 2)."""

    upper: Array
    lower: Array
    open_upper: Array  # as it is when the eye is open
    open_lower: Array
    openness: float


def lids_of(eye: EyeStyle, pose: EyePose) -> Lids:
    """Where the lids are."""
    u = np.linspace(-1, 1, _STEPS)
    # The lid is highest at `peak`: a parameter that runs faster on one side of it.
    bent = np.where(u < eye.peak, (u - eye.peak) / (1 + eye.peak), (u - eye.peak) / (1 - eye.peak))
    power = eye.upper_power
    arch = np.sqrt(np.maximum(1 - np.abs(bent) ** power, 0)) if power > 1 else 1 - bent**2
    under = np.sqrt(np.maximum(1 - np.abs(u) ** 2.2, 0))
    if eye.kind == "almond":
        arch, under = 0.6 * arch + 0.4 * (1 - bent**2), 1 - np.abs(u) ** 2.2
    wider = 1 + _WIDER * pose.wide
    tilt = -eye.tilt * u
    upper, lower = -arch * eye.up * wider + tilt, under * eye.down * (1 + 0.12 * pose.wide) + tilt
    meet = tilt + eye.closing * eye.down * 0.8 + eye.closed_bend * (1 - u**2) * eye.width
    shut = np.clip(pose.closed, 0, 1)
    x = u * eye.width
    return Lids(
        np.stack([x, upper + (meet - upper) * shut], -1),
        np.stack([x, lower + (meet - lower) * shut], -1),
        np.stack([x, upper], -1),
        np.stack([x, lower], -1),
        float(1 - shut),
    )


@dataclass(frozen=True)
class EyePlace:
    """Puts an eye's own units on the turned head."""

    head: Head
    eye: EyeStyle
    side: int  # 1 the image's right, which is the person's left

    def __call__(self, points: Array) -> Array:
        """The eye's own units to those of the picture."""
        at = np.stack([self.side * (self.eye.x + points[:, 0]), self.eye.y + points[:, 1]], -1)
        return self.head.on_face(at, _LIFT)


def draw_eye(canvas: Canvas, head: Head, eye: EyeStyle, ink: Ink, side: int, pose: EyePose) -> None:
    """One eye; `side` 1 is the image's right."""
    lids, place = lids_of(eye, pose), EyePlace(head, eye, side)
    if eye.kind == "dot":
        _draw_dot(canvas, place, lids, pose)
        return
    opening = place(np.concatenate([lids.upper, lids.lower[::-1]]))
    if eye.lid is not None:
        bulge = place(np.concatenate([lids.open_upper, lids.open_lower[::-1]]))
        canvas.fill(bulge, eye.lid)
        canvas.stroke(bulge, eye.color, max(ink.width, 0.012))
    if lids.openness > 0:
        canvas.fill(opening, eye.white)
        with canvas.clipped(opening) as inner:
            _draw_iris(inner, place, side, pose)
            if eye.kind in ("anime", "almond"):
                shadow = np.concatenate(
                    [lids.upper - [0, 0.3], lids.upper[::-1] + np.array([0, 0.05])]
                )
                with inner.clipped(place(shadow), 0.35) as darker:
                    darker.fill(opening, mix(eye.white, (60, 50, 90), 0.75))
    if eye.lid is not None:
        canvas.line(place(lids.upper), eye.color, max(ink.width, 0.014))
    elif eye.kind == "oval":
        canvas.stroke(opening, eye.color, max(ink.width, eye.lower_lash))
        canvas.line(place(lids.upper), eye.color, max(ink.width, eye.lash))
    else:
        _draw_lashes(canvas, place, lids)
    if eye.flicks:
        _draw_flicks(canvas, place, lids)
    if eye.crease:
        above = lids.open_upper[3:-2] * [0.95, 1] - [0, 0.07 + 0.25 * eye.lash]
        fall = (lids.upper - lids.open_upper)[3:-2] * [1, 0.25]
        canvas.line(place(above + fall), eye.color, max(0.4 * ink.width, 0.012), 0.2)


def _draw_dot(canvas: Canvas, place: EyePlace, lids: Lids, pose: EyePose) -> None:
    eye = place.eye
    moved = np.array([place.side * pose.gaze_x * 0.5 * eye.width, -pose.gaze_y * 0.4 * eye.up])
    opening = np.concatenate([lids.upper, lids.lower[::-1]]) + moved
    canvas.fill(place(opening), eye.color)
    # When it closes, what is left is a line.
    reach = np.array([1 + 0.35 * (1 - lids.openness) ** 3, 1])
    middle = (lids.upper + lids.lower) / 2 * reach + moved
    width = max(eye.lash, 0.03) * (1 - lids.openness) ** 1.5
    canvas.line(place(middle), eye.color, width)
    if eye.highlights and lids.openness > 0:
        with canvas.clipped(place(opening)) as inner:
            spot = ellipse(
                (-place.side * 0.3 * eye.width, -0.4 * eye.up), 0.3 * eye.width, 0.3 * eye.up
            )
            inner.fill(place(spot * [1, 1] + moved), (255, 255, 255))


def _draw_iris(canvas: Canvas, place: EyePlace, side: int, pose: EyePose) -> None:
    eye = place.eye
    x = side * pose.gaze_x * _GAZE_X * eye.width
    y = (eye.down - eye.up) / 2 - pose.gaze_y * _GAZE_Y * eye.up
    rx = eye.iris * (1 - 0.12 * pose.wide)
    ry = rx * eye.iris_tall
    color = eye.iris_color
    dark = mix(color, (10, 8, 25), 0.65)
    if eye.iris <= 0.02:
        return
    whole = place(ellipse((x, y), rx, ry))
    canvas.fill(whole, color)
    with canvas.clipped(whole) as inner:
        if eye.gradient > 0:
            for level in range(4):  # bands from the dark top down
                top = y - ry * (1.1 - 0.32 * level)
                shade = mix(
                    mix(color, dark, 0.9 * eye.gradient),
                    mix(color, (255, 255, 255), 0.3 * eye.gradient),
                    level / 3,
                )
                band = np.array(
                    [
                        [x - 2 * rx, top],
                        [x + 2 * rx, top],
                        [x + 2 * rx, y + 2 * ry],
                        [x - 2 * rx, y + 2 * ry],
                    ]
                )
                inner.fill(place(band), shade)
        if eye.pupil > 0:
            inner.fill(
                place(ellipse((x, y), rx * eye.pupil, ry * eye.pupil)), mix(dark, (0, 0, 0), 0.7)
            )
        if eye.gradient > 0.5:
            glow = ellipse((x, y + 0.62 * ry), 0.6 * rx, 0.28 * ry)
            inner.fill(place(glow), mix(color, (255, 255, 255), 0.5))
    canvas.stroke(whole, dark, 0.1 * rx)
    if eye.highlights:
        # Light comes from one side of the picture in both eyes.
        spot = ellipse((x - side * 0.35 * rx, y - 0.42 * ry), 0.3 * rx, 0.26 * ry)
        canvas.fill(place(spot), (255, 255, 255))
    if eye.highlights > 1:
        canvas.fill(
            place(ellipse((x + side * 0.4 * rx, y + 0.4 * ry), 0.17 * rx, 0.14 * ry)),
            (255, 255, 255),
        )
    if eye.highlights > 2:
        canvas.fill(
            place(ellipse((x + side * 0.1 * rx, y + 0.68 * ry), 0.1 * rx, 0.09 * ry)),
            (255, 255, 255),
        )


def _draw_lashes(canvas: Canvas, place: EyePlace, lids: Lids) -> None:
    eye = place.eye
    upper = lids.upper.copy()
    wing = np.array([[eye.width * 1.12, upper[-1, 1] + 0.02 - 0.1 * eye.lash]])
    line = np.concatenate([upper, wing])
    t = np.linspace(0, 1, len(line))
    # Thin at the inner corner, thickest past the middle, pointed at the outer one.
    widths = (
        eye.lash * (0.3 + 0.9 * np.sin(np.pi * np.clip(t * 0.85 + 0.05, 0, 1))) * (1 - t**8 * 0.8)
    )
    placed = place(line)
    half = np.stack([np.zeros_like(widths), widths], -1)
    edge = np.concatenate([placed - 0.7 * half, (placed + 0.3 * half)[::-1]])
    canvas.fill(edge, eye.color)
    if eye.lower_lash > 0:
        canvas.line(place(lids.lower[5:-2]), eye.color, eye.lower_lash, 0.3)


def _draw_flicks(canvas: Canvas, place: EyePlace, lids: Lids) -> None:
    eye = place.eye
    droop = 1 - lids.openness
    for i in range(eye.flicks):
        base = lids.upper[-2 - 2 * i]
        length = 0.09 + 0.25 * eye.lash
        tip = base + length * np.array([0.95 - 0.22 * i, -0.55 - 0.15 * i + 1.1 * droop])
        bend = (base + tip) / 2 + [0.015, 0.02]
        points = place(np.stack([base, bend, tip]))
        widths = np.array([1, 0.7, 0.1]) * max(0.35 * eye.lash, 0.02)
        along = points[-1] - points[0]
        normal = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
        canvas.fill(
            np.concatenate(
                [
                    points + normal * widths[:, None] / 2,
                    (points - normal * widths[:, None] / 2)[::-1],
                ]
            ),
            eye.color,
        )


def draw_brow(
    canvas: Canvas,
    head: Head,
    eye: EyeStyle,
    brow: BrowStyle,
    side: int,
    raised: float,
    frown: float,
) -> None:
    """One brow; raised -1..1, frown 0..1."""
    if brow.kind == "none":
        return
    u = np.linspace(-1, 1, 15)
    inner = (1 - u) / 2
    x = eye.x + u * brow.width - frown * 0.16 * inner
    y = eye.y - brow.y - brow.arch * (1 - u**2) + brow.slope * u
    lift = 0.17 if raised > 0 else 0.12
    y = y - raised * lift * (0.85 + 0.15 * u) + frown * (0.2 * inner**1.3 - 0.05 * (1 - inner))
    points = head.on_face(np.stack([side * x, y], -1), _LIFT)
    t = np.linspace(0, 1, len(u))
    if brow.kind == "taper":
        widths = brow.thick * (0.5 + 0.6 * np.sin(np.pi * (0.15 + 0.5 * t))) * (1 - 0.85 * t**3)
    elif brow.kind == "short":
        widths = brow.thick * 1.4 * np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0.02))
    else:
        widths = np.full(len(u), brow.thick)
    canvas.fill(ribbon(points, widths), brow.color)
