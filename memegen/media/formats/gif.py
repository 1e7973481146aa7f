"""GIF (GIF89a): 256 colours, no sound, played wherever there are pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from memegen.media.formats.base import AnimatedFormat, Quality, Stream, then_narrower
from memegen.media.graph import FilterStream, Options
from memegen.media.provenance import xmp_packet

TICKS = 100  # delays count hundredths of a second
TRAILER = b"\x3b"  # the last byte of a file
SHORTEST = 2  # browsers slow anything shorter down to a tenth of a second


@dataclass(frozen=True)
class GifQuality(Quality):
    """What a GIF can trade."""

    colours: int = 256  # of the palette


class Gif(AnimatedFormat[GifQuality]):
    """Animations whose palette is made of all frames."""

    name = "gif"
    suffixes = (".gif",)
    default_side = 640
    loops = True

    def representable_fps(self, fps: float) -> float:
        """25 -> 25, 30 -> 33.3."""
        return TICKS / max(SHORTEST, math.floor(TICKS / fps + 0.5))

    def ladder(self) -> list[GifQuality]:
        """Half the frames, then fewer colours, then narrower."""
        half = GifQuality(keep_every=2)
        fewer = [replace(half, colours=colours) for colours in (256, 160, 96, 64)]
        return then_narrower([GifQuality(), *fewer])

    def encode(
        self, pictures: FilterStream, stream: Stream, quality: GifQuality
    ) -> tuple[FilterStream, Options]:
        """The still background gets its colours, as the palette is made of all frames alike.

        An ordered dither stays put where pixels do, so it does not crawl over the background, and
        only the rectangle that moved is stored.
        """
        shown, counted = quality.reduced(pictures).split()
        palette = counted.filter(
            "palettegen", max_colors=quality.colours, reserve_transparent=0, stats_mode="full"
        )
        coloured = shown.filter_with(
            palette, "paletteuse", dither="bayer", bayer_scale=4, diff_mode="rectangle"
        )
        return coloured, {"format": "gif", "loop": 0 if stream.loops else -1}

    def add_comment(self, path: Path, comment: str, alpha: bool) -> None:
        """A comment extension (GIF89a specification, section 24) first, XMP last."""
        path.write_bytes(with_comment(path.read_bytes(), comment))


def with_comment(data: bytes, comment: str) -> bytes:
    """A GIF file's bytes with a comment in ASCII, of at most 255 characters, and whole as XMP."""
    packed = data[10]
    table = 3 * 2 ** ((packed & 7) + 1) if packed & 0x80 else 0
    start = 13 + table
    text = comment.encode("ascii", "replace")[:255]
    block = b"\x21\xfe" + bytes([len(text)]) + text + b"\x00"
    end = data.rindex(TRAILER)
    return data[:start] + block + data[start:end] + xmp_block(comment) + data[end:]


def xmp_block(comment: str) -> bytes:
    """An application extension of XMP (ISO 16684-3, section on GIF).

    The packet is not cut into sub-blocks. Readers that know nothing of it take each byte of it for
    the length of one; wherever that leads them, the bytes that follow lead to the end.
    """
    landing = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
    return b"\x21\xff\x0bXMP DataXMP" + xmp_packet(comment) + landing
