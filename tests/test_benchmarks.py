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
