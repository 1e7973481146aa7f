"""ffmpeg command lines as pure functions: arguments in, arguments out, nothing run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from memegen.media.rates import MOST_GAP, rate_text


@dataclass(frozen=True)
class Stream:
    """Raw frames as they enter ffmpeg."""

    width: int
    height: int
    fps: float
    alpha: bool
    loops: bool


@dataclass(frozen=True)
class Quality:
    """What may be traded for a smaller file; the defaults trade nothing."""

    keep_every: int = 1  # 2 drops every other frame
    colours: int = 256  # GIF palette
    scale: float = 1.0  # of width and height
    crf: int = 18  # H.264: lower is better and larger
    webp: int = 82  # WebP quality 0..100


@dataclass(frozen=True)
class Sound:
    """Where a video's sound comes from."""

    path: Path
    start: float  # seconds
    seconds: float  # as long as the pictures last
    stream: int = 0  # which of the file's sounds


def raw_input(stream: Stream) -> list[str]:
    """Read raw frames from standard input."""
    pixels = "rgba" if stream.alpha else "rgb24"
    size = f"{stream.width}x{stream.height}"
    rate = rate_text(stream.fps)
    return ["-f", "rawvideo", "-pix_fmt", pixels, "-s", size, "-r", rate, "-i", "-"]


def as_file(path: Path) -> str:
    """A path as ffmpeg takes it for a file, whatever it is called: `19:45.mp4` is no protocol."""
    return f"file:{path.absolute()}"


def probe(path: Path) -> list[str]:
    """Describe a file on standard error (and fail, for want of an output)."""
    return ["-hide_banner", "-nostdin", "-i", as_file(path)]


# High dynamic range to what screens without it show: linear light, diffuse white at 203 cd/m2
# (ITU-R BT.2408), the rest rolled off, then BT.709.
TONE_MAP = (
    "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,"
    "zscale=t=bt709:m=bt709:r=tv,format=yuv444p"
)


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
    square = "scale='trunc(iw*max(1,sar)/2)*2':'trunc(ih*max(1,1/sar)/2)*2',setsar=1"
    smaller = (
        f"scale='if(gte(iw,ih),min({side},iw),-2)':'if(gte(iw,ih),-2,min({side},ih))':flags=area"
    )
    # Pictures from the beginning on, though the first may come later than the sound; and no cover.
    filters = [
        f"setpts='{no_long_gaps()}'",
        f"fps={rate_text(fps)}:start_time=0",
        square,
        smaller,
        *([TONE_MAP] if hdr else []),
        "format=rgb24",
    ]
    until = [] if end is None else ["-t", f"{end - start:.6f}"]
    return [
        "-hide_banner", "-nostdin", "-loglevel", "error", "-ss", f"{start:.6f}", "-i",
        as_file(path), *until, "-map", "0:V:0", "-vf", ",".join(filters),
        "-f", "image2pipe", "-c:v", "ppm", "-",
    ]  # fmt: skip


def lossless(stream: Stream, out: Path) -> list[str]:
    """Keep raw frames in a fast lossless file, for encoders that read their input twice."""
    pixels = "bgra" if stream.alpha else "bgr0"
    return [*raw_input(stream), "-c:v", "ffv1", "-level", "3", "-g", "1", "-pix_fmt", pixels,
            "-f", "nut", as_file(out)]  # fmt: skip


def encode(
    name: str,
    stream: Stream,
    quality: Quality,
    source: list[str],
    out: str,
    comment: str,
    sound: Sound | None = None,
) -> list[str]:
    """The whole encoding of `source` (input arguments) into format `name` at `out`."""
    build = {"gif": _gif, "mp4": _mp4, "webp": _webp, "apng": _apng}[name]
    tags = ["-map_metadata", "-1", "-metadata", f"comment={comment}"]
    if sound is None or name != "mp4":
        return [*source, *build(stream, quality), *tags, out]
    track = ["-i", as_file(sound.path), "-map", "0:v:0", "-map", f"1:a:{sound.stream}"]
    voices = ["-af", _cut(sound), "-c:a", "aac", "-b:a", "160k"]
    return [*source, *track, *voices, *build(stream, quality), *tags, out]


def _cut(sound: Sound) -> str:
    """The filters that take a part of a track, silent where the track has not begun.

    Seeking (`-ss`) would go to the first picture, and lose what sounds before it.
    """
    start, end = f"{sound.start:.6f}", f"{sound.start + sound.seconds:.6f}"
    part = f"atrim=start={start}:end={end},asetpts=PTS-{start}/TB"
    return f"{part},aresample=async=1:first_pts=0"


def _reduce(stream: Stream, quality: Quality) -> list[str]:
    filters = []
    if quality.keep_every > 1:
        filters += [f"framestep={quality.keep_every}"]
    if quality.scale < 1:
        filters += [f"scale=trunc(iw*{quality.scale:.4f}/2)*2:-2:flags=lanczos"]
    return filters


def _gif(stream: Stream, quality: Quality) -> list[str]:
    # The palette is made of all frames alike, so that the still background gets its colours. An
    # ordered dither stays put where pixels do, so it does not crawl over the background, and only
    # the rectangle that moved is stored.
    before = ",".join([*_reduce(stream, quality), "split[a][b]"])
    graph = (
        f"{before};[a]palettegen=max_colors={quality.colours}:reserve_transparent=0:stats_mode=full[p];"
        "[b][p]paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"
    )
    return ["-filter_complex", graph, "-loop", "0" if stream.loops else "-1", "-f", "gif"]


def _mp4(stream: Stream, quality: Quality) -> list[str]:
    # H.264 in yuv420p wants even sides.
    even = "crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0"
    colour = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
    filters = ",".join([*_reduce(stream, quality), even, colour])
    return [
        "-vf", filters, "-c:v", "libx264", "-preset", "medium", "-crf", str(quality.crf),
        "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "iec61966-2-1",
        "-movflags", "+faststart", "-f", "mp4",
    ]  # fmt: skip


def _webp(stream: Stream, quality: Quality) -> list[str]:
    filters = ",".join(
        [*_reduce(stream, quality), "format=yuva420p" if stream.alpha else "format=yuv420p"]
    )
    return [
        "-vf", filters, "-c:v", "libwebp_anim", "-lossless", "0", "-quality", str(quality.webp),
        "-compression_level", "4", "-loop", "0" if stream.loops else "1", "-f", "webp",
    ]  # fmt: skip


def _apng(stream: Stream, quality: Quality) -> list[str]:
    filters = ",".join(
        [*_reduce(stream, quality), "format=rgba" if stream.alpha else "format=rgb24"]
    )
    plays = "0" if stream.loops else "1"
    return ["-vf", filters, "-c:v", "apng", "-pred", "mixed", "-plays", plays, "-f", "apng"]


def ladder(name: str) -> list[Quality]:
    """Ever smaller settings to try for a size limit: frame rate, then colours, then width."""
    best = Quality()
    if name == "gif":
        half = replace(best, keep_every=2)
        fewer = [replace(half, colours=colours) for colours in (256, 160, 96, 64)]
        steps = [best, *fewer]
    elif name == "mp4":
        steps = [replace(best, crf=crf) for crf in (18, 23, 28, 33)]
    elif name == "webp":
        steps = [replace(best, webp=quality) for quality in (82, 65, 45)]
        steps.append(replace(best, webp=45, keep_every=2))
    else:
        steps = [best, replace(best, keep_every=2)]
    return steps + [
        replace(steps[-1], scale=scale) for scale in (0.8, 0.64, 0.5, 0.4, 0.3, 0.22, 0.16, 0.1)
    ]
