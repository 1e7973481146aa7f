"""The drawn mouth of a person over all poses of a clip, each drawn once.

Drawing takes half of a frame's time, and heads mostly stay about where they are. What is drawn for
one direction serves those nearby: in the plane of the face it is moved exactly, and what lies
deeper is off by no more than its depth times half a step.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from torch import Tensor

from memegen.arrays import Array
from memegen.generators.mouth_layers import Layer, render
from memegen.generators.mouth_light import MouthLight
from memegen.generators.mouth_model import MouthModel

STEP = 2.0  # degrees between the directions for which a mouth is drawn
SIZES = 4  # sizes for which it is drawn, between one and its double
MOST_LAYERS = 32  # kept, the latest: a large face's take 4 MB each


class MouthPoses:
    """Layers of one mouth in one light."""

    def __init__(self, model: MouthModel, light: MouthLight) -> None:
        self._model, self._light = model, light
        self._drawn: OrderedDict[tuple[object, ...], Layer] = OrderedDict()
        self._lock = threading.Lock()

    def sample(
        self, projection: Array, light: MouthLight, jaw: float | None, at: tuple[Tensor, Tensor]
    ) -> Tensor:
        """(T, 5, h, w) what a Layer's `sample` gives of the upper part (jaw None) or the lower one.

        projection (3, 3) is face axes (IOD) to pixels right and down, and IOD to the camera; `at`
        are pixels (T, h, w) from the mouth's origin; `light` may be brighter or darker than the
        person's, not of another colour; `jaw` takes the lower lip down, IOD.
        """
        (x, y), (pose, drawn_for) = at, nearest_pose(projection)
        key = (*pose, jaw, x.device)
        with self._lock:
            layer = self._drawn.get(key)
            if layer is not None:
                self._drawn.move_to_end(key)
        if layer is None:
            layer = render(self._model, drawn_for, self._light, jaw, x.device)
            with self._lock:
                self._drawn[key] = layer
                while len(self._drawn) > MOST_LAYERS:
                    self._drawn.popitem(last=False)
        # The affine of the picture that takes one pose's face axes nearest to the other's.
        (xx, xy), (yx, yy) = (drawn_for[:2] @ np.linalg.pinv(projection[:2])).tolist()
        found = layer.sample(xx * x + xy * y, yx * x + yy * y)
        found[:, :3] *= float(light.tooth.mean() / self._light.tooth.mean())
        return found


def nearest_pose(projection: Array) -> tuple[tuple[int, int, int], Array]:
    """The numbers and the projection (3, 3) of the pose that is drawn for one nearby.

    It is upright: an affine of the picture does the rest.
    """
    across, down = np.linalg.norm(projection[0]), np.linalg.norm(projection[1])
    size = round(SIZES * float(np.log2(max(np.sqrt(across * down), 1e-3))))
    to_camera = projection[2] / max(float(np.linalg.norm(projection[2])), 1e-6)
    yaw = round(float(np.degrees(np.arctan2(to_camera[0], to_camera[2]))) / STEP)
    pitch = round(float(np.degrees(np.arcsin(np.clip(to_camera[1], -1, 1)))) / STEP)
    turn, lift = np.radians(yaw * STEP), np.radians(pitch * STEP)
    ahead = np.array([np.sin(turn) * np.cos(lift), np.sin(lift), np.cos(turn) * np.cos(lift)])
    right = np.array([np.cos(turn), 0, -np.sin(turn)])
    up = np.cross(ahead, right)
    iod = 2 ** (size / SIZES)
    return (size, yaw, pitch), np.stack([iod * right, -iod * up, ahead]).astype(np.float32)
