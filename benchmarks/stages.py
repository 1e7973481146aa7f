"""Where each millisecond goes: from the command to the first frame, in a frame, in a clip.

    python benchmarks/stages.py [--photo PHOTO] [--crop 512] [--clip CLIP] [--frames 40]

start  seconds of the steps of `memegen animate`, in a process of its own, one after the other
frame  milliseconds of the stages of a frame of a face crop of --crop pixels, one thread
clip   milliseconds a frame of the steps of `memegen transfer PHOTO CLIP`, all cores, one after the
       other: the command paints and encodes at the same time

Every round goes through all stages; of every stage the fastest round counts, as it has the least of
other programs in it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import threads  # noqa: F401 - before what reads them

ROUNDS = 5
SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "astronaut.png"


class Laps:
    """Seconds of named steps: the fastest of all rounds."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - begun)

    def add(self, name: str, seconds: float) -> None:
        self.best[name] = min(seconds, self.best.get(name, float("inf")))

    def table(self, title: str, unit: str, factor: float) -> str:
        rows = [f"{name:34} {seconds * factor:9.2f}" for name, seconds in self.best.items()]
        whole = sum(self.best.values()) * factor
        return "\n".join([f"{title}, {unit}", *rows, f"{'together':34} {whole:9.2f}"])


def start(photo: Path) -> None:
    """Print a line a step: what a cold process does before and while it paints."""
    laps = Laps()
    with laps.timed("import torch"):
        import torch  # noqa: F401
    with laps.timed("import memegen"):
        from memegen import recipes
        from memegen.photo import read_photo
        from memegen.pipeline import Animator, write
    with laps.timed("generator"):
        animator = Animator()
    with laps.timed("read the photo"):
        read = read_photo(photo)
    with laps.timed("import facenet-pytorch, find faces"):
        next(iter(animator.detector.rungs(read.rgb)))
    with laps.timed("find and analyze again"):
        seen = animator.analyze(read)
    with laps.timed("prepare the face"):
        ready = animator.prepare_canvas(read, seen)
    frames = ready.play(recipes.load_track("smile"))
    with laps.timed("paint"):
        painted = list(frames)
    with laps.timed("encode"), tempfile.TemporaryDirectory() as folder:
        write(replace(frames, pictures=iter(painted)), Path(folder) / "a.gif")
    for name, seconds in laps.best.items():
        print(f"{name}\t{seconds}")


def cold(photo: Path) -> Laps:
    laps = Laps()
    command = [sys.executable, __file__, "--photo", str(photo), "--start"]
    for _ in range(ROUNDS):
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for line in said.splitlines():
            name, seconds = line.split("\t")
            laps.add(name, float(seconds))
    return laps


def frame(photo: Path, crop: int, frames: int) -> Laps:
    import cv2
    import torch
    from generators import stages as networks_stages
    from speed import placed, stages

    import memegen
    from memegen import recipes
    from memegen.compositing import paste_back
    from memegen.photo import read_photo

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    laps = Laps()
    canvas, face = placed(memegen.Animator("anatomical", "cpu"), read_photo(photo), crop)
    targets = recipes.load_track("laugh+shake", duration=frames / 25).resolve(face.source)
    for _ in range(ROUNDS):
        for name, seconds in stages(face.renderer.mesh, targets).items():  # type: ignore[attr-defined]
            laps.add(name, seconds / len(targets))
        found = networks_stages(face.renderer, targets)  # type: ignore[arg-type]
        for name in ("networks", "composition"):
            laps.add(name, found[name] / len(targets))
        pictures = list(face.renderer.render(targets))
        begun = time.perf_counter()
        for picture in pictures:
            paste_back(canvas.copy(), face, picture)
        laps.add("copy and paste", (time.perf_counter() - begun) / len(targets))
    return laps


def clip(photo: Path, driving: Path) -> tuple[Laps, int]:
    from memegen.performance.clip import open_clip, read_clip
    from memegen.performance.retarget import RetargetOptions, retarget
    from memegen.performance.track import FaceTracker, performance_from
    from memegen.photo import read_photo
    from memegen.pipeline import Animator, write

    animator, laps, opened = Animator(device="cpu"), Laps(), open_clip(driving)
    seen = animator.analyze(read := read_photo(photo))
    ready = animator.prepare_canvas(read, seen)
    for _ in range(2):
        with laps.timed("decode"):
            frames = list(read_clip(opened).frames)
        with laps.timed("track"):
            found = list(FaceTracker(animator.detector, animator.analyzer).track(frames))
        with laps.timed("retarget"):
            performance = performance_from(found, opened.fps, driving.stem)
            units = seen[0].analysis.action_units
            track = retarget(performance, RetargetOptions(relative=True), units)
        played = ready.play(track)
        with laps.timed("paint"):
            painted = list(played)
        with laps.timed("encode"), tempfile.TemporaryDirectory() as folder:
            write(replace(played, pictures=iter(painted)), Path(folder) / "a.mp4")
    return laps, len(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=SAMPLE)
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--start", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.start:
        start(wanted.photo)
        return
    print(cold(wanted.photo).table("start", "seconds", 1), end="\n\n", flush=True)
    found = frame(wanted.photo, wanted.crop, wanted.frames)
    print(found.table(f"frame, {wanted.crop} px", "milliseconds, one thread", 1000), flush=True)
    if wanted.clip:
        laps, count = clip(wanted.photo, wanted.clip)
        print("\n" + laps.table("clip", "milliseconds a frame", 1000 / count))


if __name__ == "__main__":
    main()
