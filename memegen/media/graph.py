"""Graphs of filters for ffmpeg, built by ffmpeg-python: the one place that calls this package.

It has no types, so it is wrapped in some. Nothing is run here: a graph becomes arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

Option = str | int | float
Options = dict[str, Option]
STANDARD = "pipe:"  # standard input or output


class Verbatim(str):
    """Text for ffmpeg that may hold any bytes, as names of files do (PEP 383).

    ffmpeg-python hashes what `str()` makes of names, as UTF-8, which lone surrogates are not:
    that is escaped here. What reaches the command line is the text itself.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return ascii(str.__str__(self))

    def __format__(self, spec: str) -> str:
        return str.__str__(self).__format__(spec)


def as_file(path: Path) -> Verbatim:
    """A path as ffmpeg takes it for a file, whatever it is called: `19:45.mp4` is no protocol."""
    return Verbatim(f"file:{path.absolute()}")


@dataclass(frozen=True)
class FilterStream:
    """Pictures or sound on their way through a graph: `ffmpeg.nodes.FilterableStream`."""

    node: Any

    def filter(self, name: str, **options: Option) -> FilterStream:
        """Through a filter. Options go by name: ffmpeg-python escapes others twice."""
        return FilterStream(self.node.filter(name, **options))

    def filter_with(self, other: FilterStream, name: str, **options: Option) -> FilterStream:
        """Through a filter that takes two streams, this one first."""
        import ffmpeg

        return FilterStream(ffmpeg.filter([self.node, other.node], name, **options))

    def split(self) -> tuple[FilterStream, FilterStream]:
        """Twice the same; every stream can be used only once."""
        both = self.node.split()
        return FilterStream(both[0]), FilterStream(both[1])


def source(name: str, select: str | None = None, **options: Option) -> FilterStream:
    """What is read from `name`: a file (`as_file`) or `pipe:`.

    `select`: one of its streams, as ffmpeg's stream specifiers name them (`V:0`, `a:1`).
    """
    import ffmpeg

    node = ffmpeg.input(name, **options)
    return FilterStream(node if select is None else node[select])


def arguments(streams: list[FilterStream], out: str, options: Options) -> list[str]:
    """The arguments of an ffmpeg that writes streams to `out`, its own name not among them."""
    import ffmpeg

    return list(ffmpeg.output(*(stream.node for stream in streams), out, **options).get_args())
