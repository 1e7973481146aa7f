"""What users wait for, as ratios of one run, beside what the last run found.

    python benchmarks/suite.py [--only cold,frames,company,faces,clip] [--photo PHOTO]
                               [--against benchmarks/figures.json] [--out figures.json]

cold     `memegen animate` of a photo beside the bare import of torch and facenet_pytorch; memory
frames   frames a second of `mesh` and `anatomical` beside the network of the GANimation paper
company  two, four and eight `animate` at once beside as many one after the other
faces    a picture with 18 faces, of which one is animated, beside one with a single face
clip     `transfer` of a clip, in seconds a second of it; memory (--minutes of it, --clip-size)

Times are medians of ROUNDS rounds in which everything has its turn: a machine's bad moments fall
on all. A figure is worse than before where it misses it by more than NOISE.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import threads  # noqa: F401 - first

# isort: split
import numpy as np
from generators import measured
from PIL import Image
from speed import SAMPLE

from memegen.photo import read_photo

ROUNDS = 3
NOISE = 0.1  # share of a figure that two runs of the same code differ by
TOGETHER = (2, 4, 8)  # commands at once
GRID = (6, 3)  # faces across and down
SIDE = 256  # pixels of each
Size = tuple[int, int]
CLIP: Size = (640, 360)  # pixels
FPS = 25
IMPORTS = [sys.executable, "-c", "import torch, facenet_pytorch"]
KNOWN = Path(__file__).with_name("figures.json")


@dataclass(frozen=True)
class Figure:
    """One number, and what it should be."""

    value: float
    unit: str
    aim: float | None = None
    more_is_better: bool = False

    def missed_by(self, other: float) -> float:
        """How much worse it is than another, as a share of that; negative where better."""
        change = self.value / other - 1 if other else 0.0
        return -change if self.more_is_better else change


Figures = dict[str, Figure]


def memegen(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "memegen", "--quiet", *arguments]


# A process counts the memory of whoever started it as its own until it has replaced it, so a small
# one starts it and tells: seconds, memory, exit code.
STARTER = """
import os, sys, time
began = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - began, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


def run(command: list[str]) -> tuple[float, float]:
    """Seconds, and the most megabytes of the process (its children apart)."""
    starter = [sys.executable, "-IS", "-c", STARTER, *command]
    said = subprocess.run(starter, stdout=subprocess.PIPE, text=True, check=True).stdout
    seconds, most, code = said.split()[-3:]
    if code != "0":
        raise SystemExit(f"{' '.join(command)} ended with {code}")
    return float(seconds), float(most) / (1e6 if sys.platform == "darwin" else 1e3)


def at_once(commands: list[list[str]]) -> float:
    """Seconds until the last of them has ended."""
    began = time.perf_counter()
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit("a command failed beside others")
    return time.perf_counter() - began


def median(values: list[float]) -> float:
    return float(np.median(values))


def cold(photo: Path, place: Path) -> Figures:
    found: dict[str, list[tuple[float, float]]] = {"bare": [], "whole": []}
    for _ in range(ROUNDS):
        found["bare"].append(run(IMPORTS))
        found["whole"].append(run(memegen("animate", str(photo), "-o", str(place / "a.gif"))))
    (bare, imported), (whole, memory) = (np.median(each, 0).tolist() for each in found.values())
    return {
        "cold animate": Figure(whole / bare, "bare imports", 1.6),
        "cold animate, seconds": Figure(whole, "s"),
        "memory of animate": Figure(memory, "MB", 800),
        # How much of a library's file counts as memory is the kernel's choice.
        "memory beside imports": Figure(memory / imported, "bare imports"),
    }


def frames(photo: Path, place: Path) -> Figures:
    aims = {"mesh 512": 8.0, "anatomical 512": 4.0, "anatomical 1024": 1.5}
    plain, each = measured(read_photo(photo), 40, ROUNDS)
    found = {"plain GANimation": Figure(plain, "ms a frame")}
    for (side, name), milliseconds in each.items():
        key = f"{name} {side}"
        found[key] = Figure(plain / milliseconds, "x plain", aims.get(key), more_is_better=True)
    return found


def company(photo: Path, place: Path) -> Figures:
    def commands(count: int) -> list[list[str]]:
        return [memegen("animate", str(photo), "-o", str(place / f"{k}.gif")) for k in range(count)]

    alone: list[float] = []
    together: dict[int, list[float]] = {count: [] for count in TOGETHER}
    for _ in range(ROUNDS):
        for count, seconds in together.items():
            alone.append(at_once(commands(1)))
            seconds.append(at_once(commands(count)))
    return {
        f"{count} at once": Figure(
            median(seconds) / (count * median(alone)),
            "of one after the other",
            0.75 if count == 2 else 1.1,
        )
        for count, seconds in together.items()
    }


