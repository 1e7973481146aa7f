"""GANimation checkpoints of the three public codes, turned into ours.

Generators and discriminators have the same layers everywhere and are told apart by the names of
their heads: `img_reg` and `attetion_reg` (so spelt); `im_reg` and `im_att`, with running
statistics and `debug*` duplicates of the trunk; `color_top` and `au_top`, with convolution biases
and norms without gain. Discriminators end in `conv1` and `conv2`, or in `dis_top` and `aus_top`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from memegen.errors import UsageError, WeightsError, is_out_of_memory
from memegen.generators.ganimation import GanimationConfig, GanimationDiscriminator, GanimationNet

_DROPPED = re.compile(r"^debug\d|\.(running_mean|running_var|num_batches_tracked)$")
_USUAL_SIZE = {9: 256}  # side of the crop by residual blocks; 128 otherwise


@dataclass(frozen=True)
class Layout:
    """How one public code names the parts of a network: (their prefix, ours)."""

    kind: str  # generator or discriminator
    heads: tuple[str, str]  # that tell it from the others
    names: tuple[tuple[str, str], ...]


LAYOUTS = (
    Layout(
        "generator",
        ("img_reg", "attetion_reg"),
        (("main.", "trunk."), ("img_reg.0.", "colour."), ("attetion_reg.0.", "attention.")),
    ),
    Layout(
        "generator",
        ("im_reg", "im_att"),
        (("main.", "trunk."), ("im_reg.0.", "colour."), ("im_att.0.", "attention.")),
    ),
    Layout(
        "generator",
        ("color_top", "au_top"),
        (("model.", "trunk."), ("color_top.0.", "colour."), ("au_top.0.", "attention.")),
    ),
    Layout(
        "discriminator",
        ("conv1", "conv2"),
        (("main.", "main."), ("conv1.", "verdict."), ("conv2.", "units.")),
    ),
    Layout(
        "discriminator",
        ("dis_top", "aus_top"),
        (("model.", "main."), ("dis_top.", "verdict."), ("aus_top.", "units.")),
    ),
)


@dataclass(frozen=True)
class Imported:
    """A checkpoint as ours."""

    kind: str  # generator or discriminator
    network: nn.Module
    config: GanimationConfig


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Tensors of a PyTorch checkpoint, by name. Nothing in the file is ever executed.

    Raises UsageError if it is not there, WeightsError if it holds anything else or numbers that
    are not finite.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():  # about old pickle protocols; said below if it matters
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch passes on whatever its readers of several formats raise
        if is_out_of_memory(error):
            raise
        raise WeightsError(f"{path}: not a checkpoint of plain tensors; refused") from None
    for wrapper in ("state_dict", "model", "generator", "G"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(f"{path}: holds no tensors by name")
    found = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if len(found) < len(state):
        raise WeightsError(f"{path}: holds more than tensors; give the network's own file")
    for name, value in found.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{path}: tensor '{name}' holds infinite or undefined numbers")
    return {name.removeprefix("module."): value for name, value in found.items()}


def convert(
    state: Mapping[str, Tensor], size: int | None = None, where: str = "checkpoint"
) -> Imported:
    """Recognise a layout and build the network. `size`: side of the crop, if it is unusual.

    Raises WeightsError naming what does not fit.
    """
    kept = {name: value.float() for name, value in state.items() if not _DROPPED.search(name)}
    parts = {name.split(".")[0] for name in kept}
    layout = next((one for one in LAYOUTS if parts.issuperset(one.heads)), None)
    if layout is None:
        known = "; ".join(" and ".join(one.heads) for one in LAYOUTS)
        raise WeightsError(f"{where}: no known GANimation checkpoint (heads looked for: {known})")
    ours = {}
    for name, value in kept.items():
        before, after = next((p for p in layout.names if name.startswith(p[0])), ("", ""))
        if not after:
            raise WeightsError(f"{where}: unknown tensor '{name}'")
        ours[after + name.removeprefix(before).replace(".conv_block.", ".main.")] = value
    config = _config(ours, layout.kind, size, where)
    network = (
        GanimationNet(config) if layout.kind == "generator" else GanimationDiscriminator(config)
    )
    target = network.state_dict()
    for name in target.keys() | ours.keys():
        if name not in ours or name not in target or target[name].shape != ours[name].shape:
            raise WeightsError(f"{where}: '{name}' is missing, unknown or of another shape")
    network.load_state_dict(ours)
    return Imported(layout.kind, network.eval(), config)


def _config(
    ours: Mapping[str, Tensor], kind: str, size: int | None, where: str
) -> GanimationConfig:
    """Sizes from the shapes of the tensors."""
    try:
        if kind == "discriminator":
            units, _, kernel, _ = ours["units.weight"].shape
            width = ours["main.0.weight"].shape[0]
            return GanimationConfig(size or kernel * 64, units, width)
        width, channels, _, _ = ours["trunk.0.weight"].shape
        blocks = len({name.split(".")[1] for name in ours if ".main.0." in name})
        return GanimationConfig(
            size or _USUAL_SIZE.get(blocks, 128),
            channels - 3,
            width,
            blocks,
            affine="trunk.1.weight" in ours,
            biased="trunk.0.bias" in ours,
        )
    except (KeyError, ValueError):
        raise WeightsError(f"{where}: its first or last layer is missing") from None
