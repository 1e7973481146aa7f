"""A mouth's inside as it is drawn: teeth, gums, tongue and throat behind lips that move."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Array
from memegen.curves import smoothstep
from memegen.generators.mouth_layers import FRONT, Layer, jaw_shift, light_at, render
from memegen.generators.mouth_light import MouthLight
from memegen.generators.mouth_model import ANCHOR, UPPER_TEETH, MouthModel
from memegen.generators.mouth_poses import MouthPoses
from memegen.geometry.patches import blended, on_device, per_picture
from memegen.geometry.sampling import sample_planes

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
class MovedMouths:
    """Where one mouth is in each of T frames."""

    ring: Array  # (T, 20, 2) pixels
    jaw: Array  # (T, 2) how far the jaw has moved, IOD to the right and down


@dataclass(frozen=True)
class DrawnMouth:
    """The mouth of a person in one photo, drawn on a device."""

    model: MouthModel  # the person's own
    frame: MouthFrame
    light: MouthLight
    edge: float  # where its upper teeth end, IOD below the line of the closed lips
    device: torch.device
    poses: MouthPoses | None = None  # where drawings are shared with other pictures
    layers: dict[float | None, Layer] = field(default_factory=dict)  # those of this one, by jaw

    def colours(self, x: Tensor, y: Tensor, mouths: MovedMouths) -> Tensor:
        """(T, 3, h, w) teeth, gums, tongue and throat at pixels x, y (T, h, w) from the origin.

        mouths: moved, their rings likewise from the origin, as if heads had not turned.
        """
        iod, fit = self.frame.iod, self.model.fit
        lift, drop = self.limits(mouths)
        shift = self.frame.projection[:2, 1:2] * (lift + fit.upper_edge - self.edge)
        along, up = self._to_arch(x, y, mouths.ring)
        upper = self._part(None, *self._shifted(along, up, shift))
        lower = self._lower_part(along, up, np.stack([mouths.jaw[:, 0], drop], 1))
        below, above, aside, opening = self._lips(x, y, mouths.ring)
        # What a mouth shows lies the darker the deeper it lies, and the less it is open.
        reach = per_picture(fit.reach_at(opening), self.device)
        throat = fit.cavity + (fit.cavity.mean() - fit.cavity) * (1 - self.light.colour)
        lit = on_device(throat * self.light.tooth, self.device).view(3, 1, 1)
        wall = lit * light_at(torch.ones_like(reach), reach)[:, None]
        # Both (T, 2, h, w): of the upper part and of the lower one.
        cover = torch.stack([upper[:, 3], lower[:, 3]], 1)
        scale = 1 / cover.clip(min=1e-4)
        deep = torch.stack([upper[:, 4], lower[:, 4]], 1) * scale
        scale = scale * light_at(deep, reach[:, None])
        # Upper teeth and palate keep light from what lies below and behind them.
        under = self._down(x, y) - per_picture(self.edge - lift, self.device)
        under, (lost, far) = -under.clip(min=0), TEETH_SHADOW
        dark = 1 - lost * (under / (far + UNDER_DEEP * deep[:, 1])).exp()
        colour = wall * (1 - lost * (under / (far + UNDER_DEEP)).exp())[:, None]
        red = on_device(DEEP_RED * self.light.colour, self.device).view(3, 1, 1)
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
        axes = self.frame.projection[:2]
        inverse = self.frame.inverse
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
        back = far * per_picture(-side * wider / (1 + wider), self.device)
        return x + float(axes[0, 0]) * back, y + float(axes[1, 0]) * back

    def _across(self, x: Tensor, y: Tensor) -> Tensor:
        """How far (IOD) pixels x, y from the mouth's origin are to the right in the face."""
        (xx, xy), _ = self.frame.inverse.tolist()
        return xx * x + xy * y

    def _down(self, x: Tensor, y: Tensor) -> Tensor:
        """Likewise, down the face."""
        _, (yx, yy) = self.frame.inverse.tolist()
        return -yx * x - yy * y

    def _shifted(self, x: Tensor, y: Tensor, shift: Array) -> tuple[Tensor, Tensor]:
        """Pixels x, y of what has moved by (2, T) to where they were."""
        across, down = per_picture(shift, self.device)
        return x - across, y - down

    def limits(self, mouths: MovedMouths) -> tuple[Array, Array]:
        """How far (T,) the upper teeth are lifted, how far down the jaw is taken to be; both IOD.

        Lips that are drawn further from the teeth than those of people would bare gums and roots:
        then the teeth follow the lips.
        """
        fit, down, jaw = self.model.fit, -self.frame.projection[:2, 1], mouths.jaw[:, 1]
        low = mouths.ring @ (down / float(down @ down))
        top, bottom = (low[:, rows].mean(1) for rows in (slice(4, 7), slice(14, 17)))
        lift = np.maximum(0, self.edge - top - fit.most_upper)
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
            shift = self.frame.projection[:2] @ (move + sideways[rows]).T
            some = slice(None) if len(rows) == len(x) else torch.from_numpy(rows).to(x.device)
            drawn = self._part(level * JAW_STEP, *self._shifted(x[some], y[some], shift))
            found[some] += drawn * per_picture(weight[rows], self.device)[:, None]
        return found

    def _part(self, jaw: float | None, x: Tensor, y: Tensor) -> Tensor:
        """(T, 5, h, w) the upper layer (None) or the lower one of a jaw drop (IOD), drawn once."""
        projection = self.frame.projection
        if self.poses is not None:
            return self.poses.sample(projection, self.light, jaw, (x, y))
        if jaw not in self.layers:
            self.layers[jaw] = render(self.model, projection, self.light, jaw, self.device)
        return self.layers[jaw].sample(x, y)

    def _lips(self, x: Tensor, y: Tensor, rings: Array) -> tuple[Tensor, Tensor, Tensor, Array]:
        """How far (pixels) below the upper lip, above the lower one, from the nearer mouth corner.

        Last the openings' heights (T,) in IOD. x, y and rings are pixels from the mouth's origin.
        """
        size = self.frame.iod
        edge = rings @ self.frame.inverse.T * np.float32(size)
        lower = np.r_[0, np.arange(19, 9, -1)]
        left, right = edge[..., 0].min(1), edge[..., 0].max(1)
        grids = np.linspace(left, right, CURVE_STEPS, axis=1)
        lips = np.array(
            [[np.interp(grid, ring[rows, 0], -ring[rows, 1]) for rows in (slice(11), lower, lower)]
             for grid, ring in zip(grids, edge, strict=True)]  # three are read at once, two are not
        )  # fmt: skip
        starts, ends = per_picture(np.stack([left, right]), self.device)
        u, v = self._across(x, y) * size, self._down(x, y) * size
        at = (u - starts) * ((CURVE_STEPS - 1) / (ends - starts).clip(min=1e-6)) + 0.5
        middle = torch.full_like(at, 0.5)
        tables = on_device(lips.transpose(0, 2, 1), self.device)[:, None].permute(0, 3, 1, 2)
        top, bottom, _ = sample_planes(tables, at, middle).unbind(1)
        aside = torch.minimum(u - starts, ends - u)
        opened = np.maximum(lips[:, 1] - lips[:, 0], 0).max(1) / size
        return v - top, bottom - v, aside, opened


def shadow_at(distance: Tensor, shadow: tuple[float, float]) -> Tensor:
    """Share of light at a distance (IOD) from a lip whose shadow takes (share, reach in IOD)."""
    lost, reach = shadow
    return 1 - lost * (distance.clip(min=0) * (-1 / reach)).exp()
