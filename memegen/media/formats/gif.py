"""GIF (GIF89a): 256 colours, no sound, played wherever there are pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from memegen.arrays import Picture
from memegen.media.formats import gif_tools
from memegen.media.formats.base import (
    AnimatedFormat,
    Quality,
    Stream,
    hidden_cleared,
    then_narrower,
)
from memegen.media.graph import FilterStream, Options
from memegen.media.provenance import xmp_packet

TICKS = 100  # delays count hundredths of a second
TRAILER = b"\x3b"  # the last byte of a file
SHOWN = 128  # of 255: alpha from which a pixel is one of the picture
LOSSY = 40  # of gifsicle
SHORTEST = 2  # browsers slow anything shorter down to a tenth of a second


@dataclass(frozen=True)
class GifQuality(Quality):
    """What a GIF can trade."""

    colours: int = 256  # of the palette
    lossy: int = 0  # how far gifsicle, where it is, may change pixels: 0..200
    quality: int = 90  # 1..100, of gifski where that is the encoder


class Gif(AnimatedFormat[GifQuality]):
    """Animations whose palette is made of all frames."""

    name = "gif"
    suffixes = (".gif",)
    alpha = True
    default_side = 640
    loops = True

    def representable_fps(self, fps: float) -> float:
        """25 -> 25, 30 -> 33.3."""
        return TICKS / max(SHORTEST, math.floor(TICKS / fps + 0.5))

    def ladder(self) -> list[GifQuality]:
        """Somewhat fewer colours, half the frames, fewer colours, some loss, then narrower.

        Loss comes late: at one similarity, fewer colours take fewer bytes (docs/stickers.md).
        """
        best = GifQuality()
        if gif_tools.gifski():
            coarse = [replace(best, quality=quality) for quality in (90, 75, 60)]
            return then_narrower([*coarse, *(replace(c, keep_every=2) for c in coarse)])
        half = replace(best, keep_every=2)
        fewer = [replace(half, colours=colours) for colours in (256, 160, 96, 64)]
        lossy = [replace(fewer[-1], lossy=LOSSY)] if gif_tools.gifsicle() else []
        return then_narrower([best, replace(best, colours=160), *fewer, *lossy])

    def pixels(self, frame: Picture) -> Picture:
        """A pixel is there or not: those at least half there are, in their own colour."""
        shown = hidden_cleared(frame, SHOWN)
        shown[..., 3] = np.where(shown[..., 3] > 0, 255, 0)
        return shown

    def encode(
        self, pictures: FilterStream, stream: Stream, quality: GifQuality
    ) -> tuple[FilterStream, Options]:
        """The still background gets its colours, as the palette is made of all frames alike.

        An ordered dither stays put where pixels do, so it does not crawl over the background, and
        only the rectangle that moved is stored.
        """
        shown, counted = quality.reduced(pictures).split()
        palette = counted.filter(
            "palettegen", max_colors=quality.colours, reserve_transparent=int(stream.alpha),
            stats_mode="full",
        )  # fmt: skip
        coloured = shown.filter_with(
            palette, "paletteuse", dither="bayer", bayer_scale=4, diff_mode="rectangle"
        )
        return coloured, {"format": "gif", "loop": 0 if stream.loops else -1}

    def other_encoder(
        self, pictures: Sequence[Path], out: Path, stream: Stream, quality: GifQuality
    ) -> list[str] | None:
        """See AnimatedFormat.other_encoder: gifski."""
        program = gif_tools.gifski()
        if program is None:
            return None
        return gif_tools.made_of(program, pictures, out, stream, quality.quality)

    def packer(self, made: Path, out: Path, quality: GifQuality) -> list[str] | None:
        """See AnimatedFormat.packer: gifsicle."""
        program = gif_tools.gifsicle()
        return gif_tools.packed(program, made, out, quality.lossy) if program else None

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
