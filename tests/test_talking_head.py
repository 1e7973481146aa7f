"""The talking head: its three networks, what teaches them, and its table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.command import RunCli

from memegen import weights
from memegen.cartoon.pose import INDEX, MORPH, POSE, ROTATE
from memegen.errors import MemegenError, WeightsError
from memegen.generators.cartoon import (
    FLOW_REACH,
    CartoonConfig,
    CartoonNet,
    CartoonNetworks,
    Combination,
    Rotation,
    combine,
    gate,
    rotate_picture,
    snapped,
)
from memegen.generators.ganimation import GanimationConfig, GanimationNet
from memegen.generators.trunk import residual_trunk
from memegen.training import cartoon
from memegen.training.cartoon import (
    CartoonTask,
    CartoonTraining,
    changed,
    error_over,
    mask_error,
    pyramid_difference,
    steps_of,
)
from memegen.training.drawing_pool import (
    DrawingPool,
    DrawingPoolConfig,
    DrawnBatch,
    begin_at,
    tensors_of,
)
from memegen.training.drawings import (
    HELD_OUT,
    TRAINED,
    DrawingConfig,
    Triple,
    draw,
    drawers,
)
from memegen.training.run import Run
from memegen.training.workers import Workers

SIZE = 32
CPU = torch.device("cpu")
TINY = CartoonConfig(size=SIZE, width=4, blocks=1, combiner=(4, 8, 8))
SETTINGS = CartoonTraining(
    steps=4, batch=3, size=SIZE, workers=0, fresh=1, log_steps=1, sheet_steps=2, save_minutes=99,
    warmup=1, half=False, pool=DrawingPoolConfig(size=6), network=TINY,
)  # fmt: skip


def network() -> CartoonNet:
    """Random weights that change what they see."""
    torch.manual_seed(0)
    net = CartoonNet(TINY)
    for part in (net.morpher.head, net.rotator.head, net.rotator.flow, net.combiner.head):
        torch.nn.init.normal_(part.weight, 0, 0.3)
    return net.eval()


def batch(count: int = 3) -> DrawnBatch:
    triples = [draw(i, config=DrawingConfig(size=SIZE)) for i in range(count)]
    return DrawnBatch.of(*tensors_of(triples))


def posed(**numbers: float) -> np.ndarray:
    pose = np.zeros(len(POSE), np.float32)
    for name, value in numbers.items():
        pose[INDEX[name]] = value
    return pose


def test_the_trunk_is_ganimations() -> None:
    def names(net: torch.nn.Module) -> set[str]:
        return {name for name in net.state_dict() if name.startswith("trunk.")}

    published = GanimationNet(GanimationConfig(width=4, blocks=1))
    alone = {f"trunk.{name}" for name in residual_trunk(20, 4, 1).state_dict()}
    assert names(published) == names(network().morpher) == names(network().rotator) == alone
    assert set(published.state_dict()) == alone | {"colour.weight", "attention.weight"}
    assert {"trunk.0.weight", "trunk.9.main.3.weight", "trunk.14.bias"} <= alone


def test_one_file_holds_all_three_in_less_than_16_mb() -> None:
    count = sum(p.numel() for p in CartoonNet().parameters())
    assert 2 * count < 16e6


def test_shapes_ranges_and_gradients() -> None:
    net, drawn = network().train(), batch()
    drawn.pose[:] = torch.rand_like(drawn.pose)
    turn = drawn.pose[:, list(ROTATE)]
    morph = net.morpher(drawn.source, drawn.own[:, list(MORPH)], drawn.pose[:, list(MORPH)])
    assert morph.attention.shape == (3, 1, SIZE, SIZE) and morph.colour.shape == (3, 3, SIZE, SIZE)
    rotation = net.rotator(drawn.morphed, turn)
    assert rotation.flow.shape == (3, 2, SIZE // 2, SIZE // 2)
    assert 0 < rotation.flow.detach().abs().max() <= FLOW_REACH
    made = net(drawn.source, drawn.own, drawn.pose)
    assert made.shape == (3, 3, SIZE, SIZE) and made.abs().max() <= 7  # 2 by each network
    made.mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_numbers_reach_every_pixel() -> None:
    """Past instance norms, which take away what is constant over a picture."""
    net = network()
    torch.nn.init.normal_(net.morpher.modulation.layers[2].weight)
    picture = torch.rand(1, 3, 128, 128)
    rest, pose = torch.zeros(1, len(MORPH)), torch.zeros(1, len(MORPH))
    pose[0, 0] = 1
    with torch.inference_mode():
        one = net.morpher(picture, rest, pose).colour
        other = net.morpher(picture, rest, 2 * pose).colour
    assert ((one - other).abs().amax(1)[0, 40:-40, 40:-40] > 1e-4).float().mean() > 0.9


def test_shares_add_up_to_one_and_say_what_is_seen() -> None:
    by_colour, by_flow = torch.full((1, 3, 4, 4), 0.5), torch.full((1, 3, 4, 4), -0.5)
    maps = [torch.rand(1, 1, 4, 4) for _ in range(2)]
    said = Combination(*maps, torch.full((1, 3, 4, 4), 0.25))
    shares = said.shares()
    assert torch.allclose(shares.sum(1), torch.ones(1, 4, 4))
    expected = -0.5 * shares[:, 0] + 0.5 * shares[:, 1] + 0.25 * shares[:, 2]
    assert torch.allclose(combine(by_colour, by_flow, said)[:, 0], expected, atol=1e-6)
    net = network()
    turn = torch.tensor([[0.5, -0.5, 1.0]])
    found = net.combiner(torch.rand(1, 3, SIZE, SIZE), torch.rand(1, 3, SIZE, SIZE), turn)
    assert torch.allclose(found.shares().sum(1), torch.ones(1, SIZE, SIZE), atol=1e-6)


def test_nothing_to_change_leaves_a_drawing_as_it_is() -> None:
    net, drawn = network(), batch()
    with torch.inference_mode():
        for pose in (torch.zeros_like(drawn.pose), drawn.own):
            assert torch.allclose(net(drawn.source, pose, pose), drawn.source, atol=1e-5)
        assert not torch.allclose(net(drawn.source, drawn.own, drawn.pose), drawn.source, atol=0.01)
    assert gate(torch.tensor([[0.0, 0.0], [0.0, -1.0], [0.01, 0.0]])).flatten().tolist() == [
        0.0, 1.0, pytest.approx(0.25),
    ]  # fmt: skip


def test_new_networks_hardly_change_anything() -> None:
    net, drawn = CartoonNet(TINY).eval(), batch()
    with torch.inference_mode():
        found = net.rotator(drawn.source, drawn.pose[:, list(ROTATE)])
    assert found.flow.abs().max() < 0.03 and found.attention.min() > 0.7
    assert (found.colour - drawn.source).abs().max() < 0.1


def test_flow_fetches_from_where_it_points() -> None:
    picture = torch.rand(1, 3, 8, 8)
    flow = torch.zeros(1, 2, 4, 4)
    flow[:, 0] = 2 * 2 / 8  # two pixels of eight, in half widths
    rotation = Rotation(torch.ones(1, 1, 8, 8), torch.zeros(1, 3, 8, 8), flow)
    by_colour, by_flow = rotate_picture(picture, rotation)
    assert torch.equal(by_colour, picture)
    assert torch.allclose(by_flow[..., :6], picture[..., 2:], atol=1e-5)


def test_blurred_pictures_say_where_a_thin_line_went() -> None:
    """A line two pixels wide, six off: sharp pictures give no direction, the pyramid does."""
    picture, target = torch.ones(1, 3, 64, 64), torch.ones(1, 3, 64, 64)
    picture[..., 30:32], target[..., 36:38] = -1, -1
    offset = torch.zeros(1, requires_grad=True)
    flow = torch.stack([offset.expand(1, 32, 32), torch.zeros(1, 32, 32)], 1)
    pyramid_difference(picture, flow, target).backward()
    assert offset.grad is not None and offset.grad.item() > 1e-3  # flow must become negative
    assert steps_of(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])).item() == pytest.approx(1.0)


def test_what_changes_counts_more() -> None:
    before = torch.zeros(1, 3, 9, 9)
    after = before.clone()
    after[..., 4, 4] = 1
    where = changed(before, after)
    assert where.sum() == 25 and where[0, 0, 2, 6] == 1 and where[0, 0, 1, 4] == 0
    assert error_over(before, after, where).item() == pytest.approx(1 / 25)
    assert error_over(2 * before, 2 * after, where, squared=True).item() == pytest.approx(4 / 25)
    assert error_over(before, after, torch.zeros_like(where)).item() == 0


def test_attention_is_taught_to_let_go_of_what_changes() -> None:
    where = torch.tensor([[[[1.0, 0.0]]]])
    assert mask_error(1 - where, where).item() == pytest.approx(1e-3, rel=0.01)
    half = mask_error(torch.full_like(where, 0.5), where).item()
    assert half == pytest.approx(np.log(2)) and mask_error(where, where).item() > half


def test_attention_next_to_one_is_one() -> None:
    assert snapped(torch.tensor([0.0, 0.01, 0.5, 0.99, 1.0])).tolist() == [0, 0, 0.5, 1, 1]


def test_triples_are_repeatable_and_held_out_ones_are_others() -> None:
    config = DrawingConfig(size=SIZE)
    one, again, held = (
        draw(7, 1, TRAINED, config),
        draw(7, 1, TRAINED, config),
        draw(7, 1, HELD_OUT, config),
    )
    assert np.array_equal(one.turned, again.turned) and np.array_equal(one.pose, again.pose)
    assert not np.array_equal(one.source, held.source)
    assert one.source.shape == (SIZE, SIZE, 3) and one.source.dtype == np.uint8
    assert not one.own[list(ROTATE)].any()
    poses = np.stack([draw(i, config=config).pose for i in range(40)])
    assert all(len(set(poses[:, i])) > 5 for i in range(len(POSE)))


def test_processes_draw_what_this_one_would() -> None:
    config = DrawingConfig(size=SIZE)
    made = drawers(0, config, first=3, workers=1)
    try:
        found = [made.take() for _ in range(3)]
    finally:
        made.close()
    for i, triple in enumerate(found, 3):
        assert np.array_equal(triple.turned, draw(i, config=config).turned)


def test_a_pool_holds_the_latest_and_draws_more_when_they_are_worn() -> None:
    config = DrawingConfig(size=SIZE)
    pool = DrawingPool(drawers(0, config), DrawingPoolConfig(4, most_uses=2.0), CPU, first=2)
    assert pool.made == 2
    for _ in range(6):
        got = pool.batch(3)
        assert got.source.shape == (3, 3, SIZE, SIZE) and got.pose.shape == (3, len(POSE))
        assert -1 <= got.source.min() < got.source.max() <= 1
    assert pool.made == 9 and pool.uses == pytest.approx(2.0)
    exact = DrawingPoolConfig(4, fresh=1)
    assert begin_at(exact, 9) == 5 and begin_at(exact, 2) == 0 and begin_at(pool.config, 9) == 9
    again = DrawingPool(drawers(0, config, 5), exact, CPU, 2, 9)
    assert again.made == 9 and again._buffer.held == pool._buffer.held == range(5, 9)
    one, other = (held._buffer.batch(4, newest=4) for held in (again, pool))
    assert all(torch.equal(one[name], other[name]) for name in ("pictures", "poses"))
    later = DrawingPool(drawers(0, config, 9), pool.config, CPU, 2, 9)
    poses = {tuple(draw(i, config=config).pose.tolist()) for i in range(9, 13)}
    assert later.made == 11 and set(map(tuple, later.batch(8).pose.tolist())) <= poses

    def failing(index: int) -> Triple:
        raise OSError("no")

    with pytest.raises(MemegenError, match="no"):
        DrawingPool(Workers(failing), DrawingPoolConfig(4), CPU, 1)


@pytest.mark.parametrize("loss", ["l1", "perceptual"])
def test_one_step_lowers_every_loss(loss: str) -> None:
    torch.manual_seed(0)
    task = CartoonTask(replace(SETTINGS, loss=loss, lr=2e-3, recolour=0.0), CPU)
    drawn = batch(4)
    drawn.pose[:, list(ROTATE)] = 0.8
    drawn.turned.copy_(drawn.morphed.roll(2, -1))
    task.set_learning_rates(0)
    task.time_share = 1.0  # all learn together
    first = {name: float(value) for name, value in task.train_step(0, drawn).items()}
    assert {"morph", "colour", "flow", "pyramid", "combined"} <= set(first)
    for step in range(1, 31):
        last = {name: float(value) for name, value in task.train_step(step, drawn).items()}
    assert all(last[name] < first[name] for name in ("morph", "colour", "pyramid", "combined"))


def test_only_what_is_asked_learns() -> None:
    task = CartoonTask(replace(SETTINGS, parts="rotator"), CPU)
    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    task.set_learning_rates(0)
    found = task.train_step(0, batch())
    after = task.network.state_dict()
    changed = {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"rotator"} and "morph" not in found  # the combiner's time comes later
    assert "combined" in task.losses(batch(), 0.5)


def test_steps_that_are_not_finite_are_left_out() -> None:
    task = CartoonTask(SETTINGS, CPU)
    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    drawn = batch()
    drawn.source[0], drawn.morphed[0] = torch.nan, torch.nan
    task.set_learning_rates(0)
    found = task.train_step(0, drawn)
    assert all(torch.isfinite(value) for value in found.values()) and found["skipped"] == 1
    with pytest.raises(MemegenError, match="not finite"):
        task.refuse_collapse(9, {"skipped": 0.95})
    assert all(
        torch.equal(value, before[name]) for name, value in task.network.state_dict().items()
    )


def test_rates_and_stages_follow_the_run() -> None:
    task = CartoonTask(replace(SETTINGS, steps=1000), CPU)

    def rate(step: int) -> float:
        task.set_learning_rates(step)
        return float(task.optimizer.param_groups[0]["lr"])

    assert rate(100) == rate(500) == SETTINGS.lr
    task.time_share = 0.75  # of its minutes
    assert rate(500) == pytest.approx(SETTINGS.lr * 0.5)
    assert "combined" not in task.losses(batch(), 0.1) and "combined" in task.losses(batch(), 0.5)


def test_train_resume_and_render(tmp_path: Path) -> None:
    def run(out: Path, steps: int, resume: bool = False) -> Path:
        how = Run(tmp_path, out, CPU, resume=resume, log=lambda _: None)
        return cartoon.train(replace(SETTINGS, steps=steps, decay=1e-9), how)

    whole = load_file(run(tmp_path / "whole", 4))
    run(tmp_path / "parts", 2)
    torch.manual_seed(5)
    path = run(tmp_path / "parts", 4, resume=True)
    resumed = load_file(path)
    assert all(torch.isfinite(value).all() for value in resumed.values())
    assert (tmp_path / "parts" / "sheets" / "after.png").exists()
    # What is shared out by shares of the run differs between two runs and one; what is drawn not.
    assert set(whole) == set(resumed)
    made = CartoonNetworks(file=str(path))
    crop = draw(0, config=DrawingConfig(size=48)).source
    poses = np.stack([posed(), posed(left_eye=1), posed(yaw=1, mouth=0.5)])
    frames = list(made.render(crop, poses))
    assert len(frames) == 3
    for picture, share in frames:
        assert picture.shape == crop.shape and picture.dtype == np.uint8
        assert share.shape == (48, 48) and 0 <= share.min() <= share.max() <= 1
    assert np.array_equal(frames[0][0], crop) and not frames[0][1].any()
    own = posed(left_eye=0.5)
    assert np.array_equal(next(made.render(crop, own[None], own))[0], crop)


def test_weights_of_other_poses_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cartoon.safetensors"
    net = CartoonNet(TINY)
    weights.save(path, net.state_dict(), "cartoon", TINY, au_order="left_eye")
    with pytest.raises(WeightsError, match="another list of pose numbers"):
        CartoonNetworks(file=str(path))


def test_it_trains_from_the_command_line_without_data(tmp_path: Path, run_cli: RunCli) -> None:
    out = tmp_path / "run"
    options = "--size 32 --width 4 --batch 2 --steps 2 --workers 0 --fresh 1 --no-half".split()
    run_cli("train", "cartoon", "--out", str(out), "--device", "cpu", *options, notes=True)
    about = weights.about(out / "cartoon.safetensors")
    assert about.metadata["au_order"].split() == list(POSE)
    assert about.metadata["data"] == "faces drawn by memegen"
    run_cli("train", "cartoon", "--out", str(out), "--resume", *options, notes=True)
