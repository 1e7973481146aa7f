"""Crops held decoded where the network is: on a GPU, small networks starve while JPEGs are read."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Integers
from memegen.facedata.rated import RatedPictures
from memegen.prefetch import on_all_cores, prefetch

_WORKERS, _DEPTH = 2, 4  # threads that decode ahead on a CPU, and batches they are ahead


def rows_of_step(step: int, batch: int, count: int, seed: int) -> Integers:
    """(batch,) rows of `count` that a step learns from: every epoch shows each of them once."""
    places = step * batch + np.arange(batch)
    return np.array([_order(count, seed, int(at // count))[at % count] for at in places])


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> Integers:
    return np.random.default_rng((seed, 1, epoch)).permutation(count)


class ResidentCrops:
    """Pictures as bytes (N, 3, S, S) on a GPU, decoded once; on a CPU they are decoded as asked."""

    def __init__(self, pictures: RatedPictures, size: int, device: torch.device) -> None:
        self._pictures, self._size, self._device = pictures, size, device
        self._held: Tensor | None = None
        if device.type == "cuda":
            self._held = torch.empty(len(pictures), 3, size, size, dtype=torch.uint8, device=device)
            for row, crop in enumerate(on_all_cores(self._decoded, range(len(pictures)))):
                self._held[row] = crop

    def __len__(self) -> int:
        return len(self._pictures)

    def crops(self, rows: Integers) -> Tensor:
        """(B, 3, S, S) of 0..255 on the device."""
        if self._held is not None:
            return self._held[torch.from_numpy(rows).to(self._device)]
        return torch.stack([self._decoded(int(row)) for row in rows]).to(self._device)

    def batches(
        self, steps: range, batch: int, seed: int
    ) -> Generator[tuple[Integers, Tensor], None, None]:
        """Rows and crops of every step: the same whoever asks, so that a run goes on exactly."""

        def drawn(step: int) -> tuple[Integers, Tensor]:
            rows = rows_of_step(step, batch, len(self), seed)
            return rows, self.crops(rows)

        if self._held is not None:
            yield from map(drawn, steps)
            return
        with closing(prefetch(drawn, steps, _WORKERS, _DEPTH)) as found:
            yield from found

    def _decoded(self, row: int) -> Tensor:
        picture = self._pictures.picture(row, self._size)
        return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
