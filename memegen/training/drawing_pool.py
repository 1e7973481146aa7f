"""Drawn triples held where the network is: drawing one costs more than learning from it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memegen.training.drawings import Drawers, Triple


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
    pictures = np.stack([np.stack([t.source, t.morphed, t.turned]) for t in triples])
    poses = np.stack([np.stack([t.own, t.pose]) for t in triples])
    return torch.from_numpy(pictures).permute(0, 1, 4, 2, 3).contiguous(), torch.from_numpy(poses)


class DrawingPool:
    """The latest triples. Number i lies in row i modulo the pool's size."""

    def __init__(
        self,
        source: Drawers[Triple],
        config: DrawingPoolConfig,
        device: torch.device,
        first: int,
        made: int = 0,
    ) -> None:
        """Begin with the triples up to number `made`, but at least `first` of them.

        source: begins at `begin_at(config, made)`.
        """
        self.config, self._device, self._source = config, device, source
        self.made = begin_at(config, made)
        self.asked = 0  # pictures that were learnt from, in this process
        self._pictures: Tensor | None = None
        self._poses: Tensor | None = None
        self._begun = self.made
        for _ in range(max(made - self.made, min(first, config.size))):
            self._put([source.take()])

    def batch(self, size: int) -> DrawnBatch:
        """`size` triples: the newest, and others at random."""
        triples = self._fresh(size)
        if triples:
            self._put(triples)
        newest = torch.arange(self.made - len(triples), self.made)[-size:]
        oldest = max(self._begun, self.made - self.config.size)
        older = torch.randint(oldest, self.made, (size - len(newest),))
        rows = (torch.cat([newest, older]) % self.config.size).to(self._device)
        self.asked += size
        assert self._pictures is not None and self._poses is not None
        return DrawnBatch.of(self._pictures[rows], self._poses[rows])

    @property
    def uses(self) -> float:
        """How often a triple that this process drew is learnt from, in the mean."""
        return self.asked / max(self.drawn, 1)

    @property
    def drawn(self) -> int:
        """How many triples this process has drawn."""
        return self.made - self._begun

    def close(self) -> None:
        """Let the processes that draw end."""
        self._source.close()

    def _fresh(self, size: int) -> list[Triple]:
        if self.config.fresh:
            return [self._source.take() for _ in range(self.config.fresh)]
        triples = self._source.ready()
        owed = (self.asked + size) / self.config.most_uses - (self.drawn + len(triples))
        return triples + [self._source.take() for _ in range(max(0, int(owed)))]

    def _put(self, triples: list[Triple]) -> None:
        pictures, poses = tensors_of(triples[-self.config.size :])
        if self._pictures is None or self._poses is None:
            size = self.config.size
            self._pictures = torch.empty(
                (size, *pictures.shape[1:]), dtype=torch.uint8, device=self._device
            )
            self._poses = torch.empty((size, *poses.shape[1:]), device=self._device)
        self.made += len(triples)
        rows = torch.arange(self.made - len(pictures), self.made, device=self._device)
        self._pictures[rows % self.config.size] = pictures.to(self._device)
        self._poses[rows % self.config.size] = poses.to(self._device)


def begin_at(config: DrawingPoolConfig, made: int) -> int:
    """Number of the first triple of a pool that is to go on at number `made`.

    All before it that it would hold, where runs are to be repeatable; else a few are enough.
    """
    return max(0, made - config.size) if config.fresh else made
