"""How light falls into the mouth of a face: told by its skin and the whites of its eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array, Mask
from memegen.generators.mouth_model import MouthFit
from memegen.geometry.box import Box
from memegen.geometry.outline import fill
from memegen.geometry.shape import LEFT_IRIS, RIGHT_IRIS
from memegen.geometry.topology import EYE_LEFT, EYE_RIGHT, FACE_OVAL, LIPS_OUTER

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601
FEWEST = 8  # pixels of eye whites that tell anything
GREY, COLOURED = 4.0, 16.0  # mean spread of skin's channels (0..255): no colour, full colour
BRIGHTEST = 1.15  # white = 1: of a tooth before lips shade it
_DARKEST = 4.0 / 255  # below, logs tell only noise
_STEEPEST = 0.55  # sine of the most the key light comes from one side
_SIDED = 0.9  # that sine for one unit of log-ratio between the cheeks
_ABOVE = 0.42  # sine of the key light's height: lamps and skies are above


@dataclass(frozen=True)
class MouthLight:
    """Colours are 0..255."""

    tooth: Array  # (3,) colour of a tooth in full light, before lips shade it: may pass 255
    key: Array  # (3,) unit vector to the key light: image right, up, to the camera
    colour: float  # 0 a grey photo .. 1 a coloured one


@dataclass(frozen=True)
class LightSamples:
    """Pixels of a face, 0..255."""

    whites: Array  # (N, 3) of the eyes
    skin: Array  # (M, 3)
    sides: tuple[float, float]  # mean luma of the left and right half of the skin, in the image


def light_samples(picture: Array, points: Array) -> LightSamples:
    """What landmarks (478, 2) in pixels say are eye whites and skin in picture (H, W, 3)."""
    height, width = picture.shape[:2]
    box = Box.around(points[list(FACE_OVAL)], 0, height, width)
    if min(box.shape) < 2:
        return LightSamples(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), (0.0, 0.0))
    face = picture[box.slices]
    skin = fill(points[list(FACE_OVAL)], box) > 0.9
    whites = np.zeros(face.shape[:2], bool)
    y, x = np.mgrid[: face.shape[0], : face.shape[1]] + 0.5
    for ring, iris in ((EYE_RIGHT, RIGHT_IRIS), (EYE_LEFT, LEFT_IRIS)):
        opening = fill(points[list(ring)], box) > 0.9
        centre = points[iris.start] - (box.left, box.top)
        reach = np.linalg.norm(points[list(ring)] - points[iris.start], axis=1).max()
        whites |= opening & (np.hypot(x - centre[0], y - centre[1]) > 0.5 * reach)
        skin &= ~opening
    skin &= ~(fill(points[list(LIPS_OUTER)], box) > 0.1)
    return LightSamples(face[whites], face[skin][::7], _sides(face, skin, points[1] - box.left))


def _sides(face: Array, skin: Mask, nose: Array) -> tuple[float, float]:
    column = int(np.clip(nose[0], 1, face.shape[1] - 1))
    halves = (slice(None, column), slice(column, None))
    found = [face[:, half][skin[:, half]] @ LUMA for half in halves]
    left, right = (float(half.mean()) if len(half) else 0.0 for half in found)
    return left, right


def features(samples: LightSamples) -> Array:
    """(7,) or, where no eye white is seen, (4,): what `tone` and `tone_skin` are multiplied with.

    One; log luma, log red and blue over green of bright skin (90th percentile); the same of whites
    (85th percentile). Colours are 0..1.
    """
    skin = np.percentile(samples.skin, 90, axis=0) if len(samples.skin) else np.full(3, 150.0)
    found = [np.ones(1), _log_tone(skin)]
    if len(samples.whites) >= FEWEST:
        found.append(_log_tone(np.percentile(samples.whites, 85, axis=0)))
    return np.concatenate(found).astype(np.float32)


def _log_tone(colour: Array) -> Array:
    """(3,) colour 0..255 to log luma, log red / green, log blue / green."""
    shown = np.maximum(np.asarray(colour, np.float64) / 255, _DARKEST)
    return np.log([float(shown @ LUMA), shown[0] / shown[1], shown[2] / shown[1]])


def log_tone(colours: Array) -> Array:
    """(N, 3) colours 0..255 to (N, 3) log luma (of 0..1), log red / green, log blue / green."""
    return np.array([_log_tone(colour) for colour in colours], np.float32).reshape(-1, 3)


def from_log_tone(tone: Array) -> Array:
    """(3,) log luma, log red / green, log blue / green to the colour (3,) 0..255."""
    relative = np.exp([tone[1], 0.0, tone[2]])
    return np.asarray(255 * np.exp(tone[0]) * relative / (relative @ LUMA), np.float32)


def colourfulness(skin: Array) -> float:
    """0 for the skin (M, 3) of a grey photo .. 1 for one in colour."""
    spread = float(np.mean(np.ptp(skin, axis=1))) if len(skin) else COLOURED
    return float(np.clip((spread - GREY) / (COLOURED - GREY), 0, 1))


def light_of(samples: LightSamples, fit: MouthFit) -> MouthLight:
    """The light in the mouth of a face that shows such samples."""
    seen = features(samples)
    tone = seen @ (fit.tone if len(seen) == len(fit.tone) else fit.tone_skin)
    colour = colourfulness(samples.skin)
    tone[1:] *= colour
    # No tooth is darker than half of the face's bright skin, nor, shaded, brighter than white.
    tone[0] = np.clip(tone[0], seen[1] + np.log(0.5), np.log(BRIGHTEST))
    left, right = samples.sides
    lean = np.log((right + 8) / (left + 8))  # 8 of 255: in the dark a side tells little
    x = float(np.clip(_SIDED * lean, -_STEEPEST, _STEEPEST))
    key = np.array([x, _ABOVE, np.sqrt(1 - x * x - _ABOVE**2)], np.float32)
    return MouthLight(np.maximum(from_log_tone(tone), 6), key, colour)
