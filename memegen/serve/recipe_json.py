"""Recipes as JSON, with the structure of their YAML, and back; both mean the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import yaml

from memegen import aus, recipes
from memegen.captions.caption import Caption, usual_style
from memegen.captions.fonts import SHIPPED
from memegen.captions.style import STYLES
from memegen.errors import UsageError
from memegen.recipes import Keyframe, Recipe

MOST_CAPTIONS = 20
MOST_KEYFRAMES = 500
LISTS = ("keyframes", "captions")
# What is meant where nothing is said, of a recipe, a keyframe and a caption.
USUAL = {"description": "", "relative": False}
USUAL_OF_ROWS = {"ease": "in-out", "hold": 0, "from": 0, "position": "bottom"}


def as_json(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON. One of offsets alone is `relative`, as it would be written by hand."""
    frames = recipe.keyframes
    relative = any(f.offset for f in frames) and not any(f.expression for f in frames)
    said: dict[str, Any] = {
        "name": recipe.name,
        "description": recipe.description,
        "fps": recipe.fps,
        "loop": recipe.loop,
        "relative": relative,
        "keyframes": [_keyframe(frame, relative) for frame in frames],
    }
    if recipe.captions:
        said["captions"] = [_caption(caption) for caption in recipe.captions]
    return said


def from_json(said: Mapping[str, Any]) -> Recipe:
    """The recipe that JSON says. Raises UsageError naming the line it has as YAML."""
    return from_yaml(yaml_of(said))


def from_yaml(text: str, source: str = "recipe") -> Recipe:
    """A recipe from YAML that a client sent: files of this machine are not for it to name.

    Raises UsageError with the line.
    """
    recipe = recipes.parse(text, source)
    if len(recipe.keyframes) > MOST_KEYFRAMES or len(recipe.captions) > MOST_CAPTIONS:
        raise UsageError(
            f"{source}: more than {MOST_KEYFRAMES} keyframes or {MOST_CAPTIONS} captions"
        )
    for caption in recipe.captions:
        check_font(caption.style.font)
    return recipe


def yaml_of(said: Mapping[str, Any]) -> str:
    """The YAML of a recipe's JSON as it is written by hand: a line a keyframe, no usual values."""
    plain = {key: value for key, value in said.items() if value not in (None, USUAL.get(key))}
    lists = {key: plain.pop(key) for key in LISTS if isinstance(plain.get(key), list)}
    text = _dumped(plain, flow=False) if plain else ""
    for key, rows in lists.items():
        lines = [f"  - {_dumped(_without_usual(row), flow=True)}" for row in rows]
        text += f"{key}:\n{''.join(lines)}" if lines else f"{key}: []\n"
    return text


def check_font(name: str | None) -> None:
    """Raise UsageError for a font that is a file: clients may use shipped and installed ones."""
    if name is None or name in SHIPPED:
        return
    if any(c in name for c in "/\\.\0"):
        raise UsageError("font: name a shipped font or a family of the server's, not a file")


class _Dumper(yaml.SafeDumper):
    """A value a line: no anchors, no folded texts, whole numbers without a fraction."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.Node:
    style = '"' if any(not c.isprintable() for c in value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _number(dumper: _Dumper, value: float) -> yaml.Node:
    return dumper.represent_int(int(value)) if value.is_integer() else dumper.represent_float(value)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)


def _dumped(value: Any, flow: bool) -> str:
    made: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=flow, width=math.inf,
        allow_unicode=True,
    )  # fmt: skip
    return made.removesuffix("...\n")  # what ends a document of one value


def _without_usual(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    return {key: value for key, value in row.items() if USUAL_OF_ROWS.get(key, ...) != value}


def _keyframe(frame: Keyframe, relative: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"at": frame.at, "ease": frame.ease, "hold": frame.hold}
    said["expression"] = joined(frame.offset if relative else frame.expression)
    if frame.offset and not relative:
        said["offset"] = joined(frame.offset)
    return said


def joined(expression: Mapping[str, float]) -> dict[str, float]:
    """Intensities by name, both sides under one name where they are the same."""
    values = aus.by_channel(expression)
    found: dict[str, float] = {}
    for unit in aus.TABLE:
        given = {c: values[c] for c in unit.channels if c in values}
        both = len(given) == len(unit.channels) and len(set(given.values())) == 1
        if both and unit.sides != "either":
            found[unit.name] = next(iter(given.values()))
        else:
            found |= given
    return found


def _caption(caption: Caption) -> dict[str, Any]:
    said: dict[str, Any] = {"from": caption.start}
    if caption.end is not None:
        said["to"] = caption.end
    said |= {"text": caption.text, "position": caption.position}
    usual_one = usual_style(caption.position)
    named = next((name for name, style in STYLES.items() if style == caption.style), None)
    if named and caption.style != usual_one:
        return said | {"style": named}
    usual, own = asdict(usual_one), asdict(caption.style)
    if style := {key: value for key, value in own.items() if value != usual[key]}:
        said["style"] = style
    return said
