"""A clip as the source: the expression of a face changed in every frame, all else kept.

Two passes: the first tracks the face and keeps where it was, the second renders. Neither ever
holds more than a few frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from memegen import aus
from memegen.arrays import Array, Mask, Picture
from memegen.compositing import PreparedFace, paste_back
from memegen.curves import smoothstep
from memegen.errors import NoFaceError
from memegen.faces.align import Alignment, align, five_points
from memegen.generators import Scene
from memegen.generators.shared_appearance import SharedAppearance
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.box import Box
from memegen.geometry.head import warp_head
from memegen.geometry.motion import FaceMotion
from memegen.geometry.shape import LEFT_IRIS, RIGHT_IRIS
from memegen.performance.clip import Clip, read_clip
from memegen.performance.smooth import interpolate_gaps, smooth
from memegen.performance.track import FaceTracker, TrackedFace
from memegen.prefetch import on_all_cores
from memegen.tracks import Detail, HeadTrajectory, Track, in_range

LANDMARK_FLOOR = 0.0015  # IOD of noise that landmarks have at least
UNITS_FLOOR = 0.004  # of a channel (of 1), likewise
EASE = 0.32  # seconds over which a change comes in where a face appears, and goes where it is lost
# Degrees of yaw or pitch of a head: up to the first it is changed fully, from the second not
# at all. Landmarks of faces turned farther are guesses.
TURNED = (30.0, 42.0)
HABIT = 1.0  # seconds, standard deviation: what a face shows for so long is its expression
BEST_FRAMES = 6  # that tell what all frames share
BEST_APART = 0.4  # seconds between two of them
_BLINK = 60.0  # degrees of turn that a shut eye counts as, where the best frames are chosen
# Head, gaze and jaw go both ways: what they lack of a change is not in one channel.
_TWO_SIDED = np.isin(
    np.arange(len(aus.CHANNELS)), [aus.INDEX[c] for pair in aus.OPPOSITES for c in pair]
)
STILL = 1e-4  # change of a channel (of 1) below which a frame is passed through


@dataclass(frozen=True)
class Footage:
    """One face over the T frames of a clip, in pixels of its frames turned upright.

    Frames without the face hold values interpolated from those around them.
    """

    points: Array  # (T, 478, 3) landmarks, smoothed; depth in the same scale
    units: Array  # (T, K) its own expression 0..1, smoothed; head roll as in the picture
    strength: Array  # (T,) 0 frames that are passed through .. 1 those that are changed fully
    fps: float
    size: tuple[int, int]  # width and height of the frames
    shared_appearance: SharedAppearance
    turns: int = 0  # quarter turns, anticlockwise, after which the face stands upright

    def __len__(self) -> int:
        return len(self.units)

    @property
    def face_box(self) -> Box:
        """Where the face is in most of the frames in which it is seen, in their pixels."""
        seen = self.strength > 0
        points = self.points[seen if seen.any() else slice(None)][:, :, :2]
        low, high = np.percentile(points.min(1), 10, 0), np.percentile(points.max(1), 90, 0)
        width, height = self.size
        corners = np.stack([low, high])
        for turned in range(self.turns):  # back from one quarter turn to the one before
            across = width if (self.turns - turned) % 2 else height
            corners = np.stack([across - corners[:, 1], corners[:, 0]], 1)
        return Box.around(corners, 0, height, width)

    @cached_property
    def usual_expression(self) -> Array:
        """(T, K) the expression without what passes quickly: speech, blinks."""
        return low_pass(self.units, HABIT * self.fps)

    @property
    def usual(self) -> Array:
        """(K,) the median of the habitual expression over the frames in which it is seen."""
        seen = self.strength > 0
        return np.asarray(np.median(self.usual_expression[seen if seen.any() else slice(None)], 0))

    def placed(self, frame: int) -> tuple[Alignment, Array, Array]:
        """Alignment, landmarks (478, 3) in its crop units and expression (K,) of a frame."""
        return placed(self.points[frame], self.units[frame])


def placed(points: Array, units: Array) -> tuple[Alignment, Array, Array]:
    """The crop that lies on landmarks (478, 3) in pixels, and both in its units.

    The head's roll in units (K,) is the picture's, in those returned it is the crop's.
    """
    alignment = align(five_points(points))
    flat = alignment.to_crop(points[:, :2])
    landmarks = np.concatenate([flat, points[:, 2:] / alignment.width], 1).astype(np.float32)
    return alignment, landmarks, in_crop(units, alignment)


def in_crop(units: Array, alignment: Alignment) -> Array:
    """Channels (K,) whose head roll is the picture's, with that of the crop."""
    roll = np.degrees(np.arctan2(alignment.matrix[1, 0], alignment.matrix[0, 0]))
    found = units.copy()
    head = aus.head_degrees(units) - np.array([0, 0, roll], np.float32)
    aus.set_head_and_gaze(found, head, aus.gaze_degrees(units))
    return found


