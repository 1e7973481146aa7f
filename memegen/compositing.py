"""Compositing: paste what was rendered for faces back into their picture, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from memegen.arrays import Array, Mask, Picture
from memegen.generators import Renderer
from memegen.geometry.box import Box
from memegen.geometry.head import FACE_MIDDLE, warp_head
from memegen.geometry.motion import FaceMotion
from memegen.tracks import Detail, HeadTrajectory, HeadTransform, Track


@dataclass(frozen=True)
class PreparedFace:
    """One face ready to be rendered: where, how, and what it looks like at rest."""

    box: Box
    inside: Picture  # (h, w, channels) 255 where pixels may change, 0 where they must not
    renderer: Renderer
    source: Array  # (K,)
    motion: FaceMotion
    middle: Array  # (2,) pixels of the picture: the middle of the face
    iod: float  # pixels
    turn: Array  # (2, 2) crop axes (IOD) to the picture's
    turns: int = 0  # quarter turns, anticlockwise, of the picture that all this is in pixels of

    def place(self, place: HeadTransform, target: Array) -> HeadTransform:
        """What is left of a head's way where the mesh has turned the face for `target` (K,)."""
        matrix, offset = self.motion.head_affine(target[None], float(FACE_MIDDLE[2]))
        here = self.motion.pose.to_crop(FACE_MIDDLE[None])[0, :2]
        gone = (matrix[0] @ here + offset[0] - here) / self.motion.pose.scale
        return replace(place, shift=place.shift - self.turn @ gone)


def paste_back(
    frame: Picture, face: PreparedFace, picture: Array, before: Picture | None = None
) -> None:
    """Paste what was rendered for a face, (h, w, C) 0..255, into its frame (H, W, C), in place.

    `before`: the frame without any change, where near faces are pasted one after the other; the
    later must not undo the earlier one's change.
    """
    view = frame[face.box.slices]
    np.maximum(picture, 0, out=picture)
    new = np.asarray(cv2.convertScaleAbs(picture), np.uint8)  # rounded, at most 255
    inside = face.inside
    if before is not None:
        inside = inside * (new != before[face.box.slices]).any(-1, keepdims=True)
    new ^= view
    new &= inside
    view ^= new  # `new` where inside, else `view`: four times as fast as a masked copy


def render(
    canvas: Picture, faces: list[PreparedFace], track: Track, intensity: float
) -> Iterator[Picture]:
    """Composite each face's change into the photo (H, W, 3 or 4), frame by frame.

    A frame equal to the one before, as in holds, is not painted again but copied.
    """
    detail = track.detail
    if detail is not None:
        detail = replace(detail, shift=detail.shift * np.float32(intensity))
    targets = [track.resolve(face.source, intensity) for face in faces]
    held = repeats(targets, detail, track.head)
    painted = np.flatnonzero(~held)
    shown = detail.rows(painted) if detail is not None else None
    renders = [
        face.renderer.render(t[painted], shown) for face, t in zip(faces, targets, strict=True)
    ]
    pictures = zip(*renders, strict=True)
    frame = canvas
    for index in range(len(track)):
        if not held[index]:
            place = track.head.place(index, intensity) if track.head is not None else None
            expressions = [t[index] for t in targets]
            frame = _composited(canvas, faces, next(pictures), expressions, place)
        yield frame.copy() if index + 1 < len(track) and held[index + 1] else frame


def repeats(targets: Sequence[Array], detail: Detail | None, head: HeadTrajectory | None) -> Mask:
    """(T,) which frames show just what the one before them does.

    targets: every face's (T, K) expressions; detail and head: of T frames.
    """
    asked = [*targets]
    if detail is not None:
        asked.append(detail.shift)
    if head is not None:
        asked += [head.shift, head.scale, head.roll]
    held = np.zeros(len(asked[0]), bool)
    held[1:] = True
    for values in asked:
        changes = values[1:] != values[:-1]
        held[1:] &= ~changes.any(axis=tuple(range(1, values.ndim)))
    return held


def _composited(
    canvas: Picture,
    faces: list[PreparedFace],
    pictures: Sequence[Array],
    expressions: Sequence[Array],
    place: HeadTransform | None,
) -> Picture:
    """One frame: every face's picture and expression (K,) in the canvas; heads where they go."""
    frame = canvas.copy()
    for face, picture in zip(faces, pictures, strict=True):
        before = np.rot90(canvas, face.turns) if len(faces) > 1 else None
        paste_back(np.rot90(frame, face.turns), face, picture, before)
    if place is not None:
        for face, expression in zip(faces, expressions, strict=True):
            left = face.place(place, expression)
            warp_head(np.rot90(frame, face.turns), face.middle, face.iod, left)
    return frame
