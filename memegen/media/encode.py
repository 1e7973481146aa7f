"""Writing frames to files: streamed through ffmpeg, beside the target and renamed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from memegen.arrays import Picture
from memegen.errors import EncoderError, MemegenError, UsageError
from memegen.files import check_writable, scratch, written_whole
from memegen.media.commands import (
    Quality,
    Sound,
    Stream,
    as_file,
    encode,
    ladder,
    lossless,
    raw_input,
)
from memegen.media.comment import with_comment, xmp_packet
from memegen.media.formats import Format, format_of


@dataclass(frozen=True)
class Target:
    """Where and how to write."""

    path: Path | None  # None: standard output
    fmt: Format
    max_bytes: int | None = None
    comment: str = "made with memegen"
    sound: Sound | None = None  # kept by formats that can


def ffmpeg() -> str:
    """The ffmpeg binary that imageio-ffmpeg brings (or IMAGEIO_FFMPEG_EXE). Raises EncoderError."""
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise EncoderError(f"no ffmpeg found ({error}); reinstall imageio-ffmpeg") from None


def target_for(path: str, fmt: str | None = None, **options: object) -> Target:
    """A Target for an output path, `-` being standard output, checked before any work is done.

    Folders that are not there are made when it is written.
    """
    if path == "-":
        if sys.stdout is None:
            raise UsageError("-o -: standard output is closed")
        return Target(None, format_of(fmt or "gif"), **options)  # type: ignore[arg-type]
    out = check_writable(Path(path))
    if not fmt and not out.suffix:
        raise UsageError(f"{out}: has no suffix to tell the format; add one or use --format")
    return Target(out, format_of(fmt or out), **options)  # type: ignore[arg-type]


def write(frames: Iterable[Picture], fps: float, loops: bool, target: Target) -> Path | None:
    """Encode (H, W, 3 or 4) frames. A single frame of PNG, WebP or JPEG is written as a still.

    Returns the path, None for standard output. Raises EncoderError if ffmpeg fails, MemegenError
    if the disk is full or the size limit cannot be met. Never leaves a partial file.
    """
    stream = iter(frames)
    first, second = next(stream, None), next(stream, None)
    if first is None:
        raise MemegenError("there is nothing to write: no frames")
    suffix = target.fmt.suffixes[0]
    place = written_whole(target.path, suffix) if target.path else scratch(None, suffix)
    with place as partial:
        if second is None and target.fmt.name != "gif" and target.fmt.name != "mp4":
            _still(first, partial, target)
        elif not target.fmt.animated:
            raise UsageError(f"{target.fmt.suffixes[0]} holds one picture, not an animation")
        else:
            start = [first] if second is None else [first, second]
            _animation(
                _joined(start, stream), _stream_of(first, fps, loops, target), partial, target
            )
        _finish(partial, target, alpha=first.shape[2] == 4)
    return target.path


def _joined(start: list[Picture], rest: Iterator[Picture]) -> Iterator[Picture]:
    yield from start
    yield from rest


def _stream_of(frame: Picture, fps: float, loops: bool, target: Target) -> Stream:
    height, width, channels = frame.shape
    return Stream(width, height, fps, channels == 4 and target.fmt.alpha, loops)


def _finish(partial: Path, target: Target, alpha: bool) -> None:
    data = partial.read_bytes() if target.fmt.name in ("gif", "apng", "webp") else b""
    if data:
        partial.write_bytes(with_comment(target.fmt.name, data, target.comment, alpha))
    if target.path is None:
        sys.stdout.buffer.write(partial.read_bytes())
        sys.stdout.buffer.flush()


def flatten(frame: Picture) -> Picture:
    """(H, W, 4) over white to (H, W, 3), for formats without transparency."""
    if frame.shape[2] == 3:
        return frame
    alpha = frame[..., 3:].astype(np.float32) / 255
    return np.rint(frame[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def _still(frame: Picture, path: Path, target: Target) -> None:
    """Write one picture, smaller in quality and then in size until it fits."""
    whole = Image.fromarray(frame if target.fmt.alpha else flatten(frame))
    limit = (target.max_bytes or 2**62) - len(target.comment) - 400
    for scale in (1.0, 0.8, 0.64, 0.5, 0.4, 0.3, 0.2, 0.1):
        size = (max(1, round(whole.width * scale)), max(1, round(whole.height * scale)))
        image = whole if scale == 1 else whole.resize(size, Image.Resampling.LANCZOS)
        for quality in (95,) if target.fmt.name == "apng" else (95, 85, 70, 50):
            if target.fmt.name == "jpg":
                comment = target.comment.encode()
                image.save(path, "JPEG", quality=quality, comment=comment, subsampling=0)
            elif target.fmt.name == "webp":
                image.save(path, "WEBP", quality=quality, xmp=xmp_packet(target.comment))
            else:
                image.save(path, "PNG")
            if path.stat().st_size <= limit:
                return
    raise MemegenError("the picture does not fit into --max-size")


def _animation(frames: Iterator[Picture], stream: Stream, partial: Path, target: Target) -> None:
    ready = (f if stream.alpha else flatten(f) for f in frames)
    # Opaque pictures with an alpha-capable format and transparent ones without both end here as
    # what the format holds; a GIF's palette and a size limit need the frames more than once.
    if target.fmt.name != "gif" and not target.max_bytes:
        arguments = encode(
            target.fmt.name, stream, Quality(), raw_input(stream), as_file(partial), target.comment,
            target.sound,
        )  # fmt: skip
        _run(arguments, ready)
        return
    with scratch(partial.parent, ".nut") as kept:
        _run(lossless(stream, kept), ready)
        size = 0
        for quality in ladder(target.fmt.name) if target.max_bytes else [Quality()]:
            source = ["-i", as_file(kept)]
            arguments = encode(
                target.fmt.name, stream, quality, source, as_file(partial), target.comment,
                target.sound,
            )  # fmt: skip
            _run(arguments, None)
            size = partial.stat().st_size + 2 * len(target.comment) + 400
            if not target.max_bytes or size <= target.max_bytes:
                return
        raise MemegenError(
            f"the smallest version is {size / 1000:.0f} kB, more than --max-size; "
            "shorten it with --duration or --fps"
        )


def _run(arguments: list[str], frames: Iterator[Picture] | None) -> None:
    """Run ffmpeg, feeding raw frames if there are any. Raises EncoderError with its last word."""
    command = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *arguments]
    feed = subprocess.PIPE if frames is not None else subprocess.DEVNULL
    with tempfile.TemporaryFile() as log:
        with running(command, stdin=feed, stdout=subprocess.DEVNULL, stderr=log) as process:
            if frames is not None and process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    for frame in frames:
                        process.stdin.write(np.ascontiguousarray(frame).data)
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            code = process.wait()
        log.seek(0)
        said = log.read().decode("utf-8", "replace").strip()
    if code == 0:
        return
    if "No space left" in said:
        raise MemegenError("the disk is full, nothing was written")
    raise EncoderError(f"ffmpeg failed: {said.splitlines()[-1] if said else f'exit code {code}'}")


@contextlib.contextmanager
def running(command: list[str], **pipes: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A child that does not outlive the block, whatever ends it. Raises EncoderError."""
    try:
        process = subprocess.Popen(command, **pipes)
    except OSError as error:
        raise EncoderError(f"cannot start ffmpeg ({error.strerror})") from None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
