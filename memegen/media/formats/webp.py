"""WebP: small animations and stills with transparency, for browsers and messengers."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
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
from memegen.media.provenance import xmp_packet

if TYPE_CHECKING:
    from PIL.Image import Image

# Flags of the VP8X chunk (WebP container specification).
HAS_XMP, HAS_ALPHA = 0x04, 0x10


@dataclass(frozen=True)
class WebpQuality(Quality):
    """What an animated WebP can trade."""

    quality: int = 82  # 0..100


class Webp(AnimatedFormat[WebpQuality], StillFormat):
    """Lossy WebP, moving or still."""

    name = "webp"
    suffixes = (".webp",)
    alpha = True
    default_side = 1024
    loops = True
    still_qualities = (95, 85, 70, 50)

    def ladder(self) -> list[WebpQuality]:
        """Coarser, then half the frames, then narrower."""
        coarser = [replace(WebpQuality(), quality=quality) for quality in (82, 65, 45)]
        return then_narrower([*coarser, replace(coarser[-1], keep_every=2)])

    def encode(
        self, pictures: FilterStream, stream: Stream, quality: WebpQuality
    ) -> tuple[FilterStream, Options]:
        """Lossy, at libwebp's usual effort."""
        options: Options = {
            "c:v": "libwebp_anim", "lossless": 0, "quality": quality.quality,
            "compression_level": 4, "loop": 0 if stream.loops else 1, "format": "webp",
        }  # fmt: skip
        pixels = "yuva420p" if stream.alpha else "yuv420p"
        return quality.reduced(pictures).filter("format", pix_fmts=pixels), options

    def save(self, image: Image, path: Path, quality: int, comment: str) -> None:
        """One picture, with its comment."""
        image.save(path, "WEBP", quality=quality, xmp=xmp_packet(comment))

    def add_comment(self, path: Path, comment: str, alpha: bool) -> None:
        """An XMP chunk at an animation's end."""
        path.write_bytes(with_comment(path.read_bytes(), comment, alpha))


def with_comment(data: bytes, comment: str, alpha: bool) -> bytes:
    """The bytes of an animated WebP with a comment, in XMP; a still has its own already.

    `alpha` says that the animation is transparent: one whose opaque part is a rectangle leaves its
    encoder without the flag that says so, and would be shown on white.
    """
    if data[12:16] != b"VP8X" or data[20] & HAS_XMP:
        return data
    xmp = xmp_packet(comment)
    chunk = b"XMP " + struct.pack("<I", len(xmp)) + xmp + b"\x00" * (len(xmp) % 2)
    flags = bytes([data[20] | HAS_XMP | (HAS_ALPHA if alpha else 0)])
    body = data[8:20] + flags + data[21:] + chunk
    return b"RIFF" + struct.pack("<I", len(body)) + body
