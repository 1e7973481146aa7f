"""Weights files: safetensors that say what network they fit and where they come from."""

from __future__ import annotations

import inspect
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, get_type_hints

from memegen import aus
from memegen.errors import WeightsError
from memegen.files import written_whole
from memegen.models import MODELS, RENAMED, ChannelAxis, models_with, resolve
from memegen.stored import SCALE, packed, unpacked

if TYPE_CHECKING:
    import torch

P = ParamSpec("P")
T = TypeVar("T")
FORMAT = "1"
SHIPPED = tuple(model.name for model in models_with("shipped"))


@dataclass(frozen=True)
class Weights:
    """The contents of one weights file."""

    path: Path
    architecture: str  # name of the network in `models.MODELS`, for example "perception"
    config: dict[str, Any]  # sizes of the network
    metadata: dict[str, str]  # everything else the file says about itself
    tensors: dict[str, torch.Tensor]


def folder() -> Path:
    """Where the shipped weights are: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "data" / "weights"
    return inside if inside.is_dir() else package.parent / "weights"


def chosen_folder() -> Path:
    """Where weights are looked for by name: $MEMEGEN_WEIGHTS, else the shipped ones."""
    override = os.environ.get("MEMEGEN_WEIGHTS")
    return Path(override) if override else folder()


def find(name: str) -> Path:
    """The file of shipped weights by name ("perception"), or the path itself if it is one."""
    direct = Path(name)
    if direct.suffix == ".safetensors" or len(direct.parts) > 1:
        return direct
    return chosen_folder() / f"{name}.safetensors"


def remembered(read: Callable[P, T]) -> Callable[P, T]:
    """A reader of weights by `name` that reads a file again only when it is another one.

    Training writes weights that the same process may then use.
    """
    known: dict[str, tuple[tuple[str, int, int] | None, T]] = {}
    signature = inspect.signature(read)

    @wraps(read)
    def reader(*args: P.args, **kwargs: P.kwargs) -> T:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        name = str(bound.arguments["name"])
        stamp = _stamp(find(name))
        if name not in known or known[name][0] != stamp:
            known[name] = (stamp, read(*args, **kwargs))
        return known[name][1]

    return reader


def _stamp(path: Path) -> tuple[str, int, int] | None:
    """What is different of another file; None: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_mtime_ns, found.st_size


def in_run(name: str, architectures: Iterable[str]) -> Path:
    """A path as it is; for the folder of a run, the first such weights that it holds.

    Where it has none of these names, as when they were compressed, the only weights in it.
    """
    path = Path(name)
    if not path.is_dir() or name in SHIPPED:
        return path
    files = [path / f"{known}.safetensors" for known in architectures]
    others = sorted(path.glob("*.safetensors"))
    other = others[0] if len(others) == 1 else files[0]
    return next((file for file in files if file.is_file()), other)


