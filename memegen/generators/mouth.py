"""The inside of the mouth: the photo's own, completed by a three-dimensional one in its light."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Array
from memegen.curves import smoothstep
from memegen.generators.inpaint import GAUSSIAN_REACH, fill_unknown, gaussian, soften
from memegen.generators.mouth_dimensions import MOUTH
from memegen.generators.mouth_layers import FRONT, Layer, jaw_shift, light_at, render
from memegen.generators.mouth_light import LUMA, MouthLight
from memegen.generators.mouth_model import (
    ANCHOR,
    UPPER_TEETH,
    MouthModel,
    individual,
    load_mouth,
)
from memegen.generators.mouth_poses import MouthPoses
from memegen.geometry.affine import PlaneAffines
from memegen.geometry.box import Box
from memegen.geometry.outline import fill, gaps, smooth_ring
from memegen.geometry.patches import (
    Patches,
    as_image,
    as_images,
    blended,
    on_device,
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
LEAST_SHARE = 1e-3  # of a drawing between two: less is not drawn
JAW_STEP = 0.16  # IOD of jaw drop between two drawings of the lower part
WIDEST_JAW = 0.96  # IOD: beyond, the lower part is moved, not turned on
# Lips shade what is close behind them: share of light lost, and over how many IOD below or above.
UPPER_SHADOW, LOWER_SHADOW = (0.38, 0.03), (0.22, 0.025)
TEETH_SHADOW = (0.46, 0.06)  # likewise of the upper teeth on the lower ones
CORNER_SHADOW = (0.45, 0.045)  # likewise where the lips meet
# Green and blue that walls of flesh take from the light that they throw on what lies one IOD deep.
DEEP_RED = np.array([0.0, 0.34, 0.42], np.float32)
UNDER_DEEP = 0.3  # how much further (IOD) the upper teeth's shadow reaches, an IOD deeper
# Of a head turned by so much (tangents of some 5 and 15 degrees), lips wrap around the far side of
# the teeth: there is a dark corridor beside them of at most so many IOD, and they are drawn wider
# by up to that share to leave no more.
TURNED, CORRIDOR, WIDER = (0.09, 0.27), 0.035, 0.4
FRONT_MOST = 0.02  # between the depths of two surfaces: over which the nearer one wins


# What is kept of the photo's own opening, channel by channel: its colours, continued beyond what
# is sure; how sure they are; its colours as they are; where the opening is.
_KEPT = (3, 1, 3, 1)
CURVE_STEPS = 48  # places across a mouth where the edges of its lips are told


@dataclass(frozen=True)
class MouthFrame:
    """Where the mouth is: the middle of the closed lips, and how face axes lie in the photo."""

    origin: Array  # (2,) pixels
    projection: Array  # (3, 3) face axes (IOD) to pixels right and down, and IOD to the camera
    iod: float  # pixels

    @cached_property
    def inverse(self) -> Array:
        """(2, 2) pixels right and down to face axes (IOD), in the face's plane."""
        return np.linalg.inv(self.projection[:2, :2]).astype(np.float32)


@dataclass(frozen=True)
class SharedMouth:
    """What is one mouth's over all pictures of a person."""

    model: MouthModel  # the person's own
    edge: float  # where its upper teeth end, IOD below the closed lips
    poses: MouthPoses


