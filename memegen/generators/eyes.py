"""The eyeball under the lids: lids slide over it, the iris turns on it, nothing is squeezed."""

from __future__ import annotations

import numpy as np

from memegen.arrays import Array, Mask
from memegen.generators.inpaint import fill_unknown, pixel_grid, sample, smoothstep, soften
from memegen.generators.lids import LUMA, LidCurves, LidLayer
from memegen.geometry.flow import Box
from memegen.geometry.outline import fill, opening, smooth_ring
from memegen.geometry.topology import EYE_CORNERS, UPPER_LID

IRIS_RADIUS = (0.078, 0.105)  # IOD: an iris is 11.7 mm wide on nearly everyone, eyes 63 mm apart
IRIS_EDGE = 0.12  # share of the radius over which the iris fades into the white
PUPIL = (0.38, 0.3)  # its share of the iris's radius, and how bright it is beside the iris
LASH = 0.02  # IOD inside the lid line where lashes and shadow are, not eyeball
WIDENING = 0.02  # IOD of lid motion at which the eyeball no longer shows the lashes' own pixels
SHADOW = (0.4, 0.03)  # of a moved upper lid on the eyeball: how dark at the lid, IOD deep
SHADOW_APPEARS = 0.035  # IOD of lid motion at which it takes the place of the photo's own
WHITE_LEAST = 0.8  # luma of the white beside the skin's: an eye in the shade of lashes shows less
WHITE_CHROMA = 0.55  # saturation of the white beside the skin's, at most
WHITE_SHADE = 0.6  # luma beside the white's own below which a pixel is corner, vein or shadow


