"""How the 55 ARKit-named shapes of the anatomical basis combine into action units.

One mapping, used in both directions: to move the mesh by action units, and to read action units
from blendshape scores. Gains are activations of a shape at AU intensity 5 (1.0 in networks).
"""

from __future__ import annotations

import numpy as np

from memegen import aus
from memegen.arrays import Array

# AU number -> shape -> activation; `_*` stands for the side of the channel (both, if central).
AU_TO_SHAPES: dict[int, dict[str, float]] = {
    1: {"browInnerUp_*": 1.0},
    2: {"browOuterUp_*": 1.0},
    4: {"browDown_*": 1.0},
    5: {"eyeWide_*": 1.0},
    6: {"cheekSquint_*": 0.7, "cheekRaiser_*": 0.6, "eyeSquint_*": 0.3},
    7: {"eyeSquint_*": 1.0},
    9: {"noseSneer_*": 1.0},
    10: {"mouthUpperUp_*": 1.0},
    12: {"mouthSmile_*": 1.0},
    14: {"mouthDimple_*": 1.0},
    15: {"mouthFrown_*": 1.0},
    16: {"mouthLowerDown_*": 1.0},
    17: {"mouthShrugLower": 1.0},
    18: {"mouthPucker": 1.0},
    20: {"mouthStretch_*": 1.0},
    22: {"mouthFunnel": 1.0},
    23: {"mouthPress_*": 0.3, "mouthRollLower": 0.5, "mouthRollUpper": 0.5},
    24: {"mouthPress_*": 1.0},
    25: {"mouthLowerDown_*": 0.8, "mouthUpperUp_*": 0.35},
    26: {"jawOpen": 0.6},
    27: {"jawOpen": 1.0},
    28: {"mouthRollLower": 1.0, "mouthRollUpper": 1.0},
    30: {"jaw*": 1.0},
    34: {"cheekPuff_*": 1.0},
    45: {"eyeBlink_*": 1.0},
    46: {"eyeBlink_*": 1.0, "cheekSquint_*": 0.5, "cheekRaiser_*": 0.4, "mouthSmile_*": 0.12},
    63: {"eyeLookUp_*": 1.0},
    64: {"eyeLookDown_*": 1.0},
}


def shapes_of(channel: str) -> dict[str, float]:
    """Shape name -> activation of one channel at full intensity, for example of `AU12L`."""
    side = channel[-1] if channel[-1] in "LR" else ""
    number = int(channel[2:].rstrip("LR"))
    found: dict[str, float] = {}
    for shape, gain in AU_TO_SHAPES.get(number, {}).items():
        if shape == "jaw*":
            found["jawLeft" if side == "L" else "jawRight"] = gain
        elif not shape.endswith("_*"):
            found[shape] = gain
        else:
            for each in side or "LR":
                found[shape.replace("*", each)] = gain
    return found


def mixing_matrix(names: list[str]) -> Array:
    """(K, S) activation of each named shape by each channel at full intensity."""
    matrix = np.zeros((len(aus.CHANNELS), len(names)), np.float32)
    for row, channel in enumerate(aus.CHANNELS):
        for shape, gain in shapes_of(channel).items():
            matrix[row, names.index(shape)] = gain
    return matrix
