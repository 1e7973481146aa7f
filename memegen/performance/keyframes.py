"""A track as a recipe: as few keyframes as keep it within an error."""

from __future__ import annotations

import numpy as np
import yaml

from memegen import aus
from memegen.arrays import Array, Integers
from memegen.tracks import Track

TOLERANCE = 0.4  # of 5: how far a recipe may be from the track it came from, by default
QUIET = 0.1  # of 5: channels that never say more are left out


def simplify(values: Array, tolerance: float) -> Integers:
    """Rows of (T, C) values between which straight lines stay within `tolerance` of all others.

    Douglas and Peucker 1973: the worst row becomes a keyframe until none is too far off.
    """
    kept = {0, len(values) - 1}
    open_spans = [(0, len(values) - 1)]
    while open_spans:
        start, end = open_spans.pop()
        if end - start < 2:
            continue
        weight = (np.arange(start, end + 1) - start)[:, None] / (end - start)
        straight = values[start] + weight * (values[end] - values[start])
        error = np.abs(values[start : end + 1] - straight).max(1)
        worst = start + int(error.argmax())
        if error.max() > tolerance:
            kept.add(worst)
            open_spans += [(start, worst), (worst, end)]
    return np.array(sorted(kept))


def recipe_text(track: Track, tolerance: float = TOLERANCE) -> tuple[str, float]:
    """The YAML of a recipe that plays like a track, and its largest error (of 5).

    What the track adds to the photo's own expression becomes offsets; what it sets, expressions.
    """
    relative = bool((track.keep > 0.5).all())
    asked = track.add * aus.MAX_INTENSITY
    values = np.clip(asked, -aus.MAX_INTENSITY, aus.MAX_INTENSITY)  # what recipes can say
    heard = np.flatnonzero(np.abs(values).max(0) > QUIET)
    rows = simplify(values[:, heard], tolerance) if len(heard) else np.array([0])
    frames = []
    for row in rows.tolist():
        expression = {aus.CHANNELS[c]: round(float(values[row, c]), 2) for c in heard}
        frames.append({"at": round(row / track.fps, 3), "ease": "linear", "expression": expression})
    recipe = {
        "name": track.name,
        "description": f"saved from a {track.kind}",
        "fps": round(track.fps, 5),
        "loop": "loop" if track.loops else "once",
        "relative": relative,
        "keyframes": frames,
    }
    at = np.arange(len(values))
    played = np.stack([np.interp(at, rows, values[rows, c]) for c in range(values.shape[1])], 1)
    error = float(np.abs(played - asked)[:, heard].max()) if len(heard) else 0.0
    return yaml.safe_dump(recipe, sort_keys=False, default_flow_style=None, width=100), error
