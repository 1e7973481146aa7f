"""One process, or the many that `torchrun` started: Lightning Fabric keeps these in step."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from memegen.errors import UsageError


class Processes(Protocol):
    """Everyone who learns the same networks together, until the `with` block ends."""

    rank: int  # number of this one; the first writes files
    count: int
    device: torch.device

    def __enter__(self) -> Processes:
        """Itself."""

    def __exit__(self, *error: object) -> None:
        """Nobody waits for anybody any more."""

    def setup(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
        """The network and its optimiser, so that gradients are averaged over all processes.

        Call `bare(network)` where gradients of the network itself are not needed.
        """

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss."""

    def mean(self, figure: Tensor) -> Tensor:
        """A figure averaged over all processes."""

    def first_alone(self) -> AbstractContextManager[None]:
        """The first process alone, then all others: what it finds is kept for them."""

    def batch_slice(self, batch: int) -> slice:
        """The rows of a batch that are this one's."""


class Alone(AbstractContextManager["Alone"]):
    """The one process that there usually is."""

    rank, count = 0, 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __exit__(self, *error: object) -> None:
        """See Processes.__exit__."""

    def setup(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
        """As they are."""
        return network.to(self.device), optimizer

    def backward(self, loss: Tensor) -> None:
        """See Processes.backward."""
        loss.backward()

    def mean(self, figure: Tensor) -> Tensor:
        """See Processes.mean."""
        return figure

    def first_alone(self) -> AbstractContextManager[None]:
        """See Processes.first_alone."""
        return nullcontext()

    def batch_slice(self, batch: int) -> slice:
        """All of them."""
        return slice(batch)


class Team(AbstractContextManager["Team"]):
    """Processes of `torchrun`, one a GPU, or several on one CPU."""

    def __init__(self, device: torch.device) -> None:
        try:
            from lightning_fabric import Fabric
        except ImportError:
            raise UsageError(
                "several processes need Lightning Fabric: pip install 'memegen-faces[train]'"
            ) from None
        local = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        self._fabric = Fabric(
            accelerator=device.type, devices=local, num_nodes=started() // local, strategy="ddp"
        )
        self._fabric.launch()
        self.rank, self.count = self._fabric.global_rank, self._fabric.world_size
        self.device = self._fabric.device

    def __exit__(self, *error: object) -> None:
        """See Processes.__exit__. Without it, threads of gloo sometimes abort the interpreter."""
        if error[0] is None:  # else the others may never come here
            self._fabric.barrier()
            torch.distributed.destroy_process_group()

    def setup(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
        """See Processes.setup."""
        return self._fabric.setup(network, optimizer)

    def backward(self, loss: Tensor) -> None:
        """See Processes.backward."""
        self._fabric.backward(loss)

    def mean(self, figure: Tensor) -> Tensor:
        """See Processes.mean."""
        averaged = self._fabric.all_reduce(figure, reduce_op="mean")
        assert isinstance(averaged, Tensor)
        return averaged

    def first_alone(self) -> AbstractContextManager[None]:
        """See Processes.first_alone."""
        waiting: AbstractContextManager[None] = self._fabric.rank_zero_first()
        return waiting

    def batch_slice(self, batch: int) -> slice:
        """Equal parts, in order of rank. Raises UsageError if they are not equal."""
        if batch % self.count:
            raise UsageError(f"a batch of {batch} is not to be shared by {self.count} processes")
        part = batch // self.count
        return slice(self.rank * part, (self.rank + 1) * part)


def processes(device: torch.device) -> Processes:
    """Those that torchrun started, else this one alone."""
    return Team(device) if started() > 1 else Alone(device)


def started() -> int:
    """How many processes torchrun started, on all machines; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", 1))


def bare(network: Any) -> Any:
    """A network without what averages its gradients."""
    while isinstance(getattr(network, "module", None), nn.Module):
        network = network.module
    return network
