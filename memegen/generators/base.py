"""What every generator offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from memegen.arrays import Array, Picture
from memegen.faces.align import Alignment
from memegen.geometry.box import Box
from memegen.geometry.flow import ring_points
from memegen.geometry.motion import FaceMotion
from memegen.tracks import Detail

if TYPE_CHECKING:
    from memegen.generators.shared_appearance import SharedAppearance


_CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)  # of a crop


@dataclass(frozen=True)
class Scene:
    """One face in the part of the photo that may change."""

    picture: Picture  # (H, W, 3 or 4) part of the photo, at its own resolution
    to_pixels: Array  # (2, 3) affine from crop units to pixels of `picture`
    motion: FaceMotion
    # What all frames of a clip share; None: told by the picture.
    shared_appearance: SharedAppearance | None = None

    @classmethod
    def of(
        cls, canvas: Picture, alignment: Alignment, motion: FaceMotion, whole_crop: bool = False
    ) -> tuple[Box, Scene]:
        """The part of a picture (H, W, 3 or 4) that a face may change, and where it lies.

        alignment says where the crop lies whose units the motion's landmarks are in, in pixels.
        What may change is around the landmarks, or the `whole_crop`.
        """
        changes = _CORNERS if whole_crop else ring_points(motion.landmarks)
        reach = alignment.to_photo(changes)
        box = Box.around(reach, 2, *canvas.shape[:2])
        affine = alignment.affine - np.array([[0, 0, box.left], [0, 0, box.top]], np.float32)
        return box, cls(np.ascontiguousarray(canvas[box.slices]), affine, motion)

    @property
    def unit(self) -> float:
        """Pixels of `picture` in one crop width."""
        return float(np.sqrt(abs(np.linalg.det(self.to_pixels[:, :2]))))

    def pixels(self, points: Array) -> Array:
        """(..., 2 or 3) crop units to pixels; a third coordinate is scaled likewise."""
        flat = points[..., :2] @ self.to_pixels[:, :2].T + self.to_pixels[:, 2]
        return np.concatenate([flat, points[..., 2:] * self.unit], -1).astype(np.float32)

    def units(self, points: Array) -> Array:
        """(..., 2 or 3) pixels to crop units; the inverse of `pixels`."""
        inverse = np.linalg.inv(self.to_pixels[:, :2]).T
        flat = (points[..., :2] - self.to_pixels[:, 2]) @ inverse
        return np.concatenate([flat, points[..., 2:] / self.unit], -1).astype(np.float32)


class Renderer(Protocol):
    """Renders one scene."""

    def outline(self) -> Array:
        """(N, 2) polygon in pixels: nothing outside it ever changes."""
        ...

    def render(self, targets: Array, detail: Detail | None = None) -> Iterator[Array]:
        """(T, K) expressions 0..1 to T pictures (H, W, 3 or 4) float32, 0..255, one at a time.

        `detail`: what a performer's mesh did in these frames beyond the action units.
        """
        ...


class Generator(Protocol):
    """Prepares renderers; holds what does not depend on the photo."""

    name: str

    def prepare(self, scene: Scene) -> Renderer:
        """Do everything that depends on the photo and not on the frame."""
        ...