def faces(photo: Path, place: Path) -> Figures:
    with Image.open(photo) as image:
        small = image.convert("RGB").resize((SIDE, SIDE))
    one = Image.new("RGB", (GRID[0] * SIDE, GRID[1] * SIDE), "grey")
    one.paste(small, (0, 0))
    many = one.copy()
    for across in range(GRID[0]):
        for down in range(GRID[1]):
            many.paste(small, (across * SIDE, down * SIDE))
    paths = {"one": one, "many": many}
    for name, picture in paths.items():
        picture.save(place / f"{name}.png")
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(ROUNDS):
        for name, spent in seconds.items():
            command = memegen("animate", str(place / f"{name}.png"), "-o", str(place / "f.gif"))
            spent.append(run(command)[0])
    return {
        "18 faces, one asked for": Figure(
            median(seconds["many"]) / median(seconds["one"]), "of a picture with one", 3.0
        )
    }


def clip(photo: Path, place: Path, minutes: float = 1.0, size: Size = CLIP) -> Figures:
    driving = made_clip(photo, place, minutes, size)
    seconds, most = run(memegen("transfer", str(photo), str(driving), "-o", str(place / "t.mp4")))
    bare = run(IMPORTS)[1]
    of, aim = ("", 1.0) if size == CLIP else (f", {size[0]}x{size[1]}", None)
    return {
        f"transfer{of}": Figure(seconds / (60 * minutes), "s a second of the clip", aim),
        f"memory of transfer{of}": Figure(most - bare, "MB above the imports", 1200),
    }


def made_clip(photo: Path, place: Path, minutes: float, size: Size = CLIP) -> Path:
    """A clip of the photo's face as it talks and turns, in the middle of `size`."""
    short, whole = place / "short.mp4", place / "clip.mp4"
    subprocess.run(
        memegen("animate", str(photo), "-r", "talk+nod", "--duration", "6", "--fps", str(FPS),
                "--size", str(size[1]), "-o", str(short)),
        check=True,
    )  # fmt: skip
    from memegen.media.encode import ffmpeg

    fitted = f"scale=-2:{size[1]},pad={size[0]}:{size[1]}:(ow-iw)/2"
    loop = [ffmpeg(), "-loglevel", "error", "-y", "-stream_loop", "-1", "-i", str(short)]
    subprocess.run([*loop, "-vf", fitted, "-t", str(60 * minutes), str(whole)], check=True)
    return whole


SECTIONS: dict[str, Callable[..., Figures]] = {
    "cold": cold, "frames": frames, "company": company, "faces": faces, "clip": clip,
}  # fmt: skip


def table(found: Figures, before: dict[str, float]) -> list[str]:
    """A line a figure: it, what was, what should be."""
    lines = []
    for name, figure in found.items():
        words = [f"{name:26} {figure.value:8.2f} {figure.unit:24}"]
        if name in before:
            worse = figure.missed_by(before[name])
            mark = " WORSE" if worse > NOISE else " better" if worse < -NOISE else ""
            words.append(f"was {before[name]:8.2f}{mark:7}")
        if figure.aim is not None:
            reached = figure.missed_by(figure.aim) <= 0
            words.append(f"aim {figure.aim:g}{'' if reached else ', MISSED'}")
        lines.append("  ".join(words).rstrip())
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas")
    parser.add_argument("--photo", type=Path, default=SAMPLE)
    parser.add_argument("--minutes", type=float, default=1.0, help="of the clip")
    parser.add_argument("--clip-size", default="{}x{}".format(*CLIP), help="pixels, WxH")
    parser.add_argument("--against", type=Path, default=KNOWN, help="JSON of an earlier run")
    parser.add_argument("--out", type=Path, help="JSON to write")
    wanted = parser.parse_args()
    before = json.loads(wanted.against.read_text()) if wanted.against.exists() else {}
    across, down = map(int, wanted.clip_size.split("x"))
    of_clip = {"minutes": wanted.minutes, "size": (across, down)}
    found: Figures = {}
    for name in wanted.only.split(","):
        more = of_clip if name == "clip" else {}
        with tempfile.TemporaryDirectory() as folder:
            figures = SECTIONS[name](wanted.photo, Path(folder), **more)
        print("\n".join(table(figures, {n: f["value"] for n, f in before.items()})), flush=True)
        found |= figures
    if wanted.out:
        kept = {name: asdict(figure) for name, figure in found.items()}
        wanted.out.write_text(json.dumps(before | kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
