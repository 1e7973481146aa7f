"""What every engine promises: threads, workers that die, and a Ray."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
from support.batches import contents, face_photos, small_jobs, times_noted
from support.command import RunCli

from memegen import batch
from memegen.batch import pool_engine, ray_address, ray_pool
from memegen.batch.jobs import Job, Outcome, State
from memegen.batch.pool_engine import Died, Ended, Event, PoolEngine, Ready
from memegen.errors import MemegenError, UsageError
from memegen.files import PREFIX, written_whole

RECIPES = ("smile", "wink", "nod")


class Fragile:
    """A pool whose workers write a few bytes, one event at a time, and die as often as is asked."""

    slots = 2

    def __init__(self, workers: int = 2, mortality: float = 0.0, seed: int = 0) -> None:
        self.workers, self.mortality, self.random = workers, mortality, random.Random(seed)
        self.starting: list[int] = []
        self.jobs: dict[int, list[Job]] = {}
        self.given: list[tuple[int, Job]] = []
        self.lost: set[Job] = set()  # that a worker had when it died
        self.unborn = 0  # workers that will not start
        self.closed = self.numbers = 0

    def size(self) -> int:
        return self.workers

    def start(self) -> int:
        number = self.numbers
        self.numbers += 1
        self.jobs[number] = []
        self.starting.append(number)
        return number

    def submit(self, worker: int, job: Job) -> None:
        assert worker not in self.starting and len(self.jobs[worker]) < self.slots
        self.jobs[worker].append(job)
        assert len(self.jobs[worker]) == 1 or not self.lost & set(self.jobs[worker]), "not alone"
        self.given.append((worker, job))

    def events(self) -> list[Event]:
        if self.starting:
            number = self.starting.pop(0)
            if self.unborn:
                self.unborn -= 1
                return [Died(number, "no core")]
            return [Ready(number)]
        worker = self.random.choice([w for w, jobs in self.jobs.items() if jobs])
        doomed = any("killer" in job.photo for job in self.jobs[worker])
        if doomed or self.random.random() < self.mortality:
            self.lost |= set(self.jobs.pop(worker))
            return [Died(worker, "killed", "far away")]
        job = self.jobs[worker].pop(self.random.randrange(len(self.jobs[worker])))
        return [Ended(worker, job, self.done(job), "far away")]

    def done(self, job: Job) -> Outcome:
        if "bad" in job.photo:
            return Outcome(job, State.FAILED, error="no picture", exit_code=1)
        with written_whole(Path(job.out)) as partial:
            partial.write_bytes(job.played.encode())
        return Outcome(job, State.DONE, 0.1, len(job.played))

    def close(self) -> None:
        self.closed += 1
        self.jobs.clear()
        self.starting.clear()


def fragile() -> batch.Engine:
    return PoolEngine(Fragile())


def local() -> batch.Engine:
    return batch.LocalEngine(2, "cpu")


def on_ray() -> batch.Engine:
    pytest.importorskip("ray")
    return batch.RayEngine(2, "cpu")


Maker = Callable[[], batch.Engine]
ENGINES = [local, fragile, pytest.param(on_ray, marks=pytest.mark.slow)]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[batch.Engine]:
    made = request.param()
    yield made
    if isinstance(made, PoolEngine):
        made.close()
    if request.param is on_ray:
        import ray

        ray.shutdown()


def read(jobs: Iterable[Job], count: list[int]) -> Iterator[Job]:
    for job in jobs:
        count[0] += 1
        yield job


def test_every_job_once_and_no_more_than_there_is_room_for(
    engine: batch.Engine, tmp_path: Path
) -> None:
    photos = face_photos(tmp_path / "photos", 8)
    Path(photos[3]).rename(tmp_path / "photos" / "bad.png")
    photos[3] = str(tmp_path / "photos" / "bad.png")
    Path(photos[3]).write_bytes(b"no picture")
    jobs = small_jobs(photos, tmp_path / "out", RECIPES)
    begun, ended = [0], []
    for outcome in engine.run(read(jobs, begun)):
        ended.append(outcome)
        assert begun[0] - len(ended) <= 2 * 2 + pool_engine.READ_AHEAD * 2
        if outcome.state is State.DONE:
            assert Path(outcome.job.out).stat().st_size == outcome.bytes > 0
    assert Counter(outcome.job for outcome in ended) == Counter(jobs)
    failed = [outcome for outcome in ended if outcome.state is State.FAILED]
    assert {outcome.job.photo for outcome in failed} == {photos[3]} and len(failed) == 3
    assert all(outcome.exit_code == 1 and outcome.error for outcome in failed)
    assert list(engine.run([])) == []


def test_given_up_and_begun_again(engine: batch.Engine, tmp_path: Path) -> None:
    out = tmp_path / "out"
    jobs = small_jobs(face_photos(tmp_path / "photos", 4), out, RECIPES)
    with closing(engine.run(jobs)) as outcomes:
        first = next(outcomes)
    assert first.state is State.DONE
    there = {path.name for path in out.iterdir()}
    assert len(there) < len(jobs) and not any(name.startswith(PREFIX) for name in there)
    time.sleep(0.5)
    assert {path.name for path in out.iterdir()} == there, "nothing is written after the end"
    assert Counter(o.job for o in engine.run(jobs)) == Counter(jobs)


@pytest.mark.parametrize("seed", range(20))
def test_workers_that_die(seed: int, tmp_path: Path) -> None:
    """Whoever dies when: every job has one outcome, and one that is the cause of it fails alone."""
    photos = [f"{name}.png" for name in ("a", "b", "killer", "bad", "c", "d", "e")]
    jobs = small_jobs(photos, tmp_path / "out", RECIPES)
    (tmp_path / "out").mkdir()
    pool = Fragile(3, mortality=0.05, seed=seed)
    said: list[str] = []
    ended = list(PoolEngine(pool, said.append).run(jobs))
    assert Counter(outcome.job for outcome in ended) == Counter(jobs)
    times = Counter(job for _, job in pool.given)
    for outcome in ended:
        killer, bad = "killer" in outcome.job.photo, "bad" in outcome.job.photo
        assert (outcome.state is State.FAILED) == (killer or bad)
        assert times[outcome.job] == 3 if killer else times[outcome.job] <= 3
        if killer:
            assert "killer.png: 3 workers died of it" in outcome.error
    assert said and all("what it did is done again" in line for line in said)


def test_photos_stay_with_a_worker_and_the_last_are_shared(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    pool = Fragile(2)
    assert len(list(PoolEngine(pool).run(small_jobs("abcd", tmp_path / "out", RECIPES)))) == 12
    by_photo: dict[str, set[int]] = {}
    for worker, job in pool.given:
        by_photo.setdefault(job.photo, set()).add(worker)
    assert sum(len(workers) for workers in by_photo.values()) <= 5
    pool = Fragile(2)
    list(PoolEngine(pool).run(small_jobs("a", tmp_path / "out", RECIPES)))
    assert {worker for worker, _ in pool.given} == {0, 1}
    pool = Fragile(9)
    list(PoolEngine(pool).run(small_jobs("a", tmp_path / "out", RECIPES)))
    assert len(pool.jobs) == 3, "no more workers than there are jobs"


def test_workers_that_do_not_start(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    jobs = small_jobs("abc", tmp_path / "out", RECIPES)
    pool = Fragile(2)
    pool.unborn = 2
    assert len(list(PoolEngine(pool).run(jobs))) == 9, "others were started in their place"
    pool = Fragile(2)
    pool.unborn = 99
    with pytest.raises(MemegenError, match="no worker could be started: no core"):
        list(PoolEngine(pool).run(jobs))
    assert pool.closed == 1 and 99 - pool.unborn <= 5


def test_an_output_that_is_not_to_be_seen_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine's own disk is told of, and no file system's delay is taken for it."""

    class Elsewhere(Fragile):
        def done(self, job: Job) -> Outcome:
            threading.Timer(0.2, Path(job.out).touch).start()
            return Outcome(job, State.DONE)

    (tmp_path / "out").mkdir()
    jobs = small_jobs("ab", tmp_path / "out", ("smile",))
    assert len(list(PoolEngine(Elsewhere(1)).run(jobs))) == 2
    for job in jobs:
        Path(job.out).unlink()
    monkeypatch.setattr(pool_engine, "ARRIVAL_SECONDS", 0.0)
    with pytest.raises(MemegenError, match=r"was written on far away .* must share the folders"):
        list(PoolEngine(Elsewhere(1)).run(jobs))


