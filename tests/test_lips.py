"""Shut lips are one smooth line, whatever the landmarks' noise; parted ones open where asked."""

import numpy as np
import pytest
from support.faces import vector

from memegen import aus
from memegen.geometry.anatomy import Anatomy, compose_channels
from memegen.geometry.lips import LipLine, smoothed
from memegen.geometry.motion import FaceMotion
from memegen.geometry.shape import Pose
from memegen.geometry.topology import LOWER_LIP_EDGE, UPPER_LIP_EDGE

UPPER, LOWER = list(UPPER_LIP_EDGE), list(LOWER_LIP_EDGE)
NONE = np.zeros(len(aus.CHANNELS), np.float32)
CHIN, LOWER_LIP = 152, 17


@pytest.fixture
def noisy(face: np.ndarray) -> np.ndarray:
    """The drawn face with the rings of its shut lips torn by noise of 0.006 IOD."""
    torn = face.copy()
    torn[UPPER] = torn[LOWER] = (face[UPPER] + face[LOWER]) / 2
    noise = np.abs(np.random.default_rng(3).normal(0, 0.006 * 0.27, (2, len(UPPER) - 2)))
    torn[UPPER[1:-1], 1] -= noise[0]
    torn[LOWER[1:-1], 1] += noise[1]
    return torn.astype(np.float32)


def gaps(points: np.ndarray) -> np.ndarray:
    """Opening (IOD) of (T, 478, 3) landmarks, corner to corner."""
    return (points[:, LOWER, 1] - points[:, UPPER, 1]) / 0.27


def test_noise_of_shut_lips_is_sealed(
    face: np.ndarray, noisy: np.ndarray, anatomy: Anatomy
) -> None:
    motion = FaceMotion.of(noisy, NONE, anatomy)
    assert np.abs(gaps(noisy[None])).max() > 0.01
    assert np.abs(gaps(motion.landmarks[None])).max() < 1e-4
    clean = noisy.copy()
    clean[UPPER] = clean[LOWER] = (face[UPPER] + face[LOWER]) / 2
    line = FaceMotion.of(clean, NONE, anatomy).landmarks[UPPER, 1]
    rough = (noisy[UPPER, 1] + noisy[LOWER, 1]) / 2 - clean[UPPER, 1]
    assert (motion.landmarks[UPPER, 1] - line).std() < 0.8 * rough.std()
    assert np.abs(line - clean[UPPER, 1]).max() < 0.01 * 0.27
    others = np.setdiff1d(np.arange(478), UPPER + LOWER)
    assert (motion.landmarks[others] == noisy[others]).all()


@pytest.mark.parametrize(
    "shown",
    [
        {"AU23": 5, "AU17": 4}, {"AU24": 5}, {"AU28": 5}, {"AU12": 4}, {"AU15": 5, "AU17": 5},
        {"AU20": 5}, {"AU14": 5},
    ],
)  # fmt: skip
def test_lips_that_nothing_parts_stay_one_line(
    noisy: np.ndarray, anatomy: Anatomy, shown: dict[str, float]
) -> None:
    motion = FaceMotion.of(noisy, NONE, anatomy)
    moved = motion.move(vector(shown)[None])
    assert np.abs(moved - motion.landmarks).max() > 0.01
    assert np.abs(gaps(moved)).max() < 1e-3


def test_lips_part_by_more_the_more_is_asked(noisy: np.ndarray, anatomy: Anatomy) -> None:
    motion = FaceMotion.of(noisy, NONE, anatomy)
    asked = np.stack([vector(AU25=level) for level in (0, 0.3, 1, 3, 5)])
    widest = gaps(motion.move(asked)).max(1)
    assert (np.diff(widest) > 0).all()
    assert widest[0] < 1e-4 and widest[-1] > 0.2


def test_an_open_mouth_is_left_as_it_is(face: np.ndarray, anatomy: Anatomy) -> None:
    opened = FaceMotion.of(face, NONE, anatomy).move(vector(AU25=4, AU26=3)[None])[0]
    motion = FaceMotion.of(opened, vector(AU25=4, AU26=3), anatomy)
    assert motion.lips.shut == 0
    assert (motion.landmarks == opened).all()


