"""One batch against separate runs: seconds, ratio, peak memory.

    python benchmarks/batches.py FOLDER [--photos 200] [--recipes smile,wink,surprise] [--size 256]
                                 [--separate 6] [--workers N] [--json]

The batch makes every recipe of every photo. Separate runs of `memegen animate` are timed for
`--separate` of these jobs, spread over all, before and after the batch; their mean, times the
number of jobs, stands for making all so. A folder with fewer photos gives changed copies of them:
cut at the edges, every other one mirrored. Memory is what all processes of a run have together,
shared pages counted once (Linux: the sum of their PSS), looked at every LOOK_SECONDS.

`tests/kill_batch.py` tells what is left of a batch that is killed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image, ImageOps

from memegen.batch.planning import photos_in

LOOK_SECONDS = 0.5  # between two looks at memory
CUT = 3  # pixels at each edge that a copy of a photo loses, times its number
PARTS = 4  # of a batch, in which its memory is told apart


@dataclass(frozen=True)
class Run:
    """What a run of memegen took, all its processes together."""

    seconds: float
    cpu_seconds: float
    megabytes: tuple[tuple[float, float], ...]  # at so many seconds: in use

    @property
    def peak(self) -> float:
        """The most megabytes."""
        return max((used for _, used in self.megabytes), default=0.0)

    def peaks(self, parts: int) -> list[float]:
        """The most megabytes in each of so many parts of the run, equally long."""
        found = [0.0] * parts
        for at, used in self.megabytes:
            part = min(parts - 1, int(parts * at / self.seconds))
            found[part] = max(found[part], used)
        return found


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "memegen", "--quiet", *arguments]


def timed(*arguments: str) -> Run:
    """Run memegen, and look at its memory meanwhile."""
    began = time.perf_counter()
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL)
    looks: list[tuple[float, float]] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            looks.append((time.perf_counter() - began, megabytes(process.pid)))

    watching = threading.Thread(target=look)
    watching.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    ended.set()
    watching.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"memegen {' '.join(arguments)} ended with {process.returncode}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, tuple(looks))


def megabytes(pid: int) -> float:
    """What a process and all that it started have in memory (Linux); pages they share once."""
    return sum(map(_own, _tree(pid))) / 1e6


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # it ended meanwhile
        return
    for child in " ".join(lists).split():
        yield from _tree(int(child))


def _own(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(1024.0 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def gathered(folder: Path, count: int, place: Path) -> list[str]:
    """So many photos: the folder's, and changed copies of them in `place` where these are fewer."""
    found = photos_in(folder)
    if not found:
        raise SystemExit(f"{folder}: no photos there")
    photos = found[:count]
    while len(photos) < count:
        number, path = len(photos) // len(found), Path(found[len(photos) % len(found)])
        with Image.open(path) as image:
            cut = ImageOps.crop(image.convert("RGB"), CUT * number)
            made = ImageOps.mirror(cut) if number % 2 else cut
            photos.append(str(place / f"{path.stem}-{number}.jpg"))
            made.save(photos[-1], quality=92)
    return photos


def separately(jobs: list[tuple[str, str]], same: list[str], place: Path) -> list[Run]:
    """Each job by a run of its own."""
    return [timed("animate", photo, "-r", recipe, *same, "-o", str(place / f"{number}.gif"))
            for number, (photo, recipe) in enumerate(jobs)]  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """What was measured. `separate` is all jobs by runs of their own, as the sampled ones say."""

    jobs: int
    cores: int
    batch_seconds: float
    batch_cpu_seconds: float
    batch_peak_mb: float
    batch_peaks_mb: tuple[float, ...]  # in each part of the batch
    sampled_runs: int
    separate_seconds: float
    separate_cpu_seconds: float
    separate_peak_mb: float  # of one run
    ratio: float
    cpu_ratio: float

    @classmethod
    def of(cls, jobs: int, batch: Run, runs: list[Run]) -> Figures:
        """What a batch and some of its jobs, run separately, say."""
        scale = jobs / max(1, len(runs))
        seconds = scale * sum(run.seconds for run in runs)
        cpu = scale * sum(run.cpu_seconds for run in runs)
        return cls(
            jobs, len(os.sched_getaffinity(0)),
            batch.seconds, batch.cpu_seconds, batch.peak, tuple(batch.peaks(PARTS)),
            len(runs), seconds, cpu, max((run.peak for run in runs), default=0.0),
            seconds / batch.seconds, cpu / batch.cpu_seconds,
        )  # fmt: skip

    def __str__(self) -> str:
        parts = ", ".join(f"{peak:.0f}" for peak in self.batch_peaks_mb)
        told = (
            f"batch: {self.jobs} jobs in {self.batch_seconds:.1f} s on {self.cores} cores "
            f"({self.batch_cpu_seconds:.0f} s of CPU), at most {self.batch_peak_mb:.0f} MB "
            f"(in each of {PARTS} parts: {parts})"
        )
        if not self.sampled_runs:
            return told
        return (
            f"{told}\nseparate: {self.separate_seconds / self.jobs:.1f} s a job, the mean of "
            f"{self.sampled_runs} runs; scaled to {self.jobs} jobs {self.separate_seconds:.0f} s "
            f"({self.separate_cpu_seconds:.0f} s of CPU), at most {self.separate_peak_mb:.0f} MB\n"
            f"ratio: {self.ratio:.2f} ({self.cpu_ratio:.2f} of CPU)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--recipes", default="smile,wink,surprise")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--separate", type=int, default=6, help="runs to sample")
    parser.add_argument("--workers", type=int, help="of the batch")
    parser.add_argument("--model", default="anatomical")
    parser.add_argument("--json", action="store_true", help="one object instead of sentences")
    options = parser.parse_args()
    same = ["--size", str(options.size), "--model", options.model]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("copies", "batch", "single"):
            (place / name).mkdir()
        photos = gathered(options.folder, options.photos, place / "copies")
        batch = ["batch", *photos, "--recipe", options.recipes, *same]
        batch += ["--workers", str(options.workers)] if options.workers else []
        jobs = [(photo, recipe) for photo in photos for recipe in options.recipes.split(",")]
        sampled = jobs[:: max(1, len(jobs) // max(1, options.separate))][: options.separate]
        half = len(sampled) // 2
        runs = separately(sampled[:half], same, place / "single")
        done = timed(*batch, "-o", f"{place / 'batch'}/")
        runs += separately(sampled[half:], same, place / "single")
        figures = Figures.of(len(jobs), done, runs)
        print(json.dumps(asdict(figures)) if options.json else figures)


if __name__ == "__main__":
    main()
