"""Contact sheets: faces by expressions, large enough to judge by looking."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from memegen.arrays import Picture
from memegen.errors import MemegenError
from memegen.evaluation.subjects import heights, subjects_in
from memegen.files import written_whole
from memegen.photo import Photo
from memegen.pipeline import Animator

EXPRESSIONS = ("smile", "laugh", "scream", "rage", "disgust", "surprise", "wink", "yawn")
CELL, MARGIN = 520, 1.12  # pixels, and aligned crops: a face of some 400 px from hair to chin
COLUMNS = 3  # cells: a page of one face is then shown by most viewers pixel by pixel
LABEL = 28  # pixels of the line of names

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


def _place(entry: tuple[tuple[int, int], Picture]) -> tuple[int, int]:
    return entry[0]


def pages(sheet: Path, rows: Sequence[Picture], a_page: int) -> list[Path]:
    """Write rows of equal width to `sheet`, `a_page` of them, and to `NAME-2.png` and so on."""
    written = []
    for start in range(0, len(rows), a_page):
        number = start // a_page + 1
        path = sheet if number == 1 else sheet.with_name(f"{sheet.stem}-{number}{sheet.suffix}")
        with written_whole(path) as partial:
            Image.fromarray(np.concatenate(rows[start : start + a_page])).save(partial, "PNG")
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
