"""The queue of jobs and the store of photos: bounds, cancelling, forgetting, and the end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT, SAMPLE
from support.serving import SMALL, client_of, picture_bytes, service_with, waited

import memegen
from memegen.errors import NoFaceError
from memegen.photo import Photo
from memegen.pipeline import Animator
from memegen.serve.engine import JOB_NICENESS, MOST_NICENESS, begin_job_thread
from memegen.serve.errors import (
    BusyError,
    CancelledError,
    ClosingError,
    UnfinishedError,
    UnknownError,
)
from memegen.serve.giving_way import LIVE, MOST_WAIT, Gate
from memegen.serve.jobs import Job, JobQueue, Result
from memegen.serve.photos import PhotoStore
from memegen.serve.settings import Limits

ONE = Limits(workers=1, queue=2, results=3, result_bytes=100, grace_seconds=0.2)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened at the end: what waits for it never stays."""
    event = threading.Event()
    yield event
    event.set()


def held(gate: threading.Event) -> Any:
    """Work that goes on until the gate opens or it is cancelled."""

    def work(job: Job) -> Result:
        while not gate.wait(0.01):
            job.at(0.5)
        return Result(b"made", "text/plain")

    return work


def until(true: Any, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_queue_is_bounded_and_keeps_its_order(gate: threading.Event) -> None:
    jobs = JobQueue(ONE)
    first = jobs.submit(held(gate))
    until(lambda: first.state == "running")
    waiting = [jobs.submit(held(gate)) for _ in range(2)]
    assert len(jobs) == 2 and jobs.running == 1
    with pytest.raises(BusyError) as refused:
        jobs.submit(held(gate))
    assert refused.value.status == 429
    assert int(dict(refused.value.headers)["retry-after"]) >= 1
    with pytest.raises(UnfinishedError):
        jobs.result(first.id)
    gate.set()
    for job in (first, *waiting):
        job.finished.result(5)
        assert jobs.result(job.id).data == b"made"
    assert waiting[0].ended <= waiting[1].ended
    jobs.close(0)


def test_jobs_are_cancelled_where_they_are(gate: threading.Event) -> None:
    jobs = JobQueue(ONE)
    running, waiting = jobs.submit(held(gate)), jobs.submit(held(gate))
    until(lambda: running.progress == 0.5)
    assert jobs.cancel(waiting.id).state == "cancelled"
    jobs.cancel(running.id)
    running.finished.result(5)
    assert running.about() == {
        "state": "cancelled", "progress": 0.5, "error": "the job was cancelled", "status": 409,
    }  # fmt: skip
    with pytest.raises(UnfinishedError, match="cancelled"):
        jobs.result(running.id)
    jobs.cancel(running.id)  # now it is forgotten
    with pytest.raises(UnknownError):
        jobs.get(running.id)
    jobs.close(0)


def test_jobs_that_take_too_long_end(gate: threading.Event) -> None:
    jobs = JobQueue(replace(ONE, job_seconds=0.05))
    job = jobs.submit(held(gate))
    job.finished.result(5)
    assert (job.state, job.status) == ("failed", 413) and "longer than any" in str(job.error)
    jobs.close(0)


def test_errors_of_jobs_keep_their_status(capsys: pytest.CaptureFixture[str]) -> None:
    def no_face(_: Job) -> Result:
        raise NoFaceError("photo: no face found")

    def broken(_: Job) -> Result:
        raise KeyError("secret")

    jobs = JobQueue(ONE)
    for work, status, line in (
        (no_face, 422, "no face found"),
        (broken, 500, "unexpected KeyError"),
    ):
        job = jobs.submit(work)
        job.finished.result(5)
        assert (job.state, job.status) == ("failed", status) and line in str(job.error)
        with pytest.raises(UnfinishedError) as failed:
            jobs.result(job.id)
        assert failed.value.status == status and "secret" not in str(failed.value)
    assert "secret" in capsys.readouterr().err  # the log has all of it
    jobs.close(0)


def test_results_are_forgotten_beyond_count_bytes_and_age() -> None:
    now = [0.0]
    jobs = JobQueue(ONE, clock=lambda: now[0])

    def made(size: int) -> str:
        job = jobs.submit(lambda _: Result(b"x" * size, "text/plain"))
        job.finished.result(5)
        return job.id

    kept = [made(10) for _ in range(4)]
    with pytest.raises(UnknownError):
        jobs.get(kept[0])
    made(85)  # 115 bytes with the two before it: one of them goes
    with pytest.raises(UnknownError):
        jobs.get(kept[2])
    assert jobs.get(kept[3]).state == "done"
    now[0] = ONE.result_seconds + 1
    with pytest.raises(UnknownError):
        jobs.get(kept[3])
    jobs.close(0)


def test_the_end_of_a_queue(gate: threading.Event) -> None:
    jobs = JobQueue(ONE)
    running, waiting = jobs.submit(held(gate)), jobs.submit(held(gate))
    until(lambda: running.state == "running")
    began = time.monotonic()
    jobs.close(0.2)
    assert 0.15 < time.monotonic() - began < 4
    assert (running.state, waiting.state, waiting.status) == ("cancelled", "failed", 503)
    with pytest.raises(ClosingError):
        jobs.submit(held(gate))
    other = JobQueue(ONE)
    job = other.submit(held(gate))
    until(lambda: job.state == "running")
    threading.Timer(0.05, gate.set).start()
    other.close(5)  # what ends within the grace is done
    assert job.state == "done"


def test_photos_are_forgotten_by_number_and_age() -> None:
    now = [0.0]
    import numpy as np

    photo = Photo(np.zeros((20, 20, 3), np.uint8), None)
    store = PhotoStore(replace(ONE, photos=2, photo_seconds=10), lambda: now[0])
    own = store.add(photo, [], lasts=True)
    first, second = store.add(photo, []), store.add(photo, [])
    store.get(first.id)
    third = store.add(photo, [])
    with pytest.raises(UnknownError):
        store.get(second.id)  # the longest unused
    assert store.get(first.id) is first and len({own.id, first.id, third.id}) == 3
    now[0] = 11
    with pytest.raises(UnknownError):
        store.get(third.id)
    assert store.get(own.id) is own and len(store) == 1


def test_only_so_much_is_prepared(mesh: Animator, photo: Photo) -> None:
    store = PhotoStore(replace(ONE, prepared=2))
    stored = store.add(photo, mesh.analyze(photo, "all"))
    ready = {side: store.prepared(stored, side, mesh) for side in (64, 80)}
    assert store.prepared(stored, 64, mesh) is ready[64]
    store.prepared(stored, 96, mesh)
    assert set(stored.prepared) == {64, 96}
    assert max(ready[80].canvas.shape) == 80


def test_a_full_queue_is_said_with_429(mesh: Animator, gate: threading.Event) -> None:
    service = service_with(mesh, replace(SMALL, queue=1))
    client = client_of(service)
    jobs = [service.jobs.submit(held(gate)) for _ in range(2)]
    answer = client.post("/animate", files={"photo": picture_bytes()})
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
    assert answer.json() == {"error": "1 jobs wait already; try again later"}
    assert client.get(f"/jobs/{jobs[1].id}").json() == {"state": "queued", "progress": 0}
    assert client.get(f"/jobs/{jobs[1].id}/result").status_code == 409
    assert client.delete(f"/jobs/{jobs[1].id}").json()["state"] == "cancelled"
    assert client.delete(f"/jobs/{jobs[0].id}").status_code == 200
    assert waited(client, jobs[0].id)["state"] == "cancelled"
    service.close()
    answer = client.post("/animate", files={"photo": picture_bytes()})
    assert answer.status_code == 503 and "ending" in answer.json()["error"]
    assert client.get("/health").json()["status"] == "closing"


def test_rendering_stops_where_it_is_cancelled(mesh: Animator) -> None:
    service = service_with(mesh)
    client = client_of(service)
    said = client.post("/photos", files={"photo": picture_bytes()}).json()
    body = {"recipe": "smile", "side": 256, "duration": 6, "fps": 11}
    job = client.post(f"/photos/{said['id']}/render", json=body).json()["job"]
    until(lambda: client.get(f"/jobs/{job}").json()["progress"] > 0.05)
    client.delete(f"/jobs/{job}")
    ended = waited(client, job)
    assert ended["state"] == "cancelled" and ended["progress"] < 1
    service.close()


def test_cancelled_while_a_clip_is_tracked(mesh: Animator) -> None:
    service = service_with(mesh)
    job = Job("a", None)
    job.cancelling.set()
    with pytest.raises(CancelledError), service.engine.watching(job.check) as animator:
        animator.analyze(SAMPLE)
    assert service.engine.animator.analyze(SAMPLE)  # the next one is not
    assert service.engine.animator.detector is not mesh.detector
    service.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_a_process_ends_tidily(tmp_path: Path) -> None:
    """SIGTERM during a job: exit code 0, the job ends, nothing is left in the temporary folder."""
    import httpx

    pytest.importorskip("uvicorn", reason="the extra [serve] is not installed")
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "memegen",
        "serve",
        "--port",
        "0",
        "--model",
        "mesh",
        "--workers",
        "1",
    ]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("serving at http://127.0.0.1:"), line
            address = line.split()[2].rstrip(";")
            # Seconds of work: it is to run still when the server is asked what it does.
            fields = {"size": "640", "wait": "false", "duration": "5", "format": "webp"}
            begun = httpx.post(
                f"{address}/animate", files={"photo": picture_bytes()}, data=fields, timeout=30
            )
            assert begun.status_code == 202, begun.text
            state = f"{address}/jobs/{begun.json()['job']}"
            until(lambda: httpx.get(state).json()["state"] != "queued")
            process.send_signal(signal.SIGTERM)
            until(lambda: httpx.get(f"{address}/health").json()["status"] == "closing")
            refused = httpx.post(f"{address}/animate", files={"photo": b"x"})
            assert refused.status_code == 503 and "ending" in refused.json()["error"]
            assert process.wait(30) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()
    assert not list(tmp_path.iterdir())
    assert memegen.__version__


