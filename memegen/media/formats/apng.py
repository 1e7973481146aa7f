"""PNG and APNG: pictures and animations without any loss, with transparency."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memegen.arrays import Picture
from memegen.media.formats.base import (
    AnimatedFormat,
    Quality,
    StillFormat,
    Stream,
    hidden_cleared,
    then_narrower,
)
from memegen.media.graph import FilterStream, Options
from memegen.media.provenance import xmp_packet

if TYPE_CHECKING:
    from PIL.Image import Image

HEADER = 8 + 25  # bytes of a file's signature and of its first chunk, IHDR


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
        shown, counted = quality.reduced(pictures).split()
        palette = counted.filter(
            "palettegen", max_colors=quality.colours, reserve_transparent=int(stream.alpha),
            stats_mode="full",
        )  # fmt: skip
        coloured = shown.filter_with(
            palette, "paletteuse", dither="bayer", bayer_scale=4, diff_mode="rectangle"
        )
        return coloured, options | {"pred": "none"}

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


def _chunk(body: bytes) -> bytes:
    """Type and data of a chunk, with its length and checksum."""
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
