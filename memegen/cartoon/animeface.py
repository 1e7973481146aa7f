"""Faces of anime characters, found by the `animeface` package (AnimeFace 2009, optional extra).

The package reads pictures from the memory of Pillow's own objects, laid out as in the Pillow that
it was built with; since Pillow 12 that layout is another, and it silently finds nothing. So it is
handed a picture in the layout that it knows (Imaging.h of Pillow 4.2).
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import struct
from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array, Picture
from memegen.errors import UsageError

MISSING = (
    "no face found as those of photos are; drawn ones are found by another package: "
    "pip install 'memegen-faces[cartoon]' (or show where one is with --face x,y,width,height)"
)
_LIKELY = 0.5  # likelihood that a face must have
_ALPHA = 4  # bytes of a pixel


@dataclass(frozen=True)
class AnimeFace:
    """One face, in pixels. Left and right are the person's."""

    box: Array  # (4,) x, y, width, height, from above the brows to the mouth or chin
    left_eye: Array  # (2,) its middle
    right_eye: Array
    mouth: Array
    nose: Array
    chin: Array
    likelihood: float  # 0..1


class _Image(ctypes.Structure):
    """The beginning of ImagingMemoryInstance."""

    _fields_ = (
        ("mode", ctypes.c_char * 7),
        ("type", ctypes.c_int),
        ("depth", ctypes.c_int),
        ("bands", ctypes.c_int),
        ("xsize", ctypes.c_int),
        ("ysize", ctypes.c_int),
        ("palette", ctypes.c_void_p),
        ("image8", ctypes.c_void_p),
        ("image32", ctypes.c_void_p),
        ("image", ctypes.c_void_p),
    )


def available() -> bool:
    """Whether the package is there."""
    try:
        return importlib.util.find_spec("animeface") is not None
    except (ImportError, ValueError):
        return False


def detect(rgb: Picture) -> list[AnimeFace]:
    """Faces of an (H, W, 3) picture, the largest first. Raises UsageError without the package."""
    if not available():
        raise UsageError(MISSING)
    package = importlib.import_module("animeface")
    height, width = rgb.shape[:2]
    pixels = np.zeros((height, width, _ALPHA), np.uint8)
    pixels[..., :3] = rgb
    starts = pixels.ctypes.data + np.arange(height, dtype=np.uintp) * np.uintp(width * _ALPHA)
    rows = (starts.ctypes.data,) * 3  # by whichever name
    image = _Image(b"RGB", 0, 8, 3, width, height, None, *rows)
    # It takes any object, and what follows the object's header for the address of an image: the
    # value of a float.
    (address,) = struct.unpack("d", struct.pack("P", ctypes.addressof(image)))
    found = package._nvxs.detect(address)
    faces = [_read(package.Face(one)) for one in found]
    likely = [face for face in faces if face.likelihood >= _LIKELY]
    return sorted(likely, key=lambda face: -float(face.box[2] * face.box[3]))


def _read(face: object) -> AnimeFace:
    def box(part: str) -> Array:
        at = getattr(face, part).pos
        return np.array([at.x, at.y, at.width, at.height], np.float32)

    def middle(part: str) -> Array:
        at = box(part)
        return at[:2] + at[2:] / 2

    def point(part: str) -> Array:
        at = getattr(face, part).pos
        return np.array([at.x, at.y], np.float32)

    return AnimeFace(
        box("face"),
        middle("left_eye"),
        middle("right_eye"),
        middle("mouth"),
        point("nose"),
        point("chin"),
        float(getattr(face, "likelihood", 0.0)),
    )
