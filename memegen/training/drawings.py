"""Drawn pairs for the talking head: one character as it is, with another face, and turned.

Free of torch, so that processes that only draw start at once and stay small.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from memegen.arrays import Array, Picture
from memegen.cartoon.pose import HIGH, LOW, MORPH, POSE, ROTATE, sample_pose
from memegen.cartoon.renderer import render
from memegen.cartoon.style import sample_style
from memegen.training.workers import Workers

TRAINED, HELD_OUT = 0, 1  # whose characters: they never share a seed


@dataclass(frozen=True)
class DrawingConfig:
    """How triples are drawn. Shares are probabilities."""

    size: int = 256  # pixels
    few: float = 0.35  # share of target poses that move one or two numbers of the face only
    turned: float = 0.85  # share of target poses that turn the head, about each axis
    expressive: float = 0.15  # share of sources that show an expression of their own, a weak one
    strength: float = 0.5  # how much of a random pose that is


@dataclass(frozen=True)
class Triple:
    """One character three times."""

    source: Picture  # (S, S, 3) uint8, head at rest
    morphed: Picture  # with the pose's face, head at rest
    turned: Picture  # in the pose
    own: Array  # (P,) pose of the source; its angles are 0
    pose: Array  # (P,)


def draw(index: int, seed: int = 0, split: int = TRAINED, config: DrawingConfig | None = None,
         ) -> Triple:  # fmt: skip
    """Triple number `index` is always the same one. split: TRAINED or HELD_OUT."""
    c = config or DrawingConfig()
    rng = np.random.default_rng([seed, split, index])
    style, pose = sample_style(rng), sample_target(rng, c)
    own = np.zeros(len(POSE), np.float32)
    if rng.random() < c.expressive:
        own = without_turn(sample_pose(rng) * c.strength)
    return Triple(
        render(style, own, c.size),
        render(style, without_turn(pose), c.size),
        render(style, pose, c.size),
        own.astype(np.float32),
        pose.astype(np.float32),
    )


def sample_target(rng: np.random.Generator, config: DrawingConfig) -> Array:
    """A random pose (P,) for a drawing to be given."""
    pose = sample_pose(rng)
    if rng.random() < config.few:
        few = rng.choice(MORPH, int(rng.integers(1, 3)), replace=False)
        pose = np.zeros(len(POSE), np.float32)
        pose[few] = rng.uniform(LOW[few], HIGH[few])
    turned = rng.random(len(ROTATE)) < config.turned
    pose[list(ROTATE)] = np.where(turned, rng.uniform(-1, 1, len(ROTATE)), 0.0)
    return pose


def without_turn(pose: Array) -> Array:
    """A pose with the head at rest."""
    still = pose.copy()
    still[list(ROTATE)] = 0
    return still


def drawers(
    seed: int, config: DrawingConfig, first: int = 0, workers: int = 0, split: int = TRAINED
) -> Workers[Triple]:
    """Those that draw triples from number `first` on."""
    return Workers(partial(draw, seed=seed, split=split, config=config), first, workers)
