"""Training of GANimation: its terms, its draws, and a loop that nothing breaks."""

import importlib.util
import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from support.command import RunCli
from support.ganimation import SETTINGS, TINY
from support.killing import CPU, killed_and_resumed, same_weights
from support.rated import pickled
from torch import Tensor, nn

from memegen.errors import MemegenError, UsageError
from memegen.facedata.rated import load_rated
from memegen.generators import generator_named
from memegen.generators.ganimation import GanimationNet, PatchConv2d, blend
from memegen.prefetch import prefetch
from memegen.training import ganimation
from memegen.training.adversaries import gradient_penalty
from memegen.training.ganimation import GanimationTraining
from memegen.training.processes import Alone, Team, bare
from memegen.training.run import Run
from memegen.training.settings import rules_of
from memegen.training.wasserstein import attention_penalty, total_variation


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pickled(tmp_path_factory.mktemp("rated") / "data")


def train(data: Path, out: Path, settings: GanimationTraining = SETTINGS, **how: bool) -> Path:
    return ganimation.train(settings, Run(data, out, CPU, log=lambda _: None, **how))


def test_the_penalty_is_how_far_a_slope_is_from_one() -> None:
    slope = torch.randn(3, 8, 8)

    def discriminator(photo: Tensor) -> tuple[Tensor, Tensor]:
        return (photo * slope).sum((1, 2, 3)), photo

    real, generated = torch.randn(2, 4, 3, 8, 8)
    found = gradient_penalty(discriminator, real, generated, torch.rand(4, 1, 1, 1))
    assert found.item() == pytest.approx((slope.norm().item() - 1) ** 2, rel=1e-5)


def test_the_penalty_is_taken_between_real_and_painted_in_float32() -> None:
    seen = []

    def discriminator(photo: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(photo)
        return (photo**2).sum((1, 2, 3)), photo

    real, generated = torch.ones(2, 3, 4, 4), -torch.ones(2, 3, 4, 4)
    mix = torch.tensor([1.0, 0.25]).view(2, 1, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        gradient_penalty(discriminator, real, generated.bfloat16(), mix)
    assert seen[0].dtype == torch.float32
    assert seen[0][:, 0, 0, 0].tolist() == [1.0, -0.5]


def test_attention_terms() -> None:
    attention = torch.zeros(2, 1, 4, 4)
    attention[0, 0, 1:3, 1:3] = 0.5  # a square: eight edges of a half
    assert total_variation(attention).item() == pytest.approx(8 * 0.5 / 2)
    assert attention_penalty(attention, squared=False).item() == pytest.approx(0.5 * 4 / 32)
    assert attention_penalty(attention, squared=True).item() == pytest.approx(0.25 * 4 / 32)


def test_networks_are_published_for_two_sizes() -> None:
    of_size = rules_of(GanimationTraining)["network"].parse
    assert of_size is not None and of_size(256).blocks > of_size(128).blocks
    with pytest.raises(UsageError, match="must be 128 or 256"):
        of_size(100)


def test_small_convolutions_are_convolutions() -> None:
    plain = nn.Conv2d(5, 7, 4, 2, 1)
    quick = PatchConv2d(5, 7, 4, 2, 1)
    quick.load_state_dict(plain.state_dict())
    found = []
    for layer in (plain, quick):
        x = torch.linspace(-1, 1, 2 * 5 * 64).view(2, 5, 8, 8).requires_grad_()
        y = layer(x)
        slope = torch.autograd.grad(y.square().sum(), x, create_graph=True)[0]
        slope.square().sum().backward()
        assert layer.weight.grad is not None
        found.append((y, slope, layer.weight.grad))
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(*found, strict=True))


def test_draws_depend_on_the_step_alone_and_show_everything(data: Path) -> None:
    pictures = load_rated(data).train
    draw = SETTINGS.draws(pictures, slice(4))
    first, again = draw(3), SETTINGS.draws(pictures, slice(4))(3)
    assert all(
        torch.equal(a, b) for a, b in zip(vars(first).values(), vars(again).values(), strict=True)
    )
    epoch = torch.cat([draw(step).source for step in range(4)])
    assert sorted(map(tuple, epoch.tolist())) == sorted(
        map(tuple, torch.from_numpy(pictures.units).tolist())
    )
    assert first.photo.shape == (4, 3, 64, 64) and -1 <= first.photo.min() < first.photo.max() <= 1
    nearest = (first.target[:, None] - torch.from_numpy(pictures.units)).abs().amax(2).amin(1)
    assert (nearest <= SETTINGS.noise + 1e-6).all() and (nearest > 0).all()


def test_processes_share_what_one_would_draw(data: Path) -> None:
    pictures = load_rated(data).train
    whole = SETTINGS.draws(pictures, slice(4))(2)
    parts = [SETTINGS.draws(pictures, slice(i, i + 2))(2) for i in (0, 2)]
    for name, target in vars(whole).items():
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), target)


