"""What clients send, read without trusting it: never kept, never named as they name it.

Pictures are read from memory. Clips go into a file of a random name, which is gone after the block.
Limits count before anything is decoded.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from memegen.errors import MemegenError, UsageError
from memegen.files import scratch
from memegen.performance.clip import Clip, open_clip, read_clip
from memegen.photo import Photo, decoding, read_photo
from memegen.process import reading_pictures
from memegen.serve.errors import TooLargeError, WrongTypeError
from memegen.serve.settings import Limits

# Formats of pictures that are read, as Pillow calls them: those of cameras, phones and browsers.
# Its other readers, of formats that nobody uploads, are not let at what strangers send.
PICTURES = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO", "AVIF", "HEIF")
# How files of video containers begin: offset, bytes, suffix. ffmpeg would also follow playlists
# and lists of files, which name other files of this machine.
CONTAINERS = (
    (4, b"ftyp", ".mp4"),
    (4, b"moov", ".mov"),
    (4, b"mdat", ".mov"),
    (4, b"wide", ".mov"),
    (4, b"free", ".mov"),
    (0, b"\x1a\x45\xdf\xa3", ".mkv"),  # EBML: Matroska and WebM
    (8, b"AVI ", ".avi"),
    (0, b"OggS", ".ogv"),
    (0, b"FLV", ".flv"),
    (0, b"\x00\x00\x01\xba", ".mpg"),
)
TABLE_START = 4096  # bytes in which a table has its first line
COUNTED_SIDE = 64  # pixels: frames that are only counted are made so small


def picture_of(data: bytes, limits: Limits, what: str = "photo") -> Photo:
    """The picture of a file's bytes, upright. `what` it is called in messages.

    Raises WrongTypeError for what is none, TooLargeError beyond the limits, MemegenError for
    damaged ones.
    """
    check_size(data, limits.photo_bytes, what)
    with decoding(Path(what)), reading_pictures(), _opened(data, what) as image:
        _check_pixels(image, limits, what)
        return read_photo(image)


def is_moving(data: bytes) -> bool:
    """Whether a file's bytes are a video or an animated picture."""
    if _container(data):
        return True
    try:
        with reading_pictures(), _opened(data, "file") as image:
            return bool(getattr(image, "is_animated", False)) and image.format in (
                "GIF",
                "WEBP",
                "PNG",
                "AVIF",
            )
    except Exception:  # readers raise what they like; reading it says what is wrong
        return False


def is_table(data: bytes) -> bool:
    """Whether a file's bytes are text with a line of OpenFace's columns."""
    line = data[:TABLE_START].split(b"\n", 1)[0]
    return b"\x00" not in line and b"AU" in line and b"," in line


@dataclass(frozen=True)
class Upload:
    """A clip or table in a file of its own for a while."""

    path: Path
    what: str  # how messages call it


@contextlib.contextmanager
def as_file(data: bytes, what: str, suffix: str) -> Iterator[Upload]:
    """A file with these bytes, gone after the block; errors call it `what` it is."""
    with scratch(None, suffix) as path:
        path.write_bytes(data)
        try:
            yield Upload(path, what)
        except MemegenError as error:
            if str(path) not in str(error) and path.stem not in str(error):
                raise
            text = str(error).replace(str(path), what).replace(path.stem, what)
            raise type(error)(text) from error


@contextlib.contextmanager
def clip_of(
    data: bytes,
    limits: Limits,
    fps: float | None,
    watch: Callable[[], None],
    what: str = "clip",
) -> Iterator[Clip]:
    """A video or animated picture, in a file that is gone after the block.

    `watch` is called now and then while frames are counted, and may raise.
    Raises WrongTypeError for what is neither, TooLargeError beyond the limits.
    """
    check_size(data, limits.clip_bytes, what)
    suffix = _container(data) or _animation(data, limits, what)
    with as_file(data, what, suffix) as upload:
        clip = open_clip(upload.path, fps)
        check_clip(clip, limits, watch, what)
        yield clip


def check_clip(clip: Clip, limits: Limits, watch: Callable[[], None], what: str) -> None:
    """Raise TooLargeError for a clip of more seconds, frames or pixels than allowed.

    What a file says of itself may be wrong, or missing: frames are counted.
    """
    most = min(limits.seconds, limits.frames / clip.fps)
    said = f"{what}: longer than {most:.0f} s, which is the most at {clip.fps:g} frames a second"
    if clip.seconds is not None and clip.seconds > most + 0.5 / clip.fps:
        raise TooLargeError(said)
    if clip.animated or clip.still:
        return
    with contextlib.closing(read_clip(clip, side=2 * limits.clip_side)) as reading:
        first = next(reading.frames)
    if max(first.shape[:2]) > limits.clip_side:
        raise TooLargeError(f"{what}: frames of more than {limits.clip_side} pixels a side")
    count = 0
    with contextlib.closing(read_clip(clip, 0.0, most + 1.0, COUNTED_SIDE)) as reading:
        for _ in reading.frames:
            watch()
            count += 1
    if count > most * clip.fps + 1:
        raise TooLargeError(said)


def check_size(data: bytes, most: int, what: str) -> None:
    """Raise TooLargeError for more bytes than allowed, UsageError for none."""
    if not data:
        raise UsageError(f"{what}: the file is empty")
    if len(data) > most:
        raise TooLargeError(f"{what}: {len(data) / 1e6:.0f} MB, more than {most / 1e6:.0f} MB")


def _opened(data: bytes, what: str) -> Image.Image:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    Image.init()
    readers = [name for name in PICTURES if name in Image.OPEN]
    try:
        return Image.open(io.BytesIO(data), formats=readers)
    except UnidentifiedImageError:
        raise WrongTypeError(f"{what}: not a picture that memegen can read") from None


def _check_pixels(image: Image.Image, limits: Limits, what: str) -> None:
    width, height = image.size
    if max(width, height) > limits.side:
        raise TooLargeError(f"{what}: {width}x{height}, more than {limits.side} pixels a side")
    if width * height > limits.pixels:
        most = limits.pixels / 1e6
        raise TooLargeError(f"{what}: {width}x{height} is more than {most:.0f} megapixels")


def _container(data: bytes) -> str | None:
    """The suffix of the video container that bytes begin like; None for none."""
    for offset, magic, suffix in CONTAINERS:
        if data[offset : offset + len(magic)] == magic:
            still = suffix == ".mp4" and data[8:12] in (
                b"avif",
                b"avis",
                b"heic",
                b"heix",
                b"mif1",
                b"msf1",
                b"hevc",
                b"hevx",
            )
            return None if still else suffix
    packets = data[0 : 3 * 188 : 188]  # MPEG-TS: 188 bytes each, of which the first is 0x47
    return ".ts" if len(data) > 2 * 188 and packets == b"\x47" * len(packets) else None


def _animation(data: bytes, limits: Limits, what: str) -> str:
    """The suffix of an animated picture within the limits. Raises WrongTypeError, TooLargeError."""
    with decoding(Path(what)), reading_pictures(), _opened(data, what) as image:
        _check_pixels(image, limits, what)
        frames = int(getattr(image, "n_frames", 1))
        if frames > limits.frames:
            raise TooLargeError(f"{what}: {frames} frames, more than {limits.frames}")
        width, height = image.size
        if frames * width * height > limits.frames * limits.output_side**2:
            raise TooLargeError(f"{what}: {frames} frames of {width}x{height} are too many pixels")
        return f".{(image.format or 'png').lower()}"
