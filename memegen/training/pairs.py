"""Training pairs from single photos: the target is always a real picture.

A real crop X shows expression y. The mesh moves it to another expression y' (X'), and from there
back to y (W). The network sees photo X' and moved picture W, and is to make X of it: teeth, lids
and creases are learnt from real ones. X' is also what inference makes of a real photo, so the same
draw gives an unpaired sample: photo X, moved picture X', no target but what discriminators and
perception say.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from memegen import aus
from memegen.arrays import Array, Picture
from memegen.generators.base import Scene
from memegen.generators.mesh import MeshGenerator, Moved
from memegen.generators.windows import WINDOWS, draw_masks, place, to_pixels
from memegen.geometry.anatomy import Anatomy, load_anatomy
from memegen.geometry.motion import FaceMotion
from memegen.training.crops import OPENING, Crops
from memegen.training.ring_buffer import Example, RingBuffer
from memegen.training.workers import Workers

AHEAD = 16  # draws that every process has been asked for: a step takes several at once
FLOW_SIDE = 64  # samples of the mesh flow kept across a canvas

WIDE = 0.3  # AU26 of a mouth open enough to be opened further

_PARTING = [aus.INDEX[c] for au in (10, 12, 14, 20, 22) for c in aus.BY_NUMBER[au].channels]
_LIDS = [aus.INDEX[c] for c in ("AU45L", "AU45R")]
_GROUPS: dict[str, list[int]] = {}
for _au in aus.TABLE:
    _part = "eyes" if _au.group in ("eyes", "gaze") else _au.group
    _GROUPS.setdefault(_part, []).extend(aus.INDEX[c] for c in _au.channels)


@dataclass(frozen=True)
class PairConfig:
    """How pairs are drawn. Shares are probabilities."""

    canvas: int = 256  # pixels of the crops that are moved: 110 px of them are a mouth's window
    closed: float = 0.55  # share of y' whose mouth is shut
    wider: float = 0.3  # share of open mouths that the mesh opens further before all else
    shut_eyes: float = 0.12  # share of y' with one or both eyes shut
    one_part: float = 0.25  # share of y' that differs from y in one part of the face only
    same: float = 0.04  # share of y' that is y: nothing may change then
    turned: float = 0.35  # share of y' with another head pose
    turn: float = 7.0  # degrees, standard deviation of that change
    # largest spread of noise on the landmark code; 0.24 moves landmarks by 0.012 IOD
    landmark_noise: float = 0.24
    worn: float = 0.2  # share of crops reduced or compressed first
    sources: tuple[tuple[str, float], ...] = (  # how often each kind of crop is drawn
        ("hires", 1.0), ("congress", 0.7), ("celeba", 0.05), ("utk", 0.05), ("news", 0.0),
    )  # fmt: skip


@dataclass(frozen=True)
class PoolConfig:
    """How many draws are kept, and made anew for each step."""

    size: int = 2048  # draws kept; half a megabyte each
    first: int = 512  # draws made before the first step
    fresh: int = 4  # new draws each step
    workers: int = 2  # processes that make draws


class PairDataset:
    """Draw number i is always the same draw: a run can go on exactly where it stopped."""

    def __init__(
        self,
        crops: Crops,
        config: PairConfig,
        sides: dict[str, int],
        seed: int = 0,
        anatomy: Anatomy | None = None,
    ) -> None:
        """`sides`: pixels of the windows of each network, in which outlines are drawn."""
        self.crops, self.config, self.sides, self.seed = crops, config, sides, seed
        anatomy = anatomy or load_anatomy()
        # A gain would carry X' -> W beyond where X is.
        self.anatomy = replace(anatomy, gains=np.ones_like(anatomy.gains))
        self._mesh = MeshGenerator(eyes=False)
        self._first: FaceMotion | None = None
        self._total = np.cumsum(crops.weight, dtype=np.float64)[:-1]

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One draw: see `make`."""
        rng = np.random.default_rng([self.seed, index])
        picture, landmarks, source, other = self.sample(rng)
        wide = None
        if rng.random() < self.config.wider and source[OPENING[1]] > WIDE:
            wide = source.copy()
            wide[OPENING] = np.maximum(source[OPENING], rng.uniform(0.3, 1.0, len(OPENING)))
        return self.make(picture, landmarks, source, other, wide)

    def arrays(self, index: int) -> Example:
        """One draw, as it is sent from one process to another."""
        return {name: value.numpy() for name, value in self[index].items()}

    def sample(self, rng: np.random.Generator) -> tuple[Picture, Array, Array, Array]:
        """Crop X (S, S, 3), its landmarks (478, 3) and expression y (K,), and y' (K,)."""
        crops = self.crops
        row, other = np.searchsorted(self._total, rng.random(2))
        picture = self._picture(row, rng)
        landmarks, source, target = crops.landmarks[row], crops.units[row], crops.units[other]
        if crops.others is not None:
            target = crops.others[rng.integers(len(crops.others))]
        if rng.random() < 0.5:
            picture = np.ascontiguousarray(picture[:, ::-1])
            landmarks = landmarks[crops.mirrored] * np.array([-1, 1, 1]) + np.array([1, 0, 0])
            source, target = aus.mirror(source), aus.mirror(target)
        noise = rng.normal(size=len(crops.components)).astype(np.float32)
        noise *= self.config.landmark_noise * rng.random()
        landmarks = landmarks + np.tensordot(noise, crops.components, 1)
        return picture, landmarks.astype(np.float32), source, self.other(source, target, rng)

    def make(
        self, picture: Picture, landmarks: Array, source: Array, other: Array, wide: Array | None
    ) -> dict[str, Tensor]:
        """A draw from crop X (S, S, 3) with landmarks (478, 3) and expressions y, y' (K,).

        `wide` is y with an open mouth opened further: then X becomes what the mesh makes of it.
        No one screams or yawns in a press photo; without these the networks would not know wide
        mouths at all.

        Returns canvases x, x_moved (X'), x_back (W), each (3, S, S) uint8; flow_moved and
        flow_back (2, FLOW_SIDE, FLOW_SIDE) in crop units; source (y) and target (y'), (K,); and for
        each window and canvas the affine to canvas units (-1..1) and the drawn outlines, as
        `CANVAS/WINDOW/affine` and `CANVAS/WINDOW/masks`.
        """
        side, scene = picture.shape[0], self.scene(picture, landmarks, source)
        moved = self.moved(scene, other)
        if wide is not None:
            target = self.moved(scene, wide)
            picture, landmarks, source = target.picture, target.landmarks[0] / side, wide
        first = moved.picture
        back = self.moved(self.scene(first, moved.landmarks[0] / side, other), source)
        draw = {
            "x": _channels(picture), "x_moved": _channels(first),
            "x_back": _channels(back.picture),
            "flow_moved": _coarse(moved.flow, side), "flow_back": _coarse(back.flow, side),
            "source": torch.from_numpy(source.copy()), "target": torch.from_numpy(other.copy()),
        }  # fmt: skip
        points = {
            "x": landmarks,
            "x_moved": moved.landmarks[0] / side,
            "x_back": back.landmarks[0] / side,
        }
        scale = float(scene.motion.pose.scale)
        whole = np.array([[2, 0, -1], [0, 2, -1]], np.float32)  # crop units to -1..1
        for canvas, at in points.items():
            for window in WINDOWS:
                crop = place(window, at[None], scale)
                draw[f"{canvas}/{window.name}/affine"] = torch.from_numpy(to_pixels(crop, whole)[0])
                drawn = draw_masks(window, at, crop[0], self.sides[window.name])
                draw[f"{canvas}/{window.name}/masks"] = torch.from_numpy(
                    (drawn * 255 + 0.5).astype(np.uint8)
                )
        return draw

    def moved(self, scene: Scene, target: Array) -> Moved:
        """One frame of a scene as the mesh moves it."""
        return self._mesh.prepare(scene).move(target[None])

    def scene(self, picture: Picture, landmarks: Array, source: Array) -> Scene:
        """A square crop as generators take it, with this maker's anatomy."""
        side = picture.shape[0]
        affine = np.array([[side, 0, 0], [0, side, 0]], np.float32)
        return Scene(picture, affine, self._motion(landmarks, source))

    def _motion(self, landmarks: Array, source: Array) -> FaceMotion:
        if self._first is None:
            first = FaceMotion.of(landmarks, source, self.anatomy)
            self._first = replace(first, limited=False)  # what was turned must turn back
        return self._first.on(landmarks, source)

    def other(self, source: Array, drawn: Array, rng: np.random.Generator) -> Array:
        """(K,) y': the expression of another crop, changed as the config says."""
        c = self.config
        target = drawn.copy()
        if rng.random() < c.closed:
            target[OPENING] = 0
            target[_PARTING] *= rng.random()
        if rng.random() < c.shut_eyes:
            lids = _LIDS if rng.random() < 0.6 else [_LIDS[rng.integers(2)]]
            target[lids] = 1
        if rng.random() < c.one_part:
            group = _GROUPS[("mouth", "mouth", "eyes", "brows")[rng.integers(4)]]
            only = source.copy()
            only[group] = target[group]
            target = only
        head = aus.head_degrees(source)
        if rng.random() < c.turned:
            head = head + np.clip(rng.normal(0, c.turn, 3) * [1, 0.7, 0.7], -18, 18)
        aus.set_head_and_gaze(target, head.astype(np.float32), aus.gaze_degrees(target))
        return source.copy() if rng.random() < c.same else target.astype(np.float32)

    def _picture(self, row: int, rng: np.random.Generator) -> Picture:
        side = self.config.canvas
        with Image.open(io.BytesIO(self.crops.jpegs[row])) as image:
            picture = image.convert("RGB")
        if rng.random() < self.config.worn:
            small = int(rng.integers(70, 144))
            picture = picture.resize((small, small), Image.Resampling.BILINEAR, reducing_gap=2.0)
            data = io.BytesIO()
            picture.save(data, "JPEG", quality=int(rng.integers(40, 90)))
            picture = Image.open(data).convert("RGB")
        return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))


