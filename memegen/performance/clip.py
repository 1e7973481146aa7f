"""Reading clips: any picture, animated picture or video, as upright frames at a steady rate."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageSequence

from memegen.arrays import Picture
from memegen.errors import EncoderError, MemegenError, UsageError
from memegen.media.commands import decode, probe
from memegen.media.encode import ffmpeg, running
from memegen.media.rates import MOST_GAP, beat_of, exact_rate
from memegen.photo import decoding, in_srgb, picture_kind, read_photo

SIDE = 960  # longest side of frames: enough for any face, and cheap to move
DEFAULT_FPS = 25.0
FPS_RANGE = (1.0, 60.0)  # rates outside are brought into it
# Frames of animated pictures with less are shown for so long, as browsers do (seconds).
SHORTEST_SECONDS, SHOWN_SECONDS = 0.011, 0.1
HDR_TRANSFERS = ("arib-std-b67", "smpte2084")  # HLG and PQ, as ffmpeg calls them
TICK, TICKS = 0.001, {"GIF": 0.01}  # seconds that animated pictures count time in
TOLD_LATE = ("WEBP", "AVIF")  # Pillow knows their frames' times when it has decoded them
PATIENCE = 60  # seconds that describing a file, or ending after its last picture, may take


@dataclass(frozen=True)
class Clip:
    """A file of pictures over time."""

    path: Path
    fps: float
    seconds: float | None  # None where the file does not say
    audio: bool
    still: bool  # one picture
    animated: bool  # an animated picture, read by Pillow
    hdr: bool = False  # a video whose light is coded for high dynamic range
    sound: int = 0  # which of its sounds players play


@dataclass
class ClipReader:
    """Frames of a clip, and what went wrong while they were read."""

    clip: Clip
    frames: Iterator[Picture]  # (H, W, 3)
    problem: str | None = None  # set at the end, if a damaged file ended early

    def close(self) -> None:
        """Stop before the end: whoever reads has no child left."""
        if isinstance(self.frames, Generator):
            self.frames.close()


def open_clip(source: str | Path, fps: float | None = None) -> Clip:
    """Look at a file. Raises UsageError if it is not there, MemegenError if it has no pictures."""
    path = Path(source)
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder, not a picture or video")
    if path.stat().st_size == 0:
        raise MemegenError(f"{path}: the file is empty")
    kind = picture_kind(path)
    if kind == "still":
        return Clip(path, fps or DEFAULT_FPS, None, False, True, False)
    if kind == "animated":
        with decoding(path), Image.open(path) as image:
            tick = TICKS.get(str(image.format), TICK)
            times = [_seconds(frame) for frame in ImageSequence.Iterator(image)]
        beat = beat_of(np.cumsum([0.0, *times]), tick)
        rate = _in_range(fps or (beat.fps if beat else DEFAULT_FPS))
        return Clip(path, rate, sum(times), False, False, True)
    try:
        command = [ffmpeg(), *probe(path)]
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=PATIENCE
        )
    except OSError as error:
        raise EncoderError(f"cannot start ffmpeg ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise MemegenError(f"{path}: takes too long to look at; is it a video?") from None
    about = parse_probe(run.stderr.decode("utf-8", "replace"))
    if about is None:
        raise MemegenError(f"{path}: neither a picture nor a video that memegen can read")
    if not about.video:
        raise MemegenError(f"{path}: has sound but no pictures")
    own = DEFAULT_FPS if about.fps is None else about.fps  # 0: some are there, minutes apart
    rate = _in_range(fps or own)
    return Clip(path, rate, about.seconds, about.audio, False, False, about.hdr, about.sound)


def read_clip(
    clip: Clip, start: float = 0.0, end: float | None = None, side: int = SIDE
) -> ClipReader:
    """Stream the frames from `start` to `end` seconds, their longest side at most `side` pixels."""
    if clip.still:
        photo = read_photo(clip.path)
        return ClipReader(clip, iter([_reduced(photo.rgb, side)]), photo.note)
    if clip.animated:
        return ClipReader(clip, _animated(clip, start, end, side))
    reading = ClipReader(clip, iter(()))
    reading.frames = _decoded(reading, start, end, side)
    return reading


@dataclass(frozen=True)
class Probe:
    """What ffmpeg says about a file."""

    video: bool
    audio: bool
    fps: float | None
    seconds: float | None
    hdr: bool = False
    sound: int = 0  # which of its sounds is the default one


def parse_probe(text: str) -> Probe | None:
    """Read ffmpeg's description of its input; None if it could not open the file."""
    if "Input #0" not in text:
        return None
    streams = [line for line in text.splitlines() if re.match(r"\s*Stream #0", line)]
    videos = [s for s in streams if "Video:" in s and "(attached pic)" not in s]
    rate = re.search(r"([\d.]+)(k?) fps", videos[0]) if videos else None
    fps = exact_rate(float(rate[1]) * (1000 if rate[2] else 1)) if rate else None
    time = re.search(r"Duration: (\d+):(\d+):([\d.]+)", text)
    seconds = int(time[1]) * 3600 + int(time[2]) * 60 + float(time[3]) if time else None
    hdr = bool(videos) and any(name in videos[0] for name in HDR_TRANSFERS)
    sounds = [s for s in streams if "Audio:" in s]
    default = next((i for i, s in enumerate(sounds) if "(default)" in s), 0)
    return Probe(bool(videos), bool(sounds), fps, seconds, hdr, default)


