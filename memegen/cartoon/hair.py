"""Drawn hair: behind the head, over the forehead, at the sides."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from memegen.arrays import Array
from memegen.cartoon.canvas import Canvas, Color, ellipse, mix, smooth
from memegen.cartoon.head import Head, dome
from memegen.cartoon.parts import HairStyle, Ink

CROWN_Y, CROWN = -0.08, 1.08  # middle of the skull's upper half, and its height
_BACK_DEPTH = -0.45
_HAIR_LIFT = 0.14  # of hair before the face
_RESTING = 2.6  # y of long hair that no longer leans with the head


def outline_color(ink: Ink, of: Color) -> Color:
    """The colour of the line around something."""
    return mix(ink.color, mix(of, (20, 5, 20), 0.62), ink.tint)


def _over(points: Array) -> Array:
    """Depth of hair on top: it rounds further out than the face."""
    x, y = points[..., 0] / 1.15, (points[..., 1] - 0.1) / 1.5
    return np.maximum(0.95 * (1 - x**2 - 0.8 * y**2), -0.2) + _HAIR_LIFT


def _lean(points: Array) -> Array:
    return np.clip((_RESTING - points[..., 1]) / (_RESTING - 0.3), 0.15, 1.0)


def _spiky(a: Array, n: int, size: float) -> Array:
    """Radius factors over angles a: n pointed tufts."""
    phase = (a * n / (2 * np.pi)) % 1.0
    return 1 + size * np.where(phase < 0.8, (phase / 0.8) ** 1.7, (1 - phase) / 0.2)


def _scalloped(a: Array, n: int, size: float) -> Array:
    return 1 + size * np.abs(np.sin(a * n / 2))


@lru_cache(maxsize=4)
def cap_top(hair: HairStyle) -> Array:
    """The outline of hair over the head, from the image's left temple to the right one (N, 2)."""
    t = np.linspace(0, np.pi, 181 if hair.tufts else 61)
    radius: Array = np.ones_like(t)
    if hair.tufts:  # they point down at both sides
        radius = _spiky(
            np.abs(t - np.pi / 2 + 0.2 * hair.lean) + 1.8 * np.pi / (2 * hair.tufts),
            2 * hair.tufts,
            hair.tuft_size,
        )
    elif hair.front == "curly":
        radius = _scalloped(t, 18, 0.06)
    rx, ry = 1.0 + 0.6 * hair.volume, CROWN + hair.volume
    x = -np.cos(t) * rx * radius
    y = CROWN_Y + 0.12 - np.sin(t) * (ry + 0.12) * radius
    return np.stack([x, y], -1)


def _tip(x0: float, x1: float, top0: float, top1: float, tip: tuple[float, float]) -> Array:
    """One strand of hair: from (x0, top0) to its tip and back up to (x1, top1)."""
    t = np.linspace(0, 1, 7)[:, None]
    a, b, c = np.array([x0, top0]), np.array(tip), np.array([x1, top1])
    bow = 0.35 * abs(x1 - x0) * np.sign(b[0] - (x0 + x1) / 2 + 1e-6)
    down = (
        (1 - t) ** 2 * a
        + 2 * t * (1 - t) * (np.array([a[0] - 0.3 * bow, (a[1] + b[1]) / 2 + 0.06]))
        + t**2 * b
    )
    up = (
        (1 - t) ** 2 * b
        + 2 * t * (1 - t) * (np.array([c[0] - 0.3 * bow, (c[1] + b[1]) / 2 + 0.02]))
        + t**2 * c
    )
    return np.concatenate([down, up])


