"""Which of a photo's faces to animate: `largest`, `all`, a number, or a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from memegen.arrays import Array, Picture
from memegen.errors import NoFaceError, UsageError
from memegen.photo import Photo


@dataclass(frozen=True)
class Choice:
    """A parsed `--face`: a word, a number from 1 (largest first), or a box x, y, w, h."""

    which: str = "largest"  # largest, all, number or box
    number: int = 0
    box: tuple[float, float, float, float] | None = None


def parse_choice(text: str) -> Choice:
    """Read `largest`, `all`, `2` or `120,80,200,240`. Raises UsageError."""
    word = text.strip().lower()
    if word in ("largest", "all"):
        return Choice(word)
    if word.isdigit() and int(word) >= 1:
        return Choice("number", int(word))
    try:
        x, y, w, h = (float(part) for part in word.split(","))
    except ValueError:
        raise UsageError(
            f"--face '{text}': write largest, all, a number from 1, or a box x,y,width,height"
        ) from None
    if not np.isfinite([x, y, w, h]).all() or w < 4 or h < 4:
        raise UsageError(f"--face '{text}': a box needs a width and height of at least 4 pixels")
    return Choice("box", box=(x, y, w, h))


Found = TypeVar("Found")


class Finder(Protocol[Found]):
    """Finds faces in pictures (H, W, 3)."""

    def find(self, rgb: Picture, every: bool = False) -> list[Found]:
        """The largest face, or `every` one, largest first."""
        ...

    def find_in(self, rgb: Picture, box: Array) -> Found:
        """The face inside a box (x0, y0, x1, y1) that shows where it is."""
        ...


def choose(photo: Photo, choice: Choice, finder: Finder[Found]) -> list[Found]:
    """The chosen faces. Raises NoFaceError if there is none, UsageError if the box is outside."""
    if choice.box is not None:
        return [finder.find_in(photo.rgb, _inside(photo, choice.box))]
    found = finder.find(photo.rgb, every=choice.which != "largest")
    if not found:
        raise NoFaceError(
            f"{photo.name}: no face found (show where one is with --face x,y,width,height)"
        )
    if choice.which == "all":
        return found
    if choice.which == "number":
        if choice.number > len(found):
            raise NoFaceError(
                f"{photo.name}: there is no face {choice.number}, only {len(found)} found"
            )
        return [found[choice.number - 1]]
    return found[:1]


def _inside(photo: Photo, box: tuple[float, float, float, float]) -> Array:
    """What of a box x, y, w, h is in the photo, as (4,) x0, y0, x1, y1."""
    x, y, w, h = box
    width, height = photo.size
    corners = np.array([x, y, x + w, y + h], np.float32)
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise UsageError(f"{photo.name}: box {x:g},{y:g},{w:g},{h:g} is outside {width}x{height}")
    return np.clip(corners, 0, np.array([width, height, width, height], np.float32))
