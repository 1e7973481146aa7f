"""Recipes: YAML timelines of expressions.

    name: smile
    description: A broad smile that comes and goes
    fps: 25                    # default 25
    loop: boomerang            # once | loop | boomerang; default boomerang
    relative: false            # true: intensities are offsets to the photo's own expression
    keyframes:
      - {at: 0.0, expression: {}}
      - {at: 0.6, ease: in-out, hold: 0.3, expression: {AU6: 2.5, AU12: 4}}

`offset` beside `expression` is added to what that names, or to the photo's own: head movements are
best given so, since a photo's head may be turned already. `loop` repeats from the start; where the
last keyframe is not the first again, the way back is added, so that no loop jumps. `hold` stays on
a keyframe for so many seconds. `ease` shapes the way to its keyframe: linear, in, out, in-out,
overshoot or step.

    captions:                  # none unless given
      - {from: 0, to: 0.8, text: when the code, position: top}
      - {from: 0.8, text: compiles, position: bottom, style: {name: plain, size: 0.12}}

Their times are seconds of a whole cycle, way back included; they stretch with it. `from` is 0 and
`to` the end unless given, `position` one of top, middle, bottom, above and below (bars beside the
picture; default bottom), `style` a name or parameters (`captions.style`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import yaml

from memegen import aus
from memegen.arrays import Array
from memegen.captions.caption import (
    Caption,
    checked_position,
    checked_text,
    usual_style,
)
from memegen.captions.style import PARAMETERS, CaptionStyle, checked, style_named, styled
from memegen.errors import UsageError, nearest
from memegen.nodes import NodeReader, compose_yaml
from memegen.tracks import Track, compose, offset, still

T = TypeVar("T")
LOOPS = ("once", "loop", "boomerang")
CLOSING_SECONDS = 0.3  # of the way back that makes a loop seamless
MAX_SECONDS = 600.0
MAX_FPS = 120.0

EASES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "in": lambda t: t * t,
    "out": lambda t: t * (2 - t),
    "in-out": lambda t: t * t * (3 - 2 * t),
    "overshoot": lambda t: 1 + 2.2 * (t - 1) ** 3 + 1.2 * (t - 1) ** 2,
    "step": lambda t: float(t >= 1),
}


@dataclass(frozen=True)
class Keyframe:
    """An expression that is reached `at` seconds and held."""

    at: float
    expression: Mapping[str, float]  # what the face reaches, by name, 0..5
    ease: str = "in-out"
    hold: float = 0.0
    offset: Mapping[str, float] = field(default_factory=dict)  # added to that, by name, -5..5


@dataclass(frozen=True)
class Recipe:
    """A named timeline."""

    name: str
    keyframes: tuple[Keyframe, ...]
    description: str = ""
    fps: float = 25.0
    loop: str = "boomerang"
    captions: tuple[Caption, ...] = ()  # in seconds of a whole cycle

    @property
    def cycle(self) -> float:
        """Seconds until it begins again, or ends; 0 for a single expression."""
        frames = self._closed() if self.loop == "loop" else self._begun()
        length = frames[-1].at + frames[-1].hold
        return length * (2 if self.loop == "boomerang" else 1)

    @property
    def length(self) -> float:
        """Seconds from the first keyframe to the end of the last."""
        return self.keyframes[-1].at + self.keyframes[-1].hold

    def track(
        self, fps: float | None = None, duration: float | None = None, once: bool = False
    ) -> Track:
        """Sample the timeline. `duration` stretches one full cycle to so many seconds.

        `once` ends what would repeat on the frame it began with.
        """
        rate = fps or self.fps
        frames = self._closed() if self.loop == "loop" else self._begun()
        length = frames[-1].at + frames[-1].hold
        stretch = duration / self.cycle if duration and self.cycle > 0 else 1.0
        count = max(1, round(length * stretch * rate))
        if self.loop != "loop" and length > 0:
            times = np.arange(count + 1) * (length / count)
        else:
            times = np.arange(count) * (length / count)
        sampled = [_at(frames, float(t)) for t in times]
        if self.loop == "boomerang":
            sampled += sampled[-2:0:-1]
        if once and self.loop != "once":
            sampled.append(sampled[0])
        keep, add = (np.stack(column).astype(np.float32) for column in zip(*sampled, strict=True))
        loops = self.loop != "once" and not once
        captions = tuple(caption.moved(0, stretch) for caption in self.captions)
        return Track(keep, add, rate, loops, self.name, captions=captions)

    def _begun(self) -> list[Keyframe]:
        """Keyframes from 0 s on: a recipe that begins later begins with the photo itself."""
        late = self.keyframes[0].at > 0
        return [Keyframe(0.0, {}), *self.keyframes] if late else list(self.keyframes)

    def _closed(self) -> list[Keyframe]:
        """Keyframes that end as they begin."""
        frames = self._begun()
        first, last = frames[0], frames[-1]
        if (first.expression, first.offset) == (last.expression, last.offset) or self.length == 0:
            return frames
        end = self.length + CLOSING_SECONDS
        return [*frames, Keyframe(end, first.expression, offset=first.offset)]


def _at(frames: list[Keyframe], t: float) -> tuple[Array, Array]:
    """Keep and add (K,) at time t."""
    after = next((i for i, frame in enumerate(frames) if frame.at > t), len(frames))
    if after == 0:
        return _pose(frames[0])
    before = frames[after - 1]
    if after == len(frames) or t <= before.at + before.hold:
        return _pose(before)
    upcoming = frames[after]
    start = before.at + before.hold
    share = EASES[upcoming.ease]((t - start) / (upcoming.at - start))
    (k0, a0), (k1, a1) = _pose(before), _pose(upcoming)
    return k0 + share * (k1 - k0), a0 + share * (a1 - a0)


def _pose(frame: Keyframe) -> tuple[Array, Array]:
    keep, add = still(frame.expression)
    return keep, add + offset(frame.offset)


def of_expression(expression: Mapping[str, float], name: str = "expression") -> Recipe:
    """The recipe behind `--au`: to an expression and back. Raises UsageError for bad values."""
    for au, value in expression.items():
        aus.check_intensity(au, value)
    return Recipe(name, (Keyframe(0.0, {}), Keyframe(0.6, expression, hold=0.4)))


# --- files ------------------------------------------------------------------------------------


def folder() -> Path:
    """Where the shipped recipes are: inside the installed package, else in the checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "data" / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def names() -> list[str]:
    """Names of the shipped recipes, sorted."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def path_of(name: str) -> Path:
    """The file of a recipe, given by name or as a path. Raises UsageError with the nearest name."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name)
    if name not in names():
        known = nearest(name, names())
        raise UsageError(f"unknown recipe '{name}'{known} (see memegen recipes list)")
    return folder() / f"{name}.yaml"


