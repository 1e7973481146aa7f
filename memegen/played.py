"""What is played: a recipe or an expression with the options that say how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memegen import recipes
from memegen.aus import parse_expression

if TYPE_CHECKING:
    from memegen.media.formats import Format
    from memegen.tracks import Track


@dataclass(frozen=True)
class Played:
    """What faces do: a recipe, or an expression `au` instead; how fast, how long, how often."""

    recipe: str
    au: str | None
    fps: float | None
    duration: float | None
    loop: bool | None

    @property
    def name(self) -> str:
        """What it is called in names of files."""
        return "au" if self.au is not None else Path(self.recipe).stem.replace("+", "-")

    def at(self, fps: float | None) -> Track:
        """The track at a frame rate, or at its own."""
        once = self.loop is False
        if self.au is not None:
            return recipes.of_expression(parse_expression(self.au)).track(fps, self.duration, once)
        return recipes.load_track(self.recipe, fps, self.duration, once)

    def on_photos(self, chosen: Format, still: bool) -> Track:
        """What photos play, at a frame rate that their format can say."""
        track = self.at(self.fps)
        exact = chosen.representable_fps(track.fps)
        track = track if exact == track.fps else self.at(exact)
        track = replace(track, loops=True) if self.loop else track
        return track.frame(track.strongest()) if still or not chosen.animated else track
