"""The eyeball under the lids: lids slide over it, the iris turns on it, nothing is squeezed."""

from __future__ import annotations

import numpy as np

from memegen.arrays import Array
from memegen.generators.inpaint import fill_unknown, pixel_grid, sample, smoothstep, soften
from memegen.geometry.flow import Box
from memegen.geometry.outline import fill, opening, smooth_ring
from memegen.geometry.topology import EYE_CORNERS

IRIS_RADIUS = (0.078, 0.105)  # IOD: an iris is 11.7 mm wide on nearly everyone, eyes 63 mm apart
IRIS_EDGE = 0.12  # share of the radius over which the iris fades into the white
LASH = 0.02  # IOD inside the lid line where lashes and shadow are, not eyeball
LID_SMOOTHING = 0.9  # how much of a closed lid is smoothed skin rather than stretched skin
LID_REACH = 0.045  # IOD over which it is smoothed
LASH_STRENGTH = 0.8  # opacity of the lashes of a closed eye
LASH_WIDTH = 0.011  # IOD, half the thickest part of the line they make
WIDENING = 0.02  # IOD of lid motion at which the eyeball no longer shows the lashes' own pixels


class EyeLayer:
    """One eye of one photo: white and iris completed behind the lids.

    picture (H, W, 3) 0..255; ring (16, 2) lid points and iris (5, 2) in pixels; `iod` in pixels.
    """

    def __init__(self, picture: Array, ring: Array, iris: Array, iod: float) -> None:
        self._ring, self._iod, self._iris = ring, iod, iris[0]
        height, width = picture.shape[:2]
        self._box = Box.around(ring, 0.16 * iod, height, width)
        self.radius = float(
            np.clip(np.linalg.norm(iris[1:] - iris[0], axis=1).mean() / iod, *IRIS_RADIUS) * iod
        )
        self.visible = min(self._box.size) > 3
        if not self.visible:
            return
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
        white = fill_unknown(patch, (clean & (distance > 1.2)).astype(np.float32))
        iris_patch = self._whole_iris(patch, (clean & (distance < 1.0)).astype(np.float32), x, y)
        eyeball = white + (iris_patch - white) * disc[..., None]
        self._lidless = np.where(clean[..., None], patch, eyeball)  # what wide lids uncover
        self._kept = np.where(seen[..., None] > 0, patch, eyeball)
        self._lash = np.percentile(sample(patch, *self._edge(ring)).reshape(-1, 3), 20, axis=0)
        self._turning = np.concatenate([white, iris_patch, disc[..., None]], -1)

    def _edge(self, ring: Array) -> tuple[Array, Array]:
        """Positions (1, N) in the patch along the upper lid."""
        edge = smooth_ring(ring, EYE_CORNERS)[:48]
        return edge[None, :, 0] - self._box.left, edge[None, :, 1] - self._box.top

    def closing(self, ring: Array) -> float:
        """0 where the moved ring (16, 2) is as open as in the photo, 1 where the lids meet."""
        own = opening(self._ring)
        awake = smoothstep(0.02, 0.06, np.array(own / self._iod))  # a shut eye cannot close
        return float(np.clip(1 - opening(ring) / max(own, 1e-3), 0, 1) * awake)

    def _draw_lashes(self, image: Array, ring: Array) -> None:
        """Lashes along a lowered lid, in the colour of the photo's own."""
        strength = self.closing(ring) * LASH_STRENGTH
        if strength < 0.02:
            return
        edge = smooth_ring(ring, EYE_CORNERS)[:49]
        along = np.sin(np.linspace(0, np.pi, len(edge), dtype=np.float32)).clip(0, 1)
        half = np.maximum(along**0.7 * LASH_WIDTH * self._iod, 0.15)[:, None]
        normal = np.stack(
            [edge[:, 1] - np.roll(edge[:, 1], 1), np.roll(edge[:, 0], 1) - edge[:, 0]], 1
        )
        normal[0] = normal[1]
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-3)
        stroke = np.concatenate([edge + normal * half, (edge - normal * half)[::-1]])
        box = Box.around(stroke, 3, *image.shape[:2])
        if min(box.size) < 1:
            return
        mask = soften(fill(stroke, box), 0.008 * self._iod)[..., None] * strength
        view = image[box.slices]
        view += (np.minimum(self._lash, view) - view) * mask

    def _whole_iris(self, patch: Array, known: Array, x: Array, y: Array) -> Array:
        """The iris is round: what a lid hides is taken from the opposite side of its centre."""
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
        return fill_unknown(whole, weight)

    def _smooth_lid(self, image: Array, ring: Array, lid: Array) -> None:
        """Take the streaks out of a closed lid: little skin was stretched over much eye."""
        strength = self.closing(ring) * LID_SMOOTHING
        if strength < 0.02:
            return
        upper = smooth_ring(ring, EYE_CORNERS)[:49]
        patch = np.concatenate([upper, lid[::-1]]).astype(np.float32)
        box = Box.around(patch, 0.06 * self._iod, *image.shape[:2])
        if min(box.size) < 3:
            return
        inside = fill(patch, box)
        view = image[box.slices]
        reach = LID_REACH * self._iod
        mass = np.maximum(soften(inside, reach), 1e-3)
        smooth = np.stack([soften(view[..., c] * inside, reach) / mass for c in range(3)], -1)
        feathered = np.minimum(inside, soften(inside, 0.25 * reach))[..., None] * strength
        view += (smooth - view) * feathered

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
        mask = fill(smooth_ring(ring, EYE_CORNERS), box)
        if mask.max() > 0 and self.closing(ring) < 0.97:
            self._draw_eyeball(image, ring, iris, head, box, mask)
        self._smooth_lid(image, ring, lid)
        self._draw_lashes(image, ring)

    def _draw_eyeball(
        self,
        image: Array,
        ring: Array,
        iris: Array,
        head: tuple[Array, Array],
        box: Box,
        mask: Array,
    ) -> None:
        matrix, offset = head
        inverse = np.linalg.inv(matrix)
        x, y = pixel_grid(box.left, box.top, *box.size)
        px, py = x - offset[0], y - offset[1]
        u = inverse[0, 0] * px + inverse[0, 1] * py - self._box.left
        v = inverse[1, 0] * px + inverse[1, 1] * py - self._box.top
        turn = inverse @ (iris[0] - offset) - self._iris
        widened = float(np.abs(inverse @ (ring - offset).T - self._ring.T).max()) / self._iod
        bare = np.float32(min(1.0, widened / WIDENING))
        colour = sample(self._kept + (self._lidless - self._kept) * bare, u, v)
        turned = np.float32(min(1.0, float(np.hypot(*turn)) / 1.5))
        if turned > 0:
            white = sample(self._turning[..., :3], u, v)
            moved = sample(self._turning[..., 3:], u - turn[0], v - turn[1])
            looking = white + (moved[..., :3] - white) * moved[..., 3:]
            colour = colour + (looking - colour) * turned
        view = image[box.slices]
        view += (colour - view) * mask[..., None]
