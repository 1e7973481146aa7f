"""What a generator's network costs: parameters, bytes, arithmetic and milliseconds a frame.

Networks differ in what they are called with, so the calls of one rendered frame are recorded and
played again: alone, in single and in half precision.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from memegen.devices import has_halves
from memegen.generators.base import Generator, Renderer

CALLS = 12  # of which the median is taken
WARM = 3  # more calls before these: the first ones choose kernels and allocate
LONGEST = 6.0  # seconds after which no further call is timed


@dataclass(frozen=True)
class NetworkCost:
    """Of the network of a generator; a figure that it has not is None."""

    parameters: int
    megabytes: float | None  # of its weights file
    gflops: float | None  # a frame: two a multiplication and addition (FlopCounterMode of torch)
    ms_fp32: float | None  # a frame, on this processor, in as many threads as torch has
    ms_bf16: float | None  # the same under bfloat16 autocast; None where that is emulated
    resolution: int | None  # pixels of the largest side of what it returns


@dataclass(frozen=True)
class Call:
    """A module called while frames were rendered."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    returned: int  # largest side of the pictures that came back; 0 if there were none

    def __call__(self) -> Any:
        """The same once more."""
        return self.module(*self.args, **self.kwargs)


def cost_of(
    generator: Generator, renderer: Renderer, target: Any, file: Path | None
) -> NetworkCost:
    """The cost of the frame `target` (K,) of a scene; file: the weights, where there are any."""
    network = getattr(generator, "network", None)
    megabytes = file.stat().st_size / 1e6 if file is not None and file.is_file() else None
    if not isinstance(network, nn.Module):
        return NetworkCost(0, megabytes, None, None, None, None)
    parameters = sum(p.numel() for p in network.parameters())
    with recorded(network) as calls:
        list(renderer.render(np.asarray(target, np.float32)[None]))
    if not calls:
        return NetworkCost(parameters, megabytes, None, None, None, None)
    device = next(network.parameters()).device
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            _again(calls)
        halves = torch.autocast(device.type, torch.bfloat16)
        with torch.autocast(device.type, enabled=False):
            single = milliseconds(partial(_again, calls))
        half = None
        if has_halves(device):
            with halves:
                half = milliseconds(partial(_again, calls))
    sides = [call.returned for call in calls]
    gflops = counter.get_total_flops() / 1e9
    return NetworkCost(parameters, megabytes, gflops, single, half, max(sides) or None)


@contextmanager
def recorded(network: nn.Module) -> Iterator[list[Call]]:
    """Outermost calls of a network, or of its parts, while the block runs: nothing counts twice.

    The calls are there when the block has ended. Frames must be rendered one after the other.
    """
    found: list[Call] = []
    depth = 0

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        nonlocal depth
        depth += 1

    def leave(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        nonlocal depth
        depth -= 1
        if depth == 0:
            found.append(Call(module, args, kwargs, _side(out)))

    hooks = []
    for module in network.modules():
        hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        hooks.append(module.register_forward_hook(leave, with_kwargs=True))
    calls: list[Call] = []
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()
        calls.extend(found)


def milliseconds(work: Callable[[], object], calls: int = CALLS) -> float:
    """Median of what some calls take, after WARM others."""
    began, times = time.perf_counter(), []
    for number in range(WARM + calls):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if number >= WARM:
            times.append(time.perf_counter() - start)
        if times and time.perf_counter() - began > LONGEST:
            break
    return float(np.median(times)) * 1000


def _again(calls: Iterable[Call]) -> None:
    for call in calls:
        call()


def _side(returned: Any) -> int:
    """The largest side of pictures (T, C, H, W) among what was returned."""
    if isinstance(returned, Tensor):
        return max(returned.shape[2:]) if returned.ndim == 4 else 0
    parts = returned.values() if isinstance(returned, dict) else returned
    return max((_side(part) for part in parts), default=0) if _holds(parts) else 0


def _holds(parts: Any) -> bool:
    return isinstance(parts, Iterable) and not isinstance(parts, (str, bytes))
