"""Batches for GANimation: rated photos, and the expressions of others that they shall show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Picture
from memegen.facedata.rated import RatedPictures


@dataclass(frozen=True)
class Batch:
    """Photos, what they do, and what they shall do."""

    photo: Tensor  # (B, 3, S, S) -1..1
    source: Tensor  # (B, U)
    target: Tensor  # (B, U)
    mix: Tensor  # (B, 1, 1, 1) for the gradient penalty

    def to(self, device: torch.device) -> Batch:
        """Where the networks are."""
        moved = (t.to(device, non_blocking=True) for t in vars(self).values())
        return Batch(*moved)


@dataclass(frozen=True)
class BatchSampler:
    """Batches by step: the same whoever asks, so that a run goes on exactly where it was."""

    pictures: RatedPictures
    size: int  # pixels of a photo's side
    batch: int  # photos a step, of all processes together
    noise: float  # uniform, to either side, on the action units of targets
    seed: int
    rows: slice  # of each batch, those of this process

    def __call__(self, step: int) -> Batch:
        """This process' rows of the batch of a step. Every epoch shows every picture once."""
        count, units = len(self.pictures), self.pictures.units
        places = step * self.batch + np.arange(self.batch)
        orders = {e: np.random.default_rng((self.seed, 1, e)).permutation(count)
                  for e in np.unique(places // count)}  # fmt: skip
        chosen = np.array([orders[place // count][place % count] for place in places])
        random = np.random.default_rng((self.seed, 2, step))
        others = random.integers(0, count, self.batch)
        noise = random.uniform(-self.noise, self.noise, (self.batch, units.shape[1]))
        flips = random.random(self.batch) < 0.5  # OpenFace's units have no sides
        mix = random.random((self.batch, 1, 1, 1))
        mine = self.rows
        target = np.clip(units[others[mine]] + noise[mine], 0, 1)
        crops = np.stack([self.pictures.picture(int(row), self.size) for row in chosen[mine]])
        crops[flips[mine]] = crops[flips[mine], :, ::-1]
        numbers = (units[chosen[mine]], target, mix[mine])
        return Batch(_as_photos(crops), *(torch.from_numpy(n.astype(np.float32)) for n in numbers))


def for_sheet(held_out: RatedPictures, size: int, rows: int) -> Batch:
    """Held-out photos for the rows of a sample sheet, and after them those who show the way.

    The calmest faces shall do what the liveliest do.
    """
    order = np.argsort(-held_out.units.sum(1), kind="stable")
    strong, calm = np.resize(order, rows), np.resize(order[::-1], rows)
    chosen = [*calm, *strong]
    crops = np.stack([held_out.picture(int(row), size) for row in chosen])
    units = torch.from_numpy(held_out.units[chosen])
    return Batch(_as_photos(crops), units, units.roll(rows, 0), units.new_zeros(len(chosen)))


def _as_photos(crops: Picture) -> Tensor:
    """(B, S, S, 3) of 0..255 -> (B, 3, S, S) of -1..1."""
    return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).float() / 127.5 - 1
