"""The talking head of Khungurn 2019 (pkhungurn.github.io/talking-head-anime) for drawn faces.

Three networks in turn. The *morpher* is GANimation's generator (arXiv 1807.09251): it shuts eyes,
opens mouths, moves brows and gaze, and leaves the rest of the drawing as it is. The *rotator* turns
the head in two ways off one trunk: attention and colour as the morpher, and appearance flow (Zhou
et al. 2016, arXiv 1605.03557), which carries the drawing's own lines. The *combiner*, a U-Net
(arXiv 1505.04597), sees both pictures and says where which is right, and what neither is.

Colour pictures are the input and a change of it, where GANimation makes them anew: a network that
has learnt nothing then returns its input, and learns from there, instead of having to draw a whole
face before its attention lets any of it be seen.

Of drawings that are animated the morpher is only asked where eyes, brows and mouth are
(`drawing_parts`). Flow moves these (`drawing_flow`): what the morpher paints itself is blurred
after short training.

All masks, colours and flows are made at the networks' resolution and applied to the drawing at its
own, so that lines stay as sharp as they were drawn. Pictures of the networks are in -1..1. A pose
(`memegen.cartoon.pose`) says how a character differs from how it was drawn: where nothing is to
differ, every network returns its input exactly, by construction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memegen import weights
from memegen.arrays import Array, Picture
from memegen.cartoon.pose import MORPH, POSE, ROTATE
from memegen.devices import has_halves
from memegen.errors import WeightsError
from memegen.generators.compose import shift
from memegen.generators.drawing_flow import DrawingFlow
from memegen.generators.drawing_parts import find_parts
from memegen.generators.ganimation import blend
from memegen.generators.trunk import Modulation, Residual, modulated, residual_trunk

POSE_ORDER = " ".join(POSE)  # as weights files say which numbers drive them
FLOW_REACH = 0.5  # farthest that flow fetches from, in half widths of the picture: 64 of 256 px
GATE = 0.04  # change of a pose from which a network has its full say; below, less and less
KEPT_AT_FIRST = 0.75  # attention of a network that has learnt nothing
# What attention is taken as when drawings are made: 1 - SNAP and more keeps a pixel exactly.
SNAP = 0.02
FLOW_FROM, FLOW_SURE = 0.1, 0.5  # shares of flow that are taken as 0 and as 1 then
EDGE = 0.25  # of a crop's side, over which turning fades out
_PEAK = 127.5  # 0..255 to -1..1
_SEEN_CHANGE = 8.0  # difference of a channel, of 255, that counts as a pixel wholly changed


@dataclass(frozen=True)
class CartoonConfig:
    """Sizes of the three networks; stored in the weights file."""

    size: int = 256  # side of the pictures in pixels
    # Pixels along a side that are folded into channels (Shi et al. 2016, arXiv 1609.05158): the
    # trunk works at 128 px, where a feature map costs a quarter.
    fold: int = 2
    morph: int = len(MORPH)  # numbers of a pose that the morpher changes
    rotate: int = len(ROTATE)  # and the rotator
    width: int = 40  # feature maps of both trunks at their full resolution
    blocks: int = 6  # residual blocks of both trunks
    combiner: tuple[int, ...] = (24, 48, 96, 128)  # feature maps of the U-Net, level by level


class Morph(NamedTuple):
    """What the morpher says: `blend(picture, attention, colour)`."""

    attention: Tensor  # (B, 1, S, S) 0..1, how much stays
    colour: Tensor  # (B, 3, S, S) -1..1, and somewhat beyond


class Rotation(NamedTuple):
    """What the rotator says: a colour path and a flow path."""

    attention: Tensor  # (B, 1, S, S) 0..1, how much stays
    colour: Tensor  # (B, 3, S, S) -1..1, and somewhat beyond
    flow: Tensor  # (B, 2, F, F) where each pixel comes from, an offset in half widths (x, y)


class Combination(NamedTuple):
    """What the combiner says."""

    flow_share: Tensor  # (B, 1, S, S) 0..1 of the flow path; the rest is the colour path's
    attention: Tensor  # (B, 1, S, S) 0..1, how much of these both stays
    retouch: Tensor  # (B, 3, S, S) -1..1 and somewhat beyond, what takes the rest's place

    def shares(self) -> Tensor:
        """(B, 3, S, S) of flow path, colour path and retouching; they add up to 1."""
        kept = self.attention
        return torch.cat([kept * self.flow_share, kept * (1 - self.flow_share), 1 - kept], 1)


def tile(numbers: Tensor, like: Tensor) -> Tensor:
    """Numbers (B, N) as maps (B, N, H, W) behind the channels of a picture (B, C, H, W)."""
    maps = numbers[:, :, None, None].expand(-1, -1, *like.shape[2:])
    return torch.cat([like, maps.to(like.dtype)], 1)


def gate(change: Tensor) -> Tensor:
    """(B, N) changes of a pose to (B, 1, 1, 1): 0 where nothing changes, 1 from GATE on."""
    return (change.abs().amax(1) / GATE).clamp(max=1)[:, None, None, None]


def recoloured(picture: Tensor, change: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) of -1..1, changed by up to the whole range; change is not limited."""
    return picture + 2 * torch.tanh(change)


