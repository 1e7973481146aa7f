"""`memegen preview`: moments of an animation, in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from memegen import models
from memegen.cli import complete, options
from memegen.cli.animate import Au, Recipe
from memegen.cli.clips import is_clip
from memegen.cli.console import photo_at
from memegen.generators.registry import generating_model
from memegen.played import Played

if TYPE_CHECKING:
    from rich.console import Console

    from memegen.arrays import Integers, Picture
    from memegen.tracks import Track

SIDE = 256  # pixels of what is painted; a terminal shows far fewer
MOST_WIDTH = 400  # characters that a window is taken for at most
PLAIN_WIDTH = 80  # characters where the output is no terminal

Source = Annotated[
    str, typer.Argument(help="A photo to animate, or an animation or a video to look at.")
]
Count = Annotated[int, typer.Option("--frames", min=1, max=60, help="How many moments.")]
Crop = Annotated[
    str,
    typer.Option("--crop", help="What of a photo is shown.", autocompletion=complete.crop),
]
Width = Annotated[
    int | None, typer.Option("--width", min=8, max=MOST_WIDTH, help="Characters; the window's.")
]


@dataclass(frozen=True)
class Moment:
    """A picture, and when it is seen."""

    seconds: float
    picture: Picture  # (H, W, 3 or 4)


def preview(
    source: Source,
    recipe: Recipe = "smile",
    au: Au = None,
    face: options.Face = "largest",
    intensity: options.Intensity = 1.0,
    count: Count = 6,
    crop: Crop = "face",
    width: Width = None,
    model: options.Model = models.DEFAULT,
    device: options.Device = "auto",
) -> None:
    """Show moments of what a photo would play, or of a file, in the terminal; writes no file."""
    from memegen import recipes
    from memegen.cli.terminal import draw

    recipes.check_ranges(intensity, None, None)
    if is_clip(source):
        moments = list(_of_clip(source, count))
    else:
        track = Played(recipe, au, None, None, None).at(None)
        moments = list(
            _of_photo(source, track, count, _Asked(face, intensity, crop, model, device))
        )
    console = _console(width)
    draw([m.picture for m in moments], [f"{m.seconds:.2f} s" for m in moments], console)


@dataclass(frozen=True)
class _Asked:
    face: str
    intensity: float
    crop: str
    model: str
    device: str


def _of_photo(source: str, track: Track, count: int, asked: _Asked) -> Iterator[Moment]:
    """Moments of a photo that plays a track; only those are painted."""
    photo = photo_at(source)  # say so before loading networks
    generating_model(asked.model)
    from memegen.pipeline import Animator

    animator = Animator(asked.model, asked.device)
    ready = animator.prepare_photo(photo, asked.face, SIDE, asked.crop)
    rows = told_apart(track, count)
    for row, picture in zip(rows, ready.play(track.rows(rows), asked.intensity), strict=True):
        yield Moment(float(row) / track.fps, picture)


def told_apart(track: Track, count: int) -> Integers:
    """Frames of a track that show what happens, in order: first and strongest are among them.

    Evenly spaced along the way that the expression goes (the sum of its changes), so that no two
    look alike while something else is left out; of a way back that is the way there, only one.
    """
    import numpy as np

    steps = np.abs(np.diff(track.add, axis=0)).sum(1) + np.abs(np.diff(track.keep, axis=0)).sum(1)
    strongest = track.strongest()
    back = np.allclose(track.add[1:], track.add[1:][::-1], atol=1e-5)
    end = strongest + 1 if back and strongest else len(track)
    gone = np.concatenate([[0.0], np.cumsum(steps)])[:end]
    wanted = np.linspace(0, gone[-1], min(count, end))
    rows = {int(np.abs(gone - way).argmin()) for way in wanted} | {0, strongest}
    kept = sorted(rows)
    while len(kept) > count:  # the first and the strongest are the last to go
        spare = [row for row in kept if row not in (0, strongest)] or [0]
        nearest = min(spare, key=lambda row: min(abs(row - o) for o in kept if o != row))
        kept.remove(nearest)
    return np.array(kept)


def _of_clip(source: str, count: int) -> Iterator[Moment]:
    """Evenly spaced pictures of a file."""
    from contextlib import closing

    from memegen.performance.clip import open_clip, read_clip

    clip = open_clip(source)
    total = max(1, round((clip.seconds or 1.0) * clip.fps))
    wanted = {round(i * (total - 1) / max(1, count - 1)) for i in range(count)}
    with closing(read_clip(clip, side=SIDE)) as reading:
        for index, picture in enumerate(reading.frames):
            if index in wanted:
                yield Moment(index / clip.fps, picture)
            if index >= max(wanted):
                break


def _console(width: int | None) -> Console:
    from rich.console import Console

    seen = sys.stdout is not None and sys.stdout.isatty()
    if width is None and not seen:
        width = PLAIN_WIDTH
    return Console(width=width, no_color=None if seen else True)
