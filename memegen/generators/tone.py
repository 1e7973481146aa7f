"""Black-and-white and tinted photos: what is rendered into them has no colours but theirs.

Networks learnt from colour photos, and the drawn mouth is red: without this, a grey face yawns red.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memegen.arrays import LUMA, Array, Picture
from memegen.generators.base import Renderer
from memegen.tracks import Detail

PLAIN = 2.0  # levels, root mean square, that colours may stray from one tint: noise, compression
_ENOUGH = 250_000  # pixels that tell
_BINS = 16  # of lightness, in each of which a tint is one colour


@dataclass(frozen=True)
class Tone:
    """The one colour that each lightness has."""

    chroma: Array  # (256, 3) what to add to a lightness
    stray: float  # levels that a channel may be off

    def keep(self, picture: Array) -> Array:
        """(H, W, 3 or 4) 0..255 with colours brought back to the tone; lightness stays."""
        off = _off(picture[..., :3], self.chroma)
        kept = picture.copy()
        kept[..., :3] -= off - np.clip(off, -self.stray, self.stray)
        return kept


def tone_of(picture: Picture) -> Tone | None:
    """The tone of a picture (H, W, 3 or 4); None if it has colours."""
    step = max(1, int(np.sqrt(picture.shape[0] * picture.shape[1] / _ENOUGH)))
    picture = picture[::step, ::step]
    pixels = picture[..., :3].reshape(-1, 3).astype(np.float32)
    if picture.shape[2] == 4:
        pixels = pixels[picture[..., 3].ravel() > 0]
    if not len(pixels):
        return None
    lightness = pixels @ LUMA
    place = np.minimum(lightness * (_BINS / 256), _BINS - 1).astype(int)
    count = np.bincount(place, minlength=_BINS)
    filled = count > 0
    centre = np.bincount(place, lightness, _BINS)[filled] / count[filled]
    chroma = [
        np.interp(np.arange(256), centre, np.bincount(place, off, _BINS)[filled] / count[filled])
        for off in (pixels - lightness[:, None]).T
    ]
    tint = np.stack(chroma, -1).astype(np.float32)
    stray = float(np.sqrt(np.square(_off(pixels, tint)).mean()))
    return Tone(tint, max(1.0, stray)) if stray <= PLAIN else None


def _off(pixels: Array, chroma: Array) -> Array:
    """(..., 3) how far colours are from those of a tone, chroma (256, 3)."""
    lightness = pixels @ LUMA
    target = chroma[np.clip(lightness + 0.5, 0, 255).astype(np.uint8)]
    return pixels - lightness[..., None] - target


@dataclass(frozen=True)
class GreyscaleRenderer:
    """A renderer whose changes keep the photo's tone."""

    renderer: Renderer
    tone: Tone
    photo: Picture  # (H, W, 3 or 4) what it renders on

    def outline(self) -> Array:
        """See Renderer.outline."""
        return self.renderer.outline()

    def render(self, targets: Array, detail: Detail | None = None) -> Iterator[Array]:
        """See Renderer.render."""
        for rendered in self.renderer.render(targets, detail):
            changed = np.abs(rendered - self.photo).max(-1, keepdims=True) > 1
            yield np.where(changed, self.tone.keep(rendered), rendered)
