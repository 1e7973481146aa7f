"""The head in the picture."""

import numpy as np
import pytest

from memegen.curves import soft_limit
from memegen.geometry.head import (
    GONE,
    MOST_SHIFT,
    SHIFT,
    UPWARD,
    limit_head_motion,
    warp_head,
)
from memegen.tracks import HeadTrajectory, HeadTransform

IOD, MIDDLE = 30.0, np.array([150.0, 140.0], np.float32)


def picture() -> np.ndarray:
    """Smooth, so that what is sampled between pixels can be compared."""
    y, x = np.mgrid[:300, :320].astype(np.float32)
    waves = [np.sin(x / 11 + k) * np.cos(y / 13 - k) for k in range(3)]
    return (np.stack(waves, -1) * 100 + 128).astype(np.uint8)


def place(right: float = 0, down: float = 0, scale: float = 0, roll: float = 0) -> HeadTransform:
    return HeadTransform(np.array([right, down], np.float32), scale, roll)


def test_the_face_shifts_as_asked_and_the_far_stays() -> None:
    before, after = picture(), picture()
    box = warp_head(after, MIDDLE, IOD, place(right=0.4, down=-0.2))
    assert box is not None
    face = (slice(114, 166), slice(124, 176))  # within 0.9 IOD
    moved = after[108:160, 136:188]  # 12 px to the right, 6 up
    assert np.abs(moved.astype(int) - before[face]).max() <= 1
    y, x = np.mgrid[:300, :320] + 0.5
    far = np.hypot(x - MIDDLE[0] - 12, y - MIDDLE[1] + 6) > IOD * GONE / UPWARD
    assert far.mean() > 0.05 and (after[far] == before[far]).all()


def test_zoom_and_tilt_turn_about_the_middle() -> None:
    before, after = picture(), picture()
    warp_head(after, MIDDLE, IOD, place(scale=0.1, roll=10))
    angle, scale = np.radians(10), np.exp(0.1)
    for away in ([20.0, 0.0], [0.0, -25.0], [-15.0, 10.0]):
        x, y = np.array(away)
        there = scale * np.array(
            [np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y]
        )
        source, target = MIDDLE + away - 0.5, MIDDLE + there - 0.5
        old = before[round(source[1]), round(source[0])].astype(int)
        new = after[round(target[1]), round(target[0])].astype(int)
        assert np.abs(new - old).max() < 14  # less than a pixel of the steepest wave


def test_nothing_asked_changes_nothing() -> None:
    after = picture()
    assert warp_head(after, MIDDLE, IOD, place()) is None
    assert (after == picture()).all()


def test_no_place_folds_the_picture() -> None:
    """Positions stay in order along every row and column, at the limits too."""
    y, x = np.mgrid[:300, :320].astype(np.float32)
    ramp = np.stack([x * 0.7, y * 0.8, x * 0], -1).astype(np.uint8)
    warp_head(ramp, MIDDLE, IOD, place(right=5, scale=1, roll=0))
    assert (np.diff(ramp[..., 0].astype(int), axis=1) >= -2).all()


def test_limits_are_soft() -> None:
    values = np.array([SHIFT, 2 * SHIFT, -9.0], np.float32)
    found = soft_limit(values, SHIFT, MOST_SHIFT)
    assert found[0] == values[0]
    assert SHIFT < found[1] < MOST_SHIFT
    assert found[2] == pytest.approx(-MOST_SHIFT, abs=1e-3)
    kept = limit_head_motion(place(right=0.3, down=0.3, scale=0.1, roll=-9))
    assert kept.shift == pytest.approx([0.3, 0.3]) and (kept.scale, kept.roll) == pytest.approx(
        (0.1, -9)
    )


def test_paths_are_cut_and_mixed() -> None:
    path = HeadTrajectory(
        np.array([[0, 0], [1, 2]], np.float32), np.array([0, 0.2]), np.array([0, 8.0])
    )
    mixed = path.between(np.array([0]), np.array([1]), np.array([0.5]))
    assert mixed.place(0).roll == pytest.approx(4) and mixed.shift[0] == pytest.approx([0.5, 1])
    assert path.rows(np.array([1, 0])).scale == pytest.approx([0.2, 0])
    assert path.place(1, 0.5).scale == pytest.approx(0.1)
