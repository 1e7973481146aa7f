"""A small network learns what a large one does; weights say how long that took."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.command import RunCli
from support.generator import SHOWN
from support.killing import CPU
from support.networks import TINY, tiny_file
from support.shards import make_shards

from memegen import weights
from memegen.errors import UsageError
from memegen.generators import generator_named
from memegen.generators.network import SMALL, GeneratorConfig, GeneratorNet, WindowConfig
from memegen.geometry.anatomy import Anatomy
from memegen.training import generator
from memegen.training.crops import load_crops
from memegen.training.distillation import distances, teacher_named
from memegen.training.generation import run_windows, samples_of
from memegen.training.loop import Progress, history_of
from memegen.training.pairs import PairConfig, PairDataset, PoolConfig
from memegen.training.run import Run

STUDENT = GeneratorConfig(mouth=WindowConfig(16, (4, 4, 4), 2, 1), condition=4)
SETTINGS = generator.SmallGeneratorTraining(
    steps=3, batch=4, unpaired=2, warmup=1, save_minutes=99, sheet_steps=9, log_steps=1, workers=0,
    pairs=PairConfig(canvas=48), pool=PoolConfig(size=4, first=3, fresh=1, workers=2),
    network=STUDENT,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _small_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "SHOWN", SHOWN)


@pytest.fixture
def data(tmp_path: Path, anatomy: Anatomy, face: np.ndarray) -> Path:
    return make_shards(tmp_path / "data", anatomy, face)


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    return str(tiny_file(tmp_path / "teacher.safetensors", loud=1.0))


def samples(data: Path):  # type: ignore[no-untyped-def]
    crops = load_crops(data, dict(PairConfig().sources), "train")
    maker = PairDataset(crops, PairConfig(canvas=48), TINY.sides)
    draws = [maker[i] for i in range(3)]
    batch = {name: torch.stack([d[name] for d in draws]) for name in draws[0]}
    flat = {name: batch[name].float() / 255 for name in ("x", "x_moved", "x_back")}
    return samples_of(batch, flat, 2)


def test_a_student_like_its_teacher_loses_nothing(data: Path, teacher: str) -> None:
    network = teacher_named(teacher, TINY, CPU)
    assert not any(p.requires_grad for p in network.parameters()) and not network.training
    given = samples(data)
    taught = run_windows(network, given)
    same = distances(run_windows(teacher_named(teacher, TINY, CPU), given), taught)
    assert set(same) == {"attention", "colour", "residual"}
    assert all(float(value) == 0 for value in same.values())
    student = GeneratorNet(STUDENT).eval()
    other = distances(run_windows(student, given), taught)
    assert all(float(value.detach()) > 0 for value in other.values())


def test_colour_counts_where_the_teacher_paints(data: Path, teacher: str) -> None:
    taught = run_windows(teacher_named(teacher, TINY, CPU), samples(data))
    one = taught[0]

    def lost(change: float) -> float:
        seen = one.output._replace(attention=torch.full_like(one.output.attention, 1 - change))
        painted = seen._replace(colour=seen.colour + 0.1)
        pair = [[replace(one, output=o)] for o in (painted, seen)]
        return float(distances(*pair)["colour"])

    assert lost(1.0) == pytest.approx(0.1, rel=1e-4)
    assert lost(0.0) == pytest.approx(0.1 * 0.05, rel=1e-3)


def test_steps_bring_the_student_nearer(data: Path, teacher: str) -> None:
    settings = replace(SETTINGS, teacher=teacher, lr=1e-2, half=False)
    crops = load_crops(data, dict(settings.pairs.sources), "train")
    task = generator.GeneratorTask(settings, CPU, crops, crops, name="anatomical-small")
    task.begin({})
    batch = next(task.batches(0))
    torch.manual_seed(0)
    first, *_, last = [float(task.train_step(0, batch)["distillation"].detach()) for _ in range(6)]
    assert last < 0.9 * first
    task.refuse_collapse(500, {"change in mouths": 0.0, "change": 0.0})  # as little as the teacher


def test_a_run_makes_a_generator_and_says_how(
    data: Path, teacher: str, tmp_path: Path, run_cli: RunCli
) -> None:
    said: list[str] = []
    run = Run(data, tmp_path / "out", CPU, log=said.append)
    path = generator.train_small(replace(SETTINGS, teacher=teacher), run)
    assert path == tmp_path / "out" / "anatomical-small.safetensors"
    assert generator_named(str(tmp_path / "out")).name == "anatomical-small"
    assert generator_named(str(path)).network.config == STUDENT  # type: ignore[attr-defined]
    told = weights.about(path).metadata
    assert told["steps"] == "3" and told["device"] == "cpu"
    minutes = float(told["minutes"])
    assert minutes > 0
    assert float(told["images_per_second"]) == pytest.approx(3 * 4 / (60 * minutes), rel=0.02)
    assert any("distillation" in line for line in said)
    shown = run_cli("weights", "info", str(path)).out
    assert "minutes" in shown and "images per second" in shown
    resumed = generator.train_small(
        replace(SETTINGS, teacher=teacher, steps=4), replace(run, resume=True)
    )
    assert float(weights.about(resumed).metadata["minutes"]) >= minutes  # both runs count


def test_history_before_the_first_step_names_no_rate() -> None:
    assert history_of(Progress(), 8, CPU) == {"steps": "0", "device": "cpu"}
    told = history_of(Progress(step=30, seconds=60.0), 8, CPU)
    assert told["minutes"] == "1" and told["images_per_second"] == "4"


def test_sizes_are_asked_for_on_the_command_line(data: Path, run_cli: RunCli) -> None:
    wide = generator._network_of("24,48,96")
    assert wide == GeneratorConfig()
    assert generator._network_of("8,16,48,1") == SMALL
    for text in ("8,16", "a,b,c", "8,16,0", "1,2,3,4,5"):
        with pytest.raises(UsageError, match="`width`"):
            generator._network_of(text)
    help_ = run_cli("train", "anatomical", "--help").out
    assert "--teacher" in help_ and "--width" in help_ and "--workers" in help_
    refused = run_cli("train", "anatomical", str(data), "--teacher", "perception", code=2)
    assert "no network of the kind" in refused.err


def test_the_small_one_costs_a_quarter_at_most() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from memegen.generators.exported_models import anatomical_networks

    counts, sizes = [], []
    for config in (GeneratorConfig(), SMALL):
        one = anatomical_networks(GeneratorNet(config).eval())[0]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            one.network(*one.inputs.values())
        counts.append(counter.get_total_flops())
        sizes.append(sum(p.numel() for p in one.network.parameters()))
    assert counts[1] < 0.25 * counts[0] and sizes[1] < 0.25 * sizes[0]


def test_teachers_must_see_the_same_window(teacher: str) -> None:
    with pytest.raises(UsageError, match="windows of 16 px"):
        teacher_named(teacher, GeneratorConfig(), CPU)
