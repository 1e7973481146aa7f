"""A batch that is killed (SIGKILL) ten times at random moments, seeded, and must end as if never.

    python tests/kill_batch.py PHOTOS [--photos 12] [--recipes smile,wink] [--kills 10] [--seed 0]

First the batch runs unbroken. Then it is killed, again and again, within its first seconds or while
it works; every other time with all that it has started. At the end the outputs must be the same,
byte for byte, with nothing half-written left; what was noted in the manifest, or told by a line of
`--json`, must not have been made again; and what was made again must have been in flight.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from support import kills as killing
from support.batches import contents, times_noted

from memegen.batch.planning import photos_in
from memegen.batch.process_pool import cores
from memegen.batch.worker import SLOTS

START_SECONDS = 6.0  # in which a run that is killed early is killed


def waits(seed: int, longest: float) -> Iterator[tuple[float, bool, bool]]:
    """When to kill, see `support.kills.run`: one in four early, every other one with its children."""
    rng, number = random.Random(seed), 0
    while True:
        early = rng.random() < 0.25
        yield rng.uniform(0, START_SECONDS if early else longest), early, number % 2 == 1
        number += 1


def tell(kill: killing.Kill) -> None:
    with_children = ", with all that it had started" if kill.whole_group else ""
    print(
        f"killed after {kill.seconds:4.1f} s{with_children}: {len(kill.told)} made, "
        f"{len(kill.noted)} noted so far, {kill.half} half-written files",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--recipes", default="smile,wink")
    parser.add_argument("--size", default="128")
    parser.add_argument("--model", default="anatomical")
    parser.add_argument("--engine", default="local")
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    photos = photos_in(options.folder)[: options.photos]
    command = [sys.executable, "-m", "memegen", "--quiet", "batch", *photos, "--json"]
    command += ["-r", options.recipes, "--size", options.size, "--model", options.model]
    command += ["--workers", str(options.workers), "--engine", options.engine, "-o"]
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder) / "whole", Path(folder) / "broken"
        began = time.monotonic()
        assert killing.run([*command, f"{whole}/"], None, True, False) is None
        took = time.monotonic() - began
        wanted = contents(whole)
        print(f"unbroken: {len(wanted)} outputs in {took:.0f} s", flush=True)
        moments = waits(options.seed, took / 5)
        done = killing.begin_again([*command, f"{broken}/"], broken, moments, options.kills, tell)
        found = contents(broken)
        flight = SLOTS * options.workers
        most = max(kill.again for kill in done)
        wrong = [
            name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
        ]
        notes = set(times_noted(broken).values())
        print(
            f"{len(done)} kills: {len(wrong)} of {len(wanted)} outputs are wrong; at most {most} that "
            f"a kill found whole were made again, of {flight} in flight; noted {notes} times each"
        )
        if wrong or most > flight or notes != {1}:
            raise SystemExit("FAILED")


if __name__ == "__main__":
    main()
