"""Generators by name."""

from __future__ import annotations

from collections.abc import Callable

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
    """Make a generator by its registered name. Raises UsageError naming the nearest one."""
    if name not in _REGISTRY:
        raise UsageError(
            f"unknown model '{name}'{nearest(name, _REGISTRY)} "
            f"(known: {', '.join(generator_names())})"
        )
    return _REGISTRY[name](device)
