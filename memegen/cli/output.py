"""Where results go, and how they are written: what the options of several commands say."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memegen.cli.captions import CaptionOptions
from memegen.cli.console import progress, result, say
from memegen.media.formats import output_format
from memegen.media.sizes import parse_size

if TYPE_CHECKING:
    from memegen.media.commands import Sound
    from memegen.media.formats import Format
    from memegen.pipeline import Frames


@dataclass(frozen=True)
class Output:
    """How results are written; the options of the same names."""

    fmt: str | None
    size: int | None
    max_size: str | None
    loop: bool | None
    mute: bool
    captions: CaptionOptions = field(default_factory=CaptionOptions)

    def check(self) -> None:
        """Raises UsageError now, not after all work, for what cannot be written so."""
        assert self.limit is None or self.limit > 0
        self.captions.check()

    @property
    def limit(self) -> int | None:
        """The most bytes. Raises UsageError."""
        return parse_size(self.max_size) if self.max_size else None

    def format_at(self, path: str) -> Format:
        """The format of what is written to a path. Raises UsageError."""
        return output_format(path, self.fmt)

    def side_of(self, fmt: Format) -> int | None:
        """The longest side in pixels; None is the photo's own."""
        return self.size if self.size is not None else fmt.default_side or None

    def write(self, frames: Frames, path: str, about: str, sound: Sound | None = None) -> None:
        """Write frames under a progress bar, and say where they are."""
        from memegen.captions.frames import drawn
        from memegen.pipeline import write

        frames = drawn(self.captions.added_to(frames), say)
        with progress(about) as follow:
            followed = replace(frames, pictures=iter(follow(frames, len(frames))))
            kept = None if self.mute else sound
            written = write(followed, path, fmt=self.fmt, max_size=self.limit, sound=kept)
        if written is not None:
            result(str(written))


def resolved(*paths: str | Path) -> set[Path]:
    """Paths as they are compared with each other."""
    return {Path(path).resolve() for path in paths}
