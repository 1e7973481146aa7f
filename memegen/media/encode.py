"""Writing frames to files: streamed through ffmpeg, beside the target and renamed.

The process is our own, not imageio-ffmpeg's, which brings the binary and is as fast: its
`write_frames` does not look at how ffmpeg ended, so a full disk passes for success, and insists on
a codec and pixel format of its own; its `read_frames` keeps to itself what ffmpeg says of damage.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from memegen.arrays import Picture
from memegen.errors import EncoderError, MemegenError, UsageError
from memegen.files import PREFIX, check_writable, scratch, written_whole
from memegen.media.commands import Sound, encode, lossless, raw_input
from memegen.media.delays import Distinct, selection, thinned
from memegen.media.formats import (
    AnimatedFormat,
    Format,
    Quality,
    StillFormat,
    Stream,
    at_one_size,
    between,
    output_format,
)
from memegen.media.formats.base import QualityT
from memegen.media.graph import FilterStream, Options, arguments, as_file, source
from memegen.media.provenance import most_bytes
from memegen.media.rates import rate_text

ENOUGH = 0.9  # of a size limit: a file as large as that makes good use of it
REFINEMENTS = 3  # qualities tried between two rungs of a ladder
# Widths of stills, of the whole, to come down to for a size limit.
STILL_SCALES = (1.0, 0.8, 0.64, 0.5, 0.4, 0.3, 0.2, 0.1)


@dataclass(frozen=True)
class Target:
    """Where and how to write."""

    path: Path | None  # None: standard output
    fmt: Format
    max_bytes: int | None = None
    comment: str = "made with memegen"
    sound: Sound | None = None  # kept by formats that can
    exact: bool = False  # whether a size limit leaves width and height alone


@dataclass(frozen=True)
class Feed:
    """The pictures of an animation, as ffmpeg takes them: each once, however long it is shown."""

    pictures: FilterStream
    stream: Stream
    repeats: Sequence[int]  # frames that each stands for; complete once all have been made
    raw: Iterable[Picture] | None = None  # for its standard input; None: they are in a file


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
        return Target(None, output_format(path, fmt), **options)  # type: ignore[arg-type]
    out = check_writable(Path(path))
    if not fmt and not out.suffix:
        raise UsageError(f"{out}: has no suffix to tell the format; add one or use --format")
    return Target(out, output_format(out, fmt), **options)  # type: ignore[arg-type]


def write(frames: Iterable[Picture], fps: float, loops: bool, target: Target) -> Path | None:
    """Encode (H, W, 3 or 4) frames. A single frame is written as a still where the format has some.

    Returns the path, None for standard output. Raises EncoderError if ffmpeg fails, MemegenError
    if the disk is full or the size limit cannot be met. Never leaves a partial file.
    """
    stream, fmt = iter(frames), target.fmt
    first, second = next(stream, None), next(stream, None)
    if first is None:
        raise MemegenError("there is nothing to write: no frames")
    with (
        written_whole(target.path, fmt.suffix)
        if target.path
        else scratch(None, fmt.suffix) as partial
    ):
        if second is None and isinstance(fmt, StillFormat):
            _still(first, partial, target, fmt)
        elif isinstance(fmt, AnimatedFormat):
            start = [first] if second is None else [first, second]
            height, width, channels = first.shape
            shown = Stream(width, height, fps, channels == 4 and fmt.alpha, loops)
            _animation(chain(start, stream), shown, partial, target, fmt)
        else:
            raise UsageError(f"{fmt.suffix} holds one picture, not an animation")
        fmt.add_comment(partial, target.comment, alpha=first.shape[2] == 4)
        if target.path is None:
            sys.stdout.buffer.write(partial.read_bytes())
            sys.stdout.buffer.flush()
    return target.path


def flatten(frame: Picture) -> Picture:
    """(H, W, 4) over white to (H, W, 3), for formats without transparency."""
    if frame.shape[2] == 3:
        return frame
    alpha = frame[..., 3:].astype(np.float32) / 255
    return np.rint(frame[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def _still(frame: Picture, path: Path, target: Target, fmt: StillFormat) -> None:
    """Write one picture, smaller in quality and then in size until it fits."""
    whole = Image.fromarray(frame if fmt.alpha else flatten(frame))
    limit = (target.max_bytes or 2**62) - most_bytes(target.comment)
    for scale in STILL_SCALES:
        size = (max(1, round(whole.width * scale)), max(1, round(whole.height * scale)))
        image = whole if scale == 1 else whole.resize(size, Image.Resampling.LANCZOS)
        for quality in fmt.still_qualities:
            fmt.save(image, path, quality, target.comment)
            if path.stat().st_size <= limit:
                return
    raise MemegenError("the picture does not fit into `max_size`")


def _animation(
    frames: Iterator[Picture],
    stream: Stream,
    partial: Path,
    target: Target,
    fmt: AnimatedFormat[Quality],
) -> None:
    """Write frames at the best quality that a size limit allows.

    A size limit may need the frames more than once: they are kept in a file.
    """
    ready = (fmt.pixels(f) if stream.alpha else flatten(f) for f in frames)
    distinct = Distinct(ready, max(1, int(fmt.longest_delay * stream.fps)))
    feed = Feed(raw_input(stream), stream, distinct.repeats, distinct)
    ladder, comment = fmt.ladder(), target.comment
    if not target.max_bytes:
        write_at(ladder[0], feed, partial, target, fmt)
        return
    with scratch(partial.parent, ".nut") as kept:
        _run(lossless(stream, kept), feed.raw)
        again = replace(feed, pictures=source(as_file(kept)), raw=None)

        def size_at(quality: Quality) -> int:
            write_at(quality, again, partial, target, fmt)
            return partial.stat().st_size + most_bytes(comment)

        best_within(at_one_size(ladder) if target.exact else ladder, size_at, target.max_bytes)


def write_at(
    quality: QualityT, feed: Feed, partial: Path, target: Target, fmt: AnimatedFormat[QualityT]
) -> None:
    """Write pictures at one quality, packed if it helps.

    Of pictures that are still to come none can be left out by a format whose frames have times of
    their own: it is not known yet which are equal.
    """
    every = quality.keep_every
    if fmt.longest_delay and every > 1:
        chosen = selection(thinned(feed.repeats, every)[0])
        left = feed.pictures.filter("select", expr=chosen)
        # Without gaps, which some muxers would fill.
        left = left.filter("setpts", expr=f"N/({rate_text(feed.stream.fps)})/TB")
        feed, quality = replace(feed, pictures=left), replace(quality, keep_every=1)
    if fmt.other_encoder([], partial, feed.stream, quality) is not None:
        _write_by_other(quality, feed, every, partial, fmt)
    else:
        given = (quality, feed.pictures, partial, target.comment, target.sound)
        _run(encode(fmt, feed.stream, *given), feed.raw)
        if fmt.longest_delay:
            fmt.set_delays(partial, thinned(feed.repeats, every)[1], feed.stream.fps)
    if fmt.packer(partial, partial, quality) is None:
        return
    with scratch(partial.parent, fmt.suffix) as smaller:
        packing = fmt.packer(partial, smaller, quality)
        with contextlib.suppress(EncoderError):  # what is there is good without it
            _run_tool(packing or [])
            if 0 < smaller.stat().st_size < partial.stat().st_size:
                partial.write_bytes(smaller.read_bytes())


def _write_by_other(
    quality: QualityT, feed: Feed, every: int, partial: Path, fmt: AnimatedFormat[QualityT]
) -> None:
    """Write by the format's other encoder, which takes PNG files, of equal frames the same one."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        options: Options = {"format": "image2", "c:v": "png", "pred": "none"}
        pictures = quality.reduced(feed.pictures)
        _run(arguments([pictures], as_file(Path(folder, "%07d.png")), options), feed.raw)
        files = sorted(Path(folder).iterdir())
        with Image.open(files[0]) as first:
            width, height = first.size
        repeats = thinned(feed.repeats, every)[1]
        shown = [file for file, n in zip(files, repeats, strict=True) for _ in range(0, n, every)]
        reduced = replace(feed.stream, width=width, height=height, fps=feed.stream.fps / every)
        _run_tool(fmt.other_encoder(shown, partial, reduced, quality) or [])


