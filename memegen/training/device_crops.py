"""Crops that are decoded once and stay where the networks are, so that a GPU waits for no JPEG."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Picture

DECODED_TOGETHER = 64  # pictures a thread decodes at a time
LEFT_FREE = 0.5  # share of a GPU's free memory that crops leave for the networks


class Pictures(Protocol):
    """What can be decoded: `facedata.rated.RatedPictures`, for example."""

    def __len__(self) -> int:
        """How many."""

    def picture(self, row: int, size: int) -> Picture:
        """(size, size, 3) one of them."""


class DeviceCrops:
    """All pictures at one size as one tensor on a device."""

    pixels: Tensor  # (N, 3, S, S) uint8

    def __init__(self, pictures: Pictures, size: int, device: torch.device) -> None:
        """Decode everything, by a thread for each core. Raises what `picture` raises."""
        decoded = np.empty((len(pictures), size, size, 3), np.uint8)

        def decode(first: int) -> None:
            for row in range(first, min(first + DECODED_TOGETHER, len(pictures))):
                decoded[row] = pictures.picture(row, size)

        with ThreadPoolExecutor(cpu_count() or 1, "decode") as threads:
            for _ in threads.map(decode, range(0, len(pictures), DECODED_TOGETHER)):
                pass
        self.pixels = torch.from_numpy(decoded).to(device).permute(0, 3, 1, 2).contiguous()

    def __len__(self) -> int:
        return len(self.pixels)

    def photos(self, rows: Tensor, flips: Tensor | None = None) -> Tensor:
        """(B, 3, S, S) in -1..1: pictures by row (B,), mirrored where `flips` (B,) says so."""
        chosen = self.pixels[rows]
        if flips is not None:
            chosen = torch.where(flips[:, None, None, None], chosen.flip(3), chosen)
        return as_photos(chosen)


def as_photos(pixels: Tensor) -> Tensor:
    """(B, 3, S, S) of 0..255 -> the same of -1..1."""
    return pixels.float() / 127.5 - 1


def fits(count: int, size: int, device: torch.device) -> bool:
    """Whether so many crops leave enough of a GPU's memory for the networks."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return count * 3 * size * size < (1 - LEFT_FREE) * free
