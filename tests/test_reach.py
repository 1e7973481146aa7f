"""Gains of the anatomy: what is measured, what limits it; weights of older lists of channels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.faces import vector
from support.shards import make_shards

from memegen import aus, weights
from memegen.errors import WeightsError
from memegen.geometry.anatomy import Anatomy, load_anatomy
from memegen.geometry.shape import mirror_order
from memegen.geometry.topology import BROW_LEFT, FACE_OVAL
from memegen.training import anatomy as calibration
from memegen.training import au_gains
from memegen.training.run import Run

OLD = tuple(c for c in aus.CHANNELS if not c.startswith(("AU16", "AU24")))


def test_markers_see_what_moves_and_on_which_side(anatomy: Anatomy) -> None:
    shapes = anatomy.canonical + anatomy.displacement(np.stack([vector(), vector(AU9L=5)]))
    seen = au_gains.marked(shapes)
    change = {channel: float(value[1] - value[0]) for channel, value in seen.items()}
    assert change["AU9L"] > 0.5 > 0.2 > change["AU9R"]
    mirrored = shapes[:, mirror_order(anatomy.canonical)[:468]] * np.array([-1, 1, 1])
    assert au_gains.marked(mirrored)["AU9R"] == pytest.approx(seen["AU9L"])
    frown = anatomy.canonical + anatomy.displacement(np.stack([vector(), vector(AU15=5)]))
    assert np.ptp(au_gains.marked(frown)["AU15L"]) > 0.3


def test_a_change_holds_its_own_displacement_as_often_as_it_was_added(anatomy: Anatomy) -> None:
    unit = anatomy.units[aus.INDEX["AU12L"]]
    assert au_gains.along(np.stack([0 * unit, unit, 2.5 * unit]), unit) == pytest.approx(
        [0, 1, 2.5]
    )


def test_limits_are_what_pairs_show(anatomy: Anatomy) -> None:
    unit = anatomy.units[aus.INDEX["AU26"]]
    shapes = np.stack([anatomy.canonical + k * unit for k in (0, 0.5, 1.5)])
    most = au_gains.limits(anatomy, shapes, np.array([[0, 1], [1, 0], [2, 0]] * 50))
    assert most[aus.INDEX["AU26"]] == pytest.approx(1.5, rel=1e-3)
    assert most[aus.INDEX["AU51"]] == 1  # moves no vertex


def test_gains_make_up_for_what_is_not_seen_within_limits() -> None:
    ones, most = np.ones(len(aus.CHANNELS), np.float32), np.full(len(aus.CHANNELS), 1.0, np.float32)
    report = {
        1: {"slope": 0.5, "follows": 0.1}, 12: {"slope": 0.9, "follows": 0.5},
        26: {"slope": 0.1, "follows": 0.5}, 9: {"slope": 0.1, "follows": 1.0},
        17: {"slope": 3.0, "follows": 0.5},
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(au_gains, "MOST_GAIN", {**au_gains.MOST_GAIN, 12: 1.25})
        gains = au_gains.next_gains(ones, report, most)
    by = {n: gains[aus.INDEX[aus.BY_NUMBER[n].channels[0]]] for n in report}
    assert by[1] == pytest.approx(2)  # asked twice
    assert by[12] == pytest.approx(1 / 0.9)
    assert by[26] == pytest.approx(au_gains.MOST_GAIN[26])  # what was looked at
    assert by[9] == pytest.approx(1)  # no further than real faces are seen to go
    assert by[17] == pytest.approx(au_gains.LEAST_GAIN)
    assert gains[aus.INDEX["AU51"]] == 1


def test_reach_is_measured_by_perception_without_a_judge(
    tmp_path: Path, anatomy: Anatomy, face: np.ndarray
) -> None:
    make_shards(tmp_path, anatomy, face)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(au_gains, "MOST_GAIN", {12: 1.2})
        patch.setattr(au_gains, "SHUT", {"jawOpen": 2.0})
        patch.setattr(au_gains, "FRONTAL", 180.0)
        path = au_gains.train(
            au_gains.AuGainsTraining(steps=1), Run(tmp_path, tmp_path / "out", log=said.append)
        )
    assert len(said) == au_gains.ROUNDS and "AU12" in said[0]
    gains = load_anatomy(str(path)).gains
    assert au_gains.LEAST_GAIN <= gains[aus.INDEX["AU12L"]] <= 1.2 + 1e-3
    assert gains[aus.INDEX["AU7L"]] == pytest.approx(au_gains.UNSEEN_GAIN[7], abs=1e-3)


def test_evened_skin_has_no_folds_and_brows_keep_their_thickness(anatomy: Anatomy) -> None:
    lift = np.zeros((1, 468, 3), np.float32)
    lift[0, list(BROW_LEFT[:5]), 1] = 0.2
    even = calibration.relaxed(lift, anatomy.canonical, anatomy.triangles)[0, :, 1]
    assert even[list(BROW_LEFT)] == pytest.approx(0.1, abs=1e-6)
    assert (even[list(FACE_OVAL)] == 0).all()
    assert 0.02 < even[337] < even[336] + 1e-6  # forehead above the inner end follows, less
    again = calibration.relaxed(lift, anatomy.canonical, anatomy.triangles)[0, :, 1]
    assert np.allclose(again, even, atol=1e-6)


def test_weights_of_an_older_list_are_matched_by_name(tmp_path: Path) -> None:
    assert len(OLD) == len(aus.CHANNELS) - 3
    numbers = torch.arange(len(OLD), dtype=torch.float32) + 1
    path = tmp_path / "older.safetensors"
    weights.save(
        path,
        {"action_units.2.weight": numbers[:, None], "action_units.2.bias": numbers},
        "perception", {"channels": len(OLD)}, au_order=" ".join(OLD),
    )  # fmt: skip
    file = weights.load(str(path), "perception")
    assert file.config["channels"] == len(aus.CHANNELS)
    bias = file.tensors["action_units.2.bias"]
    assert [float(bias[aus.INDEX[c]]) for c in OLD] == numbers.tolist()
    assert float(bias[aus.INDEX["AU24"]]) == float(bias[aus.INDEX["AU16L"]]) == 0
    assert file.tensors["action_units.2.weight"].shape == (len(aus.CHANNELS), 1)


def test_columns_of_change_and_wish_are_both_matched(tmp_path: Path) -> None:
    columns = torch.arange(2 * len(OLD), dtype=torch.float32)[None]
    path = tmp_path / "older.safetensors"
    weights.save(path, {"mouth.read.0.weight": columns}, "anatomical", {}, au_order=" ".join(OLD))
    found = weights.load(str(path), "anatomical").tensors["mouth.read.0.weight"][0]
    count = len(aus.CHANNELS)
    assert len(found) == 2 * count
    assert [float(found[aus.INDEX[c]]) for c in OLD] == list(range(len(OLD)))
    assert [float(found[count + aus.INDEX[c]]) for c in OLD] == list(range(len(OLD), 2 * len(OLD)))
    assert float(found[count + aus.INDEX["AU24"]]) == 0


def test_unknown_or_missing_orders_are_refused(tmp_path: Path) -> None:
    for order in ("AU12L AU99", ""):
        path = tmp_path / "other.safetensors"
        weights.save(
            path, {"action_units.2.bias": torch.zeros(2)}, "perception", {}, au_order=order
        )
        with pytest.raises(WeightsError, match="another list of action units"):
            weights.load(str(path), "perception")


def test_weights_that_were_trained_meanwhile_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = weights.find("anatomy")
    monkeypatch.setenv("MEMEGEN_WEIGHTS", str(tmp_path))
    source = tmp_path / "anatomy.safetensors"
    source.write_bytes(shipped.read_bytes())
    before = load_anatomy()
    assert load_anatomy() is before and load_anatomy("anatomy") is before
    file = weights.load(str(source), "anatomy")
    doubled = file.tensors | {"gains": file.tensors["gains"] * 2}
    weights.save(source, doubled, "anatomy", file.config, au_order=" ".join(aus.CHANNELS))
    np.testing.assert_allclose(load_anatomy().gains, 2 * before.gains)
