"""Faces that lie, faces that stand, and pictures without any: what is found, refused and wrong.

python benchmarks/turned_faces.py turned  SHARDS PORTRAITS   every photo at four turns
python benchmarks/turned_faces.py upright SHARDS             held-out crops as they are, and spoilt
python benchmarks/turned_faces.py none    PORTRAITS [FOLDER...]   pictures without faces: drawn
    ones, portraits with the face filled in, and those of folders

SHARDS is a folder of face data, PORTRAITS one of photos with a face each. Beside what memegen does
stands what the detector's first find alone would have done. A face is wrong if its landmarks lie
more than WRONG away from where they should: those of the photo before it was turned, or the
labels' own.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from memegen import Animator
from memegen.arrays import Array, Picture
from memegen.errors import NoFaceError
from memegen.facedata.shards import load_labels, read_crops
from memegen.faces.align import quarter_turn
from memegen.geometry.shape import iod
from memegen.perception.analyze import FaceAnalysis
from memegen.photo import Photo, read_photo

WRONG = 0.25  # IOD, root mean square
CROPS_TURNED, CROPS_UPRIGHT, DRAWN = 10, 360, 24
SPOILT = ("small", "dark", "blurred", "noisy", "half in shadow")
PAD = 0.3  # of a crop's side, added around it, for the detector wants more than a face


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("turned", "upright", "none"))
    parser.add_argument("folders", nargs="+", type=Path)
    asked = parser.parse_args()
    animator = Animator("mesh", "cpu")
    {"turned": turned, "upright": upright, "none": none}[asked.what](animator, *asked.folders)


def turned(animator: Animator, shards: Path, portraits: Path) -> None:
    photos = [read_photo(path).rgb for path in sorted(portraits.iterdir())]
    photos += [rgb for _, rgb, _ in crops(shards, CROPS_TURNED)]
    now, before = Counter[str](), Counter[str]()
    for rgb in photos:
        truth = flat(animator.analyze(Photo(rgb, None))[0].analysis)
        for turns in range(4):
            turn, shift = quarter_turn(turns, rgb.shape[1], rgb.shape[0])
            picture = np.ascontiguousarray(np.rot90(rgb, turns))
            there = (truth @ turn.T + shift).astype(np.float32)
            now[verdict(seen(animator, picture), there)] += 1
            before[verdict(found_alone(animator, picture), there)] += 1
    print(f"{len(photos)} photos at 4 turns: {dict(now)}; detector alone: {dict(before)}")


def upright(animator: Animator, shards: Path) -> None:
    now = Counter[str]()
    for index, (name, rgb, truth) in enumerate(crops(shards, CROPS_UPRIGHT)):
        for how in ("as it is", SPOILT[index // 3 % len(SPOILT)])[: 1 + (index % 3 == 0)]:
            picture, scale = spoilt(rgb, how, index)
            said = verdict(seen(animator, picture), truth * scale)
            now[f"{how}: {said}"] += 1
            if said != "right":
                alone = verdict(found_alone(animator, picture), truth * scale)
                print(f"{name} {how}: {said}; detector alone: {alone}", flush=True)
    print(f"{sum(now.values())} upright: {dict(now)}")


def none(animator: Animator, portraits: Path, *folders: Path) -> None:
    pictures = [*drawn(DRAWN), *filled_in(animator, portraits)]
    paths = sorted(path for folder in folders for path in folder.iterdir() if path.is_file())
    pictures.extend((path.name, read_photo(path).rgb) for path in paths)
    alone = 0
    painted = []
    for name, rgb in pictures:
        alone += found_alone(animator, rgb) is not None
        if seen(animator, rgb) is not None:
            painted.append(name)
    print(f"{len(pictures)} without a face: {len(painted)} painted {painted}; alone {alone}")


def crops(shards: Path, count: int) -> Iterator[tuple[str, Picture, Array]]:
    """Name, picture with a border, and labelled landmarks (478, 2) of held-out crops."""
    labels = load_labels(shards)
    labels = labels.take(labels.is_val)
    sources = np.unique(labels.source)
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.flatnonzero(labels.source == s))[: count // 5] for s in sources]
    labels = labels.take(np.concatenate(rows))
    size = 256
    pad = round(PAD * size)
    pictures = read_crops(shards, labels.ids, size)
    for name, points, crop in zip(labels.ids, labels.landmarks, pictures, strict=True):
        picture = np.pad(crop, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
        yield str(name), picture, (points[:, :2] * size + pad).astype(np.float32)


def spoilt(rgb: Picture, how: str, seed: int) -> tuple[Picture, float]:
    """The picture made worse, and its new size by its old one."""
    rng = np.random.default_rng(seed)
    if how == "small":  # some 16 pixels between the eyes
        return np.asarray(Image.fromarray(rgb).resize((96, 96), Image.Resampling.BILINEAR)), (
            96 / rgb.shape[0]
        )
    values = rgb.astype(np.float32)
    if how == "dark":
        values = 0.15 * values + rng.normal(0, 3, values.shape)
    elif how == "blurred":
        values = cv2.GaussianBlur(values, (0, 0), 5)
    elif how == "noisy":
        values = values + rng.normal(0, 35, values.shape)
    elif how == "half in shadow":
        values[:, : values.shape[1] // 2] *= 0.25
    return np.clip(values, 0, 255).astype(np.uint8), 1.0


def drawn(count: int) -> Iterator[tuple[str, Picture]]:
    """Clouds, checked cloth, spots and paws."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:480, :640].astype(np.float32)
    for index in range(count):
        kind = ("clouds", "cloth", "spots", "paws")[index % 4]
        if kind == "clouds":
            layers = [
                cv2.resize(rng.normal(size=(n, n)), (640, 480), interpolation=cv2.INTER_CUBIC) / n
                for n in (4, 8, 16, 32, 64)
            ]
            grey = 150 + 400 * np.sum(layers, 0)
        elif kind == "cloth":
            a, b, c = rng.uniform(5, 40, 3)
            grey = 128 + 50 * np.sin(x / a) + 50 * np.sin(y / b) * np.sign(np.sin((x + y) / c))
        else:
            grey = np.full((480, 640), rng.uniform(130, 230), np.float32)
            for _ in range(60):
                middle, r = rng.uniform((0, 0), (640, 480)), rng.uniform(6, 40)
                pads = [(0, 0, 1.0)]
                if kind == "paws":
                    pads = [
                        (0, 0.9, 1.0),
                        *((s, -0.7 + 0.3 * s * s, 0.4) for s in (-1, -0.35, 0.35, 1)),
                    ]
                for dx, dy, size in pads:
                    at = (int(middle[0] + dx * r), int(middle[1] + dy * r))
                    cv2.circle(grey, at, max(1, int(size * r)), float(rng.uniform(20, 110)), -1)
        tint = rng.uniform(0.6, 1.1, 3)
        noisy = np.clip(grey[..., None] * tint + rng.normal(0, 5, (480, 640, 3)), 0, 255)
        yield f"{kind} {index}", noisy.astype(np.uint8)


