"""Tracks: one expression per frame, before it is known whose face it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from memegen import aus
from memegen.arrays import Array, Integers
from memegen.captions.caption import Caption, repeated

_HEAD = np.isin(
    np.arange(len(aus.CHANNELS)),
    [aus.INDEX[c] for au in aus.TABLE if au.group == "head" for c in au.channels],
)


@dataclass(frozen=True)
class Detail:
    """What a performer's mesh does beyond what its action units say."""

    shift: Array  # (T, 468, 3) IOD, face axes
    weight: Array  # (468,) how far each vertex follows it, 0..1

    def rows(self, rows: Integers | slice) -> Detail:
        """The same for some frames."""
        return replace(self, shift=self.shift[rows])


@dataclass(frozen=True)
class HeadTransform:
    """A similarity of the head in its picture."""

    shift: Array  # (2,) IOD right and down
    scale: float  # log of the scale
    roll: float  # degrees, to the person's left: clockwise in the picture


@dataclass(frozen=True)
class HeadTrajectory:
    """How a performer's head moves in the picture, from where it is in the photo."""

    shift: Array  # (T, 2) IOD right and down
    scale: Array  # (T,) log of the scale
    roll: Array  # (T,) degrees, to the person's left

    def rows(self, rows: Integers | slice) -> HeadTrajectory:
        """The same for some frames."""
        return HeadTrajectory(self.shift[rows], self.scale[rows], self.roll[rows])

    def between(self, low: Integers, high: Integers, weight: Array) -> HeadTrajectory:
        """`weight` (N,) of the way from frames `low` to frames `high`."""
        return HeadTrajectory(
            self.shift[low] + weight[:, None] * (self.shift[high] - self.shift[low]),
            self.scale[low] + weight * (self.scale[high] - self.scale[low]),
            self.roll[low] + weight * (self.roll[high] - self.roll[low]),
        )

    def place(self, frame: int, strength: float = 1.0) -> HeadTransform:
        """Where the head is in one frame."""
        return HeadTransform(
            self.shift[frame] * np.float32(strength),
            float(self.scale[frame]) * strength,
            float(self.roll[frame]) * strength,
        )


@dataclass(frozen=True)
class Track:
    """T frames of K channels, affine in the photo's own expression: `keep * source + add`.

    A channel that a recipe does not name has keep 1 and add 0, and stays the photo's; one that it
    sets to v has keep 0 and add v; one that it moves by v has keep 1 and add v. Blending frames
    blends both numbers, so a keyframe that names a channel eases into one that does not.
    """

    keep: Array  # (T, K)
    add: Array  # (T, K)
    fps: float
    loops: bool = True  # the file repeats for ever
    name: str = "expression"
    kind: str = "recipe"  # what the name names
    detail: Detail | None = None
    head: HeadTrajectory | None = None  # beside what the channels say of its turns
    captions: tuple[Caption, ...] = ()  # in seconds of the track

    def __len__(self) -> int:
        return len(self.keep)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self) / self.fps

    def captions_over(self, length: int) -> tuple[Caption, ...]:
        """The captions shown when the track plays for so many frames."""
        if not self.loops or length <= len(self):
            return self.captions
        return repeated(self.captions, self.duration, length / self.fps)

    def resolve(self, source: Array, intensity: float = 1.0) -> Array:
        """(T, K) expressions 0..1 of a face whose own expression is `source` (K,).

        `intensity` scales the change, so 0 is the photo and 2 twice as much, within the range.
        """
        target = self.keep * source + self.add
        return in_range(source + intensity * (target - source), source)

    def strongest(self) -> int:
        """The frame that differs most from the photo's expression."""
        return int((np.abs(self.add) + np.abs(1 - self.keep) * 0.01).sum(1).argmax())

    def rows_over(self, length: int) -> Integers:
        """(length,) the frames shown when the track plays for so many frames."""
        frames = np.arange(length)
        return frames % len(self) if self.loops else np.minimum(frames, len(self) - 1)

    def resampled(self, fps: float, speed: float = 1.0) -> Track:
        """The same track at another frame rate, played `speed` times as fast."""
        count = max(1, round(len(self) / self.fps / speed * fps))
        at = np.minimum(np.arange(count) * (self.fps * speed / fps), len(self) - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, len(self) - 1)
        weight = (at - low)[:, None].astype(np.float32)
        keep = self.keep[low] + weight * (self.keep[high] - self.keep[low])
        add = self.add[low] + weight * (self.add[high] - self.add[low])
        head = self.head.between(low, high, weight[:, 0]) if self.head else None
        detail = self._detail(low, weight)
        captions = tuple(caption.moved(0, 1 / speed) for caption in self.captions)
        return replace(
            self, keep=keep, add=add, fps=fps, detail=detail, head=head, captions=captions
        )

    def _detail(self, rows: Integers, weight: Array) -> Detail | None:
        """The detail between these rows and the next ones."""
        if self.detail is None:
            return None
        upper = np.minimum(rows + 1, len(self) - 1)
        low, high = self.detail.shift[rows], self.detail.shift[upper]
        return replace(self.detail, shift=low + weight[:, :, None] * (high - low))

    def boomerang(self) -> Track:
        """Forth and back, for ever."""
        rows = np.r_[np.arange(len(self)), np.arange(len(self) - 2, 0, -1)]
        return replace(self.rows(rows), loops=True)

    def there_and_back(self, seconds: float = 0.6, hold: float = 0.4) -> Track:
        """From the photo to the first frame of this track, which is held, and back."""
        steps = np.linspace(0, 1, max(2, round(seconds * self.fps)), dtype=np.float32)
        ease = np.r_[steps * steps * (3 - 2 * steps), np.ones(round(hold * self.fps))]
        weight = ease[:, None].astype(np.float32)
        keep, add = 1 + weight * (self.keep[:1] - 1), weight * self.add[:1]
        return replace(self, keep=keep, add=add, detail=None, head=None).boomerang()

    def rows(self, rows: Integers | slice) -> Track:
        """Some frames, one after the other."""
        detail = self.detail.rows(rows) if self.detail else None
        head = self.head.rows(rows) if self.head else None
        return replace(self, keep=self.keep[rows], add=self.add[rows], detail=detail, head=head)

    def frame(self, index: int) -> Track:
        """One frame as a track of its own."""
        at = index / self.fps
        shown = tuple(
            replace(caption, start=0.0, end=None)
            for caption in self.captions
            if caption.shown_at(at)
        )
        return replace(self.rows(slice(index, index + 1)), loops=False, captions=shown)


