"""Where networks run."""

from __future__ import annotations

import math
import sys
import time
from functools import cache
from typing import TYPE_CHECKING

from memegen.errors import UsageError
from memegen.process import flush_denormals, keep_freed_memory

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")  # what `--device` takes
TRIED = (64, 32)  # channels, and pixels a side, of the convolution that tells whether bfloat16 pays
TURNS = 5  # of it in each precision: 16 ms in all
HALVES_PAY = (
    1.3  # share of the time from which they do not; found were 0.5 to 1.0, and 1.8 and more
)


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
    one without up to twenty times as long.
    """
    import torch

    if device.type == "cpu":
        if not torch.backends.mkldnn.is_available():
            return False
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and halves_share() < HALVES_PAY
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


@cache
def halves_share() -> float:
    """The time of a bfloat16 convolution on this processor, in those of a float32 one: tried.

    That oneDNN can, as torch says, tells little: with AVX-512 but no instructions for bfloat16 it
    takes 2 to 3 times as long, with them 0.6. Time of this thread alone, which does not count what
    else runs, so that what is chosen does not depend on it: frames differ in their last digits.
    """
    import torch

    # Windows counts the time of threads in steps of 16 ms.
    clock = time.perf_counter if sys.platform == "win32" else time.thread_time
    threads = torch.get_num_threads()
    channels, side = TRIED
    # Nothing random: who trains has seeded that.
    image, kernels = (
        torch.ones(shape).contiguous(memory_format=torch.channels_last)
        for shape in ((1, channels, side, side), (channels, channels, 3, 3))
    )
    least = {False: math.inf, True: math.inf}
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for turn in range(TURNS + 1):
                for half in least:
                    with torch.autocast("cpu", torch.bfloat16, enabled=half):
                        began = clock()
                        torch.nn.functional.conv2d(image, kernels, padding=1)
                        taken = clock() - began
                    if turn:  # the first one makes its code
                        least[half] = min(least[half], taken)
    finally:
        torch.set_num_threads(threads)
    return least[True] / max(least[False], sys.float_info.min)


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
