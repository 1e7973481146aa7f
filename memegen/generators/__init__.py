"""Generators turn an expression into pixels. One interface, a registry by name."""

from memegen.generators.base import Generator, Renderer, Scene
from memegen.generators.registry import generator_named, generator_names

__all__ = ["Generator", "Renderer", "Scene", "generator_named", "generator_names"]
