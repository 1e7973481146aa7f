"""What ONNX files hold of each model: its networks, their inputs, and what their outputs make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle as Handle

from memegen import aus
from memegen.cartoon.pose import MORPH, POSE, ROTATE
from memegen.generators.autoencoder import LABEL, AutoencoderNet
from memegen.generators.cartoon import (
    CartoonNet,
    Combination,
    Morph,
    Rotation,
    combine,
    morph_picture,
    rotate_picture,
)
from memegen.generators.compose import shift
from memegen.generators.export import Exported, Listener, Picture
from memegen.generators.ganimation import UNITS, GanimationNet, blend
from memegen.generators.network import FLOW, GeneratorNet, WindowNet, smoothed
from memegen.generators.pix2pix import Pix2PixNet
from memegen.generators.stargan import EXPRESSIONS, StarganNet
from memegen.generators.windows import FACE, fade
from memegen.perception.network import PerceptionNet

_CHANNELS = " ".join(aus.CHANNELS)


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


class Restyled(nn.Module):
    """StarGAN's generator without the attention that it does not have."""

    def __init__(self, network: StarganNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, photo: Tensor, label: Tensor) -> tuple[Tensor, ...]:
        """See StarganNet.forward."""
        return (self.network(photo, label)[1],)


class TranslatedFace(nn.Module):
    """pix2pix's U-Net with the encoding of the expression inside."""

    def __init__(self, network: Pix2PixNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, photo: Tensor, moved: Tensor, units: Tensor) -> tuple[Tensor, ...]:
        """See Pix2PixNet.forward; units as of `condition_of`."""
        return (self.network(photo, moved, self.network.read(units)),)


class RefinedWindow(nn.Module):
    """pix2pix's local network for one of REFINED, with the encoding of the expression inside."""

    def __init__(self, network: Pix2PixNet, part: int) -> None:
        super().__init__()
        assert network.local is not None
        self.read, self.local, self.part = network.read, network.local, part

    def forward(self, now: Tensor, moved: Tensor, units: Tensor) -> tuple[Tensor, ...]:
        """See RefineNet.forward."""
        return (self.local(now, moved, self.read(units), self.part),)


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


def _watch_part(name: str, network: nn.Module, listener: Listener) -> list[Handle]:
    """What the network of that name, a part of the generator's, is given."""
    return _watch_calls(network.get_submodule(name), listener)


