"""Drawn faces: landmarks, expressions, and scenes to render."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from memegen import aus
from memegen.generators import Scene
from memegen.geometry.affine import PlaneAffines
from memegen.geometry.anatomy import Anatomy
from memegen.geometry.motion import FaceMotion
from memegen.geometry.shape import Pose
from memegen.geometry.topology import LOWER_LIP_EDGE, UPPER_LIP_EDGE
from support.paths import SAMPLE

EYES = (-0.5, 0.5)  # x of the irises' centres in canonical units: widths between the eyes
IRIS = 0.09  # radius of an iris in the same units
SCALE = 0.27  # of the distance of the eyes in an aligned crop, in widths of the crop


def vector(expression: Mapping[str, float] | None = None, **intensities: float) -> np.ndarray:
    """(K,) channels 0..1 of an expression given as AU12=4; channels not named are 0."""
    units = np.zeros(len(aus.CHANNELS), np.float32)
    for channel, value in aus.by_channel({**(expression or {}), **intensities}).items():
        units[aus.INDEX[channel]] = value / aus.MAX_INTENSITY
    return units


def canonical_landmarks(anatomy: Anatomy) -> np.ndarray:
    """(478, 3) landmarks of the canonical face, mouth closed, looking ahead, in crop units."""
    mesh = anatomy.canonical.copy()
    iris = []
    for x in EYES:
        centre = np.array([x, 0.0, 0.05], np.float32)
        rim = np.array([[IRIS, 0, 0], [0, IRIS, 0], [-IRIS, 0, 0], [0, -IRIS, 0]], np.float32)
        iris += [centre[None], centre + rim]
    offset = np.array([0.5, -0.4, 0], np.float32)
    pose = Pose(np.eye(3, dtype=np.float32), np.float32(SCALE), offset)
    return pose.to_crop(np.concatenate([mesh, *iris])).astype(np.float32)


def with_lips_shut(face: np.ndarray) -> np.ndarray:
    """The landmarks with the lips' edges on each other."""
    shut, upper, lower = face.copy(), list(UPPER_LIP_EDGE), list(LOWER_LIP_EDGE)
    shut[upper] = shut[lower] = (face[upper] + face[lower]) / 2
    return shut


def scene_of(face: np.ndarray, anatomy: Anatomy, side: int = 128) -> Scene:
    """A neutral face in squares of random colours."""
    picture = np.random.default_rng(1).integers(0, 255, (side // 8, side // 8, 3), np.uint8)
    picture = picture.repeat(8, 0).repeat(8, 1)
    motion = FaceMotion.of(face, np.zeros(len(aus.CHANNELS), np.float32), anatomy)
    return Scene(picture, np.array([[side, 0, 0], [0, side, 0]], np.float32), motion)


def sample_face() -> Image.Image:
    """The sample photo, cut to 280 x 280 pixels about its face."""
    with Image.open(SAMPLE) as image:
        return image.convert("RGB").crop((110, 0, 390, 280))


STILL = PlaneAffines.of(np.eye(2)[None], np.zeros((1, 2)))  # a head that does not turn
