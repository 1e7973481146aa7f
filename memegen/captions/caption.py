"""What is written, where, and when."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from memegen.captions.style import STYLES, CaptionStyle
from memegen.errors import UsageError, nearest

ON_PICTURE = ("top", "middle", "bottom")
BARS = ("above", "below")  # beside the picture, which grows by them
POSITIONS = ON_PICTURE + BARS
MARK = "made with memegen"  # the usual text of a visible mark
MOST_OF_A_MARK = 60  # characters: it is one short line
MOST_CHARACTERS = 1000  # of one caption; more is no caption


@dataclass(frozen=True)
class Caption:
    """A text at a position, from `start` up to `end` in seconds (None: to the end)."""

    text: str
    position: str = "bottom"
    start: float = 0.0
    end: float | None = None
    style: CaptionStyle = STYLES["meme"]

    def shown_at(self, seconds: float) -> bool:
        """Whether it is seen at a time."""
        tick = 1e-6  # seconds: times of frames are quotients
        return self.start <= seconds + tick and (self.end is None or seconds + tick < self.end)

    def moved(self, seconds: float, scale: float = 1.0) -> Caption:
        """The same with its times `scale` times as large, then so many seconds later."""
        end = None if self.end is None else self.end * scale + seconds
        return replace(self, start=self.start * scale + seconds, end=end)


def usual_style(position: str) -> CaptionStyle:
    """What a caption looks like unless somebody says."""
    return STYLES["bar" if position in BARS else "meme"]


def checked_text(text: str) -> str:
    r"""The text as it is laid out: composed (NFC), `\n` a line's end, control characters gone.

    Raises UsageError where it is too long.
    """
    if len(text) > MOST_CHARACTERS:
        raise UsageError(f"{len(text)} characters are too many, at most {MOST_CHARACTERS}")
    lines = unicodedata.normalize("NFC", text).replace("\\n", "\n").splitlines()
    kept = (" ".join(_printable(line).split()) for line in lines)
    return "\n".join(kept).strip("\n")


def checked_mark(text: str) -> str:
    """The text of a mark. Raises UsageError where it is none, or too long."""
    line = " ".join(checked_text(text).split())
    if not line:
        raise UsageError("a mark needs a text")
    if len(line) > MOST_OF_A_MARK:
        raise UsageError(f"{len(line)} characters are too many, at most {MOST_OF_A_MARK}")
    return line


def checked_position(position: str) -> str:
    """One of POSITIONS. Raises UsageError."""
    if position not in POSITIONS:
        known = nearest(position, POSITIONS)
        raise UsageError(f"'{position}' is none of {', '.join(POSITIONS)}{known}")
    return position


def repeated(captions: Iterable[Caption], period: float, seconds: float) -> tuple[Caption, ...]:
    """Captions of what takes `period` seconds and is played over and over for `seconds`.

    Those that stay to the end stay through all repetitions if they also begin at 0.
    """
    found = []
    for caption in captions:
        if caption.start <= 0 and caption.end is None:
            found.append(caption)
            continue
        ended = replace(caption, end=min(caption.end or period, period))
        begin = 0.0
        while begin < seconds and period > 0:
            found.append(ended.moved(begin))
            begin += period
    return tuple(found)


def _printable(line: str) -> str:
    """Without control characters, and without the half characters of undecodable bytes."""
    spaced = (" " if character.isspace() else character for character in line)
    return "".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cs"))
