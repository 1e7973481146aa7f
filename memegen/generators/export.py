"""Networks for other programs: ONNX, or safetensors in full precision.

Every ONNX file takes batches of any length. Its metadata says what the numbers mean.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle as Handle

from memegen import aus, weights
from memegen.errors import UsageError, WeightsError
from memegen.files import written_whole
from memegen.generators.autoencoder import LABEL, AutoencoderNet
from memegen.generators.compose import shift
from memegen.generators.ganimation import UNITS, GanimationNet, blend
from memegen.generators.network import FLOW, GeneratorNet, WindowNet, smoothed
from memegen.generators.onnx_precision import Inputs, in_precision
from memegen.models import MODELS, resolve
from memegen.perception.network import PerceptionNet

OPSET = 18
_CHANNELS = " ".join(aus.CHANNELS)


Listener = Callable[[tuple[Tensor, ...]], None]


@dataclass(frozen=True)
class Exported:
    """One network as ONNX will know it."""

    part: str  # added to the file's name where weights hold several networks
    network: nn.Module
    inputs: dict[str, Tensor]  # examples by name; the first axis is the batch
    outputs: tuple[str, ...]
    about: dict[str, str]  # metadata
    # The picture (T, 3, S, S) in 0..1 that inputs and outputs make, where they make one.
    picture: Callable[[Mapping[str, Tensor], Sequence[Tensor]], Tensor] | None = None
    # Calls a listener with the inputs of this part whenever the generator's network is used.
    watch: Callable[[nn.Module, Listener], list[Handle]] | None = None


class OneWindow(nn.Module):
    """A window network with the encoding of the photo inside."""

    def __init__(self, network: WindowNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, photo: Tensor, frame: Tensor, units: Tensor) -> tuple[Tensor, ...]:
        """See WindowNet.encode and WindowNet.forward."""
        return tuple(self.network(frame, units, self.network.encode(photo)))


class Seen(nn.Module):
    """The perception network, its output as a plain tuple."""

    def __init__(self, network: PerceptionNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """See PerceptionNet.forward."""
        return tuple(self.network(crops))


class Relabelled(nn.Module):
    """An autoencoder, its output as a plain tuple."""

    def __init__(self, network: AutoencoderNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, photo: Tensor, label: Tensor) -> tuple[Tensor, ...]:
        """See AutoencoderNet.forward."""
        return (self.network(photo, label),)


def _watch_calls(network: nn.Module, listener: Listener) -> list[Handle]:
    return [network.register_forward_pre_hook(lambda _, given: listener(given))]


def _watch_mouths(network: nn.Module, listener: Listener) -> list[Handle]:
    """Photo, frame and units, as OneWindow takes them: the photo is encoded once for many."""
    assert isinstance(network, GeneratorNet)
    net, photos = network.mouth, list[Tensor]()

    def photo(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        photos.append(F.pixel_shuffle(given[0], 2))  # `encode` has unshuffled it

    def frames(_: nn.Module, given: tuple[Any, ...]) -> None:
        shown = photos[-1].expand(len(given[0]), -1, -1, -1)
        listener((shown, given[0], given[1]))

    return [
        net.photo[0].register_forward_pre_hook(photo),
        net.register_forward_pre_hook(frames),
    ]


def _of_window(inputs: Mapping[str, Tensor], outputs: Sequence[Tensor]) -> Tensor:
    """The composition at the network's own resolution."""
    attention, colour, residual = outputs
    moved = shift(smoothed(inputs["frame"][:, :3]), residual)
    return attention * moved + (1 - attention) * colour


def _of_photo(inputs: Mapping[str, Tensor], outputs: Sequence[Tensor]) -> Tensor:
    return (blend(inputs["photo"], outputs[0], outputs[1]) + 1) / 2


def _of_picture(inputs: Mapping[str, Tensor], outputs: Sequence[Tensor]) -> Tensor:
    return (outputs[0] + 1) / 2


def networks_of(file: Path) -> list[Exported]:
    """What a weights file holds. Raises WeightsError for one that cannot be exported."""
    architecture = weights.architecture_of(file)
    model = MODELS.get(architecture)
    if model is None or not model.exporter:
        raise WeightsError(f"{file}: weights for '{architecture}' are no network")
    network, _ = weights.load_network(str(file), architecture)
    found: list[Exported] = resolve(model.exporter)(network)
    return found


def ganimation_networks(network: GanimationNet) -> list[Exported]:
    """The generator."""
    config = network.config
    side = config.size
    inputs = {"photo": torch.rand(2, 3, side, side) * 2 - 1, "units": torch.rand(2, config.units)}
    named = config.units == len(aus.OPENFACE)
    order = f"{UNITS}: {' '.join(au.name for au in aus.OPENFACE)}" if named else "as trained"
    about = {
        "composition": "out = attention * photo + (1 - attention) * colour, all in -1..1",
        "units": f"{order}, 0..1",
    }
    made = ("attention", "colour")
    return [Exported("", network, inputs, made, about, _of_photo, _watch_calls)]


def autoencoder_networks(network: AutoencoderNet) -> list[Exported]:
    """Encoder and decoder as one."""
    side = network.config.size
    inputs = {"photo": torch.rand(2, 3, side, side) * 2 - 1, "label": torch.rand(2)}
    about = {
        "picture": "the photo with that label, RGB -1..1",
        "photo": "RGB -1..1",
        "label": f"intensity of {LABEL}, 0..1",
    }
    made = ("picture",)
    return [Exported("", Relabelled(network), inputs, made, about, _of_picture)]


def anatomical_networks(network: GeneratorNet) -> list[Exported]:
    """One network for each kind of window."""
    net = network.mouth
    side, seen = net.config.side, 3 + net.config.masks
    inputs = {
        "photo": torch.rand(2, seen, side, side),
        "frame": torch.rand(2, seen + FLOW, side, side),
        "units": torch.rand(2, 2 * len(aus.CHANNELS)),
    }
    about = {
        "composition": "out = moved + (1 - attention) * (colour - smooth(moved))",
        "moved": "the moved picture, sampled at its own place plus residual (window units)",
        "photo": "RGB 0..1 and the drawn outlines of the mouth's window, of the photo",
        "frame": "the same of the moved picture, and the mesh flow in window units",
        "units": f"change, then target; each {_CHANNELS}, 0..1",
    }
    outputs = ("attention", "colour", "residual")
    one = OneWindow(net)
    return [Exported("mouth", one, inputs, outputs, about, _of_window, _watch_mouths)]


def perception_networks(network: PerceptionNet) -> list[Exported]:
    """The whole of it."""
    size = network.config.size
    inputs = {"crops": torch.rand(2, 3, size, size)}
    about = {
        "crops": "RGB 0..1; eyes at (0.5, 0.40), their distance 0.27 of the side",
        "landmarks": "MediaPipe's 478 points in crop units",
        "units": f"{_CHANNELS}, 0..1",
        "angles": "yaw, pitch, roll in degrees, toward the person's left, up, left",
    }
    return [Exported("", Seen(network), inputs, ("landmarks", "units", "angles"), about)]


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
