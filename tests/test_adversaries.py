"""Adversaries: each formula by hand, and the discriminators that play them."""

import pytest
import torch
from torch import Tensor, nn

from memegen.training.adversaries import (
    ADVERSARIES,
    PENALTY,
    Adversary,
    Equilibrium,
    Hinge,
    LeastSquares,
    Wasserstein,
)
from memegen.training.discriminator import (
    AutoencodingDiscriminator,
    MultiScaleDiscriminator,
    PatchDiscriminator,
    feature_distance,
)

REAL, MADE = torch.tensor([0.5, 2.0]), torch.tensor([-0.5, 0.25])


@pytest.mark.parametrize(
    ("game", "discriminator", "generator"),
    [
        (Hinge(), (0.5 + 0.0) / 2 + (0.5 + 1.25) / 2, 0.125),
        (LeastSquares(), ((0.25 + 1.0) / 2 + (0.25 + 0.0625) / 2) / 2, (2.25 + 0.5625) / 4),
        (Wasserstein(), -0.125 - 1.25, 0.125),
        (Equilibrium(k=0.5), 1.25 - 0.5 * -0.125, -0.125),
    ],
)
def test_formulas(game: Adversary, discriminator: float, generator: float) -> None:
    assert game.discriminator(REAL, MADE).item() == pytest.approx(discriminator)
    assert game.generator(MADE).item() == pytest.approx(generator)


def test_only_wasserstein_has_a_penalty() -> None:
    found = {name: make().penalty for name, make in ADVERSARIES.items()}
    assert found == {"hinge": 0, "lsgan": 0, "wgan-gp": PENALTY, "began": 0}


def test_the_distance_of_verdicts_is_told() -> None:
    assert Hinge().update(REAL, MADE)["distance"].item() == pytest.approx(1.375)
    assert Hinge().state() == {}


def test_began_moves_k_toward_the_balance_and_keeps_it_in_bounds() -> None:
    game = Equilibrium(balance=0.5, rate=0.1, k=0.2)
    found = game.update(torch.tensor([0.4]), torch.tensor([0.1]))  # generated too well: mind it
    assert game.k == pytest.approx(0.2 + 0.1 * (0.5 * 0.4 - 0.1))
    assert found["convergence"].item() == pytest.approx(0.4 + abs(0.5 * 0.4 - 0.1))
    assert found["k"].item() == pytest.approx(game.k)
    before = game.k
    game.update(torch.tensor([0.4]), torch.tensor([0.9]))  # too badly: look at real ones
    assert game.k < before
    for error, bound in ((100.0, 0.0), (0.0, 1.0)):
        for _ in range(3):
            game.update(torch.tensor([50.0]), torch.tensor([error]))
        assert game.k == bound
    game.update(torch.tensor([float("nan")]), torch.tensor([0.0]))
    assert game.k == 1.0
    again = Equilibrium()
    again.restore(game.state())
    assert again.k == 1.0


def test_scales_see_halved_pictures_and_count_alike() -> None:
    several, one = MultiScaleDiscriminator(3, 3), PatchDiscriminator(3)
    window = torch.rand(2, 6, 64, 64)
    verdicts, features = several(window)
    assert verdicts.shape == (2, 3 * 8 * 8) and len(features) == 3 * len(one.layers)
    assert [f.shape[-1] for f in features[:: len(one.layers)]] == [32, 16, 8]
    with torch.no_grad():
        small = several.scales[2](nn.functional.avg_pool2d(window, 4))[0]
    assert verdicts[:, 128:].mean().item() == pytest.approx(small.mean().item(), abs=1e-5)


def test_the_autoencoding_critic_rates_by_what_it_cannot_rebuild() -> None:
    torch.manual_seed(0)
    critic = AutoencodingDiscriminator(32, 8, 16)
    known, strange = torch.full((4, 6, 32, 32), 0.3), torch.rand(4, 6, 32, 32)
    errors, features = critic(known)
    assert errors.shape == (4, 3, 32, 32) and features == []
    assert feature_distance([], []) == 0
    assert torch.equal(errors, (known[:, :3] - critic.reconstruct(known[:, :3])).abs())
    optimizer = torch.optim.Adam(critic.parameters(), 3e-3)
    first = errors.mean().item()

    def rated(picture: Tensor) -> Tensor:
        return critic(picture)[0].mean()  # type: ignore[no-any-return]

    for _ in range(25):
        loss = rated(known)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert rated(known).item() < 0.5 * first
    assert rated(known) < rated(strange)
