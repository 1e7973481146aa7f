"""MP4 (H.264 and AAC): videos that every browser and phone plays."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from memegen.media.formats.base import (
    AnimatedFormat,
    Quality,
    Stream,
    then_narrower,
    video_pictures,
)
from memegen.media.graph import FilterStream, Options
from memegen.media.provenance import xmp_packet

# Of the box that holds XMP in ISO base media files (ISO 16684-3).
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


@dataclass(frozen=True)
class Mp4Quality(Quality):
    """What an MP4 can trade."""

    crf: int = 18  # H.264's constant rate factor, 0..51: lower is better and larger


class Mp4(AnimatedFormat[Mp4Quality]):
    """Videos with sound; the comment is in their metadata, and in XMP at their end."""

    name = "mp4"
    suffixes = (".mp4", ".m4v", ".mov")
    default_side = 1920
    even_sides = True
    sound_options: ClassVar[Options] = {"c:a": "aac", "b:a": "160k"}

    def ladder(self) -> list[Mp4Quality]:
        """Coarser, then narrower."""
        return then_narrower([replace(Mp4Quality(), crf=crf) for crf in (18, 23, 28, 33)])

    def encode(
        self, pictures: FilterStream, stream: Stream, quality: Mp4Quality
    ) -> tuple[FilterStream, Options]:
        """H.264 in yuv420p wants even sides."""
        options: Options = {
            "c:v": "libx264", "preset": "fast", "crf": quality.crf, "colorspace": "bt709",
            "color_primaries": "bt709", "color_trc": "iec61966-2-1",
            "movflags": "+faststart", "format": "mp4",
        }  # fmt: skip
        return video_pictures(quality.reduced(pictures), "yuv420p"), options

    def add_comment(self, path: Path, comment: str, alpha: bool) -> None:
        """A box of XMP behind the others; the plain comment is there already."""
        body = b"uuid" + XMP_BOX + xmp_packet(comment)
        with path.open("ab") as file:
            file.write(struct.pack(">I", len(body) + 4) + body)