class EyeLayer:
    """One eye of one photo: white and iris completed behind the lids.

    picture (H, W, 3) 0..255; ring (16, 2) lid points, iris (5, 2) and lid (7, 2), the skin above
    the upper lid, in pixels; `iod` in pixels.
    """

    def __init__(self, picture: Array, ring: Array, iris: Array, lid: Array, iod: float) -> None:
        self._ring, self._iod, self._iris = ring, iod, iris[0]
        height, width = picture.shape[:2]
        self._box = Box.around(ring, 0.16 * iod, height, width)
        self.radius = float(
            np.clip(np.linalg.norm(iris[1:] - iris[0], axis=1).mean() / iod, *IRIS_RADIUS) * iod
        )
        self.visible = min(self._box.size) > 3
        if not self.visible:
            return
        self._lid = LidLayer(picture, ring, lid, iod)
        patch = picture[self._box.slices]
        x, y = pixel_grid(self._box.left, self._box.top, *self._box.size)
        seen = fill(smooth_ring(ring, EYE_CORNERS), self._box)
        middle = ring.mean(0)
        shrunk = (
            middle
            + (ring - middle) * (1 - LASH * iod / np.linalg.norm(ring - middle, axis=1))[:, None]
        )
        clean = fill(smooth_ring(shrunk.astype(np.float32), EYE_CORNERS), self._box) > 0.9
        distance = np.hypot(x - self._iris[0], y - self._iris[1]) / self.radius
        disc = 1 - smoothstep(1 - IRIS_EDGE, 1 + IRIS_EDGE, distance)
        white = self._whole_white(patch, clean & (distance > 1.2), seen)
        iris_patch = self._whole_iris(patch, (clean & (distance < 1.0)).astype(np.float32), x, y)
        eyeball = white + (iris_patch - white) * disc[..., None]
        self._lidless = np.where(clean[..., None], patch, eyeball)  # what wide lids uncover
        self._kept = np.where(seen[..., None] > 0, patch, eyeball)
        self._turning = np.concatenate([white, iris_patch, disc[..., None]], -1)

    def closing(self, ring: Array) -> float:
        """0 where the moved ring (16, 2) is as open as in the photo, 1 where the lids meet."""
        own = opening(self._ring)
        awake = smoothstep(0.02, 0.06, np.array(own / self._iod))  # a shut eye cannot close
        return float(np.clip(1 - opening(ring) / max(own, 1e-3), 0, 1) * awake)

    def _whole_white(self, patch: Array, known: Mask, seen: Array) -> Array:
        """The patch as if it were all white of the eye: what the photo shows, continued.

        Between lashes and iris a photo often shows little but their shadow, so the tone is that of
        the brighter half, no darker and no more saturated than whites beside such skin are.
        """
        luma = patch @ LUMA
        skin = np.median(patch[seen == 0], axis=0) if (seen == 0).any() else patch.mean((0, 1))
        bright = known & (luma >= np.median(luma[known])) if known.any() else known
        tone = np.median(patch[bright], axis=0) if bright.any() else skin
        light, skin_light = float(tone @ LUMA), max(float(skin @ LUMA), 1.0)
        wanted = max(light, WHITE_LEAST * skin_light)
        chroma = (tone - light) * (wanted / max(light, 1.0))
        most = WHITE_CHROMA * np.abs(skin - skin_light).max() * wanted / skin_light
        chroma = chroma * min(1.0, most / max(float(np.abs(chroma).max()), 1e-3))
        white = (wanted + chroma).astype(np.float32)
        plain = (known & (luma > WHITE_SHADE * wanted)).astype(np.float32)
        around = np.broadcast_to(white, patch.shape)
        if plain.sum() > 4:
            around = (fill_unknown(patch, plain) + around) / 2
        return around + (patch - around) * (soften(plain, 0.01 * self._iod) * plain)[..., None]

    def _whole_iris(self, patch: Array, known: Array, x: Array, y: Array) -> Array:
        """The iris is round: what a lid hides is taken from the opposite side of its centre.

        What both sides hide gets the mean colour at its distance from the centre.
        """
        opposite_x = 2 * self._iris[0] - x - self._box.left
        opposite_y = 2 * self._iris[1] - y - self._box.top
        both = np.concatenate([patch, known[..., None]], -1)
        turned = sample(both, opposite_x, opposite_y)
        sideways = sample(both, opposite_x, y - self._box.top)
        whole, weight = patch * known[..., None], known.copy()
        for other in (sideways, turned):
            add = np.where(other[..., 3] > 0.9, 1 - weight, 0)
            whole, weight = whole + other[..., :3] * add[..., None], weight + add
        if weight.max() < 0.5:
            return patch
        distance = np.hypot(x - self._iris[0], y - self._iris[1]) / self.radius
        return whole + self._iris_rings(patch, known, distance) * (1 - weight)[..., None]

    @staticmethod
    def _iris_rings(patch: Array, known: Array, distance: Array) -> Array:
        """The patch as rings about the iris's centre: each the mean of what is known of it."""
        rings = np.clip((distance * 10).astype(int), 0, 9)
        mass = np.bincount(rings.ravel(), known.ravel(), 10)
        sums = [np.bincount(rings.ravel(), (patch[..., c] * known).ravel(), 10) for c in range(3)]
        held = mass > 0.5
        if not held.any():
            return patch
        where, colour = (np.arange(10)[held] + 0.5) / 10, np.stack(sums, -1)[held] / mass[held, None]
        if where[0] > PUPIL[0]:  # a lid hides the whole pupil
            where = np.concatenate([[PUPIL[0] - 0.1, PUPIL[0]], where])
            colour = np.concatenate([colour[:1] * PUPIL[1], colour[:1], colour])
        found = [np.interp(distance, where, colour[:, c]) for c in range(3)]
        return np.stack(found, -1).astype(np.float32)

    def paint(
        self, image: Array, ring: Array, iris: Array, lid: Array, head: tuple[Array, Array]
    ) -> None:
        """Draw the eye into image (H, W, 3) in place.

        ring (16, 2), iris (5, 2) and lid (7, 2), the skin above the lid, are the moved points;
        `head` is the affine of the head's turn.
        """
        if not self.visible:
            return
        box = Box.around(ring, 2, *image.shape[:2])
        if min(box.size) < 1:
            return
        matrix, offset = head
        inverse = np.linalg.inv(matrix)
        still = ((points - offset) @ inverse.T for points in (ring, iris, lid))
        ring_still, iris_still, lid_still = (points.astype(np.float32) for points in still)
        mask = fill(smooth_ring(ring, EYE_CORNERS), box)
        if mask.max() > 0 and self.closing(ring) < 0.97:
            x, y = pixel_grid(box.left, box.top, *box.size)
            px, py = x - offset[0], y - offset[1]
            u = inverse[0, 0] * px + inverse[0, 1] * py
            v = inverse[1, 0] * px + inverse[1, 1] * py
            colour = self._eyeball(u, v, ring_still, iris_still[0])
            colour *= self._lid_shadow(u, v, ring_still, lid_still)[..., None]
            view = image[box.slices]
            view += (colour - view) * mask[..., None]
        self._lid.paint(image, ring, lid, head)

    def _eyeball(self, u: Array, v: Array, ring: Array, iris: Array) -> Array:
        """Colour (h, w, 3) of the eyeball at places of the unturned photo, for moved lids, iris."""
        u, v = u - self._box.left, v - self._box.top
        turn = iris - self._iris
        widened = float(np.abs(ring - self._ring).max()) / self._iod
        bare = np.float32(min(1.0, widened / WIDENING))
        colour = sample(self._kept + (self._lidless - self._kept) * bare, u, v)
        turned = np.float32(min(1.0, float(np.hypot(*turn)) / 1.5))
        if turned > 0:
            white = sample(self._turning[..., :3], u, v)
            moved = sample(self._turning[..., 3:], u - turn[0], v - turn[1])
            looking = white + (moved[..., :3] - white) * moved[..., 3:]
            colour = colour + (looking - colour) * turned
        return colour

    def _lid_shadow(self, u: Array, v: Array, ring: Array, lid: Array) -> Array:
        """(h, w) factor by which the upper lid, once moved, darkens the eyeball below it."""
        way = np.linalg.norm(ring[UPPER_LID] - self._ring[UPPER_LID], axis=1).mean() / self._iod
        strength = SHADOW[0] * float(smoothstep(0, SHADOW_APPEARS, np.array(way)))
        if strength < 1e-3:
            return np.ones(u.shape, np.float32)
        moved = LidCurves.of(ring, lid)
        along, above = moved.axes.place(u, v)
        depth = np.maximum(moved.heights(along)[0] - above, 0) / (SHADOW[1] * self._iod)
        return np.asarray(1 - strength * np.exp(-depth), np.float32)
