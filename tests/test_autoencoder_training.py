"""Training of autoencoder and Fader networks: labels, stages, and a loop that goes on exactly."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.autoencoder import SETTINGS
from support.command import RunCli
from support.killing import CPU, same_weights
from support.shards import make_shards

from memegen import aus, weights
from memegen.errors import MemegenError, UsageError
from memegen.facedata.rated import Rated, load_rated
from memegen.facedata.shards import load_attribute
from memegen.generators import generator_named
from memegen.generators.autoencoder import AutoencoderNet, config_of
from memegen.geometry.anatomy import Anatomy
from memegen.training import autoencoder
from memegen.training.autoencoder import (
    SMILES_FROM,
    AutoencoderTask,
    AutoencoderTraining,
    FaderTraining,
    adversary_of,
    jittered,
    labelled,
)
from memegen.training.loop import set_rate
from memegen.training.run import Run
from memegen.training.settings import rules_of

SMILE = [au.name for au in aus.OPENFACE].index("AU12")
FADER = FaderTraining(**{**vars(SETTINGS), "network": config_of(32, fader=True)})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, anatomy: Anatomy, face: np.ndarray) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards") / "data", anatomy, face)


@pytest.fixture(scope="module")
def known(data: Path) -> Rated:
    return Rated(*(labelled(data, pictures) for pictures in load_rated(data)))


def with_attribute(data: Path, out: Path, values: np.ndarray) -> Path:
    """The same shards, with CelebA's attribute."""
    out.mkdir()
    for path in data.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    with np.load(data / "labels.npz") as found:
        raw = {name: found[name] for name in found.files}
    raw["attribute_names"] = np.array([*raw["attribute_names"], "Smiling"])
    raw["attributes"] = np.c_[raw["attributes"], values].astype(np.int8)
    np.savez(out / "labels.npz", **raw)
    return out


def train(data: Path, out: Path, settings: AutoencoderTraining = SETTINGS, **how: bool) -> Path:
    return autoencoder.train(settings, Run(data, out, CPU, log=lambda _: None, **how))


def test_the_attribute_says_who_smiles_and_else_the_action_unit(data: Path, tmp_path: Path) -> None:
    rated = load_rated(data).train
    thresholded = rated.units[:, SMILE] > SMILES_FROM
    assert 0 < thresholded.mean() < 1
    assert np.array_equal(labelled(data, rated).units[:, 0], thresholded)
    said = np.array([-1, 0, 1] * 8)
    other = with_attribute(data, tmp_path / "celeba", said)
    by_name = load_attribute(other, "Smiling")
    assert by_name == {f"celeba/{i:05d}": int(v) for i, v in enumerate(said) if v >= 0}
    assert load_attribute(data, "Smiling") == {}
    for name, label, own in zip(
        rated.names, labelled(other, rated).units[:, 0], thresholded, strict=True
    ):
        assert label == by_name.get(name, own)
    with pytest.raises(UsageError, match=r"no labels\.npz"):
        load_attribute(tmp_path, "Smiling")


def test_where_all_smile_there_is_nothing_to_learn(data: Path, tmp_path: Path) -> None:
    with pytest.raises(MemegenError, match="all faces smile"):
        train(with_attribute(data, tmp_path / "happy", np.ones(24)), tmp_path / "run")


def test_three_stages_by_steps_or_by_time(known: Rated) -> None:
    published = AutoencoderTraining(lr=1e-2, fall=0.1, steps=300, network=SETTINGS.network)
    task = AutoencoderTask(published, CPU, known)
    found = []
    for step, task.time_share in ((0, 0), (99, 0.3), (100, 0), (5, 0.4), (200, 0), (5, 0.99)):
        task.set_learning_rates(step)
        found.append((published.adversary[task._stage], task.optimizer.param_groups[0]["lr"]))
        assert task.classifier_optimizer.param_groups[0]["lr"] == 1e-2  # it must not lag
    expected = [(0, 1e-2), (0, 1e-2), (1e-4, 1e-3), (1e-4, 1e-3), (1e-2, 1e-4), (1e-2, 1e-4)]
    assert found == [pytest.approx(pair) for pair in expected]
    assert [published.stage_at(share) for share in (0, 0.34, 1.0)] == [0, 1, 2]


