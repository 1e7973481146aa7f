"""Paired translation: its pairs, its networks, and a run that can be broken off."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.faces import scene_of, vector
from support.killing import CPU
from support.shards import make_shards
from torch import Tensor

from memegen import aus, weights
from memegen.errors import MemegenError
from memegen.generators import generator_named
from memegen.generators.compose import compose_change, compose_low, output_of, put
from memegen.generators.network import WAKING, WindowOutput, awake
from memegen.generators.pix2pix import REFINED, Pix2PixConfig, Pix2PixNet, translate
from memegen.generators.windows import FACE, MOUTH
from memegen.geometry.anatomy import Anatomy
from memegen.geometry.box import Box
from memegen.training import pix2pix
from memegen.training.augment import AugmentConfig
from memegen.training.crops import Crops, load_crops
from memegen.training.draws import Draws, DrawsConfig
from memegen.training.pairs import PairConfig
from memegen.training.pix2pix import Pix2PixTraining
from memegen.training.ring_buffer import Example
from memegen.training.run import Run
from memegen.training.translation_pairs import (
    TranslationConfig,
    TranslationPairs,
    face_mask,
    in_light_of,
    people_of,
)

TINY = Pix2PixConfig(size=32, width=4, levels=3, code=8, refine_side=32, refine_width=4)
PAIRS = TranslationConfig(
    warped=PairConfig(canvas=64, sources=(("celeba", 1.0),), wider=0.0, worn=0.0)
)
SETTINGS = Pix2PixTraining(
    steps=4, batch=2, workers=0, save_minutes=99, sheet_steps=4, log_steps=1, adversary_from=0.5,
    half=False, ema=0.5, pairs=PAIRS, network=TINY, draws=DrawsConfig(size=4, first=2, fresh=1),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _small_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pix2pix, "SHOWN", 2)  # each pair takes a tenth of a second to make


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, anatomy: Anatomy, face: np.ndarray) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards") / "data", anatomy, face)


@pytest.fixture(scope="module")
def crops(data: Path) -> Crops:
    return load_crops(data, dict(PAIRS.warped.sources), "train")


def batch_of(maker: TranslationPairs, count: int = 2) -> dict[str, Tensor]:
    draws = [maker.draw(index) for index in range(count)]
    return {name: torch.from_numpy(np.stack([d[name] for d in draws])) for name in draws[0]}


def task_of(crops: Crops, **changes: object) -> pix2pix.Pix2PixTask:
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    settings = replace(
        settings,
        network=replace(settings.network, refine=settings.refine),
        draws=replace(settings.draws, workers=0),
    )
    return pix2pix.Pix2PixTask(settings, CPU, crops, crops)


@pytest.mark.parametrize("refine", [True, False])
def test_an_untrained_network_leaves_the_mesh_s_picture(refine: bool) -> None:
    network = Pix2PixNet(replace(TINY, refine=refine))
    picture = torch.rand(2, 3, 64, 64) * 255
    half = torch.tensor([[32.0, 0, 32], [0, 32, 32]]).expand(2, -1, -1)
    places = {window.name: half for window in (FACE, *REFINED)}
    units, photo = torch.zeros(2, 2 * len(aus.CHANNELS)), torch.rand(1, 3, 32, 32)
    made = translate(network, photo, picture, places, units, 255.0)
    assert torch.equal(made.picture, picture) and made.whole.shape == (2, 3, 32, 32)
    torch.nn.init.normal_(network.head.weight)
    changed = translate(network, photo, picture, places, units, 255.0).picture
    assert (changed - picture).abs().max() > 1
    still = torch.zeros(2, 1, 1, 1)
    assert torch.equal(
        translate(network, photo, picture, places, units, 255.0, still).picture, picture
    )


def test_every_weight_has_a_gradient() -> None:
    network = Pix2PixNet(TINY)
    for head in (network.head, network.local.head):  # type: ignore[union-attr]
        torch.nn.init.normal_(head.weight)
    half = torch.tensor([[32.0, 0, 32], [0, 32, 32]]).expand(2, -1, -1)
    places = {window.name: half for window in (FACE, *REFINED)}
    units = torch.rand(2, 2 * len(aus.CHANNELS))
    made = translate(network, torch.rand(2, 3, 32, 32), torch.rand(2, 3, 64, 64), places, units)
    made.picture.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_a_change_is_composed_as_without_flow() -> None:
    image, change = torch.rand(1, 3, 40, 40), torch.rand(1, 3, 8, 8)
    affine = torch.tensor([[[12.0, 0, 20], [0, 12, 20]]])
    seen = torch.rand(1, 3, 8, 8)
    rendered = WindowOutput(torch.zeros(1, 1, 8, 8), seen + change, torch.zeros(1, 2, 8, 8))
    box, part = compose_change(image, affine, change)
    same, expected = compose_low(image, affine, seen, rendered)
    assert box == same and torch.allclose(part, expected, atol=1e-5)


def test_a_part_is_put_into_a_copy_or_in_place() -> None:
    picture, box = torch.zeros(2, 3, 6, 8), Box(left=2, top=1, right=8, bottom=4)
    part = torch.ones(2, 3, 3, 6)
    changed = put(picture, box, part)
    assert picture.sum() == 0 and changed.sum() == part.sum()
    assert torch.equal(changed[:, :, 1:4, 2:8], part)
    assert put(picture, box, part, in_place=True) is picture and torch.equal(picture, changed)
    beside = Box(left=8, top=1, right=8, bottom=4)
    assert put(picture, beside, part[..., :0]) is picture


def test_what_is_shown_already_wakes_no_network() -> None:
    own, target = torch.full((1, 4), 0.5), torch.full((3, 4), 0.5)
    target[1, 2], target[2, 0] = 0.5 - WAKING / 2, 0.9
    assert awake(own, target).flatten().tolist() == pytest.approx([0, 0.5, 1], abs=1e-5)


def test_attention_is_what_a_change_implies() -> None:
    seen = torch.full((1, 3, 1, 3), 0.5)
    generated = seen + torch.tensor([0.0, 0.03, 0.3])
    found = output_of(seen, generated, full=0.12)
    assert found.attention.flatten().tolist() == pytest.approx([1.0, 0.75, 0.0])
    shown = found.attention * seen + (1 - found.attention) * found.colour
    assert torch.allclose(shown, generated)


def test_warped_pairs_aim_at_the_real_crop(crops: Crops) -> None:
    maker = TranslationPairs(crops, replace(PAIRS, real=0.0))
    draw, again = maker.draw(3), TranslationPairs(crops, replace(PAIRS, real=0.0)).draw(3)
    assert all(np.array_equal(draw[name], again[name]) for name in draw)
    assert not draw["real"] and draw["weight"].min() == 255
    assert draw["photo"].shape == draw["moved"].shape == draw["target"].shape == (3, 64, 64)
    assert draw["affines"].shape == (4, 2, 3)
    assert draw["affines"][0] == pytest.approx(np.array([[32, 0, 32], [0, 32, 32]]), abs=1e-4)


def test_real_pairs_are_of_one_person_calmer_first(crops: Crops) -> None:
    assert crops.identity is not None
    people = people_of(crops)
    assert len(people)
    one, two = people.T
    assert (crops.identity[one] == crops.identity[two]).all()
    assert (crops.units[one].sum(1) - crops.units[two].sum(1)).mean() < 0
    assert len(people_of(replace(crops, identity=None))) == 0


def test_real_pairs_show_the_other_photo_in_the_first_one_s_light(
    crops: Crops, face: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memegen.training.translation_pairs.DIFFERENT", 1.0)  # noise differs
    draw = TranslationPairs(crops, replace(PAIRS, real=1.0)).draw(0)
    assert draw["real"] and draw["weight"].max() == 255 and draw["weight"][0, 0, 0] == 0
    outside = draw["weight"][0] == 0
    apart = draw["target"].astype(int) - draw["moved"]
    assert np.abs(apart[:, outside]).max() <= 1  # but for rounding
    inside = draw["weight"][0] == 255
    assert np.abs(apart[:, inside]).mean() > 5


def test_light_is_mean_and_spread(face: np.ndarray) -> None:
    mask = face_mask(face * 64, 64)
    assert mask.max() == pytest.approx(1, abs=1e-3) and mask[0, 0] == 0
    rng = np.random.default_rng(0)
    picture = rng.integers(100, 140, (64, 64, 3), np.uint8)
    other = np.clip(picture.astype(float) * 1.2 - 40, 0, 255).astype(np.uint8)
    assert in_light_of(picture, other, mask) == pytest.approx(other.astype(float), abs=1.5)


def steps_of(crops: Crops, count: int, **changes: object) -> list[dict[str, Tensor]]:
    torch.manual_seed(0)
    task = task_of(crops, colour=AugmentConfig(colour=0, grey=0), **changes)
    task.begin({})
    task.set_learning_rates(0)
    batch = batch_of(TranslationPairs(crops, PAIRS, task.settings.network.refined))
    return [task.train_step(0, batch) for _ in range(count)]


@pytest.mark.parametrize(("optimizer", "lr"), [("adam", 3e-3), ("rmsprop", 3e-4)])
def test_steps_lower_the_loss(crops: Crops, optimizer: str, lr: float) -> None:
    found = steps_of(crops, 12, optimizer=optimizer, lr=lr, adversary_from=1.0)
    assert found[-1]["whole"] < found[0]["whole"]
    assert found[0]["change"] == 0 < found[-1]["change"]


@pytest.mark.parametrize(
    "changes",
    [
        {"adversary": "hinge", "scales": 2},
        {"adversary": "lsgan"},
        {"adversary": "wgan-gp"},
        {"adversary": "began", "refine": False},
    ],
)
def test_every_adversary_plays(crops: Crops, changes: dict[str, object]) -> None:
    found = steps_of(crops, 8, adversary_from=0.0, discriminator_lr=2e-3, **changes)
    assert all(torch.isfinite(value) for figures in found for value in figures.values())
    if changes["adversary"] == "began":
        assert 0 <= found[-1]["k"] <= 1 and found[-1]["convergence"] > 0
    else:
        assert found[-1]["discriminators"] < found[0]["discriminators"]
    assert ("mouth" in found[-1]) == bool(changes.get("refine", True))


def test_a_step_that_is_not_finite_is_left_out(crops: Crops) -> None:
    task = task_of(crops)
    task.begin({})
    task.set_learning_rates(0)
    batch = batch_of(TranslationPairs(crops, PAIRS, TINY.refined))
    before = {name: t.clone() for name, t in task.generator.state_dict().items()}
    task.train_step(0, batch | {"source": batch["source"] * float("nan")})
    trained = [n for n, _ in task.generator.named_parameters()]
    assert all(torch.equal(task.generator.state_dict()[n], before[n]) for n in trained)


def test_training_writes_weights_that_animate(
    tmp_path: Path, data: Path, face: np.ndarray, anatomy: Anatomy
) -> None:
    out, said = tmp_path / "run", list[str]()
    path = pix2pix.train(SETTINGS, Run(data, out, CPU, log=said.append))
    assert path == out / "pix2pix.safetensors"
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert {"whole", "mouth", "change"} <= lines[0].keys() and "distance" not in lines[0]
    assert "distance" in lines[-1] and (out / "sheets" / "after.png").exists()
    pix2pix.train(replace(SETTINGS, steps=6), Run(data, out, CPU, resume=True, log=said.append))
    assert weights.load(str(path), "pix2pix").metadata["steps"] == "6"
    scene = scene_of(face, anatomy)
    frames = list(
        generator_named(str(path)).prepare(scene).render(np.stack([vector(), vector(AU26=4)]))
    )
    assert frames[0].shape == scene.picture.shape
    assert np.abs(frames[0] - scene.picture).max() <= 1  # nothing asked for, nothing changed
    assert np.abs(frames[1] - scene.picture).max() > 20


class Failing:
    """A maker of draws that cannot."""

    def draw(self, index: int) -> Example:
        if index % 2:
            raise ValueError("no such crop")
        return {"number": np.array([index])}


def test_draws_are_taken_when_they_are_ready() -> None:
    draws = Draws(Failing(), DrawsConfig(size=3, first=4, workers=1, fresh=1), CPU)
    try:
        assert draws.taken == 4 and draws.held == 3
        assert set(draws.batch(50)["number"].flatten().tolist()) <= {2, 4, 6, 8}
    finally:
        draws.close()


def test_too_many_failures_end_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memegen.training.draws.FAILURES", 2)
    with pytest.raises(MemegenError, match="no such crop"):
        Draws(Failing(), DrawsConfig(size=99, first=20, workers=1), CPU).close()


def test_windows_of_the_local_network() -> None:
    assert TINY.refined[0] is MOUTH and TINY.side_of(MOUTH) == 32
    assert {TINY.side_of(window) for window in TINY.refined[1:]} == {16}
    assert replace(TINY, refine=False).refined == ()