@dataclass(frozen=True)
class MovedMouths:
    """Where one mouth is in each of T frames."""

    ring: Array  # (T, 20, 2) pixels
    jaw: Array  # (T, 2) how far the jaw has moved, IOD to the right and down


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
        self._frame, self._light, self._ring = frame, light, ring
        self._device = torch.device(device)
        self._more_blur = float(np.sqrt(max(blur**2 - SHARP**2, 0)))
        self._box = Box.around(ring, MOUTH.margin * frame.iod, *picture.shape[:2])
        self._patch = picture[self._box.slices]
        self._shared = shared
        seed = zlib.crc32(np.ascontiguousarray(self._patch, np.uint8).tobytes())
        self.model = shared.model if shared else individual(model or load_mouth(), seed)
        self._gap, self._strip = float(_widest(ring)), CLIP_STRIP if shared else STRIP
        self._layers: dict[float | None, Layer] = {}
        self._own: tuple[Tensor, ...] | None = None  # images of _KEPT channels
        self._shows_own = False
        # IOD below the line of the closed lips
        self._edge = shared.edge if shared else self.model.fit.upper_edge
        self._like_own: Tensor | None = None
        if min(self._box.shape) > 3:
            self._take_own()

    @property
    def own_edge(self) -> float | None:
        """Where the upper teeth that the photo shows end, IOD below the closed lips, if it does."""
        return self._edge if self._shows_own else None

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
        if self._shared is None:
            self._edge = self._own_edge(gap)
        if gap <= COLOUR_GAP[0] * iod:
            return
        # What is drawn beside it takes its colours on: the ratio of the two, smooth, continued.
        still = MovedMouths((ring - self._frame.origin)[None], np.zeros((1, 2), np.float32))
        x, y = Patches.of(self._box).pixels(self._device)
        left, top = self._frame.origin.tolist()
        x, y = torch.broadcast_tensors(x - left, y - top)
        drawn = self._drawn(x, y, still)[0].permute(1, 2, 0).cpu().numpy()
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
        pale &= luma > MOUTH.pale * float(self._light.tooth @ LUMA)
        begun = np.flatnonzero(pale[: max(1, len(pale) // 3)])
        if not len(begun):
            return self.model.fit.upper_edge
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
        colour = self._drawn(x - left, y - top, still)
        if self._like_own is not None:
            like = sample_planes(self._like_own, *at)
            colour = colour * (1 + (like - 1) * per_picture(kept, self._device)[:, None])
        if own is None:
            return colour, torch.ones_like(x)
        return blended(colour, own, sharp), 1 - sharp.clip(0, 1)

    def _drawn(self, x: Tensor, y: Tensor, mouths: MovedMouths) -> Tensor:
        """(T, 3, h, w) teeth, gums, tongue and throat at pixels x, y (T, h, w) from the origin.

        mouths: moved, their rings likewise from the origin, as if heads had not turned.
        """
        iod, fit = self._frame.iod, self.model.fit
        lift, drop = self._limits(mouths)
        shift = self._frame.projection[:2, 1:2] * (lift + fit.upper_edge - self._edge)
        along, up = self._to_arch(x, y, mouths.ring)
        upper = self._part(None, *self._shifted(along, up, shift))
        lower = self._lower_part(along, up, np.stack([mouths.jaw[:, 0], drop], 1))
        below, above, aside, opening = self._lips(x, y, mouths.ring)
        # What a mouth shows lies the darker the deeper it lies, and the less it is open.
        reach = per_picture(fit.reach_at(opening), self._device)
        throat = fit.cavity + (fit.cavity.mean() - fit.cavity) * (1 - self._light.colour)
        lit = on_device(throat * self._light.tooth, self._device).view(3, 1, 1)
        wall = lit * light_at(torch.ones_like(reach), reach)[:, None]
        # Both (T, 2, h, w): of the upper part and of the lower one.
        cover = torch.stack([upper[:, 3], lower[:, 3]], 1)
        scale = 1 / cover.clip(min=1e-4)
        deep = torch.stack([upper[:, 4], lower[:, 4]], 1) * scale
        scale = scale * light_at(deep, reach[:, None])
        # Upper teeth and palate keep light from what lies below and behind them.
        under = self._down(x, y) - per_picture(self._edge - lift, self._device)
        under, (lost, far) = -under.clip(min=0), TEETH_SHADOW
        dark = 1 - lost * (under / (far + UNDER_DEEP * deep[:, 1])).exp()
        colour = wall * (1 - lost * (under / (far + UNDER_DEEP)).exp())[:, None]
        red = on_device(DEEP_RED * self._light.colour, self._device).view(3, 1, 1)
        part = lower[:, :3] * (scale[:, 1] * dark)[:, None]
        part = part * (1 - red * deep[:, 1:].clip(max=1))
        colour = blended(colour, part, cover[:, 1])
        # Where both are drawn, the nearer one hides the other.
        near = smoothstep(-FRONT_MOST, FRONT_MOST, deep[:, 0] - deep[:, 1]) * cover[:, 1]
        colour = blended(colour, upper[:, :3] * scale[:, :1], cover[:, 0] * (1 - near))
        shadow = shadow_at(below / iod, UPPER_SHADOW) * shadow_at(above / iod, LOWER_SHADOW)
        return colour * (shadow * shadow_at(aside / iod, CORNER_SHADOW))[:, None]

    def _to_arch(self, x: Tensor, y: Tensor, rings: Array) -> tuple[Tensor, Tensor]:
        """Pixels x, y from the origin to those where the drawn teeth show what lies there.

        The same, but on the far side of a turned head, where the teeth fill the mouth.
        """
        axes = self._frame.projection[:2]
        inverse = self._frame.inverse
        slope = float(inverse[0] @ axes[:, 2])  # how far what is nearer lies aside
        turned = float(smoothstep(*TURNED, np.array(abs(slope))))
        if turned == 0:
            return x, y
        side = float(np.sign(slope))
        teeth = self.model.vertices[self.model.part == UPPER_TEETH] - ANCHOR
        across = side * (teeth[:, 0] + slope * teeth[:, 2])
        middle = side * slope * (FRONT - float(ANCHOR[2]))
        half = float(across.max()) - middle
        gap = (side * (rings @ inverse[0])).max(1) - middle - half
        wider = np.clip((gap - CORRIDOR) / half, 0, WIDER) * turned
        far = (side * self._across(x, y) - middle).clip(min=0)
        back = far * per_picture(-side * wider / (1 + wider), self._device)
        return x + float(axes[0, 0]) * back, y + float(axes[1, 0]) * back

    def _across(self, x: Tensor, y: Tensor) -> Tensor:
        """How far (IOD) pixels x, y from the mouth's origin are to the right in the face."""
        (xx, xy), _ = self._frame.inverse.tolist()
        return xx * x + xy * y

    def _down(self, x: Tensor, y: Tensor) -> Tensor:
        """Likewise, down the face."""
        _, (yx, yy) = self._frame.inverse.tolist()
        return -yx * x - yy * y

    def _shifted(self, x: Tensor, y: Tensor, shift: Array) -> tuple[Tensor, Tensor]:
        """Pixels x, y of what has moved by (2, T) to where they were."""
        across, down = (per_picture(part, self._device) for part in shift)
        return x - across, y - down

    def _limits(self, mouths: MovedMouths) -> tuple[Array, Array]:
        """How far (T,) the upper teeth are lifted, how far down the jaw is taken to be; both IOD.

        Lips that are drawn further from the teeth than those of people would bare gums and roots:
        then the teeth follow the lips.
        """
        fit, down, jaw = self.model.fit, -self._frame.projection[:2, 1], mouths.jaw[:, 1]
        low = mouths.ring @ (down / float(down @ down))
        top, bottom = (low[:, rows].mean(1) for rows in (slice(4, 7), slice(14, 17)))
        lift = np.maximum(0, self._edge - top - fit.most_upper)
        edge = -jaw_shift(self.model, jaw)[:, 1] - fit.lower_edge
        return lift, jaw + np.maximum(0, bottom - edge - fit.most_lower)

    def _lower_part(self, x: Tensor, y: Tensor, jaw: Array) -> Tensor:
        """(T, 5, h, w) the lower layer, between the two drawings nearest to jaw drops (T, 2)."""
        drop = np.clip(jaw[:, 1], 0, WIDEST_JAW)
        step = np.minimum(drop / JAW_STEP, round(WIDEST_JAW / JAW_STEP) - 1).astype(np.int64)
        fraction = drop / JAW_STEP - step
        found = x.new_zeros(len(x), 5, *x.shape[1:])
        sideways = np.stack([jaw[:, 0], drop - jaw[:, 1], np.zeros_like(drop)], 1)
        for level in np.union1d(step, step + 1).tolist():
            weight = np.where(level == step, 1 - fraction, (level == step + 1) * fraction)
            rows = np.flatnonzero(weight >= LEAST_SHARE)
            if not len(rows):
                continue
            # Each is moved so that its incisors are where those of the target drop would be.
            move = jaw_shift(self.model, drop[rows]) - jaw_shift(self.model, level * JAW_STEP)
            shift = self._frame.projection[:2] @ (move + sideways[rows]).T
            some = slice(None) if len(rows) == len(x) else torch.from_numpy(rows).to(x.device)
            drawn = self._part(level * JAW_STEP, *self._shifted(x[some], y[some], shift))
            found[some] += drawn * per_picture(weight[rows], self._device)[:, None]
        return found

    def _part(self, jaw: float | None, x: Tensor, y: Tensor) -> Tensor:
        """(T, 5, h, w) the upper layer (None) or the lower one of a jaw drop (IOD), drawn once."""
        projection = self._frame.projection
        if self._shared is not None:
            return self._shared.poses.sample(projection, self._light, jaw, (x, y))
        if jaw not in self._layers:
            self._layers[jaw] = render(self.model, projection, self._light, jaw, self._device)
        return self._layers[jaw].sample(x, y)

    def _lips(self, x: Tensor, y: Tensor, rings: Array) -> tuple[Tensor, Tensor, Tensor, Array]:
        """How far (pixels) below the upper lip, above the lower one, from the nearer mouth corner.

        Last the openings' heights (T,) in IOD. x, y and rings are pixels from the mouth's origin.
        """
        size = self._frame.iod
        edge = rings @ self._frame.inverse.T * np.float32(size)
        lower = np.r_[0, np.arange(19, 9, -1)]
        left, right = edge[..., 0].min(1), edge[..., 0].max(1)
        grids = np.linspace(left, right, CURVE_STEPS, axis=1)
        lips = np.array(
            [[np.interp(grid, ring[rows, 0], -ring[rows, 1]) for rows in (slice(11), lower)]
             for grid, ring in zip(grids, edge, strict=True)]
        )  # fmt: skip
        starts, ends = (per_picture(part, self._device) for part in (left, right))
        u, v = self._across(x, y) * size, self._down(x, y) * size
        at = (u - starts) * ((CURVE_STEPS - 1) / (ends - starts).clip(min=1e-6)) + 0.5
        middle = torch.full_like(at, 0.5)
        top, bottom = (
            sample_planes(on_device(lips[:, k], self._device)[:, None, None], at, middle)[:, 0]
            for k in (0, 1)
        )
        aside = torch.minimum(u - starts, ends - u)
        opened = np.maximum(lips[:, 1] - lips[:, 0], 0).max(1) / size
        return v - top, bottom - v, aside, opened


def _widest(rings: Array) -> Array:
    """(...) the greatest gap (pixels) between the lips of openings (..., 20, 2)."""
    return np.asarray(gaps(rings).max(-1))


def shadow_at(distance: Tensor, shadow: tuple[float, float]) -> Tensor:
    """Share of light at a distance (IOD) from a lip whose shadow takes (share, reach in IOD)."""
    lost, reach = shadow
    return 1 - lost * (distance.clip(min=0) * (-1 / reach)).exp()
