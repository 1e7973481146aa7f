"""Curves between two values, used wherever something fades or runs against a limit."""

from __future__ import annotations

import numpy as np

from memegen.arrays import Array


def smoothstep(low: float, high: float, value: Array | np.float32) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.minimum(np.maximum((value - low) / (high - low), 0), 1)  # np.clip costs more calls
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def soft_limit(value: Array, exact: Array | float, most: Array | float) -> Array:
    """`value` up to +-`exact`, then ever less of it, never +-`most`; slope 1 where they meet."""
    beyond = np.clip(np.abs(value) - exact, 0, None)
    soft = np.sign(value) * (exact + (most - exact) * (1 - np.exp(-beyond / (most - exact))))
    return np.asarray(np.where(beyond > 0, soft, value), np.float32)
