"""What tests share: the sample photo, a drawn face, tiny random networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from memegen import aus
from memegen.cli import app as cli
from memegen.geometry.anatomy import Anatomy, load_anatomy
from memegen.geometry.motion import FaceMotion
from memegen.geometry.shape import Pose

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "examples" / "astronaut.png"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def anatomy() -> Anatomy:
    return load_anatomy()


@pytest.fixture(scope="session")
def face(anatomy: Anatomy) -> np.ndarray:
    """(478, 3) landmarks of the canonical face, mouth closed, looking ahead, in crop units."""
    mesh = anatomy.canonical.copy()
    iris = []
    for x in (-0.5, 0.5):
        centre = np.array([x, 0.0, 0.05], np.float32)
        rim = np.array([[0.09, 0, 0], [0, 0.09, 0], [-0.09, 0, 0], [0, -0.09, 0]], np.float32)
        iris += [centre[None], centre + rim]
    pose = Pose(np.eye(3, dtype=np.float32), np.float32(0.27), np.array([0.5, -0.4, 0], np.float32))
    return pose.to_crop(np.concatenate([mesh, *iris])).astype(np.float32)


@pytest.fixture(scope="session")
def motion(face: np.ndarray, anatomy: Anatomy) -> FaceMotion:
    return FaceMotion.of(face, np.zeros(len(aus.CHANNELS), np.float32), anatomy)


@pytest.fixture(scope="session")
def photo():  # type: ignore[no-untyped-def]
    """The sample photo."""
    from memegen.photo import read_photo

    return read_photo(SAMPLE)


@pytest.fixture(scope="session")
def animator():  # type: ignore[no-untyped-def]
    """One animator with the shipped weights for the whole session."""
    import memegen

    return memegen.Animator(device="cpu")


def vector(**intensities: float) -> np.ndarray:
    """Channel vector of an expression given as AU12=4."""
    return aus.to_vector(intensities)


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def run(*args: str) -> int:
        monkeypatch.setattr("sys.argv", ["memegen", *args])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return int(left.value.code or 0)

    return run