def _in_range(fps: float) -> float:
    return float(np.clip(fps, *FPS_RANGE))


def _seconds(frame: Image.Image) -> float:
    """How long the frame of an animated picture is shown."""
    if frame.format in TOLD_LATE:
        frame.load()
    performance = float(frame.info.get("duration", 0)) / 1000
    return min(performance, MOST_GAP) if performance >= SHORTEST_SECONDS else SHOWN_SECONDS


def _reduced(rgb: Picture, side: int) -> Picture:
    longest = max(rgb.shape[:2])
    if longest <= side:
        return rgb
    size = (round(rgb.shape[1] * side / longest), round(rgb.shape[0] * side / longest))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def _animated(clip: Clip, start: float, end: float | None, side: int) -> Iterator[Picture]:
    """Frames of an animated picture, each repeated or left out so that the rate is steady."""
    shown, until = 0, 0.0
    with decoding(clip.path), Image.open(clip.path) as image:
        for frame in ImageSequence.Iterator(image):
            until += _seconds(frame)
            picture = None
            while (shown + 0.5) / clip.fps < until:
                at = shown / clip.fps
                shown += 1
                if at >= start and (end is None or at < end):
                    if picture is None:
                        flat = Image.new("RGB", frame.size, "white")
                        rgba = frame.convert("RGBA")
                        flat.paste(in_srgb(rgba)[0], mask=rgba.getchannel("A"))
                        picture = _reduced(np.asarray(flat), side)
                    yield picture


def _decoded(reading: ClipReader, start: float, end: float | None, side: int) -> Iterator[Picture]:
    clip, count = reading.clip, 0
    command = [ffmpeg(), *decode(clip.path, clip.fps, start, end, side, clip.hdr)]
    with tempfile.TemporaryFile() as said:
        with running(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        ) as process:
            assert process.stdout is not None
            while (frame := read_ppm(process.stdout)) is not None:
                count += 1
                yield frame
            process.stdout.close()  # or who still writes what nobody reads would wait for ever
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
        said.seek(0)
        complaints = said.read().decode("utf-8", "replace").strip().splitlines()
    if count == 0 and start == 0:
        reason = complaints[-1] if complaints else "no frames"
        raise MemegenError(f"{clip.path}: no picture could be read ({reason})")
    if complaints:
        reading.problem = f"{clip.path}: damaged, {count} frames were read ({complaints[0]})"


def read_ppm(stream: IO[bytes]) -> Picture | None:
    """The next binary PPM picture of a stream, each with its own size; None at its end."""
    if stream.readline() != b"P6\n":
        return None
    width, height = (int(part) for part in stream.readline().split())
    stream.readline()
    data = stream.read(width * height * 3)
    if len(data) < width * height * 3:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)
