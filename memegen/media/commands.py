"""What ffmpeg is asked to do, as pure functions: arguments out, nothing run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memegen.media.formats.base import AnimatedFormat, QualityT, Stream
from memegen.media.graph import (
    STANDARD,
    FilterStream,
    Options,
    Verbatim,
    arguments,
    as_file,
    source,
)
from memegen.media.rates import MOST_GAP, rate_text

QUIET = ["-hide_banner", "-nostdin", "-loglevel", "error"]


@dataclass(frozen=True)
class Sound:
    """Where a video's sound comes from."""

    path: Path
    start: float  # seconds
    seconds: float  # as long as the pictures last
    stream: int = 0  # which of the file's sounds


def raw_input(stream: Stream) -> FilterStream:
    """Raw frames from standard input."""
    return source(
        STANDARD,
        format="rawvideo",
        pix_fmt="rgba" if stream.alpha else "rgb24",
        s=f"{stream.width}x{stream.height}",
        r=rate_text(stream.fps),
    )


def probe(path: Path) -> list[str]:
    """Describe a file on standard error (and fail, for want of an output).

    No graph, so no ffmpeg-python; its own `probe` needs ffprobe, which imageio-ffmpeg lacks.
    """
    return ["-hide_banner", "-nostdin", "-i", as_file(path)]


def tone_mapped(pictures: FilterStream) -> FilterStream:
    """High dynamic range to what screens without it show.

    Linear light, diffuse white at 203 cd/m2 (ITU-R BT.2408), the rest rolled off, then BT.709.
    """
    linear = pictures.filter("zscale", t="linear", npl=203).filter("format", pix_fmts="gbrpf32le")
    mapped = linear.filter("zscale", p="bt709").filter("tonemap", tonemap="hable", desat=0)
    shown = mapped.filter("zscale", t="bt709", m="bt709", r="tv")
    return shown.filter("format", pix_fmts="yuv444p")


def no_long_gaps() -> str:
    """The time of a frame, for `setpts`: as it is, but at most MOST_GAP after the one before."""
    ticks = f"{MOST_GAP:g}/TB"
    after = f"PREV_OUTPTS+min(PTS-PREV_INPTS,{ticks})"
    return f"if(isnan(PTS),PTS,if(isnan(PREV_OUTPTS),min(PTS,{ticks}),{after}))"


def decode(
    path: Path, fps: float, start: float, end: float | None, side: int, hdr: bool = False
) -> list[str]:
    """Decode a video to PPM pictures of 8 bits: upright, at a steady rate, pixels square.

    At most `side` pixels long. `hdr`: its light is coded for high dynamic range (HLG or PQ).
    """
    # `V`: no cover of an album. Pictures from the beginning on, though the first may come later
    # than the sound.
    pictures = source(as_file(path), "V:0", ss=f"{start:.6f}").filter("setpts", expr=no_long_gaps())
    steady = pictures.filter("fps", fps=rate_text(fps), start_time=0)
    square = steady.filter(
        "scale", w="trunc(iw*max(1,sar)/2)*2", h="trunc(ih*max(1,1/sar)/2)*2"
    ).filter("setsar", sar=1)
    small = square.filter(
        "scale",
        w=f"if(gte(iw,ih),min({side},iw),-2)",
        h=f"if(gte(iw,ih),-2,min({side},ih))",
        flags="area",
    )
    shown = (tone_mapped(small) if hdr else small).filter("format", pix_fmts="rgb24")
    options: Options = {"format": "image2pipe", "c:v": "ppm"}
    if end is not None:
        options["t"] = f"{end - start:.6f}"
    return [*QUIET, *arguments([shown], STANDARD, options)]


def lossless(stream: Stream, out: Path) -> list[str]:
    """Keep raw frames in a fast lossless file, to encode them more than once."""
    pixels = "bgra" if stream.alpha else "bgr0"
    options: Options = {"c:v": "ffv1", "level": 3, "g": 1, "pix_fmt": pixels, "format": "nut"}
    return arguments([raw_input(stream)], as_file(out), options)


def encode(
    fmt: AnimatedFormat[QualityT],
    stream: Stream,
    quality: QualityT,
    frames: FilterStream,
    out: Path,
    comment: str,
    sound: Sound | None = None,
) -> list[str]:
    """The whole encoding of `frames` into a format at `out`; sound where the format has some."""
    pictures, coding = fmt.encode(frames, stream, quality)
    told: Options = {"map_metadata": -1, "metadata": Verbatim(f"comment={comment}")}
    if sound is None or fmt.sound_options is None:
        return arguments([pictures], as_file(out), told | coding)
    options = told | coding | dict(fmt.sound_options)
    return arguments([pictures, _part(sound)], as_file(out), options)


def _part(sound: Sound) -> FilterStream:
    """A part of a track, silent where the track has not begun.

    Seeking (`-ss`) would go to the first picture, and lose what sounds before it.
    """
    start, end = f"{sound.start:.6f}", f"{sound.start + sound.seconds:.6f}"
    part = source(as_file(sound.path), f"a:{sound.stream}").filter("atrim", start=start, end=end)
    begun = part.filter("asetpts", expr=f"PTS-{start}/TB")
    return begun.filter("aresample", **{"async": 1, "first_pts": 0})
