"""Generators turn an expression into pixels. One interface, a registry by name."""

from typing import TYPE_CHECKING

from memegen.generators.registry import generator_named, generator_names

if TYPE_CHECKING:
    from memegen.generators.base import Generator, Renderer, Scene

__all__ = ["Generator", "Renderer", "Scene", "generator_named", "generator_names"]


def __getattr__(name: str) -> object:
    """Import the interface, and with it torch, only when it is used: names are checked without."""
    if name in __all__:
        from memegen.generators import base

        return getattr(base, name)
    raise AttributeError(f"module 'memegen.generators' has no attribute '{name}'")
