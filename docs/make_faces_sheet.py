"""Draw one contact sheet: one row a face, for every expression a column a model.

python docs/make_faces_sheet.py OUT.png PHOTO... [--models mesh,anatomical] [--side 200]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from make_gallery import head_and_shoulders
from PIL import Image

import memegen
from memegen import recipes
from memegen.aus import parse_expression
from memegen.errors import MemegenError
from memegen.photo import read_photo
from memegen.tracks import Track

EXPRESSIONS = {
    "smile": "AU12=4,AU25=3",
    "yawn": "yawn",
    "blink": "blink",
    "wink": "wink",
    "side-eye": "side-eye",
    "scream": "scream",
    "turn": "AU51=2.5",  # 15 degrees
}


def strongest(asked: str) -> Track:
    """The one frame in which an expression or a recipe is at its height."""
    if "=" in asked:
        track = recipes.of_expression(parse_expression(asked)).track()
    else:
        track = recipes.load_track(asked)
    return track.frame(track.strongest())


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--models", default="mesh,anatomical")
    parser.add_argument("--side", type=int, default=200)
    parser.add_argument("--only", help="some of the expressions, with commas between")
    wanted = parser.parse_args()
    animators = [memegen.Animator(name) for name in wanted.models.split(",")]
    names = wanted.only.split(",") if wanted.only else list(EXPRESSIONS)
    tracks = [strongest(EXPRESSIONS[name]) for name in names]
    rows = []
    for path in wanted.photos:
        try:
            photo = head_and_shoulders(animators[0], read_photo(path), wanted.side)
            cells = [photo.rgb]
            for track in tracks:
                cells += [next(iter(a.animate(photo, track))) for a in animators]
        except MemegenError as error:
            print(f"{path}: {error}", file=sys.stderr)
            continue
        rows.append(np.concatenate(cells, 1))
    image = Image.fromarray(np.concatenate(rows, 0))
    image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS).save(wanted.out)


if __name__ == "__main__":
    main()
