"""What the command line says, and where: results to standard output, all else to standard error."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

from memegen.errors import in_one_line as in_one_line

if TYPE_CHECKING:
    from memegen.photo import Photo

T = TypeVar("T")
UNLIMITED = 1_000_000  # characters a line, where nobody's window ends it
_PARAMETER = re.compile(r"`([a-z][a-z_]*)`")


@dataclass
class Verbosity:
    """How much to say; set once by the global options."""

    quiet: bool = False
    debug: bool = False


verbosity = Verbosity()


def open_streams() -> None:
    """Make what is said safe, whatever the standard streams are.

    Where one is closed (`>&-`), nothing that is opened later may take its place, and messages must
    not end up among results. Names of files are printed byte for byte, or escaped where the
    stream's encoding lacks their characters.
    """
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(free, True)
    os.close(free)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        unicode = "utf" in sys.stdout.encoding.lower()
        sys.stdout.reconfigure(errors="surrogateescape" if unicode else "backslashreplace")


def settle_streams() -> None:
    """Print what is waiting; what cannot be printed is dropped, or Python would complain again."""
    for stream in (sys.stdout, sys.stderr):
        _print_to(stream)


def _print_to(stream: TextIO | None, *lines: str) -> None:
    """Print lines now. Who cannot be told, for having gone away or for a full disk, is not."""
    if stream is None:
        return
    try:
        for line in lines:
            stream.write(line + "\n")
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def as_options(text: str) -> str:
    """Names of parameters, which the library writes `so_or_so`, as the options they have here."""
    return _PARAMETER.sub(lambda found: f"--{found[1].replace('_', '-')}", text)


def say(text: str) -> None:
    """A message for the person watching, on standard error; silent with --quiet."""
    if not verbosity.quiet:
        _print_to(sys.stderr, as_options(text))


def photo_at(path: str) -> Photo:
    """Read a photo, and say what of it was ignored. Raises what `read_photo` raises."""
    from memegen.photo import read_photo

    photo = read_photo(path)
    if photo.note:
        say(photo.note)
    return photo


def fail(text: str) -> None:
    """One line about an error, on standard error, whatever its cause wrote."""
    _print_to(sys.stderr, f"memegen: {' '.join(as_options(text).split())}")


def result(text: str) -> None:
    """A line of result, on standard output.

    A reader that has gone away (`| head -1`) stops nothing: files are written all the same.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        settle_streams()


def tabulate(
    rows: Iterable[Sequence[str]],
    headings: Sequence[str] = (),
    *,
    always_headed: bool = False,
    numbers: bool = False,
) -> None:
    """A table of results, on standard output.

    On a terminal it is ruled, and fitted to the window by wrapping its cells; NO_COLOR is followed.
    Elsewhere every row is one line, whole, its columns two spaces apart, and without headings
    unless `always_headed`. `numbers`: all columns but the first are set to the right.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = [list(row) for row in rows]
    if not lines or sys.stdout is None:
        return
    seen = sys.stdout.isatty()
    console = Console() if seen else Console(width=UNLIMITED, force_terminal=False, no_color=True)
    headed = bool(headings) and (seen or always_headed)
    table = Table(
        box=SIMPLE_HEAD if seen and headed else None, show_header=headed, pad_edge=False,
        header_style="bold" if seen else "",
    )  # fmt: skip
    columns = max(map(len, lines))
    for index, heading in zip(range(columns), [*headings, *[""] * columns], strict=False):
        right = numbers and index > 0
        table.add_column(Text(heading), justify="right" if right else "left", overflow="fold")
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    with console.capture() as drawn:
        console.print(table)
    # Cells are padded to the width of their column, those at the right end too.
    for text in drawn.get().splitlines():
        if text.strip():
            result(text if seen else text.rstrip())


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[Iterable[T], int], Iterable[T]]]:
    """A tracker for iterables: a bar on a terminal, nothing elsewhere or with --quiet."""
    if verbosity.quiet or not sys.stderr.isatty():
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
    if verbosity.quiet or not sys.stderr.isatty():
        yield lambda _done, _count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title)
        yield lambda done, count: bar.update(task, completed=done, total=count)
