"""Where networks run."""

from __future__ import annotations

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
