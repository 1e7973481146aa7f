"""What the options of `transfer` say: whose performance, how it is retargeted, what is saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memegen import aus
from memegen.cli.console import say
from memegen.errors import UsageError
from memegen.files import check_writable, write_text

if TYPE_CHECKING:
    from memegen.media.commands import Sound
    from memegen.performance.clip import Clip
    from memegen.performance.retarget import RetargetOptions
    from memegen.performance.track import Performance
    from memegen.pipeline import Animator
    from memegen.tracks import Track

SPEEDS = (0.1, 10.0)  # least and most `--speed`
MOST_SMOOTHING = 5.0


@dataclass(frozen=True)
class RetargetingAsked:
    """How a performance becomes that of another face; the options of the same names."""

    only: str
    relative: bool | None
    neutral_frame: int | None
    smooth: float
    gain: str | None
    detail: float
    head: float | None

    def check(self) -> None:
        """Raises UsageError."""
        if not 0 <= self.smooth <= MOST_SMOOTHING:
            raise UsageError(f"--smooth {self.smooth:g}: must be 0..{MOST_SMOOTHING:g}")
        for name, value in (("--detail", self.detail), ("--head", self.head)):
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"{name} {value:g}: must be 0..1")

    def options(self, still: bool) -> RetargetOptions:
        """As the library takes them; `still` says that the target is a picture."""
        from memegen.performance.retarget import RetargetOptions, parse_parts

        return RetargetOptions(
            not still if self.relative is None else self.relative,
            self.neutral_frame,
            parse_parts(self.only),
            self.smooth,
            aus.parse_factors(self.gain, "--gain") if self.gain else {},
            1.0 if self.head is None else self.head,
            self.detail,
        )


@dataclass(frozen=True)
class PerformanceAsked:
    """Which part of whose performance, and how fast; the options of the same names."""

    target: str
    face: int
    start: float
    end: float | None
    speed: float
    boomerang: bool
    fps: float | None

    def check(self) -> None:
        """Raises UsageError."""
        if not SPEEDS[0] <= self.speed <= SPEEDS[1]:
            raise UsageError(f"--speed {self.speed:g}: must be {SPEEDS[0]:g}..{SPEEDS[1]:g}")
        if not self.start >= 0 or (self.end is not None and not self.end > self.start):
            raise UsageError("--start must be at least 0, and --end after it")
        if self.face < 1:
            raise UsageError("--target-face counts from 1")

    def clip(self) -> Clip | None:
        """The picture or video; None for a table."""
        from memegen.performance.clip import open_clip

        is_table = Path(self.target).suffix.lower() == ".csv"
        return None if is_table else open_clip(self.target, self.fps)

    def resting(self, clip: Clip | None) -> Track:
        """A track as long as the target is, in which nothing happens.

        A clip's length is what its file says; where it says none, one second.
        """
        import numpy as np

        from memegen.performance.table import read_csv
        from memegen.tracks import Track, rest

        if clip is None:
            table = read_csv(Path(self.target), self.face).between(self.start, self.end)
            count, fps = len(table), table.fps
        else:
            seconds = 1 / clip.fps if clip.still else clip.seconds or 1.0
            if not clip.still and self.start >= seconds:
                raise UsageError(
                    f"{clip.path}: --start {self.start:g} is after its end ({seconds:.2f} s)"
                )
            end = seconds if self.end is None or clip.still else min(self.end, seconds)
            count = max(1, round((end - (0 if clip.still else self.start)) * clip.fps))
            fps = clip.fps
        keep, add = (np.repeat(one[None], count, 0) for one in rest())
        return Track(keep, add, fps, loops=False)

    def tracked(self, animator: Animator, fps: float | None) -> Performance:
        """What the face does; parts without a face are told."""
        performance = animator.track_face(
            self.target, face=self.face, fps=fps, start=self.start, end=self.end, warn=say
        )
        missing = int((~performance.seen).sum())
        if missing:
            say(f"{performance.name}: no face in {missing} of {len(performance)} frames; bridged")
        return performance

    def sound(self, clip: Clip | None, seconds: float) -> Sound | None:
        """The clip's own, as long as it plays as it was filmed."""
        from memegen.media.commands import Sound

        if clip is None or not clip.audio or self.boomerang or self.speed != 1:
            return None
        return Sound(clip.path, self.start, seconds, clip.sound)


@dataclass(frozen=True)
class SavedBeside:
    """What is written beside the result."""

    track: Path | None
    recipe: Path | None

    def check(self, taken: frozenset[Path] = frozenset()) -> None:
        """Raises UsageError where a file cannot be written, or is one of those `taken`."""
        for file in (self.track, self.recipe):
            if file is not None:
                check_writable(file, special=True)
                if file.resolve() in taken:
                    raise UsageError(f"{file}: is an input or the output; choose another name")

    def write_track(self, performance: Performance) -> None:
        """Write the performance as a table, if that is asked for."""
        if self.track is None:
            return
        from memegen.performance.table import to_csv

        write_text(self.track, to_csv(performance, whole=True))

    def write_recipe(self, track: Track) -> None:
        """Write what the face does as a recipe, if that is asked for."""
        if self.recipe is None:
            return
        from memegen.performance.keyframes import recipe_text

        text, error = recipe_text(track)
        write_text(self.recipe, text)
        say(f"{self.recipe}: within {error:.2f} of 5 of the performance")
