"""Pairs for translation: what the mesh made of a face, and the real face that it should be.

Two kinds. *Warped*: a real crop is moved to another expression and back (see `pairs`); the target
is that crop, pixel by pixel. *Real*: of two crops of one person the calmer one is moved until its
landmarks are the other's; the target is the other inside the face, in the first one's light.
"""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from memegen import aus
from memegen.arrays import Array, Integers, Picture
from memegen.generators.base import Scene
from memegen.generators.mesh import MeshGenerator, Moved
from memegen.generators.pix2pix import REFINED
from memegen.generators.windows import FACE, Window, place, to_pixels
from memegen.geometry.box import Box
from memegen.geometry.outline import fill
from memegen.geometry.topology import FACE_OVAL
from memegen.training.crops import Crops
from memegen.training.pairs import PairConfig, PairDataset
from memegen.training.ring_buffer import Example

APART = 0.8  # sum of the changes of all action units (each 0..1) from which two crops differ
TURNED = 9.0  # degrees that heads of a real pair may differ by, about each axis
DIFFERENT = 0.09  # mean difference (of 1) inside the face beyond which a pair is of other photos
OVAL = 0.96  # of the face's outline lies inside the mask, the rest may be hair
SOFT = 0.02  # blur of the mask, in crop widths
TRIES = 6  # real pairs looked at for one that can be used


@dataclass(frozen=True)
class TranslationConfig:
    """How pairs are drawn."""

    real: float = 0.3  # share of real pairs, where the data has people seen twice
    warped: PairConfig = field(
        default_factory=lambda: PairConfig(
            sources=(("hires", 1.0), ("congress", 0.5), ("celeba", 0.15), ("utk", 0.15),
                     ("news", 0.0)),
        )
    )  # fmt: skip


class TranslationPairs:
    """Draw number i is always the same draw (`draws.Maker`)."""

    def __init__(
        self,
        crops: Crops,
        config: TranslationConfig,
        windows: tuple[Window, ...] = REFINED,
        seed: int = 0,
    ) -> None:
        self._config, self._windows = config, (FACE, *windows)
        self._pairs = PairDataset(crops, config.warped, {}, seed)
        self._mesh = MeshGenerator(eyes=False)
        self.people = people_of(crops)

    def draw(self, index: int) -> Example:
        """photo, moved and target: crops (3, S, S) uint8; weight (1, S, S) uint8: where the target
        is real; real: whether it is a real pair; source and reached (K,); affines (W, 2, 3) from
        units of each window to pixels: the whole face first.
        """
        rng = np.random.default_rng([self._pairs.seed, index])
        if len(self.people) and rng.random() < self._config.real:
            found = next(filter(None, (self._real(rng) for _ in range(TRIES))), None)
            if found is not None:
                return found
        return self._warped(rng)

    def _warped(self, rng: np.random.Generator) -> Example:
        picture, landmarks, source, other = self._pairs.sample(rng)
        scene = self._pairs.scene(picture, landmarks, source)
        away = self._pairs.moved(scene, other)
        photo, side = away.picture, len(picture)
        there = self._pairs.scene(photo, away.landmarks[0] / side, other)
        moved = self._pairs.moved(there, source)
        whole: Picture = np.full(picture.shape[:2], 255, np.uint8)
        return self._drawn(there, moved, (photo, picture, whole), (other, source))

    def _real(self, rng: np.random.Generator) -> Example | None:
        """A pair of one person, None if they were photographed too differently."""
        crops, (one, two) = self._pairs.crops, self.people[rng.integers(len(self.people))]
        photo, target = self._decoded(one), self._decoded(two)
        marks = [crops.landmarks[row] for row in (one, two)]
        source, reached = (crops.units[row] for row in (one, two))
        if rng.random() < 0.5:
            photo, target = (np.ascontiguousarray(p[:, ::-1]) for p in (photo, target))
            marks = [m[crops.mirrored] * np.array([-1, 1, 1]) + np.array([1, 0, 0]) for m in marks]
            source, reached = aus.mirror(source), aus.mirror(reached)
        scene = self._pairs.scene(photo, marks[0].astype(np.float32), source)
        moved = self._onto(scene, marks[1].astype(np.float32), reached)
        mask = face_mask(scene.pixels(marks[1]), len(photo))
        lit = in_light_of(target, moved.picture, mask)
        share = mask[..., None]
        made = moved.images[0].numpy()
        error = np.abs(lit - made) * share
        if error.sum() / (3 * share.sum() * 255) > DIFFERENT:
            return None
        whole = np.clip(share * lit + (1 - share) * made + 0.5, 0, 255)
        shown = (photo, whole.astype(np.uint8), (mask * 255).astype(np.uint8))
        return self._drawn(scene, moved, shown, (source, reached), real=True)

    def _onto(self, scene: Scene, landmarks: Array, reached: Array) -> Moved:
        """A scene moved until its landmarks (478, 3) in crop units are these."""
        renderer, at = self._mesh.prepare(scene), scene.pixels(landmarks)[None]
        flow = renderer.flow_of(at)
        images = renderer.warp(reached[None], flow)
        renderer.draw_interiors(images, at, reached[None])
        return Moved(images, at, flow, reached[None])

    def _drawn(
        self,
        scene: Scene,
        moved: Moved,
        shown: tuple[Picture, Picture, Picture],
        units: tuple[Array, Array],
        real: bool = False,
    ) -> Example:
        photo, target, weight = shown
        points, scale = scene.units(moved.landmarks), float(scene.motion.pose.scale)
        placed = [to_pixels(place(w, points, scale), scene.to_pixels)[0] for w in self._windows]
        return {
            "photo": _planes(photo), "moved": _planes(moved.picture), "target": _planes(target),
            "weight": weight[None].copy(), "real": np.array(real),
            "source": units[0].astype(np.float32), "reached": units[1].astype(np.float32),
            "affines": np.stack(placed).astype(np.float32),
        }  # fmt: skip

    def _decoded(self, row: int) -> Picture:
        side = self._config.warped.canvas
        with Image.open(io.BytesIO(self._pairs.crops.jpegs[row])) as image:
            return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))


