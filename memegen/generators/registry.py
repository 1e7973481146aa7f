"""Generators by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from memegen.errors import UsageError, nearest
from memegen.generators.anatomical import AnatomicalGenerator
from memegen.generators.base import Generator
from memegen.generators.mesh import MeshGenerator

_REGISTRY: dict[str, Callable[[str], Generator]] = {
    "anatomical": AnatomicalGenerator,
    "mesh": MeshGenerator,
}


def generator_names() -> list[str]:
    """Names that `--model` takes."""
    return sorted(_REGISTRY)


def generator_named(name: str, device: str = "cpu") -> Generator:
    """Make a generator by its registered name, or from weights of `memegen train`.

    Those are a .safetensors file, or the folder of a run that holds one. Raises UsageError naming
    the nearest registered name, WeightsError for a file that is none.
    """
    path = Path(name)
    if path.is_dir() and name not in _REGISTRY:
        path = path / "anatomical.safetensors"
    if path.suffix == ".safetensors":
        return AnatomicalGenerator(device, str(path))
    if name not in _REGISTRY:
        raise UsageError(
            f"unknown model '{name}'{nearest(name, _REGISTRY)} "
            f"(known: {', '.join(generator_names())}, or a file of memegen train)"
        )
    return _REGISTRY[name](device)
