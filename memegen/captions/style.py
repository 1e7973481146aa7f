"""How captions look: one table of named parameters with their ranges, and named styles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from memegen.errors import UsageError, nearest

CASES = ("upper", "as-is")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a style: a number within a range, a word of several, a colour or a font."""

    kind: str  # number, whole, word, colour, font
    about: str
    low: float = 0.0
    high: float = 0.0
    words: tuple[str, ...] = ()


PARAMETERS: Mapping[str, Parameter] = {
    "font": Parameter("font", "a shipped font, a font of the system, or a file"),
    "size": Parameter(
        "number", "largest em, of the side of a square of the picture's area", 0.01, 0.5
    ),
    "lines": Parameter("whole", "most lines, while the text stays legible", 1, 20),
    "case": Parameter("word", "capitals, or as it is written", words=CASES),
    "colour": Parameter("colour", "of the letters"),
    "outline": Parameter("number", "width around the letters, em", 0.0, 0.3),
    "outline_colour": Parameter("colour", "of the outline"),
    "shadow": Parameter("number", "how far it falls, right and down, em", 0.0, 0.3),
    "shadow_opacity": Parameter("number", "of the shadow, which is black", 0.0, 1.0),
    "bar_colour": Parameter("colour", "of the bar, where the text stands on one"),
}


@dataclass(frozen=True)
class CaptionStyle:
    """A value for each of PARAMETERS; colours as CSS names or #rrggbb."""

    font: str = "anton"
    size: float = 0.14
    lines: int = 2
    case: str = "upper"
    colour: str = "white"
    outline: float = 0.06
    outline_colour: str = "black"
    shadow: float = 0.04
    shadow_opacity: float = 0.5
    bar_colour: str = "white"


_BAR = CaptionStyle(
    size=0.08, lines=4, case="as-is", colour="black", outline=0.0, shadow=0.0, shadow_opacity=0.0
)
STYLES: Mapping[str, CaptionStyle] = {
    "meme": CaptionStyle(),
    "bar": _BAR,
    "plain": CaptionStyle(font="oswald-bold", size=0.1, lines=3, case="as-is", outline=0.05),
    "subtitle": CaptionStyle(
        font="dejavu-sans-condensed-bold", size=0.065, lines=3, case="as-is", outline=0.08
    ),
}


def style_named(name: str) -> CaptionStyle:
    """One of STYLES. Raises UsageError."""
    if name not in STYLES:
        raise UsageError(
            f"unknown caption style '{name}'{nearest(name, STYLES)} (known: {', '.join(STYLES)})"
        )
    return STYLES[name]


def styled(base: CaptionStyle, values: Mapping[str, object]) -> CaptionStyle:
    """A style with other values for some of PARAMETERS. Raises UsageError."""
    return replace(base, **{name: checked(name, value) for name, value in values.items()})  # type: ignore[arg-type]


def checked(name: str, value: object) -> object:
    """A value for a parameter, as CaptionStyle holds it. Raises UsageError."""
    if name not in PARAMETERS:
        raise UsageError(f"unknown key '{name}'{nearest(name, PARAMETERS)}")
    known = PARAMETERS[name]
    if known.kind in ("number", "whole"):
        return _number(name, value, known)
    text = str(value).strip()
    if known.kind == "word" and text not in known.words:
        raise UsageError(f"{name}: '{text}' is none of {', '.join(known.words)}")
    if known.kind == "colour":
        rgb(text)
    if not text:
        raise UsageError(f"{name}: is empty")
    return text


def _number(name: str, value: object, known: Parameter) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{name}: '{value}' is not a number")
    if not known.low <= value <= known.high or (known.kind == "whole" and value != int(value)):
        whole = "whole numbers of " if known.kind == "whole" else ""
        raise UsageError(f"{name}: {value:g} is outside {whole}{known.low:g}..{known.high:g}")
    return int(value) if known.kind == "whole" else float(value)


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue 0..255 of a CSS name or #rrggbb. Raises UsageError."""
    from PIL import ImageColor

    try:
        return ImageColor.getrgb(colour)[:3]
    except ValueError:
        raise UsageError(f"'{colour}' is no colour; write a name or #rrggbb") from None


assert set(PARAMETERS) == {field.name for field in fields(CaptionStyle)}
