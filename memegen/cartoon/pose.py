"""What a drawn face can do: the one table of its pose, and how action units become one.

The first six numbers are those of Khungurn 2019 (pkhungurn.github.io/talking-head-anime). A pose
says how a character differs from how it was drawn: all zeros leave it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen import aus
from memegen.arrays import Array

MOST_TURN_DEGREES = 15.0  # that a head is turned by at 1 (Khungurn 2019)
MOST_LEAN = 0.6  # of `roll` that is asked for: hair that leaves the crop is made up beyond that
MOST_GAZE_DEGREES = 30.0  # that eyes are turned by at 1


@dataclass(frozen=True)
class PoseNumber:
    """One row of the table. Left and right are the person's."""

    name: str
    low: float
    high: float
    means: str  # what is seen at `high` (and at `low`, where that is below 0)


TABLE: tuple[PoseNumber, ...] = (
    PoseNumber("left_eye", 0, 1, "the left eye is closed"),
    PoseNumber("right_eye", 0, 1, "the right eye is closed"),
    PoseNumber("mouth", 0, 1, "the mouth is open"),
    PoseNumber("pitch", -1, 1, "the head looks up by 15 degrees (down)"),
    PoseNumber("yaw", -1, 1, "the head is turned to the person's left by 15 degrees (right)"),
    PoseNumber("roll", -1, 1, "the head leans to the person's left by 15 degrees (right)"),
    PoseNumber("smile", -1, 1, "the mouth smiles (is sad)"),
    PoseNumber("pucker", 0, 1, "the lips are puckered"),
    PoseNumber("brow_left", -1, 1, "the left brow is raised (lowered)"),
    PoseNumber("brow_right", -1, 1, "the right brow is raised (lowered)"),
    PoseNumber("frown", 0, 1, "the inner ends of the brows go down and together"),
    PoseNumber("gaze_x", -1, 1, "the eyes look to the person's left (right)"),
    PoseNumber("gaze_y", -1, 1, "the eyes look up (down)"),
    PoseNumber("wide", 0, 1, "the eyes are opened wide"),
)
POSE: tuple[str, ...] = tuple(number.name for number in TABLE)
INDEX: dict[str, int] = {name: i for i, name in enumerate(POSE)}
LOW: Array = np.array([number.low for number in TABLE], np.float32)  # (P,)
HIGH: Array = np.array([number.high for number in TABLE], np.float32)  # (P,)
ROTATE: tuple[int, ...] = (INDEX["pitch"], INDEX["yaw"], INDEX["roll"])  # what the rotator changes
MORPH: tuple[int, ...] = tuple(i for i in range(len(POSE)) if i not in ROTATE)

# What every action unit (0..1) adds to a number of the pose. The signs are the meanings of the
# two tables; the sizes say how much of a drawing's range one action unit alone is worth.
_GAINS: dict[str, dict[str, float]] = {
    "left_eye": {"AU45L": 1.0, "AU46L": 1.0, "AU7L": 0.25, "AU6L": 0.2},
    "right_eye": {"AU45R": 1.0, "AU46R": 1.0, "AU7R": 0.25, "AU6R": 0.2},
    "mouth": {
        "AU25": 0.3, "AU26": 0.7, "AU27": 1.0, "AU16L": 0.1, "AU16R": 0.1, "AU22": 0.2,
        "AU10L": 0.08, "AU10R": 0.08,
    },
    "smile": {
        "AU12L": 0.5, "AU12R": 0.5, "AU15L": -0.4, "AU15R": -0.4, "AU17": -0.3, "AU14L": 0.1,
        "AU14R": 0.1,
    },
    "pucker": {"AU18": 1.0, "AU22": 0.6, "AU23": 0.3, "AU24": 0.1},
    "brow_left": {"AU1L": 0.5, "AU2L": 0.6, "AU4L": -0.6},
    "brow_right": {"AU1R": 0.5, "AU2R": 0.6, "AU4R": -0.6},
    # Inner brows alone raised are the opposite of a frown, which the pose has no number for.
    "frown": {"AU4L": 0.5, "AU4R": 0.5, "AU9L": 0.25, "AU9R": 0.25, "AU1L": -0.3, "AU1R": -0.3},
    "wide": {"AU5L": 0.5, "AU5R": 0.5},
}  # fmt: skip


def _matrix() -> Array:
    gains = np.zeros((len(aus.CHANNELS), len(POSE)), np.float32)
    for number, parts in _GAINS.items():
        for channel, gain in parts.items():
            gains[aus.INDEX[channel], INDEX[number]] = gain
    return gains


_FROM_AUS: Array = _matrix()  # (K, P)


def pose_of(targets: Array) -> Array:
    """(..., K) action-unit channels (0..1; head and gaze up to aus.MOST) to (..., P) poses.

    Every number is clipped to its range: heads that turn further than 15 degrees stay there, and
    lean by MOST_LEAN of it.
    """
    channels = np.asarray(targets, np.float32)
    poses = channels @ _FROM_AUS
    yaw, pitch, roll = np.moveaxis(aus.head_degrees(channels) / MOST_TURN_DEGREES, -1, 0)
    roll = MOST_LEAN * np.clip(roll, -1, 1)
    gaze = aus.gaze_degrees(channels) / MOST_GAZE_DEGREES
    for name, values in (("yaw", yaw), ("pitch", pitch), ("roll", roll)):
        poses[..., INDEX[name]] = values
    poses[..., INDEX["gaze_x"]], poses[..., INDEX["gaze_y"]] = gaze[..., 0], gaze[..., 1]
    return np.clip(poses, LOW, HIGH)


def sample_pose(rng: np.random.Generator) -> Array:
    """A random pose (P,): each number is often at rest, often at an end, else anywhere between."""
    uniform = rng.uniform(LOW, HIGH)
    ends = np.where(rng.random(len(POSE)) < 0.5, LOW, HIGH)
    which = rng.random(len(POSE))
    pose = np.where(which < 0.25, 0.0, np.where(which < 0.4, ends, uniform))
    if rng.random() < 0.5:  # both eyes and both brows mostly do the same
        pose[INDEX["right_eye"]] = pose[INDEX["left_eye"]]
    if rng.random() < 0.6:
        pose[INDEX["brow_right"]] = pose[INDEX["brow_left"]]
    return pose.astype(np.float32)
