"""The upper lid of a closing eye: skin that the photo folds away, its crease and its lashes.

An open eye hides most of its upper lid, and the strip that it shows is too narrow to be stretched
over the eyeball. So the shut eye is painted once per photo, where the lids will meet: skin continued
from around the eye, with the photo's own grain, bulging over the eyeball, and lashes in the colour of
the photo's own. Frames only place it: it slides out of the fold with the lid's edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from memegen.arrays import Array
from memegen.generators.inpaint import fill_unknown, pixel_grid, sample, smoothstep, soften
from memegen.geometry.flow import Box
from memegen.geometry.motion import CLOSED_LINE
from memegen.geometry.outline import fill, smooth_ring
from memegen.geometry.topology import EYE_CORNERS, UPPER_LID

# Lengths in IOD.
REACH = 0.22  # of the painted patch around the eye's opening
LASH_ROOM = 0.030  # beyond the upper lid's edge that lashes and liner cover
RIM_ROOM = 0.020  # beyond the lower lid's edge that the wet rim covers
STRAY = 0.10  # from the opening, where dark pixels are lashes or a fold rather than skin
NEARBY = 0.07  # over which skin is compared with its neighbourhood
GRAIN = 0.014  # finest detail of skin, carried over from below the eye
GRAIN_FROM, GRAIN_TO = 0.10, 0.20  # below the lower lid, where that detail is taken
GRAIN_BESIDE = 0.04  # to the left and right over which detail that is a line is left out
HAIR_BESIDE = 0.02  # to the left and right that a lash is compared with
BLEND = 0.015  # over which painted skin and the photo's own blend
CREASE_WIDTH = 0.012
TOP_FADE = (0.025, 0.04)  # below and above the crease, over which lid and skin blend
BOTTOM_FADE = (0.010, 0.030)  # below the lower lid's edge
ABOVE_CREASE = 0.08  # over which skin above the crease ceases to follow it
BEYOND = 0.06  # over which the lid fades downward beyond the outer corner
MEET = 0.022  # how far a shut lid laps over the lower one
LINE_WIDTH = 0.006  # half of the lash line where it is thickest
HAIR_WIDTH = 0.005  # a lash, or a few that cling together, at the root
HAIR_LENGTH = (0.034, 0.066)  # at the inner corner, and what the outer one adds

FRAME_ABOVE = 0.045  # the upper lid's edge, where dark and thick is no lash
FRAME_HALF = 0.008  # half of what thick means

FRAME_SPAN = 0.85  # share of the eye and its sides that it crosses: lashes cross less
FRAME_DARK = 0.62
HAIR_DARK = 0.94  # of the luma beside it: below, a lash
DARK, BRIGHT = 0.84, 1.22  # of the neighbourhood's luma: beyond, no skin
BULGE = 0.06  # how much lighter the middle of the lid is, over the eyeball
EDGE_SHADE = 0.10  # how much darker it is toward the lashes
LAP_SHADE = 0.22  # and below them, where it laps over the lower lid
CREASE_SHADE = (0.05, 0.16)  # least and most darkening of the crease
HAIRS = 64
HAIR_OPACITY = 0.8
LINE_OPACITY = 0.8
SKIN_IN_LASHES = 0.2  # share of skin in the colour of lashes: they are thinner than pixels
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
APPEARS = (0.06, 0.38)  # lowering between which the painted lid replaces the stretched one
_SUPERSAMPLE = 4


@dataclass(frozen=True)
class EyeAxes:
    """Where a pixel lies in an eye: along it and above the line of its corners.

    `along` is 0 at the outer corner and 1 at the inner one; `above` is in pixels.
    """

    origin: Array  # (2,) outer corner
    across: Array  # (2,) unit vector to the inner corner
    up: Array  # (2,) unit vector to the brow
    length: float  # pixels between the corners

    @classmethod
    def of(cls, ring: Array, lid: Array) -> EyeAxes:
        """Of an eye ring (16, 2) with the skin above its lid (7, 2)."""
        span = ring[8] - ring[0]
        length = max(float(np.linalg.norm(span)), 1e-3)
        across = (span / length).astype(np.float32)
        up = np.array([across[1], -across[0]], np.float32)
        if float((lid.mean(0) - ring[list(EYE_CORNERS)].mean(0)) @ up) < 0:
            up = -up
        return cls(ring[0].astype(np.float32), across, up, length)

    def place(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Pixels to along and above."""
        dx, dy = x - self.origin[0], y - self.origin[1]
        along = (dx * self.across[0] + dy * self.across[1]) / self.length
        return along, dx * self.up[0] + dy * self.up[1]

    def pixels(self, along: Array, above: Array) -> tuple[Array, Array]:
        """The inverse of `place`."""
        reach = along * self.length
        x = self.origin[0] + reach * self.across[0] + above * self.up[0]
        y = self.origin[1] + reach * self.across[1] + above * self.up[1]
        return x, y


