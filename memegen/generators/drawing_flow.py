"""Moves the parts of a drawing by warping it: its own lines, as sharp as they were drawn.

Eyes shut by sliding together onto a line, brows are carried, mouths bend, and open along their
line. Everything is continuous in the pose, so that frames that follow one another do, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from memegen.arrays import Array, Picture
from memegen.curves import smoothstep
from memegen.generators.drawing_parts import SIDES, Mouth, Part, Parts

Pose = Mapping[str, float]  # numbers of a pose by name, relative to the drawing
# Lengths in distances between the eyes:
_BROW_UP, _BROW_DOWN = 0.10, 0.09  # most that brows are carried
_FROWN = 0.09  # inner ends go down by this
_SMILE = 0.12  # corners go up by this, or by _SMILE_WIDTHS half widths of the mouth
_SMILE_WIDTHS = 0.42
_OPEN = 0.42  # most that lips part
_LEAST_OPEN_WIDTH = 0.13  # half width of an open mouth
_LID_LINE = 0.028  # half thickness of the line of a shut eye
_THICK_MOUTH = 0.26  # thickness from which a mouth is not a line: it is stretched, not split
_GAZE = 0.10
_WIDER = 0.10  # share by which wide eyes are taller
_ROOM = 0.6  # of the room between mouth and chin, what an open mouth takes
_SAMPLES = 9  # of a column of an eye, for the line it becomes
_BLUR = 0.2  # of a column, that a row of an eye that is almost shut is the mean of
_BECOMES_LINE = (0.65, 1.0)  # shares shut between which an eye becomes its line
_INK = 14.0  # how much the darkest sample counts more than others, for a difference of 1
_SHARE_OF_INK = 0.45  # in the inside of a mouth
_INSIDE, _TONGUE = (120.0, 38.0, 48.0), (214.0, 98.0, 104.0)  # colours, where drawings have colour
_TONGUE_SHARE = 0.38  # of an opening's height
_LEAST_CHROMA = 12.0  # levels; drawings with less are grey


@dataclass(frozen=True)
class DrawingFlow:
    """Warps one crop; `parts` are where its eyes, brows and mouth are."""

    crop: Picture  # (S, S, 3)
    parts: Parts

    def moved(self, pose: Pose) -> Picture:
        """The crop (S, S, 3) in a pose. At rest it is the crop itself."""
        if not any(pose.values()) or not self.parts.eyes:
            return self.crop
        side = len(self.crop)
        at = (np.arange(side, dtype=np.float32) + 0.5) / side
        x, y = (np.asarray(grid, np.float32) for grid in np.meshgrid(at, at))
        dx, dy = np.zeros_like(x), np.zeros_like(y)
        for part in SIDES:
            if part in self.parts.brows:
                self._brow(part, pose, x, y, dx, dy)
            if part in self.parts.eyes:
                self._gaze(self.parts.eyes[part], pose, x, y, dx, dy)
        mouth = self.parts.mouth
        lens = None
        if mouth is not None:
            lens = self._mouth(mouth, pose, x, y, dx, dy)
        out = self._sampled(x + dx, y + dy)
        for part in SIDES:
            self._lid(part, pose, x, y, out)
        if lens is not None and mouth is not None:
            out = _filled(out, lens, self._colours(mouth), y, self.parts.unit)
        return np.clip(np.round(out), 0, 255).astype(np.uint8)

    def _sampled(self, x: Array, y: Array) -> Array:
        return self._rows(self.crop.astype(np.float32), x, y)

    def _brow(self, side: str, pose: Pose, x: Array, y: Array, dx: Array, dy: Array) -> None:
        """Carry a brow; the skin around it is stretched."""
        brow, eye, unit = self.parts.brows[side], self.parts.eyes[side], self.parts.unit
        lift, frown = pose.get(f"brow_{side}", 0.0), max(pose.get("frown", 0.0), 0.0)
        if not lift and not frown:
            return
        inner = -1.0 if side == "left" else 1.0  # towards the middle of the face
        u = inner * (x - brow.x) / brow.half_width
        room = max(0.0, (eye.y - eye.half_height) - (brow.y + brow.half_height))
        down = min(_BROW_DOWN * unit, 0.6 * room + 0.02 * unit)
        frowns = min(_FROWN * unit, 0.7 * room + 0.03 * unit)
        shift = -lift * (_BROW_UP * unit if lift > 0 else down)  # downwards
        shift = shift + frown * frowns * np.clip(0.35 + 0.65 * u, -0.3, 1)
        across = _window(x - brow.x, brow.half_width, 0.18 * unit)
        offset = y - brow.y - shift
        # Below, it ends where the eye begins, which is not to be carried along.
        under = np.maximum(eye.y - eye.half_height - brow.y - shift - 1.2 * brow.half_height, 1e-3)
        reach = np.where(offset > 0, np.minimum(under, 0.25 * unit), 0.25 * unit)
        along = 1 - smoothstep(0, 1, (np.abs(offset) - 1.2 * brow.half_height) / reach)
        dy -= shift * across * along
        dx -= inner * frown * 0.04 * unit * across * along

    def _gaze(self, eye: Part, pose: Pose, x: Array, y: Array, dx: Array, dy: Array) -> None:
        """Carry what is inside of an eye."""
        across, up = pose.get("gaze_x", 0.0), pose.get("gaze_y", 0.0)
        wide = pose.get("wide", 0.0)
        if not across and not up and not wide:
            return
        u, v = (x - eye.x) / eye.half_width, (y - eye.y) / eye.half_height
        inside = np.clip(1 - u**2 - v**2, 0, 1)
        most = min(_GAZE * self.parts.unit, 0.35 * eye.half_width)
        dx -= across * most * inside
        dy += up * min(most, 0.35 * eye.half_height) * inside
        around = np.exp(-0.5 * (u**2 + v**2) / 0.8**2)
        dy -= (y - eye.y) * wide * _WIDER * around

    def _lid(self, side: str, pose: Pose, x: Array, y: Array, out: Array) -> None:
        """Shut an eye: its rows slide together, and become a line of the darkest of them."""
        shut = float(np.clip(pose.get(f"{side}_eye", 0.0), 0, 1))
        if not shut or side not in self.parts.eyes:
            return
        eye, brow, unit = self.parts.eyes[side], self.parts.brows.get(side), self.parts.unit
        around = _near(len(self.crop), eye)
        x, y = x[around], y[around]
        px = 1 / len(self.crop)
        u = (x - eye.x) / (1.1 * eye.half_width)
        shape = np.clip(1 - np.abs(u) ** 3, 0, 1) ** 0.4
        half = 1.12 * eye.half_height * shape  # of the eye, column by column
        line = eye.y + eye.half_height * (0.40 - 0.45 * u**2)
        thin = max(_LID_LINE * unit, 0.7 * px) * np.sqrt(shape)
        goal = half + shut * (np.minimum(thin, half) - half)
        centre = eye.y + shut * (line - eye.y)
        above = eye.y - half - max(1.2 * eye.half_height, 0.12 * unit)
        if brow is not None:
            carried = pose.get(f"brow_{side}", 0.0) * _BROW_UP * unit
            above = np.maximum(above, brow.y + 1.2 * brow.half_height - carried)
        above = np.minimum(above, eye.y - half - 0.03 * unit)
        below = eye.y + half + max(0.8 * eye.half_height, 0.1 * unit)
        upper, lower = centre - goal, centre + goal
        from_above = above + (y - above) * (eye.y - half - above) / np.maximum(upper - above, px)
        from_below = below - (below - y) * (below - eye.y - half) / np.maximum(below - lower, px)
        source = np.where(y < centre, np.minimum(from_above, y), np.maximum(from_below, y))
        touched = (shape > 0) & (y > above) & (y < below)
        skin = self._rows(out, x, np.where(touched, source, y))
        ink = self._column(out, x, eye.y, half, (y - centre) / np.maximum(goal, px), shut)
        share = np.clip((goal - np.abs(y - centre)) / px + 0.5, 0, 1) * (shape > 0)
        out[around] = skin + share[..., None] * (ink - skin)

    def _column(
        self, out: Array, x: Array, middle: float, half: Array, v: Array, shut: float
    ) -> Array:
        """What is seen at -1..1 `v` of an eye that is shut by a share, column by column."""
        len(out)
        line, weights = np.zeros((*x.shape, 3), np.float32), np.zeros_like(x)
        rows = np.zeros_like(line)
        for offset in np.linspace(-1, 1, _SAMPLES):
            near = self._rows(out, x, middle + np.clip(v + offset * _BLUR * shut, -1, 1) * half)
            rows += near / _SAMPLES
            taken = self._rows(out, x, middle + offset * half)
            weight = np.exp(-_INK * taken.mean(-1) / 255)
            line += weight[..., None] * taken
            weights += weight
        line /= weights[..., None]
        drawn = float(smoothstep(*_BECOMES_LINE, np.float32(shut)))
        return np.asarray(rows + drawn * (line - rows), np.float32)

    @staticmethod
    def _rows(out: Array, x: Array, y: Array) -> Array:
        """A picture read at columns `x` and rows `y`, shares of its side."""
        side = len(out)
        columns, rows = ((at * side - 0.5).astype(np.float32) for at in (x, y))
        found = cv2.remap(out, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, np.float32)

    def _mouth(
        self, mouth: Mouth, pose: Pose, x: Array, y: Array, dx: Array, dy: Array
    ) -> tuple[Array, Array, Array] | None:
        """Bend a mouth and part it; the opening's upper and lower edge and its heights."""
        unit = self.parts.unit
        smile, opened = pose.get("smile", 0.0), max(pose.get("mouth", 0.0), 0.0)
        pucker = max(pose.get("pucker", 0.0), 0.0)
        if not smile and not opened and not pucker:
            return None
        u = (x - mouth.x) / mouth.half_width
        most = min(_SMILE * unit, _SMILE_WIDTHS * mouth.half_width)
        most *= 1 - 0.5 * float(smoothstep(0.1, 0.25, np.float32(mouth.thickness / unit)))  # lips
        near = np.clip(u, -1.25, 1.25)
        shift = (
            -smile * most * (near**2 - 0.35) * _window(x - mouth.x, mouth.half_width, 0.15 * unit)
        )
        wider = 0.12 * max(smile, 0.0) - 0.30 * pucker
        along = self._beside(mouth, y - mouth.y - shift)
        dy -= shift * along
        dx -= wider * near * mouth.half_width * along * _window(
            x - mouth.x, mouth.half_width, 0.3 * unit
        )  # fmt: skip
        if not opened:
            return None
        most_open = min(_OPEN * unit, _ROOM * (mouth.chin - mouth.y - 0.5 * mouth.thickness))
        if most_open <= 0:
            return None
        half = max(0.85 * mouth.half_width, _LEAST_OPEN_WIDTH * unit) * (1 + wider)
        lens = np.sqrt(np.clip(1 - ((x - mouth.x) / half) ** 2, 0, 1))
        height = opened * most_open * lens
        if mouth.thickness > _THICK_MOUTH * unit:  # open already, or lips: taller
            top, tall = mouth.y - mouth.half_height, 2 * mouth.half_height
            self._stretch(top, top + tall, height, mouth.chin, y, dy)
            return None
        seam = mouth.y - mouth.bend * (u**2 - 0.5) + shift
        self._stretch(seam, seam, height, mouth.chin, y, dy)
        return seam, seam + height, height

    def _beside(self, mouth: Mouth, offset: Array) -> Array:
        """1 at a mouth, 0 from a quarter of an eye distance above it, and from the chin on."""
        half = mouth.half_height + 0.02 * self.parts.unit
        above, below = 0.3 * self.parts.unit, max(0.85 * (mouth.chin - mouth.y) - half, 1e-3)
        reach = np.where(offset > 0, min(below, above), above)
        return 1 - smoothstep(0, 1, (np.abs(offset) - half) / reach)

    def _stretch(
        self, top: Array | float, bottom: Array | float, height: Array, chin: float,
        y: Array, dy: Array,
    ) -> None:  # fmt: skip
        """Take what is below `bottom` down by `height`, pressed together towards the chin."""
        last = chin - 0.02 * self.parts.unit
        low = bottom + height
        pressed = bottom + (y - low) * (last - bottom) / np.maximum(last - low, 1e-4)
        inside = top + (y - top) * (bottom - top) / np.maximum(low - top, 1e-4)
        source = np.where(y >= low, pressed, np.where(y > top, inside, y))
        dy += np.where((y > top) & (y < last) & (height > 0), source - y, 0)

    def _colours(self, mouth: Mouth) -> tuple[Array, Array]:
        """Of the inside of the mouth and of the tongue, to go with the drawing's ink."""
        side = len(self.crop)
        rows = slice(
            max(0, int((mouth.y - mouth.half_height) * side)),
            int((mouth.y + mouth.half_height) * side) + 1,
        )
        columns = slice(
            max(0, int((mouth.x - mouth.half_width) * side)),
            int((mouth.x + mouth.half_width) * side) + 1,
        )
        around = self.crop[rows, columns].reshape(-1, 3).astype(np.float32)
        ink = np.asarray(around[np.argsort(around.mean(-1))[: max(1, len(around) // 20)]].mean(0))
        chroma = np.ptp(self.crop.reshape(-1, 3).astype(np.float32), axis=-1).mean()
        inside, tongue = np.array(_INSIDE), np.array(_TONGUE)
        if chroma < _LEAST_CHROMA:
            inside, tongue = np.full(3, inside.mean()), np.full(3, tongue.mean())
        inside = ink + (1 - _SHARE_OF_INK) * (inside - ink)
        return inside, tongue


def _filled(
    out: Array,
    lens: tuple[Array, Array, Array],
    colours: tuple[Array, Array],
    y: Array,
    unit: float,
) -> Array:
    """The inside of a mouth painted between its edges."""
    px = 1 / len(out)
    top, bottom, height = lens
    inside, tongue = colours
    cover = np.clip((y - top) / px, 0, 1) * np.clip((bottom - y) / px, 0, 1) * (height > px)
    out = out + cover[..., None] * (inside - out)
    tall = float(height.max())
    peak = smoothstep(0.25, 0.6, height / max(tall, 1e-6)) * _TONGUE_SHARE * height
    peak *= smoothstep(0.1, 0.25, np.float32(tall / unit))
    tongue_cover = cover * np.clip((y - (bottom - peak)) / px, 0, 1)
    return np.asarray(out + tongue_cover[..., None] * (tongue - out), np.float32)


def _near(side: int, part: Part) -> tuple[slice, slice]:
    """Rows and columns of a picture around a part, thrice as wide and four times as tall."""
    reach = max(4 * part.half_height, 2 * part.half_width)

    def span(middle: float, reach: float) -> slice:
        return slice(max(0, int((middle - reach) * side)), int((middle + reach) * side) + 1)

    return span(part.y, reach), span(part.x, 1.5 * part.half_width)


def _window(distance: Array, half: float, reach: float) -> Array:
    """1 up to `half` from the middle, 0 from `half + reach` on."""
    return 1 - smoothstep(half, half + reach, np.abs(distance))
