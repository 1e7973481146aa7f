"""PNG and APNG: pictures and animations without any loss, with transparency."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING

from memegen.arrays import Picture
from memegen.errors import EncoderError
from memegen.media.formats.base import (
    AnimatedFormat,
    Quality,
    StillFormat,
    Stream,
    hidden_cleared,
    then_narrower,
)
from memegen.media.formats.palette import paletted
from memegen.media.graph import FilterStream, Options
from memegen.media.provenance import xmp_packet
from memegen.media.rates import MOST_GAP, rate_text

if TYPE_CHECKING:
    from PIL.Image import Image

SIGNATURE = 8  # bytes
HEADER = SIGNATURE + 25  # likewise, with the first chunk, IHDR
DELAY = 20  # where in the data of an fcTL chunk the delay is


@dataclass(frozen=True)
class ApngQuality(Quality):
    """What a moving PNG can trade."""

    colours: int = 0  # of a palette; 0: every colour as it is


class Apng(AnimatedFormat[ApngQuality], StillFormat):
    """PNG, moving or still."""

    name = "apng"
    suffixes = (".png", ".apng")
    alpha = True
    loops = True
    longest_delay = MOST_GAP
    still_qualities = (100,)  # no loss, so only the size can be traded

    @property
    def for_pictures(self) -> bool:
        """A `.png` is one picture to most people."""
        return True

    def ladder(self) -> list[ApngQuality]:
        """A palette, of fewer and fewer colours, then half the frames, then narrower."""
        fewer = [ApngQuality(colours=colours) for colours in (0, 256, 128, 64)]
        return then_narrower([*fewer, replace(fewer[-1], keep_every=2)])

    def pixels(self, frame: Picture) -> Picture:
        """Without colours that nobody sees."""
        return hidden_cleared(frame)

    def encode(
        self, pictures: FilterStream, stream: Stream, quality: ApngQuality
    ) -> tuple[FilterStream, Options]:
        """Every frame with the filter that suits each of its rows; a palette wants none."""
        plays = 0 if stream.loops else 1
        options: Options = {"c:v": "apng", "plays": plays, "format": "apng"}
        if not quality.colours:
            pixels = "rgba" if stream.alpha else "rgb24"
            shown = quality.reduced(pictures).filter("format", pix_fmts=pixels)
            return shown, options | {"pred": "mixed"}
        coloured = paletted(pictures, stream, quality, quality.colours)
        return coloured, options | {"pred": "none"}

    def set_delays(self, path: Path, repeats: Sequence[int], fps: float) -> None:
        """See AnimatedFormat.set_delays."""
        rate = Fraction(rate_text(fps))
        with path.open("r+b") as file, mmap(file.fileno(), 0) as data:
            set_delays(data, [count / rate for count in repeats])

    def save(self, image: Image, path: Path, quality: int, comment: str) -> None:
        """One picture; its comment comes with `add_comment`."""
        image.save(path, "PNG")

    def add_comment(self, path: Path, comment: str, alpha: bool) -> None:
        """A tEXt chunk (PNG, third edition, section 11.3.3) and one of XMP behind the header."""
        path.write_bytes(with_comment(path.read_bytes(), comment))


def with_comment(data: bytes, comment: str) -> bytes:
    """A PNG file's bytes with a comment, in Latin-1 and as XMP."""
    plain = _chunk(b"tEXtComment\x00" + comment.encode("latin-1", "replace"))
    # International text without compression, language or translated keyword (section 11.3.3.4).
    xmp = _chunk(b"iTXtXML:com.adobe.xmp" + bytes(5) + xmp_packet(comment))
    return data[:HEADER] + plain + xmp + data[HEADER:]


def set_delays(data: bytearray | mmap, delays: Sequence[Fraction]) -> None:
    """Set the delays of an APNG file's frames, in seconds, in its bytes.

    They are in fcTL chunks (PNG, third edition, section 11.3.6.2), as two numbers of 16 bits.
    Raises EncoderError.
    """
    found = [start for start, kind in _chunks(data) if kind == b"fcTL"]
    if not found and len(delays) == 1:  # one frame alone is written as a plain PNG
        return
    if len(found) != len(delays):
        raise EncoderError(f"the APNG holds {len(found)} frames and not {len(delays)}")
    for start, delay in zip(found, delays, strict=True):
        told = delay.limit_denominator(int(0xFFFF / max(float(delay), 1.0)))
        body = bytearray(data[start + 4 : start + 8 + 26])
        struct.pack_into(">HH", body, 4 + DELAY, told.numerator, told.denominator)
        whole = _chunk(bytes(body))
        data[start : start + len(whole)] = whole


def _chunks(data: bytearray | mmap) -> Iterator[tuple[int, bytes]]:
    """Where each chunk of a PNG file begins, and its type."""
    at = SIGNATURE
    while at < len(data):
        yield at, bytes(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def _chunk(body: bytes) -> bytes:
    """Type and data of a chunk, with its length and checksum."""
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
