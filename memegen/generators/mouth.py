"""The inside of the mouth: the photo's own, completed by a three-dimensional one in its light."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Array
from memegen.curves import smoothstep
from memegen.generators.inpaint import GAUSSIAN_REACH, fill_unknown, gaussian, soften
from memegen.generators.mouth_dimensions import MOUTH
from memegen.generators.mouth_drawing import DrawnMouth, MouthFrame, MovedMouths
from memegen.generators.mouth_light import LUMA, MouthLight
from memegen.generators.mouth_model import MouthModel, individual, load_mouth
from memegen.generators.mouth_poses import MouthPoses
from memegen.geometry.affine import PlaneAffines
from memegen.geometry.box import Box
from memegen.geometry.outline import fill, gaps, smooth_ring
from memegen.geometry.patches import (
    Patches,
    as_image,
    as_images,
    blended,
    per_picture,
)
from memegen.geometry.sampling import sample, sample_planes
from memegen.geometry.topology import LIP_CORNERS

OWN_MARGIN, OWN_SHARE = 0.03, 0.2  # IOD inside the photo's lips, at most that share of its opening
SHARP = 0.5  # pixels of blur that what is drawn has by itself, and up to which a photo is sharp
LEAST_BLUR = 0.35  # pixels that are worth the time
OWN_GAP = 0.045  # IOD between the photo's lips: below, a line is all that shows
OPENS = (
    0.25  # share of that gap about it over which what shows comes in: lips of a clip part slowly
)
OWN_EDGE = (-0.12, 0.12)  # IOD below the closed lips: where own upper teeth may end
# Of a mouth that opens so many times as wide as in the photo, what the photo shows is a strip of
# shadow amid drawn teeth: share of the opening, up to which it is left out and from which it stays.
STRIP = (0.3, 0.6)
# In a clip that strip comes and goes with speech: teeth that are always drawn flicker less.
CLIP_STRIP = (0.55, 0.9)
# IOD between the photo's lips: a gap in which teeth are all shade, and one that shows their colour.
COLOUR_GAP = (0.06, 0.13)
ALIKE = 0.35  # difference of log red over green, beyond which the photo shows flesh, drawn is tooth
TOOTHLIKE, REDDEST = 0.62, 1.38  # least luma beside the mouth's brightest, most red over green
LIKENESS = (0.5, 1.7)  # how far drawn colours are taken to the photo's own
# What is kept of the photo's own opening, channel by channel: its colours, continued beyond what
# is sure; how sure they are; its colours as they are; where the opening is.
_KEPT = (3, 1, 3, 1)


@dataclass(frozen=True)
class SharedMouth:
    """What is one mouth's over all pictures of a person."""

    model: MouthModel  # the person's own
    edge: float  # where its upper teeth end, IOD below the closed lips
    poses: MouthPoses