def filled_in(animator: Animator, portraits: Path) -> Iterator[tuple[str, Picture]]:
    """Portraits whose faces are smoothly filled from around them: hair, ears and clothes stay."""
    for path in sorted(portraits.iterdir()):
        rgb = read_photo(path).resized(512, 512).rgb
        points = flat(animator.analyze(Photo(rgb, None))[0].analysis)
        hull = cv2.convexHull(points.astype(np.float32)).astype(np.int32)
        hole = np.zeros(rgb.shape[:2], np.uint8)
        cv2.fillConvexPoly(hole, hull, 255)
        hole = cv2.dilate(hole, np.ones((15, 15), np.uint8))
        yield f"{path.stem} without face", cv2.inpaint(rgb, hole, 5, cv2.INPAINT_TELEA)


def flat(perception: FaceAnalysis) -> Array:
    """(478, 2) landmarks in pixels of the photo."""
    return perception.alignment.to_photo(perception.landmarks[:, :2])


def seen(animator: Animator, rgb: Picture) -> Array | None:
    try:
        return flat(animator.analyze(Photo(rgb, None))[0].analysis)
    except NoFaceError:
        return None


def found_alone(animator: Animator, rgb: Picture) -> Array | None:
    """The detector's first find, whatever perception says of it."""
    faces = next(animator.detector.rungs(rgb), [])
    return flat(animator.analyzer.analyze(rgb, faces[0].points)) if faces else None


def verdict(points: Array | None, truth: Array) -> str:
    if points is None:
        return "refused"
    away = np.sqrt(((points - truth) ** 2).sum(-1).mean()) / float(iod(truth))
    return "right" if away < WRONG else "wrong"


if __name__ == "__main__":
    main()
