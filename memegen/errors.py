"""Every error a user can cause, with its exit code and one readable line."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

# What says that memory ran out, in words of torch, OpenCV, C++, the loader, Python and ffmpeg.
_NO_MEMORY = (
    "can't allocate memory", "cannot allocate memory", "out of memory", "bad_alloc",
    "insufficient memory", "failed to map segment", "can't start new thread", "failed to allocate",
    "not enough memory",
)  # fmt: skip


class MemegenError(Exception):
    """Something went wrong that one line explains. Base of all errors memegen raises on purpose."""

    exit_code = 1


class UsageError(MemegenError, ValueError):
    """The request itself is wrong: unknown name, value out of range, broken recipe, bad suffix."""

    exit_code = 2


class NoFaceError(MemegenError):
    """No face was found, or the one asked for is not there."""

    exit_code = 3


class WeightsError(MemegenError):
    """Weights are missing, damaged, or made for another architecture."""

    exit_code = 4


class EncoderError(MemegenError):
    """ffmpeg is missing or failed."""

    exit_code = 5


def nearest(word: str, choices: Iterable[str]) -> str:
    """`", did you mean 'x'?"` for the choice most like `word`, or an empty string if none is."""
    by_folded = {choice.casefold(): choice for choice in choices}
    found = difflib.get_close_matches(word.casefold(), list(by_folded), n=1, cutoff=0.5)
    return f", did you mean '{by_folded[found[0]]}'?" if found else ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, whoever raised it, says that there was not enough memory."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return any(words in str(error).lower() for words in _NO_MEMORY)


def in_one_line(error: Exception, about: str = "") -> str:
    """What an error says to a user, whatever it is."""
    where = f"{about}: " if about else ""
    if is_out_of_memory(error):
        return f"{where}not enough memory; try a smaller --size, or allow more"
    if isinstance(error, MemegenError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or about or 'input or output'}: {error.strerror or error}"
    name = type(error).__name__
    return f"{where}unexpected {name}: {error} (--debug shows where; please report it)"