def low_pass(values: Array, deviation: float) -> Array:
    """(T, C) values averaged over time with a Gaussian of a standard deviation in frames."""
    reach = int(np.ceil(2.5 * deviation))
    total = np.zeros_like(values, np.float64)
    for offset in range(-reach, reach + 1):
        rows = np.clip(np.arange(len(values)) + offset, 0, len(values) - 1)
        total += np.exp(-0.5 * (offset / max(deviation, 1e-6)) ** 2) * values[rows]
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(deviation, 1e-6)) ** 2).sum()
    return (total / weight).astype(np.float32)  # type: ignore[no-any-return]


def strengths(seen: Mask, turned: Array, fps: float) -> Array:
    """(T,) how far frames are changed: 0 where no face is seen or it is turned away, eased.

    seen (T,); turned (T,) degrees from the camera. A clip that begins or ends with a face is
    changed from its first and to its last frame.
    """
    shown = 1 - np.clip((turned - TURNED[0]) / (TURNED[1] - TURNED[0]), 0, 1)
    shown = np.where(seen, shown, 0)
    reach = max(1, round(EASE * fps))
    # The least of the frames around, allowing for a rise of 1 in `reach` frames; then smooth.
    eased = shown.copy()
    for offset in range(1, reach + 1):
        allowed = offset / reach
        eased[offset:] = np.minimum(eased[offset:], shown[:-offset] + allowed)
        eased[:-offset] = np.minimum(eased[:-offset], shown[offset:] + allowed)
    return smoothstep(0, 1, eased)


def track_clip(
    tracker: FaceTracker, clip: Clip, side: int, warn: Callable[[str], None] = print
) -> Footage:
    """Track a face through a clip whose frames are read with a longest side of `side` pixels.

    `warn` is told what of a damaged file could not be read. Raises NoFaceError if there is none.
    """
    reading = read_clip(clip, side=side)
    best = _Best(clip.fps)
    size = (0, 0)

    def frames() -> Iterator[Picture]:
        nonlocal size
        for picture in reading.frames:
            size = (picture.shape[1], picture.shape[0])
            best.next(picture)
            yield picture

    found = []
    for seen in tracker.track(frames()):
        best.consider(seen)
        found.append(None if seen is None else (seen.points, seen.units, seen.turns))
    if reading.problem:
        warn(reading.problem)
    first = next((row for row in found if row is not None), None)
    if first is None:
        raise NoFaceError(f"{clip.path}: no such face found in {len(found)} frames")
    seen_at = np.array([row is not None for row in found])
    points = np.stack([(row or first)[0] for row in found])
    units = np.stack([(row or first)[1] for row in found])
    points, units = _smoothed(points, units, seen_at, clip.fps)
    turned = np.abs(aus.head_degrees(units)[:, :2]).max(1)
    strength = strengths(seen_at, turned, clip.fps)
    turns = next(seen for seen in found if seen is not None)[2]
    return Footage(points, units, strength, clip.fps, size, best.shared_appearance(), turns)


def _smoothed(points: Array, units: Array, seen: Mask, fps: float) -> tuple[Array, Array]:
    """Points (T, 478, 3) in pixels and channels (T, K), gaps interpolated, noise smoothed away."""
    eyes = points[:, LEFT_IRIS.start, :2] - points[:, RIGHT_IRIS.start, :2]
    iod = np.float32(np.median(np.linalg.norm(eyes[seen], axis=1)))
    flat = interpolate_gaps(points.reshape(len(points), -1) / iod, seen)
    flat = smooth(flat, fps, floor=LANDMARK_FLOOR) * iod
    units = np.clip(smooth(interpolate_gaps(units, seen), fps, floor=UNITS_FLOOR), 0, None)
    return flat.reshape(points.shape), units


class _Best:
    """The frames that show a person best, kept while a clip is tracked."""

    def __init__(self, fps: float) -> None:
        self._apart = round(BEST_APART * fps)
        self._waiting: list[Picture] = []  # read, and not yet analyzed: at most as many as a batch
        self._kept: list[tuple[float, int, Picture, TrackedFace]] = []
        self._frame = 0

    def next(self, picture: Picture) -> None:
        """A frame was read."""
        self._waiting.append(picture)

    def consider(self, seen: TrackedFace | None) -> None:
        """What was seen in the earliest frame that was not considered yet."""
        picture, frame = self._waiting.pop(0), self._frame
        self._frame += 1
        if seen is None:
            return
        turn = float(np.abs(aus.head_degrees(seen.units)[:2]).max())
        blink = float(seen.units[[aus.INDEX["AU45L"], aus.INDEX["AU45R"]]].max())
        badness = turn + _BLINK * blink
        near = [kept for kept in self._kept if frame - kept[1] < self._apart]
        if near and near[-1][0] <= badness:
            return
        self._kept = [kept for kept in self._kept if kept not in near]
        self._kept.append((badness, frame, picture, seen))
        if len(self._kept) > BEST_FRAMES:
            self._kept.remove(max(self._kept, key=lambda kept: kept[0]))

    def shared_appearance(self) -> SharedAppearance:
        """What these frames share."""
        anatomy = load_anatomy()
        scenes = []
        for _, _, picture, seen in self._kept:
            alignment, landmarks, source = placed(seen.points, seen.units)
            upright = np.rot90(picture, seen.turns)
            scenes.append(
                Scene.of(upright, alignment, FaceMotion.of(landmarks, source, anatomy))[1]
            )
        return SharedAppearance.of(scenes)


