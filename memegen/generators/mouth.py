"""The inside of the mouth: the photo's own, completed by a three-dimensional one in its light."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from memegen.arrays import Array
from memegen.curves import smoothstep
from memegen.generators.inpaint import (
    fill_unknown,
    gaussian,
    per_colour,
    pixel_grid,
    soften,
)
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
from memegen.geometry.affine import PlaneAffine
from memegen.geometry.box import Box
from memegen.geometry.outline import fill, smooth_ring
from memegen.geometry.sampling import channel_groups, sample
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
CONTINUED, SURE, SHOWN, SEEN = slice(0, 3), slice(3, 4), slice(4, 7), slice(7, 8)


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


class MouthLayer:
    """The mouth of one photo. ring (20, 2) is its opening (LIPS_INNER) in pixels."""

    def __init__(
        self,
        picture: Array,
        ring: Array,
        frame: MouthFrame,
        light: MouthLight,
        model: MouthModel | None = None,
        blur: float = 0.0,
        shared: SharedMouth | None = None,
    ) -> None:
        self._frame, self._light, self._ring = frame, light, ring
        self._more_blur = float(np.sqrt(max(blur**2 - SHARP**2, 0)))
        self._box = Box.around(ring, MOUTH.margin * frame.iod, *picture.shape[:2])
        self._patch = picture[self._box.slices]
        self._shared = shared
        seed = zlib.crc32(np.ascontiguousarray(self._patch, np.uint8).tobytes())
        self.model = shared.model if shared else individual(model or load_mouth(), seed)
        self._gap, self._strip = _widest(ring), CLIP_STRIP if shared else STRIP
        self._layers: dict[float | None, Layer] = {}
        self._own: tuple[Array, ...] | None = None
        self._shows_own = False
        # IOD below the line of the closed lips
        self._edge = shared.edge if shared else self.model.fit.upper_edge
        self._like_own: Array | None = None
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
        self._own = channel_groups(own)
        if not self._shows_own:
            return
        if self._shared is None:
            self._edge = self._own_edge(gap)
        if gap <= COLOUR_GAP[0] * iod:
            return
        # What is drawn beside it takes its colours on: the ratio of the two, smooth, continued.
        x, y = pixel_grid(self._box.left, self._box.top, *self._box.shape)
        drawn = self._drawn(
            x - self._frame.origin[0],
            y - self._frame.origin[1],
            np.zeros(2, np.float32),
            ring - self._frame.origin,
        )
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
        self._like_own = 1 + (fill_unknown(even, np.clip(weight * 4, 0, 1)) - 1) * near

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
        down = float(_down(edge[0], edge[1], self._frame))
        return float(np.clip(down, *OWN_EDGE))

    def draw(self, image: Array, ring: Array, head: PlaneAffine, jaw: Array) -> None:
        """Draw the opening into image (H, W, 3) in place.

        ring (20, 2) is the moved opening, `head` the affine of the head's turn, jaw (2,) how far
        the jaw has moved, in IOD (right, down).
        """
        box = Box.around(ring, 2, *image.shape[:2])
        if min(box.shape) < 1:
            return
        mask = fill(smooth_ring(ring, LIP_CORNERS), box)
        drawn = mask.copy()
        if mask.max() <= 0:
            return
        rest_x, rest_y = head.undone_pixels(box)
        sharp: Array | None = None
        kept: Array | None = None  # how far what the photo shows stays
        moved = float(np.abs(ring - self._ring).max())
        loose = np.float32(min(1.0, moved / max(MOUTH.least_gap, MOUTH.loose * self._frame.iod)))
        if self._own is not None and (self._shows_own or loose < 1):
            source = sample(self._own, rest_x - self._box.left, rest_y - self._box.top)
            kept = smoothstep(*self._strip, np.array(self._gap / max(_widest(ring), 1e-3)))
            sharp = source[..., SEEN] * (1 - loose) + source[..., SURE] * loose
            sharp *= np.maximum(kept, 1 - loose)
            pixels = source[..., SHOWN] * (1 - loose) + source[..., CONTINUED] * loose
        if sharp is None or bool((sharp[..., 0] < 1)[mask > 0].any()):
            edges = head.undone(ring) - self._frame.origin
            colour = self._drawn(
                rest_x - self._frame.origin[0], rest_y - self._frame.origin[1], jaw, edges
            )
            if self._like_own is not None:
                like = sample(self._like_own, rest_x - self._box.left, rest_y - self._box.top)
                colour *= like if kept is None else 1 + (like - 1) * kept
        else:
            colour = pixels
        if sharp is not None:
            colour = colour + (pixels - colour) * sharp
            drawn *= 1 - np.clip(sharp[..., 0], 0, 1)
        view = image[box.slices]
        if self._more_blur > LEAST_BLUR and bool((drawn > 0).any()):
            soft = gaussian(np.concatenate([colour, drawn[..., None]], -1), self._more_blur)
            # Where the photo's own pixels show, they are as soft as they are.
            colour += (soft[..., :3] - colour) * per_colour(drawn)
            mask = np.clip(mask - drawn + soft[..., 3], 0, 1)
        view += (colour - view) * per_colour(mask)

    def _drawn(self, x: Array, y: Array, jaw: Array, ring: Array) -> Array:
        """(h, w, 3) teeth, gums, tongue and throat at pixels x, y from the origin.

        ring (20, 2): the moved opening, likewise from the origin, as if the head had not turned.
        """
        iod, fit = self._frame.iod, self.model.fit
        lift, drop = self._limits(ring, jaw)
        shift = self._frame.projection[:2, 1] * (lift + fit.upper_edge - self._edge)
        along, up = self._to_arch(x, y, ring)
        upper = self._part(None, along - shift[0], up - shift[1])
        lower = self._lower_part(along, up, np.array([jaw[0], drop], np.float32))
        below, above, aside, opening = _lips(x, y, ring, self._frame)
        # What a mouth shows lies the darker the deeper it lies, and the less it is open.
        reach = fit.reach_at(opening)
        throat = fit.cavity + (fit.cavity.mean() - fit.cavity) * (1 - self._light.colour)
        wall = (throat * self._light.tooth * light_at(1.0, reach)).astype(np.float32)
        cover = [np.maximum(layer[..., 3], 1e-4) for layer in (upper, lower)]
        deep = [
            layer[..., 4] / fraction for layer, fraction in zip((upper, lower), cover, strict=True)
        ]
        # Upper teeth and palate keep light from what lies below and behind them.
        under = np.maximum(_down(x, y, self._frame) - self._edge + lift, 0)
        lost, far = TEETH_SHADOW
        dark = 1 - lost * np.exp(-under / (far + UNDER_DEEP * deep[1]))
        colour = wall * per_colour(1 - lost * np.exp(-under / (far + UNDER_DEEP)))
        part = lower[..., :3] * per_colour(light_at(deep[1], reach) * dark / cover[1])
        part *= 1 - DEEP_RED * self._light.colour * per_colour(np.minimum(deep[1], 1))
        colour += (part - colour) * per_colour(lower[..., 3])
        # Where both are drawn, the nearer one hides the other.
        near = smoothstep(-FRONT_MOST, FRONT_MOST, deep[0] - deep[1]) * lower[..., 3]
        shown = per_colour(upper[..., 3] * (1 - near))
        colour += (
            upper[..., :3] * per_colour(light_at(deep[0], reach) / cover[0]) - colour
        ) * shown
        shadow = shadow_at(below / iod, UPPER_SHADOW) * shadow_at(above / iod, LOWER_SHADOW)
        return colour * per_colour(shadow * shadow_at(aside / iod, CORNER_SHADOW))

    def _to_arch(self, x: Array, y: Array, ring: Array) -> tuple[Array, Array]:
        """Pixels x, y from the origin to those where the drawn teeth show what lies there.

        The same, but on the far side of a turned head, where the teeth fill the mouth.
        """
        axes = self._frame.projection[:2]
        inverse = self._frame.inverse
        slope = float(inverse[0] @ axes[:, 2])  # how far what is nearer lies aside
        turned = float(smoothstep(*TURNED, np.array(abs(slope))))
        if turned == 0:
            return x, y
        side = np.float32(np.sign(slope))
        teeth = self.model.vertices[self.model.part == UPPER_TEETH] - ANCHOR
        across = side * (teeth[:, 0] + slope * teeth[:, 2])
        middle = float(side * slope * (FRONT - ANCHOR[2]))
        half = float(across.max()) - middle
        gap = float((side * (ring @ inverse[0])).max()) - middle - half
        wider = np.clip((gap - CORRIDOR) / half, 0, WIDER) * turned
        far = np.maximum(side * (inverse[0, 0] * x + inverse[0, 1] * y) - middle, 0)
        back = -side * far * np.float32(wider / (1 + wider))
        return x + axes[0, 0] * back, y + axes[1, 0] * back

    def _limits(self, ring: Array, jaw: Array) -> tuple[float, float]:
        """How far (IOD) the upper teeth are lifted, and how far down the jaw is taken to be.

        Lips that are drawn further from the teeth than those of people would bare gums and roots:
        then the teeth follow the lips.
        """
        fit, down = self.model.fit, -self._frame.projection[:2, 1]
        along = down / float(down @ down)
        top, bottom = (float((ring[rows] @ along).mean()) for rows in (slice(4, 7), slice(14, 17)))
        lift = max(0.0, self._edge - top - fit.most_upper)
        edge = -float(jaw_shift(self.model, float(jaw[1]))[1]) - fit.lower_edge
        return lift, float(jaw[1]) + max(0.0, bottom - edge - fit.most_lower)

    def _lower_part(self, x: Array, y: Array, jaw: Array) -> Array:
        """(h, w, 5) the lower layer, between the two drawings nearest to this jaw drop."""
        drop = float(np.clip(jaw[1], 0, WIDEST_JAW))
        step = min(int(drop / JAW_STEP), round(WIDEST_JAW / JAW_STEP) - 1)
        fraction = drop / JAW_STEP - step
        found = np.zeros((*x.shape, 5), np.float32)
        sideways = np.array([float(jaw[0]), float(drop - jaw[1]), 0], np.float32)
        for level, weight in ((step, 1 - fraction), (step + 1, fraction)):
            if weight < 1e-3:
                continue
            # Each is moved so that its incisors are where those of the target drop would be.
            move = jaw_shift(self.model, drop) - jaw_shift(self.model, level * JAW_STEP)
            shift = self._frame.projection[:2] @ (move + sideways)
            drawn = self._part(level * JAW_STEP, x - shift[0], y - shift[1])
            found += np.float32(weight) * drawn
        return found

    def _part(self, jaw: float | None, x: Array, y: Array) -> Array:
        """(h, w, 5) the upper layer (None) or the lower one of a jaw drop (IOD), drawn once."""
        projection = self._frame.projection
        if self._shared is not None:
            return self._shared.poses.sample(projection, self._light, jaw, (x, y))
        if jaw not in self._layers:
            self._layers[jaw] = render(self.model, projection, self._light, jaw is None, jaw or 0.0)
        return self._layers[jaw].sample(x, y)


def _widest(ring: Array) -> float:
    """The greatest gap (pixels) between the lips of an opening (20, 2)."""
    return float(np.linalg.norm(ring[1:10] - ring[:10:-1], axis=1).max())


def shadow_at(distance: Array, shadow: tuple[float, float]) -> Array:
    """Share of light at a distance (IOD) from a lip whose shadow takes (share, reach in IOD)."""
    lost, reach = shadow
    return np.asarray(1 - lost * np.exp(-np.maximum(distance, 0) / reach), np.float32)


def _down(x: Array, y: Array, frame: MouthFrame) -> Array:
    """How far (IOD) pixels x, y from the mouth's origin are down the face."""
    inverse = frame.inverse
    return np.asarray(-(inverse[1, 0] * x + inverse[1, 1] * y))


def _lips(x: Array, y: Array, ring: Array, frame: MouthFrame) -> tuple[Array, Array, Array, float]:
    """How far (pixels) below the upper lip, above the lower one, from the nearer mouth corner.

    Last the opening's height in IOD. x, y and ring are pixels from the mouth's origin.
    """
    inverse, size = frame.inverse, np.float32(frame.iod)
    u = (inverse[0, 0] * x + inverse[0, 1] * y) * size
    v = -(inverse[1, 0] * x + inverse[1, 1] * y) * size
    edge = ring @ inverse.T * size
    lower = np.r_[0, np.arange(19, 9, -1)]
    grid = np.linspace(edge[:, 0].min(), edge[:, 0].max(), 48).astype(np.float32)
    top = np.interp(grid, edge[:11, 0], -edge[:11, 1])
    bottom = np.interp(grid, edge[lower, 0], -edge[lower, 1])
    below = v - np.interp(u, grid, top).astype(np.float32)
    above = np.interp(u, grid, bottom).astype(np.float32) - v
    aside = np.minimum(u - grid[0], grid[-1] - u)
    return below, above, aside, float(np.maximum(bottom - top, 0).max() / size)
