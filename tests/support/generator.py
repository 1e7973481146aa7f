"""A run of the anatomical generator that takes a moment."""

from pathlib import Path

import pytest

from memegen.training import generator
from memegen.training.pairs import PairConfig, PoolConfig
from memegen.training.run import Run
from support.networks import TINY

SHOWN = 2  # draws on a sheet; each takes a tenth of a second, whatever its size
SETTINGS = generator.GeneratorTraining(
    steps=4, batch=4, unpaired=2, warmup=2, discriminator_from=1, save_minutes=99, sheet_steps=4,
    log_steps=1, pairs=PairConfig(canvas=48), pool=PoolConfig(size=4, first=3, fresh=1, workers=0),
    network=TINY,
)  # fmt: skip


def train(settings: generator.GeneratorTraining, run: Run) -> Path:
    """`generator.train`, with fewer draws on its sheets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "SHOWN", SHOWN)
        return generator.train(settings, run)