def read(name: str) -> str:
    """The YAML of a recipe by name or path. Raises UsageError."""
    path = path_of(name)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{path}: cannot read the recipe ({reason})") from None


def load(name: str) -> Recipe:
    """A recipe by name or from a YAML file."""
    return parse(read(name), str(path_of(name)))


def check_ranges(intensity: float, fps: float | None, duration: float | None) -> None:
    """Raise UsageError if a number that says how to play is out of its range."""
    limits = {
        "--intensity": (intensity, 0.0, 3.0),
        "--fps": (fps, 1.0, MAX_FPS),
        "--duration": (duration, 0.1, MAX_SECONDS),
    }
    for option, (value, low, high) in limits.items():
        if value is not None and (not math.isfinite(value) or not low <= value <= high):
            raise UsageError(f"{option} {value:g} is outside {low:g}..{high:g}")


def parts(names_: str) -> list[str]:
    """The recipes that are played at once: of `smile+wink`, both; a file's name is one."""
    return [names_] if Path(names_).exists() else [part.strip() for part in names_.split("+")]


def load_track(
    names_: str, fps: float | None = None, duration: float | None = None, once: bool = False
) -> Track:
    """The track of one recipe, or of several played at once: `smile+wink`."""
    recipes = [load(part) for part in parts(names_)]
    rate = fps or max(recipe.fps for recipe in recipes)
    return compose([recipe.track(rate, duration, once) for recipe in recipes])


def parse(text: str, source: str = "recipe") -> Recipe:
    """Read a recipe from YAML text. Raises UsageError that names the line."""
    root = compose_yaml(text, source)
    if root is None:
        raise UsageError(f"{source}: the recipe is empty")
    return _Reader(source).recipe(root)