def people_of(crops: Crops) -> Integers:
    """(P, 2) rows of one person whose expressions differ, the calmer one first."""
    if crops.identity is None:
        return np.zeros((0, 2), np.int64)
    head = np.array([aus.head_degrees(units) for units in crops.units]).reshape(len(crops), 3)
    face = [i for i, name in enumerate(aus.CHANNELS) if int(name[2:].rstrip("LR")) < 51]
    active = crops.units[:, face]
    rows = np.flatnonzero((crops.identity >= 0) & (crops.weight > 0))
    rows = rows[np.argsort(crops.identity[rows], kind="stable")]
    people = np.split(rows, np.flatnonzero(np.diff(crops.identity[rows])) + 1)
    found = []
    for pair in itertools.chain.from_iterable(itertools.combinations(p, 2) for p in people):
        one, two = sorted(pair, key=lambda row: float(active[row].sum()))
        alike = np.abs(active[one] - active[two]).sum() < APART
        if not alike and np.abs(head[one] - head[two]).max() < TURNED:
            found.append((one, two))
    return np.array(found, np.int64).reshape(-1, 2)


def face_mask(points: Array, side: int) -> Array:
    """(side, side) 1 inside a face with landmarks (478, 2+) in pixels, softly 0 outside."""
    oval = points[list(FACE_OVAL), :2]
    inside = fill(oval.mean(0) + OVAL * (oval - oval.mean(0)), Box(0, 0, side, side))
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), SOFT * side), np.float32)


def in_light_of(picture: Picture, other: Picture, mask: Array) -> Array:
    """A picture (S, S, 3) with the mean and spread of each colour that another has inside a mask.

    Reinhard et al. 2001, "Color Transfer between Images", in RGB. Returns levels 0..255, floats.
    """
    share = mask[..., None] / max(float(mask.sum()), 1e-6)
    found = []
    for levels in (picture.astype(np.float32), other.astype(np.float32)):
        mean = (levels * share).sum((0, 1))
        found.append((levels - mean, mean, np.sqrt((share * (levels - mean) ** 2).sum((0, 1)))))
    (centred, _, spread), (_, mean, wanted) = found
    gain = np.clip(wanted / np.maximum(spread, 1e-6), 0.6, 1.6)
    return np.asarray(np.clip(centred * gain + mean, 0, 255), np.float32)


def _planes(picture: Picture) -> Picture:
    return np.ascontiguousarray(picture.transpose(2, 0, 1))
