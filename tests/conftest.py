"""Fixtures that many tests use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from support.command import Printed, RunCli, run
from support.faces import canonical_landmarks
from support.paths import SAMPLE

from memegen import aus
from memegen.geometry.anatomy import Anatomy, load_anatomy
from memegen.geometry.motion import FaceMotion
from memegen.photo import Photo, read_photo

if TYPE_CHECKING:
    from memegen import Animator

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    # Processes of pytest-xdist share the cores, and so do those that they start: sums are the same
    # to the last bit only where as many threads make them.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = max(1, (cores or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_defaults_of_this_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MEMEGEN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MEMEGEN_CONFIG", "")


@pytest.fixture(scope="session")
def anatomy() -> Anatomy:
    return load_anatomy()


@pytest.fixture(scope="session")
def face(anatomy: Anatomy) -> np.ndarray:
    """(478, 3) landmarks of the canonical face, mouth closed, looking ahead, in crop units."""
    return canonical_landmarks(anatomy)


@pytest.fixture(scope="session")
def motion(face: np.ndarray, anatomy: Anatomy) -> FaceMotion:
    return FaceMotion.of(face, np.zeros(len(aus.CHANNELS), np.float32), anatomy)


@pytest.fixture(scope="session")
def photo() -> Photo:
    """The sample photo."""
    return read_photo(SAMPLE)


@pytest.fixture(scope="session")
def animator() -> Animator:
    """One animator with the shipped weights for the whole session."""
    import memegen

    return memegen.Animator(device="cpu")


@pytest.fixture(scope="session")
def mesh() -> Animator:
    """One animator of the mesh alone for the whole session."""
    import memegen

    return memegen.Animator("mesh", "cpu")


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> RunCli:
    """`run_cli("animate", photo, code=2)` runs the command; returns what it printed."""

    def run_here(*args: str, code: int = 0, notes: bool = False) -> Printed:
        return run(args, code, notes, capsys)

    return run_here
