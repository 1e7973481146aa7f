"""Crops to make training pairs of: from a shard folder, or from photos of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from memegen import aus, recipes, weights
from memegen.arrays import Array, Integers
from memegen.errors import MemegenError
from memegen.facedata.dataset import FaceDataset
from memegen.facedata.labels import rarity
from memegen.facedata.photos import FEWEST, held_out_of, label
from memegen.facedata.shards import is_shards
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.shape import mirror_order
from memegen.tracks import offset

OPENING = [aus.INDEX[c] for c in ("AU25", "AU26", "AU27")]  # channels that open a mouth

Split = Literal["train", "held out", "all"]


@dataclass(frozen=True)
class Crops:
    """Crops as JPEG bytes, with what is known of them."""

    jpegs: list[bytes]
    landmarks: Array  # (N, 478, 3) crop units
    units: Array  # (N, K)
    weight: Array  # (N,) how often each is drawn, sums to one
    components: Array  # (C, 478, 3) of unit variance: how landmarks of faces vary
    mirrored: Integers  # (478,)
    identity: Integers | None = None  # (N,) which person a crop shows, -1: not known; None: of none
    others: Array | None = None  # (M, K) expressions to move faces to; None: those of other crops

    def __len__(self) -> int:
        return len(self.jpegs)


def load_crops(
    data: Path, sources: Mapping[str, float], split: Split, say: Callable[[str], None] = print
) -> Crops:
    """Crops of a shard folder or of a folder of photos (or a clip).

    sources: how often each family of shards is drawn; `say` is told which photos are of no use.
    Raises UsageError or MemegenError where there is nothing to learn from.
    """
    return _of_shards(data, sources, split) if is_shards(data) else _of_photos(data, split, say)


def _of_shards(data: Path, sources: Mapping[str, float], split: Split) -> Crops:
    faces = FaceDataset.load(data)
    target = faces.of_sources([name for name, share in sources.items() if share > 0])
    if split != "all":
        target &= faces.split(val=split == "held out")
    kept = np.flatnonzero(target)
    if not len(kept):
        known = ", ".join(sources)
        raise MemegenError(f"{data}: no {split} crops of the kinds that are learnt from ({known})")
    labels, units = faces.labels.take(kept), faces.units[kept]
    weight = _rarity(units) * np.array([sources[name] for name in labels.source])
    return Crops(
        faces.jpegs(kept),
        labels.landmarks,
        units,
        (weight / weight.sum()).astype(np.float32),
        labels.landmark_components,
        faces.mirrored,
        labels.identity,
    )


def _of_photos(data: Path, split: Split, say: Callable[[str], None]) -> Crops:
    found = label(data)
    if split == "train":
        for name, reason in found.bad.items():
            say(f"{name}: left out, {reason}")
    alone = data.is_file() and len(found.faces) == 1
    if split == "train" and len(found.faces) < FEWEST and not alone:
        raise MemegenError(
            f"{data}: {len(found.faces)} usable faces are too few to learn from, "
            f"{FEWEST} are the least and 20 to 200 are good"
        )
    if len(found.faces) < FEWEST:
        split = "all"  # nothing can be learnt from these, so nothing has been
    held_out = held_out_of(face.jpeg for face in found.faces)
    faces = [
        face
        for face, held in zip(found.faces, held_out, strict=True)
        if split == "all" or held == (split == "held out")
    ]
    units = np.stack([face.units for face in faces])
    weight = _rarity(units)
    return Crops(
        [face.jpeg for face in faces],
        np.stack([face.landmarks for face in faces]),
        units,
        (weight / weight.sum()).astype(np.float32),
        weights.load("perception", "perception").tensors["components"].float().numpy(),
        mirror_order(load_anatomy().canonical),
        np.zeros(len(faces), np.int64),  # of one person, as far as one can know
        recipe_expressions() if alone else None,
    )


def recipe_expressions() -> Array:
    """(M, K) every keyframe of the shipped recipes: what one photo alone is moved to and back.

    Fine-tuning on the very photo that is to be animated (online adaptation, as in few-shot talking
    heads, Zakharov et al. 2019, arXiv 1905.08233) has no other photos to take expressions of.
    """
    frames = [frame for name in recipes.names() for frame in recipes.load(name).keyframes]
    shown = [(frame.expression, frame.offset) for frame in frames]
    vectors = [np.clip(offset(one) + offset(two), 0, 1) for one, two in shown]
    return np.stack([vector for vector in vectors if vector.any()]).astype(np.float32)


def _rarity(units: Array) -> Array:
    """(N,) more for rare expressions, and for open mouths, which show what is to be learnt."""
    parted = np.clip(units[:, OPENING].max(1) * 3, 0, 1)
    return np.asarray(1 + 0.1 * rarity(units) + 4 * parted, np.float32)
