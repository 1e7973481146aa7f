"""Whether a driven face trembles more than its performer, and whether it is late."""

from __future__ import annotations

import numpy as np

from memegen.arrays import Array, Mask
from memegen.evaluation.judges import Estimates
from memegen.evaluation.landmark_aus import fit
from memegen.evaluation.strength import ALIVE, COLUMN, is_alive
from memegen.geometry.shape import MESH_POINTS, iod

# A frame is still where no landmark mesh moves by more than this between two frames earlier and two
# frames later (0.16 s at 25 frames a second): a blink or a syllable moves it by 0.03 and more.
STILL, APART = 0.02, 2  # IOD on average over the mesh; frames
FEWEST = 5  # still frames from which on trembling is told
LAGS = 5  # frames earlier and later that are tried
LAGGED = (26, 12)  # action units whose signals tell the lag: jaw and smile


def figures(real: Estimates, driven: Estimates) -> dict[str, float]:
    """What can be told of T frames of a performer and of the face it drives.

    jitter: mean second difference of the driven landmarks over the performer's own, on frames in
    which the performer holds still (`still_frames`), whose number is `still frames`. lag: frames
    by which jaw and smile come late, where the performer uses them.
    """
    found = {}
    steady = still_frames(real.landmarks)
    theirs, ours = second_differences(real.landmarks), second_differences(driven.landmarks)
    steady &= np.isfinite(theirs) & np.isfinite(ours)
    if steady.sum() >= FEWEST:
        found = {
            "jitter": float(ours[steady].mean() / theirs[steady].mean()),
            "still frames": float(steady.sum()),
        }
    lags = []
    for number in LAGGED:
        signals = (estimates.intensities[:, COLUMN[number]] for estimates in (real, driven))
        acted, shown = signals
        if is_alive(acted, ALIVE) and is_alive(shown, ALIVE / 2):
            lags.append(lag(acted, shown))
    return found | ({"lag": float(np.mean(lags))} if lags else {})


def still_frames(landmarks: Array) -> Mask:
    """(T, 478, 2) pixels to (T,) whether the face holds still around a frame, in its picture."""
    moved = np.full(len(landmarks), np.inf)
    if len(landmarks) > 2 * APART:
        way = landmarks[2 * APART :, :MESH_POINTS] - landmarks[: -2 * APART, :MESH_POINTS]
        middle = landmarks[APART:-APART]
        moved[APART:-APART] = np.linalg.norm(way, axis=-1).mean(-1) / iod(middle)
    return np.asarray(moved < STILL)  # not where a face is missing: NaN is not less


def second_differences(landmarks: Array) -> Array:
    """(T, 478, 2) pixels to (T,) mean length over the mesh, IOD; NaN at the ends."""
    found = np.full(len(landmarks), np.nan)
    if len(landmarks) > 2:
        points = landmarks[:, :MESH_POINTS]
        second = points[2:] - 2 * points[1:-1] + points[:-2]
        found[1:-1] = np.linalg.norm(second, axis=-1).mean(-1) / iod(landmarks[1:-1])
    return found


def lag(acted: Array, shown: Array) -> float:
    """Frames by which `shown` (T,) follows `acted` (T,): where they correlate most, -5..5.

    Between frames by the parabola through the best and its neighbours; negative is early.
    """
    correlations = []
    for shift in range(-LAGS, LAGS + 1):
        late = shown[max(shift, 0) : len(shown) + min(shift, 0)]
        early = acted[max(-shift, 0) : len(acted) + min(-shift, 0)]
        correlations.append(fit(early, late)[1])
    best = int(np.argmax(correlations))
    if not 0 < best < 2 * LAGS:
        return float(best - LAGS)
    before, here, after = correlations[best - 1 : best + 2]
    bend = before - 2 * here + after
    return float(best - LAGS + (0.5 * (before - after) / bend if bend < 0 else 0.0))
