"""The composition: the networks' output, put onto the moved picture at its own resolution.

At the network's resolution this is GANimation's formula over a moved picture,
`out = A * warp(moved, residual) + (1 - A) * C`. At the picture's resolution the same change is
added smoothly, and the picture's own detail D = moved - smooth(moved) stays wherever the attention
does not let go of it altogether:

    out = A * moved + (1 - A) * C  +  A (1 - A) * D

On skin (A near 1) all detail is kept; where the network makes a mouth (A near 0) none is:
`compose`, for a network that makes what no picture shows. Where graphics draw detail better than
networks do, `compose_low` keeps D whole.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from memegen.generators.network import WindowOutput
from memegen.generators.windows import pixel_positions, spacing_of, window_box
from memegen.geometry.box import Box
from memegen.geometry.sampling import magnify, sample_images


def compose(
    image: Tensor,
    affine: Tensor,
    seen: Tensor,
    rendered: WindowOutput,
    peak: float = 1.0,
) -> tuple[Box, Tensor]:
    """The part of the picture under one window per frame, changed: (T, 3, h, w), not clipped.

    image (T, 3, H, W) in 0..peak; affine (T, 2, 3) window units to pixels; seen (T, 3, S, S) in
    0..1 the window of the picture that the network saw.
    """
    box = window_box(affine.detach().cpu().numpy(), *image.shape[2:])
    shifted = shift(seen, rendered.residual)
    change = 1 - rendered.attention
    added = change * (rendered.colour - shifted) * peak
    small = torch.cat([rendered.residual, change, added, shifted * peak], 1)
    residual, change, added, smooth = enlarge(small, affine, box).split([2, 1, 3, 3], 1)
    moved = _resample(image, affine, pixel_positions(affine, box), residual)
    return box, moved + added - change.square() * (moved - smooth)


def compose_low(
    image: Tensor, affine: Tensor, seen: Tensor, rendered: WindowOutput, peak: float = 1.0
) -> tuple[Box, Tensor]:
    """Light and colour changed, all detail kept: `out = moved + (1 - A) * (C - smooth(moved))`.

    `moved` is the picture sampled through the residual flow. Arguments and result as for
    `compose`; `seen` and `rendered` are small: what they cannot show cannot be covered.
    """
    box = window_box(affine.detach().cpu().numpy(), *image.shape[2:])
    added = (1 - rendered.attention) * (rendered.colour - shift(seen, rendered.residual))
    small = torch.cat([rendered.residual, added * peak], 1)
    residual, added = enlarge(small, affine, box).split([2, 3], 1)
    moved = _resample(image, affine, pixel_positions(affine, box), residual)
    return box, moved + added


def compose_change(image: Tensor, affine: Tensor, change: Tensor) -> tuple[Box, Tensor]:
    """A change added, all detail kept: `compose_low` without a flow, `out = moved + change`.

    change (T, 3, S, S) in the picture's levels, 0 at the rim. Result as of `compose`.
    """
    box = window_box(affine.detach().cpu().numpy(), *image.shape[2:])
    part = image[:, :, box.top : box.bottom, box.left : box.right]
    return box, part + enlarge(change, affine, box)


def put(picture: Tensor, box: Box, part: Tensor, in_place: bool = False) -> Tensor:
    """Pictures (T, 3, H, W) with a part (T, 3, h, w) of theirs changed, as `compose` returns it.

    A box beside the picture changes nothing. in_place: saves a copy, where no gradient is needed.
    """
    if min(box.shape) < 1:
        return picture
    picture = picture if in_place else picture.clone()
    rows, columns = box.slices
    picture[:, :, rows, columns] = part
    return picture


def output_of(seen: Tensor, generated: Tensor, full: float = 0.12) -> WindowOutput:
    """What `compose` takes of a network that makes a whole picture and knows no attention.

    Attention is what the network's change implies: A = 1 - min(1, |generated - seen| / full), the
    mean of the channels; where nothing changed the photo's detail stays, where much did it goes.
    The colour is such that at the network's own resolution `generated` comes out exactly.
    seen and generated (T, 3, S, S) in 0..1; full: change that covers the photo's detail.
    """
    change = generated - seen
    share = (change.abs().mean(1, keepdim=True) / full).clamp(0, 1)
    colour = seen + change / share.clamp(min=1e-3)
    return WindowOutput(1 - share, colour, torch.zeros_like(seen[:, :2]))


def enlarge(window: Tensor, affine: Tensor, box: Box) -> Tensor:
    """Windows (T, C, S, S) over the pixels of a box (T, C, h, w); nothing outside the windows.

    Much enlarged windows are read every few pixels only and interpolated between them.
    """
    step = max(1, int(spacing_of(affine, window.shape[-1])))
    where = (pixel_positions(affine, box, step) + 1) * (window.shape[-1] / 2)
    return magnify(sample_images(window, where, "zeros"), step, *box.shape)


def shift(window: Tensor, residual: Tensor) -> Tensor:
    """Sample windows (T, C, S, S) at their own positions plus residual (T, 2, S, S)."""
    side = window.shape[-1]
    line = (torch.arange(side, device=window.device) + 0.5) * 2 / side - 1
    source = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    where = source + residual.permute(0, 2, 3, 1)
    return F.grid_sample(window, where, padding_mode="border", align_corners=False)


def _resample(image: Tensor, affine: Tensor, position: Tensor, residual: Tensor) -> Tensor:
    """The picture at window positions (T, h, w, 2) plus the residual, bicubic to stay sharp."""
    where = position + residual.permute(0, 2, 3, 1)
    x, y, offset = affine[:, None, None].unbind(-1)  # no matrix product: it may run in halves
    pixel = where[..., :1] * x + where[..., 1:] * y + offset
    return sample_images(image, pixel, cubic=True)
