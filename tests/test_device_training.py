"""What trainings on a GPU need, on whatever device there is: time, resident crops, few reads."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.ganimation import SETTINGS
from support.killing import CPU, same_weights
from support.rated import pickled
from torch import Tensor

from memegen.facedata.rated import load_rated
from memegen.training import clock as clocks
from memegen.training import ganimation, loop, metrics
from memegen.training.batches import DRAWN_TOGETHER
from memegen.training.clock import Clock, EndRequest
from memegen.training.device_crops import DeviceCrops, fits
from memegen.training.ganimation import GanimationTask, GanimationTraining
from memegen.training.loop import warm_cosine
from memegen.training.processes import Alone
from memegen.training.run import Run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pickled(tmp_path_factory.mktemp("rated") / "data")


class Time:
    """A clock that goes on by itself only where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(clocks.time, "monotonic", lambda: self.now)


def train(data: Path, out: Path, settings: GanimationTraining = SETTINGS, **how: bool) -> Path:
    return ganimation.train(settings, Run(data, out, CPU, log=lambda _: None, **how))


def test_the_ending_is_kept_free(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch)
    clock = Clock(before=20.0, limit=100.0)
    assert clock.share == 0.2
    for took in (2.0, 5.0):
        with clock.ending("save"):
            time.now += took
    time.now += 13.0
    clock.step()
    assert clock.total == 40.0
    assert clock.share == pytest.approx(40 / (100 - 5 * clocks.SLACK))
    time.now += 28.0  # and another such step is too long
    clock.step()
    assert clock.share == 1.0
    assert not Clock().save_is_due(1.0)
    fresh = Clock(limit=100.0)
    time.now += 26.0
    assert fresh.save_is_due(1e9)
    assert Clock(limit=100.0).save_is_due(0.0) is False


def test_schedules_end_with_the_time(data: Path) -> None:
    task = GanimationTask(replace(SETTINGS, steps=600), Alone(CPU), load_rated(data))
    rates = []
    for task.time_share in (0.0, 0.5, 5 / 6, 1.0):
        task.set_learning_rates(300)
        rates.append(task.optimizer.param_groups[0]["lr"] / SETTINGS.lr)
    assert rates == pytest.approx([1, 1, 0.5, 0])
    assert task.share(599) == 1.0
    task.time_share = 0.0
    assert task.share(599) == 599 / 600
    assert warm_cosine(9, 100, 10, 1.0) == pytest.approx(0)
    assert warm_cosine(9, 100, 10) == warm_cosine(9, 100, 10, 0.05) > 0.9


def test_a_limited_run_saves_early_ends_in_time_and_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, learn = Time(monkeypatch), GanimationTask.train_step

    def slow(task: GanimationTask, step: int, batch: object) -> dict[str, Tensor]:
        time.now += 10.0
        return learn(task, step, batch)  # type: ignore[arg-type]

    def slow_sheet(path: Path, *_: object) -> None:
        time.now += 3.0

    monkeypatch.setattr(GanimationTask, "train_step", slow)
    monkeypatch.setattr(ganimation, "write_sheet", slow_sheet)
    out, settings = tmp_path / "run", replace(SETTINGS, steps=50, sheet_steps=99, max_minutes=1.0)
    saved = []
    save = loop.Loop.save
    monkeypatch.setattr(loop.Loop, "save", lambda it: saved.append(time.now) or save(it))
    train(data, out, settings)
    assert time.now - 100.0 <= 60.0 and saved
    progress = torch.load(out / "checkpoint.pt", weights_only=True)["progress"]
    assert 3 <= progress["step"] <= 5 and progress["seconds"] == time.now - 100.0
    began = time.now
    train(data, out, replace(settings, max_minutes=0.9), resume=True)  # its time is over
    assert (
        torch.load(out / "checkpoint.pt", weights_only=True)["progress"]["step"]
        == (progress["step"])
    )
    train(data, out, replace(settings, max_minutes=2.0), resume=True)
    again = torch.load(out / "checkpoint.pt", weights_only=True)["progress"]
    assert again["step"] > progress["step"] and again["seconds"] <= 120.0
    assert time.now - began <= 70.0


