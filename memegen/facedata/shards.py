"""Face-data shards: zip files of aligned crops beside one `labels.npz`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from memegen.arrays import Array, Integers, Mask, Picture
from memegen.errors import UsageError


@dataclass(frozen=True)
class FaceLabels:
    """What is known of N crops, row by row."""

    ids: npt.NDArray[np.str_]  # (N,) "celeba/00000"
    is_val: Mask  # (N,)
    identity: Integers  # (N,) person number, -1 unknown
    kind: npt.NDArray[np.str_]  # (N,) of large crops: grey, web, official, generated, free; else ""
    landmarks: Array  # (N, 478, 3) crop units
    scores: dict[str, Array]  # blendshape name -> (N,) 0..1
    rotation: Array  # (N, 3, 3) head rotation, face axes
    attributes: dict[str, npt.NDArray[np.int8]]  # name -> (N,) 1, 0, -1 unknown
    landmark_mean: Array  # (478, 3)
    landmark_components: Array  # (C, 478, 3), scaled so that codes have unit variance

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def source(self) -> npt.NDArray[np.str_]:
        """(N,) the shard family each crop comes from."""
        return np.array([i.split("/")[0] for i in self.ids])

    def take(self, rows: Mask | Integers) -> FaceLabels:
        """The same labels for some rows only."""
        return FaceLabels(
            self.ids[rows],
            self.is_val[rows],
            self.identity[rows],
            self.kind[rows],
            self.landmarks[rows],
            {name: score[rows] for name, score in self.scores.items()},
            self.rotation[rows],
            {name: value[rows] for name, value in self.attributes.items()},
            self.landmark_mean,
            self.landmark_components,
        )


def is_shards(folder: Path) -> bool:
    """Whether a folder holds shards and their labels."""
    return (folder / "labels.npz").is_file()


def load_labels(folder: Path) -> FaceLabels:
    """Read `labels.npz` of a shard folder. Raises UsageError if it is not there or not one."""
    path = folder / "labels.npz"
    try:
        with np.load(path, allow_pickle=False) as data:
            raw = {name: data[name] for name in data.files}
        codes = raw["landmark_code"].astype(np.float32) * raw["landmark_scale"]
        components = raw["landmark_components"].astype(np.float32)
        landmarks = raw["landmark_mean"] + np.tensordot(codes, components, 1)
        scores = raw["scores"].astype(np.float32).T / 255
        spread = codes.std(0)
        return FaceLabels(
            raw["id"],
            raw["split"] == "val",
            raw["identity"],
            raw.get("hires_kind", np.full(len(raw["id"]), "")),
            landmarks.astype(np.float32),
            {str(name): column for name, column in zip(raw["score_names"], scores, strict=True)},
            raw["pose"][:, :3, :3],
            {str(n): c for n, c in zip(raw["attribute_names"], raw["attributes"].T, strict=True)},
            raw["landmark_mean"],
            components * spread[:, None, None],
        )
    except FileNotFoundError:
        raise UsageError(f"{folder}: no labels.npz in this folder") from None
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: not a face-data label file ({error})") from None


def load_attribute(folder: Path, name: str) -> dict[str, int]:
    """An attribute of crops by id: 1 or 0; those of which it is not known, or all, are left out.

    Raises UsageError as `load_labels` does.
    """
    path = folder / "labels.npz"
    try:
        with np.load(path, allow_pickle=False) as data:
            names = [str(n) for n in data["attribute_names"]]
            values = data["attributes"][:, names.index(name)] if name in names else ()
            return {str(i): int(v) for i, v in zip(data["id"], values, strict=False) if v >= 0}
    except FileNotFoundError:
        raise UsageError(f"{folder}: no labels.npz in this folder") from None
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: not a face-data label file ({error})") from None


def read_jpegs(data: Path, labels: FaceLabels) -> list[bytes]:
    """The compressed crops of all labelled ids, in order. Raises UsageError if one is missing."""
    found: dict[str, bytes] = {}
    wanted = {f"{crop_id}.jpg" for crop_id in labels.ids}
    for path in sorted(data.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            found |= {n: archive.read(n) for n in archive.namelist() if n in wanted}
    _refuse_missing(data, [name for name in sorted(wanted) if name not in found])
    return [found[f"{crop_id}.jpg"] for crop_id in labels.ids]


def read_crops(folder: Path, ids: npt.NDArray[np.str_], size: int) -> Picture:
    """(N, size, size, 3) crops of the named ids, resized where the shard holds another size."""
    archives = {name: path for path in sorted(folder.glob("*.zip")) for name in _names(path)}
    wanted = [f"{crop_id}.jpg" for crop_id in ids]
    _refuse_missing(folder, [name for name in wanted if name not in archives])
    crops = np.empty((len(ids), size, size, 3), np.uint8)
    rows_of: dict[Path, list[int]] = {}
    for row, name in enumerate(wanted):
        rows_of.setdefault(archives[name], []).append(row)
    for path, rows in rows_of.items():
        with zipfile.ZipFile(path) as archive:
            for row in rows:
                crops[row] = _decode(archive.read(wanted[row]), size)
    return crops


def _refuse_missing(folder: Path, names: list[str]) -> None:
    if names:
        raise UsageError(f"{folder}: {len(names)} labelled crops in no shard, first {names[0]}")


def _names(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        yield from archive.namelist()


def _decode(data: bytes, size: int) -> Picture:
    with Image.open(io.BytesIO(data)) as image:
        picture = image.convert("RGB")
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(picture)
