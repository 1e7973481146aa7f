"""Benchmarks and the makers of pictures find what they use of the library."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image
from support.paths import ROOT

SCRIPTS = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "docs").glob("*.py")])
SCRIPTS.remove(ROOT / "benchmarks" / "threads.py")  # not run but imported by the others


def loaded(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script as a module, not run."""
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(path.parent))
    known = set(sys.modules)
    module = loaded(path, monkeypatch)
    assert callable(module.main)
    for name in set(sys.modules) - known:  # `speed` of benchmarks is nobody else's
        if getattr(sys.modules[name], "__file__", "") and str(path.parent) in str(
            sys.modules[name].__file__
        ):
            monkeypatch.delitem(sys.modules, name)


def test_figures_of_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampled runs stand for all jobs; memory is told by parts; copies are photos of their own."""
    script = loaded(ROOT / "benchmarks" / "batches.py", monkeypatch)
    batch = script.Run(100.0, 150.0, ((10.0, 500.0), (90.0, 600.0), (100.1, 550.0)))
    runs = [script.Run(8.0, 9.0, ((1.0, 700.0),)), script.Run(12.0, 13.0, ())]
    figures = script.Figures.of(60, batch, runs)
    assert (figures.separate_seconds, figures.separate_cpu_seconds) == (600.0, 660.0)
    assert (figures.ratio, figures.cpu_ratio) == (6.0, 4.4)
    assert figures.batch_peak_mb == 600 and figures.batch_peaks_mb == (500, 0, 0, 600)
    assert figures.separate_peak_mb == 700 and "ratio: 6.00" in str(figures)
    (tmp_path / "photos").mkdir()
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (40, 30), colour).save(tmp_path / "photos" / f"{name}.png")
    photos = script.gathered(tmp_path / "photos", 5, tmp_path)
    assert len(set(photos)) == 5 and len({Path(p).read_bytes() for p in photos}) == 5
    if sys.platform == "linux":
        holds = "held = bytearray(b'1') * 200_000_000; print(); input()"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", holds], **pipes) as child:
            child.stdout.readline()
            assert script.megabytes(os.getpid()) > 200 + script._own(os.getpid()) / 1e6
            child.communicate(b"\n")


@pytest.mark.parametrize(
    "words",
    [
        "--clients -1", "--clients many", "--commands -1", "--queue -1", "--drag 0", "--drag nan",
        "--side 0", "--size 99999", "--recipe smirk-at-nobody", "--photo nowhere.jpg",
    ],
)  # fmt: skip
def test_arguments_of_the_server_benchmark_that_cannot_be(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = loaded(ROOT / "benchmarks" / "serve.py", monkeypatch)
    with pytest.raises(SystemExit) as ended:
        script.asked_for(words.split())
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and "Traceback" not in "".join(said)
    assert f"error: argument {words.split()[0]}: " in said[-1] and words.split()[1] in said[-1]


def test_the_server_benchmark_without_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """None ask, none are counted; commands are left out alike."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = loaded(ROOT / "benchmarks" / "serve.py", monkeypatch)
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda name: name)  # all is installed
    asked = script.asked_for(["--clients", "0", "--commands", "0"])
    assert script.together(None, asked.photo, asked.clients, script.fields_of(asked)) == {}
    found = {"seconds": 4.0, "done": 8, "refused": 1, "lost": 0, "processor": 0.5, "413": 2}
    figures = script.of_many(asked, found, 500.0)
    assert figures.commands is None and figures.throughput_beside_commands is None
    assert (figures.a_second, figures.other_answers) == (2.0, {"413": 2})
