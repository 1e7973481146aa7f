"""A drawn head that turns: layers at depths on a rounded head, leaning about the neck's root."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array
from memegen.cartoon.pose import MOST_TURN_DEGREES

_DOME = 0.8  # depth of the middle of a face before its edge, in half face widths
_DOME_CENTER_Y, _DOME_HEIGHT = 0.15, 1.45
_BEHIND = -0.25  # nothing on the dome lies deeper than this


def dome(points: Array) -> Array:
    """Depth (N,) of points (N, 2) on the front of a rounded head."""
    x, y = points[..., 0], (points[..., 1] - _DOME_CENTER_Y) / _DOME_HEIGHT
    return np.maximum(_DOME * (1 - 0.8 * x**2 - y**2), _BEHIND)


@dataclass(frozen=True)
class Head:
    """Where the points of a head go."""

    yaw: float  # -1..1: times 15 degrees, to the person's left (the image's right)
    pitch: float  # up
    roll: float  # to the person's left shoulder
    root: float  # y of the neck's root, about which the head leans

    def place(self, points: Array, depth: Array | float, lean: Array | float = 1.0) -> Array:
        """Points (N, 2) at depths towards the viewer, turned; `lean` is their share of the roll."""
        degree = np.pi / 180 * MOST_TURN_DEGREES
        yaw, pitch, roll = self.yaw * degree, self.pitch * degree, self.roll * degree
        share = np.asarray(lean)
        x = points[..., 0] * (1 - share * (1 - np.cos(yaw))) + share * depth * np.sin(yaw)
        middle = 0.2
        y = points[..., 1] - middle
        y = y * (1 - share * (1 - np.cos(pitch))) - share * depth * np.sin(pitch) + middle
        turn = roll * share
        down = y - self.root
        return np.stack(
            [
                x * np.cos(turn) - down * np.sin(turn),
                x * np.sin(turn) + down * np.cos(turn) + self.root,
            ],
            -1,
        )

    def on_face(self, points: Array, lift: float = 0.0) -> Array:
        """Points on the face, `lift` before its surface."""
        return self.place(points, dome(points) + lift)
