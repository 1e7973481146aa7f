"""What is played: recipes by name, by YAML or JSON, or an expression; within the limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memegen import recipes
from memegen.aus import parse_expression
from memegen.errors import UsageError, nearest
from memegen.media.formats import Format
from memegen.recipes import Recipe
from memegen.serve.errors import TooLargeError, UnknownError
from memegen.serve.settings import Limits
from memegen.tracks import Track, compose

MOST_AT_ONCE = 4  # recipes that are played at once
JOINED = "+"  # between their names


@dataclass(frozen=True)
class Timeline:
    """Recipes that are played at once, and how."""

    recipes: tuple[Recipe, ...]
    fps: float | None = None
    duration: float | None = None  # seconds of a cycle
    loop: bool | None = None

    def check(self, limits: Limits) -> None:
        """Raise TooLargeError, before any frame is counted out, for too many of them."""
        rate = self.fps or max(recipe.fps for recipe in self.recipes)
        seconds = self.duration or max(recipe.cycle for recipe in self.recipes)
        if seconds > limits.seconds:
            raise TooLargeError(f"{seconds:.1f} s are more than {limits.seconds:g} s")
        if seconds * rate > limits.frames:
            count = round(seconds * rate)
            raise TooLargeError(f"{count} frames are more than {limits.frames}")

    def at(self, fps: float | None) -> Track:
        """The track at a frame rate, or at its own."""
        rate = fps or max(recipe.fps for recipe in self.recipes)
        once = self.loop is False
        return compose([recipe.track(rate, self.duration, once) for recipe in self.recipes])

    def on_photo(self, chosen: Format, still: bool = False) -> Track:
        """What a photo plays, at a frame rate that its format can say; as `Played.on_photos`."""
        track = self.at(self.fps)
        exact = chosen.representable_fps(track.fps)
        track = track if exact == track.fps else self.at(exact)
        track = replace(track, loops=True) if self.loop else track
        return track.frame(track.strongest()) if still or not chosen.animated else track


def recipe_named(name: str) -> Recipe:
    """A shipped recipe: paths, which the command line takes too, are not names.

    Raises UnknownError.
    """
    known = recipes.names()
    if name not in known:
        raise UnknownError(f"unknown recipe '{name}'{nearest(name, known)}")
    return recipes.load(name)


def recipes_named(names: str) -> tuple[Recipe, ...]:
    """The recipes of `smile` or `smile+wink`. Raises UsageError."""
    parts = [part.strip() for part in names.split(JOINED)]
    if len(parts) > MOST_AT_ONCE:
        raise UsageError(f"{len(parts)} recipes at once are more than {MOST_AT_ONCE}")
    try:
        return tuple(recipe_named(part) for part in parts)
    except UnknownError as error:
        raise UsageError(str(error)) from None


def recipe_of_units(text: str) -> Recipe:
    """To an expression such as `AU12=4,AU6=2`, and back. Raises UsageError."""
    return recipes.of_expression(parse_expression(text))
