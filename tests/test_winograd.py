"""Convolutions with fewer multiplications: what comes out is what plain ones give."""

import numpy as np
import pytest
import torch
from torch import nn

from memegen import winograd
from memegen.folding import folded, quickened
from memegen.perception.network import PerceptionConfig, PerceptionNet
from memegen.winograd import PLACES, WinogradConv2d, multiplications, transforms


def conv(inputs: int, outputs: int, **given: object) -> nn.Conv2d:
    torch.manual_seed(0)
    asked = {"kernel_size": 3, "padding": 1, **given}
    return nn.Conv2d(inputs, outputs, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", PLACES)
def test_a_tile_is_filtered_exactly(side: int) -> None:
    matrices, rng = transforms(side), np.random.default_rng(side)
    tile, kernel = rng.normal(size=(side + 2, side + 2)), rng.normal(size=(3, 3))
    wanted = [(tile[y : y + 3, x : x + 3] * kernel).sum() for y in range(side) for x in range(side)]
    found = matrices.back @ ((matrices.kernel @ kernel.ravel()) * (matrices.into @ tile.ravel()))
    np.testing.assert_allclose(found, wanted, atol=2e-5)


@pytest.mark.parametrize("side", PLACES)
@pytest.mark.parametrize(("height", "width"), [(9, 9), (18, 13), (7, 36)])
def test_images_of_any_size_come_out_as_of_the_plain_one(
    side: int, height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, images = conv(40, 48, bias=side != 3), torch.randn(5, 40, height, width)
    quick = WinogradConv2d(plain)
    monkeypatch.setattr(quick, "_side", lambda *size: side)
    monkeypatch.setattr(winograd, "AT_ONCE", 1 << 16)  # images in several parts
    with torch.inference_mode():
        found = quick(images)
        assert found.shape == plain(images).shape
        torch.testing.assert_close(found, plain(images), atol=2e-5, rtol=1e-4)


def test_it_is_used_where_it_saves_most_and_not_where_it_saves_little() -> None:
    wide, narrow = conv(128, 128), conv(8, 8)
    plain = 128 * 128 * 9 * 18 * 18
    costs = {side: multiplications(wide, side, 18, 18) for side in PLACES}
    assert costs[3] == 36 * 25 * (128 * 128 + 25 * 128 + 9 * 128) == min(costs.values())
    assert costs[3] < 0.4 * plain
    assert WinogradConv2d(wide)._side(18, 18) == 3
    assert WinogradConv2d(narrow)._side(18, 18) is None
    assert WinogradConv2d(wide)._side(1, 1) is None


@pytest.mark.parametrize(
    ("given", "fits"),
    [({}, True), ({"stride": 2}, False), ({"padding": 0}, False), ({"groups": 2}, False),
     ({"dilation": 2, "padding": 2}, False), ({"kernel_size": 1, "padding": 0}, False),
     ({"padding_mode": "reflect"}, False)],
)  # fmt: skip
def test_other_convolutions_are_left_alone(given: dict[str, object], fits: bool) -> None:
    assert winograd.fits(conv(4, 4, **given)) is fits


def test_gradients_and_halves_take_the_plain_one() -> None:
    quick, images = WinogradConv2d(conv(64, 64)), torch.randn(1, 64, 12, 12, requires_grad=True)
    assert quick._side(12, 12)
    quick(images).sum().backward()
    assert images.grad is not None and images.grad.abs().max() > 0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert quick(images.detach()).dtype == torch.bfloat16


@pytest.mark.parametrize("pays", [True, False])
def test_a_quickened_network_says_the_same_with_the_same_weights(
    pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "pays", lambda: pays)
    size = PerceptionConfig(size=72, widths=(8, 64, 96), blocks=(0, 1, 1), squeeze=2, hidden=16)
    net = folded(PerceptionNet(size))
    quick = quickened(net)
    used = [module for module in quick.modules() if isinstance(module, WinogradConv2d)]
    assert len(used) == (4 if pays else 0) and not any(
        isinstance(module, WinogradConv2d) for module in net.modules()
    )
    own = {id(weights) for weights in net.parameters()}
    assert all(id(weights) in own for weights in quick.parameters())
    crops = torch.rand(3, 3, 72, 72)
    with torch.inference_mode():
        for wanted, found in zip(net(crops), quick(crops), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert any(module._kernels for module in used) is pays
