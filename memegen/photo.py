"""Reading photos: every mode and orientation a camera, phone or editor writes, as plain arrays."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from memegen.arrays import Picture
from memegen.errors import MemegenError, UsageError, is_out_of_memory
from memegen.process import reading_pictures

MAX_PIXELS = 300_000_000  # beyond this a file is more likely an attack than a photo
# Formats whose further pictures are frames over time. In others they are the same picture again: a
# second lens (MPO), smaller sizes (icons), pages (TIFF), layers (PSD), a burst's others (HEIF).
MOVING = ("GIF", "WEBP", "PNG", "AVIF", "JXL")
NEVER = ("EPS", "WMF", "FPX", "MIC", "MPEG")  # would start other programs, or are no pictures
# Values up to which a picture of 16 bits a channel uses fewer: cameras of 10 and 12 bits.
FEWER_BITS = (255.0, 1023.0, 4095.0)
SMALLEST = 16  # pixels a side; nothing smaller holds a face


@dataclass(frozen=True)
class Photo:
    """A still picture, upright."""

    rgb: Picture  # (H, W, 3)
    alpha: Picture | None  # (H, W), or None where everything is opaque
    path: Path | None = None
    note: str | None = None  # what of the file was left out of account

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]

    @property
    def name(self) -> str:
        """How messages call it."""
        return str(self.path) if self.path else "photo"

    def channels(self) -> Picture:
        """(H, W, 3), or (H, W, 4) with alpha."""
        return self.rgb if self.alpha is None else np.dstack([self.rgb, self.alpha])

    def cropped(self, rows: slice, columns: slice) -> Photo:
        """A part of the photo."""
        alpha = None if self.alpha is None else self.alpha[rows, columns]
        return Photo(np.ascontiguousarray(self.rgb[rows, columns]), alpha, self.path, self.note)

    def resized(self, width: int, height: int) -> Photo:
        """The photo at another size (Lanczos)."""
        if (width, height) == self.size:
            return self
        # RGBA pictures are resized premultiplied: hidden colours do not bleed over the edge.
        image = Image.fromarray(self.channels())
        box = (width, height)
        small = np.asarray(image.resize(box, Image.Resampling.LANCZOS, reducing_gap=3.0))
        alpha = None if self.alpha is None else np.ascontiguousarray(small[..., 3])
        return Photo(np.ascontiguousarray(small[..., :3]), alpha, self.path, self.note)


def read_photo(source: str | Path | Picture | Image.Image) -> Photo:
    """Read a photo from a file, a (H, W, 3 or 4) uint8 array or a PIL image.

    EXIF orientation is applied and colours are brought to sRGB; grey, palette, CMYK, 16-bit and
    float pictures become RGB; of an animated picture the first frame is taken, of several in one
    file the main one. Raises UsageError if there is no file, MemegenError if it is no picture or a
    broken one.
    """
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] not in (3, 4):
            raise UsageError(f"a photo array must be (H, W, 3 or 4) uint8, not {source.shape}")
        alpha = np.ascontiguousarray(source[..., 3]) if source.shape[2] == 4 else None
        return Photo(np.ascontiguousarray(source[..., :3]), _useful(alpha))
    if isinstance(source, Image.Image):
        return _from_pil(source, None)
    path = Path(source)
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder, not a photo")
    try:
        empty = path.stat().st_size == 0
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    if empty:
        raise MemegenError(f"{path}: the file is empty")
    with decoding(path), reading_pictures(), Image.open(path, formats=_formats()) as image:
        if image.width * image.height > MAX_PIXELS:
            raise UsageError(f"{path}: {image.width}x{image.height} is more than 300 megapixels")
        return _from_pil(image, path)


@contextlib.contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Whatever Pillow's many readers raise in this block is a damaged picture; memory apart."""
    try:
        yield
    except MemegenError:
        raise
    except UnidentifiedImageError:
        raise MemegenError(f"{path}: not a picture that memegen can read") from None
    except PermissionError:
        raise UsageError(f"{path}: no permission to read it") from None
    except Exception as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())
        raise MemegenError(f"{path}: damaged picture ({reason})") from None


def picture_kind(path: Path) -> str:
    """`still`, `animated`, or `none` for a file that Pillow does not know as a picture.

    Damaged ones, and other things under a picture's name, count as still.
    """
    try:
        with reading_pictures(), Image.open(path, formats=_formats()) as image:
            moves = image.format in MOVING and getattr(image, "is_animated", False)
            return "animated" if moves else "still"
    except UnidentifiedImageError:
        videos = {ext for ext, name in Image.registered_extensions().items() if name == "MPEG"}
        suffix = path.suffix.lower()
        return "still" if suffix in Image.registered_extensions().keys() - videos else "none"
    except Exception:  # readers raise what they like; reading it says what is wrong
        return "still"


@lru_cache(maxsize=1)
def _formats() -> list[str]:
    """What Pillow may open here; HEIF, as phones write it, is an addition to it."""
    from pillow_heif import register_heif_opener

    Image.init()
    register_heif_opener()
    return [name for name in Image.ID if name not in NEVER]


def picture_suffixes() -> set[str]:
    """Suffixes of the files that may be pictures, lower case with their dot."""
    allowed = set(_formats())
    return {suffix for suffix, name in Image.registered_extensions().items() if name in allowed}


def _from_pil(image: Image.Image, path: Path | None) -> Photo:
    if min(image.size) < SMALLEST:
        raise UsageError(
            f"{path or 'photo'}: {image.width}x{image.height} pixels are too few for a face"
        )
    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
        upright = Image.fromarray(_to_8_bit(upright))
    alpha = None
    if upright.has_transparency_data:
        with_alpha = upright.convert("RGBA")
        alpha = np.asarray(with_alpha.getchannel("A"))
        upright = with_alpha
    shown, sound = in_srgb(upright)
    note = None if sound else f"{path or 'photo'}: its colour profile is damaged, and ignored"
    return Photo(np.asarray(shown), _useful(alpha), path, note)


def in_srgb(image: Image.Image) -> tuple[Image.Image, bool]:
    """The picture as RGB, its colours brought from its profile to sRGB, as outputs are read.

    A profile that is damaged, or of another kind than the picture, is ignored: then the second is
    false.
    """
    data = image.info.get("icc_profile")
    flat = image.convert("RGB") if image.mode in ("RGBA", "P", "PA", "LA") else image
    if not data or flat.mode not in ("RGB", "CMYK", "L"):
        return flat.convert("RGB"), True
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if "sRGB" in ImageCms.getProfileDescription(profile):  # byte for byte what it was
            return flat.convert("RGB"), True
        turned = ImageCms.profileToProfile(
            flat,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return flat.convert("RGB"), False
    return (flat.convert("RGB"), False) if turned is None else (turned, True)


def _to_8_bit(image: Image.Image) -> Picture:
    values = np.asarray(image).astype(np.float32)
    top = float(values.max(initial=0))
    full = 65535.0
    if image.mode != "F":
        full = next((most for most in FEWER_BITS if top <= most), full)
    else:
        full = 1.0 if top <= 2 else 255.0 if top <= 256 else 65535.0
    return np.clip(np.nan_to_num(values) * (255 / full), 0, 255).astype(np.uint8)


def _useful(alpha: Picture | None) -> Picture | None:
    return None if alpha is None or int(alpha.min(initial=255)) == 255 else alpha