@dataclass(frozen=True)
class ClipEdit:
    """What is asked of T frames."""

    change: Array  # (T, K) of the channels 0..1
    detail: Detail | None  # of T frames
    head: HeadTrajectory | None = None  # of T frames, added to where the clip's head is

    def changes_nothing(self, frame: int) -> bool:
        """Whether nothing is asked of a frame."""
        asked = [np.abs(self.change[frame]).max()]
        if self.detail is not None:
            asked.append(np.abs(self.detail.shift[frame]).max())
        if self.head is not None:
            asked += [np.abs(self.head.shift[frame]).max(), abs(self.head.scale[frame])]
            asked.append(abs(self.head.roll[frame]))
        return not max(asked) > STILL


def clip_edit(footage: Footage, track: Track, intensity: float, absolute: bool = False) -> ClipEdit:
    """What a track, at the footage's frame rate, asks of its frames.

    Relative: what the track makes of the face's habitual expression is added to every frame, so
    that speech and blinks go on; but no more than what the frame lacks of it. Absolute: channels
    that the track sets are set in every frame. A performer's way in the picture is added in both.
    """
    rows, source = track.rows_over(len(footage)), footage.units
    played = replace(track, keep=track.keep[rows], add=track.add[rows], detail=None, head=None)
    change = played.resolve(source, intensity) - source
    if not absolute:
        usual = footage.usual_expression
        added = played.resolve(usual, intensity) - usual
        lacking = np.where(added > 0, np.clip(change, 0, added), np.clip(change, added, 0))
        change = np.where(_TWO_SIDED, added, lacking)
    weight = footage.strength * _ending(track, len(footage))
    change = weight[:, None] * change
    change = in_range(source + change, source) - source
    detail = track.detail.rows(rows) if track.detail else None
    if detail is not None:
        detail = replace(detail, shift=detail.shift * (weight * intensity)[:, None, None])
    head = None
    if track.head is not None:
        follows, path = (weight * intensity).astype(np.float32), track.head.rows(rows)
        head = HeadTrajectory(
            path.shift * follows[:, None], path.scale * follows, path.roll * follows
        )
    return ClipEdit(change.astype(np.float32), detail, head)


def _ending(track: Track, length: int) -> Array:
    """(length,) 1, eased to 0 after a performance that is over before the clip.

    A recipe that is played once holds its last expression: so it says.
    """
    if track.loops or track.kind != "performance":
        return np.ones(length, np.float32)
    over = (np.arange(length) - len(track) + 1) / max(1.0, EASE * track.fps)
    return smoothstep(0, 1, 1 - over)


def render_clip(
    footage: Footage,
    plan: ClipEdit,
    clip: Clip,
    side: int,
    prepare: Callable[[Picture, Alignment, FaceMotion, SharedAppearance], PreparedFace],
) -> Iterator[Picture]:
    """The clip's frames, read again as they were tracked, with the plan carried out.

    Frames of which nothing is asked are passed through as they are.
    """
    first = footage.placed(int(footage.strength.argmax()))
    anatomy_on = FaceMotion.of(first[1], first[2], load_anatomy())

    def made(job: tuple[int, Picture]) -> Picture:
        index, picture = job
        if plan.changes_nothing(index):
            return picture
        alignment, landmarks, source = footage.placed(index)
        target = in_crop(footage.units[index] + plan.change[index], alignment)
        upright = np.rot90(picture, footage.turns)
        face = prepare(
            upright, alignment, anatomy_on.on(landmarks, source), footage.shared_appearance
        )
        detail = plan.detail.rows(slice(index, index + 1)) if plan.detail else None
        frame = picture.copy()
        shown = next(face.renderer.render(target[None], detail))
        view = np.rot90(frame, footage.turns)
        paste_back(view, face, shown)
        if plan.head is not None:
            left = face.place(plan.head.place(index), target)
            warp_head(view, face.middle, face.iod, left)
        return frame

    # As many as were tracked: a damaged file may read differently the second time.
    with closing(read_clip(clip, side=side)) as reading:
        yield from on_all_cores(made, zip(range(len(footage)), reading.frames, strict=False))
