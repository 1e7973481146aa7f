"""Dimensions of the drawn mouth that no data tell: lengths, shares and levels, looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MouthDimensions:
    """IOD unless said otherwise; a pair is where something begins and where it is whole."""

    # Shading of teeth, gums and tongue.
    gum_fade: float = 0.2  # behind GUM_END, over which gums run into the dark
    # Share of light on what turns away from the camera (it sees teeth, no sky), and how much more
    # on what faces it.
    rim_light: tuple[float, float] = (0.72, 0.28)
    rim: tuple[float, float] = (0.15, 0.75)  # of the normal's part towards the camera
    deepest_crevice: float = 0.08  # below its surroundings, beyond which none is darker
    neck: tuple[float, float] = (0.05, 0.19)  # above a tooth's edge: from enamel to its neck
    lower_neck: float = 0.08  # taken for all lower teeth: their gums are seldom seen
    molars: tuple[float, float] = (0.15, 0.5)  # behind the incisors: where lower teeth are shaded
    canines: tuple[int, ...] = (5, 10, 21, 26)  # numbers of teeth
    groove: float = 0.16  # share of light that the tongue's groove loses
    groove_width: float = 0.022  # standard deviation
    bumps: float = 0.05  # share of light by which the tongue's back is uneven
    bump_waves: tuple[float, float, float] = (
        173.0,
        151.0,
        67.0,
    )  # radians an IOD; skewed by the last
    # What the photo's own open mouth shows.
    margin: float = 0.1  # around the opening, that is looked at
    least_gap: float = 1.5  # pixels of an opening in which anything can be seen
    inside: tuple[float, float] = (0.6, 1.0)  # of a softened mask: well inside the lips
    known: float = 0.4  # of that mask, from which the photo's colours are believed
    dark: float = 12.0  # level of 255 below which colours mean nothing
    lift: float = 4.0  # levels added before ratios of colours are taken
    even: float = 0.05  # over which the ratio of shown and drawn colours is evened out
    near: float = 0.1  # around what the photo shows, in which drawn teeth take its colours
    loose: float = 0.01  # of motion, over which the photo's mouth gives way to the drawn one
    # Where the photo's upper teeth end: a fan of lines from lip to lip.
    fan: tuple[float, float] = (0.12, 0.95)  # of the way from the upper to the lower lip
    fan_width: float = 0.8  # of the middle of the upper lip, to either side
    fan_lines: int = 9
    pale: float = 0.5  # least luma of a tooth, of what the face's light makes of one


MOUTH = MouthDimensions()
