"""Work done ahead by threads, its results in order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2
import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_WORKERS = 8  # threads that render frames: beyond, Python's lock and memory are the limit


def prefetch(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    depth: int,
    starting: Callable[[], None] | None = None,
) -> Generator[Result, None, None]:
    """`map(function, items)`, by `workers` threads, at most `depth` items ahead of who asks.

    `starting` is called in every thread first. An error comes up where its result would have; what
    has not begun is then given up, likewise when the generator is closed.
    """
    with ThreadPoolExecutor(workers, "prefetch", starting) as threads:
        waiting: list[Future[Result]] = []
        try:
            for item in items:
                waiting.append(threads.submit(function, item))
                if len(waiting) >= depth:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def on_all_cores(
    function: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[Result, None, None]:
    """`map(function, items)` for torch and OpenCV work on a CPU: an item a core at a time.

    An iterator is read only a few items ahead of who asks.

    As many threads as torch would use inside one operation (so whoever limits those limits this),
    each with one for itself: small operations spend more on sharing themselves out than on work.
    """
    workers = min(torch.get_num_threads(), MOST_WORKERS)
    if isinstance(items, Sized):
        workers = min(workers, len(items))
    if workers < 2:
        yield from map(function, items)
        return
    limit, filters = torch.get_num_threads(), cv2.getNumThreads()
    found = prefetch(function, items, workers, workers + 1, lambda: torch.set_num_threads(1))
    cv2.setNumThreads(1)  # of all threads: OpenCV counts by process
    try:
        yield from found
    finally:
        found.close()
        torch.set_num_threads(limit)  # what later threads start with; this one's never changed
        cv2.setNumThreads(filters)
