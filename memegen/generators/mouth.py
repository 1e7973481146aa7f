"""The inside of the mouth: the photo's own, else a drawn one, lit like the photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array
from memegen.generators.inpaint import fill_unknown, pixel_grid, sample, smoothstep, soften
from memegen.geometry.flow import Box
from memegen.geometry.outline import fill, smooth_ring
from memegen.geometry.topology import LIP_CORNERS

# Outer edges of central and lateral incisor, canine and premolars from the midline, in IOD
# (8.5, 6.5, 7.5, 7, 7 mm, the last ones foreshortened by the arch; eyes are 63 mm apart).
UPPER_TEETH = np.array([0.0, 0.135, 0.237, 0.335, 0.41, 0.465], np.float32)
LOWER_TEETH = np.array([0.0, 0.085, 0.175, 0.275, 0.36, 0.43], np.float32)
ENAMEL = np.array([243, 234, 218], np.float32)
GUM = np.array([176, 96, 98], np.float32)
TONGUE = np.array([178, 88, 88], np.float32)
CAVITY = np.array([46, 16, 18], np.float32)


@dataclass(frozen=True)
class MouthFrame:
    """Where the teeth are: pixels to IOD about the middle of the closed mouth, y down."""

    origin: Array  # (2,) pixels
    axes: Array  # (2, 2) columns: pixels of one IOD to the image's right, and down the face
    iod: float  # pixels

    def place(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Pixel positions to (u, v) in IOD."""
        inverse = np.linalg.inv(self.axes)
        dx, dy = x - self.origin[0], y - self.origin[1]
        return inverse[0, 0] * dx + inverse[0, 1] * dy, inverse[1, 0] * dx + inverse[1, 1] * dy


@dataclass(frozen=True)
class Drawn:
    """How far the pixels of a box are drawn ones."""

    box: Box
    share: Array  # (h, w) 0..1


