"""Photos that come into a folder, as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from memegen.batch.planning import photos_in

POLL = 1.0  # seconds between two looks
Stamp = tuple[int, int]  # time of the last change in nanoseconds, bytes


def arrivals(
    folder: str | Path, interval: float = POLL, wait: Callable[[float], None] = time.sleep
) -> Iterator[list[str]]:
    """The photos of a folder, those that are there first, then new and changed ones, for ever.

    A file is given out when two looks, `interval` seconds apart, find it the same: one that is
    still being written is waited for. Where nothing new has settled, the list is empty.
    Raises UsageError if the folder is gone.
    """
    before: dict[str, Stamp] = {}
    given: dict[str, Stamp] = {}
    while True:
        now = {path: stamp for path in photos_in(folder) if (stamp := _stamp(path)) is not None}
        settled = [
            path
            for path, stamp in now.items()
            if before.get(path) == stamp and given.get(path) != stamp and stamp[1] > 0
        ]
        given = {path: stamp for path, stamp in given.items() if path in now}
        given |= {path: now[path] for path in settled}
        before = now
        yield settled
        wait(interval)


def _stamp(path: str) -> Stamp | None:
    try:
        found = Path(path).stat()
    except OSError:  # gone since
        return None
    return found.st_mtime_ns, found.st_size