@dataclass(frozen=True)
class LidCurves:
    """Edges of one eye as heights (pixels) over its own axes."""

    axes: EyeAxes
    upper: tuple[Array, Array]  # along, above: the upper lid's edge
    lower: tuple[Array, Array]
    crease: tuple[Array, Array]

    @classmethod
    def of(cls, ring: Array, lid: Array) -> LidCurves:
        """Of an eye ring (16, 2) with the skin above its lid (7, 2)."""
        axes = EyeAxes.of(ring, lid)
        edge = smooth_ring(ring.astype(np.float32), EYE_CORNERS)
        half = len(edge) // 2
        upper = _as_function(axes, edge[: half + 1])
        lower = _as_function(axes, np.concatenate([edge[half:], edge[:1]]))
        return cls(axes, upper, lower, _as_function(axes, lid))

    def heights(self, along: Array) -> tuple[Array, Array, Array]:
        """Upper edge, lower edge and crease at `along`, pixels above the corners' line."""
        upper, lower, crease = (
            np.interp(along, *curve).astype(np.float32)
            for curve in (self.upper, self.lower, self.crease)
        )
        return upper, lower, crease


def _as_function(axes: EyeAxes, points: Array) -> tuple[Array, Array]:
    along, above = axes.place(points[:, 0], points[:, 1])
    order = np.argsort(along, kind="stable")
    return along[order], above[order]


def _blurred(patch: Array, radius: float) -> Array:
    return np.stack([soften(patch[..., c], radius) for c in range(patch.shape[-1])], -1)


def _beside(values: Array, reach: float) -> Array:
    """(h, w) mean over `reach` pixels to the left and right."""
    half = max(1, round(reach))
    padded = np.pad(values, ((0, 0), (half + 1, half)), mode="edge").astype(np.float64).cumsum(1)
    total = padded[:, 2 * half + 1 :] - padded[:, : -2 * half - 1]
    return np.asarray(total / (2 * half + 1), np.float32)


def _sharpness(luma: Array) -> float:
    """Standard deviation (pixels) of the blur that a patch with a strong edge shows.

    A step of contrast C under a Gaussian blur has the greatest slope C / (sigma sqrt(2 pi)). Halved:
    the steepest edge seldom spans the whole contrast.
    """
    if min(luma.shape) < 3:
        return 0.5
    slope = np.hypot(*np.gradient(luma))
    low, high = np.percentile(luma, [3, 97])
    steepest = max(float(np.percentile(slope, 99.5)), 1e-3)
    return float(np.clip((high - low) / steepest / np.sqrt(2 * np.pi), 0.8, 8)) / 2


