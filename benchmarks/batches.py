"""One batch against separate runs: seconds, ratio, memory; and what is lost when it is killed.

    python benchmarks/batches.py FOLDER [--photos 12] [--size 256] [--separate 6] [--kills 10]

The batch makes every recipe of RECIPES of every photo. Separate runs of `memegen animate` are timed
for `--separate` of these jobs, spread over all, and their mean stands for the others. Then the same
batch is made again and killed (SIGKILL) `--kills` times at random moments; what is left must be the
same files, byte for byte, and no output may have been made again that the manifest knew.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from memegen.batch.manifest import NAME
from memegen.batch.planning import photos_in

RECIPES = ("smile", "wink", "surprise")


def timed(*arguments: str) -> tuple[float, float]:
    """Seconds of a run of memegen, and the memory of its largest process in MB."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "memegen", "--quiet", *arguments],
                               stdout=subprocess.DEVNULL)  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"memegen {' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss / 1000


def killed(arguments: list[str], kills: int, longest: float) -> int:
    """Kill a batch, within `longest` seconds each time, then let it end; returns the kills."""
    done = 0
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-m", "memegen", "--quiet", *arguments],
                                   stdout=subprocess.DEVNULL)  # fmt: skip
        try:
            process.wait(random.uniform(1, longest))
            break  # it was quicker
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            done += 1
    timed(*arguments)
    return done


def compare(whole: Path, resumed: Path) -> tuple[int, int]:
    """How many outputs differ or are missing, and how many were made again though noted."""
    names = {path.name for path in whole.iterdir() if path.name != NAME}
    there = {path.name for path in resumed.iterdir() if not path.name.startswith(".")}
    wrong = [n for n in names | there if n not in names & there
             or (whole / n).read_bytes() != (resumed / n).read_bytes()]  # fmt: skip
    lines = map(json.loads, (resumed / NAME).read_text().splitlines())
    made = Counter(line["out"] for line in lines if line["fingerprint"])
    return len(wrong), sum(count - 1 for count in made.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--separate", type=int, default=6)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--longest", type=float, default=20.0, help="seconds until a kill")
    parser.add_argument("--model", default="anatomical")
    options = parser.parse_args()
    random.seed(0)
    photos = photos_in(options.folder)[: options.photos]
    same = ["--size", str(options.size), "--model", options.model]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "whole").mkdir()
        batch = ["batch", *photos, "--recipe", ",".join(RECIPES), *same, "-o"]
        seconds, memory = timed(*batch, f"{place / 'whole'}/")
        jobs = [(photo, recipe) for photo in photos for recipe in RECIPES]
        print(f"batch: {len(jobs)} jobs in {seconds:.1f} s, {memory:.0f} MB", flush=True)
        if options.separate:
            chosen = jobs[:: max(1, len(jobs) // options.separate)][: options.separate]
            runs = [timed("animate", photo, "-r", recipe, *same, "-o", str(place / f"{i}.gif"))
                    for i, (photo, recipe) in enumerate(chosen)]  # fmt: skip
            mean = sum(run[0] for run in runs) / len(runs)
            print(f"separate: {mean:.1f} s a job (of {len(runs)} runs), "
                  f"{mean * len(jobs):.0f} s for all, {max(run[1] for run in runs):.0f} MB; "
                  f"ratio {mean * len(jobs) / seconds:.2f}", flush=True)  # fmt: skip
        if options.kills:
            (place / "resumed").mkdir()
            times = killed([*batch, f"{place / 'resumed'}/"], options.kills, options.longest)
            wrong, again = compare(place / "whole", place / "resumed")
            print(f"killed {times} times: {wrong} outputs wrong, {again} made again though noted")


if __name__ == "__main__":
    main()
