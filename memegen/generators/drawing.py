"""Animates drawn faces: networks move a square crop, and only what they change is put back.

The crop is the scene's own (see `cartoon.find`): what networks say is applied to the drawing at its
own resolution, and pixels that they leave alone are the drawing's to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import cv2
import numpy as np

from memegen.arrays import Array, Picture
from memegen.cartoon.pose import pose_of
from memegen.cartoon.scenery import as_picture
from memegen.curves import smoothstep
from memegen.generators.base import Scene
from memegen.tracks import Detail

MOST_SIDE = 1024  # pixels of a crop that networks are asked to move; larger ones are reduced
FEATHER = 0.06  # of the crop's side: over this, changes fade out towards its edges
# Shares of change, see DrawingNetworks: less is left as it was drawn, more is the network's.
SEEN, SURE = 0.15, 0.5
SPREAD = 1 / 256  # of the crop's side: pixels as near to changed ones are changed, too
_PAPER = 255  # what networks see behind a drawing that is transparent


class DrawingNetworks(Protocol):
    """What moves the crop of a drawing."""

    def render(self, crop: Picture, poses: Array) -> Iterator[tuple[Picture, Array]]:
        """A crop (S, S, 3) in T poses (T, P): pictures (S, S, 3), and how far pixels changed.

        That is (S, S) 0..1: 1 where there is no doubt that something else is seen.
        """
        ...


class DrawingGenerator:
    """Makes renderers for drawings; `file` names or is the weights of the networks."""

    name = "cartoon"

    def __init__(
        self, device: str = "cpu", file: str = "cartoon", networks: DrawingNetworks | None = None
    ) -> None:
        if networks is None:
            from memegen.generators.cartoon import CartoonNetworks

            networks = CartoonNetworks(device, file)
        self._networks = networks

    @property
    def network(self) -> Any:
        """The network of the weights; None where others move the drawing."""
        return getattr(self._networks, "network", None)

    def prepare(self, scene: Scene) -> DrawingRenderer:
        """Cut the scene's crop out."""
        return DrawingRenderer(scene, self._networks)


class DrawingRenderer:
    """One drawn face: whole pixels of the drawing, so that nothing is resampled."""

    def __init__(self, scene: Scene, networks: DrawingNetworks) -> None:
        self._networks = networks
        self._drawing = scene.picture
        self._side = max(8, round(scene.unit))
        self._left, self._top = (round(float(v)) for v in scene.to_pixels[:, 2])
        height, width = self._drawing.shape[:2]
        self._rows = slice(max(self._top, 0), max(min(self._top + self._side, height), 0))
        self._columns = slice(max(self._left, 0), max(min(self._left + self._side, width), 0))
        self._window = np.outer(
            _fade(self._side, self._top, height), _fade(self._side, self._left, width)
        )
        self._crop = self._cut()

    def outline(self) -> Array:
        """(4, 2) corners of the crop, in pixels."""
        x0, y0, x1, y1 = self._left, self._top, self._left + self._side, self._top + self._side
        return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)

    def render(self, targets: Array, detail: Detail | None = None) -> Iterator[Array]:
        """(T, K) expressions to T pictures (H, W, 3 or 4); what a mesh did besides is not used."""
        del detail
        for picture, changed in self._networks.render(self._crop, pose_of(targets)):
            yield self._composited(picture, changed)

    def _cut(self) -> Picture:
        """The crop (S, S, 3) that networks see: on paper, edges continued, S at most MOST_SIDE."""
        paper = np.round(_on_paper(self._drawing)).astype(np.uint8)
        height, width = paper.shape[:2]
        rows = np.clip(np.arange(self._top, self._top + self._side), 0, height - 1)
        columns = np.clip(np.arange(self._left, self._left + self._side), 0, width - 1)
        crop = np.ascontiguousarray(paper[rows[:, None], columns[None, :]])
        return crop if self._side <= MOST_SIDE else _resized(crop, MOST_SIDE)

    def _composited(self, picture: Picture, changed: Array) -> Array:
        reach = max(3, 2 * round(SPREAD * len(changed)) + 1)
        near = cv2.dilate(np.ascontiguousarray(changed, np.float32), np.ones((reach, reach)))
        weight = smoothstep(SEEN, SURE, np.asarray(near, np.float32))
        if len(picture) != self._side:
            picture = _resized(picture, self._side)
            weight = np.asarray(cv2.resize(weight, (self._side, self._side)), np.float32)
        inside = (
            slice(self._rows.start - self._top, self._rows.stop - self._top),
            slice(self._columns.start - self._left, self._columns.stop - self._left),
        )
        weight = (weight * self._window)[inside][..., None].astype(np.float32)
        out = self._drawing.astype(np.float32)
        part = out[self._rows, self._columns]
        part[..., :3] += weight * (picture[inside] - part[..., :3])
        if out.shape[2] == 4:  # what is painted is seen
            part[..., 3:] = np.maximum(part[..., 3:], 255 * weight)
        return out


def _fade(side: int, start: int, size: int) -> Array:
    """(side,) 0..1 along a crop's side: fades at its ends, unless the drawing ends before them."""
    at = (np.arange(side, dtype=np.float32) + 0.5) / (FEATHER * side)
    low = np.ones_like(at) if start <= 0 else smoothstep(0, 1, at)
    high = np.ones_like(at) if start + side >= size else smoothstep(0, 1, at[::-1])
    return low * high


def _on_paper(drawing: Picture) -> Array:
    """(H, W, 3) float32 of a drawing whose transparent parts show paper."""
    colours = drawing[..., :3].astype(np.float32)
    if drawing.shape[2] == 3:
        return colours
    share = drawing[..., 3:].astype(np.float32) / 255
    return np.asarray(colours * share + _PAPER * (1 - share), np.float32)


def _resized(picture: Picture, side: int) -> Picture:
    smaller = side < len(picture)
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return as_picture(cv2.resize(picture, (side, side), interpolation=how))
