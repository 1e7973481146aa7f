"""What a drawn character is made of: one frozen dataclass for every part.

Lengths are in face units (half a face's width); x from the middle to the image's right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

from memegen.cartoon.canvas import Color


@dataclass(frozen=True)
class Ink:
    """Lines."""

    width: float  # 0: no outlines
    color: Color
    tint: float  # 0: all lines in `color`; 1: every line is a dark shade of what it surrounds
    ends: float  # width of a line's ends to its middle


@dataclass(frozen=True)
class FaceStyle:
    """The outline of a face and its skin."""

    skin: Color
    jaw: float  # half width at the jaw
    chin: float  # half width of the chin
    chin_y: float
    cheek: float  # half width at the cheeks
    temple: float  # half width at the temples
    neck: float  # half width; 0: no neck
    neck_length: float
    shoulders: float
    clothes: Color
    collar: int  # 0 round, 1 V, 2 shirt
    ears: str  # none, round, elf
    ear_y: float
    blush: float  # 0..1
    blush_lines: bool
    freckles: bool
    shading: str  # none, cel, soft
    shade: Color
    light_side: float  # -1 from the image's left, 1 from its right


@dataclass(frozen=True)
class EyeStyle:
    """Both eyes."""

    kind: str  # anime, oval, almond, dot, moe
    x: float
    y: float
    width: float  # half
    up: float  # how far the upper lid is above the middle
    down: float
    tilt: float  # how far the outer corner is above the inner one
    upper_power: float  # 1 pointed .. 3 boxy
    peak: float  # where the lid is highest, -0.4 (inner) .. 0.4 (outer)
    iris: float  # half width of the iris
    iris_tall: float  # its height to its width
    iris_color: Color
    pupil: float  # to the iris
    gradient: float  # 0 flat .. 1 dark above and light below
    highlights: int
    lash: float  # width of the upper lash line
    lower_lash: float
    flicks: int  # lashes that stand off at the outer corner
    crease: bool
    closing: float  # where lids meet: 0 at the middle .. 1 at the bottom
    closed_bend: float  # -0.3 arches up (^) .. 0.3 hangs (u)
    white: Color
    lid: Color | None  # of lids that are drawn as a bulge; None: they are skin
    color: Color  # of lashes and of dot eyes


@dataclass(frozen=True)
class BrowStyle:
    """Both brows."""

    kind: str  # taper, block, short, none
    y: float  # above the eye's middle
    width: float  # half
    thick: float
    arch: float
    slope: float  # how far the outer end is below the inner one
    color: Color
    over_hair: bool


@dataclass(frozen=True)
class NoseStyle:
    """The nose."""

    kind: str  # none, dot, line, corner, shadow, ball, bulb, nostrils, button
    y: float
    size: float
    color: Color | None  # of balls; None: skin


@dataclass(frozen=True)
class MouthStyle:
    """The mouth."""

    y: float
    width: float  # half
    tall: float  # how far it opens
    line: float  # width of its line
    color: Color  # of its line
    inside: Color
    teeth: str  # none, upper, both
    tongue: Color | None
    lips: Color | None
    lip_size: float
    square: float  # 0 ellipse .. 1 boxy below
    lower_mark: bool  # a short line below the lower lip
    bend: float  # how far corners go up with a smile


@dataclass(frozen=True)
class HairStyle:
    """Hair, beards included."""

    front: str  # bangs, zigzag, part, sweep, curly, short, receding, none
    back: str  # none, cap, bob, long, twin, pony, afro, spiky, bun
    color: Color
    shade: Color
    light: Color
    volume: float  # how far hair stands off the head
    low: float  # y of bangs' tips
    strands: int
    lean: float  # -1..1 which way strands bend
    part: float  # x of the parting
    seed: int
    locks: float  # length of side locks, 0 none
    lock_width: float
    shine: str  # none, ring, spots
    cel: float  # side of its shade: 0 none, -1 at the image's right, 1 at its left
    marks: int  # lines in the hair
    ahoge: bool
    tufts: int  # that stand off at the outline; 0 smooth
    tuft_size: float
    beard: str  # none, full, goatee, moustache, stubble
    beard_color: Color


@dataclass(frozen=True)
class Extras:
    """What is worn."""

    glasses: str  # none, round, square, shades
    glasses_color: Color
    hat: str  # none, cap, beanie, band, bow, cat, bunny, horns, headphones, tophat
    hat_color: Color
    hat_second: Color
    earrings: bool


@dataclass(frozen=True)
class Backdrop:
    """What is behind."""

    kind: str  # flat, gradient, stripes, dots, rays, noise, scene, checks
    first: Color
    second: Color
    size: float
    angle: float  # radians
    seed: int


@dataclass(frozen=True)
class Placement:
    """Where the face lies in the picture."""

    width: float  # of the face, to the picture's
    x: float  # of the face box's middle, 0..1
    y: float
    turn: float  # radians, clockwise
    stretch: float  # height to width, about 1


@dataclass(frozen=True)
class Finish:
    """What happens to a picture when it is drawn."""

    medium: str  # color, grey, sketch
    paper: Color
    blur: float  # sigma, in pixels of a 256-pixel picture
    noise: float  # grey levels
    grain: float  # strength of soft blotches, grey levels
    jpeg: int  # quality; 0: none
    gain: tuple[float, float, float]
    seed: int
