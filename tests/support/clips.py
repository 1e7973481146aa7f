"""Frames, and clips and sounds made by ffmpeg; what of them is heard and told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from memegen import aus
from memegen.media.encode import ffmpeg
from memegen.performance.track import Performance


def pictures(
    count: int = 5, size: tuple[int, int] = (48, 64), channels: int = 3
) -> list[np.ndarray]:
    """A still gradient with a square that moves."""
    y, x = np.mgrid[: size[0], : size[1]]
    base = np.stack([x * 3 % 256, y * 4 % 256, (x + y) % 256], -1).astype(np.uint8)
    if channels == 4:
        base = np.dstack([base, np.where(x < size[1] // 2, 255, 0).astype(np.uint8)])
    frames = [base.copy() for _ in range(count)]
    for i, frame in enumerate(frames):
        frame[10:20, 5 + 4 * i : 15 + 4 * i, :3] = (250, 20, 20)
    return frames


def ramp(length: int, fps: float) -> Performance:
    """A smile that grows over time, by a head that goes right and comes nearer."""
    units = np.zeros((length, len(aus.CHANNELS)), np.float32)
    units[:, aus.INDEX["AU12L"]] = np.linspace(0, 1, length)
    heads = np.stack(
        [np.linspace(a, b, length) for a, b in ((90, 130), (80, 80), (3, 3.5), (-9, 20))], 1
    )
    landmarks = np.random.default_rng(0).uniform(0, 1, (length, 478, 3)).astype(np.float32)
    return Performance(fps, units, np.ones(length, np.float32), "ramp", landmarks, heads.astype(np.float32))  # fmt: skip


def run_ffmpeg(*arguments: str) -> None:
    subprocess.run([ffmpeg(), "-loglevel", "error", "-y", *arguments], check=True)


def described(path: Path) -> str:
    """What ffmpeg says of a file."""
    read = subprocess.run(
        [ffmpeg(), "-i", str(path), "-f", "null", "-"], capture_output=True, text=True
    )
    return read.stderr


def with_sound(silent: Path, out: Path) -> Path:
    """The video with a tone of 440 Hz, as long as its pictures."""
    run_ffmpeg("-i", str(silent), "-f", "lavfi", "-i", "sine=duration=3", "-shortest",
               "-c:v", "copy", str(out))  # fmt: skip
    return out


def samples(path: Path) -> np.ndarray:
    """A file's sound, 8000 a second, from when it begins."""
    raw = subprocess.run(
        [ffmpeg(), "-loglevel", "error", "-i", f"file:{path.absolute()}", "-f", "s16le", "-ac", "1", "-ar", "8000", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    return np.frombuffer(raw, np.int16).astype(float)


def tone(path: Path) -> float:
    """The loudest frequency of a file's sound, Hz."""
    heard = np.abs(np.fft.rfft(samples(path)))
    return float(heard.argmax() * 8000 / (2 * (len(heard) - 1)))