@lru_cache(maxsize=4)
def hairline(hair: HairStyle) -> Array:
    """The lower edge of hair over the forehead, from the right temple to the left one (N, 2)."""
    rng = np.random.default_rng(hair.seed)
    edge = 0.97
    if hair.front == "zigzag":
        xs = np.linspace(edge, -edge, hair.strands + 1)
        xs[1:-1] += rng.uniform(-0.3, 0.3, hair.strands - 1) / hair.strands
        pieces = []
        for i in range(hair.strands):
            x0, x1 = xs[i], xs[i + 1]
            middle = (x0 + x1) / 2
            low = hair.low + 0.5 * abs(middle) ** 2 + rng.uniform(-0.16, 0.12)
            notch = [
                hair.low - 0.2 - 0.25 * (1 - abs(x)) * ((7 * x) % 1) + 0.4 * abs(x) ** 3
                for x in (x0, x1)
            ]
            pieces.append(_tip(x0, x1, notch[0], notch[1], (middle + 0.22 * hair.lean, low)))
        return np.concatenate(pieces)
    if hair.front == "bangs":
        x = np.linspace(edge, -edge, 41)
        y = hair.low + 0.14 * x**2
        teeth = (np.arange(41) % max(40 // max(hair.strands, 2), 4) == 0) * -0.07
        return np.stack([x, y + teeth * (np.abs(x) < 0.9)], -1)
    if hair.front in ("part", "sweep"):
        return _parted(hair, edge)
    if hair.front == "curly":
        t = np.linspace(0, 1, 61)
        x = edge * (1 - 2 * t)
        y = hair.low - 0.15 + 0.5 * x**4 + 0.13 * np.abs(np.sin(np.pi * t * hair.strands))
        return np.stack([x, y], -1)
    if hair.front == "receding":
        points = [
            [edge, 0.1],
            [0.86, -0.45],
            [0.62, -0.95],
            [0.3, -0.88],
            [0, -0.82],
            [-0.3, -0.88],
            [-0.62, -0.95],
            [-0.86, -0.45],
            [-edge, 0.1],
        ]
        return smooth(np.array(points), closed=False, steps=5)
    corner = 0.72 + 0.05 * hair.lean  # short: a hairline with corners and sideburns
    points = [
        [edge, 0.25],
        [0.9, 0.2],
        [0.86, -0.25],
        [corner, -0.5],
        [0.3, hair.low - 0.3],
        [-0.3, hair.low - 0.34],
        [-corner, -0.5],
        [-0.86, -0.25],
        [-0.9, 0.2],
        [-edge, 0.25],
    ]
    return smooth(np.array(points), closed=False, steps=5)


def _parted(hair: HairStyle, edge: float) -> Array:
    at = hair.part if hair.front == "part" else 0.62 * np.sign(hair.lean + 1e-6)
    top = -0.78
    low = 0.22 if hair.front == "part" else 0.1

    def half(sign: float) -> Array:
        end = np.array([sign * edge, low])
        start = np.array([at, top])
        far = abs(end[0] - at)
        pull = np.array(
            [
                at + 0.62 * (end[0] - at),
                top + (0.16 if far > 0.9 else 0.02) + 0.3 * (hair.low + 0.5),
            ]
        )
        t = np.linspace(0, 1, 15)[:, None]
        corner = np.array([end[0], -0.42])
        return (
            (1 - t) ** 3 * start
            + 3 * t * (1 - t) ** 2 * pull
            + 3 * t**2 * (1 - t) * corner
            + t**3 * end
        )

    return np.concatenate([half(1.0)[::-1], half(-1.0)])


def draw_back(canvas: Canvas, head: Head, hair: HairStyle, ink: Ink, behind: bool = True) -> None:
    """Hair behind the head."""
    color = mix(hair.color, hair.shade, 0.75 if behind else 0)
    line = outline_color(ink, hair.color)

    def put(points: Array, depth: float = _BACK_DEPTH, fill: Color = color) -> None:
        # Its upper end is under the hair on top, and goes with it.
        falls = np.clip((points[:, 1] + 0.9) / 0.9, 0, 1)
        placed = head.place(points, depth * falls, _lean(points))
        canvas.fill(placed, fill)
        canvas.stroke(placed, line, ink.width)

    v = hair.volume
    if hair.back == "none":
        return
    t = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    if hair.back == "afro":
        factor = _scalloped(t, 26, 0.06)
        put(
            np.stack([np.cos(t) * (1.32 + v), np.sin(t) * (1.22 + v)], -1) * factor[:, None]
            + [0, -0.4]
        )
        return
    if hair.back == "spiky":
        factor = _spiky(t, 13, 0.3)
        ring = np.stack([np.cos(t) * (1.0 + v), np.sin(t) * (1.05 + v)], -1) * factor[:, None]
        put(ring + np.array([0, -0.1]))
        return
    if hair.back in ("twin", "pony", "bun"):
        _draw_tails(hair, put)
    put(_curtain(hair))


def _curtain(hair: HairStyle) -> Array:
    """Hair that falls behind the head."""
    v = hair.volume
    low, wide = {"bob": (1.05, 1.12), "long": (2.9, 1.15)}.get(hair.back, (0.55, 0.9))
    rng = np.random.default_rng(hair.seed + 1)
    right = [
        [0.95 + 0.55 * v, -0.25],
        [1.04 + 0.9 * v, 0.3],
        [wide + 0.6 * v, 0.62 * low + 0.2],
        [wide - 0.1 + rng.uniform(-0.1, 0.2), low],
    ]
    count = 5
    bottom = [
        [x, low + (0.1 if i % 2 else -0.08) + rng.uniform(-0.05, 0.05)]
        for i, x in enumerate(np.linspace(0.7 * wide, -0.7 * wide, count))
    ]
    left = [[-x, y] for x, y in right[::-1]]
    top = [[-0.8, -0.6], [0.0, -0.9], [0.8, -0.6]]  # under the hair on top
    return smooth(np.array(right + bottom + left + top), steps=6)


def _draw_tails(hair: HairStyle, put: Callable[..., None]) -> None:
    if hair.back == "bun":
        put(ellipse((0.0, -1.25 - hair.volume), 0.42, 0.38), -0.2)
        return
    sides = (-1, 1) if hair.back == "twin" else (int(np.sign(hair.lean) or 1),)
    up = -0.75 if hair.seed % 2 else 0.1
    for side in sides:
        x = 0.95
        points = [
            [x, up],
            [x + 0.35, up - 0.12],
            [x + 0.62, up + 0.35],
            [x + 0.6, up + 1.2],
            [x + 0.35, up + 2.2],
            [x + 0.2, up + 1.7],
            [x + 0.05, up + 2.0],
            [x + 0.02, up + 1.2],
            [x - 0.1, up + 0.3],
        ]
        put(smooth(np.array(points) * [side, 1], steps=6), -0.25)


def draw_front(canvas: Canvas, head: Head, hair: HairStyle, ink: Ink) -> None:
    """Hair over the head and the forehead."""
    if hair.front == "none":
        return
    top, edge = cap_top(hair), hairline(hair)
    # At the temples it ends in points before the ears.
    ends = np.array(
        [[1.0 + 0.35 * hair.volume, 0.12], [0.97 + 0.1 * hair.volume, max(0.4, edge[0, 1] + 0.1)]]
    )
    if hair.front in ("short", "receding"):
        ends = ends[:0]
    shape = np.concatenate([top, ends, edge, ends[::-1] * [-1, 1]])
    over = np.concatenate([_over(ends), _over(edge), _over(ends[::-1])])
    depth = np.concatenate([np.zeros(len(top)), over])
    placed = head.place(shape, depth)
    canvas.fill(placed, hair.color)
    with canvas.clipped(placed) as inner:
        if hair.cel:
            lit = head.place(shape * [0.97, 1] + [0.1 * hair.cel, -0.1], depth)
            with inner.clipped(lit, outside=True) as dark:
                dark.picture[:] = np.round(mix(hair.color, hair.shade, 0.8))
        _shade_front(inner, head, hair)
    canvas.stroke(placed, outline_color(ink, hair.color), ink.width)
    if hair.ahoge:
        base = -1.08 - hair.volume
        lean = 0.3 * (hair.lean or 1)
        points = smooth(
            np.array(
                [
                    [-0.05, base + 0.06],
                    [0.05 * lean, base - 0.3],
                    [1.3 * lean, base - 0.36],
                    [0.6 * lean, base - 0.2],
                    [0.08, base + 0.06],
                ]
            ),
            steps=6,
        )
        canvas.fill(head.place(points, 0.1), hair.color)
        canvas.stroke(head.place(points, 0.1), outline_color(ink, hair.color), ink.width)


def _shade_front(inner: Canvas, head: Head, hair: HairStyle) -> None:
    rng = np.random.default_rng(hair.seed + 2)
    if hair.shine == "ring":
        x = np.linspace(-1.1, 1.1, 45)
        y = -0.78 - 0.6 * hair.volume + 0.28 * x**2
        wave = np.where(np.arange(45) % 2, 1, -1) * rng.uniform(0.02, 0.1, 45)
        fade = np.clip(1.1 - np.abs(x - 0.2 * hair.lean) ** 2 * 1.2, 0, 1)
        low = np.stack([x, y + 0.05 * fade + wave * fade], -1)
        band = np.concatenate([np.stack([x, y - 0.06 * fade], -1), low[::-1]])
        inner.fill(head.place(band, _over(band)), mix(hair.color, hair.light, 0.8))
    elif hair.shine == "spots":
        for side in (-0.4, 0.35):
            spot = ellipse((side, -0.85 - 0.5 * hair.volume), 0.22, 0.08)
            inner.fill(head.place(spot, _over(spot)), mix(hair.color, hair.light, 0.7))
    crown = np.array([0.55 * hair.part, -1.0 - 0.6 * hair.volume])
    for i in range(hair.marks):
        end_x = -0.85 + 1.7 * (i + 0.5) / hair.marks + rng.uniform(-0.1, 0.1)
        end = np.array([end_x, hair.low - 0.05 + 0.35 * end_x**2 + rng.uniform(-0.25, -0.05)])
        bend = np.array([0.75 * end_x + 0.25 * crown[0], (crown[1] + end[1]) / 2 - 0.12])
        start = crown + (end - crown) * rng.uniform(0.25, 0.45)
        points = smooth(np.stack([start, (bend + start) / 2, end]), closed=False, steps=5)
        inner.line(head.place(points, _over(points)), hair.shade, rng.uniform(0.02, 0.045), 0.1)


def front_shadow(hair: HairStyle) -> Array | None:
    """What of the face the hair in front keeps in shadow (N, 2), or None."""
    if hair.front in ("none", "receding", "short"):
        return None
    edge = hairline(hair)
    return np.concatenate([np.array([[-1.2, -1.4], [1.2, -1.4]]), edge + np.array([0.0, 0.1])])


def draw_locks(canvas: Canvas, head: Head, hair: HairStyle, ink: Ink) -> None:
    """Strands that hang at the sides of the face."""
    if hair.locks <= 0:
        return
    w, n = hair.lock_width, hair.locks
    for side in (-1, 1):
        x = 0.93 + 0.4 * hair.volume
        points = np.array(
            [
                [x - 0.75 * w, -0.55],
                [x - 0.9 * w, -0.1],
                [x - 0.8 * w, 0.3 * n],
                [x - 0.6 * w, 0.75 * n],
                [x - 0.1 * w, n],
                [x + 0.15 * w, 0.7 * n],
                [x + 0.2 * w, 0.2],
                [x + 0.15 * w, -0.4],
            ]
        ) * [side, 1]
        # Two curves that meet in a point at the tip.
        curve = np.concatenate([smooth(points[:5], False, 6), smooth(points[4:], False, 6)])
        placed = head.place(curve, np.maximum(dome(curve), 0.1) + 0.12, _lean(curve))
        canvas.fill(placed, hair.color)
        if hair.marks:
            middle = smooth(points[1:4] + np.array([side * 0.35 * w, 0]), closed=False, steps=5)
            canvas.line(
                head.place(middle, np.maximum(dome(middle), 0.1) + 0.12, _lean(middle)),
                hair.shade,
                0.025,
                0.1,
            )
        canvas.stroke(placed, outline_color(ink, hair.color), ink.width)
