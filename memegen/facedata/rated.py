"""Pictures of faces with OpenFace's 17 action units, for networks that know no landmarks.

Read are shards, photos (which perception rates), and pictures that somebody else rated: tables of
OpenFace, and the folders that the public GANimation codes train on.
"""

from __future__ import annotations

import csv
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from memegen import aus
from memegen.arrays import Array, Picture
from memegen.errors import MemegenError, UsageError
from memegen.facedata.dataset import FaceDataset
from memegen.facedata.photos import FEWEST, held_out_of, label, pictures_under
from memegen.facedata.shards import is_shards
from memegen.photo import picture_suffixes

SMALLEST = 32  # pixels
UNITS = len(aus.OPENFACE)
_COLUMNS = tuple(f"AU{au.number:02d}_r" for au in aus.OPENFACE)
_FILE_COLUMNS = ("file", "filename", "name", "image")

Rows = dict[str, Array]  # name of a picture -> its intensities, 0..5


@dataclass(frozen=True)
class RatedPictures:
    """Pictures, compressed, and what their faces do."""

    names: list[str]
    files: list[bytes | Path]  # each a picture, or where it is
    units: Array  # (N, 17) 0..1

    def __len__(self) -> int:
        return len(self.files)

    def picture(self, row: int, size: int) -> Picture:
        """(size, size, 3) one of them. Raises MemegenError if it cannot be read."""
        found = self.files[row]
        try:
            with Image.open(io.BytesIO(found) if isinstance(found, bytes) else found) as image:
                image.draft("RGB", (size, size))  # JPEGs are decoded near the size asked for
                rgb = image.convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:
            raise MemegenError(f"{self.names[row]}: cannot be read ({error})") from None
        if rgb.size != (size, size):
            rgb = rgb.resize((size, size), Image.Resampling.LANCZOS)
        return np.asarray(rgb)


class Rated(NamedTuple):
    """What a folder holds, apart."""

    train: RatedPictures
    held_out: RatedPictures


def load_rated(data: Path, say: Callable[[str], None] = lambda line: None) -> Rated:
    """Training and held-out pictures of any folder that is understood.

    `say` is told which pictures are of no use, and why. Raises UsageError or MemegenError where
    there is nothing to learn from.
    """
    if is_shards(data):
        return _of_shards(data)
    found = _rated_elsewhere(data)
    return _of_photos(data, say) if found is None else _usable(data, found, say)


def _usable(data: Path, rated: _Ratings, say: Callable[[str], None]) -> Rated:
    """Those of the rated pictures that can be learnt from."""
    wanted = rated.train | rated.held_out
    usable: dict[str, bytes | Path] = {}
    reasons = {name: _reason_against(path) for name, path in wanted.items()}
    if rated.from_tables and any(reason and "square" in reason for reason in reasons.values()):
        usable, reasons = _cut_out(data, wanted)  # photos as they are, not crops of faces
    for name, path in wanted.items():
        if reasons[name] is None:
            usable.setdefault(name, path)
        else:
            say(f"{path.name}: left out, {reasons[name]}")
    parts = []
    for listed, fewest in ((rated.train, FEWEST), (rated.held_out, 1)):
        names = [name for name in listed if name in usable]
        if len(names) < fewest:
            raise MemegenError(
                f"{data}: {len(names)} usable pictures are too few to learn from, of {len(listed)}"
            )
        units = np.stack([rated.rows[name] for name in names]) / aus.MAX_INTENSITY
        files = [usable[name] for name in names]
        parts.append(RatedPictures(names, files, np.clip(units, 0, 1).astype(np.float32)))
    return Rated(*parts)


def _cut_out(
    data: Path, wanted: dict[str, Path]
) -> tuple[dict[str, bytes | Path], dict[str, str | None]]:
    """Aligned crops of rated photos by name, and why others have none."""
    found = label(data)
    crops = {data / face.name: face.jpeg for face in found.faces}
    bad = {data / name: reason for name, reason in found.bad.items()}
    usable: dict[str, bytes | Path] = {n: crops[p] for n, p in wanted.items() if p in crops}
    return usable, {name: bad.get(path) for name, path in wanted.items()}


