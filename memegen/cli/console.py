"""What the command line says, and where: results to standard output, all else to standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from memegen.errors import MemegenError, UsageError

if TYPE_CHECKING:
    from memegen.photo import Photo

T = TypeVar("T")


@dataclass
class Talk:
    """How much to say; set once by the global options."""

    quiet: bool = False
    debug: bool = False


talk = Talk()


def say(text: str) -> None:
    """A message for the person watching, on standard error; silent with --quiet."""
    if not talk.quiet:
        print(text, file=sys.stderr)


def photo_at(path: str) -> Photo:
    """Read a photo, and say what of it was ignored. Raises what `read_photo` raises."""
    from memegen.photo import read_photo

    photo = read_photo(path)
    if photo.note:
        say(photo.note)
    return photo


def fail(text: str) -> None:
    """One line about an error, on standard error, whatever its cause wrote."""
    print(f"memegen: {' '.join(text.split())}", file=sys.stderr)


def in_one_line(error: Exception, about: str = "") -> str:
    """What an error says to a user, whatever it is."""
    where = f"{about}: " if about else ""
    if isinstance(error, MemegenError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{where}not enough memory; try a smaller --size"
    if isinstance(error, OSError):
        return f"{error.filename or about or 'input or output'}: {error.strerror or error}"
    name = type(error).__name__
    return f"{where}unexpected {name}: {error} (--debug shows where; please report it)"


def result(text: str) -> None:
    """A line of result, on standard output."""
    print(text)


def write_text(path: Path, text: str) -> None:
    """Write a small file, whole or not at all. Raises UsageError where that is not possible."""
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot write ({error.strerror})") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[Iterable[T], int], Iterable[T]]]:
    """A tracker for iterables: a bar on a terminal, nothing elsewhere or with --quiet."""
    if talk.quiet or not sys.stderr.isatty():
        yield lambda items, _count: items
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:

        def follow(items: Iterable[T], count: int) -> Iterable[T]:
            return bar.track(items, total=count, description=title)

        yield follow


@contextlib.contextmanager
def counting(title: str) -> Iterator[Callable[[int, int], None]]:
    """The same for work that tells how many of how many are done."""
    if talk.quiet or not sys.stderr.isatty():
        yield lambda _done, _count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title)
        yield lambda done, count: bar.update(task, completed=done, total=count)
