"""Frames per second of `mesh` by face size, the share of each stage, and the cost of a cold start.

    python benchmarks/speed.py [PHOTO] [--frames 40] [--cold]

Each size is the crop's width in pixels (an inter-ocular distance is 0.27 of it); the photo is
scaled so that its face has that size. Stages are timed in one run, encoding left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import threads  # noqa: F401 - first

# isort: split
import numpy as np

import memegen
from memegen import recipes
from memegen.arrays import Array, Picture
from memegen.compositing import PreparedFace
from memegen.faces.align import Alignment
from memegen.generators.mesh import MeshRenderer
from memegen.photo import Photo, read_photo
from memegen.pipeline import render

SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "astronaut.png"


def scaled(photo: Photo, factor: float) -> Photo:
    width, height = photo.size
    return photo.resized(round(width * factor), round(height * factor))


def stages(renderer: MeshRenderer, targets: Array) -> dict[str, float]:
    """Seconds of each stage of rendering `targets`, run one after the other."""
    clock = time.perf_counter
    spent = dict.fromkeys(("move landmarks", "rasterise flow", "warp photo", "eyes and mouth"), 0.0)
    together = renderer.frames_together(len(targets))
    for start in range(0, len(targets), together):
        chunk = targets[start : start + together]
        t0 = clock()
        moved = renderer.move_landmarks(chunk)
        t1 = clock()
        flow = renderer.flow_of(moved)
        t2 = clock()
        images = renderer.warp(chunk, flow)
        t3 = clock()
        renderer.draw_interiors(images, moved, chunk)
        t4 = clock()
        for name, seconds in zip(spent, (t1 - t0, t2 - t1, t3 - t2, t4 - t3), strict=True):
            spent[name] += seconds
    return spent


def placed(animator: memegen.Animator, photo: Photo, crop: int) -> tuple[Picture, PreparedFace]:
    """The photo scaled so that its largest face's crop is so wide, and that face."""
    seen = animator.analyze(photo)[0].analysis
    factor = crop / seen.alignment.width
    canvas = scaled(photo, factor).channels()
    at = Alignment(seen.alignment.matrix * factor, seen.alignment.offset * factor)
    return canvas, animator.prepare_face(canvas, replace(seen, alignment=at), 1.0)


def measure(animator: memegen.Animator, photo: Photo, crop: int, frames: int) -> None:
    canvas, face = placed(animator, photo, crop)
    track = recipes.load_track("laugh+shake", duration=frames / 25)
    targets = track.resolve(face.source)
    list(render(canvas, [face], track, 1.0))
    start = time.perf_counter()
    count = sum(1 for _ in render(canvas, [face], track, 1.0))
    total = time.perf_counter() - start
    parts = stages(face.renderer, targets)  # type: ignore[arg-type]
    parts["paste into the photo"] = max(total - sum(parts.values()), 0.0)
    whole = sum(parts.values())
    shares = "  ".join(f"{name} {100 * spent / whole:.0f}%" for name, spent in parts.items())
    print(
        f"crop {crop:5d} px, photo {canvas.shape[1]}x{canvas.shape[0]}: "
        f"{count / total:6.1f} fps   {shares}"
    )


def seconds(command: list[str], runs: int = 3) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def cold() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "a.gif")
        imports = seconds([sys.executable, "-c", "import torch, facenet_pytorch"])
        animate = seconds([sys.executable, "-m", "memegen", "animate", str(SAMPLE), "-o", out])
    hello = seconds([sys.executable, "-m", "memegen", "--help"])
    listing = seconds([sys.executable, "-m", "memegen", "recipes", "list"])
    print(f"bare import of torch and facenet_pytorch {imports:.2f} s")
    print(f"cold animate of the sample {animate:.2f} s, {animate / imports:.2f} times the import")
    print(f"--help {hello:.2f} s, recipes list {listing:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--cold", action="store_true")
    wanted = parser.parse_args()
    animator, photo = memegen.Animator("mesh", "cpu"), read_photo(wanted.photo)
    for crop in (256, 512, 1024):
        measure(animator, photo, crop, wanted.frames)
    if wanted.cold:
        cold()


if __name__ == "__main__":
    main()
