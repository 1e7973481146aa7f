"""How the command behaves in scripts: closed streams, limits, signals, links, missing folders."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.clips import pictures
from support.command import RunCli
from support.paths import ROOT, SAMPLE

from memegen import files
from memegen.cli.ending import ending_tidily
from memegen.errors import EncoderError, MemegenError, UsageError, is_out_of_memory
from memegen.media.encode import target_for, write

COMMAND = [sys.executable, "-m", "memegen"]


def shell(line: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which `memegen` is this program."""
    script = f'set -o pipefail; memegen() {{ "{sys.executable}" -m memegen "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )


@pytest.mark.skipif(os.name == "nt", reason="a shell of Unix")
@pytest.mark.parametrize(
    ("line", "code", "out", "err"),
    [
        ("memegen recipes list >&-", 0, "", ""),
        ("memegen --help >&-", 0, "", ""),
        ("memegen recipes list <&- >&- 2>&-", 0, "", ""),
        ("memegen fly 2>&-", 2, "", ""),  # the message is no result
        ("memegen aus --list | head -1", 0, "FACS name", ""),
        ("memegen aus --list > /dev/full", 1, "", "No space left"),
        ("memegen fly 2> /dev/full", 2, "", ""),
        ("memegen animate x.png -o - >&-", 2, "", "standard output is closed"),
    ],
)
def test_closed_and_full_streams(line: str, code: int, out: str, err: str) -> None:
    done = shell(line)
    assert done.returncode == code, done.stderr
    assert out in done.stdout and len(done.stdout.splitlines()) <= 1
    assert err in done.stderr and len(done.stderr.splitlines()) <= 1, done.stderr