def test_the_own_expression_moves_nothing(noisy: np.ndarray, anatomy: Anatomy) -> None:
    source = vector(AU12=1, AU25=0.4, AU4=2)
    motion = FaceMotion.of(noisy, source, anatomy)
    assert np.allclose(motion.move(source[None])[0], motion.landmarks, atol=1e-5)


def test_parting_counts_from_the_photos_own() -> None:
    line = LipLine(1.0, vector(AU25=1))
    asked = np.stack([vector(AU25=1), vector(AU12=5), vector(AU25=3), vector(AU26=5)])
    assert line.parting(asked) == pytest.approx([0, 0, 1, 1])
    assert LipLine(0.0, NONE).parting(asked) == pytest.approx(1)


def test_smoothing_keeps_lines_and_takes_zigzag() -> None:
    along = np.linspace(0, 1, 11)
    line = np.stack([along, 2 * along, -along], 1)[None]
    assert np.allclose(smoothed(line), line)
    zigzag = (np.arange(11) % 2)[None, :, None] * np.ones(3)
    assert np.ptp(smoothed(zigzag)[0, 3:-3]) < 0.1
    assert (smoothed(line + 1, pinned=True)[:, [0, -1]] == 0).all()


def test_chin_goes_with_the_jaw(motion: FaceMotion) -> None:
    """A lower lip keeps more than half its distance to the chin, however far a mouth opens."""

    def distance(points: np.ndarray) -> np.ndarray:
        return points[..., CHIN, 1] - points[..., LOWER_LIP, 1]

    asked = [vector(AU26=5), vector(AU27=5), vector(AU25=4, AU26=4), vector(AU25=5, AU27=5)]
    asked += [vector(AU6=4, AU12=5, AU10=2, AU25=4, AU26=4)]
    moved = motion.move(np.stack(asked))
    source = distance(motion.landmarks)
    assert (distance(moved) > 0.5 * source).all()
    assert (moved[:2, CHIN, 1] > motion.landmarks[CHIN, 1] + 0.15 * 0.27).all()


def test_jaw_makes_parting_needless_and_parting_takes_the_jaw_along() -> None:
    alone, both = compose_channels(np.stack([vector(AU25=5), vector(AU25=5, AU26=5)]))
    assert alone[aus.INDEX["AU25"]] == 1 and alone[aus.INDEX["AU26"]] == pytest.approx(0.2)
    assert both[aus.INDEX["AU25"]] == pytest.approx(0.5) and both[aus.INDEX["AU26"]] == 1
    assert alone[aus.INDEX["AU10L"]] == pytest.approx(0.25)


def test_lowered_brows_stay_above_the_lids(face: np.ndarray, anatomy: Anatomy) -> None:
    from memegen.geometry.motion import LEAST_BROW, _above_lids
    from memegen.geometry.topology import BROW_LEFT, EYE_LEFT

    motion = FaceMotion.of(face, NONE, anatomy)
    pose: Pose = motion.pose
    asked = np.stack([vector(AU4=level, AU9=level) for level in (0, 2, 5)] + [vector(AU4=5, AU5=5)])
    heights = _above_lids(pose.to_face(motion.move(asked)), BROW_LEFT[5:], EYE_LEFT)
    source = _above_lids(pose.to_face(face)[None], BROW_LEFT[5:], EYE_LEFT)
    assert (heights > 0.8 * LEAST_BROW * source).all()
    assert heights[1].mean() < 0.95 * source.mean()
    frontalis = compose_channels(3 * np.stack([vector(AU1=5, AU2=5), vector(AU2=5)]))
    assert frontalis[0, aus.INDEX["AU1L"]] + frontalis[0, aus.INDEX["AU2L"]] < 3.3
    assert frontalis[1, aus.INDEX["AU1L"]] > 0.3
