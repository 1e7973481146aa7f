"""PNG and APNG: pictures and animations without any loss, with transparency."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from memegen.media.formats.base import (
    AnimatedFormat,
    Quality,
    StillFormat,
    Stream,
    then_narrower,
)
from memegen.media.graph import FilterStream, Options

if TYPE_CHECKING:
    from PIL.Image import Image

HEADER = 8 + 25  # bytes of a file's signature and of its first chunk, IHDR


class Apng(AnimatedFormat[Quality], StillFormat):
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

    def ladder(self) -> list[Quality]:
        """Half the frames, then narrower."""
        return then_narrower([Quality(), Quality(keep_every=2)])

    def encode(
        self, pictures: FilterStream, stream: Stream, quality: Quality
    ) -> tuple[FilterStream, Options]:
        """Every frame with the filter that suits each of its rows."""
        pixels = "rgba" if stream.alpha else "rgb24"
        plays = 0 if stream.loops else 1
        options: Options = {"c:v": "apng", "pred": "mixed", "plays": plays, "format": "apng"}
        return quality.reduced(pictures).filter("format", pix_fmts=pixels), options

    def save(self, image: Image, path: Path, quality: int, comment: str) -> None:
        """One picture; its comment comes with `add_comment`."""
        image.save(path, "PNG")

    def add_comment(self, path: Path, comment: str, alpha: bool) -> None:
        """A tEXt chunk (PNG, third edition, section 11.3.3) behind the header."""
        path.write_bytes(with_comment(path.read_bytes(), comment))


def with_comment(data: bytes, comment: str) -> bytes:
    """A PNG file's bytes with a comment in Latin-1."""
    body = b"tEXtComment\x00" + comment.encode("latin-1", "replace")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:HEADER] + chunk + data[HEADER:]
