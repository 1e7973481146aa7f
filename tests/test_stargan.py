"""StarGAN: its table of expressions, its networks, and a run on GANimation's task."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.command import RunCli
from support.faces import scene_of
from support.killing import CPU
from support.rated import pickled

from memegen import aus, weights
from memegen.errors import MemegenError, WeightsError
from memegen.facedata.rated import RatedPictures, load_rated
from memegen.generators import generator_named
from memegen.generators.stargan import (
    EXPRESSIONS,
    NEUTRAL,
    UNLABELLED,
    StarganConfig,
    StarganDiscriminator,
    StarganNet,
    classification_error,
    domains_of,
    labels_of,
)
from memegen.geometry.anatomy import Anatomy
from memegen.training import stargan
from memegen.training.loop import weights_path
from memegen.training.processes import Alone
from memegen.training.run import Run

TINY = StarganConfig(size=64, width=2, blocks=1)
SETTINGS = stargan.StarganTraining(
    steps=6, batch=4, generator_every=2, save_minutes=99, sheet_steps=4, log_steps=1, half=False,
    network=TINY,
)  # fmt: skip
NAMES = [kind.name for kind in EXPRESSIONS]


def units(shown: dict[int, float]) -> np.ndarray:
    order = [au.number for au in aus.OPENFACE]
    return np.array([[shown.get(number, 0.0) for number in order]], np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rated pictures of which all but the last few show one expression."""
    folder = pickled(tmp_path_factory.mktemp("rated") / "data")
    table = pickle.loads((folder / "aus_openface.pkl").read_bytes())
    for row, name in enumerate(sorted(table)):
        kind = EXPRESSIONS[row % len(EXPRESSIONS)]
        table[name] = units(kind.shows)[0] * 5
    (folder / "aus_openface.pkl").write_bytes(pickle.dumps(table, protocol=2))
    return folder


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ({}, "neutral"),
        ({12: 0.8, 6: 0.5, 25: 0.4}, "happy"),
        ({1: 0.3, 15: 0.5}, "sad"),
        ({1: 0.6, 2: 0.6, 5: 0.5, 26: 0.5}, "surprised"),
        ({4: 0.8, 7: 0.5}, "angry"),
        ({9: 0.6, 4: 0.6}, "disgusted"),
        ({5: 0.5, 20: 0.3}, "fearful"),
        ({45: 0.9}, "shut eyes"),
        ({12: 0.4}, None),
        ({4: 0.8, 12: 0.5}, None),
    ],
)
def test_faces_are_labelled_by_their_action_units(
    shown: dict[int, float], name: str | None
) -> None:
    expected = UNLABELLED if name is None else NAMES.index(name)
    assert labels_of(units(shown)).tolist() == [expected]


@pytest.mark.parametrize("row", range(NEUTRAL))
def test_action_units_are_asked_for_as_the_nearest_expression(row: int) -> None:
    shown = EXPRESSIONS[row].shows
    assert labels_of(units(shown)).tolist() == [row]
    found = domains_of(np.concatenate([units(shown), units(shown) / 4, units({})]))
    assert found[0, row] == pytest.approx(1) and found[1, row] == pytest.approx(0.25)
    assert found[2, NEUTRAL] == 1
    assert found.sum(1) == pytest.approx(np.ones(3))


@pytest.mark.parametrize("skip", [False, True])
def test_networks_have_no_attention(skip: bool) -> None:
    config = replace(TINY, skip=skip)
    network, photo = StarganNet(config), torch.rand(2, 3, 64, 64) * 2 - 1
    label = torch.eye(len(EXPRESSIONS))[:2]
    attention, colour = network(photo, label)
    assert not attention.any() and attention.shape == (2, 1, 64, 64)
    assert colour.shape == photo.shape and colour.abs().max() <= 1
    colour.mean().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert StarganDiscriminator(config)(photo)[1].shape == (2, len(EXPRESSIONS))


def test_classes_are_told_by_cross_entropy() -> None:
    logits, label = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.75, 0.25]])
    expected = -(0.75 * (2 - np.log(np.exp(2) + 1)) + 0.25 * -np.log(np.exp(2) + 1))
    assert classification_error(logits, label).item() == pytest.approx(expected)


