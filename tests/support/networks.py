"""Tiny networks with random weights."""

from pathlib import Path

import torch

from memegen import aus, weights
from memegen.generators.network import GeneratorConfig, GeneratorNet, WindowConfig

TINY = GeneratorConfig(mouth=WindowConfig(16, (4, 8, 8), 2, 1), condition=8)


def tiny_file(path: Path, loud: float = 0.1) -> Path:
    """Weights of a small anatomical generator whose head does something."""
    network = GeneratorNet(TINY)
    torch.nn.init.normal_(network.mouth.head.weight, std=loud)
    weights.save(path, network.state_dict(), "anatomical", TINY, au_order=" ".join(aus.CHANNELS))
    return path
