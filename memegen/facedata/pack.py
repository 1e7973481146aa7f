"""A small folder of shards made of a large one: `python -m memegen.facedata.pack DATA OUT`.

For machines that a hundred megabytes do not reach: the most telling crops of each family, smaller
and compressed to a size that is asked for, with the labels of these alone.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from memegen import aus
from memegen.arrays import Array, Integers
from memegen.errors import MemegenError, UsageError
from memegen.facedata.dataset import FaceDataset
from memegen.facedata.labels import rarity
from memegen.files import written_whole

EXPRESSIVE = 0.6  # share of a family that is chosen for what it shows; then people seen twice
QUALITIES = (30, 95)  # least and highest of Pillow's WebP
SAMPLED = 150  # crops of a size that say how large all will be
ZIPPED = 30_000_000  # bytes of one zip file
PER_FILE = 150  # bytes that a zip file takes for a crop's name
NO_ROWS = (  # arrays of labels.npz that do not go by rows
    "landmark_mean", "landmark_components", "landmark_scale", "score_names", "attribute_names",
)  # fmt: skip
HEAD_AND_GAZE = tuple(f"AU{number}" for number in range(51, 65))  # no expressions


@dataclass(frozen=True)
class PackSettings:
    """What a pack holds. Families are "celeba", or "hires.grey" with the kind of large crops."""

    take: Mapping[str, int] = field(
        default_factory=lambda: {
            "celeba": 7000, "utk": 2200, "congress": 814,
            "hires.grey": 450, "hires.web": 450, "hires.official": 120,
            "hires.generated": 120, "hires.free": 60,
        }
    )  # fmt: skip
    size: int = 128  # pixels
    large: int = 256  # pixels of the family `hires`
    megabytes: float = 34.0  # of everything


def pack(data: Path, out: Path, settings: PackSettings, say: Callable[[str], None] = print) -> Path:
    """Write `out/`, a shard folder as `data` is one; crops are WebP under their old names.

    Raises UsageError where `data` is none or has no such families, MemegenError where the crops do
    not fit at the worst quality.
    """
    faces = FaceDataset.load(data)
    rows = np.sort(np.concatenate([
        chosen(faces, family, count) for family, count in settings.take.items()
    ]))  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.zip"):
        old.unlink()
    _write_labels(data / "labels.npz", out / "labels.npz", rows)
    for path in data.glob("basis.npz"):
        shutil.copyfile(path, out / path.name)
    left = settings.megabytes * 1e6 - sum(path.stat().st_size for path in out.glob("*.npz"))
    source = faces.labels.source[rows]
    sizes = np.where(source == "hires", settings.large, settings.size)
    jpegs = faces.jpegs(rows)
    quality = fitting_quality(jpegs, sizes, left)
    files = [compressed(*each, quality) for each in zip(jpegs, sizes, strict=True)]
    for family in np.unique(source):
        of_family = np.flatnonzero(source == family)
        names = [f"{crop_id}.jpg" for crop_id in faces.labels.ids[rows[of_family]]]
        _write_zips(out, str(family), names, [files[row] for row in of_family])
    say(f"{len(rows)} crops, quality {quality}")
    return out


def chosen(faces: FaceDataset, family: str, count: int) -> Integers:
    """Rows of a family, as many of each split as it has there; all if there are fewer.

    First those that show most, then other pictures of the same people, the calmest first: pairs of
    one person. Raises UsageError for an unknown family.
    """
    source, _, kind = family.partition(".")
    within = faces.of_sources([source])
    if kind:
        within &= faces.labels.kind == kind
    if not within.any():
        raise UsageError(f"{faces.path}: no crops of the family '{family}'")
    share = min(1.0, count / within.sum())
    parts = []
    for val in (False, True):
        rows = np.flatnonzero(within & faces.split(val))
        parts.append(_choose(faces, rows, round(share * len(rows))))
    return np.concatenate(parts)


def _choose(faces: FaceDataset, rows: Integers, count: int) -> Integers:
    effort = shown(faces.units[rows])
    order = np.argsort(-effort, kind="stable")
    first = order[: round(EXPRESSIVE * count)]
    rest = order[len(first) :]
    person = faces.labels.identity[rows]
    again = np.isin(person[rest], person[first][person[first] >= 0])
    ordered = np.concatenate([first, rest[again][::-1], rest[~again]])
    return np.asarray(rows[ordered[:count]])


def shown(units: Array) -> Array:
    """(N,) how much an expression (N, K) shows: all of it, and more for what is rare."""
    face = [i for i, c in enumerate(aus.CHANNELS) if c.rstrip("LR") not in HEAD_AND_GAZE]
    return np.asarray(units[:, face].sum(1) + 0.15 * rarity(units[:, face]))


def fitting_quality(jpegs: Sequence[bytes], sizes: Integers, most: float) -> int:
    """The highest quality at which crops of such sizes fit into so many bytes, by a sample.

    Raises MemegenError if none does.
    """
    random = np.random.default_rng(0)
    sampled = {
        int(size): random.permutation(np.flatnonzero(sizes == size))[:SAMPLED]
        for size in np.unique(sizes)
    }

    def total(quality: int) -> float:
        found = 0.0
        for size, rows in sampled.items():
            mean = np.mean([len(compressed(jpegs[row], size, quality)) for row in rows])
            found += float((sizes == size).sum() * (mean + PER_FILE))
        return found

    low, high = QUALITIES
    if total(low) > most:
        raise MemegenError(f"{len(jpegs)} crops do not fit into {most / 1e6:.1f} MB; take fewer")
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if total(middle) <= most else (low, middle - 1)
    return low


def compressed(jpeg: bytes, size: int, quality: int) -> bytes:
    """A crop as WebP: at 128 pixels 2 dB better than a JPEG of as many bytes."""
    with Image.open(io.BytesIO(jpeg)) as image:
        picture = image.convert("RGB")
    if picture.width > size:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=quality, method=6)
    return packed.getvalue()


def _write_labels(source: Path, path: Path, rows: Integers) -> None:
    """The labels of some rows; what is no list of rows stays as it is."""
    with np.load(source, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    count = len(arrays["id"])
    kept = {
        name: array[rows] if name not in NO_ROWS and len(array) == count else array
        for name, array in arrays.items()
    }
    with written_whole(path) as partial, Path(partial).open("wb") as file:
        np.savez_compressed(file, **kept)


def _write_zips(out: Path, family: str, names: Sequence[str], files: Sequence[bytes]) -> None:
    archive, number, written = None, 0, 0
    for name, data in zip(names, files, strict=True):
        if archive is None or written + len(data) > ZIPPED:
            if archive is not None:
                archive.close()
            archive = zipfile.ZipFile(out / f"{family}-{number:02d}.zip", "w")
            number, written = number + 1, 0
        archive.writestr(name, data)
        written += len(data) + PER_FILE
    if archive is not None:
        archive.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="memegen.facedata.pack", description=pack.__doc__)
    parser.add_argument("data", type=Path, help="folder of shards")
    parser.add_argument("out", type=Path, help="folder to write")
    usual = PackSettings()
    parser.add_argument("--size", type=int, default=usual.size, help="pixels of crops")
    parser.add_argument("--large", type=int, default=usual.large, help="pixels of `hires`")
    parser.add_argument("--megabytes", type=float, default=usual.megabytes, help="of everything")
    about = "FAMILY=COUNT, for example celeba=7000 or hires.grey=450; again for others"
    parser.add_argument("--take", action="append", metavar="FAMILY=COUNT", help=about)
    given = parser.parse_args(arguments)
    try:
        take = {name: int(count) for name, _, count in (t.partition("=") for t in given.take or [])}
    except ValueError:
        parser.error("--take: " + about)
    settings = PackSettings(take or usual.take, given.size, given.large, given.megabytes)
    try:
        pack(given.data, given.out, settings)
    except (UsageError, MemegenError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
