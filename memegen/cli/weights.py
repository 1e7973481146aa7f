"""`memegen weights`: files of weights, from and to other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memegen import models
from memegen.cli import complete
from memegen.cli.console import result, say, tabulate
from memegen.errors import UsageError, WeightsError, nearest
from memegen.files import check_writable

if TYPE_CHECKING:
    from memegen.weights import About

app = typer.Typer(
    help="List and look at weights, bring in GANimation's checkpoints, write for other programs.",
    no_args_is_help=True,
)
FORMATS = ("onnx", "safetensors")
_LONG = 100  # characters of a value beyond which `info` shows its beginning


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """The weights that are used by name: shipped ones, or those in $MEMEGEN_WEIGHTS."""
    from memegen import weights

    folder = weights.chosen_folder()
    found = [weights.about(path) for path in sorted(folder.glob("*.safetensors"))]
    if as_json:
        result(json.dumps([_told(one) for one in found], indent=2))
        return
    if not found:
        raise WeightsError(f"{folder}: no weights in this folder (reinstall memegen)")
    rows = [
        (
            one.path.stem, one.architecture, f"{one.numbers / 1e6:.2f} M numbers",
            f"{one.bytes / 1e6:.1f} MB",
            "(the default --model)" if one.path.stem == models.DEFAULT else "",
        )
        for one in found
    ]  # fmt: skip
    tabulate(rows, ("name", "architecture", "parameters", "file"))


@app.command()
def info(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of weights, a .safetensors, or a run's folder.",
            autocompletion=complete.weights,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What a weights file says of itself: network, sizes, action units, data, licence."""
    from memegen import weights

    path = weights.in_run(name, models.MODELS)
    path = path if path.is_file() else weights.find(str(path))
    one = weights.about(path)
    if as_json:
        shapes = {key: list(shape) for key, shape in one.shapes.items()}
        result(json.dumps(_told(one) | {"tensors": shapes}, indent=2))
        return
    told = _told(one)
    about = told.pop("metadata")
    assert isinstance(about, dict)
    rows = []
    for key, value in (told | about).items():
        text = str(value)
        cut = text if len(text) <= _LONG else f"{text[:_LONG]}... (--json shows all)"
        rows.append((key.replace("_", " "), cut))
    tabulate(rows)


def _told(one: About) -> dict[str, object]:
    return {
        "file": str(one.path),
        "architecture": one.architecture,
        "bytes": one.bytes,
        "tensors": len(one.shapes),
        "numbers": one.numbers,
        "types": ", ".join(one.types),
        "metadata": {k: v for k, v in sorted(one.metadata.items()) if k != "architecture"},
    }


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
    """Turn a GANimation checkpoint into weights for --model; generators and discriminators."""
    from memegen import weights
    from memegen.generators.checkpoints import convert, read_checkpoint

    path = out or file.with_suffix(".safetensors")
    check_writable(path, ".safetensors")
    if size is not None and (size < 64 or size % 64):
        raise UsageError(f"--size {size}: must be a multiple of 64")
    found = convert(read_checkpoint(file), size, str(file))
    name = "ganimation" if found.kind == "generator" else "ganimation-discriminator"
    weights.save(
        path, found.network.state_dict(), name, found.config, half=False,
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


@app.command()
def compress(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of weights, a .safetensors, or a run's folder.",
            autocompletion=complete.weights,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Safetensors file to write.")],
) -> None:
    """Store weights as 8-bit numbers: half the file, for memegen only, used like any other."""
    from memegen import weights

    path = weights.in_run(name, models.MODELS)
    path = path if path.is_file() else weights.find(str(path))
    check_writable(out, ".safetensors")
    found = weights.load(str(path), weights.architecture_of(path))
    weights.save(
        out, found.tensors, found.architecture, found.config, half=True, stored="int8",
        **{n: t for n, t in found.metadata.items() if n != "format"},
    )  # fmt: skip
    say(f"{path.stat().st_size / 1e6:.1f} MB -> {out.stat().st_size / 1e6:.1f} MB")
    result(str(out))


@app.command()
def export(
    model: Annotated[
        str,
        typer.Argument(
            help="Name of shipped weights, a .safetensors, or a run's folder.",
            autocompletion=complete.weights,
        ),
    ],
    form: Annotated[
        str, typer.Option("--format", help="onnx, or safetensors in full precision.")
    ] = FORMATS[0],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; here, named as the weights.")
    ] = None,
    precision: Annotated[
        str, typer.Option("--precision", help="Of ONNX: fp32, fp16 or int8.")
    ] = "fp32",
    photos: Annotated[
        Path | None,
        typer.Option(
            "--photos",
            help="Faces, a photo or a folder, that int8 finds its scales on; with them, size, "
            "speed and error of any precision are told.",
        ),
    ] = None,
) -> None:
    """Write networks for other programs; weights of several networks become several ONNX files."""
    from memegen.generators.export import export_safetensors
    from memegen.generators.onnx_precision import PRECISIONS
    from memegen.generators.registry import weights_named

    if form not in FORMATS:
        raise UsageError(
            f"--format {form}: unknown{nearest(form, FORMATS)} (known: onnx, safetensors)"
        )
    if precision not in PRECISIONS:
        raise UsageError(
            f"--precision {precision}: unknown{nearest(precision, PRECISIONS)} "
            f"(known: {', '.join(PRECISIONS)})"
        )
    if form != "onnx" and (precision != "fp32" or photos is not None):
        raise UsageError("--precision and --photos are for --format onnx")
    if precision == "int8" and photos is None:
        raise UsageError("--precision int8 needs --photos: faces that it finds its scales on")
    file = weights_named(model)
    path = out or Path(f"{file.stem}{'' if precision == 'fp32' else f'-{precision}'}.{form}")
    check_writable(path, f".{form}")
    if path.exists() and file.exists() and path.samefile(file):
        raise UsageError(f"{path}: these are the weights themselves; name another --out")
    if form == "onnx":
        _export_onnx(file, path, precision, photos)
        return
    for written in export_safetensors(file, path):
        result(str(written))


def _export_onnx(file: Path, path: Path, precision: str, photos: Path | None) -> None:
    """Write ONNX; where photos are given, say what the precision costs on them."""
    from memegen.generators.export import export_onnx, networks_of

    if photos is None:
        for written in export_onnx(file, path, precision):
            result(str(written))
        return
    from memegen.evaluation import exported_networks
    from memegen.evaluation.cross_reenactment import photos_in
    from memegen.photo import read_photo

    people = [read_photo(photo) for photo in photos_in(photos)]
    seen, held_out = exported_networks.parted(exported_networks.real_inputs(file, people))
    files = export_onnx(file, path, precision, seen)
    for written, one in zip(files, networks_of(file), strict=True):
        told = exported_networks.compare(one, written, held_out[one.part])
        off = "" if told.error is None else (
            f", off by {told.error:.2g} levels of 255 on average, {told.largest:.2g} at most"
        )  # fmt: skip
        say(
            f"{precision}: {told.megabytes:.2f} MB, {told.ms:.1f} ms a frame by onnxruntime here "
            f"({told.ms_torch:.1f} by torch){off}"
        )
        result(str(written))
