"""The inside of a mouth in three dimensions: ICT-FaceKit's teeth, gums and tongue, and their fit.

Geometry: ICT-FaceKit (MIT licence, Copyright USC Institute for Creative Technologies), in the frame
of the canonical face mesh. Where teeth end and how they are lit is fitted on photos by
`memegen train DATA --model mouth`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from memegen import weights
from memegen.arrays import Array, Integers, Mask
from memegen.errors import WeightsError

UPPER_GUM, LOWER_GUM, TONGUE, UPPER_TEETH, LOWER_TEETH = range(5)
FULL_JAW = 0.54  # IOD that ICT's full jawOpen takes the lower lip down
TONGUE_DROP = (
    0.16  # IOD that a tongue sinks beyond ICT-FaceKit's at FULL_JAW: it rests on the floor
)
JAW_BACK = 0.19  # how far back the lower lip goes as the jaw takes it one IOD down (our anatomy)
WIDE = 0.25  # IOD: lips further apart let in no more light to each side
# Middle of the inner lips of the closed canonical mesh (IOD): what is laid on a photo's lip line.
ANCHOR = np.array([0.0, -1.085, 0.26], np.float32)
WISDOM_TEETH = (0, 15, 16, 31)  # many people have none
# Standard deviations of how mouths differ: width and height of the arch, of one tooth's turn
# (radians) and place (IOD), of the shade of all and of one tooth (log).
_WIDTH, _HEIGHT, _TURN, _PLACE, _SHADE, _ONE_SHADE = 0.025, 0.035, 0.01, 0.0015, 0.025, 0.015
_TOUCHING = 1.035  # teeth as wide as to touch their neighbours
_FLOOR = 0.2  # IOD from the midline: the floor of the mouth, flesh like the tongue
_SMOOTHINGS = 14  # times that tongue and floor are averaged over neighbouring vertices
_CUTTING = 0.015  # IOD: height of an incisor's cutting edge
_WIDEST = 2.0  # standard deviations, beyond: none


@dataclass(frozen=True)
class MouthFit:
    """What photos of open mouths say. Luma and colour: logs of 0..1; lengths: IOD."""

    upper_edge: float  # upper incisors' edge below the line of the closed lips
    lower_edge: float  # lower incisors' edge above that line, jaw closed
    most_upper: float  # of the upper incisors that shows below a lip (90th percentile)
    most_lower: float  # of the lower ones that shows above a lip, likewise
    reach: float  # depth behind the incisors at which light is down to 1/e in a mouth hardly open
    reach_open: float  # what one IOD of opening adds to it, up to an opening of WIDE
    tone: Array  # (7, 3) features of skin and eye whites -> luma, red, blue of a lit tooth
    tone_skin: Array  # (4, 3) the same from skin alone, where no eye white is seen
    tongue: Array  # (3,) colour of a lit tongue, tooth = 1
    cavity: Array  # (3,) colour of the throat, tooth = 1

    def reach_at(self, opening: Array | float) -> Array:
        """Reach of light (IOD) in mouths open by `opening` (IOD)."""
        return np.asarray(self.reach + self.reach_open * np.minimum(opening, WIDE))


@dataclass(frozen=True)
class MouthModel:
    """Vertices (V, 3) in face axes (x right, y up, z to the camera), IOD."""

    vertices: Array
    triangles: Integers  # (F, 3)
    part: Integers  # (V,) UPPER_GUM .. LOWER_TEETH
    tooth: Integers  # (V,) 0..15 upper, 16..31 lower, from the person's left; -1 none
    jaw_open: Array  # (V, 3) displacement where the jaw has taken the lower lip down by FULL_JAW
    shade: Array  # (V,) factor of the tooth's own colour
    tongue: Array  # (V,) 0 no tongue .. 1
    fit: MouthFit

    def incisal(self, upper: bool) -> Mask:
        """(V,) the cutting edges of the upper or lower central incisors."""
        rows = np.isin(self.tooth, (7, 8) if upper else (23, 24))
        height = self.vertices[:, 1] * (-1 if upper else 1)
        return np.asarray(rows & (height > height[rows].max() - _CUTTING))

    @cached_property
    def incisors_drop(self) -> Array:
        """(3,) where the lower incisors' edge goes at FULL_JAW (IOD, face axes)."""
        return np.asarray(self.jaw_open[self.incisal(upper=False)].mean(0))

    @property
    def is_upper(self) -> Mask:
        """(V,) what rides on the skull."""
        return np.isin(self.part, (UPPER_GUM, UPPER_TEETH))

    def at(self, jaw: float) -> Array:
        """(V, 3) with the lower lip `jaw` IOD down by the jaw."""
        return self.vertices + self.jaw_open * np.float32(jaw / FULL_JAW)


LENGTHS = ("upper_edge", "lower_edge", "most_upper", "most_lower", "reach", "reach_open")
COLOURS = ("tone", "tone_skin", "tongue", "cavity")


