"""The anatomical basis: how every action unit moves the face mesh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from memegen import aus, weights
from memegen.arrays import Array, Integers
from memegen.errors import WeightsError
from memegen.geometry.blendshapes import AU_TO_SHAPES
from memegen.geometry.unwrap import Unwrapping

# How much further than AU26 at 5 a mouth stretched as wide as it can opens: the lower lips of yawns
# and screams (jawOpen above 0.8) lie 0.57 IOD down, where AU26 takes them by 0.29.
_JAW_STRETCH = 1.95

# Upper lips of real faces keep 45% of their height: first percentile of crops that raise them most.
_SPENT = 0.7  # share of AU9 and AU10 beyond 1 that AU10 has no strength left for


PARTING_JAW, PARTING_UPPER = 0.2, 0.25  # shares of AU25 that AU26 and AU10 are at least
OUTER_LIFTS = 0.5  # share of AU2 that AU1 is at least: the frontalis is one sheet of muscle
# What AU1 and AU2 lift together at most, times their units: 0.14 IOD. Landmarkers see two thirds of
# it, nearly as far as they see brows of real people rise; with 0.2 what lies between lid and brow
# (hair, rims of glasses) is stretched to twice its height (looked at).
FRONTALIS = 2.2
JAW_PARTS = 0.5  # share of AU25 that a full jaw drop (AU26) makes needless


@dataclass(frozen=True)
class Anatomy:
    """Displacements in face coordinates (x right, y up, z to the camera) and IOD.

    A face with channel vector `a` differs from the same face at rest by
    `units . a + products . (a[left] * a[right])`: lips that part in a smile do not move as in
    speech, which a basis linear in `a` cannot say.
    """

    canonical: Array  # (468, 3) average neutral face
    triangles: Integers  # (898, 3)
    units: Array  # (K, 468, 3) at full intensity
    products: Array  # (P, 468, 3)
    pairs: Integers  # (P, 2) channels whose product drives each of `products`
    rigid_weights: Array  # (468,) large where expressions move nothing
    gains: Array  # (K,) how much further than the units a channel moves beyond the photo's own

    @cached_property
    def unwrapping(self) -> Unwrapping:
        """The canonical mesh as a texture."""
        return Unwrapping.of(self.canonical, self.triangles)

    def reaching(self, source: Array, targets: Array) -> Array:
        """(T, K) targets, those above `source` (K,) raised by the gains.

        Regression on noisy scores, and skin that does not crease, make an expression look weaker
        than it was asked for; the gains make up for that. What the photo already shows is undone
        at its own size, so nothing is added below `source`.
        """
        return source + np.where(targets > source, self.gains, 1) * (targets - source)

    def displacement(self, vectors: Array, vertices: slice = slice(None)) -> Array:
        """(..., K) channels 0..1 -> (..., 468, 3) displacement from the face at rest.

        `vertices`: only those.
        """
        driven = compose_channels(vectors)
        moved = np.tensordot(driven, self.units[:, vertices], 1)
        if len(self.pairs):
            bounded = np.clip(driven, 0, 1)
            product = bounded[..., self.pairs[:, 0]] * bounded[..., self.pairs[:, 1]]
            moved = moved + np.tensordot(product, self.products[:, vertices], 1)
        return moved.astype(np.float32)


def compose_channels(vectors: Array) -> Array:
    """Express AU27, AU46 and AU28 by the channels whose motion is measured on people; share AU9's.

    A mouth stretch is a jaw drop carried on, a lip suck a tightening; a wink is a blink with help
    from cheek and mouth. Lips that part take the jaw and the upper lip along a little; a jaw that
    drops has parted them already, so that the lower lip goes with the chin and not over it. An
    outer brow that goes up pulls at the inner one.
    Nose wrinkler and upper lip raiser are heads of one muscle (levator labii superioris): what they
    lift together beyond the strength of one hardly goes further, or no upper lip would be left.
    """
    driven = np.array(vectors, np.float32)
    driven[..., aus.INDEX["AU26"]] += _JAW_STRETCH * driven[..., aus.INDEX["AU27"]]
    np.minimum(driven[..., aus.INDEX["AU26"]], _JAW_STRETCH, out=driven[..., aus.INDEX["AU26"]])
    parted, jaw = driven[..., aus.INDEX["AU25"]], driven[..., aus.INDEX["AU26"]]
    along = PARTING_JAW * parted
    parted *= 1 - JAW_PARTS * np.clip(jaw, 0, 1)
    np.maximum(jaw, along, out=jaw)
    tight = driven[..., aus.INDEX["AU23"]]
    np.maximum(tight, driven[..., aus.INDEX["AU28"]], out=tight)
    wink = AU_TO_SHAPES[46]
    for side in "LR":
        raised = driven[..., aus.INDEX["AU10" + side]]
        raised = np.maximum(raised, PARTING_UPPER * parted)
        beyond = np.maximum(driven[..., aus.INDEX["AU9" + side]] + raised - 1, 0)
        driven[..., aus.INDEX["AU10" + side]] = raised - np.minimum(_SPENT * beyond, raised)
        inner, outer = driven[..., aus.INDEX["AU1" + side]], driven[..., aus.INDEX["AU2" + side]]
        np.maximum(inner, OUTER_LIFTS * outer, out=inner)
        weight = np.minimum(1, FRONTALIS / np.maximum(inner + outer, 1e-6))
        inner *= weight
        outer *= weight
        strength = driven[..., aus.INDEX["AU46" + side]]
        closing = driven[..., aus.INDEX["AU45" + side]]
        np.maximum(closing, strength, out=driven[..., aus.INDEX["AU45" + side]])
        driven[..., aus.INDEX["AU6" + side]] += wink["cheekRaiser_*"] * strength
        driven[..., aus.INDEX["AU12" + side]] += wink["mouthSmile_*"] * strength
    return driven


@weights.remembered
def load_anatomy(name: str = "anatomy") -> Anatomy:
    """Read the calibrated basis of `memegen train DATA --model anatomy` (shipped as `anatomy`)."""
    file = weights.load(name, "anatomy")
    try:
        t = {key: value.numpy() for key, value in file.tensors.items()}
        return Anatomy(
            t["canonical"].astype(np.float32),
            t["triangles"].astype(np.int64),
            t["units"].astype(np.float32),
            t["products"].astype(np.float32),
            t["pairs"].astype(np.int64),
            t["rigid_weights"].astype(np.float32),
            t["gains"].astype(np.float32),
        )
    except KeyError as error:
        raise WeightsError(f"{file.path}: tensor {error} is missing") from None
