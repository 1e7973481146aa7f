"""`memegen config`: where the defaults of options come from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from memegen.cli.command import META
from memegen.cli.console import result, say, tabulate
from memegen.cli.defaults import NAME, Defaults, Option, unknown_variables
from memegen.errors import UsageError, nearest

Named = Annotated[
    list[str] | None,
    typer.Argument(
        help="A command, to show all its options.", metavar="[COMMAND]", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def config(ctx: typer.Context, command: Named = None, as_json: Json = False) -> None:
    """Show defaults that memegen.toml and the environment set, and where each comes from."""
    defaults: Defaults = ctx.meta[META]
    path = tuple(command or ())
    known = {option.command for option in defaults.options}
    if path and path not in known:
        names = [" ".join(names) for names in known if names]
        said = " ".join(path)
        raise UsageError(f"{said}: unknown command{nearest(said, sorted(names))}")
    chosen = [option for option in defaults.options if not path or option.command == path]
    rows = [_row(defaults, option) for option in chosen]
    shown = [row for row in rows if path or row["origin"] is not None]
    if as_json:
        about = {"files": [str(file) for file in defaults.files], "options": shown}
        result(json.dumps(about, indent=2, default=str))
        return
    for file in defaults.files:
        say(f"read: {file}")
    if not defaults.files:
        own = Path(typer.get_app_dir("memegen")) / NAME
        asked = "MEMEGEN_CONFIG" in os.environ
        say(f"no {NAME} is read" if asked else f"no {NAME} here, above, or at {own}")
    for variable in unknown_variables(defaults):
        say(f"{variable} in the environment is no option of memegen")
    tabulate(
        [
            (row["command"], f"--{row['key']}", _said(row["value"]), row["origin"] or "")
            for row in shown
        ],
        ("command", "option", "default", "from"),
    )


def _row(defaults: Defaults, option: Option) -> dict[str, Any]:
    setting = defaults.of(option.command, option.param.name)
    return {
        "command": " ".join(option.command),
        "key": option.key,
        "value": option.param.default if setting is None else setting.value,
        "origin": None if setting is None else setting.origin,
    }


def _said(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
