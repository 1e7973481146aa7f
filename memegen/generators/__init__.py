"""Generators turn an expression into pixels. One interface, a registry by name."""

from memegen.generators.base import Generator, Painter, Scene
from memegen.generators.registry import generator_named, generator_names

__all__ = ["Generator", "Painter", "Scene", "generator_named", "generator_names"]
