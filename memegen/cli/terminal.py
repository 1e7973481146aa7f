"""Pictures in a terminal: two pixels a character, the upper half in the letter's colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from memegen.arrays import Picture

if TYPE_CHECKING:
    from rich.console import Console
    from rich.segment import Segment

UPPER_HALF = "\u2580"
GREYS = " .:-=+*#%@"  # dark to light, for where there are no colours
GAP = 1  # columns between pictures
NARROWEST, WIDEST = 24, 44  # columns of a picture: fewer show no expression
CELL = 2.0  # height of a character cell to its width
BEHIND = 24  # grey value 0..255 behind transparent pictures


@dataclass(frozen=True)
class Sheet:
    """How pictures are set in a window."""

    columns: int  # pictures side by side
    width: int  # columns of characters that each takes

    @classmethod
    def for_window(cls, width: int, count: int) -> Sheet:
        """As many pictures side by side as a window of `width` characters shows well."""
        side_by_side = max(1, min(count, (width + GAP) // (NARROWEST + GAP)))
        rows = -(-count // side_by_side)
        side_by_side = -(-count // rows)  # rows of equal length
        each = (width + GAP) // side_by_side - GAP
        return cls(side_by_side, max(1, min(each, WIDEST)))


def draw(pictures: Sequence[Picture], labels: Sequence[str], console: Console) -> None:
    """Print pictures (H, W, 3 or 4) of one size, a label under each, fitted to the window.

    Without colours (NO_COLOR, output that is no terminal) they are drawn in characters.
    """
    from rich.segment import Segment, Segments

    coloured = console.color_system is not None and not console.no_color
    coloured = coloured and console.encoding.startswith("utf")
    sheet = Sheet.for_window(console.width, len(pictures))
    for first in range(0, len(pictures), sheet.columns):
        row = [_small(p, sheet.width) for p in pictures[first : first + sheet.columns]]
        lines = [_coloured(p) if coloured else _characters(p) for p in row]
        for parts in zip(*lines, strict=True):
            line: list[Segment] = []
            for part in parts:
                line += [*part, Segment(" " * GAP)]
            console.print(Segments([*line[:-1], Segment.line()]), end="", soft_wrap=True)
        said = [label[: sheet.width].center(sheet.width) for label in labels[first:][: len(row)]]
        console.print((" " * GAP).join(said).rstrip(), highlight=False, soft_wrap=True, style="dim")


def _small(picture: Picture, width: int) -> Picture:
    """(2h, width, 3) a picture so many columns wide, over dark grey where it is transparent."""
    image = Image.fromarray(picture)
    if image.mode == "RGBA":
        behind = Image.new("RGBA", image.size, (BEHIND, BEHIND, BEHIND, 255))
        image = Image.alpha_composite(behind, image)
    height = max(1, round(image.height / image.width * width / CELL))
    small = image.convert("RGB").resize((width, 2 * height), Image.Resampling.LANCZOS)
    return np.asarray(small)


def _coloured(pixels: Picture) -> list[list[Segment]]:
    """Lines of half blocks; (2h, w, 3)."""
    from rich.color import Color
    from rich.segment import Segment
    from rich.style import Style

    def style(upper: Picture, lower: Picture) -> Style:
        return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))

    return [
        [Segment(UPPER_HALF, style(above, below)) for above, below in zip(up, down, strict=True)]
        for up, down in zip(pixels[::2], pixels[1::2], strict=True)
    ]


def _characters(pixels: Picture) -> list[list[Segment]]:
    """Lines of characters, denser where the picture is lighter, as dark windows show it."""
    from rich.segment import Segment

    grey = np.asarray(Image.fromarray(pixels).convert("L"), np.float32)
    cells = grey.reshape(-1, 2, grey.shape[1]).mean(1)
    low, high = np.percentile(cells, (2, 98))  # a flat photo uses all characters too
    steps = np.clip((cells - low) / max(1.0, float(high - low)), 0, 1) * (len(GREYS) - 1)
    return [[Segment("".join(GREYS[int(v)] for v in line.round()))] for line in steps]