def in_range(asked: Array, source: Array) -> Array:
    """Channels (..., K) asked of a face that shows `source` (..., K), within what can be asked.

    0..1; what the face itself exceeds is kept. A head that is turned already may turn by as much
    again as one that is not: how far it then goes is for geometry to say.
    """
    most = np.where(_HEAD, np.maximum(source, 0) + 1, np.maximum(source, 1))
    return np.clip(asked, np.minimum(source, 0), most).astype(np.float32)


def still(expression: Mapping[str, float]) -> tuple[Array, Array]:
    """(K,) keep and (K,) add of an expression 0..5 by name."""
    keep, add = rest()
    named = aus.by_channel(expression)
    for channel, value in named.items():
        keep[aus.INDEX[channel]], add[aus.INDEX[channel]] = 0, value / aus.MAX_INTENSITY
    for one, other in aus.OPPOSITES:  # a head asked to look right stops looking left
        for asked, opposite in ((one, other), (other, one)):
            if asked in named and opposite not in named:
                keep[aus.INDEX[opposite]] = 0
    return keep, add


def offset(expression: Mapping[str, float]) -> Array:
    """(K,) to add for an expression that is an offset, -5..5 by name."""
    add = rest()[1]
    for channel, value in aus.by_channel(expression).items():
        add[aus.INDEX[channel]] = value / aus.MAX_INTENSITY
    return add


def rest() -> tuple[Array, Array]:
    """Keep and add of the photo's own expression."""
    return np.ones(len(aus.CHANNELS), np.float32), np.zeros(len(aus.CHANNELS), np.float32)


def compose(tracks: Sequence[Track]) -> Track:
    """Play several tracks at once; where two set the same channel, the later one wins.

    The longest gives the length; a shorter one repeats if it loops, else holds its last frame.
    """

    def over(below: Track, above: Track) -> Track:
        length = max(len(below), len(above))
        first, second = below.rows_over(length), above.rows_over(length)
        return Track(
            above.keep[second] * below.keep[first],
            above.keep[second] * below.add[first] + above.add[second],
            below.fps,
            below.loops or above.loops,
            f"{below.name}+{above.name}",
            captions=below.captions_over(length) + above.captions_over(length),
        )

    return reduce(over, tracks)