def best_within(ladder: list[Quality], size_at: Callable[[Quality], int], limit: int) -> Quality:
    """Write at the best quality that a limit in bytes allows; returns it.

    ladder: ever smaller qualities; size_at: writes at one and says its bytes. It is called last
    for the quality that is returned. Halves the ladder, then the way between its rungs until the
    file is within ENOUGH of the limit. Raises MemegenError if not even the last fits.
    """
    if size_at(ladder[0]) <= limit:
        return ladder[0]
    low, high, written = 0, len(ladder) - 1, ladder[0]  # `low` is too large
    size = size_at(ladder[high])
    if size > limit:
        raise MemegenError(
            f"the smallest version is {size / 1000:.0f} kB, more than `max_size`; "
            "shorten it with `duration` or `fps`"
        )
    best, written = ladder[high], ladder[high]
    while high - low > 1:
        middle = (low + high) // 2
        written, found = ladder[middle], size_at(ladder[middle])
        if found <= limit:
            high, best, size = middle, written, found
        else:
            low = middle
    worse = ladder[low]
    for _ in range(REFINEMENTS):
        middle_quality = between(worse, best)
        if size >= ENOUGH * limit or middle_quality is None:
            break
        written, found = middle_quality, size_at(middle_quality)
        if found > limit:
            worse = written
        elif found > size:
            best, size = written, found
        else:  # not between them: no colours at all (0) stands for every colour
            break
    if written != best:
        size_at(best)
    return best


def _run_tool(command: list[str]) -> None:
    """Run another program than ffmpeg. Raises EncoderError with its last word."""
    try:
        ran = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise EncoderError(f"cannot start {command[0]} ({error.strerror})") from None
    if ran.returncode:
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines()
        raise EncoderError(f"{Path(command[0]).stem} failed: {said[-1] if said else 'no reason'}")


def _run(given: list[str], frames: Iterable[Picture] | None) -> None:
    """Run ffmpeg, feeding raw frames if there are any. Raises EncoderError with its last word."""
    command = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *given]
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
