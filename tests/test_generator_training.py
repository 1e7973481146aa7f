"""Training of the generator: pairs, losses, critics, and a loop that can be broken off."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.faces import vector
from support.generator import SETTINGS, train
from support.killing import CPU, killed_and_resumed, same_weights
from support.networks import TINY
from support.shards import make_shards

from memegen import aus, weights
from memegen.errors import MemegenError, UsageError
from memegen.generators import generator_named
from memegen.generators.windows import MOUTH
from memegen.geometry.anatomy import Anatomy
from memegen.training import generator, losses
from memegen.training.adversaries import Hinge
from memegen.training.crops import Crops, load_crops
from memegen.training.discriminator import PatchDiscriminator, feature_distance
from memegen.training.generation import generate, samples_of
from memegen.training.generator_loss import Discriminators, View, discriminated
from memegen.training.pairs import PairConfig, PairDataset, Pool, PoolConfig
from memegen.training.run import Run

SOURCES = dict(PairConfig().sources)
WIDER = replace(TINY, mouth=replace(TINY.mouth, side=32))


@pytest.fixture
def data(tmp_path: Path, anatomy: Anatomy, face: np.ndarray) -> Path:
    return make_shards(tmp_path / "data", anatomy, face)


@pytest.fixture
def crops(data: Path) -> Crops:
    return load_crops(data, SOURCES, "train")


def maker_of(crops: Crops, **changes: float) -> PairDataset:
    return PairDataset(crops, PairConfig(canvas=48, **changes), TINY.sides)  # type: ignore[arg-type]


def test_crops_are_those_of_the_split(data: Path) -> None:
    assert len(load_crops(data, SOURCES, "train").jpegs) == 18
    held_out = load_crops(data, SOURCES, "held out")
    assert len(held_out.jpegs) == 6
    assert held_out.weight.sum() == pytest.approx(1)


def test_a_draw_is_always_the_same_and_has_every_part(crops: Crops) -> None:
    maker = maker_of(crops)
    one, again, other = maker[3], maker_of(crops)[3], maker[4]
    assert one.keys() == again.keys() == other.keys()
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["x"], other["x"])
    assert one["x"].shape == one["x_moved"].shape == one["x_back"].shape == (3, 48, 48)
    assert one["x_back/mouth/masks"].shape == (2, 16, 16)
    assert one["source"].shape == (len(aus.CHANNELS),)


def test_the_target_is_the_real_crop_and_no_change_moves_nothing(crops: Crops) -> None:
    draw = maker_of(crops, same=1.0, worn=0.0, landmark_noise=0.0, wider=0.0)[0]
    for name in ("x_moved", "x_back"):
        assert (draw[name].float() - draw["x"].float()).abs().max() <= 1
    assert draw["flow_back"].abs().max() < 1e-3


def test_closed_mouths_are_closed_and_heads_stay(crops: Crops) -> None:
    maker = maker_of(crops, closed=1.0, shut_eyes=0.0, one_part=0.0, same=0.0, turned=0.0)
    source = vector({"AU25": 3, "AU26": 2})
    other = maker.other(source, source, np.random.default_rng(0))
    opening = [aus.INDEX[c] for c in ("AU25", "AU26", "AU27")]
    assert other[opening].max() == 0
    assert aus.head_degrees(other) == pytest.approx(aus.head_degrees(source), abs=1e-5)


def test_wide_mouths_replace_the_target(face: np.ndarray, crops: Crops) -> None:
    maker = maker_of(crops)
    picture = np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)
    source, wide = vector({"AU26": 2}), vector({"AU26": 5, "AU25": 4})
    plain = maker.make(picture, face, source, vector({}), None)
    wider = maker.make(picture, face, source, vector({}), wide)
    assert torch.equal(plain["x_moved"], wider["x_moved"])
    assert not torch.equal(plain["x"], wider["x"])
    assert torch.allclose(wider["source"], torch.from_numpy(wide))
    assert wider["x/mouth/masks"].float().mean() > plain["x/mouth/masks"].float().mean()


def test_the_pool_goes_on_where_it_stopped(crops: Crops) -> None:
    config = PoolConfig(size=5, first=3, fresh=2, workers=0)
    pool = Pool(maker_of(crops), config, CPU)
    for _ in range(3):
        torch.manual_seed(pool.made)
        pool.batch(4)
    resumed = Pool(maker_of(crops), config, CPU, made=pool.made)
    torch.manual_seed(9)
    target = pool.batch(4)
    torch.manual_seed(9)
    assert torch.equal(resumed.batch(4)["x"], target["x"])


def test_a_process_makes_the_draws_that_this_one_would(crops: Crops) -> None:
    config = PoolConfig(size=4, first=2, fresh=1, workers=1)
    pool = Pool(maker_of(crops), config, CPU)
    try:
        newest = pool.batch(1)
    finally:
        pool.close()
    draw = maker_of(crops)[2]
    assert pool.made == 3 and newest.keys() == draw.keys()
    assert all(torch.equal(newest[name][0], draw[name]) for name in draw)


def test_samples_are_pairs_and_unpaired(crops: Crops) -> None:
    maker = maker_of(crops)
    draws = [maker[i] for i in range(3)]
    batch = {name: torch.stack([d[name] for d in draws]) for name in draws[0]}
    flat = {name: batch[name].float() / 255 for name in ("x", "x_moved", "x_back")}
    samples = samples_of(batch, flat, 2)
    assert samples.paired == 3 and len(samples.photo) == 5
    assert torch.equal(samples.photo[:3], flat["x_moved"])
    assert torch.equal(samples.moved[3:], flat["x_moved"][:2])
    assert torch.equal(samples.target_units[:3], batch["source"])
    generated, passes = generate(generator.GeneratorNet(TINY).eval(), samples)
    assert generated.shape == (5, 3, 48, 48)
    assert len(passes) == 1
    grey = replace(samples, moved=torch.full_like(samples.moved, 0.4))
    generated, _ = generate(generator.GeneratorNet(TINY).eval(), grey)
    assert torch.allclose(generated, grey.moved, atol=0.03)  # a new network changes nothing


def test_reconstruction_counts_error_edges_and_colour() -> None:
    flat, ones = torch.full((1, 3, 8, 8), 0.5), torch.ones(1, 1, 8, 8)
    assert losses.reconstruction(flat, flat, ones) == 0
    grey = losses.reconstruction(flat + 0.1, flat, ones)
    assert grey == pytest.approx(0.1, abs=1e-6)
    tint = flat + torch.tensor([0.1, 0, -0.1]).view(1, 3, 1, 1)
    assert losses.reconstruction(tint, flat, ones) > grey
    checks = flat.clone()
    checks[..., ::2] += 0.1
    assert losses.reconstruction(checks, flat, ones) > grey
    assert losses.reconstruction(flat + 0.1, flat, 2 * ones) == pytest.approx(0.2, abs=1e-6)


def test_kept_skin_sees_what_is_outside_the_outline_only() -> None:
    moved, inside = torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    inside[..., 12:20, 12:20] = 1
    generated = moved.clone()
    generated[..., 14:18, 14:18] = 1
    assert losses.kept_skin(generated, moved, inside) == 0
    assert losses.changed_outside(generated, moved, inside) == 0
    generated[..., :4, :4] = 1
    assert losses.kept_skin(generated, moved, inside) > 0
    checks = moved.clone()
    checks[..., ::2, ::2] = checks[..., 1::2, 1::2] = 0.1
    checks[..., ::2, 1::2] = checks[..., 1::2, ::2] = -0.1
    assert (
        losses.kept_skin(checks, moved, inside)
        < 0.01
        < losses.changed_outside(checks, moved, inside)
    )


def test_critics_tell_real_from_painted() -> None:
    discriminator = PatchDiscriminator(1)
    optimizer = torch.optim.Adam(discriminator.parameters(), 2e-3)
    real, fake = torch.rand(8, 4, 32, 32), torch.full((8, 4, 32, 32), 0.5)
    first = Hinge().discriminator(discriminator(real)[0], discriminator(fake)[0])
    for _ in range(20):
        loss = Hinge().discriminator(discriminator(real)[0], discriminator(fake)[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * first
    features = discriminator(real)[1]
    assert feature_distance(features, features) == 0
    assert feature_distance(features, discriminator(fake)[1]) > 0


def test_critics_of_several_scales_play(crops: Crops) -> None:
    assert list(generator.GeneratorTraining().network.sides.values()) == [
        128
    ]  # 32 px at the third scale
    task = generator.GeneratorTask(
        replace(SETTINGS, scales=2, discriminator_from=0, network=WIDER), CPU, crops, crops
    )
    task.begin({})
    task.set_learning_rates(0)
    batch = next(task.batches(0))
    before = {name: t.clone() for name, t in task.discriminators.named_parameters()}
    found = task.train_step(0, batch)
    assert {"adversarial", "features", "discriminators"} <= found.keys()
    assert all(torch.isfinite(figure) for figure in found.values())
    changed = {
        name for name, t in task.discriminators.named_parameters() if (t != before[name]).any()
    }
    assert {name.split(".")[2] for name in changed} == {"0", "1"}  # mouth.scales.N
    assert task.fixed()["scales"] == 2
    assert Discriminators().state_dict().keys() == {
        f"mouth.{name}" for name in PatchDiscriminator(2).state_dict()
    }  # those of checkpoints that are there


def test_critics_see_pairs_and_open_mouths_only() -> None:
    outlines = torch.zeros(5, 2, 20, 20)
    outlines[0, 0, 8:12, 4:16] = outlines[3, 0, 8:12, 4:16] = 1
    picture = torch.zeros(5, 3, 20, 20)
    assert discriminated(View(MOUTH, picture, outlines, picture[:2])).tolist() == [0, 1, 3]


def test_hinge_loss() -> None:
    assert Hinge().discriminator(torch.tensor([1.5]), torch.tensor([-2.0])) == 0
    assert Hinge().discriminator(torch.tensor([0.0]), torch.tensor([0.5])) == pytest.approx(2.5)


def test_collapsed_attention_is_reported() -> None:
    generator.refuse_collapse({"change in mouths": 0.2, "change": 0.1}, 500)
    with pytest.raises(MemegenError, match="collapsed at step 500: the moved picture is returned"):
        generator.refuse_collapse({"change in mouths": 0.001, "change": 0.001}, 500)
    with pytest.raises(MemegenError, match="nothing of the moved picture is kept"):
        generator.refuse_collapse({"change in mouths": 0.9, "change": 0.95}, 500)


def test_training_writes_weights_log_and_sheets(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "run"
    path = train(SETTINGS, Run(data, out, CPU, log=lambda _: None))
    assert generator_named(str(out)).name == "anatomical"
    assert path == out / "anatomical.safetensors"
    assert weights.load(str(out), "anatomical").path == path  # --init names runs as --model does
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert "discriminators" in lines[2] and "discriminators" not in lines[0]
    assert {"mouth", "whole", "skin", "still", "attention"} <= lines[0].keys()
    assert (out / "sheets" / "000000.png").exists() and (out / "sheets" / "after.png").exists()
    assert not list(out.glob("*.part"))


@pytest.mark.slow
def test_a_resumed_run_ends_where_an_unbroken_one_does(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(SETTINGS, Run(data, tmp_path / "whole", CPU, log=lambda _: None))
    broken = tmp_path / "broken"
    often = replace(SETTINGS, save_minutes=0.0)
    calls = []

    def stop(figures: object, step: int) -> None:
        calls.append(step)
        if len(calls) == 2:  # in the fourth step, after the third was saved
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(generator, "refuse_collapse", stop)
        with pytest.raises(KeyboardInterrupt):
            train(often, Run(data, broken, CPU, log=lambda _: None))
    again = train(often, Run(data, broken, CPU, resume=True, log=lambda _: None))
    assert same_weights(whole, again)


@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_ends_where_an_unbroken_one_does(
    tmp_path: Path, data: Path
) -> None:
    often = replace(SETTINGS, save_minutes=0.0)
    whole = train(often, Run(data, tmp_path / "whole", CPU, log=lambda _: None))
    out = tmp_path / "killed"
    assert same_weights(whole, killed_and_resumed(train, data, out, often, whole, 1.5))


def test_a_loss_that_is_not_finite_stops_the_run(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> torch.Tensor:
        return torch.tensor(float("nan"), requires_grad=True)

    monkeypatch.setattr(losses, "reconstruction", broken)
    with pytest.raises(MemegenError, match="not finite at step 0"):
        train(SETTINGS, Run(data, tmp_path / "run", CPU, log=lambda _: None))


def test_a_run_goes_on_as_it_began(tmp_path: Path, data: Path) -> None:
    train(replace(SETTINGS, steps=1), Run(data, tmp_path, CPU, log=lambda _: None))
    with pytest.raises(UsageError, match="this run began with `seed` 0; `resume` goes on"):
        train(replace(SETTINGS, seed=3), Run(data, tmp_path, CPU, resume=True))
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(MemegenError, match="no checkpoint of such a run"):
        train(SETTINGS, Run(data, tmp_path, CPU, resume=True))


def test_crops_that_are_not_there_are_said(tmp_path: Path, data: Path) -> None:
    with pytest.raises(MemegenError, match=r"no train crops of the kinds .*\(utk\)"):
        load_crops(data, {"utk": 1.0}, "train")
    (data / "celeba-00.zip").unlink()
    with pytest.raises(UsageError, match="18 labelled crops in no shard, first celeba/00001"):
        load_crops(data, SOURCES, "train")


def test_resuming_nothing_is_said(tmp_path: Path, data: Path) -> None:
    with pytest.raises(UsageError, match="no checkpoint to resume from"):
        train(SETTINGS, Run(data, tmp_path, CPU, resume=True))
