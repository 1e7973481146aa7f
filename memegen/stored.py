"""How numbers of weights are stored: in halves, in full, or as 8-bit numbers with scales.

Eight bits: every slice of a tensor along its first axis (the output channel of a convolution) has
one scale s = max |w| / 127 in float32, kept beside it, and w is stored as round(w / s). So no
weight is off by more than s / 2. Tensors of one axis, and small ones, stay halves,
or float32 where halves do not reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

STORED = ("half", "full", "int8")
SCALE = "::scale"  # ending of the name of a tensor's scales
LARGEST = 127
FEWEST = 1024  # numbers of a tensor below which 8-bit ones save nothing


def packed(tensors: Mapping[str, torch.Tensor], stored: str) -> dict[str, torch.Tensor]:
    """What is written of tensors, on the CPU; stored is one of STORED.

    Numbers that are not floating stay as they are.
    """
    kept: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        values = tensor.detach().cpu()
        if stored == "int8" and values.is_floating_point() and _is_large(values):
            scales = _scales(values)
            shape = (-1,) + (1,) * (values.ndim - 1)
            kept[name] = (values.float() / scales.view(shape)).round().char().contiguous()
            kept[name + SCALE] = scales
        elif stored != "full" and values.is_floating_point():
            kept[name] = _halves(values).contiguous()
        else:
            kept[name] = values.contiguous()
    return kept


def unpacked(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors that `packed` was given: float32 where they were stored in 8 bits."""
    found = {}
    for name, tensor in tensors.items():
        if name.endswith(SCALE):
            continue
        scales = tensors.get(name + SCALE)
        if scales is not None:
            tensor = tensor.float() * scales.view((-1,) + (1,) * (tensor.ndim - 1))
        found[name] = tensor
    return found


def _halves(tensor: torch.Tensor) -> torch.Tensor:
    """As halves; as it is where it has numbers beyond their 65504, as running variances may."""
    halves = tensor.half()
    beyond = halves.isinf() & tensor.isfinite()
    return tensor if bool(beyond.any()) else halves


def _is_large(tensor: torch.Tensor) -> bool:
    return tensor.ndim > 1 and tensor.numel() >= FEWEST


def _scales(tensor: torch.Tensor) -> torch.Tensor:
    """(C,) of (C, ...); 1 for a channel of zeros, and not finite for one that is not."""
    largest = tensor.float().flatten(1).abs().amax(1)
    return (largest / LARGEST).where(largest != 0, largest.new_ones(()))
