"""Small autoencoders with random weights, and a run that takes a moment."""

from pathlib import Path

import torch

from memegen import weights
from memegen.generators.autoencoder import AutoencoderNet, config_of
from memegen.training.autoencoder import AutoencoderTraining

TINY = config_of(32)
SETTINGS = AutoencoderTraining(
    steps=6, batch=4, save_minutes=99, sheet_steps=4, log_steps=1, half=False, network=TINY
)


def tiny_autoencoder(folder: Path, name: str = "autoencoder") -> Path:
    """Weights whose smile is seen."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network = AutoencoderNet(config_of(32, fader=name == "fader"))
    for level in network.decoder:
        for layer in level:
            if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
                torch.nn.init.normal_(layer.weight, 0, 0.2)
    path = folder / f"{name}.safetensors"
    weights.save(path, network.state_dict(), name, network.config, au_order="AU12")
    return path
