"""The appearance basis: how every action unit lightens and darkens skin.

The companion of the shape basis. For every channel a map over the unwrapped face holds the log of
the ratio by which skin changes at full intensity: folds, furrows, the shading of cheeks that rise.
Expression ratio images: Liu, Shan & Zhang, SIGGRAPH 2001.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from memegen import aus, weights
from memegen.arrays import Array, Integers
from memegen.errors import WeightsError
from memegen.geometry.anatomy import compose_channels
from memegen.geometry.unwrap import HEIGHT, WIDTH, sides

FLOOR = 16.0  # levels (of 255) added before the log: darker than that, noise rules

NEGLIGIBLE = 1e-4  # change of a feature that no eye sees


@dataclass(frozen=True)
class AppearanceBasis:
    """Maps on the unwrapped face (see `unwrap`), alike on both of its sides.

    Features are channels, then products of two channels. Those of one side of the face stand here
    as the person's left, and act on the half where their muscles are.
    """

    maps: Array  # (F, HEIGHT, WIDTH) log ratio of luma where both sides are at full intensity
    features: Integers  # (F, 2) channels whose product drives each map; -1: the first alone
    most: Array  # (F,) 0..1 up to which a feature was seen on people: beyond, nothing is known
    skin: Array  # (HEIGHT, WIDTH) 1 on skin, 0 at lips, lids and off the face, soft between
    tint: Array  # (3,) how far red, green and blue follow the change of luma

    def changes(self, source: Array, targets: Array) -> Array:
        """(K,) and (T, K) expressions 0..1 of a photo and of frames: (T, HEIGHT, WIDTH) log ratios.

        Of luma, by which each frame's skin is lighter than the photo's.
        """
        own_and_asked = np.concatenate([source[None], targets])
        driven = self._drive(np.stack([own_and_asked, aus.mirror(own_and_asked)]))
        both = (driven[:, 1:] - driven[:, :1]).astype(np.float32)  # (2, T, F)
        used = np.flatnonzero(np.abs(both).max((0, 1)) > NEGLIGIBLE)
        if not len(used):
            return np.zeros((len(targets), *self.maps.shape[1:]), np.float32)
        found = np.zeros((len(targets), *self.maps.shape[1:]), np.float32)
        for drive, (columns, half) in zip(both, self._halves, strict=True):
            added = drive[:, used] @ half[used]
            view = found[..., columns]
            view += added.reshape(view.shape)
        return found

    @cached_property
    def _halves(self) -> list[tuple[slice, Array]]:
        """The columns on which the person's left and right side act, and maps (F, pixels) there."""
        found = []
        for side in sides():
            used = np.flatnonzero(side[0])
            columns = slice(int(used[0]), int(used[-1]) + 1)
            maps = self.maps[..., columns] * side[:, columns]
            found.append((columns, maps.reshape(len(maps), -1)))
        return found

    def _drive(self, vector: Array) -> Array:
        """(..., K) channels to (..., F) features."""
        driven = np.clip(compose_channels(vector), 0, 1)
        second = np.where(self.features[:, 1] < 0, 1, driven[..., self.features[:, 1]])
        return np.minimum(driven[..., self.features[:, 0]] * second, self.most)


@weights.remembered
def load_appearance(name: str = "appearance") -> AppearanceBasis:
    """Read the basis of `memegen train DATA --model appearance` (shipped as `appearance`)."""
    file = weights.load(name, "appearance")
    try:
        maps = file.tensors["maps"].float().numpy()
        names = [pair.split("*") for pair in file.metadata["features"].split()]
        most = file.tensors["most"].float().numpy()
        skin = file.tensors["skin"].float().numpy()
        tint = file.tensors["tint"].float().numpy()
        features = [[aus.INDEX[p[0]], aus.INDEX[p[1]] if len(p) > 1 else -1] for p in names]
    except KeyError as error:
        raise WeightsError(f"{file.path}: {error} is missing or unknown") from None
    if maps.shape != (len(features), HEIGHT, WIDTH):
        raise WeightsError(f"{file.path}: maps of shape {maps.shape} do not fit")
    return AppearanceBasis(maps, np.array(features, np.int64), most, skin, tint)
