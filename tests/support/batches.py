"""Small photos to make batches of, and what became of these."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from memegen import batch
from memegen.batch import manifest
from memegen.files import PREFIX
from support.paths import SAMPLE

SMALL = batch.Settings(size=48, fps=5, duration=0.6, model="mesh")


def face_photos(place: Path, count: int) -> list[str]:
    """Photos of 160 x 160 pixels of the sample's face, each turned another way, in a new folder."""
    place.mkdir(parents=True)
    with Image.open(SAMPLE) as image:
        small = image.convert("RGB").crop((110, 0, 390, 280)).resize((160, 160))
    paths = [place / f"face {number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        small.rotate(2 * number - count, Image.Resampling.BICUBIC).save(path)
    return [str(path) for path in paths]


def small_jobs(photos: Iterable[str], out: Path, recipes: tuple[str, ...]) -> list[batch.Job]:
    request = batch.Request(tuple(photos), recipes, out=f"{out}/", settings=SMALL)
    return batch.plan([request])


def contents(folder: Path) -> dict[str, bytes]:
    """The outputs of a folder, by name; fails if one is half-written or cannot be opened."""
    found = {}
    for path in sorted(folder.iterdir()):
        assert path.name == manifest.NAME or not path.name.startswith(PREFIX), path
        if path.name == manifest.NAME:
            continue
        with Image.open(path) as image:
            image.seek(getattr(image, "n_frames", 1) - 1)
            image.load()
        found[path.name] = path.read_bytes()
    return found


def times_noted(folder: Path) -> dict[str, int]:
    """How often the manifest notes each output as made."""
    times: dict[str, int] = {}
    for line in (folder / manifest.NAME).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        times[row["out"]] = times.get(row["out"], 0) + bool(row["fingerprint"])
    return times
