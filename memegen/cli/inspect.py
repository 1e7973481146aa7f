"""`memegen aus` and `memegen faces`: what memegen sees in a photo."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memegen.cli import options
from memegen.cli.console import photo_at, result, say, tabulate
from memegen.errors import UsageError
from memegen.files import check_writable, write_text

if TYPE_CHECKING:
    from memegen.arrays import Array
    from memegen.faces.detect import Face
    from memegen.perception.find import AnalyzedFace

ANALYSIS_MODEL = "mesh"  # nothing is rendered here, so no generator need be loaded


def aus(
    photo: Annotated[
        str | None, typer.Argument(help="Photo, animated picture, video or CSV table to read.")
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="Show the table of action units.")
    ] = False,
    face: options.Face = "largest",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv_out: Annotated[
        str | None,
        typer.Option("--csv", help="Write CSV with OpenFace's columns to this file or -."),
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Action-unit intensities (0..5) of faces in a photo or video, or the table of action units."""
    if listing:
        _table(as_json)
        return
    if photo is None:
        raise UsageError("name a photo, or use --list")
    if csv_out not in (None, "-"):
        path = check_writable(Path(str(csv_out)), special=True)
        if path.resolve() == Path(photo).resolve():
            raise UsageError(f"{path}: is the input; choose another name")
    picture = None if _moves(Path(photo)) else photo_at(photo)  # say so before loading networks
    from memegen.pipeline import Animator

    if picture is None:
        from memegen.performance.table import to_csv

        number = 1 if face == "largest" else int(face) if face.isdigit() else 0
        if number < 1:
            raise UsageError(f"--face {face}: in a video, write largest or a number from 1")
        performance = Animator(ANALYSIS_MODEL, device).track_face(photo, face=number, warn=say)
        if csv_out not in (None, "-"):
            write_text(Path(str(csv_out)), to_csv(performance))
        elif as_json:
            rows = [
                {"seconds": round(row / performance.fps, 3), "action_units": _rounded(units)}
                for row, units in enumerate(performance.units)
            ]
            result(json.dumps(rows, indent=2))
        else:
            result(to_csv(performance).rstrip("\n"))
        return
    seen = Animator(ANALYSIS_MODEL, device).analyze(picture, face)
    if csv_out is not None:
        text = _openface_csv(seen)
        if csv_out == "-":
            result(text.rstrip("\n"))
        else:
            write_text(Path(csv_out), text)
    elif as_json:
        result(json.dumps([_intensities(s) for s in seen], indent=2))
    else:
        _print_intensities(seen)


def faces(
    photo: Annotated[str, typer.Argument(help="Photo to search.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: options.Device = "auto",
) -> None:
    """The faces of a photo, largest first, numbered as --face takes them."""
    picture = photo_at(photo)  # say so before loading networks
    from memegen.devices import device_named
    from memegen.faces.choose import choose, parse_choice
    from memegen.faces.detect import Detector
    from memegen.perception.analyze import FaceAnalyzer
    from memegen.perception.find import FaceFinder

    where = device_named(device)
    finder = FaceFinder(Detector(where), FaceAnalyzer(device=where))
    found = [seen.face for seen in choose(picture, parse_choice("all"), finder)]
    if as_json:
        rows = [
            {"face": number, **_where(face), "points": face.points.round(1).tolist()}
            for number, face in enumerate(found, 1)
        ]
        result(json.dumps(rows, indent=2))
        return
    tabulate(
        (
            str(number),
            f"--face {','.join(f'{v:g}' for v in _box(face))}",
            f"confidence {face.confidence:.2f}",
        )
        for number, face in enumerate(found, 1)
    )


def _box(face: Face) -> list[float]:
    """x, y, width, height, as --face takes them."""
    x0, y0, x1, y1 = (float(v) for v in face.box)
    return [round(v, 1) for v in (x0, y0, x1 - x0, y1 - y0)]


def _where(face: Face) -> dict[str, object]:
    return {"box": _box(face), "confidence": round(face.confidence, 4)}


def _table(as_json: bool) -> None:
    from memegen.aus import TABLE

    if as_json:
        rows = [
            {"name": au.name, "facs_name": au.facs_name, "group": au.group, "sides": au.sides,
             "channels": au.channels, "range": [0, 5], "moves": au.moves}
            for au in TABLE
        ]  # fmt: skip
        result(json.dumps(rows, indent=2))
        return
    sides = {"both": "both, L, R", "either": "L or R", "none": "-"}
    headings = ("name", "FACS name", "group", "sides", "range", "what moves")
    lines = [(a.name, a.facs_name, a.group, sides[a.sides], "0..5", a.moves) for a in TABLE]
    tabulate(lines, headings, always_headed=True)


def _moves(path: Path) -> bool:
    """Whether a file is a table or shows more than one picture."""
    if path.suffix.lower() == ".csv":
        return True
    from memegen.photo import picture_kind

    return path.is_file() and path.stat().st_size > 0 and picture_kind(path) != "still"


def _rounded(units: Array) -> dict[str, float]:
    from memegen.aus import to_expression

    return {name: round(value, 2) for name, value in to_expression(units).items()}


def _intensities(seen: AnalyzedFace) -> dict[str, object]:
    yaw, pitch, roll = (round(float(a), 1) for a in seen.analysis.angles)
    return {
        **_where(seen.face),
        "head_degrees": {"turn_left": yaw, "up": pitch, "tilt_left": roll},
        "action_units": _rounded(seen.analysis.action_units),
    }


def _print_intensities(seen: list[AnalyzedFace]) -> None:
    from memegen.aus import TABLE, to_expression

    for number, one in enumerate(seen, 1):
        if len(seen) > 1:
            result(f"face {number}")
        values, rows = to_expression(one.analysis.action_units), []
        for au in TABLE:
            shown = [values[c] for c in au.channels]
            if max(shown) < 0.05:
                continue
            text = f"{shown[0]:.1f}" if len(shown) == 1 else f"L {shown[0]:.1f}  R {shown[1]:.1f}"
            rows.append((au.name, au.facs_name, text))
        tabulate(rows, ("name", "FACS name", "intensity"))


def _openface_csv(seen: list[AnalyzedFace]) -> str:
    from memegen.aus import OPENFACE, to_openface

    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    columns = [f"AU{au.number:02d}_r" for au in OPENFACE]
    writer.writerow(["face_id", "confidence", *columns])
    for number, one in enumerate(seen):
        values = to_openface(one.analysis.action_units)
        writer.writerow([number, f"{one.face.confidence:.3f}", *(f"{v:.2f}" for v in values)])
    return table.getvalue()
