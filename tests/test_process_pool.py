"""Local workers: processes that are told what to do, that may die, and that end when asked."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.paths import SAMPLE

from memegen import batch
from memegen.batch import process_pool
from memegen.batch.jobs import Job, Settings, State
from memegen.batch.pool_engine import Died, Ended, Event, Ready
from memegen.batch.process_pool import ProcessPool
from memegen.errors import MemegenError, UsageError

SMALL = Settings(size=48, fps=5, duration=0.6, model="mesh")
PATIENCE = 120.0  # seconds for what takes some, on a busy machine


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "a.png"
    with Image.open(SAMPLE) as image:
        image.convert("RGB").crop((110, 0, 390, 280)).resize((160, 160)).save(path)
    return str(path)


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    told: list[str] = []
    made = ProcessPool(2, "cpu", told.append)
    made.told = told  # type: ignore[attr-defined]
    yield made
    made.close()


def until(pool: ProcessPool, wanted: Callable[[list[Event]], bool]) -> list[Event]:
    """Events of a pool until they are those that are wanted."""
    found: list[Event] = []
    ends = time.monotonic() + PATIENCE
    while not wanted(found):
        assert time.monotonic() < ends, found
        found += pool.events()
    return found


def children(pid: int) -> list[int]:
    """Processes that one has started."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pids: list[int]) -> bool:
    ends = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_worker_dies_and_another_goes_on(photo: str, tmp_path: Path, pool: ProcessPool) -> None:
    settings = Settings(still=True, size=48, model="mesh", top="\U000f0000 a")  # no font has that
    jobs = [Job(photo, "smile", None, f"{tmp_path}/{n}.png", settings) for n in range(3)]
    first, second = pool.start(), pool.start()
    until(pool, lambda seen: seen.count(Ready(first)) + seen.count(Ready(second)) == 2)
    launcher = pool._ready()._process.pid
    one, other = children(launcher)
    pool.submit(first, jobs[0])
    (ended,) = until(pool, lambda seen: len(seen) == 1)
    assert isinstance(ended, Ended) and ended.outcome.state is State.DONE, ended
    assert ended.job == jobs[0] and Path(jobs[0].out).exists()
    assert len(pool.told) == 1 and "U+F0000" in pool.told[0]  # type: ignore[attr-defined]
    os.kill(one, signal.SIGKILL)
    assert until(pool, lambda seen: len(seen) == 1) == [Died(first, "ended by SIGKILL")]
    pool.submit(second, jobs[1])
    (ended,) = until(pool, lambda seen: len(seen) == 1)
    assert isinstance(ended, Ended) and ended.job == jobs[1]
    os.kill(other, signal.SIGTERM)  # a group that is asked to end; its head says when
    pool.submit(second, jobs[2])
    (ended,) = until(pool, lambda seen: len(seen) == 1)
    assert isinstance(ended, Ended) and ended.job == jobs[2]
    os.kill(launcher, signal.SIGKILL)
    assert [type(event) for event in until(pool, lambda seen: len(seen) == 1)] == [Died]
    assert gone([launcher, other])


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_is_left_of_what_is_given_up(photo: str, tmp_path: Path) -> None:
    out = tmp_path / "o"
    long = Settings(size=400, duration=20.0, model="mesh")
    engine = batch.LocalEngine(1, "cpu")
    requests = [
        batch.Request((photo,), ("smile",), out=f"{out}/", settings=SMALL),
        batch.Request((photo,), ("laugh", "nod"), out=f"{out}/", settings=long),
    ]
    outcomes = batch.run(batch.plan(requests), engine)
    first = next(outcomes)  # a worker has two at a time: either may be painted first
    assert first.state is State.DONE and first.job.recipe in ("smile", "laugh")
    launcher = engine._pool._ready()._process.pid  # type: ignore[attr-defined]
    (worker,) = children(launcher)
    outcomes.close()
    assert gone([launcher, worker])
    left = {path.name: path for path in out.iterdir() if path.name != ".memegen-batch.jsonl"}
    assert Path(first.job.out).name in left and "a_nod.gif" not in left
    for name, path in left.items():  # whole, or not there: nothing half-written under any name
        assert name in ("a_smile.gif", "a_laugh.gif")
        with Image.open(path) as image:
            image.seek(image.n_frames - 1)  # type: ignore[attr-defined]
            image.load()
    again = batch.run(batch.plan(requests[:1]), engine)
    assert [outcome.state for outcome in again] == [
        State.CURRENT if first.job.recipe == "smile" else State.DONE
    ]


def test_a_program_without_a_main_guard(photo: str, tmp_path: Path) -> None:
    """Workers must not run the program that started them."""
    program = tmp_path / "program.py"
    program.write_text(
        "from memegen import batch\n"
        f"asked = batch.Request(({photo!r},), ('smile',), out={str(tmp_path / 'o')!r} + '/', "
        "settings=batch.Settings(size=48, still=True, model='mesh'))\n"
        "print(*(outcome.state.value for outcome in batch.run(batch.plan([asked]))))\n"
    )
    ran = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("done\n", "")


@pytest.mark.slow
def test_workers_that_start_afresh(
    photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on GPUs, and on systems other than Linux: the same outputs."""
    started = subprocess.Popen

    def elsewhere(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        assert command[-1].endswith("launcher.main()")
        changed = command[-1].replace("launcher.main()", "launcher.FORKING = (); launcher.main()")
        return started([*command[:-1], changed], **options)

    made = []
    for name in ("forked", "afresh"):
        asked = batch.Request(
            (photo,), ("smile", "wink"), out=f"{tmp_path}/{name}/", settings=SMALL
        )
        with closing(batch.LocalEngine(2, "cpu")) as engine:
            outcomes = list(batch.run(batch.plan([asked]), engine))
        assert [outcome.state for outcome in outcomes] == [State.DONE] * 2
        made.append([path.read_bytes() for path in sorted((tmp_path / name).glob("*.gif"))])
        monkeypatch.setattr(process_pool.subprocess, "Popen", elsewhere)
    assert len(made[0]) == 2 and made[0] == made[1]


def test_a_device_that_is_not_there(photo: str, tmp_path: Path) -> None:
    jobs = batch.plan([batch.Request((photo,), ("smile",), out=f"{tmp_path}/", settings=SMALL)])
    with pytest.raises(UsageError, match="unknown device 'abacus'"):
        list(batch.run(jobs, batch.LocalEngine(1, "abacus")))


def test_processes_that_do_not_start(
    photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = batch.plan([batch.Request((photo,), ("smile",), out=f"{tmp_path}/", settings=SMALL)])
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setattr(process_pool.sys, "executable", str(program))
    with pytest.raises(MemegenError, match=r"do not start \(7\)"):
        list(batch.run(jobs, batch.LocalEngine(1, "cpu")))


def test_all_cores_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pool, "cores", lambda: 7)
    assert ProcessPool(3, "cpu", print).size() == 3
    pool = ProcessPool(None, "cpu", print)
    assert pool.size() == 7
    pool.close()


@pytest.mark.parametrize(
    ("written", "share"), [("max 100000", None), ("50000 100000", 1), ("150000 100000", 2)]
)
def test_containers_with_less_time_than_cores(
    written: str, share: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(f"{written}\n")
    assert process_pool.cores(tmp_path / "cpu.max") == (share or 8)
    assert process_pool.cores(tmp_path / "none") == 8
