"""Draw what every action unit does to the light on skin: the maps of weights/appearance.

python docs/make_crease_maps.py docs/crease_maps.webp
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from memegen import aus
from memegen.geometry.appearance import load_appearance
from memegen.tracks import still

SHOWN = ("AU1", "AU2", "AU4", "AU6", "AU7", "AU9", "AU10", "AU12",
         "AU14", "AU15", "AU17", "AU18", "AU20", "AU23", "AU25", "AU26")  # fmt: skip
COLUMNS = 8
CONTRAST = 250  # grey levels of one unit of log ratio: 0.5 is black or white
LABEL = 14  # pixels of the line that names a map


def cell(name: str) -> Image.Image:
    """One action unit at full intensity, grey where nothing changes."""
    nothing = np.zeros(len(aus.CHANNELS), np.float32)
    change = load_appearance().changes(nothing, still({name: 5})[1][None])[0]
    grey = np.clip(128 + CONTRAST * change, 0, 255).astype(np.uint8)
    picture = Image.new("L", (grey.shape[1], grey.shape[0] + LABEL), 255)
    picture.paste(Image.fromarray(grey), (0, LABEL))
    ImageDraw.Draw(picture).text((3, 1), name, fill=0)
    return picture


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    cells = [np.asarray(cell(name)) for name in SHOWN]
    rows = [np.concatenate(cells[i : i + COLUMNS], 1) for i in range(0, len(cells), COLUMNS)]
    Image.fromarray(np.concatenate(rows)).save(out, quality=80)


if __name__ == "__main__":
    main()
