"""Vector drawing on a picture: filled shapes, tapered lines, soft glows, clipping.

Points are in face units (half a face's width; x to the image's right, y down).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np

from memegen.arrays import Array, Picture

Color = tuple[float, float, float]  # RGB, 0..255

_SHIFT = 4  # bits behind the point of pixel positions
_HALF = 127  # of what a mask's pixel may be covered by
_LEAST_LINE_PX = 0.6  # thinner than this, filled ribbons vanish here and there


def mix(a: Color, b: Color, share: float) -> Color:
    """`share` 0..1 of b in a."""
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )


def smooth(points: Array, closed: bool = True, steps: int = 8) -> Array:
    """A Catmull-Rom curve through points (N, 2), `steps` points for each."""
    n = len(points)
    if closed:
        ring = np.concatenate([points[-1:], points, points[:2]])
    else:
        first, last = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
        ring = np.concatenate([first[None], points, last[None]])
    pieces = n if closed else n - 1
    p0, p1, p2, p3 = (ring[i : i + pieces, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )  # fmt: skip
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def ellipse(center: tuple[float, float], rx: float, ry: float, steps: int = 40) -> Array:
    """(steps, 2) points of an ellipse."""
    t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([center[0] + rx * np.cos(t), center[1] + ry * np.sin(t)], -1)


def ribbon(points: Array, widths: Array) -> Array:
    """The outline of a line along points (N, 2) that is `widths` (N,) wide."""
    along = np.gradient(points, axis=0)
    length = np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    normal = np.stack([-along[:, 1], along[:, 0]], -1) / length
    half = widths[:, None] / 2
    return np.concatenate([points + normal * half, (points - normal * half)[::-1]])


def taper(n: int, start: float = 0.15, end: float = 0.15) -> Array:
    """(n,) factors of a line's width: thinner at its ends, as ink from a pen."""
    t = np.linspace(0, 1, n)
    bulge = np.sin(np.pi * t) ** 0.6
    ends = start + (end - start) * t
    return ends + (1 - ends) * bulge


@dataclass
class Canvas:
    """A picture being drawn on."""

    picture: Picture  # (H, W, 3) uint8
    to_pixels: Array  # (2, 3) affine from face units to pixels
    scale: float  # pixels in a face unit

    def pixels(self, points: Array) -> Array:
        """Face units to pixels."""
        return points @ self.to_pixels[:, :2].T + self.to_pixels[:, 2]

    def _fixed(self, points: Array) -> Array:
        return np.round((self.pixels(points) - 0.5) * (1 << _SHIFT)).astype(np.int32)

    def fill(self, points: Array, color: Color) -> None:
        """Fill a polygon (N, 2)."""
        cv2.fillPoly(self.picture, [self._fixed(points)], color, cv2.LINE_AA, _SHIFT)

    def line(self, points: Array, color: Color, width: float, ends: float | None = None) -> None:
        """A line `width` units wide, with round ends, or `ends` times as wide at both ends."""
        if width <= 0 or len(points) < 2:
            return
        width = max(width, _LEAST_LINE_PX / self.scale)
        if ends is None:
            self.stroke(points, color, width, closed=False)
            return
        self.fill(ribbon(points, width * taper(len(points), ends, ends)), color)

    def stroke(self, points: Array, color: Color, width: float, closed: bool = True) -> None:
        """An even line along points; nothing if its width is 0."""
        if width > 0:
            thickness = max(1, round(width * self.scale))
            fixed = [self._fixed(points)]
            cv2.polylines(self.picture, fixed, closed, color, thickness, cv2.LINE_AA, _SHIFT)

    def glow(self, center: Array, rx: float, ry: float, color: Color, share: float) -> None:
        """A soft spot of a colour, `share` 0..1 of it in the middle; rx, ry its sigmas."""
        x, y = self.pixels(np.asarray(center, np.float64))
        rx, ry = rx * self.scale, ry * self.scale
        height, width = self.picture.shape[:2]
        x0, x1 = max(0, int(x - 2.5 * rx)), min(width, int(x + 2.5 * rx) + 1)
        y0, y1 = max(0, int(y - 2.5 * ry)), min(height, int(y + 2.5 * ry) + 1)
        if x0 >= x1 or y0 >= y1 or share <= 0:
            return
        across = np.exp(-0.5 * ((np.arange(x0, x1) - x) / rx) ** 2).astype(np.float32)
        down = np.exp(-0.5 * ((np.arange(y0, y1) - y) / ry) ** 2).astype(np.float32)
        weight = share * np.outer(down, across)
        spot = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
        spot[:] = np.round(color)
        part = self.picture[y0:y1, x0:x1]
        part[:] = cv2.blendLinear(spot, np.ascontiguousarray(part), weight, 1 - weight)

    @contextmanager
    def clipped(self, points: Array, share: float = 1.0, outside: bool = False) -> Iterator[Canvas]:
        """Draw on what is given, and only what lies in (out of) a polygon is kept, a `share`."""
        height, width = self.picture.shape[:2]
        corners = np.array([[0, 0], [width, height]]) if outside else self.pixels(points)
        x0, y0 = np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, (width - 1, height - 1))
        x1, y1 = np.clip(np.ceil(corners.max(0)).astype(int) + 2, 1, (width, height))
        x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
        old = self.picture[y0:y1, x0:x1]
        moved = self.to_pixels - np.array([[0, 0, x0], [0, 0, y0]])
        inner = Canvas(old.copy(), moved, self.scale)
        yield inner
        mask = np.full((y1 - y0, x1 - x0), 255 * outside, np.uint8)
        cv2.fillPoly(mask, [inner._fixed(points)], 255 - 255 * outside, cv2.LINE_AA, _SHIFT)
        if share == 1:
            # Edges are hard here: callers fill the same shape softly first.
            cv2.copyTo(inner.picture, cv2.threshold(mask, _HALF, 255, cv2.THRESH_BINARY)[1], old)
            return
        weight = mask.astype(np.float32) * np.float32(share / 255)
        old[:] = cv2.blendLinear(inner.picture, np.ascontiguousarray(old), weight, 1 - weight)
