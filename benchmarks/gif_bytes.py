"""Bytes of GIFs at equal quality, and seconds: memegen's, with gifsicle, plain ffmpeg's, Pillow's.

    python benchmarks/gif_bytes.py PHOTO... [--recipes smile,...] [--size 420] [--duration 1.2]

Every encoder gets the same frames, at several numbers of colours. Quality is structural similarity
of luma (SSIM, Wang et al. 2004) of the decoded frames to the frames that went in, a mean over every
third of them. Bytes between two qualities are interpolated, their logarithm linearly in SSIM, at
the highest SSIM that every encoder reaches. PSNR of the best quality is said too, of frames blurred
as eyes do from afar (1 pixel), where dither counts for what it looks like. Seconds are those of the
best quality; without gifsicle (extra [gif]) its rows are missing.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from memegen.media.commands import raw_input
from memegen.media.delays import Distinct
from memegen.media.encode import Feed, Target, ffmpeg, write_at
from memegen.media.formats import Stream
from memegen.media.formats import gif_tools as tools
from memegen.media.formats.gif import Gif, GifQuality

COLOURS = (256, 128, 64)
EVERY = 3  # frames, of which one is compared
BLUR = 1.0  # pixels, standard deviation
ONE_LINE = "split[a][b];[a]palettegen=max_colors={}[p];[b][p]paletteuse"


@dataclass(frozen=True)
class Point:
    """What one encoder makes at one setting."""

    bytes: int
    ssim: float
    psnr: float  # decibels, blurred
    seconds: float


Encoder = Callable[[list[np.ndarray], float, int, Path], None]


def memegen_gif(lossy: int | None) -> Encoder:
    """Memegen's own; lossy: of gifsicle, None without it."""

    def encode(frames: list[np.ndarray], fps: float, colours: int, out: Path) -> None:
        height, width, _ = frames[0].shape
        stream = Stream(width, height, fps, False, True)
        found, tools.gifsicle = tools.gifsicle, tools.gifsicle if lossy is not None else _none
        try:
            quality = GifQuality(colours=colours, lossy=lossy or 0)
            distinct = Distinct(frames, len(frames))
            feed = Feed(raw_input(stream), stream, distinct.repeats, distinct)
            write_at(quality, feed, out, Target(out, Gif()), Gif())
        finally:
            tools.gifsicle = found

    return encode


def _none() -> None:
    return None


def one_line(frames: list[np.ndarray], fps: float, colours: int, out: Path) -> None:
    """What every guide says: palettegen, paletteuse."""
    height, width, _ = frames[0].shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps}"]
    graph = ["-filter_complex", ONE_LINE.format(colours), "-loop", "0"]
    data = b"".join(frame.tobytes() for frame in frames)
    command = [ffmpeg(), "-v", "error", "-y", *raw, "-i", "-", *graph, str(out)]
    subprocess.run(command, input=data, check=True)


def pillow(frames: list[np.ndarray], fps: float, colours: int, out: Path) -> None:
    """Image.save, after its quantization where fewer colours are asked for."""
    images = [Image.fromarray(frame) for frame in frames]
    if colours < 256:
        images = [image.quantize(colours) for image in images]
    images[0].save(out, save_all=True, append_images=images[1:], duration=1000 / fps, loop=0)


def decoded(path: Path, fps: float) -> Iterator[np.ndarray]:
    """Frames of a GIF at a rate: those that stay longer, more often."""
    with Image.open(path) as image:
        for index in range(image.n_frames):
            image.seek(index)
            frame = np.asarray(image.convert("RGB"))
            for _ in range(max(1, round(image.info["duration"] / 1000 * fps))):
                yield frame


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Of the luma of two pictures (H, W, 3); a Gaussian window of 1.5 pixels."""
    x, y = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (one, other))

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(
        ((2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean()
    )


def error(one: np.ndarray, other: np.ndarray) -> float:
    """Mean square of the difference of two pictures, blurred."""
    return float((cv2.GaussianBlur(one.astype(np.float32) - other, (0, 0), BLUR) ** 2).mean())


def measured(encoder: Encoder, frames: list[np.ndarray], fps: float, colours: int) -> Point:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "a.gif")
        began = time.perf_counter()
        encoder(frames, fps, colours, out)
        seconds = time.perf_counter() - began
        pairs = list(zip(frames, decoded(out, fps), strict=False))[::EVERY]
        noise = np.mean([error(one, other) for one, other in pairs])
        psnr = float(10 * np.log10(255**2 / noise))
        return Point(out.stat().st_size, float(np.mean([ssim(*p) for p in pairs])), psnr, seconds)


def at_quality(points: list[Point], quality: float) -> float:
    """Bytes at an SSIM."""
    ordered = sorted(points, key=lambda point: point.ssim)
    logs = np.log([point.bytes for point in ordered])
    return float(np.exp(np.interp(quality, [point.ssim for point in ordered], logs)))


def encoders() -> dict[str, Encoder]:
    found = {"memegen": memegen_gif(None)}
    if tools.gifsicle():
        found |= {
            "memegen, gifsicle": memegen_gif(0),
            "memegen, gifsicle lossy 20": memegen_gif(20),
        }
    return found | {"ffmpeg, one line": one_line, "Pillow": pillow}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--recipes", default="smile,yawn,shake")
    parser.add_argument("--size", type=int, default=420)
    parser.add_argument("--duration", type=float, default=1.2, help="seconds of one cycle")
    parser.add_argument("--without", default="", help="encoders to leave out, by commas")
    asked = parser.parse_args()
    from memegen import Animator

    animator, rows = Animator(), []
    for photo in asked.photos:
        for recipe in asked.recipes.split(","):
            played = animator.animate(photo, recipe, size=asked.size, duration=asked.duration)
            fps, frames = played.fps, [np.ascontiguousarray(frame) for frame in played]
            found = {
                name: [measured(encode, frames, fps, colours) for colours in COLOURS]
                for name, encode in encoders().items()
                if name not in asked.without.split(",")
            }
            equal = min(max(point.ssim for point in points) for points in found.values())
            rows.append(
                {name: (points[0], at_quality(points, equal)) for name, points in found.items()}
            )
            print(
                f"{Path(photo).stem} {recipe} {len(frames)} frames, SSIM {equal:.3f}:", flush=True
            )
            for name, (best, size) in rows[-1].items():
                print(f"  {name}: {size / 1000:.0f} kB; best {best.bytes / 1000:.0f} kB, SSIM "
                      f"{best.ssim:.3f}, {best.psnr:.1f} dB, {best.seconds:.1f} s",
                      flush=True)  # fmt: skip
    print(
        "| encoder | bytes at equal SSIM, to memegen's | 256 colours: bytes | SSIM | dB | seconds |"
    )
    print("|---|---|---|---|---|---|")
    for name in rows[0]:
        ratio = np.exp(np.mean([np.log(row[name][1] / row["memegen"][1]) for row in rows]))
        best = [row[name][0] for row in rows]
        whole = np.exp(np.mean([np.log(p.bytes / row["memegen"][0].bytes)
                                for p, row in zip(best, rows, strict=True)]))  # fmt: skip
        ssims, psnrs, times = (
            np.mean([getattr(p, a) for p in best]) for a in ("ssim", "psnr", "seconds")
        )
        print(f"| {name} | {ratio:.2f} | {whole:.2f} | {ssims:.3f} | {psnrs:.1f} | {times:.1f} |")


if __name__ == "__main__":
    main()
