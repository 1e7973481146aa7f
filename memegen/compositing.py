"""Compositing: paste what was rendered for a face back into its picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from memegen.arrays import Array, Picture
from memegen.generators import Renderer
from memegen.geometry.box import Box
from memegen.geometry.head import FACE_MIDDLE
from memegen.geometry.motion import FaceMotion
from memegen.tracks import HeadTransform


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
        matrix, offset = self.motion.head_affine(target, float(FACE_MIDDLE[2]))
        here = self.motion.pose.to_crop(FACE_MIDDLE[None])[0, :2]
        gone = (matrix @ here + offset - here) / self.motion.pose.scale
        return replace(place, shift=place.shift - self.turn @ gone)


def paste_back(
    frame: Picture, face: PreparedFace, picture: Array, before: Picture | None = None
) -> None:
    """Paste what was rendered for a face, (h, w, C) 0..255, into its frame (H, W, C), in place.

    `before`: the frame without any change, where near faces are pasted one after the other; the
    later must not undo the earlier one's change.
    """
    view = frame[face.box.slices]
    np.clip(picture, 0, 255, out=picture)
    picture += 0.5
    new = picture.astype(np.uint8)
    inside = face.inside
    if before is not None:
        inside = inside * (new != before[face.box.slices]).any(-1, keepdims=True)
    new ^= view
    new &= inside
    view ^= new  # `new` where inside, else `view`: four times as fast as a masked copy
