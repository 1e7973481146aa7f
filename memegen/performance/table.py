"""Performances as tables: CSV with the columns of OpenFace (Baltrusaitis et al. 2018).

Intensities `AU12_r` run from 0 to 5; `pose_Rx`, `pose_Ry`, `pose_Rz` are radians about the camera's
axes (x right, y down, z forward: nodding down, turning to the person's right and tilting to the
person's left are positive); `gaze_angle_x` is positive to the person's left, `gaze_angle_y`
downward. What OpenFace has no column for gets one in the same style: `AU12L_r`, `AU18_r`.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from memegen import aus
from memegen.arrays import Array
from memegen.errors import MemegenError, UsageError, nearest
from memegen.performance.follow import Performance

DEFAULT_FPS = 25.0
CONFIDENT = 0.5  # OpenFace's confidence from which a row counts as seen
_POSE = ("pose_Rx", "pose_Ry", "pose_Rz")
_GAZE = ("gaze_angle_x", "gaze_angle_y")
_OPENFACE = tuple(f"AU{au.number:02d}_r" for au in aus.OPENFACE)
_ANGLES = {c for pair in aus.OPPOSITES[:5] for c in pair}
_OWN = tuple(c for c in aus.CHANNELS if c not in _ANGLES)  # columns of our own, sides apart


def columns(units: Array) -> tuple[list[str], Array]:
    """Names of C columns, and what (T, K) channels say in them: (T, C)."""
    names = [*_GAZE, *_POSE, *_OPENFACE, *(f"{channel}_r" for channel in _OWN)]
    turn, up, tilt = np.radians(aus.head_degrees(units)).T
    left, raised = np.radians(aus.gaze_degrees(units)).T
    angles = np.stack([left, -raised, -up, -turn, tilt], 1)
    own = units[:, [aus.INDEX[c] for c in _OWN]] * aus.MAX_INTENSITY
    return names, np.concatenate([angles, aus.to_openface(units), own], 1)


def to_csv(performance: Performance) -> str:
    """The whole table as text."""
    names, values = columns(performance.units)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["frame", "face_id", "timestamp", "confidence", "success", *names])
    for row, sure in enumerate(performance.confidence):
        about = [row + 1, 0, f"{row / performance.fps:.3f}", f"{sure:.2f}", int(sure > 0)]
        writer.writerow(about + [f"{value:.4f}" for value in values[row]])
    return text.getvalue()


def read_csv(path: Path, face: int = 1) -> Performance:
    """A performance from OpenFace's tables (videos or single images) or our own.

    `face` counts the face_ids from 1. Columns are found by name. Raises UsageError if there is no
    such file, MemegenError if a column is missing or holds no numbers.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MemegenError(f"{path}: not a readable table ({error})") from None
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text)) if row]
    if len(rows) < 2:
        raise MemegenError(f"{path}: the table has no rows")
    table = _columns(path, rows[0], rows[1:])
    for name in ("face_id", "face"):
        if name in table:
            ids = np.unique(table[name])
            if face > len(ids):
                raise MemegenError(f"{path}: there is no face {face}, only {len(ids)}")
            chosen = table[name] == ids[face - 1]
            table = {column: values[chosen] for column, values in table.items()}
            break
    units = _units(path, table)
    confidence = table.get("confidence", np.ones(len(units), np.float32))
    sure = np.where(confidence >= CONFIDENT, confidence, 0) * table.get("success", 1)
    if not (sure > 0).any():
        raise MemegenError(f"{path}: no row in which a face was seen")
    from memegen.performance.smooth import bridge

    return Performance(_rate(table), bridge(units, sure > 0), sure.astype(np.float32), path.stem)


def _columns(path: Path, names: list[str], rows: list[list[str]]) -> dict[str, Array]:
    wanted = {"frame", "face", "face_id", "timestamp", "confidence", "success", *_POSE, *_GAZE}
    kept = [i for i, name in enumerate(names) if name in wanted or name.endswith("_r")]
    found = {}
    for index in kept:
        try:
            column = np.array([float(row[index]) for row in rows], np.float32)
        except (ValueError, IndexError):
            raise MemegenError(
                f"{path}: column {names[index]} holds something else than numbers"
            ) from None
        if not np.isfinite(column).all():
            raise MemegenError(f"{path}: column {names[index]} holds values that are not finite")
        found[names[index]] = column
    return found


def _units(path: Path, table: dict[str, Array]) -> Array:
    missing = [name for name in (*_OPENFACE, *_POSE, *_GAZE) if name not in table]
    if missing:
        raise MemegenError(
            f"{path}: column {missing[0]} is missing{nearest(missing[0], list(table))}"
        )
    units = aus.from_openface(np.stack([table[name] for name in _OPENFACE], 1))
    for channel in _OWN:
        if f"{channel}_r" in table:
            units[:, aus.INDEX[channel]] = table[f"{channel}_r"] / aus.MAX_INTENSITY
    rx, ry, rz = (np.degrees(table[name]) for name in _POSE)
    across, down = (np.degrees(table[name]) for name in _GAZE)
    head, gaze = np.stack([-ry, -rx, rz], 1), np.stack([across, -down], 1)
    aus.set_head_and_gaze(units, head, gaze)
    return np.clip(units, 0, aus.MOST)


def _rate(table: dict[str, Array]) -> float:
    times = table.get("timestamp")
    if times is None or len(times) < 2:
        return DEFAULT_FPS
    step = float(np.median(np.diff(times)))
    return 1 / step if step > 1e-4 else DEFAULT_FPS
