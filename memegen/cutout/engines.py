"""Who says where in a picture people are: packages that users install, one a row of ENGINES.

What an engine says is coarse, 256 or 320 pixels a side; `matte` finds the edge. To add one, write
its class and add its row.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from memegen.arrays import Array, Picture
from memegen.errors import MemegenError, UsageError

EXTRA = "memegen-faces[cutout]"
NEEDED = "pymatting"  # by every engine: for the edge
REMBG_MODEL = "u2net_human_seg"  # made for people, free for any use, 176 MB

SELFIE = "mediapipe.python.solutions.selfie_segmentation"


class Engine(Protocol):
    """Finds people."""

    name: str

    def coverage(self, rgb: Picture) -> Array:
        """(H, W) 0..1: how surely each pixel of (H, W, 3) is one of a person."""
        ...


class Rembg:
    """rembg's network for people; it downloads the network's weights when first used."""

    name = "rembg"

    def __init__(self) -> None:
        # rembg exits, and prints why, where onnxruntime is not there.
        with contextlib.redirect_stdout(io.StringIO()):
            self._rembg = importlib.import_module("rembg")
        try:
            self._session: Any = self._rembg.new_session(REMBG_MODEL)
        except Exception as error:  # of whatever library fetches it
            said = " ".join(str(error).split())[:200]
            raise MemegenError(f"rembg cannot load its network {REMBG_MODEL} ({said})") from None

    def coverage(self, rgb: Picture) -> Array:
        """See Engine.coverage."""
        mask = self._rembg.remove(rgb, session=self._session, only_mask=True)
        return np.asarray(mask, np.float32).reshape(rgb.shape[:2]) / 255


class MediaPipe:
    """MediaPipe's selfie segmentation, which its wheels up to 0.10 bring; 256 pixels a side."""

    name = "mediapipe"

    def __init__(self) -> None:
        module = importlib.import_module(SELFIE)
        self._lock = threading.Lock()  # its graphs take one picture at a time
        with _silence():
            self._network: Any = module.SelfieSegmentation(model_selection=0)
            self.coverage(np.zeros((16, 16, 3), np.uint8))  # the first is when it talks

    def coverage(self, rgb: Picture) -> Array:
        """See Engine.coverage."""
        with self._lock:
            return np.array(self._network.process(rgb).segmentation_mask, np.float32)


# The package that must be there, and what uses it; the first that is there is taken.
ENGINES: tuple[tuple[str, Callable[[], Engine]], ...] = (
    ("rembg", Rembg),
    (SELFIE, MediaPipe),
)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Standard error to nowhere, of libraries in C++ too."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def require_engine() -> None:
    """Raise UsageError if nothing here can cut people out. Loads nothing."""
    if not _there(NEEDED) or not any(_there(module) for module, _ in ENGINES):
        raise UsageError(f"`cutout` needs another package: pip install '{EXTRA}'")


@lru_cache(maxsize=1)
def engine() -> Engine:
    """The first engine of ENGINES that can be loaded. Raises MemegenError."""
    require_engine()
    trouble: MemegenError | None = None
    for module, load in ENGINES:
        if not _there(module):
            continue
        try:
            return load()
        except MemegenError as error:
            trouble = trouble or error
        except (ImportError, OSError, AttributeError, SystemExit) as error:
            said = " ".join(str(error).split())[:200]
            trouble = trouble or MemegenError(f"{module.split('.')[0]} cannot be used ({said})")
    assert trouble is not None
    raise trouble


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # of a package that the module would be in
        return False