@dataclass(frozen=True)
class About:
    """What a weights file says of itself, without its numbers."""

    path: Path
    architecture: str  # name of the network in `models.MODELS`; "none" where the file does not say
    bytes: int
    shapes: dict[str, tuple[int, ...]]  # of its tensors
    types: tuple[str, ...]  # of numbers, as safetensors calls them: F16, F32
    metadata: dict[str, str]

    @property
    def numbers(self) -> int:
        """How many numbers its tensors hold together."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def about(path: Path) -> About:
    """Look at a weights file, without torch. Raises WeightsError if it is none."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"weights not found: {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = {str(k): str(v) for k, v in (file.metadata() or {}).items()}
            parts = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            shapes = {
                key: tuple(part.get_shape())
                for key, part in parts.items()
                if not key.endswith(SCALE)
            }
            types = tuple(sorted({str(part.get_dtype()) for part in parts.values()}))
        size = path.stat().st_size
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged weights file ({error})") from None
    architecture = metadata.get("architecture", "none")
    architecture = RENAMED.get(architecture, architecture)
    return About(path, architecture, size, shapes, types, metadata)


def architecture_of(path: Path) -> str:
    """What network a weights file is for. Raises WeightsError if it is none."""
    return about(path).architecture


def load(name: str, architecture: str) -> Weights:
    """Read weights and check that they are for `architecture`.

    `name` is a name, a file, or the folder of a run that holds such weights.
    Weights made for an older, shorter list of action units fit too: channels are matched by name,
    and those they do not know read 0 (see `models.Model.channels`).
    Raises WeightsError, in one line, if the file is missing, damaged or for another network.
    """
    from safetensors import SafetensorError, safe_open

    path = find(str(in_run(name, [architecture])))
    if not path.is_file():
        ours = name in SHIPPED
        helps = "reinstall memegen, or set MEMEGEN_WEIGHTS" if ours else "train or import some"
        raise WeightsError(f"weights not found: {path} ({helps})")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = unpacked({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
        config = json.loads(metadata.pop("config", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: damaged weights file ({error})") from None
    found = metadata.pop("architecture", "none")
    found = RENAMED.get(found, found)
    if found != architecture:
        raise WeightsError(f"{path}: these weights are for '{found}', not for '{architecture}'")
    return _with_channels(Weights(path, found, config, metadata, tensors))


def _with_channels(file: Weights) -> Weights:
    """The same weights for today's channels, in today's order."""
    model = MODELS.get(file.architecture)
    if (
        model is None
        or not model.channels
        or file.metadata.get("au_order") == " ".join(aus.CHANNELS)
    ):
        return file
    order = file.metadata.get("au_order", "").split()
    if not order or not set(order) <= set(aus.CHANNELS) or len(order) != len(set(order)):
        raise WeightsError(f"{file.path}: made for another list of action units")
    places = [aus.INDEX[channel] for channel in order]
    tensors = dict(file.tensors)
    for name, tensor in file.tensors.items():
        for ending, place in model.channels.items():
            if name == ending or name.endswith("." + ending):
                tensors[name] = _spread(file.path, tensor, places, place)
        if name in model.channel_numbers:
            tensors[name] = tensor.new_tensor(places)[tensor.long()]
    config = file.config | ({"channels": len(aus.CHANNELS)} if "channels" in file.config else {})
    metadata = file.metadata | {"au_order": " ".join(aus.CHANNELS)}
    return Weights(file.path, file.architecture, config, metadata, tensors)


def _spread(
    path: Path, tensor: torch.Tensor, places: list[int], where: ChannelAxis
) -> torch.Tensor:
    """`tensor` with its channels at `places` of today's, the rest absent."""
    axis, repeats = where.axis, where.repeats
    if tensor.ndim <= axis or tensor.shape[axis] != repeats * len(places):
        raise WeightsError(f"{path}: made for another list of action units")
    count, shape = len(aus.CHANNELS), list(tensor.shape)
    shape[axis] = repeats * count
    whole = tensor.new_full(shape, where.absent)
    for block in range(repeats):
        rows = [block * count + place for place in places]
        start = block * len(places)
        part = tensor.narrow(axis, start, len(places))
        whole.index_copy_(axis, tensor.new_tensor(rows).long(), part)
    return whole


def save(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    architecture: str,
    config: Any,
    half: bool = True,
    stored: str = "",
    **metadata: str,
) -> None:
    """Write weights, beside and renamed, with what they are and come from.

    config: sizes of the network, a dataclass or the mapping of `Weights.config`.
    In half precision, unless what is written must be exactly what was read (`half` false); `stored`
    says it for itself, and may be int8 (`memegen.stored`): half the
    size once more.
    """
    import torch
    from safetensors.torch import save_file

    how = stored or ("half" if half else "full")
    kept = packed(tensors, how)
    if not all(torch.isfinite(t).all() for t in kept.values() if t.is_floating_point()):
        raise WeightsError(f"{path}: not written, the weights hold infinite or undefined numbers")
    sizes = (
        asdict(config) if is_dataclass(config) and not isinstance(config, type) else dict(config)
    )
    about = {"format": FORMAT, "architecture": architecture, "config": json.dumps(sizes)}
    metadata.pop("numbers", None)
    if how == "int8":
        about["numbers"] = "8 bits, one scale for each output channel"
    with written_whole(path) as partial:
        save_file(kept, partial, about | metadata)


def mix(parts: list[tuple[str, float]]) -> Weights:
    """The weighted mean of weights of one kind (a "model soup", Wortsman et al. 2022).

    parts: names or files, and how much each counts. Runs that began with the same weights have
    such a mean that is often better than each. Raises WeightsError where they do not fit together.
    """
    architecture = architecture_of(find(parts[0][0]))
    found = [load(name, architecture) for name, _ in parts]
    first = found[0]
    for other in found[1:]:
        shapes = ({n: t.shape for n, t in w.tensors.items()} for w in (first, other))
        if other.config != first.config or next(shapes) != next(shapes):
            raise WeightsError(f"{other.path}: of other sizes than {first.path}")
    total = sum(share for _, share in parts)
    mixed = {}
    for name, tensor in first.tensors.items():
        if tensor.is_floating_point():
            mixed[name] = tensor.float() * (parts[0][1] / total)
            for other, (_, share) in zip(found[1:], parts[1:], strict=True):
                mixed[name] += other.tensors[name].float() * (share / total)
        else:
            mixed[name] = tensor
    return Weights(first.path, architecture, first.config, first.metadata, mixed)


def load_state(network: torch.nn.Module, weights: Weights) -> None:
    """Copy tensors into a network; WeightsError names the first that does not fit."""
    state = network.state_dict()
    for name, target in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        if name not in weights.tensors or weights.tensors[name].shape != target.shape:
            raise WeightsError(f"{weights.path}: tensor '{name}' is missing or has another shape")
        target.copy_(weights.tensors[name])


def load_network(name: str, architecture: str) -> tuple[Any, Weights]:
    """The network of some weights, ready to be used, and the weights themselves.

    Raises what `load` raises, and WeightsError for sizes or tensors that do not fit.
    """
    found, model = load(name, architecture), MODELS[architecture]
    try:
        network = resolve(model.network)(config_from(resolve(model.config), found.config))
    except (TypeError, KeyError) as error:
        raise WeightsError(f"{found.path}: unknown network sizes ({error})") from None
    load_state(network, found)
    return network.eval(), found


def config_from(kind: type[T], sizes: Mapping[str, Any]) -> T:
    """A config, and configs in it, from the JSON of a weights file.

    Raises TypeError or KeyError where it has other fields.
    """
    hints = get_type_hints(kind)

    def value(name: str, stored: Any) -> Any:
        if isinstance(stored, Mapping) and is_dataclass(hints[name]):
            return config_from(hints[name], stored)
        return tuple(stored) if isinstance(stored, list) else stored

    return kind(**{name: value(name, stored) for name, stored in sizes.items()})
