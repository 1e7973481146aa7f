"""A folder of face-data shards with everything that trainers and evaluation need of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from memegen.arrays import Array, Integers, Mask, Picture
from memegen.errors import MemegenError
from memegen.facedata.labels import IctBasis, action_units, face_shapes, load_basis
from memegen.facedata.shards import FaceLabels, load_labels, read_crops, read_jpegs
from memegen.geometry.shape import angles_of, mirror_order


@dataclass(frozen=True)
class FaceDataset:
    """N labelled crops and the anatomical basis beside them. What costs time is made once."""

    path: Path
    labels: FaceLabels
    basis: IctBasis

    @classmethod
    def load(cls, path: Path) -> FaceDataset:
        """Read the labels of a shard folder. Raises UsageError if it is none."""
        return cls(path, load_labels(path), load_basis(path))

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def units(self) -> Array:
        """(N, K) action-unit channels, 0..1."""
        return action_units(self.labels, self.basis)

    @cached_property
    def shapes(self) -> Array:
        """(N, 468, 3) landmarks freed of pose and scale, in face coordinates (IOD)."""
        return face_shapes(self.labels, self.basis)

    @cached_property
    def mirrored(self) -> Integers:
        """(478,) landmark of the mirrored face."""
        return mirror_order(self.basis.canonical)

    def split(self, val: bool) -> Mask:
        """(N,) the rows of the validation split, or those of the training split."""
        return np.asarray(self.labels.is_val == val)

    def frontal(self, max_angle: float) -> Mask:
        """(N,) whose yaw and pitch are less than `max_angle` degrees about the median."""
        angle = angles_of(self.labels.rotation)[:, :2]
        return np.asarray((np.abs(angle - np.median(angle, 0)) < max_angle).all(1))

    def person_pairs(self, val: bool, max_angle: float) -> Integers:
        """(P, 2) all pairs of rows of a split that show one person near-frontally."""
        identity = self.labels.identity
        rows = np.flatnonzero(self.split(val) & self.frontal(max_angle) & (identity >= 0))
        rows = rows[np.argsort(identity[rows], kind="stable")]
        people = np.split(rows, np.flatnonzero(np.diff(identity[rows])) + 1)
        pairs = [pair for rows_ in people for pair in itertools.combinations(rows_, 2)]
        return np.array(pairs, np.int64).reshape(-1, 2)

    def crops(self, rows: Integers, size: int) -> Picture:
        """(len(rows), size, size, 3) pictures of the crops."""
        return read_crops(self.path, self.labels.ids[rows], size)

    def jpegs(self, rows: Integers) -> list[bytes]:
        """The crops as they are stored."""
        return read_jpegs(self.path, self.labels.take(rows))

    def of_sources(self, names: Sequence[str]) -> Mask:
        """(N,) rows of some families of shards."""
        return np.isin(self.labels.source, list(names))


def refuse_strangers(data: FaceDataset, **pairs: Integers) -> None:
    """Raises MemegenError where a split has no pairs of one person."""
    for split, found in pairs.items():
        if not len(found):
            raise MemegenError(
                f"{data.path}: nobody is seen twice from the front in the {split} split"
            )