def _head(before: int, after: int, kernel: int) -> nn.Conv2d:
    """A last convolution that says next to nothing before it has learnt."""
    head = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    nn.init.normal_(head.weight, 0, 3e-4)
    nn.init.zeros_(head.bias)  # type: ignore[arg-type]
    return head


_KEPT_BIAS = float(np.log(KEPT_AT_FIRST / (1 - KEPT_AT_FIRST)))


class Morpher(nn.Module):
    """Changes eyes, brows and mouth."""

    def __init__(self, config: CartoonConfig) -> None:
        super().__init__()
        c = config
        self.fold = c.fold
        self.trunk = residual_trunk(3 * c.fold**2 + 2 * c.morph, c.width, c.blocks)
        self.modulation = Modulation(2 * c.morph, 4 * c.width, c.blocks)
        self.head = _head(c.width, 4 * c.fold**2, 7)

    def forward(self, picture: Tensor, own: Tensor, target: Tensor) -> Morph:
        """Pictures (B, 3, S, S), and what they show and are to show (B, M)."""
        change = target - own
        numbers = torch.cat([change, target], 1)
        x = tile(numbers, F.pixel_unshuffle(picture, self.fold))
        x = modulated(self.trunk, x, self.modulation(numbers))
        found = F.pixel_shuffle(self.head(x), self.fold).float()
        attention = torch.sigmoid(found[:, :1] + _KEPT_BIAS)
        return Morph(1 - (1 - attention) * gate(change), recoloured(picture, found[:, 1:]))


class Rotator(nn.Module):
    """Turns the head, by colour and by flow."""

    def __init__(self, config: CartoonConfig) -> None:
        super().__init__()
        c = config
        self.fold = c.fold
        self.trunk = residual_trunk(3 * c.fold**2 + c.rotate, c.width, c.blocks)
        self.modulation = Modulation(c.rotate, 4 * c.width, c.blocks)
        self.head = _head(c.width, 4 * c.fold**2, 7)
        self.flow = _head(c.width, 2, 7)  # at the trunk's resolution: flow is smooth

    def forward(self, picture: Tensor, turn: Tensor) -> Rotation:
        """Pictures (B, 3, S, S) and angles (B, 3) -1..1."""
        x = tile(turn, F.pixel_unshuffle(picture, self.fold))
        x = modulated(self.trunk, x, self.modulation(turn))
        found = F.pixel_shuffle(self.head(x), self.fold).float()
        flow, some = self.flow(x).float(), gate(turn)
        attention = torch.sigmoid(found[:, :1] + _KEPT_BIAS)
        return Rotation(
            1 - (1 - attention) * some,
            recoloured(picture, found[:, 1:]),
            # Sampling at a position that is no number reads beyond memory on CPUs.
            torch.tanh(flow).nan_to_num(0.0) * FLOW_REACH * some,
        )


def _step(before: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, 1, bias=False),
        nn.InstanceNorm2d(after, affine=True),
        nn.ReLU(),
    )


