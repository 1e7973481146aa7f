"""`memegen inspect`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from memegen.cli.console import result, tabulate
from memegen.errors import MemegenError, UsageError

Files = Annotated[list[Path], typer.Argument(help="Pictures and videos.", metavar="FILE...")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def inspect(files: Files, as_json: Json = False) -> None:
    """Tell whether files were made with memegen, and of what; exit code 1 where one was not."""
    from memegen.media import provenance

    found = {}
    for file in files:
        try:
            found[file] = provenance.read(file)
        except OSError as error:
            raise UsageError(f"{file}: cannot read ({error.strerror})") from None
    if as_json:
        rows = [
            {"file": str(file), "memegen": told is not None, **(asdict(told) if told else {})}
            for file, told in found.items()
        ]
        result(json.dumps(rows, indent=2))
    else:
        for file, told in found.items():
            if told is None:
                continue
            lines = [
                ("made with", f"memegen {told.version}".strip()),
                ("of", told.made_of),
                ("digital source type", told.source_type or "not told"),
            ]
            if len(files) > 1:
                result(f"{file}")
            tabulate(lines)
    silent = [str(file) for file, told in found.items() if told is None]
    if silent:
        raise MemegenError(
            f"{', '.join(silent)}: nothing says that it was made with memegen (notes get "
            "lost where files are converted)"
        )