def test_batches_come_in_order_from_threads(data: Path) -> None:
    draw = SETTINGS.draws(load_rated(data).train, slice(4))
    found = list(prefetch(draw, range(2, 9), workers=2, depth=4))
    assert len(found) == 7
    assert all(torch.equal(batch.photo, draw(step).photo) for step, batch in enumerate(found, 2))


def test_training_writes_weights_log_and_sheets(tmp_path: Path, data: Path) -> None:
    pytest.importorskip("tensorboard")
    out = tmp_path / "run"
    path = train(data, out, tensorboard=True)
    assert path == out / "ganimation.safetensors" and generator_named(str(out)).name == "ganimation"
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(6))
    assert {"distance", "penalty", "units of real"} <= lines[0].keys() and "cycle" not in lines[0]
    assert {"units", "cycle", "attention"} <= lines[1].keys()
    assert (out / "sheets" / "000000.png").exists() and (out / "sheets" / "after.png").exists()
    assert list((out / "tensorboard").iterdir()) and not list(out.glob("*.part"))


def test_both_networks_learn_and_the_rate_falls(data: Path) -> None:
    settings = replace(SETTINGS, lr=3e-3)
    run = ganimation.GanimationTask(settings, Alone(CPU), load_rated(data))
    batch = SETTINGS.draws(load_rated(data).train, slice(4))(0)
    kept_aside = {n: t.clone() for n, t in run.discriminator.state_dict().items()}
    attention, colour = run.generator(batch.photo, batch.target)
    run.learn_generator(batch, blend(batch.photo, attention, colour), attention)
    assert all(torch.equal(t, kept_aside[n]) for n, t in run.discriminator.state_dict().items())
    before = [run.learn(batch, both=False)["units of real"].item() for _ in range(30)]
    assert before[-1] < 0.5 * before[0]
    run.set_learning_rates(3)
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(3e-3)
    run.set_learning_rates(5)
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(1.5e-3)


@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_ends_where_an_unbroken_one_does(
    tmp_path: Path, data: Path
) -> None:
    settings = replace(SETTINGS, steps=12, save_minutes=0.0)
    whole = train(data, tmp_path / "whole", settings)
    out = tmp_path / "killed"
    last = killed_and_resumed(ganimation.train, data, out, settings, whole, 0.6)
    assert same_weights(whole, last)
    lines = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines == sorted(set(lines)) and lines[-1] == 11


def test_max_minutes_ends_a_run_that_can_go_on(tmp_path: Path, data: Path) -> None:
    whole = train(data, tmp_path / "whole")
    out = tmp_path / "short"
    train(data, out, replace(SETTINGS, max_minutes=1e-9))
    assert len((out / "log.jsonl").read_text().splitlines()) == 1
    assert same_weights(whole, train(data, out, resume=True))


