"""JPEG: one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from memegen.media.formats.base import StillFormat
from memegen.media.provenance import xmp_packet

if TYPE_CHECKING:
    from PIL.Image import Image


class Jpeg(StillFormat):
    """Pictures in full colour resolution.

    The comment is a COM segment (ITU-T T.81, B.2.4.5), and in XMP, an APP1 segment.
    """

    name = "jpg"
    suffixes = (".jpg", ".jpeg")
    still_qualities = (95, 85, 70, 50)

    def save(self, image: Image, path: Path, quality: int, comment: str) -> None:
        """One picture, with its comment."""
        told = comment.encode("utf-8", "replace")
        xmp = xmp_packet(comment)
        image.save(path, "JPEG", quality=quality, comment=told, xmp=xmp, subsampling=0)