def fit_of(values: Mapping[str, Array]) -> MouthFit:
    """A fit from `lengths` (6,) in the order of LENGTHS and the arrays named COLOURS."""
    named = dict(zip(LENGTHS, map(float, values["lengths"]), strict=True))
    colours = {name: values[name].astype(np.float32) for name in COLOURS}
    return MouthFit(**named, **colours)  # type: ignore[arg-type]


@weights.remembered
def load_mouth(name: str = "mouth") -> MouthModel:
    """Read the weights of `memegen train DATA --model mouth` (shipped as `mouth`), placed by them.

    Raises WeightsError where they are missing or none.
    """
    file = weights.load(name, "mouth")
    t = {key: value.numpy() for key, value in file.tensors.items()}
    try:
        bare = MouthModel(
            vertices=t["vertices"].astype(np.float32),
            triangles=t["triangles"].astype(np.int64),
            part=t["part"].astype(np.int64),
            tooth=t["tooth"].astype(np.int64),
            jaw_open=t["jaw_open"].astype(np.float32),
            shade=np.ones(len(t["vertices"]), np.float32),
            tongue=np.zeros(len(t["vertices"]), np.float32),
            fit=fit_of(t),
        )
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{file.path}: not a mouth ({error})") from None
    return placed(replace(bare, tongue=tongue_share(bare)))


def tongue_share(model: MouthModel) -> Array:
    """(V,) 1 on the tongue, 0 elsewhere, smooth where it grows out of the floor of the mouth."""
    inner = (model.part == LOWER_GUM) & (np.abs(model.vertices[:, 0]) < _FLOOR)
    inner &= model.vertices[:, 2] < model.vertices[model.part == TONGUE, 2].max() + 0.03
    weight = ((model.part == TONGUE) | inner).astype(np.float32)
    edges = model.triangles[:, [0, 1, 1, 2, 2, 0, 1, 0, 2, 1, 0, 2]].reshape(-1, 2)
    count = np.maximum(np.bincount(edges[:, 0], minlength=len(weight)), 1)
    for _ in range(_SMOOTHINGS):
        around = np.bincount(edges[:, 0], weight[edges[:, 1]], minlength=len(weight)) / count
        weight = (weight + around.astype(np.float32)) / 2
    return np.where(model.is_upper, np.float32(0), weight)


def placed(model: MouthModel) -> MouthModel:
    """Upper and lower parts moved up or down so that incisors end where the fit says.

    The lower part also goes back with the lower lip, not as far as in ICT-FaceKit, whose lips do
    too: else teeth of a turned head would slide out sideways from behind theirs.
    """
    up = model.is_upper
    moved = model.vertices.copy()
    for rows, upper, to in ((up, True, -model.fit.upper_edge), (~up, False, model.fit.lower_edge)):
        edge = moved[model.incisal(upper), 1]
        moved[rows, 1] += ANCHOR[1] + to - (edge.min() if upper else edge.max())
    jaw = model.jaw_open.copy()
    jaw[~up, 2] -= jaw[model.incisal(upper=False), 2].mean() + JAW_BACK * FULL_JAW
    jaw[:, 1] -= TONGUE_DROP * model.tongue
    return replace(model, vertices=moved, jaw_open=jaw)


def individual(model: MouthModel, seed: int) -> MouthModel:
    """The mouth of one person: everybody's differs a little. Equal seeds give equal mouths."""
    rng = np.random.default_rng(seed)

    def vary(spread: float, *shape: int) -> Array:
        return np.clip(rng.normal(size=shape), -_WIDEST, _WIDEST).astype(np.float32) * spread

    vertices = model.vertices.copy()
    shade = np.full(len(vertices), float(np.exp(vary(_SHADE, 1)[0])), np.float32)
    turn, place, one = vary(_TURN, 32), vary(_PLACE, 32, 2), vary(_ONE_SHADE, 32)
    for tooth in range(32):
        rows = model.tooth == tooth
        middle = vertices[rows].mean(0)
        x, y = (vertices[rows, :2] - middle[:2]).T
        x = x * _TOUCHING
        vertices[rows, 0] = middle[0] + x + place[tooth, 0] - turn[tooth] * y
        vertices[rows, 1] += place[tooth, 1] + turn[tooth] * x
        shade[rows] *= np.exp(one[tooth])
    wide, high = 1 + vary(_WIDTH, 1)[0], 1 + vary(_HEIGHT, 1)[0]
    up = model.is_upper
    for rows, edge in ((up, -model.fit.upper_edge), (~up, model.fit.lower_edge)):
        line = ANCHOR[1] + edge  # heights change about the cutting edge, which stays
        vertices[rows, 1] = line + (vertices[rows, 1] - line) * high
    vertices[:, 0] *= wide
    return replace(model, vertices=vertices, shade=shade)