class Combiner(nn.Module):
    """Chooses between the rotator's two pictures, and mends what neither has."""

    def __init__(self, config: CartoonConfig) -> None:
        super().__init__()
        c = config
        self.fold = c.fold
        first, *rest = c.combiner
        self.begin = _step(6 * c.fold**2 + c.rotate, first, 3)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for before, after in zip(c.combiner, rest, strict=False):
            self.down.append(_step(before, after, 4, 2))
            self.up.insert(0, _step(before + after, before, 3))
        self.deep = Residual(c.combiner[-1])
        self.modulation = Modulation(c.rotate, c.combiner[-1], 1)
        self.head = _head(first, 5 * c.fold**2, 3)

    def forward(self, by_colour: Tensor, by_flow: Tensor, turn: Tensor) -> Combination:
        """Both pictures (B, 3, S, S) and angles (B, 3) -1..1."""
        both = torch.cat([by_colour, by_flow], 1)
        x = self.begin(tile(turn, F.pixel_unshuffle(both, self.fold)))
        levels = []
        for layer in self.down:
            levels.append(x)
            x = layer(x)
        x = self.deep(x, *self.modulation(turn))
        for layer in self.up:
            x = layer(torch.cat([F.interpolate(x, scale_factor=2.0), levels.pop()], 1))
        found = F.pixel_shuffle(self.head(x), self.fold).float()
        attention = torch.sigmoid(found[:, 1:2] + _KEPT_BIAS)
        flow_share = torch.sigmoid(found[:, :1])
        return Combination(
            flow_share,
            1 - (1 - attention) * gate(turn),
            recoloured(blend(by_flow, flow_share, by_colour), found[:, 2:]),
        )


class CartoonNet(nn.Module):
    """All three, as one weights file holds them."""

    def __init__(self, config: CartoonConfig | None = None) -> None:
        super().__init__()
        self.config = config or CartoonConfig()
        self.morpher = Morpher(self.config)
        self.rotator = Rotator(self.config)
        self.combiner = Combiner(self.config)

    def forward(self, picture: Tensor, own: Tensor, pose: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) with their own poses, and target poses (B, P), to pictures.

        The head's own angles are what it is drawn at: only those of the target count.
        """
        morph, rotate = list(MORPH), list(ROTATE)
        morphed = morph_picture(picture, self.morpher(picture, own[:, morph], pose[:, morph]))
        turn = pose[:, rotate]
        by_colour, by_flow = rotate_picture(morphed, self.rotator(morphed, turn))
        return combine(by_colour, by_flow, self.combiner(by_colour, by_flow, turn))


def morph_picture(picture: Tensor, morph: Morph) -> Tensor:
    """The morpher's output applied to pictures (B, 3, S, S) of any size."""
    side = picture.shape[-1]
    return blend(picture, resized(morph.attention, side), resized(morph.colour, side))


def rotate_picture(picture: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor]:
    """By colour and by flow: the rotator's output applied to pictures (B, 3, S, S) of any size."""
    side = picture.shape[-1]
    by_colour = blend(picture, resized(rotation.attention, side), resized(rotation.colour, side))
    return by_colour, shift(picture, resized(rotation.flow, side))


def combine(by_colour: Tensor, by_flow: Tensor, combination: Combination) -> Tensor:
    """The combiner's output applied to both pictures (B, 3, S, S) of any size."""
    shares = resized(combination.shares(), by_flow.shape[-1])
    retouch = resized(combination.retouch, by_flow.shape[-1])
    return shares[:, :1] * by_flow + shares[:, 1:2] * by_colour + shares[:, 2:] * retouch


def resized(maps: Tensor, side: int) -> Tensor:
    """Maps (B, C, H, H) in another size, smoothly; larger ones are averaged."""
    if maps.shape[-1] == side:
        return maps
    smaller = side < maps.shape[-1]
    return F.interpolate(maps, (side, side), mode="bilinear", antialias=smaller)


def snapped(attention: Tensor) -> Tensor:
    """Attention that is all but 0 or 1 is taken as 0 or 1: what is kept is kept to the bit."""
    return ((attention - SNAP) / (1 - 2 * SNAP)).clamp(0, 1)


def edge_fade(side: int) -> Tensor:
    """(1, 1, S, S) 0 at a picture's edges, 1 from EDGE of its side on."""
    at = (torch.arange(side) + 0.5) / (EDGE * side)
    rise = torch.minimum(at, at.flip(0)).clamp(max=1)
    rise = rise * rise * (3 - 2 * rise)
    return torch.outer(rise, rise)[None, None]


