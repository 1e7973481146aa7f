"""Where networks run."""

from __future__ import annotations

import ctypes

import torch

from memegen.errors import UsageError


def device_named(name: str) -> str:
    """`auto` is CUDA where there is one, else the CPU. Raises UsageError for a missing device."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name not in present:
        raise UsageError(f"unknown device '{name}' (known: auto, cpu, cuda, mps)")
    if not present[name]:
        raise UsageError(f"there is no {name} device on this machine; use --device cpu")
    return name


def has_halves(device: torch.device) -> bool:
    """Whether bfloat16 convolutions are faster than float32 ones here.

    A processor without instructions for them takes twenty times as long.
    """
    if device.type == "cpu":
        if not torch.backends.mkldnn.is_available():
            return False
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def ready_to_train(seed: int) -> None:
    """What every training asks of its process: fast arithmetic, kept memory, a seed."""
    torch.set_flush_denormal(True)  # denormals slow CPU convolutions by up to a quarter
    keep_freed_memory()
    torch.manual_seed(seed)


def keep_freed_memory() -> None:
    """Let this process keep memory that it frees, for the next step of a training.

    glibc gives large blocks back to the system at once; a training asks for the same ones again a
    moment later, and spends about a fifth of its time on fresh pages. Elsewhere nothing happens.
    """
    mmap_threshold, trim_threshold, top_pad = -3, -1, -2  # names of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, -1)  # never
    mallopt(top_pad, 1 << 26)