class LidLayer:
    """The upper lid of one eye of one photo.

    picture (H, W, 3) 0..255; ring (16, 2) the eye's opening and lid (7, 2) the skin above it, in
    pixels at rest; `iod` in pixels.
    """

    def __init__(self, picture: Array, ring: Array, lid: Array, iod: float) -> None:
        self._iod, self._ring = iod, ring
        self._box = Box.around(
            np.concatenate([ring, lid]), REACH * iod, picture.shape[0], picture.shape[1]
        )
        self._rest = LidCurves.of(ring, lid)
        self._room = self._fall(ring)
        self.visible = min(self._box.size) > 3
        if not self.visible:
            return
        patch = picture[self._box.slices]
        x, y = pixel_grid(self._box.left, self._box.top, *self._box.size)
        along, above = self._rest.axes.place(x, y)
        known = self._skin(patch, ring, along, above)
        skin = self._continue_skin(patch, known, along, above)
        shade = self._shade(patch, known, along, above)
        cover = np.maximum(self._cover(along, above), self._long_lashes(patch, along, above))
        skin *= shade[..., None]
        frame = self._frame(patch, known, along, above)
        skin += (patch - skin) * frame[..., None]
        cover = np.maximum(cover, frame * np.minimum(1, 4 * soften(cover, FRAME_ABOVE * iod)))
        lashes, colour = self._lashes(patch, skin, along, above)
        lashes *= 1 - frame
        self._painted = np.concatenate([skin, cover[..., None], lashes[..., None]], -1)
        self._lash_colour = colour

    @staticmethod
    def _fall(ring: Array) -> float:
        """Mean way (pixels) of the upper lid's points down to where the lids meet."""
        gap = np.linalg.norm(ring[UPPER_LID] - ring[:8:-1], axis=1)
        return float(gap.mean()) * (1 - CLOSED_LINE)

    def lowered(self, ring: Array) -> float:
        """How far the moved upper lid (of ring (16, 2)) came down: 0 as in the photo, 1 shut."""
        if self._room < 0.02 * self._iod:  # the photo's own eye is shut
            return 0.0
        way = self._ring[UPPER_LID] - ring[UPPER_LID]
        corners = (self._ring - ring)[list(EYE_CORNERS)].mean(0)
        fall = float(((way - corners) @ self._rest.axes.up).mean())
        return float(np.clip(fall / self._room, 0, 1))

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
        most = 2.0 * float(np.median(np.abs(grain))) + 1e-3
        painted = smooth + np.clip(grain, -most, most)
        own = np.minimum(known, soften(known, BLEND * iod)) ** 2
        return np.asarray(painted + (patch - painted) * own[..., None], np.float32)

    def _place_shut(self, along: Array, above: Array) -> tuple[Array, Array, Array, Array]:
        """Meeting line and crease (pixels), their distance, and the height in units of it."""
        upper, lower, crease = self._rest.heights(along)
        line = lower + CLOSED_LINE * (upper - lower)
        reach = np.maximum(crease - line, 0.03 * self._iod)
        return line, crease, reach, (above - line) / reach

    def _shade(self, patch: Array, known: Array, along: Array, above: Array) -> Array:
        """(h, w) factor: the lid bulges over the eyeball, and the fold it came from stays seen."""
        _, crease, _, height = self._place_shut(along, above)
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
        """(h, w) opacity of the painted lid, as it lies when shut."""
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
        hair = (luma < HAIR_DARK * _beside(luma, HAIR_BESIDE * iod)) & (above > crease - LASH_ROOM * iod)
        hair &= (above < upper + STRAY * iod) & (along > -0.3) & (along < 0.9)
        return np.minimum(1, 2.5 * soften(hair.astype(np.float32), BLEND * iod))

    def _frame(self, patch: Array, known: Array, along: Array, above: Array) -> Array:
        """(h, w) opacity of what lies before the lid: frames of glasses, or a low brow.

        Both are dark and, unlike lashes and folds, thick.
        """
        iod = self._iod
        luma = patch @ LUMA
        mass = soften(known, NEARBY * iod)
        around = soften(luma * known, NEARBY * iod) / np.maximum(mass, 1e-3)
        upper, _, crease = self._rest.heights(along)
        dark = above > np.maximum(upper + FRAME_ABOVE * iod, crease - FRAME_ABOVE * iod)
        dark &= luma < FRAME_DARK * around
        thick = soften(dark.astype(np.float32), FRAME_HALF * iod) > 0.75
        over_eye = (along > -0.25) & (along < 1.25)
        columns = np.histogram(along[thick & over_eye], 24, (-0.25, 1.25))[0] > 0
        if columns.mean() < FRAME_SPAN:
            return np.zeros_like(luma)
        wide = soften(thick.astype(np.float32), 3 * FRAME_HALF * iod) > 0.04
        grown = soften((wide & dark).astype(np.float32), FRAME_HALF * iod)
        return smoothstep(0.05, 0.4, grown)

    def _lashes(
        self, patch: Array, skin: Array, along: Array, above: Array
    ) -> tuple[Array, Array]:
        """Opacity (h, w) of lash line and lashes of the shut eye, and their colour (3,)."""
        iod = self._iod
        upper, _, _ = self._rest.heights(along)
        middle = (along > 0.1) & (along < 0.9)
        edge = middle & (np.abs(above - upper) < max(0.012 * iod, 0.8))
        line = middle & (np.abs(self._place_shut(along, above)[3]) < 0.15)
        tone = np.median(skin[line], axis=0) if line.any() else np.full(3, 128, np.float32)
        colour = np.percentile(patch[edge], 15, axis=0) if edge.any() else 0.4 * tone
        colour = colour * min(1.0, 0.5 * float(tone @ LUMA) / max(float(colour @ LUMA), 1.0))
        # Lashes that stand out from the photo's own lid say how full they are.
        out = (along > 0) & (along < 0.7) & (above > upper + 0.012 * iod)
        out &= above < upper + 0.05 * iod
        contrast = (skin[out] - patch[out]) @ LUMA / max(float((tone - colour) @ LUMA), 8.0)
        fullness = float(np.clip(0.35 + 1.6 * np.clip(contrast, 0, 1).mean(), 0.4, 1)) if out.any() else 0.5
        colour = colour + SKIN_IN_LASHES * (tone - colour)
        return self._draw_lashes(fullness, _sharpness(patch @ LUMA)), colour.astype(np.float32)

    def _draw_lashes(self, fullness: float, blur: float) -> Array:
        """(h, w) opacity: a line thicker outward, and single lashes that point down and outward.

        `fullness` 0..1; `blur` the photo's own, standard deviation in pixels.
        """
        height, width = self._box.size
        size = (width * _SUPERSAMPLE, height * _SUPERSAMPLE)
        line, hairs = Image.new("L", size, 0), Image.new("L", size, 0)
        along = np.linspace(-0.05, 1, 40, dtype=np.float32)
        half = LINE_WIDTH * self._iod * (0.4 + 0.6 * (1 - along).clip(0, 1) ** 0.6) + 0.5 * blur
        half = half * smoothstep(1.02, 0.75, along) * smoothstep(-0.06, 0.12, along)
        meet = self._place_shut(along, np.zeros_like(along))[0]
        above, below = self._at(along, meet + half), self._at(along, meet - 1.3 * half)
        self._polygon(ImageDraw.Draw(line), np.concatenate([above, below[::-1]]), 255)
        pen = ImageDraw.Draw(hairs)
        for stroke, strength in self._hairs(fullness, blur):
            self._polygon(pen, stroke, round(255 * strength))
        soft = ImageFilter.GaussianBlur(float(np.hypot(blur, 0.004 * self._iod)))
        drawn_line = np.asarray(line.reduce(_SUPERSAMPLE).filter(soft), np.float32) / 255
        fine = ImageFilter.GaussianBlur(0.8 * blur)
        drawn_hairs = np.asarray(hairs.reduce(_SUPERSAMPLE).filter(fine), np.float32) / 255
        return np.asarray(1 - (1 - LINE_OPACITY * drawn_line) * (1 - drawn_hairs), np.float32)

    def _hairs(self, fullness: float, blur: float) -> list[tuple[Array, float]]:
        """Outlines (N, 2) in pixels of the lashes of the shut eye, and their opacities."""
        k = np.arange(HAIRS)
        # Multiples of irrational numbers spread evenly without repeating.
        jitter, other, third = (k * 0.618034) % 1, (k * 0.754878) % 1, (k * 0.569840) % 1
        root = 0.02 + 0.94 * (k + 2.6 * (jitter - 0.5)).clip(0) / HAIRS
        outward = 1 - root
        length = (HAIR_LENGTH[0] + HAIR_LENGTH[1] * outward**1.3) * (0.3 + 0.8 * other)
        length = length * (0.5 + 0.5 * fullness) * smoothstep(1.0, 0.7, root)
        length = length * self._iod * smoothstep(-0.08, 0.12, root)
        lean = 0.05 + 1.05 * outward**1.2 + 0.5 * (third - 0.5)
        base = self._place_shut(root.astype(np.float32), np.zeros(HAIRS, np.float32))[0]
        opacity = HAIR_OPACITY * (0.45 + 0.55 * fullness) * (0.55 + 0.45 * third)
        t = np.linspace(0, 1, 7)
        bow = 2 * t * (1 - t)
        taper = (HAIR_WIDTH / 2 * self._iod + 0.4 * blur) * (1 - t) ** 0.8 + 0.06
        found = []
        for i in range(HAIRS):
            step = length[i] / np.hypot(1, lean[i])
            # Quadratic Bezier: down first, off the skin, then curling outward and up.
            middle = np.stack([-(bow * 0.3 + t**2) * lean[i], -(bow * 0.65 + t**2 * 0.85)], 1) * step
            along = np.gradient(middle, axis=0)
            normal = np.stack([along[:, 1], -along[:, 0]], 1)
            normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
            side = normal * taper[:, None]
            outline = np.concatenate([middle + side, (middle - side)[::-1]])
            at = self._at(root[i] + outline[:, 0] / self._rest.axes.length, base[i] + outline[:, 1])
            found.append((at, float(opacity[i])))
        return found

    def _at(self, along: Array, above: Array) -> Array:
        return np.stack(self._rest.axes.pixels(along, above), -1)

    def _polygon(self, pen: ImageDraw.ImageDraw, outline: Array, value: int) -> None:
        at = (outline - [self._box.left, self._box.top]) * _SUPERSAMPLE - 0.5
        pen.polygon([(float(x), float(y)) for x, y in at], fill=value)

    def paint(self, image: Array, ring: Array, lid: Array, head: tuple[Array, Array]) -> None:
        """Lay the lid over image (H, W, 3) in place.

        ring (16, 2) and lid (7, 2) are the moved points in pixels; `head` is the affine of the
        head's turn, which the lid's painted pixels follow.
        """
        matrix, offset = head
        inverse = np.linalg.inv(matrix)
        ring, lid = (ring - offset) @ inverse.T, (lid - offset) @ inverse.T
        lowered = self.lowered(ring) if self.visible else 0.0
        strength = float(smoothstep(*APPEARS, np.array(lowered)))
        if strength <= 0:
            return
        moved = LidCurves.of(ring.astype(np.float32), lid.astype(np.float32))
        corners = np.array(
            [[self._box.left, self._box.top], [self._box.right, self._box.top],
             [self._box.right, self._box.bottom], [self._box.left, self._box.bottom]], np.float32
        )  # fmt: skip
        corners = corners + (ring - self._ring)[list(EYE_CORNERS)].mean(0)
        box = Box.around(corners @ matrix.T + offset, 0, *image.shape[:2])
        if min(box.size) < 1:
            return
        x, y = pixel_grid(box.left, box.top, *box.size)
        px, py = x - offset[0], y - offset[1]
        u = inverse[0, 0] * px + inverse[0, 1] * py
        v = inverse[1, 0] * px + inverse[1, 1] * py
        along, above = moved.axes.place(u, v)
        self._composite(image[box.slices], moved, along, above, (strength, lowered))

    def _composite(
        self, view: Array, moved: LidCurves, along: Array, above: Array, by: tuple[float, float]
    ) -> None:
        strength, lowered = by
        iod = self._iod
        upper, _, crease = moved.heights(along)
        line, _, reach_shut, _ = self._place_shut(along, above)
        reach = np.maximum(crease - upper, 0.03 * iod)
        height = (above - upper) / reach
        reach_of_lash = 0.4 + 0.6 * lowered  # lashes of a half-closed eye point at the camera
        # Skin above the crease moves with it the less the higher it lies, as in the mesh.
        over = np.maximum(above - upper - reach, 0) / (ABOVE_CREASE * iod)
        shut = np.where(
            height > 1,
            above + (line + reach_shut - upper - reach) * np.exp(-over),
            np.where(height < 0, line + (above - upper) / reach_of_lash, line + height * reach_shut),
        )
        su, sv = self._rest.axes.pixels(along, shut)
        found = sample(self._painted, su - self._box.left, sv - self._box.top)
        lap = MEET * iod * float(smoothstep(0.82, 1, np.array(lowered)))
        # Beyond the outer corner there is no edge, only skin that loses its lashes.
        width = 1 + BEYOND * iod * np.clip(-along / 0.1, 0, 1)
        edge = np.clip((above - upper + lap) / width + 0.5, 0, 1)
        skin = (found[..., 3] * edge * strength)[..., None]
        view += (found[..., :3] - view) * skin
        lash = (found[..., 4] * strength)[..., None]
        view += (np.minimum(self._lash_colour, view) - view) * lash
