"""`memegen weights`: files of weights, from and to other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memegen.cli.console import result, say
from memegen.errors import UsageError, nearest
from memegen.files import check_writable

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
    check_writable(path, ".safetensors")
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


@app.command()
def mix(
    parts: Annotated[
        list[str], typer.Argument(help="Weights of one kind, each NAME, FILE or FILE=SHARE.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Safetensors file to write.")],
) -> None:
    """Average weights of runs that began with the same ones; often better than each of them."""
    from memegen import weights

    shares = []
    for part in parts:
        name, equals, share = part.rpartition("=")
        try:
            shares.append((name, float(share)) if equals else (part, 1.0))
        except ValueError:
            raise UsageError(f"{part}: the share behind = is no number") from None
    if len(shares) < 2 or not all(0 < share < float("inf") for _, share in shares):
        raise UsageError("at least two weights are to be mixed, with shares above 0")
    check_writable(out, ".safetensors")
    mixed = weights.mix(shares)
    parts_said = ", ".join(f"{Path(name).name} {share:g}" for name, share in shares)
    weights.save(
        out, mixed.tensors, mixed.architecture, mixed.config, half=True,
        **{n: t for n, t in mixed.metadata.items() if n not in ("format", "mixed")},
        mixed=parts_said,
    )  # fmt: skip
    result(str(out))


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
    check_writable(path, f".{form}")
    if path.exists() and file.exists() and path.samefile(file):
        raise UsageError(f"{path}: these are the weights themselves; name another --out")
    for written in (export_onnx if form == "onnx" else export_safetensors)(file, path):
        result(str(written))
