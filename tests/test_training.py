import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.shards import make_shards

from memegen import aus, weights
from memegen.errors import UsageError
from memegen.facedata.dataset import FaceDataset
from memegen.facedata.labels import action_units, load_basis
from memegen.facedata.shards import load_labels, read_crops
from memegen.geometry.anatomy import Anatomy, load_anatomy
from memegen.geometry.shape import angles_of, mirror_order, rotation_of
from memegen.perception.network import PerceptionConfig
from memegen.training import anatomy as calibration
from memegen.training import perception
from memegen.training.augment import (
    AugmentConfig,
    disturb,
    in_plane,
    similarity,
    warp_crops,
    warp_points,
)
from memegen.training.run import Run

TINY = perception.PerceptionTraining(
    steps=6, batch=4, warmup=2, save_minutes=99,
    network=PerceptionConfig(size=32, widths=(4, 8), blocks=(0, 1), squeeze=2, hidden=16, au_hidden=8, components=5),
)  # fmt: skip


@pytest.fixture
def data(tmp_path: Path, anatomy: Anatomy, face: np.ndarray) -> Path:
    return make_shards(tmp_path / "data", anatomy, face)


def test_labels_are_read_as_documented(data: Path, face: np.ndarray) -> None:
    labels = load_labels(data)
    assert len(labels) == 24
    assert labels.is_val.sum() == 6
    with np.load(data / "labels.npz") as raw:
        code = raw["landmark_code"][3].astype(float) * raw["landmark_scale"]
        wanted = face + np.tensordot(code, raw["landmark_components"].astype(float), 1)
    assert np.allclose(labels.landmarks[3], wanted, atol=1e-5)
    assert read_crops(data, labels.ids[:2], 32).shape == (2, 32, 32, 3)


def test_missing_data_is_one_line(tmp_path: Path, data: Path) -> None:
    with pytest.raises(UsageError, match=r"no labels\.npz"):
        load_labels(tmp_path)
    (data / "celeba-00.zip").unlink()
    with pytest.raises(UsageError, match="in no shard, first celeba/00000"):
        read_crops(data, load_labels(data).ids, 32)
    (data / "labels.npz").write_bytes(b"junk")
    with pytest.raises(UsageError, match="not a face-data label file"):
        load_labels(data)


def test_scores_become_action_units(data: Path) -> None:
    labels = load_labels(data)
    units = action_units(labels, load_basis(data))
    assert units.shape == (24, len(aus.CHANNELS))
    assert ((units >= 0) & (units <= 1)).all()
    assert np.allclose(units[:, aus.INDEX["AU12L"]], labels.scores["mouthSmileLeft"])
    assert np.allclose(units[:, aus.INDEX["AU26"]], np.minimum(labels.scores["jawOpen"] / 0.6, 1))


def test_points_move_with_the_picture(face: np.ndarray) -> None:
    """A bright dot at a landmark stays under it, however the crop is turned."""
    strong = AugmentConfig(rotation=12, scale=0.1, shift=0.05, rough=0)
    theta = similarity(8, strong, torch.device("cpu"))
    crops = torch.zeros(8, 3, 96, 96)
    point = torch.tensor([[0.43, 0.57, 0.0]])
    crops[:, :, int(0.57 * 96), int(0.43 * 96)] = 1
    moved = warp_points(point.expand(8, 1, 3), theta)
    seen = warp_crops(crops, theta, 96)[:, 0]
    for picture, where in zip(seen, moved[:, 0], strict=True):
        row, column = divmod(int(picture.argmax()), 96)
        assert abs(column + 0.5 - float(where[0]) * 96) < 2
        assert abs(row + 0.5 - float(where[1]) * 96) < 2


def test_in_plane_turns_the_head_as_the_picture(face: np.ndarray, anatomy: Anatomy) -> None:
    from memegen.geometry.shape import fit_pose

    theta = similarity(5, AugmentConfig(rough=0), torch.device("cpu"))
    turned = warp_points(torch.from_numpy(face).expand(5, -1, -1), theta).numpy()
    fitted = fit_pose(turned, anatomy.canonical, anatomy.rigid_weights).rotation
    start = fit_pose(face, anatomy.canonical, anatomy.rigid_weights).rotation
    assert np.allclose(angles_of(fitted), angles_of(in_plane(theta).numpy() @ start), atol=0.1)


def test_disturbed_crops_stay_pictures() -> None:
    everything = AugmentConfig(grey=1, blur=1, compress=1, noise=1, cover=1)
    out = disturb(torch.rand(4, 3, 64, 64), everything)
    assert out.shape == (4, 3, 64, 64)
    assert torch.isfinite(out).all()
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1


def test_mirrored_faces_have_mirrored_labels(data: Path, anatomy: Anatomy) -> None:
    dataset = FaceDataset.load(data)
    faces, order = (
        perception.load_faces(dataset, 48, torch.device("cpu")),
        torch.from_numpy(dataset.mirrored),
    )
    assert (order.numpy() == mirror_order(anatomy.canonical)).all()
    still = AugmentConfig(
        rotation=0,
        scale=0,
        shift=0,
        rough=0,
        grey=0,
        blur=0,
        compress=0,
        noise=0,
        cover=0,
        colour=0,
    )
    drawn = perception.draw(faces, 64, order, still, 48)
    flipped = drawn.weight.bool()
    assert flipped.any()
    assert not flipped.all()
    known = {tuple(units.tolist()) for units in faces.action_units}
    mirrored = {tuple(aus.mirror(units.numpy()).tolist()) for units in faces.action_units}
    for units, flip in zip(drawn.action_units, flipped, strict=True):
        assert tuple(units.tolist()) in (mirrored if flip else known)


