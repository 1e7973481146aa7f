"""What every generator offers, and where it is found by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from memegen.arrays import Array, Picture
from memegen.errors import UsageError, nearest
from memegen.geometry.motion import FaceMotion


@dataclass(frozen=True)
class Scene:
    """One face in the part of the photo that may change."""

    picture: Picture  # (H, W, 3 or 4) part of the photo, at its own resolution
    to_pixels: Array  # (2, 3) affine from crop units to pixels of `picture`
    motion: FaceMotion

    @property
    def unit(self) -> float:
        """Pixels of `picture` in one crop width."""
        return float(np.sqrt(abs(np.linalg.det(self.to_pixels[:, :2]))))

    def pixels(self, points: Array) -> Array:
        """(..., 2 or 3) crop units to pixels; a third coordinate is scaled likewise."""
        flat = points[..., :2] @ self.to_pixels[:, :2].T + self.to_pixels[:, 2]
        return np.concatenate([flat, points[..., 2:] * self.unit], -1).astype(np.float32)


class Painter(Protocol):
    """Paints one scene."""

    def outline(self) -> Array:
        """(N, 2) polygon in pixels: nothing outside it ever changes."""
        ...

    def paint(self, targets: Array) -> Iterator[Array]:
        """(T, K) expressions 0..1 to T pictures (H, W, 3 or 4) float32, 0..255, one at a time."""
        ...


class Generator(Protocol):
    """Prepares painters; holds what does not depend on the photo."""

    name: str

    def prepare(self, scene: Scene) -> Painter:
        """Do everything that depends on the photo and not on the frame."""
        ...


def _mesh(device: str) -> Generator:
    from memegen.generators.mesh import MeshGenerator

    return MeshGenerator(device)


_REGISTRY: dict[str, Callable[[str], Generator]] = {"mesh": _mesh}


def generator_names() -> list[str]:
    """Names that `--model` takes."""
    return sorted(_REGISTRY)


def generator_named(name: str, device: str = "cpu") -> Generator:
    """Make a generator by its registered name. Raises UsageError naming the nearest one."""
    if name not in _REGISTRY:
        raise UsageError(
            f"unknown model '{name}'{nearest(name, _REGISTRY)} "
            f"(known: {', '.join(generator_names())})"
        )
    return _REGISTRY[name](device)
