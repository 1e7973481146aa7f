"""Networks for other programs: ONNX, or safetensors in full precision.

Every ONNX file takes batches of any length. Its metadata says what the numbers mean.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle as Handle

from memegen import weights
from memegen.errors import UsageError, WeightsError
from memegen.files import written_whole
from memegen.generators.onnx_precision import Inputs, in_precision
from memegen.models import MODELS, resolve

OPSET = 18

Listener = Callable[[tuple[Tensor, ...]], None]
Picture = Callable[[Mapping[str, Tensor], Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class Exported:
    """One network as ONNX will know it."""

    part: str  # added to the file's name where weights hold several networks
    network: nn.Module
    inputs: dict[str, Tensor]  # examples by name; the first axis is the batch
    outputs: tuple[str, ...]
    about: dict[str, str]  # metadata
    # The picture (T, 3, S, S) in 0..1 that inputs and outputs make, where they make one.
    picture: Picture | None = None
    # Calls a listener with the inputs of this part whenever the generator's network is used.
    watch: Callable[[nn.Module, Listener], list[Handle]] | None = None


def networks_of(file: Path) -> list[Exported]:
    """What a weights file holds. Raises WeightsError for one that cannot be exported."""
    architecture = weights.architecture_of(file)
    model = MODELS.get(architecture)
    if model is None or not model.exporter:
        raise WeightsError(f"{file}: weights for '{architecture}' are no network")
    network, _ = weights.load_network(str(file), architecture)
    found: list[Exported] = resolve(model.exporter)(network)
    return found


def export_onnx(
    file: Path,
    out: Path,
    precision: str = "fp32",
    calibration: Mapping[str, Sequence[Inputs]] | None = None,
) -> list[Path]:
    """Write the networks of a weights file as ONNX; returns what was written.

    Weights of several networks become several files, `out-mouth.onnx` and so on.
    precision: of PRECISIONS; calibration: {part: real inputs}, for int8.
    Raises UsageError if the onnx packages are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (what torch writes ONNX with)
    except ImportError:
        raise UsageError("ONNX needs its packages: pip install 'memegen-faces[onnx]'") from None
    written = []
    for one in networks_of(file):
        path = out.with_stem(f"{out.stem}-{one.part}") if one.part else out
        batch = torch.export.Dim("batch")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that all inputs share their batch
            program = torch.onnx.export(
                one.network.eval(),
                tuple(one.inputs.values()),
                input_names=list(one.inputs),
                output_names=list(one.outputs),
                opset_version=OPSET,
                dynamic_shapes=tuple({0: batch} for _ in one.inputs),
                dynamo=True,
                verbose=False,
            )
        assert program is not None
        model = program.model_proto
        about = {"source": file.name, "precision": precision, **one.about}
        for name, value in about.items():
            model.metadata_props.add(key=name, value=value)
        model = in_precision(model, precision, (calibration or {}).get(one.part, ()))
        with written_whole(path, ".onnx") as partial:
            onnx.save(model, partial)
        written.append(path)
    return written


def export_safetensors(file: Path, out: Path) -> list[Path]:
    """Write weights in full precision, for programs that know no half; returns what was written."""
    architecture = weights.architecture_of(file)
    found = weights.load(str(file), architecture)
    tensors = {n: t.float() if t.is_floating_point() else t for n, t in found.tensors.items()}
    about = {name: text for name, text in found.metadata.items() if name != "format"}
    weights.save(out, tensors, architecture, found.config, half=False, **about)
    return [out]