def _of_shards(data: Path) -> Rated:
    faces = FaceDataset.load(data)
    units = aus.to_openface(faces.units) / aus.MAX_INTENSITY
    parts = []
    for val in (False, True):
        rows = np.flatnonzero(faces.split(val))
        names = [str(i) for i in faces.labels.ids[rows]]
        parts.append(RatedPictures(names, [*faces.jpegs(rows)], units[rows].astype(np.float32)))
    return Rated(*parts)


def _of_photos(data: Path, say: Callable[[str], None]) -> Rated:
    found = label(data)
    for name, reason in found.bad.items():
        say(f"{name}: left out, {reason}")
    if len(found.faces) < FEWEST:
        raise MemegenError(
            f"{data}: {len(found.faces)} usable faces are too few to learn from, "
            f"{FEWEST} are the least"
        )
    held = held_out_of([face.jpeg for face in found.faces])
    units = aus.to_openface(np.stack([face.units for face in found.faces])) / aus.MAX_INTENSITY
    parts = []
    for apart in (False, True):
        rows = [row for row, h in enumerate(held) if h == apart]
        faces = [found.faces[row] for row in rows]
        names, files = [face.name for face in faces], [face.jpeg for face in faces]
        parts.append(RatedPictures(names, [*files], units[rows].astype(np.float32)))
    return Rated(*parts)


class _Ratings(NamedTuple):
    """Ratings by somebody else, and where their pictures are."""

    rows: Rows
    train: dict[str, Path]
    held_out: dict[str, Path]
    from_tables: bool  # of OpenFace, which rates photos as they are; else crops of faces


def _rated_elsewhere(data: Path) -> _Ratings | None:
    """Ratings that lie beside pictures, None where there are none."""
    if not data.is_dir():
        return None
    if (data / "imgs").is_dir() and (data / "aus_openface.pkl").is_file():
        return _pickled(data)
    for path in sorted(data.glob("*.txt")):
        rows = _listed(path)
        if rows:
            return _Ratings(rows, *_split_by_content(data, rows, path), from_tables=False)
    rows = _tables(data)
    if not rows:
        return None
    return _Ratings(rows, *_split_by_content(data, rows, data), from_tables=True)


def _pickled(data: Path) -> _Ratings:
    """`imgs/`, `aus_openface.pkl` and `train_ids.csv`, `test_ids.csv`."""
    rows = read_ratings(data / "aus_openface.pkl")
    found: list[dict[str, Path]] = []
    for ids in ("train_ids.csv", "test_ids.csv"):
        path = data / ids
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise UsageError(f"{data}: no {ids} beside aus_openface.pkl") from None
        except (OSError, UnicodeDecodeError) as error:
            raise MemegenError(f"{path}: not a list of pictures ({error})") from None
        names = [line.strip().strip('"') for line in lines if line.strip()]
        found.append({Path(name).stem: data / "imgs" / _file_name(name) for name in names})
        unrated = next((name for name in found[-1] if name not in rows), None)
        if unrated is not None:
            raise MemegenError(f"{path}: '{unrated}' is not rated in aus_openface.pkl")
    train, held_out = found
    return _Ratings(rows, train, held_out, from_tables=False)


def _file_name(name: str) -> str:
    """A listed picture inside its folder, whatever path the list gives; JPEG unless it says."""
    plain = Path(name).name
    return plain if Path(plain).suffix else f"{plain}.jpg"


def _listed(path: Path) -> Rows:
    """Lines `name.jpg v1 .. v17`; nothing if the file is another text."""
    known = picture_suffixes()
    rows: Rows = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return rows
    for number, line in enumerate(lines, 1):
        name, *values = line.split() or [""]
        if Path(name).suffix.lower() not in known:
            continue  # a headline, or no such list
        rows[name] = _numbers(values, f"{path}: line {number}")
    return rows


