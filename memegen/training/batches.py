"""Batches for GANimation: rated photos, and the expressions of others that they shall show."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Integers, Picture
from memegen.facedata.rated import RatedPictures
from memegen.prefetch import prefetch
from memegen.training.device_crops import DeviceCrops, as_photos, fits

DRAWN_TOGETHER = 64  # steps whose draws are made and moved to the device at once


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
class Draws:
    """What batches consist of: pictures by number, and everything that is drawn for them.

    All have the same leading axes: (B, ...) of one batch, (K, B, ...) of several.
    """

    rows: Tensor  # (B,) of pictures
    flips: Tensor  # (B,) whether the picture is mirrored
    source: Tensor  # (B, U)
    target: Tensor  # (B, U)
    mix: Tensor  # (B, 1, 1, 1)

    def to(self, device: torch.device) -> Draws:
        """Where the pictures are."""
        return Draws(*(t.to(device, non_blocking=True) for t in vars(self).values()))

    def each(self) -> Iterator[Draws]:
        """The K batches of several."""
        return (Draws(*parts) for parts in zip(*vars(self).values(), strict=True))

    def batch(self, photo: Tensor) -> Batch:
        """The batch, with the pictures that were drawn."""
        return Batch(photo, self.source, self.target, self.mix)


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
        drawn = self.draws(step)
        crops = np.stack([self.pictures.picture(int(row), self.size) for row in drawn.rows])
        flips = drawn.flips.numpy()
        crops[flips] = crops[flips, :, ::-1]
        return drawn.batch(_as_photos(crops))

    def batches(
        self, steps: range, device: torch.device, resident: bool = False
    ) -> Generator[Batch, None, None]:
        """The batches of steps, on a device: from crops held there on a GPU where they fit.

        Elsewhere threads decode them ahead, unless `resident` asks for the same on a CPU.
        """
        if (resident or device.type != "cpu") and fits(len(self.pictures), self.size, device):
            yield from self.on_device(DeviceCrops(self.pictures, self.size, device), steps)
            return
        with closing(prefetch(self, steps, workers=2, depth=4)) as found:
            for batch in found:
                yield batch.to(device)

    def draws(self, step: int) -> Draws:
        """What the batch of a step consists of, without its pictures."""
        count, units = len(self.pictures), self.pictures.units
        places = step * self.batch + np.arange(self.batch)
        orders = {e: _order(self.seed, int(e), count) for e in np.unique(places // count)}
        chosen = np.array([orders[place // count][place % count] for place in places])
        random = np.random.default_rng((self.seed, 2, step))
        others = random.integers(0, count, self.batch)
        noise = random.uniform(-self.noise, self.noise, (self.batch, units.shape[1]))
        flips = random.random(self.batch) < 0.5  # OpenFace's units have no sides
        mix = random.random((self.batch, 1, 1, 1))
        mine = self.rows
        target = np.clip(units[others[mine]] + noise[mine], 0, 1)
        numbers = (units[chosen[mine]], target, mix[mine])
        return Draws(
            torch.from_numpy(chosen[mine]),
            torch.from_numpy(flips[mine]),
            *(torch.from_numpy(n.astype(np.float32)) for n in numbers),
        )

    def several_draws(self, steps: range) -> Draws:
        """Those of many steps, stacked: few and large tensors are quickly moved."""
        found = [vars(self.draws(step)).values() for step in steps]
        return Draws(*(torch.stack(parts) for parts in zip(*found, strict=True)))

    def on_device(self, crops: DeviceCrops, steps: range) -> Generator[Batch, None, None]:
        """The batches of steps from crops that were decoded before: equal to those of a call."""
        device = crops.pixels.device
        ahead = [steps[i : i + DRAWN_TOGETHER] for i in range(0, len(steps), DRAWN_TOGETHER)]
        with closing(prefetch(self.several_draws, ahead, workers=1, depth=3)) as found:
            for draws in found:
                for drawn in draws.to(device).each():
                    yield drawn.batch(crops.photos(drawn.rows, drawn.flips))


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> Integers:
    """(count,) the order in which an epoch shows all pictures."""
    return np.random.default_rng((seed, 1, epoch)).permutation(count)


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
    return as_photos(torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))))
