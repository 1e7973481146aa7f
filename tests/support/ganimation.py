"""A run of GANimation that takes a moment."""

from memegen.generators.ganimation import GanimationConfig
from memegen.training.ganimation import GanimationTraining

TINY = GanimationConfig(size=64, width=2, blocks=1)
SETTINGS = GanimationTraining(
    steps=6, batch=4, generator_every=2, save_minutes=99, sheet_steps=4, log_steps=1,
    half=False, network=TINY,
)  # fmt: skip