def test_names_are_printed_byte_for_byte(tmp_path: Path) -> None:
    """Also such as no text can hold, and into streams that know ASCII alone."""
    plain = b"keyframes:\n  - {at: 0, expression: {}}\n  - {at: 1, expression: {AU12: 4}}\n"
    for name, coding, shown in (
        (b"\xff.yaml", "utf-8", b"\xff.yaml: ok"),
        ("😀.yaml".encode(), "ascii", rb"\U0001f600.yaml: ok"),
    ):
        path = tmp_path / os.fsdecode(name)
        path.write_bytes(plain)
        done = subprocess.run(
            [*COMMAND, "recipes", "check", path], capture_output=True, cwd=ROOT,
            env=os.environ | {"PYTHONIOENCODING": coding, "PYTHONUTF8": "0"}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert shown in done.stdout


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 40000000000 bytes. Error code 12 (Cannot allocate memory)"
        ),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        EncoderError("ffmpeg failed: Cannot allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    ],
)
def test_too_little_memory_is_said_as_such(
    error: Exception, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("memegen.photo.read_photo", fail)
    said = run_cli("faces", str(SAMPLE), code=1).err
    assert "not enough memory" in said and "report" not in said
    assert not is_out_of_memory(OSError(2, "No such file or directory"))


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of Unix")
@pytest.mark.slow
def test_signals_leave_nothing(tmp_path: Path) -> None:
    """Neither files nor children; the exit code says which signal it was."""
    asked = {}
    sent = [
        name
        for name in ("SIGTERM", "SIGHUP", "SIGINT")
        if signal.getsignal(getattr(signal, name)) != signal.SIG_IGN
    ]  # `nohup make test`
    for name in sent:
        folder = tmp_path / name
        folder.mkdir()
        line = [*COMMAND, "animate", str(SAMPLE), "--duration", "60", "--model", "mesh"]
        asked[name] = subprocess.Popen(
            [*line, "-o", str(folder / "a.mp4")], cwd=ROOT, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
    for name, process in asked.items():
        begun = time.monotonic()
        while not list((tmp_path / name).iterdir()):  # the encoder is about to start, or has
            assert process.poll() is None and time.monotonic() < begun + 60
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(getattr(signal, name))
    for name, process in asked.items():
        _, said = process.communicate(timeout=30)
        assert process.returncode == 128 + getattr(signal, name)
        assert said == "memegen: interrupted, nothing half-written was left\n"
        assert not list((tmp_path / name).iterdir())
        with pytest.raises(ProcessLookupError):  # nobody is left of its session
            os.killpg(process.pid, 0)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of Unix")
def test_nohup_stays_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_tidily():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_IGN, signal.SIG_DFL)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(1)
            os.kill(os.getpid(), signal.SIGTERM)  # while it is tidied up
    finally:
        signal.signal(signal.SIGHUP, before)


def test_files_are_written_beside_what_links_stand_for(tmp_path: Path) -> None:
    """So that renaming stays within one file system."""
    real, links = tmp_path / "real", tmp_path / "links"
    real.mkdir()
    links.mkdir()
    (links / "a.gif").symlink_to("../real/b.gif")  # dangling, relative
    (links / "folder").symlink_to(real)
    places = []

    def watched():  # type: ignore[no-untyped-def]
        yield from pictures(2)
        places.append((len(list(real.iterdir())), len(list(links.iterdir()))))

    for name, made in (("a.gif", "b.gif"), ("folder/c.gif", "c.gif")):
        count = len(list(real.iterdir()))
        write(watched(), 25, True, target_for(str(links / name), max_bytes=100_000))
        assert (real / made).read_bytes()[:3] == b"GIF"
        assert places.pop() == (
            count + 2,
            2,
        )  # the file, and the lossless one that a size limit needs
    assert (links / "a.gif").is_symlink()
    assert sorted(p.name for p in real.iterdir()) == ["b.gif", "c.gif"]


def test_two_runs_may_write_the_same_file(tmp_path: Path) -> None:
    out, table = tmp_path / "a.gif", tmp_path / "a.csv"
    gate = threading.Barrier(2)

    def once(shade: int) -> None:
        frames = [np.full((32, 32, 3), shade, np.uint8), np.full((32, 32, 3), 250, np.uint8)]
        gate.wait()
        write(frames, 25, True, target_for(str(out)))
        gate.wait()
        files.write_text(table, f"{shade}\n" * 10000)

    threads = [threading.Thread(target=once, args=(shade,)) for shade in (20, 120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Image.open(out) as image:
        assert image.n_frames == 2 and abs(image.convert("RGB").getpixel((3, 3))[0] % 100 - 20) < 4
    assert len(set(table.read_text().splitlines())) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "a.gif"]


def test_what_cannot_be_written_is_told_before_work(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert files.check_writable(tmp_path / "new" / "er" / "a.png", ".png")
    for path, says in (
        (tmp_path, "is a folder"),
        (file / "a.csv", "is no folder"),
        (tmp_path / ("x" * 300), "too long"),
        (tmp_path / "a.jpg", "must end with .png"),
    ):
        with pytest.raises(UsageError, match=says):
            files.check_writable(path, ".png" if path.suffix == ".jpg" else None)
    with pytest.raises(UsageError, match="no ordinary file"):
        files.check_writable(Path("/dev/null"))
    files.write_text(files.check_writable(Path("/dev/null"), special=True), "a")
    with pytest.raises(MemegenError, match="stop"), files.written_whole(file) as partial:
        assert partial.parent == tmp_path
        raise MemegenError("stop")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_long_names_are_shortened_to_what_file_systems_take() -> None:
    assert files.fitting("a", "smile", ".gif") == "a_smile.gif"
    for stem, second in (("x" * 250, "smile"), ("😀" * 60, "😀" * 60), ("a", "b" * 300)):
        name = files.fitting(stem, second, ".gif")
        assert len(name.encode()) <= 255 and name.endswith(".gif") and "_" in name
        assert len(name.encode()) > 120


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.slow
def test_a_slice_of_the_fuzz_run() -> None:
    """The whole of it: `make fuzz`."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "fuzz.py"), "--seed", "15", "--count", "20"],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 cases (from 0)" in done.stdout
