"""Output formats: a file each, a row each in FORMATS; chosen by the output's suffix.

To add one, write its class beside the others and add its row. Nothing else knows formats by name.
"""

from __future__ import annotations

from pathlib import Path

from memegen.errors import UsageError, nearest
from memegen.media.formats.apng import Apng
from memegen.media.formats.base import (
    AnimatedFormat,
    Format,
    Quality,
    StillFormat,
    Stream,
    at_one_size,
    between,
)
from memegen.media.formats.gif import Gif
from memegen.media.formats.jpeg import Jpeg
from memegen.media.formats.mp4 import Mp4
from memegen.media.formats.webm import Webm
from memegen.media.formats.webp import Webp

__all__ = [
    "FORMATS",
    "USUAL_ANIMATION",
    "USUAL_STILL",
    "USUAL_VIDEO",
    "AnimatedFormat",
    "Format",
    "Quality",
    "StillFormat",
    "Stream",
    "at_one_size",
    "between",
    "format_of",
    "output_format",
    "suffixes_said",
]

FORMATS: tuple[Format, ...] = (Gif(), Mp4(), Webp(), Apng(), Webm(), Jpeg())


def format_of(path: str | Path) -> Format:
    """The format of an output path, or of a bare suffix such as `gif`. Raises UsageError."""
    text = str(path).lower()
    suffix = Path(text).suffix or f".{text.lstrip('.')}"
    for fmt in FORMATS:
        if suffix in fmt.suffixes:
            return fmt
    known = [s for fmt in FORMATS for s in fmt.suffixes]
    raise UsageError(
        f"{path}: unknown output format '{suffix}'{nearest(suffix, known)} "
        f"(known: {' '.join(known)})"
    )


# What is written where nobody says which.
USUAL_ANIMATION, USUAL_VIDEO, USUAL_STILL = (format_of(s) for s in ("gif", "mp4", "png"))


def output_format(path: str | Path, fmt: str | None = None) -> Format:
    """The format of an output: what `fmt` says, else its suffix; of `-`, USUAL_ANIMATION.

    Raises UsageError.
    """
    if fmt is None and str(path) == "-":
        return USUAL_ANIMATION
    return format_of(fmt or path)


def suffixes_said(animated: bool = False) -> str:
    """The usual suffixes, to tell users: `.gif .mp4`. `animated`: of formats that move alone."""
    return " ".join(fmt.suffix for fmt in FORMATS if fmt.animated or not animated)
