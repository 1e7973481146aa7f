"""Processes that make training examples: in order, once each, and whatever happens to them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from memegen.errors import MemegenError
from memegen.training import workers
from memegen.training.workers import DEATHS, NICENESS, Workers, yield_to_training

POSIX = hasattr(os, "fork")


@dataclass
class Maker:
    """Says who made a number, and how often whoever did had been sent the maker."""

    sent: int = 0
    failing: tuple[int, ...] = ()

    def __call__(self, number: int) -> tuple[int, int, int]:
        if number in self.failing:
            raise ValueError(f"no number {number}")
        return number, os.getpid(), self.sent

    def __setstate__(self, state: dict[str, object]) -> None:
        global _sent
        _sent += 1
        self.__dict__ = state | {"sent": _sent}


_sent = 0  # makers that this process was sent


@dataclass
class Large:
    """Its results are more than a pipe holds: a process is likely to die in the middle of one."""

    pixels: np.ndarray = field(default_factory=lambda: np.ones(16 << 20, np.uint8))

    def __call__(self, number: int) -> np.ndarray:
        return self.pixels * number


def settings(number: int) -> tuple[int, list[object], int]:
    ignored: list[object] = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    return cv2.getNumThreads(), ignored, os.getpriority(os.PRIO_PROCESS, 0)


def die(number: int) -> int:
    if os.getpid() != _parent():
        os._exit(1)
    return number


def _parent() -> int:
    return int(os.environ["TEST_PARENT"])


def until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.02)


def alive(process: int) -> bool:
    """Whether it is there, and more than an entry that nobody has read yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_without_processes_each_is_made_when_it_is_asked_for() -> None:
    made = Workers(Maker(), first=3)
    assert made.ready() == []
    assert [made.take()[:2] for _ in range(2)] == [(n, os.getpid()) for n in (3, 4)]
    assert made.next == 5
    made.close()


def test_results_come_in_order_from_processes_that_were_sent_the_maker_once() -> None:
    made = Workers(Maker(), first=7, workers=2)
    try:
        found = [made.take() for _ in range(12)]
        until(lambda: made._waiting[0].done())
        found += made.ready(1)
        assert made.next == 20
    finally:
        made.close()
    assert [number for number, _, _ in found] == list(range(7, 20))
    assert all(process != os.getpid() and sent == 1 for _, process, sent in found)
    until(lambda: not any(alive(process) for _, process, _ in found))
    assert made.take()[:2] == (20, os.getpid()) and made.ready() == []


@pytest.mark.parametrize("processes", [0, 1])
def test_what_cannot_be_made_is_left_out_but_not_for_ever(processes: int) -> None:
    made = Workers(Maker(failing=(1, 3, 4)), workers=processes, failures=2)
    try:
        assert [made.take()[0] for _ in range(2)] == [0, 2]
        with pytest.raises(MemegenError, match=r"cannot be made \(no number 4\)") as raised:
            made.take()
    finally:
        made.close()
    if processes:  # where it happened there
        assert "in __call__" in str(raised.value.__cause__.__cause__)


def test_what_cannot_be_made_makes_nobody_wait() -> None:
    made = Workers(Maker(failing=(0,)), workers=1, failures=1)
    try:
        until(lambda: bool(made.ready(1)))
        assert made.next == 2
    finally:
        made.close()


def test_what_cannot_be_sent_is_an_error() -> None:
    made = Workers(lambda number: number, workers=1)  # functions are sent by name
    with pytest.raises(MemegenError, match="cannot be made"):
        made.take()
    made.close()


@pytest.mark.skipif(not POSIX, reason="kills")
def test_a_process_that_dies_is_replaced() -> None:
    made = Workers(Maker(), workers=1)
    try:
        _, first, _ = made.take()
        os.kill(first, signal.SIGKILL)
        found = [made.take() for _ in range(6)]
    finally:
        made.close()
    assert [number for number, _, _ in found] == list(range(1, 7))
    assert {process for _, process, _ in found} - {first, os.getpid()}


@pytest.mark.skipif(not POSIX, reason="kills")
def test_one_killed_in_the_middle_of_a_result_holds_up_nobody() -> None:
    made = Workers(Large(), workers=2)
    try:
        made.take()
        for worker in list(made._team._processes):
            worker._process.kill()
        assert [int(made.take()[-1]) for _ in range(4)] == [1, 2, 3, 4]
    finally:
        made.close()


def test_where_all_die_this_process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PARENT", str(os.getpid()))
    made = Workers(die, workers=1)
    assert made.ready() == []
    until(lambda: made._team.over)
    with pytest.warns(RuntimeWarning, match=f"{DEATHS} processes"):
        assert made.ready() == []  # nothing that need not be waited for
    assert [made.take() for _ in range(3)] == [0, 1, 2]
    made.close()


@pytest.mark.skipif(not POSIX, reason="signals of POSIX")
def test_processes_are_modest_and_leave_signals_to_the_run() -> None:
    made = Workers(settings, workers=1)
    try:
        threads, ignored, priority = made.take()
        (worker,) = made._team._processes
        for ending in (signal.SIGINT, signal.SIGTERM):
            os.kill(worker._process.pid or 0, ending)
        assert made.take()[0] == threads == 1 and worker._process.is_alive()
    finally:
        made.close()
    assert ignored == [signal.SIG_IGN] * 2
    assert priority == min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)


@pytest.mark.skipif(not POSIX, reason="signals of POSIX")
def test_a_signal_while_a_process_starts_does_not_end_it() -> None:
    made = Workers(Maker(), workers=1)
    try:
        made.ready()
        until(lambda: bool(made._team._processes))
        (worker,) = made._team._processes
        os.kill(worker._process.pid or 0, signal.SIGINT)  # long before it could ignore it
        assert made.take()[1] == worker._process.pid
    finally:
        made.close()
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


# Whoever starts tests in the background may have them ignore SIGINT.
SCRIPT = """
import os, signal, sys, time
sys.path.insert(0, {tests!r})
from test_workers import Slow, Workers
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    made = Workers(Slow(), workers=1)
    print(made.take(), flush=True)
    {then}
"""


class Slow:
    """The first number at once, all others never."""

    def __call__(self, number: int) -> int:
        if number:
            time.sleep(600)
        return os.getpid()


def script(tmp_path: Path, then: str) -> subprocess.Popen[str]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(tests=str(Path(__file__).parent), then=then))
    return subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")
def test_none_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    with script(tmp_path, "time.sleep(600)") as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert alive(worker)
        parent.kill()
    until(lambda: not alive(worker))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")
@pytest.mark.parametrize("then", ["made.close()", "made = None", "os.kill(made.take(), 9)"])
def test_a_program_ends_though_its_processes_are_busy(tmp_path: Path, then: str) -> None:
    with script(tmp_path, then) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        if "take" in then:  # it waits for what never comes, until somebody interrupts it
            parent.send_signal(signal.SIGINT)
        try:
            parent.wait(20)
        finally:
            parent.kill()  # or these tests would wait for it
    until(lambda: not alive(worker))


def test_processes_start_where_there_is_no_nice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()
    monkeypatch.delattr(os, "nice", raising=False)
    monkeypatch.setattr(workers, "one_thread", lambda: asked.append(1))
    monkeypatch.setattr(cv2, "setNumThreads", asked.append)
    yield_to_training()
    assert asked == [1]


def test_drawing_needs_no_torch() -> None:
    code = "import memegen.training.drawings, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