class MouthLayer:
    """The mouth of one photo. ring (20, 2) is its opening (LIPS_INNER) in pixels.

    Frames are drawn on `device`.
    """

    def __init__(
        self,
        picture: Array,
        ring: Array,
        frame: MouthFrame,
        light: MouthLight,
        model: MouthModel | None = None,
        blur: float = 0.0,
        shared: SharedMouth | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self._frame, self._ring = frame, ring
        self._device = torch.device(device)
        self._more_blur = float(np.sqrt(max(blur**2 - SHARP**2, 0)))
        self._box = Box.around(ring, MOUTH.margin * frame.iod, *picture.shape[:2])
        self._patch = picture[self._box.slices]
        if shared:
            mouth, edge, poses = shared.model, shared.edge, shared.poses
        else:
            seed = zlib.crc32(np.ascontiguousarray(self._patch, np.uint8).tobytes())
            mouth, poses = individual(model or load_mouth(), seed), None
            edge = mouth.fit.upper_edge
        self.drawn = DrawnMouth(mouth, frame, light, edge, self._device, poses)
        self._gap, self._strip = float(_widest(ring)), CLIP_STRIP if shared else STRIP
        self._own: tuple[Tensor, ...] | None = None  # images of _KEPT channels
        self._shows_own = False
        self._like_own: Tensor | None = None
        if min(self._box.shape) > 3:
            self._take_own()

    @property
    def own_edge(self) -> float | None:
        """Where the upper teeth that the photo shows end, IOD below the closed lips, if it does."""
        return self.drawn.edge if self._shows_own else None

    def _take_own(self) -> None:
        """Keep what the photo itself shows in its opening, if it is open."""
        iod, ring, gap = self._frame.iod, self._ring, self._gap
        seen = fill(smooth_ring(ring, LIP_CORNERS), self._box)
        least = max(MOUTH.least_gap, OWN_GAP * iod)
        is_open = smoothstep(least * (1 - OPENS), least * (1 + OPENS), np.array(gap))
        # Not the very edge, where the photo's lips shade its teeth: other lips will be elsewhere.
        inside = soften(seen, min(OWN_MARGIN * iod, OWN_SHARE * gap))
        inside = smoothstep(*MOUTH.inside, inside)
        sure = inside * is_open
        self._shows_own = bool(sure.max() > 0)
        patch = fill_unknown(self._patch, (inside > MOUTH.known).astype(np.float32))
        own = np.concatenate(
            [patch, sure[..., None], self._patch, np.float32(seen[..., None] > 0)], -1
        )
        self._own = as_images(own, self._device)
        if not self._shows_own:
            return
        if self.drawn.poses is None:
            self.drawn = replace(self.drawn, edge=self._own_edge(gap))
        if gap <= COLOUR_GAP[0] * iod:
            return
        # What is drawn beside it takes its colours on: the ratio of the two, smooth, continued.
        still = MovedMouths((ring - self._frame.origin)[None], np.zeros((1, 2), np.float32))
        x, y = Patches.of(self._box).pixels(self._device)
        left, top = self._frame.origin.tolist()
        x, y = torch.broadcast_tensors(x - left, y - top)
        drawn = self.drawn.colours(x, y, still)[0].permute(1, 2, 0).cpu().numpy()
        known = sure * ((drawn.min(-1) > MOUTH.dark) & (self._patch @ LUMA > MOUTH.dark))
        shown, made = self._patch + MOUTH.lift, drawn + MOUTH.lift
        redder = np.log(shown[..., 0] / shown[..., 1]) - np.log(made[..., 0] / made[..., 1])
        known *= redder < ALIKE
        if known.max() <= 0:
            return
        ratio = np.clip(shown / made, *LIKENESS)
        weight = soften(known, MOUTH.even * iod)
        even = np.stack([soften(ratio[..., k] * known, MOUTH.even * iod) for k in range(3)], -1)
        even /= np.maximum(weight, 1e-3)[..., None]
        near = np.clip(soften(known, MOUTH.near * iod) * 4, 0, 1)[..., None]
        near *= smoothstep(*COLOUR_GAP, np.array(gap / iod))
        like = 1 + (fill_unknown(even, np.clip(weight * 4, 0, 1)) - 1) * near
        self._like_own = as_image(like, self._device)

    def _own_edge(self, gap: float) -> float:
        """Where (IOD below the closed lips) the upper teeth that the photo shows end.

        The first pale run below the upper lip; to the lower lip, where nothing else ends it. Where
        nothing pale shows, where the fit says.
        """
        ring = self._ring
        top, bottom = ring[4:7].mean(0), ring[14:17].mean(0)
        along = np.linspace(*MOUTH.fan, max(6, round(2 * gap)))[:, None]
        aside = np.linspace(-MOUTH.fan_width, MOUTH.fan_width, MOUTH.fan_lines)[:, None]
        at = top + along[:, None] * (bottom - top) + aside * (ring[6] - ring[4])
        x, y = (at[..., k].astype(np.float32) - (self._box.left, self._box.top)[k] for k in (0, 1))
        colour = np.median(sample(self._patch, x, y), 1)
        luma = colour @ LUMA
        pale = (luma > TOOTHLIKE * np.percentile(luma, 95)) & (
            colour[:, 0] < REDDEST * colour[:, 1]
        )
        pale &= luma > MOUTH.pale * float(self.drawn.light.tooth @ LUMA)
        begun = np.flatnonzero(pale[: max(1, len(pale) // 3)])
        if not len(begun):
            return self.drawn.model.fit.upper_edge
        after = np.flatnonzero(~pale[begun[0] :])
        end = float(along[begun[0] + after[0] - 1, 0]) if len(after) else 1.0
        edge = top + end * (bottom - top) - self._frame.origin
        return float(np.clip(-(self._frame.inverse[1] @ edge), *OWN_EDGE))

    def draw(self, pictures: Sequence[Tensor], mouths: MovedMouths, heads: PlaneAffines) -> None:
        """Draw the opening into T pictures (H, W, 3 or 4) in place; `heads` are the heads' turns.

        What is blurred reaches beyond the opening: so do the pixels that are drawn.
        """
        soft = self._more_blur if self._more_blur > LEAST_BLUR else 0.0
        margin = 2 + np.ceil(GAUSSIAN_REACH * soft)
        patches = Patches.around(mouths.ring, margin, *pictures[0].shape[:2])
        if patches.empty:
            return
        mask = patches.filled(smooth_ring(mouths.ring, LIP_CORNERS), self._device)
        colour, drawn = self._colour(patches, mouths, heads)
        if drawn is not None and soft:
            drawn = mask * drawn
            both = torch.cat([colour, drawn[:, None]], 1)
            blurred, spread = gaussian(both, soft).split([3, 1], 1)
            # Where the photo's own pixels show, they are as soft as they are.
            colour = blended(colour, blurred, drawn)
            mask = (mask - drawn + spread[:, 0]).clip(0, 1)
        patches.write(pictures, blended(patches.read(pictures), colour, mask))

    def _colour(
        self, patches: Patches, mouths: MovedMouths, heads: PlaneAffines
    ) -> tuple[Tensor, Tensor | None]:
        """What mouths show in patches: (T, 3, h, w), and what share (T, h, w) of it is drawn.

        None where all of it is the photo's.
        """
        x, y = heads.undone_pixels(*patches.pixels(self._device))
        moved = np.abs(mouths.ring - self._ring).max((1, 2))
        loose = np.minimum(1, moved / max(MOUTH.least_gap, MOUTH.loose * self._frame.iod))
        at = x - self._box.left, y - self._box.top
        kept = smoothstep(*self._strip, self._gap / np.maximum(_widest(mouths.ring), 1e-3))
        own: Tensor | None = None
        if self._own is not None and (self._shows_own or (loose < 1).any()):
            free = per_picture(loose, self._device)[:, None]
            continued, sure, shown, seen = sample_planes(self._own, *at).split(_KEPT, 1)
            own = torch.lerp(shown, continued, free)
            # How far what the photo shows stays.
            stays = per_picture(np.maximum(kept, 1 - loose), self._device)
            sharp = torch.lerp(seen, sure, free)[:, 0] * stays
            if not loose.any():
                return own, None
        left, top = self._frame.origin.tolist()
        still = MovedMouths(heads.undone(mouths.ring) - self._frame.origin, mouths.jaw)
        colour = self.drawn.colours(x - left, y - top, still)
        if self._like_own is not None:
            like = sample_planes(self._like_own, *at)
            colour = colour * (1 + (like - 1) * per_picture(kept, self._device)[:, None])
        if own is None:
            return colour, torch.ones_like(x)
        return blended(colour, own, sharp), 1 - sharp.clip(0, 1)


def _widest(rings: Array) -> Array:
    """(...) the greatest gap (pixels) between the lips of openings (..., 20, 2)."""
    return np.asarray(gaps(rings).max(-1))
