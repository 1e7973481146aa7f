"""Animations as platforms want them: size, length, frames and bytes of stickers and emojis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from memegen.arrays import Picture
from memegen.errors import UsageError, nearest
from memegen.geometry.box import Box
from memegen.media.formats import Format, format_of

if TYPE_CHECKING:
    from memegen.frames import Frames

FITTINGS = 8  # tries at a size that bars of text leave a picture
SNUG = 0.015  # of a size: a picture with text that is smaller by no more is not enlarged
TABLE = Path(__file__).with_name("platforms.yaml")


@dataclass(frozen=True)
class Platform:
    """What one platform takes for one purpose; None where it sets no limit."""

    name: str
    format: str  # suffix of what is written
    bytes: int  # at most
    crop: str  # what is cut out unless that is asked for: see `crop.CROPS`
    transparent: bool  # whether padding is transparent; else of the picture's own edge
    source: str  # where the platform says so
    as_of: str  # when that was written down
    exact: tuple[int, int] | None = None  # width and height that it must have
    most: tuple[int, int] | None = None  # width and height that it may have
    seconds: float | None = None  # at most, likewise the next two
    fps: float | None = None
    frames: int | None = None

    @property
    def output(self) -> Format:
        """The format of its files."""
        return format_of(self.format)


@lru_cache(maxsize=1)
def platforms() -> Mapping[str, Platform]:
    """All that are known, by name."""
    import yaml

    table: Mapping[str, Mapping[str, Any]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    known = {field.name for field in fields(Platform)}
    found = {}
    for name, row in table.items():
        given: dict[str, Any] = {"name": name}
        for key in known & row.keys():
            value = row[key]
            given[key] = tuple(value) if isinstance(value, list) else value
        found[name] = Platform(**given | {"as_of": str(row["as_of"])})
    return found


def platform_named(name: str) -> Platform:
    """A platform by its name. Raises UsageError naming the nearest one."""
    known = platforms()
    if name not in known:
        raise UsageError(f"`for` {name}: unknown{nearest(name, known)} (known: {', '.join(known)})")
    return known[name]


def presented(
    frames: Frames, platform: Platform | None, mark: str | None, warn: Callable[[str], None]
) -> Frames:
    """Frames with captions and `mark`, if any, as a platform takes them; see `drawn`, `fitted`.

    Text is drawn on pictures that have the platform's size already, so that it is sharp in it.
    """
    from memegen.captions.frames import drawn
    from memegen.captions.mark import marked

    worded = bool(frames.captions or mark)
    if platform is not None and worded:
        frames = _resized(frames, _beside_bars(frames, platform))
    frames = drawn(frames, warn)
    frames = marked(frames, mark, warn) if mark else frames
    if platform is None:
        return frames
    return fitted(frames, platform, SNUG if worded else 0.0)


def _beside_bars(frames: Frames, platform: Platform) -> tuple[int, int]:
    """The size of pictures that fill the platform's together with the bars of their captions."""
    from memegen.captions.frames import drawn

    width, height = frames.size
    scale, size = 1.0, frames.size
    for _ in range(FITTINGS):
        tall = drawn(_resized(replace(frames, pictures=iter(())), size), lambda line: None).size
        most = platform.exact or _within(tall, platform.most)
        wrong = min(most[0] / tall[0], most[1] / tall[1])
        if 1 - SNUG <= wrong <= 1 + SNUG and tall[0] <= most[0] and tall[1] <= most[1]:
            break
        scale *= wrong
        size = max(1, round(width * scale)), max(1, round(height * scale))
    return size


def _resized(frames: Frames, size: tuple[int, int]) -> Frames:
    """The frames at another size."""
    if size == frames.size:
        return frames
    across, down = size[0] / frames.size[0], size[1] / frames.size[1]
    faces = tuple(
        Box(round(f.left * across), round(f.top * down),
            round(f.right * across), round(f.bottom * down))
        for f in frames.faces
    )  # fmt: skip
    pictures = (_at(picture, size) for picture in frames)
    return replace(frames, pictures=pictures, size=size, faces=faces)


def _at(picture: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def fitted(frames: Frames, platform: Platform, snug: float = 0.0) -> Frames:
    """Frames as a platform takes them: its size, at most its length, rate and number of frames.

    What is too long is played faster, so that a loop stays one; of too many frames, some are left
    out evenly, at the same speed. What is smaller by `snug` of its size, or less, is padded and not
    enlarged. Bytes are the encoder's business.
    """
    fps, count = frames.fps, frames.count
    if platform.fps is not None:
        fps = min(fps, platform.fps)
    fps = platform.output.representable_fps(fps)
    kept = max(1, round(count * fps / frames.fps))
    if platform.seconds is not None:
        kept = min(kept, max(1, int(platform.seconds * fps)))
    if platform.frames is not None and kept > platform.frames:
        slower = platform.output.representable_fps(fps * platform.frames / kept)
        kept, fps = platform.frames, min(fps, slower)
    size = platform.exact or _within(frames.size, platform.most)
    rows = np.linspace(0, count - 1, kept).round().astype(int).tolist()
    pictures = (_placed(picture, size, platform, snug) for picture in _chosen(frames, rows))
    return replace(frames, pictures=pictures, count=kept, size=size, fps=fps)


def _within(size: tuple[int, int], most: tuple[int, int] | None) -> tuple[int, int]:
    if most is None:
        return size
    scale = min(1.0, most[0] / size[0], most[1] / size[1])
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _chosen(frames: Frames, rows: list[int]) -> Iterator[Picture]:
    """The frames of some numbers, which do not fall, repeated where they repeat."""
    at, picture = -1, None
    stream = iter(frames)
    for row in rows:
        while at < row:
            picture = next(stream)
            at += 1
        assert picture is not None
        yield picture
    for _ in stream:  # whoever makes them may tidy up at the end
        pass


def _placed(picture: Picture, size: tuple[int, int], platform: Platform, snug: float) -> Picture:
    """A picture scaled into a size, in its middle."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    scale = min(size[0] / width, size[1] / height)
    inner = (min(size[0], round(width * scale)), min(size[1], round(height * scale)))
    if 1 <= scale <= 1 + snug:  # text stays as sharp as it is
        inner = (width, height)
    small = picture if inner == (width, height) else _at(picture, inner)
    if inner == size:
        return small
    across, down = size[0] - inner[0], size[1] - inner[1]
    margins = ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
    if not platform.transparent and small.shape[2] == 3:
        return np.pad(small, margins, mode="edge")
    if small.shape[2] == 3:
        small = np.dstack([small, np.full(small.shape[:2], 255, np.uint8)])
    return np.pad(small, margins)
