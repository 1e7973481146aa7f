"""Checkpoints of a run: everything that learns, in one file that is whole or not there."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
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


def save(
    out: Path,
    parts: Mapping[str, Stateful],
    progress: Mapping[str, Any],
    begun_with: Mapping[str, Any],
    settings: Mapping[str, str] | None = None,
) -> None:
    """Write beside, flush to disk, rename: whoever kills this process finds the last one whole.

    begun_with: options that `restore` wants the same; settings: those of `settings_of`, whose
    changes it names.
    Raises MemegenError, and keeps the last one, if a part holds numbers that are not finite.
    """
    state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
    for name in state:
        if not all(bool(torch.isfinite(tensor).all()) for tensor in _tensors(state[name])):
            raise MemegenError(
                f"{out / NAME}: not written, the {name} is not finite any more; what was saved "
                "last is kept, `resume` from it with a lower `lr`"
            )
    state |= {"random": _random_state(), "progress": dict(progress), "begun": dict(begun_with)}
    state["settings"] = dict(settings or {})
    partial = out / "checkpoint.part"
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(out / NAME)


def settings_of(settings: Any, data: Path) -> dict[str, str]:
    """Every setting (a dataclass, others in it) and the data of a run, by name, as text."""

    def flat(values: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
        for name, value in values.items():
            if isinstance(value, Mapping):
                yield from flat(value, f"{path}{name}.")
            else:
                yield path + name, repr(value)

    return dict(flat(asdict(settings), "")) | {"DATA": repr(str(data.resolve()))}


def _random_state() -> dict[str, Any]:
    """Of every device that training may draw random numbers on."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def _set_random_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def _tensors(state: Any) -> Iterator[torch.Tensor]:
    """All floating-point tensors of nested dictionaries."""
    for value in state.values() if isinstance(state, Mapping) else ():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            yield value
        else:
            yield from _tensors(value)


def restore(
    out: Path,
    parts: Mapping[str, Stateful],
    begun_with: Mapping[str, Any],
    settings: Mapping[str, str] | None = None,
    log: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Load all parts and torch's random state; returns the progress that was saved.

    `log` is told which of the `settings` are others than those that were saved.
    Raises UsageError if there is no checkpoint or the run began with other options, MemegenError if
    it is of another kind of run.
    """
    path = required(out)
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        _refuse_others(path, saved["begun"], begun_with)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        _set_random_state(saved["random"])
        for name, was in saved.get("settings", {}).items():
            if name in (settings or {}) and (now := (settings or {})[name]) != was:
                log(f"`resume`: {name} is {now} from here on, was {was}")
        return dict(saved["progress"])
    except UsageError:
        raise
    except (
        KeyError, RuntimeError, TypeError, ValueError, EOFError, pickle.UnpicklingError,
    ) as error:  # fmt: skip
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise MemegenError(f"{path}: no checkpoint of such a run ({reason})") from None


def _refuse_others(path: Path, begun: Mapping[str, Any], target: Mapping[str, Any]) -> None:
    for option, value in target.items():
        if option in begun and begun[option] != value:
            was = f"`{option}` {begun[option]}"
            raise UsageError(f"{path}: this run began with {was}; `resume` goes on as it began")
