"""3 x 3 convolutions with a third of the multiplications, for processors that are short of them.

Winograd's minimal filtering (Lavin and Gray, CVPR 2016): tiles of the input and the kernels are
transformed, multiplied number by number, and transformed back: as matrix products, which torch has
fast everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from memegen.arrays import Array

TAPS = 3
# Where a tile's polynomials are read, by the side of what it yields; the last place is infinity.
# Larger tiles save more and lose digits: with 4, a few 1e-6 of numbers about 1.
PLACES = {2: (0.0, 1.0, -1.0), 3: (0.0, 1.0, -1.0, 2.0), 4: (0.0, 1.0, -1.0, 0.5, -2.0)}
WORTH = 0.5  # share of a plain convolution's multiplications from which its speed is made up
AT_ONCE = 1 << 19  # numbers of transformed input: more fall out of a core's cache


@dataclass(frozen=True)
class Transforms:
    """Of one size of tile, for both axes at once: outputs = back @ ((kernel @ g) * (into @ d))."""

    into: Array  # (A * A, A * A) of tiles of A x A inputs, A = side + 2
    kernel: Array  # (A * A, 9) of kernels
    back: Array  # (side * side, A * A) to outputs


@cache
def transforms(side: int) -> Transforms:
    """The matrices of tiles that yield side x side outputs (Toom and Cook; Winograd 1980)."""
    places = np.array(PLACES[side])
    count = len(places)
    into, kernel = np.zeros((count + 1, count + 1)), np.zeros((count + 1, TAPS))
    back = np.zeros((side, count + 1))
    for k, place in enumerate(places):
        others = np.delete(places, k)
        into[k, :count] = np.poly(others)[::-1]
        kernel[k] = place ** np.arange(TAPS) / prod(place - others)
        back[:, k] = place ** np.arange(side)
    into[count] = np.poly(places)[::-1]
    kernel[count, -1] = back[-1, count] = 1
    both = (np.kron(one, one).astype(np.float32) for one in (into, kernel, back))
    return Transforms(*both)


def multiplications(convolution: nn.Conv2d, side: int, height: int, width: int) -> int:
    """What tiles of a size take for one image of height x width."""
    inputs, outputs, area = convolution.in_channels, convolution.out_channels, (side + 2) ** 2
    each = area * (inputs * outputs + area * inputs + side**2 * outputs)
    return -(-height // side) * -(-width // side) * each


def pays() -> bool:
    """Whether this processor is one on which it was measured to pay.

    With AVX2 and no more, perception takes a sixth less time, whole. With AVX-512 the network alone
    takes a fifth less on one thread, but a clip is transferred no sooner on two. It is told by the
    instructions: what is gained is too little to be found out by a short try, and what comes out
    differs in its last digits, which must not depend on how busy the machine is.
    """
    return bool(torch.backends.cpu.get_cpu_capability() == "AVX2")


def fits(convolution: nn.Conv2d) -> bool:
    """Whether a convolution is of the kind that WinogradConv2d stands for."""
    asked = convolution.kernel_size, convolution.stride, convolution.padding, convolution.dilation
    usual = convolution.groups == 1 and convolution.padding_mode == "zeros"
    return usual and asked == ((TAPS, TAPS), (1, 1), (1, 1), (1, 1))


class WinogradConv2d(nn.Module):
    """A trained convolution that `fits`, for float32 on a CPU, without gradients.

    Anywhere else, and where a plain one takes hardly more, that one runs.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.plain = convolution
        self._kernels: dict[int, tuple[Tensor, ...]] = {}  # by side, made when first used

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W), channels together in memory."""
        exact = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        here = exact and x.device.type == "cpu" and not x.requires_grad
        side = self._side(*x.shape[2:]) if here else None
        if side is None:
            return self.plain(x)  # type: ignore[no-any-return]
        rows, columns = (-(-length // side) for length in x.shape[2:])
        outputs = self.plain.out_channels
        found = x.new_empty(len(x), rows, side, columns, side, outputs)
        together = max(1, AT_ONCE // (rows * columns * (side + 2) ** 2 * x.shape[1]))
        for some, out in zip(x.split(together), found.split(together), strict=True):
            self._tiles(some, out, side)
        whole = found.view(len(x), rows * side, columns * side, outputs)
        return whole[:, : x.shape[2], : x.shape[3]].permute(0, 3, 1, 2)

    def _side(self, height: int, width: int) -> int | None:
        """The size of tile that takes least; None: a plain convolution takes hardly more."""
        costs = {side: multiplications(self.plain, side, height, width) for side in PLACES}
        best = min(costs, key=lambda side: costs[side])
        whole = self.plain.weight.numel() * height * width
        return best if costs[best] < WORTH * whole else None

    def _tiles(self, x: Tensor, found: Tensor, side: int) -> None:
        """Images (B, C, H, W) to `found` (B, rows, side, columns, side, C')."""
        into, kernels, back, bias = self._kernels.get(side) or self._made(side)
        count, channels, height, width = x.shape
        rows, columns, tile = found.shape[1], found.shape[3], side + 2
        padded = x.new_zeros(count, rows * side + 2, columns * side + 2, channels)
        padded[:, 1 : height + 1, 1 : width + 1] = x.permute(0, 2, 3, 1)
        image, line, pixel, _ = padded.stride()
        seen = padded.as_strided(
            (tile, tile, count, rows, columns, channels),
            (line, pixel, image, line * side, pixel * side, 1),
        )
        spread = torch.mm(into, seen.reshape(tile**2, -1)).view(tile**2, -1, channels)
        made = torch.mm(back, torch.bmm(spread, kernels).view(tile**2, -1))
        parts = made.view(side, side, count, rows, columns, -1)
        torch.add(parts, bias, out=found.permute(2, 4, 0, 1, 3, 5))

    def _made(self, side: int) -> tuple[Tensor, ...]:
        """Two threads may make the same: the later one's is kept."""
        plain, matrices = self.plain, transforms(side)
        into, kernel, back = (
            torch.from_numpy(m) for m in (matrices.into, matrices.kernel, matrices.back)
        )
        weight = plain.weight.detach()
        kernels = torch.mm(kernel, weight.permute(2, 3, 1, 0).reshape(TAPS**2, -1))
        bias = weight.new_zeros(len(weight)) if plain.bias is None else plain.bias.detach()
        ready = into, kernels.view(len(into), *weight.shape[1::-1]), back, bias
        self._kernels[side] = ready
        return ready
