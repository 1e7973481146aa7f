"""Output formats, chosen by the file's suffix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from memegen.errors import UsageError, nearest


@dataclass(frozen=True)
class Format:
    """What an output format can hold."""

    name: str
    suffixes: tuple[str, ...]
    alpha: bool  # keeps transparency
    animated: bool
    default_side: int  # longest side in pixels unless --size asks otherwise; 0 is the photo's own


FORMATS: tuple[Format, ...] = (
    Format("gif", (".gif",), False, True, 640),
    Format("mp4", (".mp4", ".m4v", ".mov"), False, True, 1920),
    Format("webp", (".webp",), True, True, 1024),
    Format("apng", (".png", ".apng"), True, True, 0),
    Format("jpg", (".jpg", ".jpeg"), False, False, 0),
)
GIF_TICKS = 100  # GIF delays count hundredths of a second
GIF_SHORTEST = 2  # browsers slow anything shorter down to a tenth of a second


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


def representable_fps(fps: float, fmt: Format) -> float:
    """The frame rate nearest to `fps` that the format can say. GIF: 25 -> 25, 30 -> 33.3."""
    if fmt.name != "gif":
        return fps
    return GIF_TICKS / max(GIF_SHORTEST, math.floor(GIF_TICKS / fps + 0.5))


_UNITS = {"": 1, "b": 1, "kb": 1000, "k": 1000, "kib": 1024, "mb": 10**6, "m": 10**6, "mib": 2**20}


def parse_size(text: str) -> int:
    """`8MB`, `500kB`, `1.5MiB` or plain bytes to a number of bytes. Raises UsageError."""
    word = text.strip().lower().replace(" ", "")
    number = word.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = word[len(number) :]
    try:
        size = int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise UsageError(f"--max-size '{text}': write for example 8MB or 500kB") from None
    if size < 1000:
        raise UsageError(f"--max-size '{text}': no animation fits into less than 1 kB")
    return size