def test_sigterm_writes_the_weights_and_ends(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = GanimationTask.train_step

    def asked(task: GanimationTask, step: int, batch: object) -> dict[str, Tensor]:
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return learn(task, step, batch)  # type: ignore[arg-type]

    before = signal.getsignal(signal.SIGTERM)
    whole = train(data, tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(GanimationTask, "train_step", asked)
        path = train(data, tmp_path / "ended")
    assert signal.getsignal(signal.SIGTERM) is before
    assert path.exists() and (tmp_path / "ended/sheets/after.png").exists()
    assert torch.load(path.parent / "checkpoint.pt", weights_only=True)["progress"]["step"] == 3
    assert same_weights(whole, train(data, tmp_path / "ended", resume=True))


def test_a_request_is_not_for_children() -> None:
    request = EndRequest()
    child = os.fork()
    if not child:
        request._asked(signal.SIGTERM, None)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    assert not request.made


def test_resident_crops_give_the_batches_that_threads_give(data: Path) -> None:
    pictures = load_rated(data).train
    crops = DeviceCrops(pictures, SETTINGS.network.size, CPU)
    assert len(crops) == len(pictures) and crops.pixels.dtype == torch.uint8
    assert torch.equal(
        crops.pixels[3].permute(1, 2, 0), torch.from_numpy(pictures.picture(3, 64).copy())
    )
    assert fits(len(pictures), 64, CPU)
    for rows in (slice(4), slice(1, 3)):
        draw = SETTINGS.draws(pictures, rows)
        steps = range(3, 3 + DRAWN_TOGETHER + 5)
        found = list(draw.on_device(crops, steps))
        assert len(found) == len(steps)
        for step, batch in zip(steps, found, strict=True):
            for name, wanted in vars(draw(step)).items():
                assert torch.equal(getattr(batch, name), wanted), name


def test_training_from_resident_crops_is_training(data: Path, tmp_path: Path) -> None:
    usual = train(data, tmp_path / "usual")
    resident = train(data, tmp_path / "resident", replace(SETTINGS, resident=True))
    assert same_weights(usual, resident)


def test_figures_are_read_every_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    reads = []
    monkeypatch.setattr(metrics, "READ_STEPS", 4)
    cat = torch.cat
    monkeypatch.setattr(metrics.torch, "cat", lambda parts: reads.append(len(parts)) or cat(parts))
    numbers = metrics.Readings(0.5, lambda step, found, means: seen.append((step, dict(found))))
    for step in range(6):
        figures = torch.tensor([float(step), 1.0])
        numbers._waiting.append((step, ("a", "b"), figures))
        if len(numbers._waiting) == 4:
            numbers.read()
    assert reads == [4] and [step for step, _ in seen] == [0, 1, 2, 3]
    means = numbers.read()
    assert reads == [4, 2] and seen[-1] == (5, {"a": 5.0, "b": 1.0})
    expected = 0.0
    for step in range(6):
        expected = step + min(0.5, step / (step + 1)) * (expected - step)
    assert means["a"] == pytest.approx(expected) and means["b"] == 1.0
    eager = metrics.Readings(0.0, lambda *_: None)
    eager.add(0, ("a",), torch.tensor([2.0]))
    assert reads[-1] == 1 and eager.read() == {"a": 2.0}


def test_log_lines_do_not_depend_on_how_often_figures_are_read(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, log_steps=3)
    train(data, tmp_path / "each", settings)

    def lazy(self: metrics.Readings, step: int, names: tuple[str, ...], figures: Tensor) -> None:
        self._waiting.append((step, names, figures))

    monkeypatch.setattr(metrics.Readings, "add", lazy)
    train(data, tmp_path / "few", settings)
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("each", "few")
    ]
    for one, other in zip(*logs, strict=True):
        for figure in one.keys() - {"rate", "data_wait"}:
            assert one[figure] == other[figure]