def test_numbers_that_are_not_finite_keep_the_last_good(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = ganimation.GanimationTask.learn_generator

    def later(run: ganimation.GanimationTask, *given: object) -> dict[str, Tensor]:
        found = learn(run, *given)  # type: ignore[arg-type]
        with torch.no_grad():
            next(run.generator.parameters()).fill_(float("nan"))
        return found

    monkeypatch.setattr(ganimation.GanimationTask, "learn_generator", later)
    settings = replace(SETTINGS, save_minutes=0.0)
    out = tmp_path / "run"
    with pytest.raises(MemegenError, match="generator is not finite any more"):
        train(data, out, settings)
    with pytest.raises(MemegenError, match="not finite at step 2"):
        train(data, tmp_path / "unsaved")
    # The checkpoint and the weights before that are there, and good.
    assert torch.load(out / "checkpoint.pt", weights_only=True)["progress"]["step"] == 1
    assert all(torch.isfinite(t).all() for t in load_file(out / "ganimation.safetensors").values())


@pytest.mark.parametrize(("attention", "says"), [(0.99, "returned as it is"), (0.01, "nothing of")])
def test_collapse_is_said_with_what_helps(attention: float, says: str) -> None:
    with pytest.raises(MemegenError, match=f"{says}.*`source`"):
        ganimation.refuse_collapse({"attention": attention}, 500)
    ganimation.refuse_collapse({"attention": 0.6}, 500)


def test_settings_that_change_on_the_way_are_named(tmp_path: Path, data: Path) -> None:
    train(data, tmp_path)
    said: list[str] = []
    longer = replace(SETTINGS, steps=(SETTINGS.steps or 0) + 1, lr=SETTINGS.lr / 2)
    ganimation.train(longer, Run(data, tmp_path, CPU, resume=True, log=said.append))
    named = [line for line in said if line.startswith("`resume`: ")]
    assert [line.split()[1] for line in named] == ["steps", "lr"]
    assert f"lr is {SETTINGS.lr / 2!r} from here on, was {SETTINGS.lr!r}" in named[1]
    said.clear()
    ganimation.train(longer, Run(data, tmp_path, CPU, resume=True, log=said.append))
    assert not any(line.startswith("`resume`: ") for line in said)


def test_resuming_nothing_or_something_else_is_said(tmp_path: Path, data: Path) -> None:
    with pytest.raises(UsageError, match="no checkpoint to resume from"):
        train(data, tmp_path, resume=True)
    torch.save({"network": {}}, tmp_path / "checkpoint.pt")
    with pytest.raises(MemegenError, match="no checkpoint of such a run"):
        train(data, tmp_path, resume=True)


SHARED = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
from support.ganimation import SETTINGS
from memegen.training import ganimation
from memegen.training.run import Run
torch.set_num_threads(1)
ganimation.train(SETTINGS, Run(Path({data!r}), Path({out!r}), torch.device("cpu")))
"""


@pytest.mark.skipif(importlib.util.find_spec("lightning_fabric") is None, reason="needs Fabric")
@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path, data: Path) -> None:
    alone = train(data, tmp_path / "alone")
    script = tmp_path / "shared.py"
    tests = str(Path(__file__).parent)
    script.write_text(SHARED.format(tests=tests, data=str(data), out=str(tmp_path / "two")))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
               "--master-port", str(port), str(script)]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    curves = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("alone", "two")
    ]
    for one, two in zip(*curves, strict=True):
        assert one.keys() == two.keys()
        for figure in one.keys() - {"rate", "data_wait"}:
            assert two[figure] == pytest.approx(one[figure], rel=1e-3, abs=2e-4)
    target, found = load_file(alone), load_file(tmp_path / "two" / "ganimation.safetensors")
    assert all(torch.allclose(found[n], target[n], atol=2e-3) for n in target)


def test_a_wrapped_network_is_found_again() -> None:
    network = GanimationNet(TINY)
    assert bare(nn.DataParallel(network)) is network and bare(network) is network


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (["--size", "100"], "must be 128 or 256", 2),
        (["--batch", "0"], "--batch 0: must be at least 1", 2),
        (["--source", "nobody"], "known: paper, authors, replicate", 2),
        (["--critic-from", "3"], "No such option: --discriminator-from", 2),
        (["--model", "anatomical", "--size", "128"], "No such option: --size", 2),
        (["--model", "reach", "--resume"], "No such option: --resume", 2),
        (["--seed", "-1"], "--seed -1: must be at least 0", 2),
        (["--lr", "nan"], "must be more than 0", 2),
        (["--model", "anatomical", "--resume", "--init", "anatomical"], "--init begins anew", 2),
        (["--resume"], "no checkpoint to resume from", 2),
        (["--init", "nowhere.safetensors"], "train or import some", 4),
    ],
)
def test_bad_usage_is_one_line(
    arguments: list[str], says: str, code: int, data: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    out = tmp_path / "run"
    asked = ("train", str(data), "--model", "ganimation", "--out", str(out), *arguments)
    assert says in run_cli(*asked, code=code).err
    assert not list(out.glob("*"))


def test_several_processes_train_ganimation_only(
    data: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "several processes train ganimation" in run_cli("train", str(data), code=2).err
    with pytest.raises(UsageError, match="not to be shared by 3"):
        Team.batch_slice(SimpleNamespace(count=3, rank=0), 4)  # type: ignore[arg-type]
