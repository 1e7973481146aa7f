"""Generators by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from memegen import weights
from memegen.errors import UsageError, WeightsError, nearest
from memegen.generators.anatomical import AnatomicalGenerator
from memegen.generators.base import Generator
from memegen.generators.ganimation import GanimationGenerator
from memegen.generators.mesh import MeshGenerator

_REGISTRY: dict[str, Callable[[str], Generator]] = {
    "anatomical": AnatomicalGenerator,
    "ganimation": GanimationGenerator,
    "mesh": MeshGenerator,
}
_WITH_WEIGHTS: dict[str, Callable[[str, str], Generator]] = {
    "anatomical": AnatomicalGenerator,
    "ganimation": GanimationGenerator,
}


def generator_names() -> list[str]:
    """Names that `--model` takes."""
    return sorted(_REGISTRY)


def generator_named(name: str, device: str = "cpu") -> Generator:
    """Make a generator by its registered name, or from weights of `memegen train`.

    Those are a .safetensors file, or the folder of a run that holds one. Raises UsageError naming
    the nearest registered name, WeightsError for a file that is none.
    """
    path = _file_of(name)
    if path.suffix == ".safetensors":
        architecture = weights.architecture_of(path)
        if architecture not in _WITH_WEIGHTS:
            raise WeightsError(f"{path}: these weights are for '{architecture}', no generator")
        return _WITH_WEIGHTS[architecture](device, str(path))
    if name not in _REGISTRY:
        raise UsageError(
            f"unknown model '{name}'{nearest(name, _REGISTRY)} "
            f"(known: {', '.join(generator_names())}, or what memegen train made)"
        )
    return _REGISTRY[name](device)


def weights_named(name: str) -> Path:
    """The file of weights that a name, a file or the folder of a run stands for."""
    path = _file_of(name)
    return path if path.suffix == ".safetensors" or path.exists() else weights.find(name)


def _file_of(name: str) -> Path:
    return Path(name) if name in _REGISTRY else weights.in_run(name, _WITH_WEIGHTS)
