"""Checkpoints of a run: everything that learns, in one file that is whole or not there."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from memegen.errors import MemegenError, UsageError

NAME = "checkpoint.pt"  # in the folder of a run


class Stateful(Protocol):
    """A network or an optimiser."""

    def state_dict(self) -> dict[str, Any]:
        """Everything it needs to go on."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """Go on from there."""


def required(out: Path) -> Path:
    """The checkpoint of a run. Raises UsageError if there is none."""
    path = out / NAME
    if not path.exists():
        raise UsageError(f"{path}: no checkpoint to resume from")
    return path


def save(out: Path, parts: Mapping[str, Stateful], progress: Mapping[str, Any]) -> None:
    """Write beside, flush to disk, rename: whoever kills this process finds the last one whole.

    Raises MemegenError, and keeps the last one, if a part holds numbers that are not finite.
    """
    state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
    for name in state:
        if not all(bool(torch.isfinite(tensor).all()) for tensor in _tensors(state[name])):
            raise MemegenError(
                f"{out / NAME}: not written, the {name} is not finite any more; what was saved "
                "last is kept, --resume from it with a lower --lr"
            )
    state |= {"random": torch.get_rng_state(), "progress": dict(progress)}
    partial = out / "checkpoint.part"
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(out / NAME)


def _tensors(state: Any) -> Iterator[torch.Tensor]:
    """All floating-point tensors of nested dictionaries."""
    for value in state.values() if isinstance(state, Mapping) else ():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            yield value
        else:
            yield from _tensors(value)


def restore(out: Path, parts: Mapping[str, Stateful]) -> dict[str, Any]:
    """Load all parts and torch's random state; returns the progress that was saved.

    Raises UsageError if there is no checkpoint, MemegenError if it is of another kind of run.
    """
    path = required(out)
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        torch.set_rng_state(saved["random"])
        return dict(saved["progress"])
    except (
        KeyError, RuntimeError, TypeError, ValueError, EOFError, pickle.UnpicklingError,
    ) as error:  # fmt: skip
        reason = str(error).splitlines()[0]
        raise MemegenError(f"{path}: no checkpoint of such a run ({reason})") from None
