"""A small shard folder of a large one: what is chosen, how large it is, that it is one."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.shards import make_shards

from memegen import aus
from memegen.errors import MemegenError, UsageError
from memegen.facedata.dataset import FaceDataset
from memegen.facedata.pack import PER_FILE, PackSettings, chosen, main, pack, shown
from memegen.facedata.rated import load_rated
from memegen.geometry.anatomy import Anatomy


@pytest.fixture
def data(tmp_path: Path, anatomy: Anatomy, face: np.ndarray) -> Path:
    return make_shards(tmp_path / "data", anatomy, face, 40)


def test_a_pack_is_a_shard_folder_of_the_size_asked_for(data: Path, tmp_path: Path) -> None:
    settings = PackSettings({"celeba": 20}, size=32, megabytes=0.5)
    out = pack(data, tmp_path / "pack", settings, lambda _: None)
    assert sum(path.stat().st_size for path in out.iterdir()) <= 0.5e6
    whole, small = FaceDataset.load(data), FaceDataset.load(out)
    assert len(small) == 20 and small.labels.is_val.sum() == 5
    rows = [list(whole.labels.ids).index(name) for name in small.labels.ids]
    assert rows == sorted(rows)
    assert np.allclose(small.labels.landmarks, whole.labels.landmarks[rows])
    assert (small.labels.identity == whole.labels.identity[rows]).all()
    for jpeg in small.jpegs(np.arange(3)):
        with Image.open(io.BytesIO(jpeg)) as image:
            assert image.size == (32, 32)
    assert load_rated(out).train.picture(0, 32).shape == (32, 32, 3)
    noisy = sum(len(jpeg) + PER_FILE for jpeg in small.jpegs(np.arange(20)))
    smaller = PackSettings({"celeba": 20}, size=16, megabytes=0.5 - noisy / 2e6)
    again = pack(data, out, smaller, lambda _: None)  # in place of the first
    assert sum(len(jpeg) for jpeg in FaceDataset.load(again).jpegs(np.arange(20))) < noisy / 2


def test_the_strongest_are_chosen_then_their_calm_pictures(data: Path) -> None:
    faces = FaceDataset.load(data)
    train = np.flatnonzero(faces.split(val=False))
    effort = np.zeros(len(faces))
    effort[train] = shown(faces.units[train])
    picked = chosen(faces, "celeba", 20)
    picked = picked[faces.split(val=False)[picked]]
    assert len(picked) == 15
    strongest = train[np.argsort(-effort[train], kind="stable")][:9]
    assert set(strongest) <= set(picked)
    others = [row for row in picked if row not in strongest]
    people = set(faces.labels.identity[strongest])
    rest = [row for row in train if row not in strongest]
    same = [row for row in rest if faces.labels.identity[row] in people]
    assert len(same) >= len(others) and set(others) <= set(same)
    assert sorted(effort[others]) == sorted(effort[same])[: len(others)]
    turned = np.zeros((2, len(aus.CHANNELS)), np.float32)
    turned[1, aus.INDEX["AU51"]] = 1
    assert shown(turned).tolist() == [0, 0]  # a head that turns shows nothing


def test_what_cannot_be_packed_is_said(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no crops of the family 'hires\.grey'"):
        chosen(FaceDataset.load(data), "hires.grey", 3)
    with pytest.raises(MemegenError, match="do not fit"):
        pack(data, tmp_path / "pack", PackSettings({"celeba": 20}, megabytes=0.01))
    assert main([str(data), str(tmp_path / "pack"), "--take", "utk=3"]) == UsageError.exit_code
