"""GIF (GIF89a): 256 colours, no sound, played wherever there are pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from mmap import mmap
from pathlib import Path
from struct import pack_into

import numpy as np

from memegen.arrays import Picture
from memegen.errors import EncoderError
from memegen.media.delays import in_ticks
from memegen.media.formats import gif_tools
from memegen.media.formats.base import (
    AnimatedFormat,
    Quality,
    Stream,
    hidden_cleared,
    then_narrower,
)
from memegen.media.formats.palette import paletted
from memegen.media.graph import FilterStream, Options
from memegen.media.provenance import xmp_packet
from memegen.media.rates import MOST_GAP

TICKS = 100  # delays count hundredths of a second
SHOWN = 128  # of 255: alpha from which a pixel is one of the picture
LOSSY = 40  # of gifsicle
HEADER = 13  # bytes before the global table of colours
EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B  # what blocks begin with
CONTROL = 0xF9  # the label of an extension that tells how a frame is shown
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
    longest_delay = MOST_GAP

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
        """See AnimatedFormat.encode: of one palette."""
        coloured = paletted(pictures, stream, quality, quality.colours)
        return coloured, {"format": "gif", "loop": 0 if stream.loops else -1}

    def other_encoder(
        self, pictures: Sequence[Path], out: Path, stream: Stream, quality: GifQuality
    ) -> list[str] | None:
        """See AnimatedFormat.other_encoder: gifski."""
        program = gif_tools.gifski()
        if program is None:
            return None
        return gif_tools.made_of(program, pictures, out, stream, quality.quality)

    def set_delays(self, path: Path, repeats: Sequence[int], fps: float) -> None:
        """See AnimatedFormat.set_delays."""
        with path.open("r+b") as file, mmap(file.fileno(), 0) as data:
            set_delays(data, in_ticks(repeats, fps, TICKS))

    def packer(self, made: Path, out: Path, quality: GifQuality) -> list[str] | None:
        """See AnimatedFormat.packer: gifsicle."""
        program = gif_tools.gifsicle()
        return gif_tools.packed(program, made, out, quality.lossy) if program else None

    def add_comment(self, path: Path, comment: str, alpha: bool) -> None:
        """A comment extension (GIF89a specification, section 24) first, XMP last."""
        path.write_bytes(with_comment(path.read_bytes(), comment))


def with_comment(data: bytes, comment: str) -> bytes:
    """A GIF file's bytes with a comment in ASCII, of at most 255 characters, and whole as XMP."""
    start = HEADER + _table(data[10])
    text = comment.encode("ascii", "replace")[:255]
    block = b"\x21\xfe" + bytes([len(text)]) + text + b"\x00"
    end = data.rindex(bytes([TRAILER]))
    return data[:start] + block + data[start:end] + xmp_block(comment) + data[end:]


def set_delays(data: bytearray | mmap, delays: Sequence[int]) -> None:
    """Set the delays of a GIF file's frames, in hundredths of a second, in its bytes.

    They are in graphic control extensions (GIF89a specification, section 23). Raises EncoderError.
    """
    found = _controls(data)
    if len(found) != len(delays):
        raise EncoderError(f"the GIF holds {len(found)} frames and not {len(delays)}")
    for start, delay in zip(found, delays, strict=True):
        pack_into("<H", data, start + 4, delay)


def _controls(data: bytearray | mmap) -> list[int]:
    """Where the graphic control extensions of a GIF file begin."""
    at, found = HEADER + _table(data[10]), []
    while data[at] != TRAILER:
        if data[at] == EXTENSION:
            if data[at + 1] == CONTROL:
                found.append(at)
            at += 2
        elif data[at] == IMAGE:
            at += 10 + _table(data[at + 9]) + 1  # descriptor, colours, least size of codes
        else:
            raise EncoderError(f"the GIF is damaged at byte {at}")
        while data[at]:  # sub-blocks
            at += 1 + data[at]
        at += 1
    return found


def _table(packed: int) -> int:
    """The bytes of a table of colours, by the byte of flags that tells of it."""
    return 3 * 2 ** ((packed & 7) + 1) if packed & 0x80 else 0


def xmp_block(comment: str) -> bytes:
    """An application extension of XMP (ISO 16684-3, section on GIF).

    The packet is not cut into sub-blocks. Readers that know nothing of it take each byte of it for
    the length of one; wherever that leads them, the bytes that follow lead to the end.
    """
    landing = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
    return b"\x21\xff\x0bXMP DataXMP" + xmp_packet(comment) + landing
