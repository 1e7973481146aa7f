"""Pictures with OpenFace's ratings, in the layouts that GANimation can be trained on."""

import pickle
from pathlib import Path

import numpy as np
from PIL import Image

from memegen import aus

NAMES = [f"p{i:02d}.jpg" for i in range(20)]
RATINGS = np.round(np.random.default_rng(5).uniform(0, 5, (len(NAMES), 17)), 2).astype(np.float32)
COLUMNS = [f"AU{au.number:02d}_r" for au in aus.OPENFACE]


def draw_pictures(folder: Path, size: tuple[int, int] = (64, 64)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for name in NAMES:
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(folder / name)
    return folder


def pickled(data: Path) -> Path:
    draw_pictures(data / "imgs")
    ratings = {Path(n).stem: r for n, r in zip(NAMES, RATINGS, strict=True)}
    (data / "aus_openface.pkl").write_bytes(pickle.dumps(ratings, protocol=2))
    (data / "train_ids.csv").write_text("\n".join(NAMES[:16]) + "\n")
    (data / "test_ids.csv").write_text("\n".join(NAMES[16:]) + "\n")
    return data


def listed(data: Path) -> Path:
    draw_pictures(data / "images")
    lines = [f"{n} {' '.join(map(str, r))}" for n, r in zip(NAMES, RATINGS, strict=True)]
    (data / "aus.txt").write_text("\n".join(["20", "name AU01 AU02", *lines]))
    return data


def table(data: Path, name_column: str | None) -> Path:
    draw_pictures(data)
    head = [*([name_column] if name_column else []), "frame", *COLUMNS]
    rows = [", ".join(head)]
    for number, (name, rating) in enumerate(zip(NAMES, RATINGS, strict=True), 1):
        rows.append(", ".join([*([name] if name_column else []), str(number), *map(str, rating)]))
    (data / "faces.csv").write_text("\n".join(rows))
    return data


def one_table_each(data: Path) -> Path:
    draw_pictures(data)
    for name, rating in zip(NAMES, RATINGS, strict=True):
        rows = [", ".join(["face", *COLUMNS]), ", ".join(["0", *map(str, rating)])]
        (data / f"{Path(name).stem}.csv").write_text("\n".join(rows))
    return data
