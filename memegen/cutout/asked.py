"""What can be cut out, and into what: checked before anything is loaded."""

from __future__ import annotations

from memegen.cutout.engines import require_engine
from memegen.errors import UsageError, nearest
from memegen.media.formats import FORMATS, Format

CUTOUTS = ("head", "person")


def checked_cutout(name: str) -> str:
    """A name of CUTOUTS. Raises UsageError naming the nearest one."""
    if name not in CUTOUTS:
        raise UsageError(
            f"`cutout` {name}: unknown{nearest(name, CUTOUTS)} (known: {', '.join(CUTOUTS)})"
        )
    return name


def check_cutout(name: str, fmt: Format) -> None:
    """Raise UsageError if that cannot be cut out here, or not written in a format."""
    checked_cutout(name)
    if not fmt.alpha:
        able = " ".join(one.suffix for one in FORMATS if one.alpha)
        raise UsageError(f"`cutout`: {fmt.suffix} holds no transparency; these do: {able}")
    require_engine()