class _Reader(NodeReader):
    """A recipe from its nodes."""

    def recipe(self, root: yaml.Node) -> Recipe:
        known = ("name", "description", "fps", "loop", "relative", "keyframes", "captions")
        fields = self.mapping(root, known)
        if "keyframes" not in fields:
            raise self.fail(root, "a recipe needs keyframes")
        relative = self.flag(fields["relative"]) if "relative" in fields else False
        nodes = self.sequence(fields["keyframes"], "keyframe")
        frames = [self.keyframe(node, relative) for node in nodes]
        for earlier, later, node in zip(frames, frames[1:], nodes[1:], strict=False):
            if later.at <= earlier.at + earlier.hold + 1e-9:
                end = earlier.at + earlier.hold
                raise self.fail(
                    node,
                    f"keyframe at {later.at:g} s begins before the last one ends, at {end:g} s",
                )
        loop = self.word(fields["loop"], LOOPS) if "loop" in fields else "boomerang"
        fps = self.number(fields["fps"], 1, MAX_FPS) if "fps" in fields else 25.0
        name = self.text(fields["name"]) if "name" in fields else Path(self._source).stem
        about = self.text(fields["description"]) if "description" in fields else ""
        plain = Recipe(name, tuple(frames), about, fps, loop)
        nodes = self.sequence(fields["captions"], "caption") if "captions" in fields else []
        return replace(plain, captions=tuple(self.caption(n, plain.cycle) for n in nodes))

    def caption(self, node: yaml.Node, cycle: float) -> Caption:
        fields = self.mapping(node, ("from", "to", "text", "position", "style"))
        if "text" not in fields:
            raise self.fail(node, "a caption needs 'text'")
        text = self.tried(fields["text"], lambda: checked_text(self.text(fields["text"])))
        if not text:
            raise self.fail(fields["text"], "a caption needs some text")
        start = self.number(fields["from"], 0, MAX_SECONDS) if "from" in fields else 0.0
        end = self.number(fields["to"], 0, MAX_SECONDS) if "to" in fields else None
        if end is not None and end <= start:
            raise self.fail(fields["to"], f"a caption ends, at {end:g} s, after it begins")
        if start > 0 and start >= cycle:
            raise self.fail(fields["from"], f"the recipe is over at {cycle:g} s")
        position = "bottom"
        if "position" in fields:
            said = self.text(fields["position"])
            position = self.tried(fields["position"], lambda: checked_position(said))
        style = usual_style(position)
        if "style" in fields:
            style = self.style(fields["style"], style)
        return Caption(text, position, start, end, style)

    def style(self, node: yaml.Node, usual: CaptionStyle) -> CaptionStyle:
        """A name, or parameters that change the usual style or the one of their `name`."""
        if isinstance(node, yaml.ScalarNode):
            return self.tried(node, lambda: style_named(self.text(node)))
        fields = self.mapping(node, ("name", *PARAMETERS))
        if name := fields.pop("name", None):
            usual = self.style(name, usual)
        values = {}
        for key, value in fields.items():
            words = PARAMETERS[key].kind not in ("number", "whole")
            given = self.text(value) if words else self.scalar(value)
            values[key] = self.tried(value, partial(checked, key, given))
        return styled(usual, values)

    def tried(self, node: yaml.Node, check: Callable[[], T]) -> T:
        """What a check returns; what it raises names the line."""
        try:
            return check()
        except UsageError as error:
            raise self.fail(node, str(error)) from None

    def keyframe(self, node: yaml.Node, relative: bool) -> Keyframe:
        fields = self.mapping(node, ("at", "ease", "hold", "relative", "expression", "offset"))
        for key in ("at", "expression"):
            if key not in fields:
                raise self.fail(node, f"a keyframe needs '{key}'")
        if "relative" in fields:
            relative = self.flag(fields["relative"])
        expression = self.expression(fields["expression"], relative)
        offset = self.expression(fields["offset"], True) if "offset" in fields else {}
        return Keyframe(
            self.number(fields["at"], 0, MAX_SECONDS),
            {} if relative else expression,
            self.word(fields["ease"], tuple(EASES)) if "ease" in fields else "in-out",
            self.number(fields["hold"], 0, MAX_SECONDS) if "hold" in fields else 0.0,
            expression | offset if relative else offset,
        )

    def expression(self, node: yaml.Node, relative: bool) -> dict[str, float]:
        lowest = -aus.MAX_INTENSITY if relative else 0.0
        given: dict[str, float] = {}
        for key, value in self.pairs(node):
            name = self.text(key)
            try:
                if name in given:
                    raise UsageError(f"{name} is given twice")
                given[name] = aus.check_intensity(name, self.scalar(value), lowest)
                aus.by_channel(given)
            except UsageError as error:
                raise self.fail(key, str(error)) from None
        return aus.by_channel(given)
