"""Drawn triples held where the network is: drawing one costs more than learning from it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memegen.training.drawings import Triple
from memegen.training.ring_buffer import Example, RingBuffer
from memegen.training.workers import Workers


@dataclass(frozen=True)
class DrawingPoolConfig:
    """How many triples are kept, and made anew for each step."""

    size: int = 4096  # triples kept: 0.6 MB each at 256 px
    # New ones each step, waited for: then a run can be repeated exactly. 0: as many as the workers
    # have ready, at least one for each `most_uses` pictures that are learnt from.
    fresh: int = 0
    most_uses: float = 40.0


@dataclass(frozen=True)
class DrawnBatch:
    """Pictures are (B, 3, S, S), -1..1; poses (B, P)."""

    source: Tensor
    morphed: Tensor
    turned: Tensor
    own: Tensor
    pose: Tensor

    @classmethod
    def of(cls, pictures: Tensor, poses: Tensor) -> DrawnBatch:
        """From uint8 (B, 3, 3, S, S) and (B, 2, P), as the pool holds them."""
        source, morphed, turned = (pictures.float() / 127.5 - 1).unbind(1)
        return cls(source, morphed, turned, poses[:, 0], poses[:, 1])

    def mapped(self, change: Callable[[Tensor], Tensor]) -> DrawnBatch:
        """The same with its pictures changed."""
        pictures = [change(p) for p in (self.source, self.morphed, self.turned)]
        return DrawnBatch(pictures[0], pictures[1], pictures[2], self.own, self.pose)

    def recoloured(self, most: float) -> DrawnBatch:
        """Gain and level of each channel changed by up to `most`, alike in a triple."""
        shape, like = (len(self.pose), 3, 1, 1), self.source
        gain, level = (most * (2 * torch.rand(shape, device=like.device) - 1) for _ in range(2))

        return self.mapped(lambda picture: (picture * (1 + gain) + level).clamp(-1, 1))


def tensors_of(triples: list[Triple]) -> tuple[Tensor, Tensor]:
    """Triples as uint8 (N, 3, 3, S, S) and float32 (N, 2, P)."""
    examples = [example_of(triple) for triple in triples]
    pictures, poses = (np.stack([e[name] for e in examples]) for name in ("pictures", "poses"))
    return torch.from_numpy(pictures), torch.from_numpy(poses)


def example_of(triple: Triple) -> Example:
    """A triple as a buffer holds it: pictures (3, 3, S, S) uint8, poses (2, P) float32."""
    pictures = np.stack([triple.source, triple.morphed, triple.turned]).transpose(0, 3, 1, 2)
    poses = np.stack([triple.own, triple.pose])
    return {"pictures": np.ascontiguousarray(pictures), "poses": poses}


class DrawingPool:
    """The latest triples."""

    def __init__(
        self,
        source: Workers[Triple],
        config: DrawingPoolConfig,
        device: torch.device,
        first: int,
        made: int = 0,
    ) -> None:
        """Begin with the triples up to number `made`, but at least `first` of them.

        source: begins at `begin_at(config, made)`.
        """
        self.config, self._source = config, source
        self._buffer = RingBuffer(config.size, device, begin_at(config, made))
        self.asked = 0  # pictures that were learnt from, in this process
        for _ in range(max(made - self.made, min(first, config.size))):
            self._take()

    def batch(self, size: int) -> DrawnBatch:
        """`size` triples: the newest, and others at random."""
        fresh = self._fresh(size)
        self.asked += size
        batch = self._buffer.batch(size, fresh)
        return DrawnBatch.of(batch["pictures"], batch["poses"])

    @property
    def made(self) -> int:
        """Number of the triple that comes next."""
        return self._buffer.next

    @property
    def drawn(self) -> int:
        """How many triples this process has drawn."""
        return self._buffer.added

    @property
    def uses(self) -> float:
        """How often a triple that this process drew is learnt from, in the mean."""
        return self.asked / max(self.drawn, 1)

    def close(self) -> None:
        """End the processes that draw."""
        self._source.close()

    def _fresh(self, size: int) -> int:
        """Hold new triples for a batch of `size`; returns how many."""
        before = self.drawn
        if not self.config.fresh:
            for triple in self._source.ready():
                self._buffer.add(example_of(triple))
        owed = int((self.asked + size) / self.config.most_uses - self.drawn)
        for _ in range(self.config.fresh or max(0, owed)):
            self._take()
        return self.drawn - before

    def _take(self) -> None:
        self._buffer.add(example_of(self._source.take()))


def begin_at(config: DrawingPoolConfig, made: int) -> int:
    """Number of the first triple of a pool that is to go on at number `made`.

    All before it that it would hold, where runs are to be repeatable; else a few are enough.
    """
    return max(0, made - config.size) if config.fresh else made
