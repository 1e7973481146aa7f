"""Weights of eight bits: how far they are off, and that they are used like any other."""

from pathlib import Path

import pytest
import torch
from support.command import RunCli

from memegen import weights
from memegen.errors import WeightsError
from memegen.generators.ganimation import GanimationConfig, GanimationGenerator, GanimationNet
from memegen.stored import FEWEST, SCALE, packed, unpacked

CONFIG = GanimationConfig(size=64, width=16, blocks=1)


def test_no_weight_is_off_by_more_than_half_a_step() -> None:
    torch.manual_seed(1)
    spread = torch.logspace(-4, 2, 8).view(8, 1, 1, 1)
    convolution = torch.randn(8, 16, 3, 3) * spread
    convolution[5] = 0
    tensors = {"a.weight": convolution, "a.bias": torch.randn(8), "count": torch.tensor(7)}
    tensors["small.weight"] = torch.randn(4, 4)
    stored = packed(tensors, "int8")
    assert stored["a.weight"].dtype == torch.int8 and stored["a.weight" + SCALE].shape == (8,)
    assert stored["a.weight"].abs().amax((1, 2, 3)).tolist() == [127] * 5 + [0] + [127] * 2
    found = unpacked(stored)
    assert found.keys() == tensors.keys()
    step = convolution.abs().amax((1, 2, 3), keepdim=True) / 127
    error = (found["a.weight"] - convolution).abs()
    assert (error <= step * 0.5001).all() and error.max() > 0
    rounding = (error / step.clamp(min=1e-9))[step.expand_as(error) > 0]
    assert rounding.square().mean().sqrt().item() == pytest.approx(12**-0.5, abs=0.02)
    assert found["small.weight"].dtype == found["a.bias"].dtype == torch.float16
    assert tensors["small.weight"].numel() < FEWEST and found["count"] == 7
    assert packed(tensors, "full")["a.weight"].dtype == torch.float32


def test_numbers_that_halves_do_not_reach_stay_as_they_are(tmp_path: Path) -> None:
    tensors = {"running_var": torch.tensor([1e6, 2.0]), "weight": torch.tensor([65504.0, -1.0])}
    for stored in ("half", "int8"):
        path = tmp_path / f"{stored}.safetensors"
        weights.save(path, tensors, "x", {}, stored=stored)
        found = weights.load(str(path), "x").tensors
        assert found["running_var"].tolist() == [1e6, 2.0]
        assert found["weight"].dtype == torch.float16 and found["weight"][0] == 65504
    with pytest.raises(WeightsError, match="infinite"):
        weights.save(tmp_path / "x.safetensors", {"a": torch.tensor([float("inf")])}, "x", {})


def test_eight_bits_are_loaded_like_halves(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = GanimationNet(CONFIG).eval()
    halves, bytes_ = tmp_path / "half.safetensors", tmp_path / "int8.safetensors"
    weights.save(halves, network.state_dict(), "ganimation", CONFIG, source="here")
    weights.save(bytes_, network.state_dict(), "ganimation", CONFIG, stored="int8", source="here")
    assert bytes_.stat().st_size < 0.62 * halves.stat().st_size
    one, other = weights.about(halves), weights.about(bytes_)
    assert one.shapes == other.shapes and one.numbers == other.numbers and "I8" in other.types
    assert other.metadata["source"] == "here" and "8 bits" in other.metadata["numbers"]
    assert "numbers" not in one.metadata
    again, _ = weights.load_network(str(bytes_), "ganimation")
    photo, units = torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(2, 17)
    with torch.inference_mode():
        for a, b in zip(network(photo, units), again(photo, units), strict=True):
            assert (a - b).abs().max() < 0.03
    assert GanimationGenerator("cpu", str(bytes_)).network.config == CONFIG
    broken = {n: t.clone() for n, t in network.state_dict().items()}
    broken["colour.weight"][0, 0, 0, 0] = float("nan")
    with pytest.raises(WeightsError, match="not written"):
        weights.save(bytes_, broken, "ganimation", CONFIG, stored="int8")


def test_the_command_compresses(tmp_path: Path, run_cli: RunCli) -> None:
    source, out = tmp_path / "ganimation.safetensors", tmp_path / "small.safetensors"
    weights.save(source, GanimationNet(CONFIG).state_dict(), "ganimation", CONFIG, steps="9")
    said = run_cli("weights", "compress", str(source), "-o", str(out))
    assert said.out.strip() == str(out) and "MB ->" in said.err
    assert weights.about(out).metadata["steps"] == "9"
    assert "architecture" in run_cli("weights", "info", str(out)).out
