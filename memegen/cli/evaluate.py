"""`memegen evaluate`: figures on held-out faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from memegen.cli.console import result
from memegen.errors import UsageError


def evaluate(
    data: Annotated[Path, typer.Argument(help="Folder of face-data shards and their labels.")],
    model: Annotated[
        str, typer.Option("--model", help="perception (weights), or a generator such as mesh.")
    ] = "mesh",
    faces: Annotated[int, typer.Option("--faces", help="Held-out faces to animate.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure perception, or whether a generator reaches the intensities it is asked for."""
    if not data.is_dir():
        raise UsageError(f"{data}: no such folder")
    if faces < 1:
        raise UsageError("--faces must be at least 1")
    if model == "perception":
        from memegen.evaluation import perception

        report = perception.evaluate(data)
    else:
        from memegen.evaluation import reach

        report = reach.evaluate(data, model, faces)
    if as_json:
        result(json.dumps(report, indent=2))
        return
    for heading, figures in report.items():
        line = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        result(f"{heading:20}{line}")
