"""The eyeball under the lids: lids slide over it, the iris turns on it, nothing is squeezed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Array, Mask
from memegen.curves import smoothstep
from memegen.generators.inpaint import fill_unknown, pixel_grid, soften
from memegen.generators.lids import LUMA, LidLayer
from memegen.geometry.affine import PlaneAffines
from memegen.geometry.box import Box
from memegen.geometry.lids import LidCurves, LidTables
from memegen.geometry.outline import fill, opening, smooth_ring
from memegen.geometry.patches import Patches, as_image, blended, per_picture
from memegen.geometry.sampling import sample, sample_planes
from memegen.geometry.topology import EYE_CORNERS, LOWER_LID, UPPER_LID

IRIS_RADIUS = (0.078, 0.105)  # IOD: an iris is 11.7 mm wide on nearly everyone, eyes 63 mm apart
IRIS_EDGE = 0.12  # share of the radius over which the iris fades into the white
PUPIL = (0.38, 0.3)  # its share of the iris's radius, and how bright it is beside the iris
RIM = 0.012  # IOD over which the eyeball and the rim of a lid blend
CARUNCLE = (0.84, 0.93)  # lengths from the outer corner where the pink of the inner one begins
CORNERS_STAY = (0.06, 0.25)  # lengths from an eye's corners that upper and lower lid hardly move
IRIS_SHOWN = 0.35  # share of the iris that must be seen for its sides to be mirrored
LASHES = 0.03  # IOD inside the lid line where lashes and shadow are, not eyeball
WIDENING = 0.02  # IOD of lid motion at which the eyeball no longer shows the lashes' own pixels
# How dark the eyeball is at the edge of a lid, and the depth (IOD) over which that fades.
SHADOW, RIM_SHADOW = (0.55, 0.03), (0.12, 0.012)
CORNER_SHADE = 0.32  # how much darker the white is at the corners than in the middle
WHITE_LEAST = 1.0  # luma of the white beside the skin's: an eye in the shade of lashes shows less
WHITE_CHROMA = 0.45  # saturation of the white beside the skin's, at most
SHUT = 0.97  # closing from which nothing of the eyeball is seen
FEATHER = 0.015  # IOD over which what the photo shows and what is completed blend
WHITE_SHADE = 0.72  # luma beside the white's own below which a pixel is corner, vein or shadow


@dataclass(frozen=True)
class MovedEyes:
    """Where one eye is in each of T frames, in pixels."""

    ring: Array  # (T, 16, 2) the lids' edge
    iris: Array  # (T, 5, 2)
    lid: Array  # (T, 7, 2) the skin above the upper lid


@dataclass(frozen=True)
class _StillEyes:
    """The same as if heads had not turned."""

    ring: Array  # (T, 16, 2)
    iris: Array  # (T, 2) its centre
    lids: LidTables

    @classmethod
    def of(cls, eyes: MovedEyes, heads: PlaneAffines, device: torch.device) -> _StillEyes:
        ring, iris, lid = (heads.undone(points) for points in (eyes.ring, eyes.iris, eyes.lid))
        lids = [LidCurves.of(*points) for points in zip(ring, lid, strict=True)]
        return cls(ring, iris[:, 0], LidTables.of(lids, device))

    def rows(self, rows: list[int]) -> _StillEyes:
        return _StillEyes(self.ring[rows], self.iris[rows], self.lids.rows(rows))


class EyeLayer:
    """One eye of one photo: white and iris completed behind the lids.

    picture (H, W, 3) 0..255; ring (16, 2) lid points, iris (5, 2) and lid (7, 2), the skin above
    the upper lid, in pixels; `iod` in pixels. Frames are drawn on `device`.
    """

    def __init__(
        self,
        picture: Array,
        ring: Array,
        iris: Array,
        lid: Array,
        iod: float,
        device: torch.device | str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self._ring, self._iod, self._iris = ring, iod, iris[0]
        self._open = float(opening(ring))
        # A shut eye cannot close.
        self._awake = float(smoothstep(0.02, 0.06, np.array(self._open / iod)))
        height, width = picture.shape[:2]
        self._box = Box.around(ring, 0.16 * iod, height, width)
        self.radius = float(
            np.clip(np.linalg.norm(iris[1:] - iris[0], axis=1).mean() / iod, *IRIS_RADIUS) * iod
        )
        self.visible = min(self._box.shape) > 3
        if not self.visible:
            return
        self._lid = LidLayer(picture, ring, lid, iod, self._device)
        patch = picture[self._box.slices]
        x, y = pixel_grid(self._box.left, self._box.top, *self._box.shape)
        seen = fill(smooth_ring(ring, EYE_CORNERS), self._box)
        clean = self._within(LASHES) > 0.9
        distance = np.hypot(x - self._iris[0], y - self._iris[1]) / self.radius
        disc = 1 - smoothstep(1 - IRIS_EDGE, 1 + IRIS_EDGE, distance)
        rest = LidCurves.of(ring, lid)
        self._rest = LidTables.of([rest], self._device)
        along = rest.axes.place(x, y)[0]
        aside = np.clip(np.abs(2 * along - 1), 0, 1)
        ball = 1 - CORNER_SHADE * aside[..., None] ** 2
        white = self._whole_white(patch, clean & (distance > 1.2), seen, ball)
        corner = smoothstep(*CARUNCLE, along) * seen * smoothstep(1.1, 1.3, distance)
        white += (patch - white) * corner[..., None]  # pink, and never white
        iris_patch = self._whole_iris(patch, (clean & (distance < 1.0)).astype(np.float32), x, y)
        eyeball = white + (iris_patch - white) * disc[..., None]
        sure = _feathered(clean, FEATHER * iod) * np.maximum(disc, self._plain(patch, white))
        lidless = eyeball + (patch - eyeball) * sure[..., None]  # what wide lids uncover
        kept = np.where(seen[..., None] > 0, patch, eyeball)
        disc = np.concatenate([iris_patch, disc[..., None]], -1)
        self._kept, self._lidless, self._white, self._round = (
            as_image(part, self._device) for part in (kept, lidless, white, disc)
        )

    def _within(self, margin: float) -> Array:
        """Coverage (h, w) of the eye's opening less a margin (IOD) along its edge."""
        middle = self._ring.mean(0)
        spokes = self._ring - middle
        length = np.linalg.norm(spokes, axis=1)
        kept = np.maximum(1 - margin * self._iod / np.maximum(length, 1e-3), 0.05)
        shrunk = (middle + spokes * kept[:, None]).astype(np.float32)
        return fill(smooth_ring(shrunk, EYE_CORNERS), self._box)

    def closing(self, rings: Array) -> Array:
        """(T,) 0 where moved rings (T, 16, 2) are as open as in the photo, 1 where lids meet."""
        return np.clip(1 - opening(rings) / max(self._open, 1e-3), 0, 1) * self._awake

    def _whole_white(self, patch: Array, known: Mask, seen: Array, ball: Array) -> Array:
        """The patch as if it were all white of the eye: what the photo shows, continued.

        Between lashes and iris a photo often shows little but their shadow, so the tone is that of
        the brighter part, no darker and no more saturated than whites beside such skin are.
        """
        luma = patch @ LUMA
        around = patch[seen == 0].reshape(-1, 3)
        lit = np.percentile(around @ LUMA, [60, 90]) if len(around) else (0, 255)
        around = around[(around @ LUMA >= lit[0]) & (around @ LUMA <= lit[1])]
        skin = np.median(around, axis=0) if len(around) else patch.mean((0, 1))
        bright = known & (luma >= np.percentile(luma[known], 70)) if known.any() else known
        tone = np.median(patch[bright], axis=0) if bright.any() else skin
        light, skin_light = float(tone @ LUMA), max(float(skin @ LUMA), 1.0)
        target = max(light, WHITE_LEAST * skin_light)
        chroma = (tone - light) * (target / max(light, 1.0))
        most = WHITE_CHROMA * np.abs(skin - skin_light).max() * target / skin_light
        chroma = chroma * min(1.0, most / max(float(np.abs(chroma).max()), 1e-3))
        white = (target + chroma).astype(np.float32)
        plain = (known & (luma > WHITE_SHADE * target)).astype(np.float32)
        plain_white = white * ball
        if plain.sum() > 4:
            plain_white = (fill_unknown(patch, plain) + plain_white) / 2
        source = _feathered(plain > 0, FEATHER * self._iod)[..., None]
        return plain_white + (patch - plain_white) * source

    @staticmethod
    def _plain(patch: Array, white: Array) -> Array:
        """(h, w) 1 where a patch is about as light as the white that it would be."""
        return smoothstep(WHITE_SHADE - 0.12, WHITE_SHADE, (patch @ LUMA) / (white @ LUMA + 1e-3))

    def _whole_iris(self, patch: Array, known: Array, x: Array, y: Array) -> Array:
        """The iris is round: what a lid hides is taken from the opposite side of its centre.

        What both sides hide gets the mean colour at its distance from the centre.
        """
        opposite_x = 2 * self._iris[0] - x - self._box.left
        opposite_y = 2 * self._iris[1] - y - self._box.top
        distance = np.hypot(x - self._iris[0], y - self._iris[1]) / self.radius
        if not known.any():
            return patch
        rings = self._iris_rings(patch, known, distance)
        whole, weight = patch * known[..., None], known.copy()
        if known.sum() > IRIS_SHOWN * np.pi * self.radius**2:  # enough to mirror
            both = np.concatenate([patch, known[..., None]], -1)
            turned = sample(both, opposite_x, opposite_y)
            sideways = sample(both, opposite_x, y - self._box.top)
            for other in (sideways, turned):
                add = np.where(other[..., 3] > 0.9, 1 - weight, 0)
                whole, weight = whole + other[..., :3] * add[..., None], weight + add
        # Half mirrored, half rings: neither the seams of the one nor the flatness of the other.
        hidden = (whole + rings * (1 - weight)[..., None] + rings) / 2
        source = _feathered(known > 0, FEATHER * self._iod)[..., None]
        return hidden + (patch - hidden) * source

    @staticmethod
    def _iris_rings(patch: Array, known: Array, distance: Array) -> Array:
        """The patch as rings about the iris's centre: each the mean of what is known of it."""
        rings = np.clip((distance * 10).astype(int), 0, 9)
        mass = np.bincount(rings.ravel(), known.ravel(), 10)
        sums = [np.bincount(rings.ravel(), (patch[..., c] * known).ravel(), 10) for c in range(3)]
        held = mass > 0.5
        if not held.any():
            return patch
        where, colour = (
            (np.arange(10)[held] + 0.5) / 10,
            np.stack(sums, -1)[held] / mass[held, None],
        )
        if where[0] > PUPIL[0]:  # a lid hides the whole pupil
            where = np.concatenate([[PUPIL[0] - 0.1, PUPIL[0]], where])
            colour = np.concatenate([colour[:1] * PUPIL[1], colour[:1], colour])
        found = [np.interp(distance, where, colour[:, c]) for c in range(3)]
        return np.stack(found, -1).astype(np.float32)

    def draw(self, pictures: Sequence[Tensor], eyes: MovedEyes, heads: PlaneAffines) -> None:
        """Draw the eye into T pictures (H, W, 3 or 4) in place; `heads` are the heads' turns."""
        if not self.visible:
            return
        still = _StillEyes.of(eyes, heads, self._device)
        seen = np.flatnonzero(self.closing(eyes.ring) < SHUT).tolist()
        if seen:
            shown = [pictures[frame] for frame in seen]
            self._draw_ball(shown, eyes.ring[seen], still.rows(seen), heads.rows(seen))
        self._lid.draw(pictures, still.ring, still.lids, heads)

    def _draw_ball(
        self, pictures: Sequence[Tensor], rings: Array, still: _StillEyes, heads: PlaneAffines
    ) -> None:
        patches = Patches.around(rings, 2, *pictures[0].shape[:2])
        if patches.empty:
            return
        mask = patches.filled(smooth_ring(rings, EYE_CORNERS), self._device)
        colour, depth = self._eyeball(*heads.undone_pixels(*patches.pixels(self._device)), still)
        # It blends into the lids' own rims, unless hardly anything is open.
        rim = 1 - smoothstep(0, RIM * self._iod, depth)
        opened = np.maximum(0, 1 - 2 * self.closing(rings))
        mask = mask * (1 - per_picture(opened, self._device) * rim)
        patches.write(pictures, blended(patches.read(pictures), colour, mask))

    def _eyeball(self, u: Tensor, v: Tensor, eyes: _StillEyes) -> tuple[Tensor, Tensor]:
        """Colours (T, 3, h, w) of the eyeball at places (T, h, w) of the unturned photo, and how
        far (pixels) inside the opening they lie.
        """
        turn = eyes.iris - self._iris
        turned = np.minimum(1, np.hypot(*turn.T) / 1.5)
        x, y = u - self._box.left, v - self._box.top
        fresh, shadow, depth = self._fresh(u, v, eyes)
        if not turned.any():
            kept, bare = sample_planes([self._kept, self._lidless], x, y).split(3, 1)
        else:
            still = sample_planes([self._kept, self._lidless, self._white], x, y)
            kept, bare, white = still.split(3, 1)
            across, down, share = per_picture(np.stack([*turn.T, turned]), self._device)
            iris, disc = sample_planes(self._round, x - across, y - down).split([3, 1], 1)
            looking = white + (iris - white) * disc
            bare = bare + (looking - bare) * share[:, None]
            fresh = torch.maximum(fresh, share)
        return kept + (bare * shadow[:, None] - kept) * fresh[:, None], depth

    def _fresh(self, u: Tensor, v: Tensor, eyes: _StillEyes) -> tuple[Tensor, Tensor, Tensor]:
        """Where lids that moved leave nothing of the photo's eyeball, and the shadow they cast.

        All (T, h, w): a share 0..1, large along the old and the new edge of a lid that moved, the
        factor by which the lids darken what lies below them, and the distance (pixels) to them.
        """
        along, above = eyes.lids.axes.place(u, v)
        upper, lower, _ = eyes.lids.heights(along)
        along, above_rest = self._rest.axes.place(u, v)
        upper_rest, lower_rest, _ = self._rest.heights(along)
        height = (above_rest - lower_rest) / (upper_rest - lower_rest).clip(min=1e-3)
        fresh = torch.zeros_like(u)
        corner = torch.minimum(along, 1 - along)
        down, up = upper - above, above - lower  # below the upper edge, above the lower one
        way = np.abs(eyes.ring - self._ring).max(2) / self._iod
        ways = np.stack([way[:, UPPER_LID].max(1), way[:, LOWER_LID].max(1)])
        weights = per_picture(np.minimum(1, ways / WIDENING), self._device)
        lids = (
            (weights[0], down, smoothstep(0.3, 0.65, height), CORNERS_STAY[0]),
            (weights[1], up, smoothstep(0.5, 0.2, height), CORNERS_STAY[1]),
        )
        for weight, depth, near, stay in lids:
            close = smoothstep(0.07 * self._iod, 0.02 * self._iod, depth)
            inner = smoothstep(0.0, stay, corner)
            fresh = torch.maximum(fresh, weight * torch.maximum(near, close) * inner)
        over = down.clip(min=0) * (-1 / (SHADOW[1] * self._iod))
        under = up.clip(min=0) * (-1 / (RIM_SHADOW[1] * self._iod))
        shadow = (1 - SHADOW[0] * over.exp()) * (1 - RIM_SHADOW[0] * under.exp())
        return fresh, shadow, torch.minimum(down, up)


def _feathered(mask: Mask, radius: float) -> Array:
    """(h, w) mask that fades out inward over about `radius` pixels."""
    solid = mask.astype(np.float32)
    return solid * smoothstep(0.5, 1.0, soften(solid, max(radius, 1)))