class CartoonNetworks:
    """Moves drawn faces; `file` names or is a weights file.

    Raises WeightsError for weights that are driven by other poses.
    """

    def __init__(self, device: str = "cpu", file: str = "cartoon") -> None:
        self._device = torch.device(device)
        self.network: CartoonNet
        self.network, found = weights.load_network(file, "cartoon")
        if found.metadata.get("au_order") != POSE_ORDER:
            raise WeightsError(f"{found.path}: made for another list of pose numbers")
        self.network.to(self._device).to(memory_format=torch.channels_last)

    def render(
        self, crop: Picture, poses: Array, own: Array | None = None
    ) -> Iterator[tuple[Picture, Array]]:
        """A square crop of a drawing in T poses, one at a time.

        crop (S, S, 3) uint8, S of any size: networks see it at theirs; poses (T, P) float32; own
        (P,) what the drawing shows already, by default the rest pose: eyes open, mouth shut.
        Yields the picture (S, S, 3) uint8, and (S, S) float32 0..1 how much of each pixel changed.
        """
        rest = np.zeros(len(POSE), np.float32) if own is None else np.asarray(own, np.float32)
        crop = np.asarray(crop)
        flow: DrawingFlow | None = None
        for pose in np.asarray(poses, np.float32):
            change = pose - rest
            picture = crop
            if change[list(MORPH)].any():
                flow = flow or self._flow(crop, rest)
                picture = flow.moved({POSE[i]: float(change[i]) for i in MORPH})
            if pose[list(ROTATE)].any():
                picture = self._turned(picture, pose[list(ROTATE)])
            difference = np.abs(picture.astype(np.int16) - crop).max(-1)
            yield picture, np.minimum(difference / _SEEN_CHANGE, 1).astype(np.float32)

    def _flow(self, crop: Picture, own: Array) -> DrawingFlow:
        """Where the morpher finds the parts of a crop, and how they move."""
        side = self.network.config.size
        with torch.inference_mode():
            seen = resized(self._tensor(crop), side)

        def changed(numbers: Mapping[str, float]) -> Array:
            pose = own.copy()
            for name, value in numbers.items():
                pose[POSE.index(name)] = value
            before, after = (
                torch.from_numpy(found[list(MORPH)])[None].to(self._device) for found in (own, pose)
            )
            with torch.inference_mode():
                made = morph_picture(seen, self.network.morpher(seen, before, after))
                return ((made - seen)[0] * _PEAK).permute(1, 2, 0).float().cpu().numpy()

        return DrawingFlow(crop, find_parts(changed))

    def _tensor(self, crop: Picture) -> Tensor:
        picture = torch.from_numpy(np.array(crop, np.float32)).to(self._device)
        return picture.permute(2, 0, 1)[None] / _PEAK - 1

    def _turned(self, crop: Picture, angles: Array) -> Picture:
        """A crop with its head turned by (3,) numbers of a pose."""
        net, turn = self.network, torch.from_numpy(angles).to(self._device)[None]
        autocast = torch.autocast(self._device.type, torch.bfloat16, has_halves(self._device))
        with torch.inference_mode(), autocast:
            picture = self._tensor(crop)
            seen = resized(picture, net.config.size)
            rotation = net.rotator(seen, turn)
            # Towards the crop's edges the flow comes to rest: what is beyond them does not turn.
            inner = edge_fade(net.config.size).to(self._device)
            rotation = rotation._replace(
                flow=resized(inner, rotation.flow.shape[-1]) * rotation.flow
            )
            said = net.combiner(*rotate_picture(seen, rotation), turn)
            attention = 1 - inner * (1 - snapped(said.attention))
            # Flow has the drawing's own lines: it is taken unless the combiner is much against it.
            by_flow = ((said.flow_share - FLOW_FROM) / (FLOW_SURE - FLOW_FROM)).clamp(0, 1)
            said = said._replace(attention=attention, flow_share=1 - inner * (1 - by_flow))
            made = combine(*rotate_picture(picture, rotation), said)
        levels = ((made[0].float() + 1) * _PEAK).round().clamp(0, 255)
        return levels.permute(1, 2, 0).byte().cpu().numpy()
