"""The upper lid of a closing eye: skin that the photo folds away, its crease and its lashes.

An open eye hides most of its upper lid, and the strip that it shows is too narrow to stretch
over the eyeball. So the shut eye is drawn once per photo, where the lids meet: skin continued
from around the eye, with the photo's own grain, bulging over the eyeball, and lashes in the colour
of the photo's own. Frames only place it: it slides out of the fold with the lid's edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Array
from memegen.curves import smoothstep
from memegen.generators.inpaint import blur_of, fill_unknown, pixel_grid, soften
from memegen.generators.lashes import draw_lashes
from memegen.geometry.affine import PlaneAffines
from memegen.geometry.box import Box
from memegen.geometry.lids import LidCurves, LidTables
from memegen.geometry.motion import CLOSED_LINE
from memegen.geometry.outline import fill, smooth_ring
from memegen.geometry.patches import Patches, as_images, blended, on_device, per_picture
from memegen.geometry.sampling import sample, sample_planes
from memegen.geometry.topology import EYE_CORNERS, UPPER_LID

# Lengths in IOD.
REACH = 0.22  # of the drawn patch around the eye's opening
LASH_ROOM = 0.030  # beyond the upper lid's edge that lashes and liner cover
RIM_ROOM = 0.020  # beyond the lower lid's edge that the wet rim covers
STRAY = 0.10  # from the opening, where dark pixels are lashes or a fold rather than skin
NEARBY = 0.07  # over which skin is compared with its neighbourhood
GRAIN = 0.014  # finest detail of skin, carried over from below the eye
GRAIN_FROM, GRAIN_TO = 0.10, 0.20  # below the lower lid, where that detail is taken
GRAIN_BESIDE = 0.04  # to the left and right over which detail that is a line is left out
HAIR_BESIDE = 0.02  # to the left and right that a lash is compared with
BLEND = 0.015  # over which drawn skin and the photo's own blend
CREASE_WIDTH = 0.012
TOP_FADE = (0.025, 0.04)  # below and above the crease, over which lid and skin blend
BOTTOM_FADE = (0.010, 0.030)  # below the lower lid's edge
ABOVE_CREASE = 0.08  # over which skin above the crease ceases to follow it
BEYOND = 0.06  # over which the lid fades downward beyond the outer corner
OUTWARD = 0.1  # lengths of the eye beyond that corner, after which it fades so softly
MEET = 0.022  # how far a shut lid laps over the lower one

FRAME_BAND = (0.045, 0.12)  # below and above the crease, where a frame of glasses is looked for
FRAME_HALF = 0.006  # half of how thick it is at least

FRAME_SPAN = 0.8  # share of the eye and its sides that it crosses: lashes cross less
FRAME_DARK = (0.42, 0.18)  # its luma beside the skin's: at most, and in the median
HAIR_DARK = 0.94  # of the luma beside it: below, a lash
DARK, BRIGHT = 0.84, 1.22  # of the neighbourhood's luma: beyond, no skin
MOST_GRAIN = 0.03  # of the skin's colour that a pixel of its grain differs
BULGE = 0.06  # how much lighter the middle of the lid is, over the eyeball
EDGE_SHADE = 0.10  # how much darker it is toward the lashes
LAP_SHADE = 0.22  # and below them, where it laps over the lower lid
CREASE_SHADE = (0.05, 0.16)  # least and most darkening of the crease
SKIN_IN_LASHES = 0.2  # share of skin in the colour of lashes: they are thinner than pixels
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
APPEARS = (0.06, 0.38)  # lowering between which the drawn lid replaces the stretched one


def _blurred(patch: Array, radius: float) -> Array:
    return np.stack([soften(patch[..., c], radius) for c in range(patch.shape[-1])], -1)


def _beside(values: Array, reach: float) -> Array:
    """(h, w) mean over `reach` pixels to the left and right."""
    half = max(1, round(reach))
    padded = np.pad(values, ((0, 0), (half + 1, half)), mode="edge").astype(np.float64).cumsum(1)
    total = padded[:, 2 * half + 1 :] - padded[:, : -2 * half - 1]
    return np.asarray(total / (2 * half + 1), np.float32)


class LidLayer:
    """The upper lid of one eye of one photo.

    picture (H, W, 3) 0..255; ring (16, 2) the eye's opening and lid (7, 2) the skin above it, in
    pixels at rest; `iod` in pixels. Frames are drawn on `device`.
    """

    def __init__(
        self,
        picture: Array,
        ring: Array,
        lid: Array,
        iod: float,
        device: torch.device | str = "cpu",
    ) -> None:
        self._iod, self._ring, self._device = iod, ring, torch.device(device)
        self._box = Box.around(
            np.concatenate([ring, lid]), REACH * iod, picture.shape[0], picture.shape[1]
        )
        self._rest = LidCurves.of(ring, lid)
        self._room = self._fall(ring)
        self.visible = min(self._box.shape) > 3
        self._patch = picture[self._box.slices]

    @cached_property
    def _rest_table(self) -> LidTables:
        return LidTables.of([self._rest], self._device)

    @cached_property
    def _shut(self) -> tuple[tuple[Tensor, ...], Tensor]:
        """The lid as it lies when shut, drawn when a frame first lowers it.

        Images of colour, opacity of the skin and of the lashes (5 channels), and the lashes'
        colour (3, 1, 1).
        """
        patch, ring, iod = self._patch, self._ring, self._iod
        x, y = pixel_grid(self._box.left, self._box.top, *self._box.shape)
        along, above = self._rest.axes.place(x, y)
        known = self._skin(patch, ring, along, above)
        skin = self._continue_skin(patch, known, along, above)
        shade = self._shade(patch, known, along, above)
        cover = np.maximum(self._cover(along, above), self._long_lashes(patch, along, above))
        skin *= shade[..., None]
        frame = self._frame(patch, known, along, above)
        skin += (patch - skin) * frame[..., None]
        cover = np.maximum(cover, frame * np.minimum(1, 4 * soften(cover, FRAME_BAND[0] * iod)))
        lashes, colour = self._lashes(patch, skin, along, above)
        lashes *= 1 - frame
        drawn = np.concatenate([skin, cover[..., None], lashes[..., None]], -1)
        return as_images(drawn, self._device), on_device(colour, self._device).view(3, 1, 1)

    @staticmethod
    def _fall(ring: Array) -> float:
        """Mean way (pixels) of the upper lid's points down to where the lids meet."""
        gap = np.linalg.norm(ring[UPPER_LID] - ring[:8:-1], axis=1)
        return float(gap.mean()) * (1 - CLOSED_LINE)

    def lowered(self, rings: Array) -> Array:
        """(T,) how far the upper lids of moved rings (T, 16, 2) came down: 1 is shut."""
        if not self.visible or self._room < 0.02 * self._iod:  # the photo's own eye is shut
            return np.zeros(len(rings), np.float32)
        way = self._ring - rings
        corners = way[:, list(EYE_CORNERS)].mean(1, keepdims=True)
        fall = ((way[:, UPPER_LID] - corners) @ self._rest.axes.up).mean(1)
        return np.clip(fall / self._room, 0, 1)

    def _skin(self, patch: Array, ring: Array, along: Array, above: Array) -> Array:
        """(h, w) 1 where the patch shows skin: neither eye nor lashes, fold or wet rim."""
        iod = self._iod
        upper, lower, _ = self._rest.heights(along)
        opening = fill(smooth_ring(ring.astype(np.float32), EYE_CORNERS), self._box)
        wide = (along > -0.06) & (along < 1.04)
        near = wide & (above < upper + max(LASH_ROOM * iod, 1))
        near &= above > lower - max(RIM_ROOM * iod, 1)
        known = ((opening < 0.01) & ~near).astype(np.float32)
        luma = patch @ LUMA
        zone = (above < upper + STRAY * iod) & (above > lower - STRAY * iod)
        zone &= (along > -0.40) & (along < 1.2)
        for _ in range(2):  # what is taken out first no longer darkens the neighbourhood
            mass = soften(known, NEARBY * iod)
            around = soften(luma * known, NEARBY * iod) / np.maximum(mass, 1e-3)
            stray = (luma < DARK * around) | (luma > BRIGHT * around)
            stray &= zone & (mass > 0.02)
            known = np.where(stray, 0, known).astype(np.float32)
        # A pixel beside a lash is partly lash.
        known = known * (soften(known, max(BLEND * iod / 2, 1)) > 0.85)
        return known if known.sum() > 8 else (opening < 0.01).astype(np.float32)

    def _continue_skin(self, patch: Array, known: Array, along: Array, above: Array) -> Array:
        """The patch with skin over the eye: continued smoothly, with grain from below the eye."""
        iod = self._iod
        smooth = _blurred(fill_unknown(patch, known), 0.03 * iod)
        fine = (patch - _blurred(patch, GRAIN * iod)).mean(-1)
        fine = (fine - _beside(fine, GRAIN_BESIDE * iod))[..., None]  # wrinkles would make rings
        # Folded back and forth inside a band below the eye, which holds skin on nearly every face;
        # every fold is shifted sideways, or the eye would see the mirror.
        _, lower, _ = self._rest.heights(along)
        band = (GRAIN_TO - GRAIN_FROM) * iod
        turn = (above - lower) / band
        depth = np.abs((turn + 1) % 2 - 1) * band + GRAIN_FROM * iod
        aside = np.clip(along + 0.31 * (np.floor(turn) % 3 - 1), -0.1, 1.0)
        x, y = self._rest.axes.pixels(aside, lower - depth)
        grain = sample(fine, x - self._box.left, y - self._box.top)
        most = 2.0 * float(np.median(np.abs(grain))) + 1e-3  # no mole, no lash, no deep wrinkle
        most = min(most, MOST_GRAIN * float(smooth.mean()))
        rendered = smooth + np.clip(grain, -most, most)
        source = np.minimum(known, soften(known, BLEND * iod)) ** 2
        return np.asarray(rendered + (patch - rendered) * source[..., None], np.float32)

    def _shade(self, patch: Array, known: Array, along: Array, above: Array) -> Array:
        """(h, w) factor: the lid bulges over the eyeball, and the fold it came from stays seen."""
        _, _, crease = self._rest.heights(along)
        height = self._rest.shut(along, above)[2]
        profile = np.sin(np.pi * np.clip(along, 0, 1)).clip(0, 1) ** 0.6
        inside = smoothstep(-0.3, 0.1, height) * (1 - smoothstep(0.85, 1.1, height))
        bulge = BULGE * np.exp(-(((height - 0.55) / 0.28) ** 2))
        bulge = bulge - EDGE_SHADE * np.exp(-((height / 0.2) ** 2))
        # How deep the photo's own fold is: the darkest pixels about the crease beside the others.
        luma = patch @ LUMA
        about = (np.abs(above - crease) < 0.04 * self._iod) & (along > 0.15) & (along < 0.85)
        depth = CREASE_SHADE[0]
        if about.sum() > 8:
            dark, usual = np.percentile(luma[about], [10, 60])
            depth = float(np.clip(0.5 * (1 - dark / max(usual, 1)), *CREASE_SHADE))
        width = max(CREASE_WIDTH * self._iod, 0.6)
        line = np.exp(-(((above - crease) / width) ** 2))
        lap = LAP_SHADE * smoothstep(0.04, -0.06, height)
        return np.asarray(1 + profile * (inside * bulge - depth * line - lap), np.float32)

    def _cover(self, along: Array, above: Array) -> Array:
        """(h, w) opacity of the drawn lid, as it lies when shut."""
        iod = self._iod
        _, lower, crease = self._rest.heights(along)
        top = 1 - smoothstep(-TOP_FADE[0] * iod, TOP_FADE[1] * iod, above - crease)
        bottom = smoothstep(-BOTTOM_FADE[1] * iod, -BOTTOM_FADE[0] * iod, above - lower)
        sides = smoothstep(-0.24, -0.08, along) * (1 - smoothstep(1.0, 1.08, along))
        return np.asarray(top * bottom * sides, np.float32)

    def _long_lashes(self, patch: Array, along: Array, above: Array) -> Array:
        """(h, w) opacity over lashes that reach beyond the crease and would stay behind.

        Lashes run up and folds across: only the former are darker than what lies beside them.
        """
        iod = self._iod
        luma = patch @ LUMA
        upper, _, crease = self._rest.heights(along)
        hair = (luma < HAIR_DARK * _beside(luma, HAIR_BESIDE * iod)) & (
            above > crease - LASH_ROOM * iod
        )
        hair &= (above < upper + STRAY * iod) & (along > -0.3) & (along < 0.9)
        return np.minimum(1, 2.5 * soften(hair.astype(np.float32), BLEND * iod))

    def _frame(self, patch: Array, known: Array, along: Array, above: Array) -> Array:
        """(h, w) opacity of a frame of glasses that crosses the lid; it must not be drawn over.

        A frame is nearly black, thick beside lashes, and longer than the eye.
        """
        iod = self._iod
        luma = patch @ LUMA
        mass = soften(known, NEARBY * iod)
        relative = luma * np.maximum(mass, 1e-3)
        relative /= np.maximum(soften(luma * known, NEARBY * iod), 1e-3)
        upper, _, crease = self._rest.heights(along)
        place = above > np.maximum(upper + LASH_ROOM * iod, crease - FRAME_BAND[0] * iod)
        place &= above < crease + FRAME_BAND[1] * iod
        black = place & (relative < FRAME_DARK[0])
        thick = soften(black.astype(np.float32), FRAME_HALF * iod) > 0.75
        side_by_side = thick & (along > -0.25) & (along < 1.25)
        spans = (np.histogram(along[side_by_side], 24, (-0.25, 1.25))[0] > 0).mean() >= FRAME_SPAN
        if not spans or np.median(relative[side_by_side]) > FRAME_DARK[1]:
            return np.zeros_like(luma)
        near = soften(thick.astype(np.float32), 3 * FRAME_HALF * iod) > 0.02
        grown = soften((near & place & (relative < DARK)).astype(np.float32), FRAME_HALF * iod)
        return smoothstep(0.05, 0.4, grown)

    def _lashes(self, patch: Array, skin: Array, along: Array, above: Array) -> tuple[Array, Array]:
        """Opacity (h, w) of lash line and lashes of the shut eye, and their colour (3,)."""
        iod = self._iod
        upper, _, _ = self._rest.heights(along)
        middle = (along > 0.1) & (along < 0.9)
        edge = middle & (np.abs(above - upper) < max(0.012 * iod, 0.8))
        line = middle & (np.abs(self._rest.shut(along, above)[2]) < 0.15)
        tone = np.median(skin[line], axis=0) if line.any() else np.full(3, 128, np.float32)
        colour = np.percentile(patch[edge], 15, axis=0) if edge.any() else 0.4 * tone
        colour = colour * min(1.0, 0.5 * float(tone @ LUMA) / max(float(colour @ LUMA), 1.0))
        # Lashes that stand out from the photo's own lid say how full they are.
        out = (along > 0) & (along < 0.7) & (above > upper + 0.012 * iod)
        out &= above < upper + 0.05 * iod
        contrast = (skin[out] - patch[out]) @ LUMA / max(float((tone - colour) @ LUMA), 8.0)
        fullness = (
            float(np.clip(0.35 + 1.6 * np.clip(contrast, 0, 1).mean(), 0.4, 1))
            if out.any()
            else 0.5
        )
        colour = colour + SKIN_IN_LASHES * (tone - colour)
        blur = blur_of(patch @ LUMA)
        drawn = draw_lashes(self._rest, self._box, iod, fullness, blur)
        return drawn, colour.astype(np.float32)

    def draw(
        self, pictures: Sequence[Tensor], rings: Array, lids: LidTables, heads: PlaneAffines
    ) -> None:
        """Lay the lid over T pictures (H, W, 3 or 4) in place.

        rings (T, 16, 2), in pixels, and `lids` are as if heads had not turned; `heads` are those
        turns, which the lid's drawn pixels follow.
        """
        lowered = self.lowered(rings)
        rows = np.flatnonzero(smoothstep(*APPEARS, lowered) > 0).tolist()
        if not rows:
            return
        lowered, heads = lowered[rows], heads.rows(rows)
        corners = np.array(
            [[self._box.left, self._box.top], [self._box.right, self._box.top],
             [self._box.right, self._box.bottom], [self._box.left, self._box.bottom]], np.float32
        )  # fmt: skip
        shift = (rings[rows] - self._ring)[:, list(EYE_CORNERS)].mean(1, keepdims=True)
        patches = Patches.around(heads.moved(corners + shift), 0, *pictures[0].shape[:2])
        if patches.empty:
            return
        moved = lids.rows(rows)
        places = moved.axes.place(*heads.undone_pixels(*patches.pixels(self._device)))
        self._composite(patches, [pictures[k] for k in rows], moved, places, lowered)

    def _composite(
        self,
        patches: Patches,
        pictures: Sequence[Tensor],
        moved: LidTables,
        places: tuple[Tensor, Tensor],
        lowered: Array,
    ) -> None:
        """Lay it over the pixels of patches, which lie at `places` (along, above) of moved eyes."""
        iod, (along, above) = self._iod, places
        upper, _, crease = moved.heights(along)
        line, reach_shut, _ = self._rest_table.shut(along, above)
        reach = (crease - upper).clip(min=0.03 * iod)
        over_edge = above - upper
        height = over_edge / reach
        # Lashes of a half-closed eye point at the camera.
        by = (0.4 + 0.6 * lowered, MEET * iod * smoothstep(0.82, 1, lowered),
              smoothstep(*APPEARS, lowered))  # fmt: skip
        reach_of_lash, lap, strength = per_picture(np.stack(by), self._device)
        # Skin above the crease moves with it the less the higher it lies, as in the mesh.
        over = (over_edge - reach).clip(min=0) / (ABOVE_CREASE * iod)
        shut = torch.where(
            height > 1,
            above + (line + reach_shut - upper - reach) * (-over).exp(),
            line + torch.where(height < 0, over_edge / reach_of_lash, height * reach_shut),
        )
        su, sv = self._rest_table.axes.pixels(along, shut)
        rendered, lash_colour = self._shut
        found = sample_planes(rendered, su - self._box.left, sv - self._box.top)
        # Beyond the outer corner there is no edge, only skin that loses its lashes.
        width = 1 + BEYOND * iod * (-along / OUTWARD).clip(0, 1)
        edge = ((over_edge + lap) / width + 0.5).clip(0, 1)
        view = blended(patches.read(pictures), found[:, :3], found[:, 3] * edge * strength)
        view = blended(view, torch.minimum(lash_colour, view), found[:, 4] * strength)
        patches.write(pictures, view)
