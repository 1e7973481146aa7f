"""The aligned crop: a square similarity frame on a face, the same for every face.

Eye centre at (0.5, 0.40) of the crop, inter-ocular distance 0.27 of its width. The in-plane axis
is the sum of the unit eye axis and the unit perpendicular of the eye-to-mouth axis; the scale is
`max(eye distance, 0.95 * eye-to-mouth distance)`, so that a turned head does not shrink the crop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array
from memegen.geometry.shape import LEFT_IRIS, RIGHT_IRIS

EYE_CENTRE = np.array([0.5, 0.40], np.float32)
IOD_IN_CROP = 0.27
EYE_TO_MOUTH_SHARE = 0.95
# What weights files say of the crops that they take.
CROP = f"eyes ({EYE_CENTRE[0]:.1f}, {EYE_CENTRE[1]:.2f}), IOD {IOD_IN_CROP}"
_MOUTH_CORNERS = (61, 291)
TILTED = 60.0  # degrees: heads that are rolled farther in the picture lie, others are tilted
_QUARTER = np.array([[0, 1], [-1, 0]], np.float32)  # anticlockwise, y down


@dataclass(frozen=True)
class Alignment:
    """Similarity between crop units and photo pixels: `photo = matrix @ crop + offset`."""

    matrix: Array  # (2, 2) rotation times the crop's width in pixels
    offset: Array  # (2,)

    @property
    def width(self) -> float:
        """Width of the crop in photo pixels."""
        return float(np.sqrt(np.linalg.det(self.matrix)))

    @property
    def affine(self) -> Array:
        """(2, 3) from crop units to photo pixels."""
        return np.column_stack([self.matrix, self.offset]).astype(np.float32)

    @property
    def roll(self) -> float:
        """Degrees, -180..180, by which the crop is turned clockwise in the photo."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    @property
    def turns(self) -> int:
        """Quarter turns, anticlockwise, after which the face stands upright (`np.rot90`).

        None for a head that is only tilted.
        """
        return 0 if abs(self.roll) < TILTED else round(self.roll / 90) % 4

    def turned(self, turns: int, width: float, height: float) -> Alignment:
        """The same in `np.rot90(photo, turns)`; width and height are those of the photo."""
        turn, shift = quarter_turn(turns, width, height)
        return Alignment(turn @ self.matrix, turn @ self.offset + shift)

    def moved(self, x: float, y: float) -> Alignment:
        """The same crop in a photo whose origin lies `x`, `y` pixels back."""
        return Alignment(self.matrix, self.offset + np.array([x, y], np.float32))

    def to_photo(self, points: Array) -> Array:
        """(..., 2) crop units to photo pixels."""
        return (points @ self.matrix.T + self.offset).astype(np.float32)

    def to_crop(self, points: Array) -> Array:
        """(..., 2) photo pixels to crop units."""
        return ((points - self.offset) @ np.linalg.inv(self.matrix).T).astype(np.float32)


def align(points: Array) -> Alignment:
    """Alignment from five points (5, 2) in pixels, MTCNN's order.

    That is: eye on the image's left, eye on its right, nose, mouth corners left and right.
    """
    left, right = points[0], points[1]
    eyes, mouth = (left + right) / 2, (points[3] + points[4]) / 2
    eye_axis, down = right - left, mouth - eyes
    eye_distance = max(float(np.linalg.norm(eye_axis)), 1e-6)
    mouth_distance = max(float(np.linalg.norm(down)), 1e-6)
    across = np.array([down[1], -down[0]]) / mouth_distance
    axis = eye_axis / eye_distance + across
    if not np.linalg.norm(axis) > 1e-6:  # points that are no face: any frame will do
        axis = np.array([1.0, 0.0])
    axis = axis / np.linalg.norm(axis)
    scale = max(eye_distance, EYE_TO_MOUTH_SHARE * mouth_distance) / IOD_IN_CROP
    matrix = scale * np.array([[axis[0], -axis[1]], [axis[1], axis[0]]])
    return Alignment(matrix.astype(np.float32), (eyes - matrix @ EYE_CENTRE).astype(np.float32))


def quarter_turn(turns: int, width: float, height: float) -> tuple[Array, Array]:
    """Matrix (2, 2) and offset (2,) from a photo's pixels to those of `np.rot90(photo, turns)`."""
    turns %= 4
    shift = [[0, 0], [0, width], [width, height], [height, 0]][turns]
    return np.linalg.matrix_power(_QUARTER, turns), np.array(shift, np.float32)


def five_points(landmarks: Array) -> Array:
    """(478, >=2) landmarks to MTCNN's five points (5, 2), in the same units."""
    rows = [RIGHT_IRIS.start, LEFT_IRIS.start, 4, *_MOUTH_CORNERS]
    return landmarks[rows, :2]


def points_of_box(box: Array) -> Array:
    """Where the five points usually lie in a face box (x0, y0, x1, y1)."""
    usual = np.array([[0.31, 0.39], [0.69, 0.39], [0.5, 0.58], [0.35, 0.77], [0.65, 0.77]])
    low, high = box[:2], box[2:]
    return (low + usual * (high - low)).astype(np.float32)