def test_weights_of_the_adversary_can_be_asked_for() -> None:
    assert adversary_of("0, 1e-4,1e-2") == AutoencoderTraining().adversary
    for text in ("", "a", "1,-1", "nan"):
        with pytest.raises(UsageError, match="`adversary`"):
            adversary_of(text)
    for kind, fader in ((AutoencoderTraining, False), (FaderTraining, True)):
        sized = rules_of(kind)["network"].parse
        assert sized is not None and sized(64) == config_of(64, fader)
        assert kind().network == config_of(256, fader)


@pytest.mark.parametrize("settings", [SETTINGS, FADER], ids=["autoencoder", "fader"])
def test_steps_lower_the_losses(settings: AutoencoderTraining, known: Rated) -> None:
    torch.manual_seed(0)
    task = AutoencoderTask(settings, CPU, known)
    photo, label = torch.rand(8, 3, 32, 32) * 0.5, torch.tensor([0.0, 1.0] * 4)
    first = task.learn(photo, label, 0.0)
    for _ in range(30):
        last = task.learn(photo, label, 0.0)
    assert "adversary" not in last
    assert last["error"] < 0.5 * first["error"] and last["classifier"] < first["classifier"]
    while task.learn(photo, label, 0.0)["classifier"] > 0.4:
        pass
    set_rate(task.classifier_optimizer, 0.0)
    paid = [task.learn(photo, label, 1.0)["adversary"].item() for _ in range(30)]
    assert paid[-1] < 0.7 * paid[0]  # the encoder learns what the classifier cannot read
    assert all(p.requires_grad for p in task.classifier.parameters())


def test_crops_move_a_little() -> None:
    line = torch.linspace(-1, 1, 64)
    photo = line.expand(6, 3, 64, 64)
    moved = jittered(photo)
    assert moved.shape == photo.shape
    assert 0 < (moved - photo).abs().mean() < 0.1


@pytest.mark.parametrize("settings", [SETTINGS, FADER], ids=["autoencoder", "fader"])
def test_a_run_goes_on_exactly(settings: AutoencoderTraining, data: Path, tmp_path: Path) -> None:
    whole = train(data, tmp_path / "whole", settings)
    part = train(data, tmp_path / "part", replace(settings, steps=3, adversary=(0.0,), fall=1.0))
    assert (
        part.name == whole.name == f"{'fader' if settings is FADER else 'autoencoder'}.safetensors"
    )
    # Stages are shares of the run, so one that goes on must have been as long from the start.
    still = replace(settings, adversary=(0.0,), fall=1.0)
    plain = train(data, tmp_path / "plain", still)
    assert not same_weights(whole, part) and not same_weights(plain, part)
    assert same_weights(plain, train(data, tmp_path / "part", still, resume=True))
    lines = [json.loads(line) for line in (whole.parent / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["stage"] > 1 and "adversary" in lines[-1]
    with Image.open(whole.parent / "sheets" / "after.png") as sheet:
        assert sheet.size == (7 * 32, 6 * 32)


@pytest.mark.parametrize("name", ["autoencoder", "fader"])
def test_the_command_trains(name: str, data: Path, tmp_path: Path, run_cli: RunCli) -> None:
    out = tmp_path / "run"
    options = ["--size", "32", "--steps", "3", "--batch", "4", "--log-steps", "1"]
    run_cli("train", name, str(data), "--out", str(out), *options, "--adversary", "0,1")
    network, found = weights.load_network(str(out), name)
    assert isinstance(network, AutoencoderNet)
    assert network.config == config_of(32, fader=name == "fader")
    assert found.metadata["au_order"] == "AU12"
    assert generator_named(str(out)).name == name
    run_cli("train", name, str(data), "--out", str(out), "--adversary", "much", code=2)
    assert (
        "--size 100"
        in run_cli("train", name, str(data), "--out", str(out), "--size", "100", code=2).err
    )
    again = tmp_path / "again"
    begun = ["--size", "32", "--steps", "1", "--init", str(out)]
    run_cli("train", name, str(data), "--out", str(again), *begun)