def _tables(data: Path) -> Rows:
    """OpenFace's CSV: one for all pictures, by name or in order, or one beside each picture."""
    rows: Rows = {}
    pictures: list[str] | None = None  # searched for once, if at all
    for path in sorted(data.glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file) if line]
        if len(lines) < 2 or not any(name.endswith("_r") for name in lines[0]):
            continue
        missing = [name for name in _COLUMNS if name not in lines[0]]
        if missing:
            raise MemegenError(f"{path}: column {missing[0]} is missing")
        places = [lines[0].index(name) for name in _COLUMNS]
        named = next((lines[0].index(n) for n in _FILE_COLUMNS if n in lines[0]), None)
        if pictures is None:
            pictures = [str(p.relative_to(data)) for p in pictures_under(data)]
        beside = [name for name in pictures if Path(name).stem == path.stem]
        for number, line in enumerate(lines[1:]):
            if named is not None and named >= len(line):
                raise MemegenError(f"{path}: row {number + 2} names no picture")
            if named is not None:
                name = line[named]
            elif beside:
                name = beside[0]  # of several faces in one picture, the first
            elif len(lines) - 1 == len(pictures):
                name = pictures[number]
            else:
                raise MemegenError(
                    f"{path}: {len(lines) - 1} rows for {len(pictures)} pictures, "
                    f"and no column that names them ({', '.join(_FILE_COLUMNS)})"
                )
            values = [line[place] if place < len(line) else "" for place in places]
            rows.setdefault(name, _numbers(values, f"{path}: row {number + 2}"))
    return rows


def _numbers(values: list[str], where: str) -> Array:
    try:
        found = np.array([float(value) for value in values], np.float32)
    except ValueError:
        found = np.zeros(0, np.float32)
    if len(found) != UNITS or not np.isfinite(found).all():
        raise MemegenError(f"{where} does not hold {UNITS} action units")
    return found


def _split_by_content(
    data: Path, rows: Rows, where: Path
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Pictures to learn from and held out, in `imgs/`, `images/` or the folder itself."""
    places = [data, data / "imgs", data / "images"]
    paths = {}
    for name in rows:
        found = (place / name for place in places if (place / name).is_file())
        path = next(found, None)
        if path is None:
            raise MemegenError(f"{where}: there is no picture '{name}'")
        paths[name] = path
    held = held_out_of(path.read_bytes() for path in paths.values())
    apart: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
    for (name, path), out in zip(paths.items(), held, strict=True):
        apart[out][name] = path
    return apart


def _reason_against(path: Path) -> str | None:
    """Why a rated picture is of no use, None if it is."""
    try:
        with Image.open(path) as image:
            width, height = image.size
    except FileNotFoundError:
        return "there is no such picture"
    except (OSError, ValueError, SyntaxError):
        return "it is no picture, or a damaged one"
    if width != height:
        return f"{width}x{height} is not square"
    if width < SMALLEST:
        return f"{width} pixels are too few"
    return None


class _Plain(pickle.Unpickler):
    """Reads dictionaries of numbers and NumPy arrays, and refuses everything else."""

    _NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy", "numpy._core.numeric",
              "numpy.core.numeric")  # fmt: skip
    _ARRAY = ("_reconstruct", "scalar", "ndarray", "dtype", "_frombuffer")

    def find_class(self, module: str, name: str) -> Any:
        """Only what an array is made of."""
        if module in self._NUMPY and name in self._ARRAY:
            place = module.replace("numpy.core", "numpy._core")
            try:
                return super().find_class(place, name)
            except (ImportError, AttributeError):
                return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes for Python 2
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def read_ratings(path: Path) -> Rows:
    """A pickled dictionary of 17 intensities by picture. Nothing in the file is ever executed.

    Raises MemegenError if it is anything else.
    """
    try:
        with path.open("rb") as file:
            found = _Plain(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to say
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise MemegenError(f"{path}: not a table of plain numbers; refused ({reason})") from None
    if not isinstance(found, dict) or not found:
        raise MemegenError(f"{path}: holds no ratings by picture")
    rows = {}
    for name, value in found.items():
        try:
            values = [str(float(v)) for v in np.asarray(value, np.float64).reshape(-1)]
        except (TypeError, ValueError):
            values = []
        rows[Path(str(name)).stem] = _numbers(values, f"{path}: '{name}'")
    return rows