@pytest.fixture
def silent() -> Iterator[str]:
    """An address where connections are taken, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_addresses(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_address, "SECONDS", 0.3)
    for good in ("auto", "local"):
        ray_address.check(good)
    for bad in (
        "",
        "host",
        "host:",
        "host:0",
        "host:65536",
        "http://host:1",
        "ray://host",
        "a b:1",
    ):
        with pytest.raises(UsageError, match="HOST:PORT"):
            ray_address.check(bad)
    with pytest.raises(MemegenError, match=rf"no Ray answers at {silent} within"):
        ray_address.check(silent)
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    for nobody in (f"127.0.0.1:{free}", f"ray://localhost:{free}", f"[::1]:{free}"):
        with pytest.raises(MemegenError, match="no Ray answers at"):
            ray_address.check(nobody)


def answering(server: socket.socket, words: bytes) -> None:
    with server.accept()[0] as caller:
        caller.recv(1 << 12)
        caller.sendall(words)


@pytest.mark.parametrize(
    ("words", "good"),
    [(b"\0\0\6\4\0\0\0\0\0\0\5\0\0@\0", True), (b"HTTP/1.1 400 Bad Request\r\n\r\n", False), (b"", False)],
)  # fmt: skip
def test_only_http2_is_taken_for_a_ray(words: bytes, good: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answering, args=(server, words), daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if good:
            ray_address.check(address)
            return
        with pytest.raises(MemegenError, match="is no Ray"):
            ray_address.check(address)


def test_the_command_names_what_is_missing(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["batch", *face_photos(tmp_path / "photos", 1), "-o", f"{tmp_path}/out/"]
    said = run_cli(*asked, "--engine", "rya", code=2)
    assert "must be local or ray, did you mean 'ray'?" in said.err
    assert "--address goes with --engine" in run_cli(*asked, "--address", "auto", code=2).err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = run_cli(*asked, "--engine", "ray", code=2)
    assert said.err == "memegen: --engine ray needs Ray: pip install 'memegen[cluster]'\n"


# --- a real Ray on this machine ---------------------------------------------------------------


TINY = ["--model", "mesh", "--size", "48", "--fps", "5", "--duration", "0.6", "--workers", "2"]


class Command:
    """`memegen batch --engine ray`, running."""

    def __init__(self, notes: Path, *arguments: str) -> None:
        command = [
            sys.executable,
            "-m",
            "memegen",
            "batch",
            *arguments,
            "--engine",
            "ray",
            "--json",
        ]
        self._notes = notes
        with notes.open("w") as file:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)

    def rows(self, count: int | None = None) -> list[dict[str, object]]:
        """What it says of the next jobs, or of all that are left."""
        assert self.process.stdout is not None
        return [json.loads(line) for line in islice(self.process.stdout, count)]

    def ended(self) -> tuple[int, str]:
        """Its exit code, and what it said to people."""
        return self.process.wait(120), self._notes.read_text()


def family(root: int) -> dict[int, str]:
    """The living processes that descend from one, with their titles."""
    parents: dict[int, int] = {}
    titles = {}
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            title = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        if fields[0] != "Z":
            parents[int(place.name)] = int(fields[1])
            titles[int(place.name)] = title
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: titles[pid] for pid in found - {root}}


def workers(driver: int) -> list[int]:
    return [pid for pid, title in family(driver).items() if title.startswith("ray::Memegen")]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_worker_of_ray_is_killed(tmp_path: Path) -> None:
    """Two workers, one killed (SIGKILL) while it does a job: nothing lost, nothing twice."""
    pytest.importorskip("ray")
    photos = face_photos(tmp_path / "photos", 6)
    wanted, out = tmp_path / "wanted", tmp_path / "out"
    assert len(list(batch.run(small_jobs(photos, wanted, RECIPES), local()))) == 18
    command = Command(tmp_path / "notes", *photos, "-r", ",".join(RECIPES), *TINY, "-o", f"{out}/")
    rows = command.rows(3)
    victims = workers(command.process.pid)
    assert len(victims) == 2
    os.kill(victims[0], signal.SIGKILL)
    rows += command.rows()
    code, notes = command.ended()
    assert code == 0, notes
    assert "died, what it did is done again" in notes and "18 done in" in notes
    planned = [job.out for job in small_jobs(photos, out, RECIPES)]
    assert Counter(row["out"] for row in rows) == Counter(planned)
    assert {row["state"] for row in rows} == {"done"}
    assert contents(out) == contents(wanted)
    assert set(times_noted(out).values()) == {1}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_driver_of_ray_is_killed(number: signal.Signals, tmp_path: Path) -> None:
    """Its workers and its Ray go with it, and the same command goes on."""
    pytest.importorskip("ray")
    photos = face_photos(tmp_path / "photos", 6)
    out = tmp_path / "out"
    asked = [*photos, "-r", ",".join(RECIPES), *TINY, "-o", f"{out}/"]
    command = Command(tmp_path / "notes", *asked)
    command.rows(3)
    parts = ("ray::Memegen", "raylet", "gcs_server")  # Ray's agents notice later
    children = {pid for pid, title in family(command.process.pid).items() if any(part in title for part in parts)}  # fmt: skip
    assert len(children) >= 4
    command.process.send_signal(number)
    code, notes = command.ended()
    if number is signal.SIGKILL:
        assert code == -number
    else:
        assert code == 128 + number
        assert notes.splitlines()[-1] == "memegen: interrupted, nothing half-written was left"
    until = time.monotonic() + 30
    while left := {pid for pid in children if Path(f"/proc/{pid}/exe").exists()}:
        assert time.monotonic() < until, left
        time.sleep(0.2)
    noted = sum(times_noted(out).values())
    assert 2 <= noted < 18
    command = Command(tmp_path / "notes", *asked)
    assert Counter(row["state"] for row in command.rows()) == {"current": noted, "done": 18 - noted}
    assert command.ended()[0] == 0
    assert len(contents(out)) == 18 and set(times_noted(out).values()) == {1}


@pytest.mark.slow
def test_an_address_that_does_not_answer(silent: str, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    photos = face_photos(tmp_path / "photos", 1)
    began = time.monotonic()
    command = Command(tmp_path / "notes", *photos, "--address", silent, "-o", f"{tmp_path}/out/")
    assert command.ended() == (1, f"memegen: no Ray answers at {silent} within 5 s\n")
    assert time.monotonic() - began < 60


def test_ray_is_not_imported_for_nothing() -> None:
    code = "import sys; import memegen.batch, memegen.cli.app; print('ray' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
    assert ray_pool.RayEngine is batch.RayEngine
