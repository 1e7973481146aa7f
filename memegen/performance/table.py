"""Performances as tables: CSV with the columns of OpenFace (Baltrusaitis et al. 2018).

Intensities `AU12_r` run from 0 to 5; `pose_Rx`, `pose_Ry`, `pose_Rz` are radians about the camera's
axes (x right, y down, z forward: nodding down, turning to the person's right and tilting to the
person's left are positive); `gaze_angle_x` is positive to the person's left, `gaze_angle_y`
downward. What OpenFace has no column for gets one in the same style: `AU12L_r`, `AU18_r`.

Columns of our own beside these, all or none of a group: `head_x`, `head_y` (the middle of the face
in the picture, pixels right and down), `head_iod` (pixels between the eyes), `head_tilt` (degrees
to the person's left): where the head goes; and `mesh_x_0` .. `mesh_z_477`, the landmarks in units
of their crop, which the face follows. A track with both drives a photo as its clip does.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np

from memegen import aus
from memegen.arrays import Array, Mask
from memegen.errors import MemegenError, UsageError, nearest
from memegen.geometry.shape import LANDMARKS
from memegen.media.rates import MOST_GAP, beat_of
from memegen.performance.smooth import interpolate_gaps
from memegen.performance.track import Performance

DEFAULT_FPS = 25.0
CONFIDENT = 0.5  # OpenFace's confidence from which a row counts as seen
_POSE = ("pose_Rx", "pose_Ry", "pose_Rz")
_GAZE = ("gaze_angle_x", "gaze_angle_y")
_OPENFACE = tuple(f"AU{au.number:02d}_r" for au in aus.OPENFACE)
_ANGLES = {c for pair in aus.OPPOSITES[:5] for c in pair}
_OWN = tuple(c for c in aus.CHANNELS if c not in _ANGLES)  # columns of our own, sides apart
_HEAD = ("head_x", "head_y", "head_iod", "head_tilt")
_MESH = tuple(f"mesh_{axis}_{point}" for point in range(LANDMARKS) for axis in "xyz")
NEAR = 0.75  # of a frame: what was seen so near in time tells whether a face was there
FPS_RANGE = (1.0, 120.0)  # frames a second: lower ones are refused, higher ones brought to it


def columns(units: Array) -> tuple[list[str], Array]:
    """Names of C columns, and what (T, K) channels say in them: (T, C)."""
    names = [*_GAZE, *_POSE, *_OPENFACE, *(f"{channel}_r" for channel in _OWN)]
    yaw, pitch, roll = np.radians(aus.head_degrees(units)).T
    left, raised = np.radians(aus.gaze_degrees(units)).T
    angles = np.stack([left, -raised, -pitch, -yaw, roll], 1)
    source = units[:, [aus.INDEX[c] for c in _OWN]] * aus.MAX_INTENSITY
    return names, np.concatenate([angles, aus.to_openface(units), source], 1)


def to_csv(performance: Performance, whole: bool = False) -> str:
    """The table as text; `whole`: with the landmarks (some 12 kB a frame)."""
    names, values = columns(performance.units)
    if performance.heads is not None:
        heads = performance.heads.astype(float)
        heads[:, 2] = np.exp(heads[:, 2])
        names, values = [*names, *_HEAD], np.concatenate([values, heads], 1)
    if whole and performance.landmarks is not None:
        mesh = performance.landmarks.reshape(len(performance), -1)
        names, values = [*names, *_MESH], np.concatenate([values, mesh], 1)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["frame", "face_id", "timestamp", "confidence", "success", *names])
    for row, sure in enumerate(performance.confidence):
        about = [row + 1, 0, f"{row / performance.fps:.6f}", f"{sure:.2f}", int(sure > 0)]
        writer.writerow(about + [f"{value:.5f}" for value in values[row].tolist()])
    return text.getvalue()


def read_csv(path: Path, face: int = 1) -> Performance:
    """A performance from OpenFace's tables (videos or single images) or our own.

    `face` counts the face_ids from 1. Columns are found by name. Frames at odd times are brought to
    a steady rate. Raises UsageError if there is no such file, MemegenError if a column is missing
    or holds no numbers.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MemegenError(f"{path}: not a readable table ({error})") from None
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text)) if row]
    except csv.Error as error:
        raise MemegenError(f"{path}: not a readable table ({error})") from None
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
    confidence = table.get("confidence", np.ones(len(units)))
    sure = np.where(confidence >= CONFIDENT, confidence, 0) * (table.get("success", 1) != 0)
    if not (sure > 0).any():
        raise MemegenError(f"{path}: no row in which a face was seen")
    decimals = _decimals(rows[0], rows[1:])
    performance = Performance(
        DEFAULT_FPS,
        interpolate_gaps(units, sure > 0),
        sure.astype(np.float32),
        path.stem,
        _landmarks(table, sure > 0),
        _heads(table, sure > 0),
    )
    return _steady(path, performance, table.get("timestamp"), 10.0**-decimals)


