"""The residual trunk of GANimation's generator, which other networks are built on too."""

from __future__ import annotations

from torch import Tensor, nn


class Residual(nn.Module):
    """Two 3x3 convolutions with instance norm around a skip."""

    def __init__(self, width: int, affine: bool = True, biased: bool = False) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=biased),
            nn.InstanceNorm2d(width, affine=affine),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=biased),
            nn.InstanceNorm2d(width, affine=affine),
        )

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W). modulation (B, 2 C): see `modulate`."""
        if modulation is None:
            return x + self.main(x)  # type: ignore[no-any-return]
        return x + self.main[2:](modulate(self.main[:2](x), modulation))


def modulate(x: Tensor, modulation: Tensor) -> Tensor:
    """Normalised features (B, C, H, W), scaled and shifted by (B, 2 C) (FiLM, arXiv 1709.07871)."""
    scale, shift = modulation[:, :, None, None].chunk(2, 1)
    return x * (1 + scale) + shift


class Modulation(nn.Module):
    """Numbers into what they do to the residual blocks of a network.

    Numbers tiled behind a picture are constant over it, and instance norm takes away what is
    constant: of them is left what leaks in at the picture's edges. Behind the norms they stay.
    """

    def __init__(self, numbers: int, width: int, blocks: int, hidden: int = 32) -> None:
        super().__init__()
        self.blocks = blocks
        self.layers = nn.Sequential(
            nn.Linear(numbers, hidden), nn.SiLU(), nn.Linear(hidden, 2 * width * blocks)
        )
        nn.init.zeros_(self.layers[2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[2].bias)  # type: ignore[arg-type]

    def forward(self, numbers: Tensor) -> tuple[Tensor, ...]:
        """(B, N) -> (B, 2 C) for each block."""
        return self.layers(numbers).chunk(self.blocks, 1)  # type: ignore[no-any-return]


def modulated(trunk: nn.Sequential, x: Tensor, modulations: tuple[Tensor, ...]) -> Tensor:
    """`trunk(x)` with each of its residual blocks modulated."""
    waiting = iter(modulations)
    for layer in trunk:
        x = layer(x, next(waiting)) if isinstance(layer, Residual) else layer(x)
    return x


def residual_trunk(
    channels: int, width: int, blocks: int, affine: bool = True, biased: bool = False
) -> nn.Sequential:
    """(B, channels, H, W) -> (B, width, H, W), H and W multiples of 4.

    A 7x7 convolution, two halvings that double the width, `blocks` residual blocks, and back up
    (Johnson et al. 2016, arXiv 1603.08155, with the instance norm of arXiv 1607.08022). Layers are
    numbered as in every public code of GANimation. affine: whether instance norms have a gain and a
    shift; biased: whether the convolutions before them have a bias.
    """
    w = width

    def layer(convolution: nn.Module, after: int) -> list[nn.Module]:
        return [convolution, nn.InstanceNorm2d(after, affine=affine), nn.ReLU()]

    return nn.Sequential(
        *layer(nn.Conv2d(channels, w, 7, padding=3, bias=biased), w),
        *layer(nn.Conv2d(w, 2 * w, 4, 2, 1, bias=biased), 2 * w),
        *layer(nn.Conv2d(2 * w, 4 * w, 4, 2, 1, bias=biased), 4 * w),
        *(Residual(4 * w, affine, biased) for _ in range(blocks)),
        *layer(nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1, bias=biased), 2 * w),
        *layer(nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=biased), w),
    )
