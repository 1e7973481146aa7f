"""Paired translation (pix2pix, Isola et al. 2017, arXiv 1611.07004) of what the mesh has moved.

A U-Net turns the moved and drawn face into a real one; the patch adversary and L1 that teach it are
in `training.pix2pix`. It is a paired decoder in the capture-and-synthesis sense: the expression, as
perception captures it from whoever drives the face, becomes a code at its bottleneck, and a second,
small network refines mouth and eyes at a higher resolution than the U-Net sees.

It returns changes of the moved picture, so that it begins as `mesh`. Upsampling is nearest
neighbour and a convolution instead of the paper's transposed convolutions, which leave a
checkerboard (Odena et al. 2016); no dropout, because frames of an animation must not flicker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memegen import aus, weights
from memegen.arrays import Array
from memegen.devices import has_halves
from memegen.generators.anatomical import PEAK
from memegen.generators.base import Scene
from memegen.generators.compose import compose_change, put
from memegen.generators.mesh import MeshGenerator, MeshRenderer
from memegen.generators.network import Block, awake, condition_of
from memegen.generators.windows import FACE, MOUTH, Window, fade, place, sample_window, to_pixels
from memegen.geometry.topology import EYE_LEFT, EYE_RIGHT
from memegen.tracks import Detail

REFINED = (
    MOUTH,
    Window("left eye", 0.8, (EYE_LEFT,)),
    Window("right eye", 0.8, (EYE_RIGHT,)),
)  # what the local network looks at
EYES_SHARE = 2  # the mouth's window has so many times the pixels of an eye's


@dataclass(frozen=True)
class Pix2PixConfig:
    """Sizes of the networks; stored in the weights file."""

    size: int = 128  # side of the crop in pixels, a multiple of 2 ** levels
    width: int = 40  # feature maps after the first halving
    levels: int = 5  # halvings, down to 4 px at 128
    code: int = 128  # numbers of the expression's code
    refine: bool = True  # whether there is a local network
    refine_side: int = 96  # pixels of its window of a mouth
    refine_width: int = 32  # its feature maps, at half of that

    @property
    def widths(self) -> list[int]:
        """Feature maps after each halving: doubled, at most eightfold."""
        return [self.width * min(2**level, 8) for level in range(self.levels)]

    @property
    def refined(self) -> tuple[Window, ...]:
        """Windows of the local network."""
        return REFINED if self.refine else ()

    def side_of(self, window: Window) -> int:
        """Pixels of a window that the local network sees."""
        return self.refine_side if window is MOUTH else self.refine_side // EYES_SHARE


def _down(before: int, after: int, norm: bool) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 4, 2, 1, bias=not norm)
    return nn.Sequential(
        convolution, nn.InstanceNorm2d(after) if norm else nn.Identity(), nn.LeakyReLU(0.2)
    )


def _up(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.InstanceNorm2d(after),
        nn.ReLU(),
    )


class RefineNet(nn.Module):
    """Changes a window at its own resolution, told the expression and which part it is."""

    def __init__(self, width: int, code: int) -> None:
        super().__init__()
        self.part = nn.Embedding(len(REFINED), code)
        self.stem = nn.Conv2d(4 * 6, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.deep = nn.ModuleList([Block(2 * width, code) for _ in range(2)])
        self.up = nn.Conv2d(2 * width, width, 3, padding=1)
        self.fine = Block(width, code)
        self.head = nn.Conv2d(width, 4 * 3, 3, padding=1)
        _silent(self.head)

    def forward(self, now: Tensor, moved: Tensor, code: Tensor, part: int) -> Tensor:
        """The change (T, 3, S, S) of windows in 0..1: as the U-Net left them, and as moved."""
        told = code + self.part.weight[part]
        fine = F.silu(self.stem(F.pixel_unshuffle(torch.cat([now, moved], 1) * 2 - 1, 2)))
        x = F.silu(self.down(fine))
        for block in self.deep:
            x = block(x, told)
        x = self.fine(fine + self.up(F.interpolate(x, scale_factor=2.0)), told)
        return F.pixel_shuffle(self.head(x), 2)


def _silent(head: nn.Conv2d) -> None:
    """A last layer that begins with no change at all."""
    nn.init.zeros_(head.weight)
    if head.bias is not None:
        nn.init.zeros_(head.bias)


class Pix2PixNet(nn.Module):
    """The U-Net, and the local network if there is one."""

    def __init__(self, config: Pix2PixConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or Pix2PixConfig()
        widths = c.widths
        self.read = nn.Sequential(
            nn.Linear(2 * len(aus.CHANNELS), c.code), nn.SiLU(), nn.Linear(c.code, c.code)
        )
        before = [6, *widths[:-1]]
        inner = c.levels - 1  # has no norm: so few pixels would lose what they say
        self.down = nn.ModuleList(
            _down(b, a, 0 < level < inner)
            for level, (b, a) in enumerate(zip(before, widths, strict=True))
        )
        after = [*widths[-2::-1], c.width // 2]
        into = [widths[-1] + c.code, *(2 * w for w in widths[-2::-1])]
        self.up = nn.ModuleList(_up(b, a) for b, a in zip(into, after, strict=True))
        self.head = nn.Conv2d(c.width // 2 + 6, 3, 3, padding=1)
        _silent(self.head)
        self.local = RefineNet(c.refine_width, c.code) if c.refine else None

    def forward(self, photo: Tensor, moved: Tensor, code: Tensor) -> Tensor:
        """Photos and moved pictures (T, 3, S, S) in 0..1, codes of `read`: (T, 3, S, S) changes."""
        seen = torch.cat([photo, moved], 1) * 2 - 1
        x, skips = seen, []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        tiled = code[:, :, None, None].expand(-1, -1, *x.shape[2:])
        x = torch.cat([skips.pop(), tiled.to(x.dtype)], 1)
        for layer in self.up:
            x = layer(x)
            x = torch.cat([x, skips.pop() if skips else seen.to(x.dtype)], 1)
        return self.head(x)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Translation:
    """Pictures and what was made of them; windows of `Pix2PixConfig.refined` by name."""

    moved: Tensor  # (T, 3, S, S) the crop as the U-Net saw it, 0..1
    whole: Tensor  # (T, 3, S, S) what the U-Net made of it
    picture: Tensor  # (T, 3, H, W) with all changes in it, levels as given


def translate(
    network: Pix2PixNet,
    photo: Tensor,
    picture: Tensor,
    places: Mapping[str, Tensor],
    units: Tensor,
    peak: float = 1.0,
    strength: Tensor | None = None,
) -> Translation:
    """Moved pictures (T, 3, H, W) in 0..peak, translated.

    photo (1 or T, 3, S, S) the crop before it was moved, 0..1; places: affines (T, 2, 3) from
    window units (-1..1) to pixels of the picture, of "face" and of each refined window; units
    (T, 2 K) as of `condition_of`; strength (T, 1, 1, 1): how much of all changes is made.
    """
    code, c = network.read(units), network.config
    told = 1.0 if strength is None else strength
    before = picture
    seen = sample_window(picture, places[FACE.name], c.size) / peak
    change = network(photo.expand(len(seen), -1, -1, -1), seen, code).float()
    change = change * told * fade(c.size, seen.device)
    picture = put(picture, *compose_change(picture, places[FACE.name], change * peak))
    for part, window in enumerate(c.refined):
        assert network.local is not None
        side, affine = c.side_of(window), places[window.name]
        now = sample_window(picture, affine, side) / peak
        moved = sample_window(before, affine, side) / peak
        local = network.local(now, moved, code, part).float() * told * fade(side, seen.device)
        picture = put(picture, *compose_change(picture, affine, local * peak))
    return Translation(seen, seen + change, picture)


class Pix2PixGenerator:
    """Registered as `pix2pix`; `file` names or is a weights file."""

    name = "pix2pix"

    def __init__(self, device: str = "cpu", file: str = "pix2pix") -> None:
        self._device = torch.device(device)
        self._mesh = MeshGenerator(device)
        self.network: Pix2PixNet = weights.load_network(file, self.name)[0]
        self.network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def prepare(self, scene: Scene) -> Pix2PixRenderer:
        """See Generator.prepare."""
        return Pix2PixRenderer(scene, self._mesh.prepare(scene), self.network)


class Pix2PixRenderer:
    """One scene: the mesh's frames, each translated."""

    def __init__(self, scene: Scene, mesh: MeshRenderer, network: Pix2PixNet) -> None:
        self._scene, self.mesh, self._network = scene, mesh, network
        self._device = next(network.parameters()).device
        self._scale = float(scene.motion.pose.scale)
        self._own = torch.from_numpy(scene.motion.source)[None].to(self._device)
        photo = torch.from_numpy(scene.picture[..., :3].astype(np.float32)).to(self._device)
        affine = self._affine(FACE, scene.motion.landmarks[None])
        self._photo = (
            sample_window(photo.permute(2, 0, 1)[None], affine, network.config.size) / PEAK
        )

    def outline(self) -> Array:
        """See Renderer.outline."""
        return self.mesh.outline()

    def render(self, targets: Array, detail: Detail | None = None) -> Iterator[Array]:
        """See Renderer.render."""
        for images in self.mesh.in_chunks(self._images, targets, detail):
            yield from images.numpy()

    def _images(self, targets: Array, detail: Detail | None) -> Tensor:
        moved = self.mesh.move(targets, detail)
        picture = moved.images[..., :3].permute(0, 3, 1, 2)
        reached = torch.from_numpy(moved.reached).to(self._device)
        points = self._scene.units(moved.landmarks)
        windows = (FACE, *self._network.config.refined)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=has_halves(self._device)):
            made = translate(
                self._network,
                self._photo,
                picture,
                {window.name: self._affine(window, points) for window in windows},
                condition_of(self._own.expand_as(reached), reached),
                PEAK,
                awake(self._own, reached),
            )
        moved.images[..., :3] = made.picture.permute(0, 2, 3, 1)
        return moved.images

    def _affine(self, window: Window, points: Array) -> Tensor:
        affine = to_pixels(place(window, points, self._scale), self._scene.to_pixels)
        return torch.from_numpy(affine).to(self._device)
