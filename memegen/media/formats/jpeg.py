"""JPEG: one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from memegen.media.formats.base import StillFormat

if TYPE_CHECKING:
    from PIL.Image import Image


class Jpeg(StillFormat):
    """Pictures in full colour resolution; the comment is a COM segment (ITU-T T.81, B.2.4.5)."""

    name = "jpg"
    suffixes = (".jpg", ".jpeg")
    still_qualities = (95, 85, 70, 50)

    def save(self, image: Image, path: Path, quality: int, comment: str) -> None:
        """One picture, with its comment."""
        told = comment.encode("utf-8", "replace")
        image.save(path, "JPEG", quality=quality, comment=told, subsampling=0)