def _columns(path: Path, names: list[str], rows: list[list[str]]) -> dict[str, Array]:
    wanted = {"frame", "face", "face_id", "timestamp", "confidence", "success", *_POSE, *_GAZE}
    wanted |= {*_HEAD, *_MESH}
    kept = [i for i, name in enumerate(names) if name in wanted or name.endswith("_r")]
    found = {}
    for index in kept:
        try:
            column = np.array([float(row[index]) for row in rows])
        except (ValueError, IndexError):
            raise MemegenError(
                f"{path}: column {names[index]} holds something else than numbers"
            ) from None
        if not np.isfinite(column).all():
            raise MemegenError(f"{path}: column {names[index]} holds values that are not finite")
        found[names[index]] = column
    return found


def _decimals(names: list[str], rows: list[list[str]]) -> int:
    """With how many decimals times are written, at most 6."""
    if "timestamp" not in names:
        return 0
    column = names.index("timestamp")
    most = max(len(row[column].partition(".")[2]) for row in rows)
    return min(most, 6) if not any("e" in row[column].lower() for row in rows) else 6


def _heads(table: dict[str, Array], seen: Mask) -> Array | None:
    """(T, 4) where heads are, as `track.heads_of` says it, if the table does."""
    if any(name not in table for name in _HEAD) or not (table["head_iod"] > 0).all():
        return None
    heads = np.stack([table[name] for name in _HEAD], 1)
    heads[:, 2] = np.log(heads[:, 2])
    return interpolate_gaps(heads, seen)


def _landmarks(table: dict[str, Array], seen: Mask) -> Array | None:
    if any(name not in table for name in _MESH):
        return None
    mesh = np.stack([table[name] for name in _MESH], 1)
    return interpolate_gaps(mesh, seen).reshape(len(mesh), LANDMARKS, 3)


def _steady(
    path: Path, performance: Performance, times: Array | None, resolution: float
) -> Performance:
    """The performance whose rows were seen at `times`, at a steady rate that it is given.

    In between, rows are interpolated; where none is near in time, no face was seen.
    """
    beat = beat_of(times, resolution) if times is not None else None
    if times is None or beat is None:
        return performance
    fps = float(np.clip(beat.fps, *FPS_RANGE))
    if beat.steady and fps == beat.fps:
        return replace(performance, fps=fps)
    if (np.diff(times) < 0).any():
        raise MemegenError(f"{path}: column timestamp goes back in time")
    apart = float(np.diff(times).max())
    if apart > MOST_GAP or beat.fps < FPS_RANGE[0]:
        raise MemegenError(
            f"{path}: column timestamp: rows are {apart:g} s apart; is it in seconds?"
        )
    count = round(float(times[-1] - times[0]) * fps) + 1
    at = times[0] + np.arange(count) / fps
    after = np.searchsorted(times, at).clip(0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(at - times[before] < times[after] - at, before, after)
    near = np.abs(times[nearest] - at) <= NEAR / fps

    def between(values: Array | None) -> Array | None:
        if values is None:
            return None
        flat = values.reshape(len(values), -1)
        columns = [np.interp(at, times, column) for column in flat.T]
        return np.stack(columns, 1).astype(np.float32).reshape(count, *values.shape[1:])

    units = between(performance.units)
    assert units is not None
    sure = np.where(near, performance.confidence[nearest], 0).astype(np.float32)
    if not (sure > 0).any():
        raise MemegenError(f"{path}: no row in which a face was seen")
    return replace(
        performance,
        fps=fps,
        units=units,
        confidence=sure,
        landmarks=between(performance.landmarks),
        heads=between(performance.heads),
    )


def _units(path: Path, table: dict[str, Array]) -> Array:
    missing = [name for name in (*_OPENFACE, *_POSE, *_GAZE) if name not in table]
    if missing:
        raise MemegenError(
            f"{path}: column {missing[0]} is missing{nearest(missing[0], list(table))}"
        )
    seventeen = np.stack([table[name] for name in _OPENFACE], 1).astype(np.float32)
    units = aus.from_openface(seventeen)
    for channel in _OWN:
        if f"{channel}_r" in table:
            units[:, aus.INDEX[channel]] = table[f"{channel}_r"] / aus.MAX_INTENSITY
    rx, ry, rz = (np.degrees(table[name]) for name in _POSE)
    across, down = (np.degrees(table[name]) for name in _GAZE)
    head, gaze = np.stack([-ry, -rx, rz], 1), np.stack([across, -down], 1)
    aus.set_head_and_gaze(units, head, gaze)
    return np.clip(units, 0, aus.MOST).astype(np.float32)