def _channels(picture: Picture) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def _coarse(flow: Tensor, side: int) -> Tensor:
    return F.adaptive_avg_pool2d(flow / side, FLOW_SIDE)[0]


class Pool:
    """The latest draws, from which batches are made: a draw costs more than a step's share of it.

    Workers make draws in order while the network trains; a step waits for its new ones. So a pool
    filled up to a given draw is always the same one.
    """

    def __init__(
        self, maker: PairDataset, config: PoolConfig, device: torch.device, made: int = 0
    ) -> None:
        """Begin with the draws just before number `made` (at least `config.first` of them)."""
        self._fresh = config.fresh
        begin = max(0, made - config.size)
        self._buffer = RingBuffer(config.size, device, begin)
        self._workers = Workers(maker.arrays, begin, config.workers, ahead=AHEAD)
        self._fill(max(made, config.first) - begin)

    @property
    def made(self) -> int:
        """Number of the draw that comes next."""
        return self._buffer.next

    def batch(self, size: int) -> dict[str, Tensor]:
        """`size` rows on the device: the newest, and others at random."""
        self._fill(self._fresh)
        return self._buffer.batch(size, self._fresh)

    def close(self) -> None:
        """End the processes that make draws."""
        self._workers.close()

    def _fill(self, count: int) -> None:
        for _ in range(count):
            self._buffer.add(self._workers.take())