def test_uploads_that_wait_are_bounded(gate: threading.Event) -> None:
    jobs = JobQueue(replace(ONE, queue=9, queue_bytes=100))
    first = jobs.submit(held(gate), 90)
    until(lambda: first.state == "running")
    jobs.submit(held(gate), 150)  # one may wait, however large
    with pytest.raises(BusyError):
        jobs.submit(held(gate), 1)
    gate.set()
    jobs.close(5)


class Gone:
    """A request whose client has gone away."""

    async def is_disconnected(self) -> bool:
        return True


def test_jobs_that_nobody_waits_for_are_cancelled(mesh: Animator, gate: threading.Event) -> None:
    service = service_with(mesh)
    seen: list[Job] = []

    def work(job: Job) -> Result:
        seen.append(job)
        return held(gate)(job)

    with pytest.raises(CancelledError):
        asyncio.run(service.finished(work, Gone(), 0))  # type: ignore[arg-type]
    seen[0].finished.result(5)
    assert seen[0].state == "cancelled"
    made = asyncio.run(service.finished(lambda _: Result(b"a", "b"), Gone(), 0))  # type: ignore[arg-type]
    assert made.data == b"a" and len(service.jobs) == 0
    service.close()


@dataclass
class Clock:
    """Time that passes where somebody sleeps or works."""

    now: float = 100.0
    worked: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def work(self, seconds: float) -> None:
        self.now += seconds
        self.worked += seconds


