"""Pictures of drawn characters in any pose: exact pairs for the networks to learn from.

Vector shapes on layers at depths, drawn enlarged and reduced. The same style and pose always give
the same bytes, and a small change of the pose moves everything by little.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from memegen.arrays import Array, Picture
from memegen.cartoon.beard import draw_beard
from memegen.cartoon.canvas import Canvas
from memegen.cartoon.extras import draw_behind, draw_glasses, draw_hat
from memegen.cartoon.eyes import EyePose, draw_brow, draw_eye
from memegen.cartoon.figure import (
    BROW_LINE_Y,
    draw_body,
    draw_ears,
    draw_face,
    face_outline,
    outline_depth,
)
from memegen.cartoon.hair import draw_back, draw_front, draw_locks, outline_color
from memegen.cartoon.head import Head
from memegen.cartoon.mouth import JAW_DROP, MouthPose, draw_mouth, draw_nose
from memegen.cartoon.pose import INDEX, POSE
from memegen.cartoon.scenery import as_picture, backdrop, finish
from memegen.cartoon.style import CartoonStyle

SIZE = 256  # pixels

_REST = np.zeros(len(POSE), np.float32)


@dataclass(frozen=True)
class Posed:
    """A character's pose with how it was drawn: what its parts do."""

    head: Head
    left: EyePose
    right: EyePose
    mouth: MouthPose
    brow_left: float
    brow_right: float
    frown: float
    drop: float  # of the chin

    @classmethod
    def of(cls, style: CartoonStyle, pose: Array) -> Posed:
        """Add a pose (P,) to the one a character was drawn in."""
        given, rest = dict(zip(POSE, map(float, pose), strict=True)), style.rest

        def add(name: str) -> float:
            return given[name] + rest[INDEX[name]]

        def rise(name: str) -> float:  # 0..1: the rest of the way to 1
            return rest[INDEX[name]] + (1 - rest[INDEX[name]]) * given[name]

        eyes = [
            EyePose(rise(f"{side}_eye"), given["wide"], add("gaze_x"), add("gaze_y"))
            for side in ("left", "right")
        ]
        mouth = MouthPose(rise("mouth"), add("smile"), given["pucker"])
        root = style.face.chin_y + 0.1  # a head leans about the middle of its neck
        return cls(
            Head(add("yaw"), add("pitch"), add("roll"), root),
            eyes[0],
            eyes[1],
            mouth,
            add("brow_left"),
            add("brow_right"),
            rise("frown"),
            JAW_DROP * mouth.open * style.mouth.tall,
        )


def render(style: CartoonStyle, pose: Array, size: int = SIZE, supersample: int = 2) -> Picture:
    """A character in a pose (P,), `size` pixels square: (size, size, 3) uint8."""
    large = size * supersample
    canvas = Canvas(backdrop(style.backdrop, large), _to_pixels(style, large), _scale(style, large))
    _draw(canvas, style, Posed.of(style, pose))
    picture = canvas.picture
    if supersample > 1:
        picture = as_picture(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA))
    return finish(picture, style.finish)


def render_pair(
    style: CartoonStyle, pose: Array, size: int = SIZE, supersample: int = 2
) -> tuple[Picture, Picture]:
    """A character as it was drawn (a pose of zeros), and in a pose (P,)."""
    return render(style, _REST, size, supersample), render(style, pose, size, supersample)


def face_box(style: CartoonStyle, pose: Array, size: int = SIZE) -> Array:
    """(4,) x, y, width, height in pixels of a face: from above its brows to its chin."""
    posed = Posed.of(style, pose)
    outline = face_outline(style.face, posed.drop)
    placed = posed.head.place(outline, outline_depth(outline))[outline[:, 1] > BROW_LINE_Y]
    affine = _to_pixels(style, size)
    pixels = placed @ affine[:, :2].T + affine[:, 2]
    low, high = pixels.min(0), pixels.max(0)
    return np.concatenate([low, high - low]).astype(np.float32)


def _scale(style: CartoonStyle, size: int) -> float:
    return style.placement.width * size / 2


def _to_pixels(style: CartoonStyle, size: int) -> Array:
    """(2, 3) from face units to pixels."""
    place, scale = style.placement, _scale(style, size)
    cos, sin = np.cos(place.turn), np.sin(place.turn)
    linear = scale * np.array([[cos, -sin], [sin, cos]]) @ np.diag([1.0, place.stretch])
    middle = np.array([0.0, (BROW_LINE_Y + style.face.chin_y) / 2])
    shift = size * np.array([place.x, place.y]) - linear @ middle
    return np.concatenate([linear, shift[:, None]], 1)


def _draw(canvas: Canvas, style: CartoonStyle, posed: Posed) -> None:
    head, ink, face, hair = posed.head, style.ink, style.face, style.hair
    line = outline_color(ink, face.skin)
    draw_back(canvas, head, hair, ink)
    draw_body(canvas, head, face, ink)
    draw_behind(canvas, head, style.extras, hair, ink)
    draw_ears(canvas, head, face, ink, style.extras.earrings)
    draw_face(canvas, head, face, hair, ink, posed.drop)
    if hair.beard != "none":
        draw_beard(canvas, head, hair, face, ink, style.mouth.y, posed.drop)
    draw_mouth(canvas, head, style.mouth, posed.mouth)
    for side, eye in ((1, posed.left), (-1, posed.right)):
        draw_eye(canvas, head, style.eye, ink, side, eye)
    draw_nose(canvas, head, style.nose, face, ink, line)
    if not style.brow.over_hair:
        _draw_brows(canvas, style, posed)
    draw_glasses(canvas, head, style.extras, style.eye)
    draw_locks(canvas, head, hair, ink)
    draw_front(canvas, head, hair, ink)
    draw_hat(canvas, head, style.extras, hair, ink)
    if style.brow.over_hair:
        _draw_brows(canvas, style, posed)


def _draw_brows(canvas: Canvas, style: CartoonStyle, posed: Posed) -> None:
    for side, raised in ((1, posed.brow_left), (-1, posed.brow_right)):
        draw_brow(canvas, posed.head, style.eye, style.brow, side, raised, posed.frown)
