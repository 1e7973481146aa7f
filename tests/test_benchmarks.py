"""Benchmarks and the makers of pictures find what they use of the library."""

import importlib.util
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

SCRIPTS = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "docs").glob("*.py")])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(path.parent))
    known = set(sys.modules)
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    assert callable(module.main)
    for name in set(sys.modules) - known:  # `speed` of benchmarks is nobody else's
        if getattr(sys.modules[name], "__file__", "") and str(path.parent) in str(
            sys.modules[name].__file__
        ):
            monkeypatch.delitem(sys.modules, name)
