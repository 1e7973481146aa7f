"""`memegen weights`: files of weights, from and to other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memegen.cli.console import result, say
from memegen.errors import UsageError, nearest

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


FORMATS = ("onnx", "safetensors")


@app.command()
def export(
    model: Annotated[
        str, typer.Argument(help="Name of shipped weights, a .safetensors, or a run's folder.")
    ],
    form: Annotated[
        str, typer.Option("--format", help="onnx, or safetensors in full precision.")
    ] = FORMATS[0],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; here, named as the weights.")
    ] = None,
) -> None:
    """Write networks for other programs; weights of several networks become several ONNX files."""
    from memegen.generators.export import export_onnx, export_safetensors
    from memegen.generators.registry import weights_named

    if form not in FORMATS:
        raise UsageError(
            f"--format {form}: unknown{nearest(form, FORMATS)} (known: onnx, safetensors)"
        )
    file = weights_named(model)
    path = out or Path(f"{file.stem}.{form}")
    if path.suffix != f".{form}" or not path.parent.is_dir():
        raise UsageError(f"{path}: --out takes a .{form} in a folder that exists")
    if path.exists() and file.exists() and path.samefile(file):
        raise UsageError(f"{path}: these are the weights themselves; name another --out")
    for written in (export_onnx if form == "onnx" else export_safetensors)(file, path):
        result(str(written))