@pytest.mark.parametrize(("workers", "rest"), [(1, 0.4), (2, 0.2), (3, 0.1), (5, 0.05)])
def test_jobs_work_a_share_of_the_time_beside_previews(workers: int, rest: float) -> None:
    """Whoever worked 0.2 s waits until all cores but one had so much time."""
    clock = Clock()
    gate = Gate(workers, lambda: clock.now, lambda: clock.worked, clock.sleep)
    gate.give_way()
    clock.work(0.2)
    gate.give_way()
    assert clock.now == pytest.approx(100.2)  # nobody looks
    with gate.painting():
        clock.work(0.2)
        gate.give_way()
        assert clock.now == pytest.approx(100.4 + rest)
        began = clock.now
        clock.work(0.2)
        owed = threading.Thread(target=gate.give_way)  # another job, which has worked 0.6 s
        owed.start()
        owed.join()
        clock.now = began + 0.2
        gate.give_way()  # pays for both
        assert clock.now == pytest.approx(began + 0.2 + min(4 * rest, MOST_WAIT))
        clock.work(90.0)
        began = clock.now
        gate.give_way()
        assert clock.now - began <= MOST_WAIT
    began = clock.now
    clock.work(0.5)
    gate.give_way()
    assert clock.now == began + 0.5 and not gate.live  # the last preview was long ago


def test_jobs_give_way_to_previews(mesh: Animator, gate: threading.Event) -> None:
    service = service_with(mesh)
    began = time.monotonic()
    service.engine.give_way()
    assert time.monotonic() - began < LIVE / 2
    begun, done = threading.Event(), threading.Event()
    preview = service.engine.paint(lambda: begun.set() or gate.wait())
    assert begun.wait(5)

    def job() -> None:
        service.engine.give_way()
        while time.thread_time() < 0.1:
            pass
        service.engine.give_way()
        done.set()

    threading.Thread(target=job).start()
    assert not done.wait(0.15)
    gate.set()
    preview.result(5)
    assert done.wait(5)
    service.close()


@pytest.mark.skipif(sys.platform != "linux", reason="a niceness is the process's elsewhere")
def test_jobs_are_nicer_than_the_server() -> None:
    """However nice that is."""
    found: list[int] = []

    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def job() -> None:
        begin_job_thread()
        found.append(niceness())

    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    assert found == [min(niceness() + JOB_NICENESS, MOST_NICENESS)]
