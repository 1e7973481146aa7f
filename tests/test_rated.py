"""Pictures with OpenFace's units: every layout that GANimation can be trained on."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.rated import COLUMNS, NAMES, RATINGS, listed, one_table_each, pickled, table
from support.shards import make_shards

from memegen.errors import MemegenError, UsageError
from memegen.facedata.rated import RatedPictures, load_rated, read_ratings
from memegen.geometry.anatomy import Anatomy


def everything(data: Path) -> dict[str, np.ndarray]:
    parts = load_rated(data)
    assert all(len(part) > 0 for part in parts)
    assert not set(parts[0].names) & set(parts[1].names)
    return {Path(n).stem: u for part in parts for n, u in zip(part.names, part.units, strict=True)}


@pytest.mark.parametrize("layout", ["pickle", "list", "named table", "table in order", "tables"])
def test_every_layout_says_the_same(layout: str, tmp_path: Path) -> None:
    make = {
        "pickle": pickled,
        "list": listed,
        "named table": lambda data: table(data, "file"),
        "table in order": lambda data: table(data, None),
        "tables": one_table_each,
    }[layout]
    found = everything(make(tmp_path / "data"))
    assert len(found) == len(NAMES)
    for name, rating in zip(NAMES, RATINGS, strict=True):
        assert np.allclose(found[Path(name).stem], rating / 5, atol=1e-6)


def test_a_split_that_is_given_is_kept(tmp_path: Path) -> None:
    data = pickled(tmp_path / "data")
    assert load_rated(data).train.names == [Path(name).stem for name in NAMES[:16]]
    assert load_rated(data).held_out.names == [Path(name).stem for name in NAMES[16:]]


def test_shards_are_rated_pictures_too(tmp_path: Path, anatomy: Anatomy, face: np.ndarray) -> None:
    data = make_shards(tmp_path / "data", anatomy, face)
    train, held_out = load_rated(data)
    assert (len(train), len(held_out)) == (18, 6)
    assert train.units.shape == (18, 17) and 0 < train.units.max() <= 1
    assert train.picture(3, 32).shape == (32, 32, 3)


def test_pictures_of_no_use_are_named(tmp_path: Path) -> None:
    data = pickled(tmp_path / "data")
    Image.new("RGB", (64, 48)).save(data / "imgs" / NAMES[0])
    Image.new("RGB", (96, 96)).save(data / "imgs" / NAMES[1])  # another size is scaled
    Image.new("RGB", (20, 20)).save(data / "imgs" / NAMES[2])
    (data / "imgs" / NAMES[3]).write_bytes(b"no picture")
    (data / "imgs" / NAMES[4]).unlink()
    said: list[str] = []
    found = load_rated(data, said.append).train
    assert len(found) == 12 and found.picture(0, 64).shape == (64, 64, 3)
    assert found.names[0] == Path(NAMES[1]).stem
    reasons = ["64x48 is not square", "20 pixels are too few", "is no picture", "no such picture"]
    assert all(reason in line for reason, line in zip(reasons, said, strict=True))


def test_bad_folders_are_one_line(tmp_path: Path) -> None:
    data = pickled(tmp_path / "unrated")
    (data / "train_ids.csv").write_text("p99.jpg\n")
    with pytest.raises(MemegenError, match=r"'p99' is not rated"):
        load_rated(data)
    (data / "train_ids.csv").unlink()
    with pytest.raises(UsageError, match=r"no train_ids.csv"):
        load_rated(data)

    data = table(tmp_path / "column", "file")
    path = data / "faces.csv"
    path.write_text(path.read_text().replace("AU12_r", "AU12_x"))
    with pytest.raises(MemegenError, match="column AU12_r is missing"):
        load_rated(data)
    path.write_text(f"file, {', '.join(COLUMNS)}\np00.jpg, {', '.join(['0'] * 16)}, much\n")
    with pytest.raises(MemegenError, match="row 2 does not hold 17 action units"):
        load_rated(data)
    path.write_text(f"{', '.join(COLUMNS)}\n{', '.join(['0'] * 17)}\n")
    with pytest.raises(MemegenError, match="1 rows for 20 pictures"):
        load_rated(data)

    data = listed(tmp_path / "short")
    (data / "aus.txt").write_text("p00.jpg 1 2 3\n")
    with pytest.raises(MemegenError, match="line 1 does not hold 17 action units"):
        load_rated(data)
    (data / "aus.txt").write_text(f"missing.jpg {'0 ' * 17}\n")
    with pytest.raises(MemegenError, match=r"no picture 'missing.jpg'"):
        load_rated(data)
    (data / "aus.txt").write_text("\n".join(f"{name} {'0 ' * 17}" for name in NAMES[:5]))
    with pytest.raises(MemegenError, match="too few to learn from"):
        load_rated(data)


class Hostile:
    """Opens a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_a_hostile_pickle_executes_nothing(tmp_path: Path) -> None:
    path, touched = tmp_path / "aus_openface.pkl", tmp_path / "touched"
    path.write_bytes(pickle.dumps({"a": Hostile(touched)}))
    with pytest.raises(MemegenError, match=r"refused \(.*open is not allowed\)"):
        read_ratings(path)
    assert not touched.exists()
    for content in (b"", b"words", pickle.dumps([1, 2]), pickle.dumps({"a": "b"})):
        path.write_bytes(content)
        with pytest.raises(MemegenError):
            read_ratings(path)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_pickles_of_any_age_are_read(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "aus_openface.pkl"
    values = {"a": RATINGS[0], "b": RATINGS[1].astype(np.float64), "c": [*map(float, RATINGS[2])]}
    path.write_bytes(pickle.dumps(values, protocol=protocol))
    found = read_ratings(path)
    assert all(np.allclose(found[n], RATINGS[i], atol=1e-5) for i, n in enumerate("abc"))


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8 and no more")
    pictures = RatedPictures(["broken"], [path], np.zeros((1, 17), np.float32))
    with pytest.raises(MemegenError, match="broken: cannot be read"):
        pictures.picture(0, 32)
