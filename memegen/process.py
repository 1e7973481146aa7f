"""Everything that a whole process has one of, and that memegen changes: on purpose, and here.

What has to be set before NumPy and torch load is in `memegen/cli/__init__.py`: a library leaves
the environment of its program alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from PIL import Image

_lock = threading.Lock()
_readers = 0  # of `reading_pictures`, in all threads
_before: tuple[int | None, list[object]] = (None, [])


@contextlib.contextmanager
def reading_pictures() -> Iterator[None]:
    """Pictures may be large, and Pillow's warnings about them go nowhere.

    Our own limit has a clearer message. Threads share this: the first sets it, the last one that
    leaves puts back what was there.
    """
    global _readers, _before
    with _lock:
        if _readers == 0:
            _before = (Image.MAX_IMAGE_PIXELS, list(warnings.filters))
            Image.MAX_IMAGE_PIXELS = None
            warnings.filterwarnings("ignore", module="(PIL|pillow_heif)")
            warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        _readers += 1
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if _readers == 0:
                Image.MAX_IMAGE_PIXELS, warnings.filters[:] = _before  # type: ignore[index]


@contextlib.contextmanager
def deferred(module: str, *functions: str) -> Iterator[None]:
    """While open, whoever imports these functions of a module gets them without the module.

    It is imported when one of them is called, or when somebody asks for the module afterwards. For
    a library that brings in seconds of code for a function that few of its users call. Nothing
    happens where the module, or the package that it is in, is there already.
    """
    package = module.rpartition(".")[0]
    names = [name for name in (package, module) if name]
    with _lock:
        if any(name in sys.modules for name in names):
            names = []
        for name in names:
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__path__ = []  # what makes it a package
        for function in functions if names else ():
            setattr(sys.modules[module], function, _late(module, function))
    try:
        yield
    finally:
        with _lock:
            for name in names:
                del sys.modules[name]


def _late(module: str, function: str) -> Callable[..., Any]:
    def call(*args: Any, **given: Any) -> Any:
        return getattr(importlib.import_module(module), function)(*args, **given)

    return call


def flush_denormals() -> None:
    """Numbers next to nothing count as nothing: they slow CPU convolutions by up to a quarter."""
    import torch

    torch.set_flush_denormal(True)


def one_thread() -> None:
    """Have torch and OpenCV use one core in this process: its own, where processes share a machine.

    New threads begin as the process did for torch: each calls this again.
    """
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def give_back_memory() -> None:
    """Give freed memory back to the system now.

    glibc keeps what every thread has freed for that thread: a server that once read a large
    picture would hold its memory for ever. Elsewhere nothing happens.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


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
