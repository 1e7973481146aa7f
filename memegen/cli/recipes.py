"""`memegen recipes list|show|check|new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memegen import recipes
from memegen.captions.fonts import font_named
from memegen.cli import complete
from memegen.cli.console import result, tabulate
from memegen.errors import UsageError

app = typer.Typer(
    help="Expression recipes: list, show, check and begin them.", no_args_is_help=True
)

TEMPLATE = """\
name: {name}
description: Say in a line what happens
fps: 25
loop: boomerang            # once | loop | boomerang
keyframes:
  # {{}} is the photo's own expression; intensities run from 0 to 5 (memegen aus --list)
  - {{at: 0.0, hold: 0.2, expression: {{}}}}
  - {{at: 0.7, ease: in-out, hold: 0.4, expression: {{AU6: 2.5, AU12: 4, AU25: 2}}}}
"""


@app.command("list")
def list_() -> None:
    """Names and descriptions of the shipped recipes."""
    rows = [(name, recipes.load(name).description) for name in recipes.names()]
    tabulate(rows, ("recipe", "what happens"))


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="Recipe name or file.", autocompletion=complete.recipe)
    ],
) -> None:
    """Print a recipe's YAML, to copy and change."""
    result(recipes.read(name).rstrip())


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="Recipe file.", autocompletion=complete.recipe)],
) -> None:
    """Check a recipe file; says the line of the first mistake."""
    recipe = recipes.load(file)
    track = recipe.track()
    captions = f"{len(recipe.captions)} captions, " if recipe.captions else ""
    for font in {caption.style.font for caption in recipe.captions}:
        font_named(font)
    result(
        f"{file}: ok, {len(recipe.keyframes)} keyframes, {captions}"
        f"{len(track)} frames, {track.duration:.2f} s"
    )


@app.command()
def new(name: Annotated[str, typer.Argument(help="Name of the recipe to begin.")]) -> None:
    """Write NAME.yaml here, with a recipe to start from."""
    path = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE.format(name=path.stem))
    except FileExistsError:
        raise UsageError(f"{path}: exists already") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot write ({error.strerror})") from None
    result(str(path))