def _watch_translation(part: int | None, network: nn.Module, listener: Listener) -> list[Handle]:
    """Two pictures and the expression, of pix2pix's U-Net or of its local network for a part."""
    assert isinstance(network, Pix2PixNet)
    told = list[Tensor]()  # the expression is encoded first, and once for all parts

    def units(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        told[:] = given

    def pictures(_: nn.Module, given: tuple[Any, ...]) -> None:
        if part is None or given[3] == part:
            listener((given[0], given[1], told[0]))

    watched = network if part is None else network.local
    assert watched is not None
    return [
        network.read.register_forward_pre_hook(units),
        watched.register_forward_pre_hook(pictures),
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


def _with_change(now: str, inputs: Mapping[str, Tensor], outputs: Sequence[Tensor]) -> Tensor:
    """The picture of that name and the change, feathered as it is when it is put in."""
    return inputs[now] + outputs[0] * fade(outputs[0].shape[-1])


def _morphed(inputs: Mapping[str, Tensor], outputs: Sequence[Tensor]) -> Tensor:
    return (morph_picture(inputs["picture"], Morph(*outputs)) + 1) / 2


def _rotated(inputs: Mapping[str, Tensor], outputs: Sequence[Tensor]) -> Tensor:
    """Both pictures, one behind the other in the batch."""
    return (torch.cat(rotate_picture(inputs["picture"], Rotation(*outputs))) + 1) / 2


def _combined(inputs: Mapping[str, Tensor], outputs: Sequence[Tensor]) -> Tensor:
    both = inputs["by_colour"], inputs["by_flow"]
    return (combine(*both, Combination(*outputs)) + 1) / 2


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


def stargan_networks(network: StarganNet) -> list[Exported]:
    """The generator."""
    side, labels = network.config.size, network.config.units
    inputs = {"photo": torch.rand(2, 3, side, side) * 2 - 1, "label": torch.rand(2, labels)}
    named = labels == len(EXPRESSIONS)
    order = ", ".join(expression.name for expression in EXPRESSIONS) if named else "as trained"
    about = {
        "colour": "the whole picture, RGB -1..1",
        "composition": "out = photo + colour(target's label) - colour(photo's own label)",
        "photo": "RGB -1..1",
        "label": f"share of each expression, 0..1, together 1: {order}",
    }
    made = ("colour",)
    return [Exported("", Restyled(network), inputs, made, about, _of_picture, _watch_calls)]


def pix2pix_networks(network: Pix2PixNet) -> list[Exported]:
    """The U-Net, and the local network for each of its windows."""
    c = network.config
    about = {
        "moved": "RGB 0..1, the window of the picture that the mesh has moved",
        "change": "what is added to that picture, feathered to nothing at the window's rim",
        "units": f"change, then target; each {_CHANNELS}, 0..1",
    }

    def exported(part: str, net: nn.Module, first: str, side: int) -> Exported:
        pictures = {name: torch.rand(2, 3, side, side) for name in (first, "moved")}
        inputs = pictures | {"units": torch.rand(2, 2 * len(aus.CHANNELS))}
        number = None if part == FACE.name else [w.name for w in c.refined].index(part)
        told = about | {first: f"RGB 0..1, the window {said[first]}"}
        picture = partial(_with_change, "moved" if number is None else "now")
        watch = partial(_watch_translation, number)
        return Exported(part.replace(" ", "-"), net, inputs, ("change",), told, picture, watch)

    said = {"photo": "of the photo", "now": "with the changes of the networks before in it"}
    return [
        exported(FACE.name, TranslatedFace(network), "photo", c.size),
        *(
            exported(window.name, RefinedWindow(network, part), "now", c.side_of(window))
            for part, window in enumerate(c.refined)
        ),
    ]


def cartoon_networks(network: CartoonNet) -> list[Exported]:
    """Morpher, rotator and combiner."""
    c, rgb = network.config, "RGB -1..1"
    numbers = f"{' '.join(POSE[i] for i in MORPH)}"
    turn = f"{' '.join(POSE[i] for i in ROTATE)}, -1..1"

    def picture() -> Tensor:
        return torch.rand(2, 3, c.size, c.size) * 2 - 1

    def exported(
        part: str, inputs: dict[str, Tensor], made: tuple[str, ...], about: dict[str, str],
        shown: Picture,
    ) -> Exported:  # fmt: skip
        watch = partial(_watch_part, part)
        return Exported(part, network.get_submodule(part), inputs, made, about, shown, watch)

    morph = {"picture": picture(), "own": torch.rand(2, c.morph), "target": torch.rand(2, c.morph)}
    angles = torch.rand(2, c.rotate)
    blended = "attention * picture + (1 - attention) * colour"
    return [
        exported("morpher", morph, Morph._fields, {
            "composition": f"out = {blended}", "picture": rgb,
            "own": f"what the picture shows: {numbers}", "target": "what it is to show: the same",
        }, _morphed),
        exported("rotator", {"picture": picture(), "turn": angles}, Rotation._fields, {
            "composition": f"by_colour = {blended}; by_flow = the picture, sampled at each pixel's "
            "place plus flow (half widths; x, y), which is enlarged to the picture's size",
            "picture": rgb, "turn": turn,
        }, _rotated),
        exported(
            "combiner", {"by_colour": picture(), "by_flow": picture(), "turn": angles},
            Combination._fields, {
                "composition": "out = attention * (flow_share * by_flow + (1 - flow_share) * "
                "by_colour) + (1 - attention) * retouch",
                "by_colour": rgb, "by_flow": rgb, "turn": turn,
            }, _combined,
        ),
    ]  # fmt: skip


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
