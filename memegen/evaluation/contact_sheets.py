"""Contact sheets: faces by expressions, large enough to judge by looking."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from memegen.arrays import Picture
from memegen.errors import MemegenError
from memegen.evaluation.subjects import heights, subjects_in
from memegen.files import written_whole
from memegen.photo import Photo
from memegen.pipeline import Animator
from memegen.tracks import Track

EXPRESSIONS = ("smile", "laugh", "scream", "rage", "disgust", "surprise", "wink", "yawn")
CELL, MARGIN = 520, 1.12  # pixels, and aligned crops: a face of some 400 px from hair to chin
COLUMNS = 3  # cells: a page of one face is then shown by most viewers pixel by pixel
LABEL = 28  # pixels of the line of names
MOST_SIDE = 16_000  # pixels of a page: WebP ends at 16,383
QUALITY = 85  # of WebP

Report = dict[str, dict[str, float]]


def evaluate(
    photos: Sequence[Photo],
    models: Sequence[str],
    sheet: Path,
    names: Sequence[str] = EXPRESSIONS,
) -> Report:
    """Draw a page a face and model, the photo first, COLUMNS cells a row, to PNG files.

    names: recipes, or expressions like `AU12=4,AU25=3`. sheet: the first page; further ones are
    `NAME-2.png` and so on, face by face. Returns how many faces, pages and seconds. Raises
    MemegenError if no photo shows a face.
    """
    start, track = time.perf_counter(), heights(names)
    drawn: dict[tuple[int, int], Picture] = {}
    for number, model in enumerate(models):
        animator = Animator(model)
        for face, subject in enumerate(subjects_in(animator, photos, CELL, MARGIN)):
            cells = [subject.photo.rgb, *animator.animate(subject.photo, track)]
            titles = [f"{Path(subject.photo.name).name}, {model}", *names]
            drawn[face, number] = _grid(
                [_titled(cell, title) for cell, title in zip(cells, titles, strict=True)]
            )
    if not drawn:
        raise MemegenError("no photo shows a face")
    written = pages(sheet, [page for _, page in sorted(drawn.items(), key=_place)], 1)
    seconds = time.perf_counter() - start
    faces = len({face for face, _ in drawn})
    return {"run": {"faces": faces, "pages": len(written), "seconds": seconds}}


def across(
    photos: Sequence[Photo],
    models: Mapping[str, Animator],
    sheet: Path,
    names: Sequence[str],
    cell: int = CELL,
) -> Report:
    """Draw the same faces through every model: a row a face and expression, a column a model.

    The first column is the photo. models: by the names above their columns, `cell` pixels wide.
    sheet: PNG or WebP, as many rows as WebP allows; further pages are `NAME-2.webp` and so on.
    Returns how many faces, pages and seconds. Raises MemegenError if no photo shows a face.
    """
    start, track = time.perf_counter(), heights(names)
    finder = next(iter(models.values()))
    people = [subject.photo for subject in subjects_in(finder, photos, cell, MARGIN)]
    if not people:
        raise MemegenError("no photo shows a face")
    rows = []
    for person in people:
        columns = [_frames(animator, person, track) for animator in models.values()]
        for number, name in enumerate(names):
            cells = [person.rgb, *(column[number] for column in columns)]
            titled = [_titled(*each) for each in zip(cells, [name, *models], strict=True)]
            rows.append(np.concatenate(titled, 1))
    written = pages(sheet, rows, max(1, MOST_SIDE // rows[0].shape[0]))
    seconds = time.perf_counter() - start
    return {"run": {"faces": len(people), "pages": len(written), "seconds": seconds}}


def _frames(animator: Animator, photo: Photo, track: Track) -> list[Picture]:
    """A photo with every expression of a track; white where a model cannot move it."""
    try:
        return list(animator.animate(photo, track))
    except MemegenError:
        return [np.full_like(photo.rgb, 255)] * len(track)


def _place(entry: tuple[tuple[int, int], Picture]) -> tuple[int, int]:
    return entry[0]


def pages(sheet: Path, rows: Sequence[Picture], a_page: int) -> list[Path]:
    """Write rows of equal width to `sheet`, `a_page` of them, and to `NAME-2.png` and so on.

    The suffix says how: PNG, or WebP of QUALITY.
    """
    form = sheet.suffix.lower().removeprefix(".").upper()
    written = []
    for start in range(0, len(rows), a_page):
        number = start // a_page + 1
        path = sheet if number == 1 else sheet.with_name(f"{sheet.stem}-{number}{sheet.suffix}")
        with written_whole(path) as partial:
            page = Image.fromarray(np.concatenate(rows[start : start + a_page]))
            page.save(partial, form, quality=QUALITY)
        written.append(path)
    return written


def _titled(cell: Picture, title: str) -> Picture:
    """A cell under a line with its name."""
    line = Image.new("RGB", (cell.shape[1], LABEL), "white")
    font = ImageFont.load_default(LABEL * 0.6)
    ImageDraw.Draw(line).text((6, LABEL * 0.15), title, fill="black", font=font)
    return np.concatenate([np.asarray(line), cell[..., :3]])


def _grid(cells: Sequence[Picture]) -> Picture:
    """Cells of one size in rows of COLUMNS, the last one filled up with white."""
    blank = np.full_like(cells[0], 255)
    filled = [*cells, *[blank] * (-len(cells) % COLUMNS)]
    rows = [filled[start : start + COLUMNS] for start in range(0, len(filled), COLUMNS)]
    return np.concatenate([np.concatenate(row, 1) for row in rows])
