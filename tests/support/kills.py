"""Batches that are killed (SIGKILL) at random moments and begun again; what that costs is counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memegen.batch import manifest
from memegen.files import PREFIX

LONGEST = 600.0  # seconds that a run may take


@dataclass
class Kill:
    """A run that was killed."""

    seconds: float  # after its start, or after its first job
    whole_group: bool  # its children too, as the system does when it goes down
    told: set[str]  # outputs that it said were done
    noted: set[str] = field(default_factory=set)  # that the manifest knew afterwards
    there: dict[str, int] = field(default_factory=dict)  # when outputs that were there were written
    half: int = 0  # files that were half-written
    again: int = -1  # outputs that were there, whole, but not noted, and were made again later


def run(command: Sequence[str], wait: float | None, early: bool, group: bool) -> Kill | None:
    """Run a batch with `--json`, and kill it `wait` seconds after its start if `early`, else after its
    first job; None if it ended before. Fails if it does not end well, or its children stay.
    """
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    rows: list[dict[str, object]] = []
    began = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.endswith("\n"):
                break  # the kill came in the middle of it
            rows.append(json.loads(line))
            if rows[-1]["state"] == "done":
                began.set()
        began.set()

    reading = threading.Thread(target=read)
    reading.start()
    try:
        if wait is not None and not early:
            began.wait(LONGEST)
        process.wait(LONGEST if wait is None else wait)
    except subprocess.TimeoutExpired:
        if wait is None:
            raise
        os.killpg(process.pid, signal.SIGKILL) if group else process.kill()
    code = process.wait()
    reading.join()
    _gone(process.pid)
    if code not in (0, -signal.SIGKILL):
        raise AssertionError(f"the batch ended with {code}")
    told = {Path(str(row["out"])).name for row in rows if row["state"] == "done"}
    return Kill(wait or 0.0, group, told) if code else None


def _gone(group: int) -> None:
    """Wait until no process of a group is left."""
    until = time.monotonic() + 60
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < until, "what it had started stays"
        time.sleep(0.05)


def look(kill: Kill, out: Path) -> Kill:
    """Note what a killed run has left."""
    if out.is_dir():
        kill.noted = {e.out for e in manifest.read(out).values() if e.fingerprint}
        for path in out.iterdir():
            if not path.name.startswith(PREFIX):
                kill.there[path.name] = path.stat().st_mtime_ns
            elif path.name != manifest.NAME:
                kill.half += 1
    return kill


def begin_again(
    command: Sequence[str],
    out: Path,
    waits: Iterator[tuple[float, bool, bool]],
    kills: int,
    tell: Callable[[Kill], object] = id,
) -> list[Kill]:
    """Kill a batch so often, then let it end. `waits`: see `run`; `tell` is told of every kill.

    Where it ends before it has been killed often enough, its folder is emptied and it begins anew.
    """
    done: list[Kill] = []
    seen = 0  # kills before the folder was emptied the last time
    while len(done) < kills:
        kill = run(command, *next(waits))
        if kill is not None:
            done.append(look(kill, out))
            tell(done[-1])
            continue
        check(done[seen:], out)
        seen = len(done)
        for path in out.iterdir():
            path.unlink()
    assert run(command, None, True, False) is None
    check(done[seen:], out)
    return done


def check(kills: Sequence[Kill], out: Path) -> None:
    """Nothing that was noted, or told, was made again, and nothing half-written was left."""
    written = {p.name: p.stat().st_mtime_ns for p in out.iterdir() if p.name != manifest.NAME}
    assert not [name for name in written if name.startswith(PREFIX)]
    for kill in kills:
        assert kill.told <= kill.noted
        again = {name for name, at in kill.there.items() if written[name] != at}
        assert not again & kill.noted
        kill.again = len(again)
