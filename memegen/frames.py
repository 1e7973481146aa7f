"""Pictures on their way to an encoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from memegen.arrays import Picture
from memegen.captions.caption import Caption
from memegen.geometry.box import Box
from memegen.media.encode import flatten
from memegen.performance.clip import Clip, read_clip


@dataclass(frozen=True)
class Frames:
    """Pictures to come, with what an encoder needs to know about them. Iterate once."""

    pictures: Iterator[Picture]  # (H, W, 3), or (H, W, 4) where the photo is transparent
    count: int
    size: tuple[int, int]  # width and height
    fps: float
    loops: bool
    comment: str
    captions: tuple[Caption, ...] = ()  # still to be drawn: `captions.frames.drawn`, `write`
    faces: tuple[Box, ...] = ()  # that captions keep off, in pixels; then where captions are

    def __iter__(self) -> Iterator[Picture]:
        return self.pictures

    def __len__(self) -> int:
        return self.count


def side_by_side(frames: Frames, clip: Clip, start: float) -> Frames:
    """The frames with the clip they follow on their right, at the same height."""
    width, height = frames.size

    def both() -> Iterator[Picture]:
        shown = np.zeros((height, 1, 3), np.uint8)
        with closing(read_clip(clip, start)) as reading:
            for frame in frames:
                other = next(reading.frames, None)
                if other is not None:
                    across = max(2, round(other.shape[1] * height / other.shape[0] / 2) * 2)
                    shown = np.asarray(Image.fromarray(other).resize((across, height)))
                yield np.concatenate([flatten(frame), shown], 1)

    with closing(read_clip(clip, start)) as reading:
        first = next(reading.frames)
    across = max(2, round(first.shape[1] * height / first.shape[0] / 2) * 2)
    return replace(frames, pictures=both(), size=(width + across, height))
