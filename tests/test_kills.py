"""Kill -9 of a batch, at any moment; `tests/kill_batch.py` does the same with real pictures."""

import random
import sys
from pathlib import Path

import pytest
from support import kills as killing
from support.batches import times_noted
from support.paths import SAMPLE

from memegen import recipes

# The runner with an engine that takes its time to write a few bytes, two jobs side by side.
PROGRAM = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from memegen import batch
from memegen.batch.jobs import Outcome, State
from memegen.files import written_whole

class Slow:
    def run(self, jobs):
        with ThreadPoolExecutor(2) as threads:
            for ended in as_completed([threads.submit(self.do, job) for job in jobs]):
                yield ended.result()

    def do(self, job):
        with written_whole(Path(job.out)) as partial:
            for part in range(4):
                with partial.open("a") as file:
                    file.write(job.played)
                time.sleep(0.02)
        return Outcome(job, State.DONE, 0.1, Path(job.out).stat().st_size)

names = tuple(sys.argv[3].split(","))
jobs = batch.plan([batch.Request((sys.argv[1],), names, out=sys.argv[2])])
for outcome in batch.run(jobs, Slow()):
    print(json.dumps(outcome.as_json()), flush=True)
"""


@pytest.mark.parametrize("seed", range(2))
def test_nothing_that_was_noted_is_made_again(seed: int, tmp_path: Path) -> None:
    names = recipes.names()[:12]
    out = tmp_path / "out"
    command = [sys.executable, "-c", PROGRAM, str(SAMPLE), f"{out}/", ",".join(names)]
    rng = random.Random(seed)
    waits = iter(lambda: (rng.uniform(0, 0.25), False, rng.random() < 0.5), None)
    kills = killing.begin_again(command, out, waits, 4)  # type: ignore[arg-type]
    assert len(kills) == 4 and any(kill.noted for kill in kills)
    assert all(0 <= kill.again <= 2 for kill in kills)
    made = {path.name: path.read_text() for path in out.iterdir() if not path.name.startswith(".")}
    assert made == {f"{SAMPLE.stem}_{name}.gif": name * 4 for name in names}
    assert set(times_noted(out).values()) == {1}
