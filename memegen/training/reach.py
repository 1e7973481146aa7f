"""Gains of the anatomy: `memegen train DATA --model reach`.

Faces of the training split are asked for every action unit and looked at again by the perception
network; where less is seen than was asked for, that channel is given a gain. Two rounds, because a
gain changes what is seen. The looks of a face set the limit: no channel moves more than
`MAX_GAIN` times as far as people's own faces do on average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from memegen import aus
from memegen.evaluation import reach
from memegen.geometry.anatomy import load_anatomy
from memegen.training import anatomy as calibration

MAX_GAIN = 1.25  # beyond, angry and wide mouths leave what faces can do (looked at)
ROUNDS = 2
FIXED = ("head", "gaze")  # angles are what they are


def train(data: Path, out: Path, faces: int, log: Callable[[str], None] = print) -> Path:
    """Measure on `faces` training crops, write `out/anatomy.safetensors` with the gains.

    Begins with the anatomy that is in `out`, else with the shipped one.
    """
    path = out / "anatomy.safetensors"
    anatomy = load_anatomy(str(path) if path.exists() else "anatomy")
    anatomy = replace(anatomy, gains=np.ones_like(anatomy.gains))
    for round_ in range(ROUNDS):
        report = reach.evaluate(data, "mesh", faces, anatomy=anatomy, held_out=False)
        gains = anatomy.gains.copy()
        for au in aus.TABLE:
            if au.group in FIXED or au.name not in report:
                continue
            slope = max(report[au.name]["slope"], 0.05)
            rows = [aus.INDEX[c] for c in au.channels]
            gains[rows] = np.clip(gains[rows] / slope, 1.0, MAX_GAIN)
        anatomy = replace(anatomy, gains=gains)
        shown = "  ".join(f"{au.name} {gains[aus.INDEX[au.channels[0]]]:.2f}" for au in aus.TABLE)
        log(f"round {round_ + 1}: {shown}")
    out.mkdir(parents=True, exist_ok=True)
    calibration.save(path, anatomy)
    return path
