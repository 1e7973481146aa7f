"""Files that are written whole or not at all, whatever ends the work; and whether they can be."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from memegen.errors import MemegenError, UsageError

PREFIX = ".memegen-"  # of files that are being written
TOKEN_BYTES = 8  # at random, which the name of such a file has in hexadecimal digits
WRITTEN = PREFIX + "[0-9a-f]" * (2 * TOKEN_BYTES)  # pattern of its name, without the suffix
FRESH = ".fresh"  # suffix until it is locked
SETTLED = 2.0  # seconds after which it is locked, or whoever made it is gone
NAME_BYTES = 255  # that a file's name may have on common file systems


@contextlib.contextmanager
def written_whole(path: Path, suffix: str = "") -> Iterator[Path]:
    """An empty file to write to, which takes the name of `path` when the block ends well.

    It lies beside the file that `path` stands for, through symbolic links, so that renaming never
    crosses file systems; folders that are not there are made. Its name is its own: two runs that
    write the same file do not meet, and the last one that ends stays, whole. After an error nothing
    is left, and what was there before stays. `suffix`: for writers that go by it.
    Raises UsageError where that file cannot be written, MemegenError if the disk is full.
    """
    real = Path(os.path.realpath(path))
    with scratch(real.parent, suffix) as partial:
        yield partial
        try:
            partial.replace(real)
        except OSError as error:
            raise UsageError(f"{path}: cannot write ({error.strerror})") from None


@contextlib.contextmanager
def scratch(folder: Path | None, suffix: str = "") -> Iterator[Path]:
    """An empty file in a folder, or where temporary files go, that is gone after the block."""
    place = Path(tempfile.gettempdir()) if folder is None else folder
    name = f"{PREFIX}{secrets.token_hex(TOKEN_BYTES)}"
    path, fresh = place / f"{name}{suffix}", place / f"{name}{FRESH}"  # known before they are there
    try:
        try:
            place.mkdir(parents=True, exist_ok=True)
            fresh.touch(exist_ok=False)  # with the permissions that new files get here
        except OSError as error:
            raise UsageError(f"{place}: cannot write ({error.strerror})") from None
        with _held(fresh):
            fresh.rename(path)  # from when on it is swept where it is not locked
            yield path
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MemegenError("the disk is full, nothing was written") from None
        raise
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            fresh.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Lock a file for the block: the system lets go of it when the process ends, however it ends.

    Where there are no such locks nothing happens.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            _lock(stack.enter_context(path.open("r+b")))
        yield


def _lock(file: IO[bytes]) -> bool:
    """Lock an open file unless another process has; returns whether it could be."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sweep(folder: Path) -> int:
    """Remove what killed processes left half-written in a folder; returns how many files went.

    Files that a living process writes are locked by it, and stay.
    """
    gone = 0
    for path in folder.glob(f"{WRITTEN}*"):
        with contextlib.suppress(OSError):
            if not path.is_file():
                continue
            if path.suffix == FRESH and time.time() - path.stat().st_mtime < SETTLED:
                continue
            with path.open("r+b") as file:  # NFS locks for one writer only what is open to write
                if _lock(file):
                    path.unlink()
                    gone += 1
    return gone


def check_writable(path: Path, suffix: str | None = None, special: bool = False) -> Path:
    """The path; refused, before any work, where no file can be written. Raises UsageError.

    Folders that are not there are no reason: they are made when it is written. `suffix`: what its
    name must end with. `special`: pipes and devices will do.
    """
    if suffix is not None and path.suffix.lower() != suffix:
        raise UsageError(f"{path}: must end with {suffix}")
    try:
        if path.is_dir():
            raise UsageError(f"{path}: is a folder, not a file name")
        if path.exists() and not path.is_file():
            if special:
                return path
            raise UsageError(f"{path}: is no ordinary file")
        real = Path(os.path.realpath(path))
        parent = next(folder for folder in real.parents if folder.exists())
        if not parent.is_dir():
            raise UsageError(f"{parent}: is no folder")
        there = real.exists()
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise UsageError(f"{path}: cannot write ({error.strerror})") from None
    if not os.access(parent, os.W_OK) or (there and not os.access(real, os.W_OK)):
        raise UsageError(f"{path}: no permission to write there")
    return path


def write_text(path: Path, text: str) -> None:
    """Write a small file, whole or not at all; into pipes and devices, as it comes.

    Raises UsageError where that is not possible.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_text(text, encoding="utf-8")
            return
        with written_whole(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except BrokenPipeError:
        return  # whoever was to read it went away
    except OSError as error:
        raise UsageError(f"{path}: cannot write ({error.strerror})") from None


def fitting(stem: str, second: str, suffix: str) -> str:
    """The name `STEM_SECOND.SUFFIX` for a file, its parts shortened where it would be too long."""

    def cut(text: str, most: int) -> str:
        while len(os.fsencode(text)) > most:
            text = text[:-1]
        return text

    ending = f"_{cut(second, NAME_BYTES // 2)}{suffix}"
    return cut(stem, NAME_BYTES - len(os.fsencode(ending))) + ending
