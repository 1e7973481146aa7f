"""Sizes of pictures and of files, as users write them."""

from __future__ import annotations

from memegen.errors import UsageError

MIN_SIDE, MAX_SIDE = 16, 8192  # pixels; nothing plays larger animations
SMALLEST = 1000  # bytes; nothing that moves is smaller
_UNITS = {"": 1, "b": 1, "kb": 1000, "k": 1000, "kib": 1024, "mb": 10**6, "m": 10**6, "mib": 2**20}


def checked_side(side: int) -> int:
    """A longest side in pixels that pictures can have. Raises UsageError."""
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise UsageError(f"`size` {side}: must be {MIN_SIDE}..{MAX_SIDE} pixels")
    return side


def parse_size(text: str) -> int:
    """`8MB`, `500kB`, `1.5MiB` or plain bytes to a number of bytes. Raises UsageError."""
    word = text.strip().lower().replace(" ", "")
    number = word.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = word[len(number) :]
    try:
        size = int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise UsageError(f"`max_size` '{text}': write for example 8MB or 500kB") from None
    if size < SMALLEST:
        raise UsageError(f"`max_size` '{text}': no animation fits into less than 1 kB")
    return size
