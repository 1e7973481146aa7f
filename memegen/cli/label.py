"""`memegen label`: what perception says of a folder of photos, as a table."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated

import typer

from memegen.cli import options
from memegen.cli.console import counting, result, say
from memegen.files import check_writable, write_text


def label(
    source: Annotated[Path, typer.Argument(help="Folder of photos (and subfolders), or a clip.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="CSV to write; standard output unless given.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="Where labels are kept; they are made once a photo."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; as many as help unless given.")
    ] = None,
    teacher: Annotated[
        str, typer.Option("--teacher", help="Who rates: perception or mediapipe.")
    ] = "perception",
    landmarker: Annotated[
        Path | None, typer.Option("--landmarker", help="MediaPipe's face_landmarker.task.")
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Find, align and label the faces of photos, as `memegen train` does; OpenFace's columns."""
    from memegen.devices import device_named
    from memegen.errors import UsageError, nearest
    from memegen.facedata import photos
    from memegen.facedata.teachers import TEACHERS
    from memegen.performance.table import columns

    if out is not None:
        check_writable(out, special=True)
    if workers is not None and workers < 1:
        raise UsageError("--workers must be at least 1")
    if teacher not in TEACHERS:
        raise UsageError(f"--teacher {teacher}: unknown{nearest(teacher, TEACHERS)}")
    if (teacher == "mediapipe") != (landmarker is not None):
        raise UsageError("--teacher mediapipe and --landmarker FILE belong together")
    with counting(source.name) as follow:
        found = photos.label(source, cache, device_named(device), workers, follow, landmarker)
    for name, reason in found.bad.items():
        say(f"{name}: left out, {reason}")
    names, values = columns(found.units)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *names])
    for face, row in zip(found.faces, values, strict=True):
        writer.writerow([face.name, *(f"{value:.4f}" for value in row)])
    if out is None:
        result(text.getvalue().rstrip("\n"))
    else:
        write_text(out, text.getvalue())
        result(str(out))
