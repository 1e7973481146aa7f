"""Tracking one face through frames: detect seldom, then keep to its landmarks.

A crop that is laid anew on every frame trembles, and so does everything read from it. Here the crop
stays where it is until the face has really left its middle; a face that holds still is then read
from the same pixels again and again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch

from memegen import aus
from memegen.arrays import Array, Integers, Mask, Picture
from memegen.errors import NoFaceError, UsageError
from memegen.faces.align import Alignment, align, five_points
from memegen.faces.detect import Detector
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.head import FACE_MIDDLE
from memegen.geometry.shape import angles_of, fit_pose
from memegen.perception.analyze import FaceAnalyzer, read_crop
from memegen.perception.find import FaceFinder
from memegen.prefetch import on_all_cores

TOGETHER = 7  # frames that are read with one crop; with the mirrored look, 8 for two cores or four
SEEK_EVERY = 5  # frames between searches while there is no face
CONFIDENT = 0.5  # what the detector's last network must say of a tracked face
DRIFT_SHIFT, DRIFT_SCALE, DRIFT_TURN = 0.02, 0.04, 2.5  # crops, share, degrees: lay the crop anew
LOST_SHIFT, LOST_SCALE, LOST_TURN = 0.14, 0.3, 20.0  # what no face does between two frames
CUT = 0.16  # mean difference of small pictures (of 1) that only a cut makes
HALF_A_TICK = 5e-4  # seconds: frames that begin so little before a time begin at it


@dataclass(frozen=True)
class TrackedFace:
    """A face in one frame, in pixels of `np.rot90(frame, turns)`."""

    alignment: Alignment  # the crop that would lie on this face; others serve several frames
    landmarks: Array  # (478, 3) in units of the crop that served this frame
    units: Array  # (K,) channels; head and gaze in camera axes, roll included
    confidence: float  # 0..1
    points: Array  # (478, 3) landmarks in pixels of the frame, depth in the same scale
    turns: int  # quarter turns, anticlockwise, after which the face stands upright


@dataclass(frozen=True)
class Performance:
    """One face over T frames; rows that were not seen are interpolated."""

    fps: float
    units: Array  # (T, K) channels 0..1; of head and gaze as far as they turn, see aus.MOST
    confidence: Array  # (T,) 0 where the face was not seen
    name: str = "performance"
    landmarks: Array | None = None  # (T, 478, 3) in units of the crop, upright and in place
    heads: Array | None = None  # (T, 4) where the head is in the picture: see `heads_of`

    @property
    def seen(self) -> Mask:
        """(T,) frames in which the face was seen."""
        return self.confidence > 0

    def __len__(self) -> int:
        return len(self.units)

    def between(self, start: float, end: float | None) -> Performance:
        """The frames that begin from `start` to before `end` seconds. Raises UsageError if none."""
        if start >= len(self) / self.fps:
            length = len(self) / self.fps
            raise UsageError(f"{self.name}: --start {start:g} is after its end ({length:.2f} s)")
        at = np.arange(len(self)) / self.fps
        kept = at > start - HALF_A_TICK
        if end is not None:
            kept &= at < end - HALF_A_TICK
        if not kept.any():
            raise UsageError(f"{self.name}: no frame begins between --start and --end")

        def of(values: Array | None) -> Array | None:
            return None if values is None else values[kept]

        return replace(
            self,
            units=self.units[kept],
            confidence=self.confidence[kept],
            landmarks=of(self.landmarks),
            heads=of(self.heads),
        )


class FaceTracker:
    """Tracks the chosen face: `which` counts from 1, largest first, where it is first seen.

    All frames are turned upright as the first in which it is found.
    """

    def __init__(self, detector: Detector, analyzer: FaceAnalyzer, which: int = 1) -> None:
        self._detector, self._perceiver, self._which = detector, analyzer.for_frames, which
        self._finder = FaceFinder(detector, analyzer)
        self._turns: int | None = None  # not known before a face was found
        self._at: Alignment | None = None
        # What the last frame's straight look lacks of the mean with the mirrored one, each value.
        self._lacks: list[Array] = []
        self._size = analyzer.network.config.size

    def track(self, frames: Iterable[Picture]) -> Iterator[TrackedFace | None]:
        """What is seen in each frame, None where there is no face."""
        last: Array | None = None
        stream = iter(frames)
        while pending := list(islice(stream, TOGETHER)):
            thumbs = [_thumb(frame) for frame in pending]
            cuts = [
                before is not None and float(np.abs(now - before).mean()) > CUT
                for before, now in zip([last, *thumbs[:-1]], thumbs, strict=True)
            ]
            last = thumbs[-1]
            while pending:
                if cuts[0]:
                    self._at = None
                length = next((i for i, cut in enumerate(cuts) if cut and i > 0), len(pending))
                done = self._some(pending[:length])
                yield from done
                pending, cuts = pending[len(done) :], cuts[len(done) :]

    def _some(self, frames: list[Picture]) -> list[TrackedFace | None]:
        """As many frames as one crop serves, at least one."""
        if self._at is None:
            self._lacks = []
            self._at = self._search(frames[0])
            if self._at is None:
                return [None] * min(SEEK_EVERY, len(frames))
        found = self._analyze_batch(
            [np.rot90(frame, self._turns or 0) for frame in frames], self._at
        )
        kept: list[TrackedFace | None] = []
        for seen in found:
            if seen.confidence < CONFIDENT or _moved(seen.alignment, self._at, _LOST):
                break
            kept.append(seen)
        if len(kept) < len(frames):
            self._lacks = []  # were told by a frame that is not this face's
        if not kept:
            self._at = None
            return [None]
        latest = kept[-1]
        if latest is not None and _moved(latest.alignment, self._at, _DRIFT):
            self._at = latest.alignment
        return kept

    def _search(self, frame: Picture) -> Alignment | None:
        """The crop that lies on the chosen face, in pixels of the frame turned upright."""
        upright = np.ascontiguousarray(np.rot90(frame, self._turns or 0))
        found = self._finder.find(upright, every=self._which > 1)
        if len(found) < self._which:
            return None
        at = found[self._which - 1].analysis.alignment
        if self._turns is None:
            self._turns = at.turns
            at = at.turned(self._turns, frame.shape[1], frame.shape[0])
        return at

    def _analyze_batch(self, frames: list[Picture], at: Alignment) -> list[TrackedFace]:
        points, units, angles, sure = self._seen_in(frames, at)
        found = []
        for landmarks, channels, head, confidence in zip(points, units, angles, sure, strict=True):
            channels = np.clip(channels, 0, 1)
            head = head + np.array([0, 0, at.roll], np.float32)
            aus.set_head_and_gaze(channels, head, aus.gaze_degrees(channels))
            place = align(at.to_photo(five_points(landmarks)))
            flat = at.to_photo(landmarks[:, :2])
            points = np.column_stack([flat, landmarks[:, 2] * at.width]).astype(np.float32)
            turns = self._turns or 0
            found.append(TrackedFace(place, landmarks, channels, float(confidence), points, turns))
        return found

    def _seen_in(self, frames: list[Picture], at: Alignment) -> tuple[Array, ...]:
        """What networks see in a crop of each of T frames, on all cores.

        Landmarks (T, 478, 3), channels (T, K), angles (T, 3), how sure a face is there (T,).

        What the network says of a face and of its mirror image, turned back, differs by little,
        and by nearly the same from frame to frame: a mirrored look at the last frame of each
        batch, and at the very first, makes all of them as steady and as true as one at each does.
        """
        count = len(frames)
        ends = sorted({count - 1} if self._lacks else {0, count - 1})
        looks = np.array([*range(count), *ends])

        def some(rows: Integers) -> tuple[Array, ...]:
            crops = torch.cat([read_crop(frames[k], at, self._size) for k in looks[rows]])
            straight = rows < count
            found = self._perceiver.predict_crops(crops, ~straight)
            sure = self._detector.judge(crops[straight])[0] if straight.any() else np.empty(0)
            return *found, sure

        parts = torch.get_num_threads() if self._perceiver.on_cpu else 1
        made = on_all_cores(some, np.array_split(np.arange(len(looks)), min(parts, len(looks))))
        *said, sure = (np.concatenate(each) for each in zip(*made, strict=True))
        lacks = [(each[count:] - each[ends]) / 2 for each in said]
        if self._lacks:
            ends = [-1, count - 1]
            lacks = [np.stack([a, b[-1]]) for a, b in zip(self._lacks, lacks, strict=True)]
        self._lacks = [lack[-1] for lack in lacks]
        straight = (each[:count] for each in said)
        pairs = zip(straight, lacks, strict=True)
        return *(with_lacks(each, lack, ends) for each, lack in pairs), sure


def with_lacks(values: Array, lacks: Array, at: list[int]) -> Array:
    """Values (T, ...) and what they lack, which is known at one or two frames only, `at` them."""
    steps = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1)) - at[0]
    share = steps / max(1, at[-1] - at[0])
    return np.asarray(values + lacks[0] + share * (lacks[-1] - lacks[0]), values.dtype)


_DRIFT = (DRIFT_SHIFT, DRIFT_SCALE, DRIFT_TURN)
_LOST = (LOST_SHIFT, LOST_SCALE, LOST_TURN)


def _moved(now: Alignment, before: Alignment, limits: tuple[float, float, float]) -> bool:
    """Whether a crop has shifted, grown or turned beyond limits (crops, share, degrees)."""
    middle = np.array([[0.5, 0.5]], np.float32)
    shift = float(np.abs(before.to_crop(now.to_photo(middle)) - middle).max())
    relative = np.linalg.inv(before.matrix) @ now.matrix
    scale = abs(float(np.log(max(np.sqrt(max(np.linalg.det(relative), 1e-9)), 1e-6))))
    turn = abs(float(np.degrees(np.arctan2(relative[1, 0], relative[0, 0]))))
    return shift > limits[0] or scale > limits[1] or turn > limits[2]


def _thumb(frame: Picture) -> Array:
    """(16, 16) small grey picture in 0..1."""
    height, width = frame.shape[:2]
    rows = (np.arange(64) + 0.5) * height // 64
    columns = (np.arange(64) + 0.5) * width // 64
    grey = frame[rows.astype(int)[:, None], columns.astype(int)[None]].mean(-1) / 255
    return np.asarray(grey.reshape(16, 4, 16, 4).mean((1, 3)), np.float32)


def performance_from(
    found: Iterable[TrackedFace | None], fps: float, name: str, which: int = 1
) -> Performance:
    """Gather what was seen; frames in between are interpolated. Raises NoFaceError if none was.

    `which` face was looked for is only told in that error.
    """
    from memegen.performance.smooth import interpolate_gaps

    rows = list(found)
    if not rows:
        raise NoFaceError(f"{name}: there are no frames")
    if all(row is None for row in rows):
        wanted = f"no face {which}" if which > 1 else "no face found"
        raise NoFaceError(f"{name}: {wanted} in {len(rows)} frames")
    first = next(row for row in rows if row is not None)
    units = np.stack([(row or first).units for row in rows])
    landmarks = np.stack([(row or first).landmarks for row in rows])
    confidence = np.array([row.confidence if row else 0.0 for row in rows], np.float32)
    seen = confidence > 0
    heads = heads_of(np.stack([(row or first).points for row in rows]))
    flat = interpolate_gaps(landmarks.reshape(len(rows), -1), seen).reshape(landmarks.shape)
    return Performance(
        fps, interpolate_gaps(units, seen), confidence, name, flat, interpolate_gaps(heads, seen)
    )


def heads_of(points: Array) -> Array:
    """(T, 478, 3) landmarks in pixels to (T, 4) where heads are in their pictures.

    Columns: the face's middle right and down (pixels), the log of pixels an IOD, and the roll to
    the person's left (degrees).
    """
    anatomy = load_anatomy()
    pose = fit_pose(points, anatomy.canonical, anatomy.rigid_weights)
    middle = pose.to_crop(np.broadcast_to(FACE_MIDDLE, (len(points), 1, 3)))[:, 0, :2]
    roll = angles_of(pose.rotation)[:, 2]
    return np.column_stack([middle, np.log(pose.scale), roll]).astype(np.float32)
