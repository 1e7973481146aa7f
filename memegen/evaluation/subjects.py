"""People to judge on: photos cut square about the face, and what plays on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from memegen import aus, recipes
from memegen.arrays import Array
from memegen.errors import MemegenError, NoFaceError, UsageError
from memegen.faces.align import Alignment
from memegen.perception.analyze import FaceAnalysis
from memegen.photo import Photo
from memegen.pipeline import Animator
from memegen.tracks import Track

T = TypeVar("T")
MARGIN = 1.24  # width of the square in aligned crops (3.7 IOD each): head, neck, shoulders' edge
HELD = [
    aus.INDEX[channel]
    for au in aus.TABLE
    if au.group in ("head", "gaze")
    for channel in au.channels
]  # channels that stay the photo's own when another face's expression plays


@dataclass(frozen=True)
class Subject:
    """A photo of one face, and where in it the face lies."""

    photo: Photo
    seen: FaceAnalysis


def subject_of(animator: Animator, photo: Photo, side: int, margin: float = MARGIN) -> Subject:
    """The square about the largest face of a photo, `side` pixels wide. Raises NoFaceError.

    margin: width of the square in aligned crops.
    """
    seen = animator.analyze(photo)[0].analysis
    square, corner, scale = _square(photo, seen.alignment, side, margin)
    matrix = seen.alignment.matrix * scale
    offset = (seen.alignment.offset - corner) * scale
    alignment = Alignment(matrix.astype(np.float32), offset.astype(np.float32))
    where = replace(seen, alignment=alignment)
    return Subject(square, where)


def _square(photo: Photo, seen: Alignment, side: int, margin: float) -> tuple[Photo, Array, float]:
    """The square, its upper left corner in the photo, and its pixels per pixel of the photo."""
    centre = seen.to_photo(np.array([[0.5, 0.5]], np.float32))[0]
    width = int(min(seen.width * margin, *photo.size))
    corner = np.clip(np.rint(centre - width / 2), 0, np.array(photo.size) - width).astype(int)
    low, high = corner, corner + width
    part = np.ascontiguousarray(photo.rgb[low[1] : high[1], low[0] : high[0]])
    square = Image.fromarray(part).resize((side, side), Image.Resampling.LANCZOS)
    return Photo(np.asarray(square), None, photo.path), corner.astype(np.float32), side / width


def subjects_in(
    animator: Animator, photos: Iterable[Photo], side: int, margin: float = MARGIN
) -> Iterator[Subject]:
    """The subjects of photos; those without a face are passed over."""
    for photo in photos:
        try:
            yield subject_of(animator, photo, side, margin)
        except NoFaceError:
            continue


def looked_at(
    files: Sequence[Path], look: Callable[[Path], T], warn: Callable[[str], None] = print
) -> dict[Path, T]:
    """What `look` makes of every file; what cannot be judged is told to `warn` and left out.

    That is: damaged, too small or without a face that is needed. Raises what was raised of the only
    file, and MemegenError if none of several is left.
    """
    found = {}
    for file in files:
        try:
            found[file] = look(file)
        except MemegenError as error:
            of_the_file = type(error) in (MemegenError, NoFaceError, UsageError)
            if len(files) == 1 or not of_the_file:
                raise
            warn(f"{error}; left out")
    if not found:
        raise MemegenError("none of these files can be judged")
    return found


def heights(names: Sequence[str]) -> Track:
    """One frame each: recipes, or expressions like `AU12=4,AU25=3`, at their strongest."""
    frames = []
    for name in names:
        recipe = recipes.of_expression(aus.parse_expression(name)) if "=" in name else None
        track = recipe.track() if recipe else recipes.load_track(name)
        frames.append(track.frame(track.strongest()))
    keep = np.concatenate([frame.keep for frame in frames])
    add = np.concatenate([frame.add for frame in frames])
    return Track(keep, add, fps=25.0, loops=False, name="heights")


def track_of_targets(targets: Array, named: Array, fps: float = 25.0) -> Track:
    """(T, K) intensities 0..1 of the channels that `named` (T, K), others the photo's own."""
    add = np.where(named, targets, 0).astype(np.float32)
    keep = np.where(named, 0, 1).astype(np.float32)
    return Track(keep, add, fps, loops=False, name="judged")


def expressions_of(others: Array) -> Track:
    """A frame each with the expressions (T, K) of other faces; head and gaze are kept."""
    named = np.ones(others.shape, bool)
    named[:, HELD] = False
    return track_of_targets(others, named)