def test_training_learns_writes_and_loads(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    longer = replace(TINY, steps=120, lr=5e-3, batch=8, augment=AugmentConfig(rough=0, cover=0))
    path = perception.train(
        longer, Run(data, tmp_path / "run", torch.device("cpu"), log=said.append)
    )
    journal = [
        json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    ]
    assert journal[-1]["landmark"] < journal[0]["landmark"]
    file = weights.load(str(path), "perception")
    assert file.metadata["steps"] == "120"
    assert file.metadata["au_order"].split()[0] == "AU1L"


def test_resume_gives_the_weights_of_an_unbroken_run(data: Path, tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    whole = perception.train(TINY, Run(data, tmp_path / "whole", cpu, log=lambda _: None))

    class StopError(Exception):
        pass

    def stop_at(step: int):  # type: ignore[no-untyped-def]
        original = perception.draw
        calls = 0

        def draw(*args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            if calls > step:
                raise StopError
            return original(*args, **kwargs)

        return draw

    with pytest.MonkeyPatch.context() as patch, pytest.raises(StopError):
        patch.setattr(perception, "draw", stop_at(3))
        eager = replace(TINY, save_minutes=0)
        perception.train(eager, Run(data, tmp_path / "broken", cpu, log=lambda _: None))
    resumed = perception.train(
        TINY, Run(data, tmp_path / "broken", cpu, resume=True, log=lambda _: None)
    )
    first, second = (weights.load(str(p), "perception").tensors for p in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_emphasis_weighs_its_channels_alone(data: Path) -> None:
    faces = perception.load_faces(FaceDataset.load(data), 48, torch.device("cpu"))
    plain = perception.au_weights(faces.action_units, {})
    more = perception.au_weights(faces.action_units, aus.parse_factors("AU45L=4", "--emphasis"))
    ratio = torch.nan_to_num(more / plain, nan=1.0)
    wanted = torch.ones(len(aus.CHANNELS))
    wanted[aus.INDEX["AU45L"]] = 4
    assert torch.equal(ratio, wanted)
    with pytest.raises(UsageError, match=r"--emphasis AU45=30: a factor is 0\.\.20"):
        aus.parse_factors("AU45=30", "--emphasis", 20)


def test_init_takes_what_fits(data: Path, tmp_path: Path) -> None:
    path = perception.train(
        replace(TINY, steps=1), Run(data, tmp_path / "a", torch.device("cpu"), log=lambda _: None)
    )
    said: list[str] = []
    other = replace(TINY, steps=1, network=replace(TINY.network, hidden=24))
    perception.train(
        other, Run(data, tmp_path / "b", torch.device("cpu"), init=str(path), log=said.append)
    )
    taken = int(said[0].split()[0])
    assert 0 < taken < int(said[0].split()[2])


def test_calibration_recovers_known_displacements(data: Path) -> None:
    """Shapes made by other displacements than the prior's: the fit must find them."""
    rng = np.random.default_rng(1)
    basis = load_basis(data)
    vectors = rng.random((400, len(aus.CHANNELS)), dtype=np.float32)
    live = calibration.calibrated_channels()
    true = basis.action_units()
    within = np.stack([calibration.muscle_reach(aus.CHANNELS[k], basis.canonical) for k in live])
    true[live] += rng.normal(size=(len(live), 468, 3)) * 0.05 * (within[..., None] > 0.99)
    order = mirror_order(basis.canonical)[:468]
    symmetric = (true + true[list(aus.MIRROR)][:, order] * [-1, 1, 1]) / 2
    shapes = np.tensordot(vectors, symmetric, 1).astype(np.float32)
    pairs = np.stack([np.arange(0, 399), np.arange(1, 400)], 1)
    settings = calibration.AnatomyTraining(ridge=1e-3, interacting=("AU12L", "AU12R"))
    shapes -= np.tensordot(
        vectors[:, [i for i in range(len(aus.CHANNELS)) if i not in live]],
        symmetric[[i for i in range(len(aus.CHANNELS)) if i not in live]],
        1,
    )
    fitted = calibration.calibrate(vectors, shapes, pairs, basis, settings)
    free = within > 0.99
    missed = np.abs(fitted.units[live] - symmetric[live])[free].mean()
    assert missed < 0.1 * np.abs(basis.action_units()[live] - symmetric[live])[free].mean()
    assert np.abs(fitted.products).mean() < 0.005


def test_calibration_without_data_keeps_the_prior(data: Path) -> None:
    basis = load_basis(data)
    vectors, shapes = (
        np.zeros((4, len(aus.CHANNELS)), np.float32),
        np.zeros((4, 468, 3), np.float32),
    )
    pairs = np.array([[0, 1], [2, 3]])
    fitted = calibration.calibrate(vectors, shapes, pairs, basis, calibration.AnatomyTraining())
    live = calibration.calibrated_channels()
    assert np.allclose(fitted.units[live], basis.action_units()[live], atol=1e-5)


def test_calibration_writes_what_loads(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    run = Run(data, tmp_path / "out", log=said.append)
    path = calibration.train(calibration.AnatomyTraining(), run)
    assert [line.split()[0] for line in said] == ["static", "uncalibrated", "calibrated"]
    loaded = load_anatomy(str(path))
    assert loaded.units.shape == (len(aus.CHANNELS), 468, 3)


def test_rotations_of_tensors_and_arrays_agree() -> None:
    angles = np.array([[10, -20, 5], [0, 0, 0], [-35, 12, -8]], np.float32)
    rotation = rotation_of(angles)
    assert np.allclose(perception.angles(torch.from_numpy(rotation)).numpy(), angles, atol=1e-3)