class MouthLayer:
    """The mouth of one photo. ring (20, 2) is its opening (LIPS_INNER) in pixels."""

    def __init__(self, picture: Array, ring: Array, frame: MouthFrame, light: Array) -> None:
        self._frame, self._light, self._ring = frame, light, ring
        self._box = Box.around(ring, 0.1 * frame.iod, *picture.shape[:2])
        self._patch = picture[self._box.slices]
        self._own: Array | None = None
        gap = float(np.linalg.norm(ring[1:10] - ring[:10:-1], axis=1).max())
        if min(self._box.size) > 3:
            seen = fill(smooth_ring(ring, LIP_CORNERS), self._box)
            is_open = gap > max(1.5, 0.025 * frame.iod)
            sure = smoothstep(0.5, 1.0, soften(seen, 0.018 * frame.iod)) * is_open
            patch = fill_unknown(self._patch, (sure > 0.4).astype(np.float32))
            self._own = np.concatenate(
                [patch, sure[..., None], self._patch, np.float32(seen[..., None] > 0)], -1
            )

    def paint(self, image: Array, ring: Array, head: tuple[Array, Array], jaw: Array) -> Drawn:
        """Draw the opening into image (H, W, 3) in place.

        ring (20, 2) is the moved opening, `head` the affine of the head's turn, jaw (2,) how far
        the jaw has moved, in IOD (right, down). Returns what of the picture is drawn, not the
        photo's.
        """
        box = Box.around(ring, 2, *image.shape[:2])
        if min(box.size) < 1:
            return Drawn(box, np.zeros(box.size, np.float32))
        mask = fill(smooth_ring(ring, LIP_CORNERS), box)
        drawn = mask.copy()
        if mask.max() <= 0:
            return Drawn(box, drawn)
        matrix, offset = head
        inverse = np.linalg.inv(matrix)
        x, y = pixel_grid(box.left, box.top, *box.size)
        rest_x = inverse[0, 0] * (x - offset[0]) + inverse[0, 1] * (y - offset[1])
        rest_y = inverse[1, 0] * (x - offset[0]) + inverse[1, 1] * (y - offset[1])
        u, v = self._frame.place(rest_x, rest_y)
        colour = self._drawn(u, v, jaw, mask, self._edges(ring, head))
        if self._own is not None:
            own = sample(self._own, rest_x - self._box.left, rest_y - self._box.top)
            moved = float(np.abs(ring - self._ring).max())
            loose = np.float32(min(1.0, moved / max(1.5, 0.01 * self._frame.iod)))
            sharp = own[..., 7:] * (1 - loose) + own[..., 3:4] * loose
            pixels = own[..., 4:7] * (1 - loose) + own[..., :3] * loose
            colour = colour + (pixels - colour) * sharp
            drawn *= 1 - np.clip(sharp[..., 0], 0, 1)
        view = image[box.slices]
        view += (colour - view) * mask[..., None]
        return Drawn(box, drawn)

    def _edges(self, ring: Array, head: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        """U positions and v of the moved upper and lower lip edges, for shading."""
        rest = (ring - head[1]) @ np.linalg.inv(head[0]).T
        u, v = self._frame.place(rest[:, 0], rest[:, 1])
        lower = np.r_[0, np.arange(19, 9, -1)]
        grid = np.linspace(u.min(), u.max(), 32).astype(np.float32)
        return grid, np.interp(grid, u[:11], v[:11]), np.interp(grid, u[lower], v[lower])

    def _drawn(
        self, u: Array, v: Array, jaw: Array, mask: Array, edges: tuple[Array, Array, Array]
    ) -> Array:
        """Teeth, tongue and cavity at (u, v), shaded by the lips around them."""
        grid, upper_edge, lower_edge = edges
        below_lip = v - np.interp(u, grid, upper_edge)
        above_lip = np.interp(u, grid, lower_edge) - v
        open_by = float((lower_edge - upper_edge).max())
        colour = np.broadcast_to(CAVITY * 0.8, (*u.shape, 3)).copy()
        # The tongue lies on the floor of the mouth, which sinks with the jaw; its back is dark.
        floor = float(jaw[1]) + 0.14
        top = 0.5 * float(jaw[1]) - 0.02
        across, above = (u - jaw[0]) / 0.33, (floor - v) / (floor - top)
        tongue = smoothstep(1.12, 0.82, np.hypot(across, above)) * min(1.0, open_by / 0.3)
        shine = (1.0 - 0.3 * np.abs(across) - 0.42 * np.clip(above, 0, 1))[..., None]
        groove = 1 - 0.15 * np.exp(-((across / 0.12) ** 2))[..., None]
        colour += (TONGUE * shine * groove - colour) * (tongue * 0.9)[..., None]
        self._teeth(colour, u - jaw[0], jaw[1] + LOWER_INCISAL - v, LOWER_TEETH, 0.13, 0.8)
        self._teeth(colour, u, v - UPPER_INCISAL, UPPER_TEETH, 0.165, 1.0)
        # Lips shade what is behind them; the corners of the mouth lie deepest.
        shadow = 1 - 0.4 * np.exp(-np.clip(below_lip, 0, 9) / 0.025)
        shadow *= 1 - 0.35 * np.exp(-np.clip(above_lip, 0, 9) / 0.03)
        return np.asarray(colour * shadow[..., None] * self._light, np.float32)

    def _teeth(
        self, colour: Array, u: Array, v: Array, edges: Array, height: float, gain: float
    ) -> None:
        """A row of teeth whose cutting edge is at v = 0, the gum at v = -height, into `colour`."""
        across = np.abs(u)
        soft = max(0.012, 1.0 / self._frame.iod)
        tooth = np.clip(np.searchsorted(edges, across) - 1, 0, len(edges) - 2)
        left, right = edges[tooth], edges[tooth + 1]
        into = np.minimum(across - left, right - across)  # IOD to the nearest gap
        into = np.where(
            across < edges[1], np.minimum(np.where(u >= 0, u, -u), right - across), into
        )
        arch = 0.07 * (across / 0.4) ** 2 + np.array([0, 0.018, 0.002, 0.02, 0.03])[tooth]
        rounding = 0.022 * np.exp(-into / 0.014)
        cut = v + arch + rounding  # > 0 beyond the cutting edge
        neck = height * (
            0.92 + 0.08 * np.cos(np.pi * (across - (left + right) / 2) / (right - left))
        )
        visible = smoothstep(soft, -soft, cut) * smoothstep(
            edges[-1] + 0.03, edges[-1] - 0.03, across
        )
        gum = smoothstep(soft, -soft, cut + neck)
        thin = max(0.008, 0.6 / self._frame.iod)  # on small faces gaps are thinner than pixels
        gap = 1 - 0.22 * (0.008 / thin) * np.exp(-((into / thin) ** 2))
        round_off = 1 - 0.55 * (across / 0.47) ** 2 - 0.10 * np.exp(np.minimum(cut, 0) / 0.02)
        bulge = 1 + 0.05 * np.sin(np.clip(into / (right - left), 0, 0.5) * np.pi)
        enamel = ENAMEL * (gain * gap * round_off.clip(0.2, 1) * bulge)[..., None]
        gums = GUM * (gain * round_off.clip(0.2, 1) * 0.9)[..., None]
        row = enamel + (gums - enamel) * gum[..., None]
        colour += (row - colour) * visible[..., None]


UPPER_INCISAL = 0.07  # IOD below the line of the closed lips where the upper teeth end
LOWER_INCISAL = 0.03  # IOD below that line where the lower teeth begin, jaw closed


def light_of(whites: Array, skin: Array) -> Array:
    """(3,) gain of drawn teeth from pixels (N, 3) of eye whites and (M, 3) of skin, 0..255.

    Whites are the only surface in a face as pale as teeth, so they tell lamp and exposure; the
    brightest skin bounds them from below where eyes are shut or dark.
    """
    bright = np.percentile(skin, 90, axis=0) if len(skin) else np.full(3, 150)
    level = 0.95 * float(bright.mean())
    tint = bright / max(float(bright.mean()), 1.0)
    if len(whites) >= 8:
        white = np.percentile(whites, 85, axis=0)
        level = max(level, float(white.mean()))
        tint = 0.5 * tint**0.3 + 0.5 * white / max(float(white.mean()), 1.0)
    else:
        tint = tint**0.3
    saturation = float(np.mean(np.ptp(skin, axis=1))) if len(skin) else 40.0
    gain = np.clip(level / 225, 0.22, 1.0) * tint
    return np.asarray(gain, np.float32) if saturation > 6 else np.full(3, gain.mean(), np.float32)
