"""Draw the contact sheets in docs/gallery: one row a face, one column a moment, for every recipe.

python docs/make_gallery.py OUT PHOTO... [--recipes smile,wink] [--side 160] [--moments 6]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import memegen
from memegen import recipes
from memegen.faces.choose import parse_choice
from memegen.photo import Photo, read_photo


def head_and_shoulders(animator: memegen.Animator, photo: Photo, side: int) -> Photo:
    """The square around the largest face, reduced to `side` pixels."""
    seen = animator.see(photo, parse_choice("largest"))[0].perception.alignment
    centre = seen.to_photo(np.array([[0.5, 0.5]], np.float32))[0]
    width = int(min(seen.width * 1.24, *photo.size))
    low = np.clip(np.rint(centre - width / 2), 0, np.array(photo.size) - width).astype(int)
    high = low + width
    part = np.ascontiguousarray(photo.rgb[low[1] : high[1], low[0] : high[0]])
    square = Image.fromarray(part).resize((side * 2, side * 2), Image.Resampling.LANCZOS)
    return Photo(np.asarray(square), None, photo.path)


def row(animator: memegen.Animator, photo: Photo, name: str, moments: int) -> list[np.ndarray]:
    """Frames of one cycle, or of a boomerang's way there; one of them is the strongest."""
    recipe = recipes.load(name)
    track = recipe.track()
    length = (len(track) + 1) // 2 if recipe.loop == "boomerang" else len(track)
    chosen = np.linspace(0, length - 1, moments).round().astype(int)
    height = track.strongest()
    if height < length:
        chosen[np.abs(chosen - height).argmin()] = height
    frames = animator.animate(photo, track)
    return [frame for index, frame in enumerate(frames) if index in chosen]


def main() -> None:
    """Write one JPEG a recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--recipes", default=",".join(recipes.names()))
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--moments", type=int, default=6)
    wanted = parser.parse_args()
    animator = memegen.Animator()
    photos = [head_and_shoulders(animator, read_photo(p), wanted.side) for p in wanted.photos]
    wanted.out.mkdir(parents=True, exist_ok=True)
    for name in wanted.recipes.split(","):
        rows = [row(animator, photo, name, wanted.moments) for photo in photos]
        sheet = np.concatenate([np.concatenate(frames, 1) for frames in rows], 0)
        image = Image.fromarray(sheet)
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
        image.save(wanted.out / f"{name}.jpg", quality=82, optimize=True)
        print(wanted.out / f"{name}.jpg")


if __name__ == "__main__":
    main()
