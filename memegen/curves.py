"""Curves between two values, used wherever something fades or runs against a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from memegen.arrays import Array

if TYPE_CHECKING:
    from torch import Tensor


@overload
def smoothstep(low: float, high: float, value: Array | np.float32) -> Array: ...
@overload
def smoothstep(low: float, high: float, value: Tensor) -> Tensor: ...
def smoothstep(low: float, high: float, value: Any) -> Any:
    """0 below `low`, 1 above `high`, smooth between."""
    t = ((value - low) / (high - low)).clip(0, 1)
    found = t * t * (3 - 2 * t)
    return np.asarray(found, np.float32) if isinstance(t, np.ndarray | np.generic) else found


def soft_limit(value: Array, exact: Array | float, most: Array | float) -> Array:
    """`value` up to +-`exact`, then ever less of it, never +-`most`; slope 1 where they meet."""
    beyond = np.clip(np.abs(value) - exact, 0, None)
    soft = np.sign(value) * (exact + (most - exact) * (1 - np.exp(-beyond / (most - exact))))
    return np.asarray(np.where(beyond > 0, soft, value), np.float32)
