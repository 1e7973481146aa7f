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
from memegen.photo import Photo
from memegen.pipeline import Animator

EXPRESSIONS = ("smile", "laugh", "scream", "rage", "disgust", "surprise", "wink", "yawn")
CELL = 560  # pixels of head and shoulders: a face of some 400 px, ear to ear
LABEL = 28  # pixels of the line of names
A_PAGE = 4  # faces

Report = dict[str, dict[str, float]]


def evaluate(
    photos: Sequence[Photo],
    models: Sequence[str],
    sheet: Path,
    names: Sequence[str] = EXPRESSIONS,
) -> Report:
    """Draw `sheet`, a PNG: a row a face (several models: a row each), the photo first.

    names: recipes, or expressions like `AU12=4,AU25=3`. More faces than fit a page make further
    files, `NAME-2.png` and so on. Returns how many faces and seconds. Raises MemegenError if no
    photo shows a face.
    """
    start, track = time.perf_counter(), heights(names)
    drawn: list[list[Picture]] = []
    for number, model in enumerate(models):
        animator = Animator(model)
        for index, subject in enumerate(subjects_in(animator, photos, CELL)):
            cells = [subject.photo.rgb, *animator.animate(subject.photo, track)]
            row = _labelled(cells, [f"{subject.photo.name}, {model}", *names])
            if number == 0:
                drawn.append([])
            drawn[index].append(row)
    if not drawn:
        raise MemegenError("no photo shows a face")
    rows = [np.concatenate(of_face) for of_face in drawn]
    written = pages(sheet, rows, max(1, A_PAGE // len(models)))
    seconds = time.perf_counter() - start
    return {"run": {"faces": len(drawn), "pages": len(written), "seconds": seconds}}


def pages(sheet: Path, rows: Sequence[Picture], a_page: int = A_PAGE) -> list[Path]:
    """Write rows of equal width to `sheet`, `a_page` of them, and to `NAME-2.png` and so on."""
    written = []
    for start in range(0, len(rows), a_page):
        number = start // a_page + 1
        path = sheet if number == 1 else sheet.with_name(f"{sheet.stem}-{number}{sheet.suffix}")
        Image.fromarray(np.concatenate(rows[start : start + a_page])).save(path)
        written.append(path)
    return written


def _labelled(cells: Sequence[Picture], names: Sequence[str]) -> Picture:
    """Cells of one size side by side, under a line with their names."""
    height, width = cells[0].shape[:2]
    line = Image.new("RGB", (width * len(cells), LABEL), "white")
    draw, font = ImageDraw.Draw(line), ImageFont.load_default(LABEL * 0.6)
    for column, name in enumerate(names):
        short = Path(name).name if "=" not in name else name
        draw.text((column * width + 6, LABEL * 0.15), short, fill="black", font=font)
    row = np.concatenate([cell[..., :3] for cell in cells], 1)
    return np.concatenate([np.asarray(line), row])[: height + LABEL]
