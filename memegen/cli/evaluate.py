"""`memegen evaluate`: figures on held-out faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from memegen.cli.console import result
from memegen.errors import UsageError

Report = dict[str, dict[str, float]]


def evaluate(
    data: Annotated[
        Path,
        typer.Argument(help="Folder of face-data shards, of photos or of clips; or a clip."),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Generators to compare (repeat it), or perception; files and folders of runs too. "
            "[default: mesh, anatomical]",
        ),
    ] = None,
    pairs: Annotated[int, typer.Option("--pairs", help="Held-out pairs to compare on.")] = 400,
    reach: Annotated[
        bool, typer.Option("--reach", help="Measure whether asked-for intensities are reached.")
    ] = False,
    faces: Annotated[int, typer.Option("--faces", help="Held-out faces for --reach.")] = 100,
    photos: Annotated[
        Path | None,
        typer.Option("--photos", help="Photos to drive by --clips: does everybody stay the same?"),
    ] = None,
    clips: Annotated[
        Path | None, typer.Option("--clips", help="Clips that drive --photos.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Write a contact sheet, a PNG.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare generators on held-out faces or on clips, or measure perception.

    With --photos and --clips: how far every photo's identity goes, driven by every clip.
    """
    models = model or ["mesh", "anatomical"]
    if not data.exists():
        raise UsageError(f"{data}: no such folder or clip")
    if faces < 1:
        raise UsageError("--faces must be at least 1")
    if pairs < 1:
        raise UsageError("--pairs must be at least 1")
    if sheet is not None and (sheet.suffix.lower() != ".png" or not sheet.parent.is_dir()):
        raise UsageError(f"{sheet}: --sheet takes a .png in a folder that exists")
    if (photos is None) != (clips is None):
        raise UsageError("--photos and --clips go together")
    if photos is not None and clips is not None:
        if model and len(model) > 1:
            raise UsageError("--photos and --clips take one --model")
        if reach:
            raise UsageError("--reach means nothing for --photos and --clips")
        _crossing(data, photos, clips, models, sheet, as_json)
    elif _has_clips(data):
        if reach or sheet:
            raise UsageError(f"{data}: --reach and --sheet mean nothing for clips")
        from memegen.evaluation import reenactment

        found = reenactment.evaluate(reenactment.clips_in(data), models)
        if as_json:
            result(json.dumps(found, indent=2))
        else:
            for clip, figures in found.items():
                _show(figures, as_json, heading=clip)
    elif perceived := [file for name in models if (file := _perception_named(name))]:
        if len(models) > 1 or reach or sheet:
            raise UsageError("perception is measured alone")
        from memegen.evaluation import perception

        _show(perception.evaluate(data, perceived[0]), as_json)
    elif reach:
        if sheet:
            raise UsageError("--sheet means nothing for --reach")
        from memegen.evaluation import reach as reached

        reports = {name: reached.evaluate(data, name, faces) for name in models}
        if as_json:
            result(json.dumps(reports, indent=2))
        else:
            for name, reached_by in reports.items():
                _show(reached_by, as_json, heading=name)
    else:
        from memegen.evaluation import generators

        report = generators.evaluate(data, models, pairs, sheet)
        if as_json:
            result(json.dumps(report, indent=2))
        else:
            _side_by_side(report)


def _perception_named(name: str) -> str | None:
    """Weights of perception that a name, a file or the folder of a run stands for, if any."""
    from memegen.weights import architecture_of, in_run

    path = in_run(name, ["perception"])
    if name == "perception":
        return name
    return str(path) if path.is_file() and architecture_of(path) == "perception" else None


def _has_clips(data: Path) -> bool:
    from memegen.evaluation.reenactment import is_clip
    from memegen.facedata.shards import is_shards

    if data.is_file():
        return True
    return not is_shards(data) and any(is_clip(path) for path in data.iterdir())


def _crossing(
    data: Path, photos: Path, clips: Path, models: list[str], sheet: Path | None, as_json: bool
) -> None:
    from memegen.evaluation.crossing import evaluate as crossed
    from memegen.evaluation.crossing import photos_in
    from memegen.evaluation.reenactment import clips_in
    from memegen.performance.drive import Driving

    for source in (photos, clips):
        if not source.exists():
            raise UsageError(f"{source}: no such file or folder")
    report = crossed(data, photos_in(photos), clips_in(clips), models[-1], Driving(), sheet)
    _show(report, as_json, heading=models[-1])


def _show(report: Report, as_json: bool, heading: str | None = None) -> None:
    if as_json:
        result(json.dumps({heading: report} if heading else report, indent=2))
        return
    if heading:
        result(heading)
    for name, figures in report.items():
        line = "  ".join(f"{figure} {value:.4g}" for figure, value in figures.items())
        result(f"{name:20}{line}")


def _side_by_side(report: Report) -> None:
    """One line a figure, one column a model."""
    common = report.pop("pairs")
    figures = list(dict.fromkeys(figure for found in report.values() for figure in found))
    result(f"{'':40}" + "".join(f"{name:>14}" for name in report))
    for figure in figures:
        cells = (f"{found[figure]:.4g}" if figure in found else "-" for found in report.values())
        result(f"{figure:40}" + "".join(f"{cell:>14}" for cell in cells))
    result("pairs: " + ", ".join(f"{name} {value:.4g}" for name, value in common.items()))
