"""Training examples held where the network is: making one costs more than learning from it once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

Example = Mapping[str, np.ndarray]  # arrays of the same names and shapes in every example


class RingBuffer:
    """The latest examples on a device. Number i lies in row i modulo the buffer's size."""

    def __init__(self, size: int, device: torch.device, first: int = 0) -> None:
        """Empty; the first example that comes is number `first`."""
        self.size, self._device, self._first = size, device, first
        self.next = first  # number of the example that comes next
        self._rows: dict[str, Tensor] = {}

    @property
    def added(self) -> int:
        """How many examples have come."""
        return self.next - self._first

    @property
    def held(self) -> range:
        """Numbers of the examples to choose from."""
        return range(max(self._first, self.next - self.size), self.next)

    def add(self, example: Example) -> None:
        """Hold one more, in place of the oldest where there is no room."""
        row = self.next % self.size
        for name, value in example.items():
            given = torch.from_numpy(value)
            if name not in self._rows:
                shape = (self.size, *given.shape)
                self._rows[name] = torch.empty(shape, dtype=given.dtype, device=self._device)
            self._rows[name][row] = given
        self.next += 1

    def batch(self, size: int, newest: int = 0) -> dict[str, Tensor]:
        """`size` examples (B, ...) by name: the `newest` latest, and others held at random."""
        latest = torch.arange(self.next - min(newest, size), self.next)
        held = self.held
        others = torch.randint(held.start, held.stop, (size - len(latest),))
        rows = (torch.cat([latest, others]) % self.size).to(self._device)
        return {name: values[rows] for name, values in self._rows.items()}
