"""Whether a face is still the same person's: a linear discriminant on what perception sees.

Fisher's discriminant (Belhumeur et al. 1997) on pooled features of the perception network, fitted
on people of the training split who have several pictures. It is far from a face recognition
network, so it says of itself how often it finds the right one of two people.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memegen.arrays import Array, Integers, Mask
from memegen.errors import MemegenError
from memegen.facedata.shards import FaceLabels, load_labels, read_crops
from memegen.perception.network import PerceptionNet

PEOPLE = 2500  # of the training split, that the discriminant is fitted on
DIRECTIONS = 96
_GRID = 3  # the last layer's features are averaged over so many cells across
_SHRINK = 0.1  # share of the mean variance added to every within-person one


@dataclass(frozen=True)
class Identity:
    """A fitted discriminant."""

    network: PerceptionNet
    mean: Array  # (F,)
    directions: Array  # (F, D)
    verification: float  # share of held-out (same, other) couples told apart; 0.5 is chance

    def embed(self, pictures: Tensor) -> Array:
        """(T, 3, S, S) aligned crops in 0..1 to (T, D) unit vectors."""
        found = (_features(self.network, pictures) - self.mean) @ self.directions
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))

    def distance(self, one: Tensor, other: Tensor) -> float:
        """Mean cosine distance of aligned crops (T, 3, S, S): 0 the same picture, 1 strangers."""
        return float(1 - (self.embed(one) * self.embed(other)).sum(1).mean())


def fit(data: Path, network: PerceptionNet, most: int = PEOPLE) -> Identity:
    """Fit on `most` people of the training split of a shard folder, judge on its `val` split.

    Raises MemegenError where a split shows nobody twice.
    """
    labels = load_labels(data)
    people, held_out = _several(labels, ~labels.is_val), _several(labels, labels.is_val)
    for split, rows in (("train", people), ("val", held_out)):
        if not len(rows):
            raise MemegenError(f"{data}: nobody is seen twice in the {split} split")
    people = people[np.isin(labels.identity[people], np.unique(labels.identity[people])[:most])]
    features = _read(data, labels, people, network)
    mean, directions = discriminant(features, labels.identity[people], DIRECTIONS)
    tested = (_read(data, labels, held_out, network) - mean) @ directions
    tested /= np.linalg.norm(tested, axis=1, keepdims=True)
    weight = verification(tested, labels.identity[held_out])
    return Identity(network, mean, directions, weight)


def discriminant(features: Array, people: Integers, directions: int) -> tuple[Array, Array]:
    """Mean (F,) and directions (F, D) in which people differ most for how much each varies."""
    mean = features.mean(0)
    _, index, count = np.unique(people, return_inverse=True, return_counts=True)
    centres = np.zeros((len(count), features.shape[1]))
    np.add.at(centres, index, features)
    centres /= count[:, None]
    within = features - centres[index]
    scatter = within.T @ within / len(features)
    scatter += np.eye(len(scatter)) * _SHRINK * np.trace(scatter) / len(scatter)
    values, vectors = np.linalg.eigh(scatter)
    whiten = vectors / np.sqrt(values)
    apart = (centres - mean) @ whiten
    _, _, axes = np.linalg.svd(apart, full_matrices=False)
    return mean.astype(np.float32), (whiten @ axes[:directions].T).astype(np.float32)


def verification(embedded: Array, people: Integers) -> float:
    """Share of (same person, other person) couples whose similarities are in the right order."""
    similar = embedded @ embedded.T
    same = people[:, None] == people[None]
    upper = np.triu(np.ones_like(same), 1).astype(bool)
    near, far = similar[same & upper], np.sort(similar[~same & upper])
    return float(np.searchsorted(far, near).mean() / len(far))


def _several(labels: FaceLabels, split: Mask) -> Integers:
    """Rows of people with more than one picture."""
    rows = np.flatnonzero(split & (labels.identity >= 0))
    _, index, count = np.unique(labels.identity[rows], return_inverse=True, return_counts=True)
    return np.asarray(rows[count[index] > 1])


def _read(data: Path, labels: FaceLabels, rows: Integers, network: PerceptionNet) -> Array:
    crops = read_crops(data, labels.ids[rows], network.config.size)
    parts = []
    for start in range(0, len(crops), 64):
        batch = torch.from_numpy(crops[start : start + 64]).permute(0, 3, 1, 2).float() / 255
        parts.append(_features(network, batch))
    return np.concatenate(parts)


def _features(network: PerceptionNet, pictures: Tensor) -> Array:
    """(T, F) features of the last layers, and how they are spread over the face."""
    size = (network.config.size,) * 2
    x = F.interpolate(pictures, size, mode="bilinear", antialias=True) * 2 - 1
    device = next(network.parameters()).device
    kept = []
    with torch.inference_mode():
        x = x.to(device)
        for layer in network.features:
            before, x = x, layer(x)
            if x.shape[-1] < before.shape[-1] and before.shape[1] > 3:
                kept.append(before.mean((2, 3)))
        kept.append(F.adaptive_avg_pool2d(x, _GRID).flatten(1))
        found: Array = torch.cat(kept, 1).float().cpu().numpy()
    return found
