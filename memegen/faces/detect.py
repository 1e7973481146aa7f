"""Finding faces with MTCNN (Zhang et al. 2016, through facenet-pytorch)."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from memegen.arrays import Array, Picture
from memegen.faces.align import quarter_turn
from memegen.process import deferred

if TYPE_CHECKING:
    from facenet_pytorch import MTCNN
    from torch import Tensor


SEARCH_SIDE = 640  # faces are looked for on a picture reduced to this; that is enough for most
DEFAULT_THRESHOLDS = (0.6, 0.7, 0.7)
LOW_THRESHOLDS = (0.45, 0.5, 0.5)
CONFIDENT = 0.9  # final score below which a face counts only if nothing better is found
OVERLAP = 0.4  # intersection over the smaller box beyond which two finds are one face


@dataclass(frozen=True)
class Face:
    """One detected face, in photo pixels."""

    box: Array  # (4,) x0, y0, x1, y1
    points: Array  # (5, 2) image-left eye, image-right eye, nose, mouth corners left and right
    confidence: float  # 0..1

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return float(max(self.box[2] - self.box[0], 0) * max(self.box[3] - self.box[1], 0))


@dataclass(frozen=True)
class Attempt:
    """One rung of the retry ladder."""

    side: int  # longest side of the picture that is searched
    thresholds: tuple[float, float, float]
    padding: float  # border added around the photo, as a share of its longest side
    smallest: int  # smallest face in searched pixels
    confident: float  # final score a face must have
    enlarge: bool = False  # small pictures are enlarged to `side`
    turns: int = 0  # quarter turns of the photo, anticlockwise, before it is searched


# Cheap and strict first; every later rung finds faces that the ones before it miss: small ones,
# faces cut by the edge or filling the picture, photos that lie on a side, paintings and faint ones.
LADDER = (
    Attempt(SEARCH_SIDE, DEFAULT_THRESHOLDS, 0.0, 30, CONFIDENT),
    Attempt(1600, DEFAULT_THRESHOLDS, 0.0, 24, CONFIDENT),
    Attempt(SEARCH_SIDE, DEFAULT_THRESHOLDS, 0.4, 24, CONFIDENT),
    *(
        Attempt(SEARCH_SIDE, DEFAULT_THRESHOLDS, 0.05, 30, CONFIDENT, turns=turns)
        for turns in (1, 3, 2)
    ),
    Attempt(320, LOW_THRESHOLDS, 0.25, 20, 0.75, enlarge=True),
    Attempt(SEARCH_SIDE, LOW_THRESHOLDS, 0.1, 20, 0.7),
    Attempt(1600, LOW_THRESHOLDS, 0.0, 20, 0.7),
)
IN_BOX = (LADDER[0], LADDER[6])  # in a box that shows where a face is
_FACE_SQUARE = (0.2, 0.16, 0.6)  # left, top and side of the detector's square in an aligned crop
_LAST_SIDE = 48  # pixels that the detector's last network sees


class Detector:
    """Finds faces in photos. The networks are loaded on first use and kept."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = device

    @cached_property
    def _networks(self) -> MTCNN:
        # torchvision, which it needs for boxes alone, asks torch's compiler whether it could
        # compile something that is never called here: a second and 150 MB of imports. (Another
        # torchvision may ask it for more: then it is imported after all.)
        with deferred("torch._dynamo.utils", "is_compile_supported"), suppress(ImportError):
            importlib.import_module("facenet_pytorch")
        import torch
        from facenet_pytorch import MTCNN

        networks = MTCNN(keep_all=True, device=self._device, post_process=False)
        # Channels together in memory: on a CPU the last network takes half the time so.
        networks.to(memory_format=torch.channels_last)
        return networks

    def rungs(self, rgb: Picture, every: bool = False) -> Iterator[list[Face]]:
        """What each attempt finds in an (H, W, 3) picture, largest first, where it finds any.

        Later attempts find what earlier ones miss, and are made only when asked for. `every` looks
        for small faces beside large ones at once.
        """
        attempts = LADDER
        if every and max(rgb.shape[:2]) > SEARCH_SIDE:
            both = [face for attempt in LADDER[:2] for face in self._search(rgb, attempt)]
            if both:
                yield distinct(both)
            attempts = LADDER[2:]
        height, width = rgb.shape[:2]
        for attempt in attempts:
            if attempt.side > SEARCH_SIDE and max(rgb.shape[:2]) <= SEARCH_SIDE:
                continue
            turned = np.ascontiguousarray(np.rot90(rgb, attempt.turns)) if attempt.turns else rgb
            faces = list(self._search(turned, attempt))
            if faces:
                yield [turned_back(face, attempt.turns, width, height) for face in faces]

    def find_in(self, rgb: Picture, box: Array, turns: int = 0) -> Face | None:
        """The face inside a hand-drawn box (x0, y0, x1, y1), or None if MTCNN sees none there.

        `turns`: quarter turns of the picture, anticlockwise, before it is searched.
        """
        height, width = rgb.shape[:2]
        margin = 0.35 * (box[2:] - box[:2])
        low = np.maximum(np.floor(box[:2] - margin), 0).astype(int)
        high = np.minimum(np.ceil(box[2:] + margin), [width, height]).astype(int)
        part = np.ascontiguousarray(np.rot90(rgb[low[1] : high[1], low[0] : high[0]], turns))
        for attempt in IN_BOX:
            for found in self._search(part, attempt):
                face = turned_back(found, turns, high[0] - low[0], high[1] - low[1])
                shift = low.astype(np.float32)
                moved = Face(face.box + np.tile(shift, 2), face.points + shift, face.confidence)
                if overlap(moved.box, box) > 0.5:
                    return moved
        return None

    def judge(self, crops: Tensor) -> tuple[Array, Array]:
        """What MTCNN's last network says of aligned crops (T, 3, S, S) in 0..1.

        Whether they show faces (T,) 0..1, and the five points (T, 5, 2) in crop units.
        """
        import torch
        import torch.nn.functional as F

        left, top, side = (round(share * crops.shape[-1]) for share in _FACE_SQUARE)
        part = crops[:, :, top : top + side, left : left + side]
        small = F.interpolate(part, (_LAST_SIDE, _LAST_SIDE), mode="bilinear", antialias=True)
        with torch.inference_mode():
            _, said, sure = self._networks.onet((small.to(self._device) * 255 - 127.5) / 128)
        points = np.stack(np.split(said.cpu().numpy(), 2, 1), -1) * _FACE_SQUARE[2]
        return np.asarray(sure[:, 1].cpu().numpy()), points + np.array(_FACE_SQUARE[:2], np.float32)

    def _search(self, rgb: Picture, attempt: Attempt) -> Iterator[Face]:
        height, width = rgb.shape[:2]
        image = Image.fromarray(rgb)
        scale = attempt.side / max(height, width)
        if not attempt.enlarge:
            scale = min(1.0, scale)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        searched = np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
        pad = round(attempt.padding * max(size))
        if pad:
            searched = np.pad(searched, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
        networks = self._networks
        networks.thresholds = list(attempt.thresholds)
        networks.min_face_size = attempt.smallest
        if min(searched.shape[:2]) < attempt.smallest:
            return
        boxes, scores, points = networks.detect(np.ascontiguousarray(searched), landmarks=True)
        if boxes is None:
            return
        ratio = np.array([width / size[0], height / size[1]], np.float32)
        found = [
            Face(
                ((box.reshape(2, 2) - pad) * ratio).reshape(4).astype(np.float32),
                ((five - pad) * ratio).astype(np.float32),
                float(score),
            )
            for box, score, five in zip(boxes, scores, points, strict=True)
            if score is not None and float(score) >= attempt.confident
        ]
        yield from distinct(found)


def turned_back(face: Face, turns: int, width: int, height: int) -> Face:
    """A face found in `np.rot90(photo, turns)`, in pixels of the width x height photo."""
    corners = np.concatenate([face.points, face.box.reshape(2, 2)])
    turn, shift = quarter_turn(turns, width, height)
    back = ((corners - shift) @ turn).astype(np.float32)  # rows: times the inverse
    box = np.concatenate([back[5:].min(0), back[5:].max(0)])
    return Face(box, back[:5], face.confidence)


def distinct(faces: list[Face]) -> list[Face]:
    """Largest first, without second finds of the same face."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: -f.confidence):
        if all(overlap(face.box, other.box) < OVERLAP for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda f: -f.area)


def overlap(a: Array, b: Array) -> float:
    """Intersection of two boxes over the area of the smaller one."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    smaller = min(float(np.prod(a[2:] - a[:2])), float(np.prod(b[2:] - b[:2])))
    return shared / smaller if smaller > 0 else 0.0
