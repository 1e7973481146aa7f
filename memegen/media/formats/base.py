"""What a format is: what its files hold, and how they are written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from memegen.arrays import Picture
from memegen.media.graph import FilterStream, Option, Options

if TYPE_CHECKING:
    from PIL.Image import Image

# Widths, of the whole, to come down to where nothing else makes a file small enough.
SCALES = (0.8, 0.64, 0.5, 0.4, 0.3, 0.22, 0.16, 0.1)


@dataclass(frozen=True)
class Stream:
    """Raw frames as they enter ffmpeg."""

    width: int
    height: int
    fps: float
    alpha: bool
    loops: bool


@dataclass(frozen=True)
class Quality:
    """What every format can trade for a smaller file; the defaults trade nothing.

    Formats add what is theirs.
    """

    keep_every: int = 1  # 2 drops every other frame
    scale: float = 1.0  # of width and height

    def reduced(self, pictures: FilterStream) -> FilterStream:
        """Fewer and smaller pictures."""
        if self.keep_every > 1:
            pictures = pictures.filter("framestep", step=self.keep_every)
        if self.scale < 1:
            width = f"trunc(iw*{self.scale:.4f}/2)*2"
            pictures = pictures.filter("scale", w=width, h=-2, flags="lanczos")
        return pictures


QualityT = TypeVar("QualityT", bound=Quality)


def video_pictures(pictures: FilterStream, pixels: str) -> FilterStream:
    """As video codecs take them: even sides, BT.709 in its narrow range."""
    even = pictures.filter("crop", w="trunc(iw/2)*2", h="trunc(ih/2)*2", x=0, y=0)
    coded = even.filter("scale", out_color_matrix="bt709", out_range="tv")
    return coded.filter("format", pix_fmts=pixels)


class Format(ABC):
    """A kind of file. One subclass a file of this package, stateless, and a row of FORMATS.

    Those that move are AnimatedFormats, those that hold one picture StillFormats; some are both.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]  # with their dots; the usual one first
    alpha: ClassVar[bool] = False  # keeps transparency
    default_side: ClassVar[int] = 0  # longest side in pixels unless asked; 0 is the photo's own
    loops: ClassVar[bool] = False  # is expected to play for ever
    even_sides: ClassVar[bool] = False  # an odd column or row is left out
    # Seconds that one stored frame may be shown, where each has a time of its own that is written
    # by `set_delays`; 0 where all are shown equally long, or their encoder sees to it.
    longest_delay: ClassVar[float] = 0.0
    # Options of ffmpeg for the sound it has beside its pictures; None where it has none.
    sound_options: ClassVar[Mapping[str, Option] | None] = None

    @property
    def suffix(self) -> str:
        """The usual suffix of its files."""
        return self.suffixes[0]

    @property
    def animated(self) -> bool:
        """Whether its pictures can move."""
        return isinstance(self, AnimatedFormat)

    @property
    def sound(self) -> bool:
        """Whether it has sound."""
        return self.sound_options is not None

    @property
    def for_pictures(self) -> bool:
        """Whether it is, first of all, one of pictures that do not move."""
        return not self.animated

    def representable_fps(self, fps: float) -> float:
        """The frame rate nearest to `fps` that its files can say."""
        return fps

    def pixels(self, frame: Picture) -> Picture:
        """A transparent frame (H, W, 4) as it is encoded, where its files keep transparency."""
        return frame

    def add_comment(self, path: Path, comment: str, alpha: bool) -> None:  # noqa: B027
        """Complete the file that was written with what its writer cannot: here, nothing.

        `alpha`: its pictures are transparent.
        """


def hidden_cleared(frame: Picture, threshold: int = 1) -> Picture:
    """(H, W, 4) with nothing but zeros where alpha is below a threshold: that packs best."""
    return frame * (frame[..., 3:] >= threshold)


class AnimatedFormat(Format, Generic[QualityT]):
    """A format that moves, written by ffmpeg."""

    @abstractmethod
    def ladder(self) -> list[QualityT]:
        """Ever smaller qualities to try for a size limit; the first trades nothing."""

    @abstractmethod
    def encode(
        self, pictures: FilterStream, stream: Stream, quality: QualityT
    ) -> tuple[FilterStream, Options]:
        """The pictures as its encoder takes them, and the options of that and of its container."""

    def other_encoder(
        self, pictures: Sequence[Path], out: Path, stream: Stream, quality: QualityT
    ) -> list[str] | None:
        """The command that makes the file of PNG pictures, where not ffmpeg shall; else None."""
        return None

    def set_delays(self, path: Path, repeats: Sequence[int], fps: float) -> None:
        """Show each frame of the file for so many frames' time, where `longest_delay` is not 0.

        Raises EncoderError if the file holds another number of frames.
        """

    def packer(self, made: Path, out: Path, quality: QualityT) -> list[str] | None:
        """The command that writes what was made smaller, if there is one here; else None."""
        return None


class StillFormat(Format):
    """A format of one picture, written by Pillow."""

    still_qualities: ClassVar[tuple[int, ...]]  # to try in turn for a size limit

    @abstractmethod
    def save(self, image: Image, path: Path, quality: int, comment: str) -> None:
        """Write one picture; `quality` is one of `still_qualities`."""


FEWER = (2, 3, 4, 6, 8, 12, 16)  # every so many frames are kept, where widths must stay


def at_one_size(qualities: list[QualityT]) -> list[QualityT]:
    """Those of qualities that leave the width alone, then ever fewer frames."""
    kept = [quality for quality in qualities if quality.scale == 1]
    last = kept[-1]
    return kept + [replace(last, keep_every=n) for n in FEWER if n > last.keep_every]


def between(better: QualityT, worse: QualityT) -> QualityT | None:
    """The quality half way between two that differ in one number; None if there is none."""
    differ = [f.name for f in fields(better) if getattr(better, f.name) != getattr(worse, f.name)]
    if len(differ) != 1:
        return None
    high, low = getattr(better, differ[0]), getattr(worse, differ[0])
    middle = (high + low) / 2
    middle = type(high)(round(middle) if isinstance(high, int) else middle)
    return None if middle in (high, low) else replace(better, **{differ[0]: middle})


def then_narrower(qualities: list[QualityT]) -> list[QualityT]:
    """Qualities, then the last of them at ever smaller widths."""
    return qualities + [replace(qualities[-1], scale=scale) for scale in SCALES]
