"""Where networks run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memegen.errors import UsageError
from memegen.process import flush_denormals, keep_freed_memory

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")  # what `--device` takes


def checked_device(name: str) -> str:
    """A name of DEVICES, which need not be here. Raises UsageError."""
    if name not in DEVICES:
        raise UsageError(f"unknown device '{name}' (known: {', '.join(DEVICES)})")
    return name


def device_named(name: str) -> str:
    """`auto` is CUDA where there is one, else the CPU. Raises UsageError for a missing device."""
    import torch

    if checked_device(name) == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present[name]:
        raise UsageError(f"there is no {name} device on this machine; use --device cpu")
    return name


def has_halves(device: torch.device) -> bool:
    """Whether bfloat16 convolutions are faster than float32 ones here.

    A processor with instructions for them takes two thirds of the time for the default's network,
    one without up to twenty times as long. See `winograd.pays` for why nothing is tried.
    """
    import torch

    if device.type == "cpu":
        if not torch.backends.mkldnn.is_available():
            return False
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def ready_to_train(seed: int) -> None:
    """What every training asks of its process: fast arithmetic, kept memory, a seed."""
    import torch

    flush_denormals()
    keep_freed_memory()
    if torch.cuda.is_available():  # what stays float32 beside autocast need not be exact to 24 bits
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True  # batches are all of one size
    torch.manual_seed(seed)
