"""Photos of one's own: labelled, kept, and learnt from."""

import csv
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from support.command import RunCli
from support.mediapipe import FakeMediaPipe
from support.networks import TINY, tiny_file
from support.paths import SAMPLE

from memegen import aus
from memegen.errors import MemegenError, UsageError
from memegen.evaluation import generators as evaluation
from memegen.facedata import photos
from memegen.facedata.labels import JAW_AT_AU26
from memegen.facedata.photos import far_apart, label
from memegen.facedata.rated import load_rated
from memegen.facedata.teachers import MediaPipeTeacher
from memegen.training import generator
from memegen.training.crops import load_crops
from memegen.training.pairs import PairConfig, PairDataset, PoolConfig
from memegen.training.run import Run

CPU = torch.device("cpu")
FACES = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample at several exposures, and files that are of no use."""
    made = tmp_path_factory.mktemp("person")
    (made / "more").mkdir()
    with Image.open(SAMPLE) as image:
        face = image.convert("RGB").crop((100, 0, 356, 256))
    for index in range(FACES):
        place = made / "more" if index % 2 else made
        ImageEnhance.Brightness(face).enhance(0.7 + 0.08 * index).save(place / f"{index}.png")
    (made / "words.jpg").write_text("no picture")
    (made / "nothing.png").write_bytes(b"")
    Image.new("RGB", (80, 80), "teal").save(made / "wall.png")
    face.resize((40, 40)).save(made / "tiny.png")
    (made / "notes.txt").write_text("not looked at")
    return made


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


def test_faces_are_found_and_the_rest_is_named(folder: Path) -> None:
    said: list[tuple[int, int]] = []
    found = label(folder, follow=lambda done, count: said.append((done, count)))
    assert len(found.faces) == FACES
    assert [face.name for face in found.faces][:2] == ["0.png", "2.png"]
    assert set(found.bad) == {"nothing.png", "tiny.png", "wall.png", "words.jpg"}
    assert "empty" in found.bad["nothing.png"] and "no face" in found.bad["wall.png"]
    assert "not a picture" in found.bad["words.jpg"] and "too small" in found.bad["tiny.png"]
    assert said[-1] == (FACES + 4, FACES + 4)
    units = found.units
    assert units.shape == (FACES, len(aus.CHANNELS))
    assert (units[:, aus.INDEX["AU12L"]] > 0.3).all()  # she smiles in all of them


def test_labels_are_made_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = label(folder)

    def never(*_: object) -> None:
        raise AssertionError("looked again")

    with monkeypatch.context() as patched:
        patched.setattr(photos.Labeller, "photo", never)
        again = label(folder)
    assert again.bad == before.bad
    assert all(
        np.array_equal(a.units, b.units) for a, b in zip(before.faces, again.faces, strict=True)
    )
    for entry in photos.default_cache().rglob("*.npz"):
        entry.write_bytes(entry.read_bytes()[:60])  # as a full disk leaves it
    assert len(label(folder).faces) == FACES


@pytest.mark.slow
def test_several_processes_find_the_same(folder: Path, tmp_path: Path) -> None:
    alone, shared = label(folder), label(folder, tmp_path / "fresh", workers=2)
    assert alone.bad == shared.bad
    for one, other in zip(alone.faces, shared.faces, strict=True):
        assert np.allclose(one.landmarks, other.landmarks, atol=1e-3)


def test_the_most_different_frames_are_taken() -> None:
    points = np.array([[0.0], [0.01], [0.02], [1.0], [0.5], [0.99]])
    assert far_apart(points, 3).tolist() == [0, 3, 4]
    assert far_apart(points, 9).tolist() == [0, 1, 2, 3, 4, 5]


def test_label_writes_a_table(folder: Path, tmp_path: Path, run_cli: RunCli) -> None:
    assert (
        "wall.png: left out, no face found"
        in run_cli("label", str(folder), "-o", str(tmp_path / "labels.csv")).err
    )
    rows = list(csv.DictReader((tmp_path / "labels.csv").open()))
    assert len(rows) == FACES and float(rows[0]["AU12_r"]) > 1.5
    assert {"AU01_r", "AU45_r", "pose_Rx", "AU12L_r"} <= rows[0].keys()


def test_bad_folders_are_one_line(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="no photos in this folder"):
        label(tmp_path)
    with pytest.raises(UsageError, match="no such file or folder"):
        label(tmp_path / "none")
    Image.new("RGB", (80, 80)).save(tmp_path / "black.png")
    with pytest.raises(MemegenError, match="no usable face in 1 files"):
        label(tmp_path)
    with Image.open(folder / "0.png") as image:
        image.save(tmp_path / "one.png")
    with pytest.raises(MemegenError, match="1 usable faces are too few"):
        load_crops(tmp_path, {}, "train", lambda _: None)
    assert len(load_crops(tmp_path, {}, "held out")) == 1  # nothing was learnt from it
    alone = load_crops(tmp_path / "one.png", {}, "train", lambda _: None)
    assert len(alone) == 1 and alone.others is not None and len(alone.others) > 20
    draws = PairDataset(alone, PairConfig(canvas=48), {"mouth": 16})
    asked = torch.stack([draws[index]["target"] for index in range(4)])
    assert asked.std(0).max() > 0.1  # moved to expressions that the photo does not show


def test_photos_are_split_by_what_they_are(folder: Path) -> None:
    left_out: list[str] = []
    learnt, held = (
        load_crops(folder, {}, "train", left_out.append),
        load_crops(folder, {}, "held out"),
    )
    assert len(learnt) + len(held) == len(load_crops(folder, {}, "all")) == FACES
    assert not set(learnt.jpegs) & set(held.jpegs) and len(held) >= 1
    assert len(left_out) == 4


@pytest.mark.slow
def test_fine_tuning_keeps_the_best(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import safe_open

    monkeypatch.setattr(generator, "SHOWN", 2)
    monkeypatch.setattr(generator, "CHECKED", 8)
    monkeypatch.setattr(evaluation, "SPEED_SIDE", 64)
    begin = tiny_file(tmp_path / "begin.safetensors")
    settings = replace(
        generator.GeneratorTraining.for_photos(), steps=12, batch=4, unpaired=2, warmup=1, network=TINY, lr=2e-2,
        check_steps=3, patience=2, log_steps=1, pairs=PairConfig(canvas=48),
        pool=PoolConfig(size=8, first=6, fresh=2, workers=0),
    )  # fmt: skip
    said: list[str] = []
    path = generator.train(
        settings, Run(folder, tmp_path / "run", CPU, init=str(begin), log=said.append)
    )
    before, after = (
        float(line.split()[-1]) for line in said if line.startswith("validation loss ")
    )
    assert after <= before
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert "validation loss" not in lines[0] and all(
        "validation loss" in line for line in lines[2:]
    )
    with safe_open(path, "pt") as file:
        assert file.metadata()["data"] == "photos"
    assert {"before.png", "after.png"} <= {p.name for p in (tmp_path / "run/sheets").iterdir()}
    report = evaluation.evaluate(folder, ["mesh", str(tmp_path / "run")], 3)
    assert "identity distance" not in report["mesh"]
    quick = replace(settings, max_minutes=1e-9, check_steps=0)
    generator.train(quick, Run(folder, tmp_path / "quick", CPU, init=str(begin), log=said.append))
    assert any("minutes are over" in line for line in said)
    with pytest.raises(MemegenError, match="no checkpoint of such a run"):
        (tmp_path / "run/checkpoint.pt").write_bytes(b"PK broken")
        generator.train(settings, Run(folder, tmp_path / "run", CPU, resume=True, log=said.append))


def test_the_teacher_says_what_its_scores_say(
    tmp_path: Path, face: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeMediaPipe(face).install(monkeypatch)
    file = tmp_path / "face_landmarker.task"
    file.write_bytes(b"task")
    source = np.full(len(aus.CHANNELS), 0.3, np.float32)
    landmarks, units = MediaPipeTeacher(file).label(np.zeros((64, 64, 3), np.uint8), source)
    assert np.allclose(landmarks, face)
    assert units[aus.INDEX["AU12L"]] == pytest.approx(0.8) and units[aus.INDEX["AU12R"]] == 0
    assert units[aus.INDEX["AU26"]] == pytest.approx(0.2 / JAW_AT_AU26)
    assert units[aus.INDEX["AU6L"]] == pytest.approx(0.3)  # a dead score: perception's stays
    found = label(SAMPLE, tmp_path / "cache", landmarker=file).faces[0]
    assert found.units[aus.INDEX["AU12L"]] == pytest.approx(0.8)
    assert label(SAMPLE, tmp_path / "cache").faces[0].units[aus.INDEX["AU12L"]] != pytest.approx(
        0.8
    )
    FakeMediaPipe(face, sees=False).install(monkeypatch)
    with pytest.raises(MemegenError, match="sees no face"):
        MediaPipeTeacher(file).label(np.zeros((64, 64, 3), np.uint8), source)


def test_a_teacher_that_is_not_there_is_one_line(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, face: np.ndarray
) -> None:
    photo = str(SAMPLE)
    file = tmp_path / "face_landmarker.task"
    assert (
        "did you mean 'mediapipe'" in run_cli("label", photo, "--teacher", "mediapip", code=2).err
    )
    assert "belong together" in run_cli("label", photo, "--teacher", "mediapipe", code=2).err
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    assert (
        "memegen-faces[label]"
        in run_cli("label", photo, "--teacher", "mediapipe", "--landmarker", str(file), code=2).err
    )
    FakeMediaPipe(face).install(monkeypatch)
    assert (
        "no such landmarker file"
        in run_cli("label", photo, "--teacher", "mediapipe", "--landmarker", str(file), code=2).err
    )


def test_rated_photos_are_cut_out(folder: Path, tmp_path: Path) -> None:
    """A table of OpenFace beside photos as they are: crops of their faces, with its ratings."""
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    names = [face.name for face in label(data).faces]
    Image.open(data / names[0]).convert("RGB").crop((0, 0, 400, 380)).save(data / names[0])
    columns = [f"AU{au.number:02d}_r" for au in aus.OPENFACE]
    rows = [f"{name},{','.join([str(i % 5)] * 17)}" for i, name in enumerate(names)]
    (data / "labels.csv").write_text("\n".join([f"file,{','.join(columns)}", *rows]))
    train, held_out = load_rated(data)
    assert {*train.names, *held_out.names} == set(names)
    assert all(isinstance(file, bytes) for file in train.files)
    row = train.names.index(names[-1]) if names[-1] in train.names else 0
    assert train.units[row] == pytest.approx((names.index(train.names[row]) % 5) / 5)
