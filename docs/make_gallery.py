"""Draw the pictures of README and docs/gallery, from the photos in examples/.

python docs/make_gallery.py OUT PHOTO... [--recipes smile,wink] [--side 360] [--moments 3]

OUT/NAME.webp: one sheet a recipe, a row a face: the photo, then the moments that differ most.
OUT/strongest.webp: the strongest moment of each of STRONGEST, each on the next face.
OUT/hero.webp: every face plays another recipe of HERO, side by side.
OUT/README.md: the list of all sheets. With --recipes, sheets are all that is drawn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import memegen
from memegen import aus, models, recipes
from memegen.arrays import Array, Integers, Picture
from memegen.evaluation.subjects import subject_of
from memegen.frames import Frames
from memegen.media.provenance import xmp_packet
from memegen.photo import Photo, read_photo
from memegen.recipes import Recipe
from memegen.tracks import Track

SIDE = 360  # pixels of a cell: a face of some 300 px from hair to chin
MARGIN = 1.06  # width of a cell in aligned crops: a chin that drops in a scream stays inside
MOMENTS = 3  # of a recipe, beside the photo
QUALITY = 68  # WebP, of sheets: 40 recipes and three faces in 6 MB

STRONGEST = ("yawn", "wink", "rage", "laugh", "surprise", "sad", "cry", "fear", "grin")
COLUMNS = 3  # of the sheet of STRONGEST
LABEL = 0.075  # height of a recipe's name, in cells

HERO = ("scream", "smile", "laugh")  # played by the photos in turn
HERO_SIDE, HERO_FPS, HERO_SECONDS = 320, 12.5, 3.2  # pixels of a cell; frames a second; one cycle
HERO_REST, HERO_EASE = 0.3, 0.4  # seconds: the photo as it is, and on the way from and to it
HERO_BYTES = 1_500_000

COMMENT = "made with memegen, recipes of its gallery"  # in the metadata of every picture


@dataclass(frozen=True)
class Sheet:
    """What is shown of one recipe."""

    recipe: Recipe
    track: Track  # the moments
    strongest: int  # one of them


def strength(track: Track) -> Array:
    """(T,) sum of the changes that each frame makes to a face without expression, 0.."""
    return np.abs(_on_neutral(track)).sum(1)


def _on_neutral(track: Track) -> Array:
    return track.resolve(np.zeros(len(aus.CHANNELS), np.float32))


def moments(recipe: Recipe, count: int) -> Integers:
    """At most `count` frames of a recipe, in order, that differ most from rest and each other.

    The strongest is one of them. Of a boomerang only the way there is looked at.
    """
    shown = _on_neutral(recipe.track())
    if recipe.loop == "boomerang":
        shown = shown[: len(shown) // 2 + 1]
    nearest = np.abs(shown).sum(1)  # of each frame, to the nearest of the chosen ones and rest
    chosen: list[int] = []
    while len(chosen) < count and nearest.max() > 0:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.abs(shown - shown[chosen[-1]]).sum(1))
    return np.sort(np.array(chosen, int))


def sheet_of(recipe: Recipe, count: int) -> Sheet:
    """The moments of a recipe."""
    whole, rows = recipe.track(), moments(recipe, count)
    track = replace(whole, keep=whole.keep[rows], add=whole.add[rows])
    return Sheet(recipe, track, int(strength(track).argmax()))


def hero_track(recipe: Recipe) -> Track:
    """One cycle of HERO_SECONDS: whole cycles of a recipe, faded from the photo and back to it."""
    cycles = max(1, round(HERO_SECONDS / recipe.track().duration))
    track = recipe.track(HERO_FPS, HERO_SECONDS / cycles)
    length = round(HERO_SECONDS * HERO_FPS)
    rows = track.rows_over(length)
    seconds = np.arange(length) / HERO_FPS
    to_end = np.minimum(seconds, HERO_SECONDS - seconds)
    share = np.clip((to_end - HERO_REST / 2) / HERO_EASE, 0, 1)
    share = (share * share * (3 - 2 * share))[:, None].astype(np.float32)
    return replace(track, keep=1 + share * (track.keep[rows] - 1), add=share * track.add[rows])


def frames_of(
    animator: memegen.Animator, photo: Photo, tracks: Sequence[Track]
) -> list[list[Picture]]:
    """For every track its frames on a photo, whose face is prepared once for all of them."""
    keep = np.concatenate([track.keep for track in tracks])
    add = np.concatenate([track.add for track in tracks])
    joined = Track(keep, add, tracks[0].fps, loops=False, name="gallery")
    frames = iter(animator.animate(photo, joined))
    return [[next(frames) for _ in range(len(track))] for track in tracks]


def titled(cell: Picture, title: str) -> Picture:
    """A cell with a name in its lower left corner."""
    image, size = Image.fromarray(cell), LABEL * len(cell)
    ImageDraw.Draw(image).text(
        (size / 2, len(cell) - size / 2), title, "white", ImageFont.load_default(size),
        anchor="ls", stroke_width=2, stroke_fill="black",
    )  # fmt: skip
    return np.asarray(image)


def grid(cells: Sequence[Picture], columns: int) -> Picture:
    """Cells of one size in rows; what does not fill a row is left out."""
    rows = range(0, len(cells) - columns + 1, columns)
    return np.concatenate([np.concatenate(cells[row : row + columns], 1) for row in rows])


def save(picture: Picture, path: Path) -> None:
    """Write a sheet."""
    Image.fromarray(picture).save(path, quality=QUALITY, method=6, xmp=xmp_packet(COMMENT))


def write_sheets(
    out: Path,
    photos: Sequence[Photo],
    played: Sequence[list[list[Picture]]],
    sheets: list[Sheet],
) -> None:
    """One WebP a recipe. played: photo by photo, recipe by recipe, the moments."""
    for number, sheet in enumerate(sheets):
        rows = [[p.rgb, *face[number]] for p, face in zip(photos, played, strict=True)]
        cells = [cell for row in rows for cell in row]
        save(grid(cells, len(rows[0])), out / f"{sheet.recipe.name}.webp")


def write_strongest(out: Path, strongest: Sequence[Mapping[str, Picture]]) -> None:
    """One picture of STRONGEST, each on the next face. strongest: face by face, by recipe."""
    cells = []
    for number, name in enumerate(STRONGEST):
        face = strongest[(number + number // COLUMNS) % len(strongest)]
        cells.append(titled(face[name], name))
    save(grid(cells, COLUMNS), out / "strongest.webp")


def write_hero(animator: memegen.Animator, photos: Sequence[Photo], path: Path) -> None:
    """The photos play HERO side by side, as an animated WebP of at most HERO_BYTES."""
    tracks = [hero_track(recipes.load(name)) for name in HERO]
    chosen = [photos[number % len(photos)] for number in range(len(HERO))]
    small = [photo.resized(HERO_SIDE, HERO_SIDE) for photo in chosen]
    cells = [frames_of(animator, p, [track])[0] for p, track in zip(small, tracks, strict=True)]
    pictures = [np.concatenate(row, 1) for row in zip(*cells, strict=True)]
    size = (HERO_SIDE * len(HERO), HERO_SIDE)
    frames = Frames(iter(pictures), len(pictures), size, HERO_FPS, True, COMMENT)
    memegen.write(frames, path, max_size=HERO_BYTES)


def write_list(out: Path, sheets: Sequence[Sheet]) -> None:
    """README.md, which shows every sheet under its recipe's name and description."""
    lines = ["# Recipes", "", "Photo, then moments of each recipe. Drawn by `make gallery`.", ""]
    for sheet in sheets:
        name = sheet.recipe.name
        lines += [
            f"## {name}",
            "",
            f"{sheet.recipe.description}.",
            "",
            f"![{name}]({name}.webp)",
            "",
        ]
    (out / "README.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def main() -> None:
    """Write all pictures, and say how long it took and how large they are."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--recipes", help="some of the recipes, with commas between: only sheets")
    parser.add_argument("--model", default=models.DEFAULT)
    parser.add_argument("--side", type=int, default=SIDE, help="pixels of a cell")
    parser.add_argument("--moments", type=int, default=MOMENTS, help="of a recipe")
    wanted = parser.parse_args()
    start = time.perf_counter()
    animator = memegen.Animator(wanted.model)
    names = wanted.recipes.split(",") if wanted.recipes else recipes.names()
    sheets = [sheet_of(recipes.load(name), wanted.moments) for name in names]
    photos = [
        subject_of(animator, read_photo(path), wanted.side, MARGIN).photo for path in wanted.photos
    ]
    played = [frames_of(animator, photo, [sheet.track for sheet in sheets]) for photo in photos]
    wanted.out.mkdir(parents=True, exist_ok=True)
    write_sheets(wanted.out, photos, played, sheets)
    if not wanted.recipes:
        strongest = [
            {s.recipe.name: frames[s.strongest] for s, frames in zip(sheets, face, strict=True)}
            for face in played
        ]
        write_strongest(wanted.out, strongest)
        write_hero(animator, photos, wanted.out / "hero.webp")
        write_list(wanted.out, sheets)
    size = sum(path.stat().st_size for path in wanted.out.iterdir()) / 1e6
    seconds = time.perf_counter() - start
    print(
        f"{wanted.out}: {len(sheets)} recipes, {len(photos)} faces, {size:.1f} MB, {seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