def test_all_expressions_are_asked_for(data: Path) -> None:
    labelled = stargan.labelled_of(load_rated(data).train)
    draw = replace(SETTINGS, batch=64).draws(labelled, slice(64))(0)
    assert torch.equal(draw.target.sum(1), torch.ones(64)) and draw.target.sum(0).min() > 0
    assert set(draw.target.unique().tolist()) == set(draw.source.unique().tolist()) == {0.0, 1.0}


def test_steps_lower_both_losses(data: Path) -> None:
    pictures = load_rated(data)
    labelled = stargan.Rated(*map(stargan.labelled_of, pictures))
    task = stargan.StarganTask(replace(SETTINGS, lr=3e-3), Alone(CPU), labelled)
    batch = task.settings.draws(labelled.train, slice(4))(0)
    found = [task.learn(batch, False)["units of real"].item() for _ in range(10)]
    assert found[-1] < found[0]
    losses = []
    for _ in range(10):  # against a discriminator that stays
        attention, colour = task.generator(batch.photo, batch.target)
        losses.append(task.learn_generator(batch, colour, attention)["generator"].item())
    assert losses[-1] < losses[0]


def test_training_writes_weights_that_animate(tmp_path: Path, data: Path) -> None:
    said: list[str] = []
    out = tmp_path / "run"
    path = stargan.train(SETTINGS, Run(data, out, CPU, log=said.append))
    assert path == weights_path(out, "stargan")
    assert any(line.startswith("expressions: shut eyes ") for line in said)
    assert weights.load(str(path), "stargan").metadata["au_order"].endswith("happy, neutral")
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert {"units", "cycle", "change"} <= lines[1].keys()
    assert (out / "sheets" / "after.png").exists()
    resumed = Run(data, out, CPU, resume=True, log=said.append)
    stargan.train(replace(SETTINGS, steps=8), resumed)
    assert weights.load(str(path), "stargan").metadata["steps"] == "8"


def test_faces_between_expressions_are_no_data(tmp_path: Path) -> None:
    empty = RatedPictures(["a"], [b""], units({12: 0.4}))
    assert len(stargan.labelled_of(empty)) == 0
    folder = pickled(tmp_path / "data")
    table = pickle.loads((folder / "aus_openface.pkl").read_bytes())
    between = {name: units({12: 0.4})[0] * 5 for name in table}
    (folder / "aus_openface.pkl").write_bytes(pickle.dumps(between, protocol=2))
    with pytest.raises(MemegenError, match="0 pictures show one of the 8"):
        stargan.train(SETTINGS, Run(folder, tmp_path / "run", CPU, log=lambda _: None))


def test_the_photo_s_own_expression_changes_nothing(
    tmp_path: Path, face: np.ndarray, anatomy: Anatomy
) -> None:
    network = StarganNet(replace(TINY, skip=True))
    torch.nn.init.normal_(network.colour.weight, std=0.5)
    file = tmp_path / "loud.safetensors"
    weights.save(file, network.state_dict(), "stargan", network.config)
    scene = scene_of(face, anatomy)
    renderer = generator_named(str(file)).prepare(scene)
    own = scene.motion.source
    happy = own.copy()
    happy[[aus.INDEX[c] for c in ("AU6L", "AU6R", "AU12L", "AU12R")]] = 1
    still, changed = renderer.render(np.stack([own, happy]))
    assert np.abs(still - scene.picture).max() < 0.5
    assert np.abs(changed - scene.picture).max() > 2


def test_other_numbers_of_expressions_are_refused(tmp_path: Path) -> None:
    config = replace(TINY, units=3)
    file = tmp_path / "three.safetensors"
    weights.save(file, StarganNet(config).state_dict(), "stargan", config)
    with pytest.raises(WeightsError, match="other expressions"):
        generator_named(str(file))


def test_the_command_refuses_other_sizes(data: Path, tmp_path: Path, run_cli: RunCli) -> None:
    out = tmp_path / "run"
    sizes = ("train", "stargan", str(data), "--out", str(out), "--size")
    assert "must be 128 or 256" in run_cli(*sizes, "100", code=2).err
