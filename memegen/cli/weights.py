"""`memegen weights`: files of weights, from and to other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memegen.cli.console import result, say
from memegen.errors import UsageError

app = typer.Typer(help="Bring in GANimation checkpoints, and write generators for other programs.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Checkpoint of a public GANimation code.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Safetensors file; beside the checkpoint.")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", help="Side of its crop in pixels, if it is unusual.")
    ] = None,
) -> None:
    """Turn a GANimation checkpoint into weights for --model; generators and critics."""
    from memegen import weights
    from memegen.generators.checkpoints import convert, read_checkpoint

    path = out or file.with_suffix(".safetensors")
    if path.suffix != ".safetensors" or not path.parent.is_dir():
        raise UsageError(f"{path}: --out takes a .safetensors in a folder that exists")
    if size is not None and (size < 64 or size % 64):
        raise UsageError(f"--size {size}: must be a multiple of 64")
    found = convert(read_checkpoint(file), size, str(file))
    name = "ganimation" if found.kind == "generator" else "ganimation-critic"
    weights.save(
        path, found.network.state_dict(), name, found.config.sizes(), half=False,
        source=file.name,
    )  # fmt: skip
    c = found.config
    say(f"{found.kind} of {c.units} action units at {c.size} px")
    result(str(path))
