"""Where results go, and how they are written: what the options of several commands say."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memegen.captions.caption import checked_mark
from memegen.cli.captions import CaptionOptions
from memegen.cli.console import progress, result, say
from memegen.errors import UsageError
from memegen.media.formats import format_of, output_format
from memegen.media.platforms import Platform, platform_named, presented
from memegen.media.sizes import parse_size

if TYPE_CHECKING:
    from memegen.frames import Frames
    from memegen.media.commands import Sound
    from memegen.media.formats import Format


@dataclass(frozen=True)
class Output:
    """How results are written; the options of the same names."""

    fmt: str | None
    size: int | None
    max_size: str | None
    loop: bool | None
    mute: bool
    crop: str | None = None
    cutout: str | None = None
    platform: Platform | None = None
    captions: CaptionOptions = field(default_factory=CaptionOptions)
    mark: str | None = None  # its text

    @classmethod
    def on(cls, platform: str | None, crop: str | None, output: Output) -> Output:
        """The same for a platform, which has a format, a size and a limit of its own.

        Raises UsageError where `--for` or `--crop` is unknown, or --format another one.
        """
        from memegen.crop import checked_crop

        if crop is not None:
            checked_crop(crop)
        if platform is None:
            return replace(output, crop=crop)
        wanted = platform_named(platform)
        if output.fmt is not None and format_of(output.fmt) is not wanted.output:
            raise UsageError(f"--for {platform} is a {wanted.output.suffix}, not {output.fmt}")
        usual = wanted.crop if output.cutout is None else None  # a cut-out has bounds of its own
        return replace(output, crop=crop or usual, platform=wanted, fmt=wanted.format)

    def check(self, path: str | None = None) -> None:
        """Raises UsageError now, not after all work, for what cannot be written so."""
        _ = self.limit  # raises for a size that means nothing
        self.captions.check()
        if self.mark:
            checked_mark(self.mark)
        if self.platform is None or path is None or path == "-" or not Path(path).suffix:
            return
        if format_of(path) is not self.platform.output:
            suffix = self.platform.output.suffix
            raise UsageError(f"{path}: --for {self.platform.name} is a {suffix}")

    def check_cutout(self, path: str) -> None:
        """Raises UsageError where a cut-out is asked for that cannot be made, or written so."""
        if self.cutout is not None:
            from memegen.cutout.asked import check_cutout

            check_cutout(self.cutout, self.format_at(path))

    def check_clip(self, clip: str) -> None:
        """Raises UsageError where something is asked for that only photos can have."""
        if self.cutout is not None:
            raise UsageError(f"{clip}: moves; --cutout is for photos")

    @property
    def limit(self) -> int | None:
        """The most bytes. Raises UsageError."""
        asked = parse_size(self.max_size) if self.max_size else None
        if self.platform is None:
            return asked
        return min(asked or self.platform.bytes, self.platform.bytes)

    def format_at(self, path: str) -> Format:
        """The format of what is written to a path. Raises UsageError."""
        return output_format(path, self.fmt)

    def side_of(self, fmt: Format) -> int | None:
        """The longest side in pixels; None is the photo's own."""
        if self.size is not None:
            return self.size
        if self.platform is not None:
            return max(self.platform.exact or self.platform.most or (fmt.default_side,)) or None
        return fmt.default_side or None

    def composed(self, frames: Frames) -> Frames:
        """Frames as they are encoded: with captions and mark, as a platform wants them."""
        return presented(self.captions.added_to(frames), self.platform, self.mark, say)

    def write(self, frames: Frames, path: str, about: str, sound: Sound | None = None) -> None:
        """Write frames under a progress bar, and say where they are."""
        from memegen.pipeline import write

        frames = self.composed(frames)
        with progress(about) as follow:
            followed = replace(frames, pictures=iter(follow(frames, len(frames))))
            kept = None if self.mute else sound
            written = write(
                followed,
                path,
                fmt=self.fmt,
                max_size=self.limit,
                sound=kept,
                exact=self.platform is not None and self.platform.exact is not None,
            )
        if written is not None:
            result(str(written))


def resolved(*paths: str | Path) -> set[Path]:
    """Paths as they are compared with each other."""
    return {Path(path).resolve() for path in paths}
