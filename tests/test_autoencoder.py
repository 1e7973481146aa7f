"""Autoencoder and Fader networks: their sizes, what the label does, and photos."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.autoencoder import TINY, tiny_autoencoder
from support.command import RunCli
from support.faces import scene_of, vector
from support.paths import SAMPLE
from torch import nn

from memegen import aus
from memegen.errors import UsageError, WeightsError
from memegen.evaluation.checkerboard import PERIODS, checkerboard
from memegen.generators import generator_named
from memegen.generators.autoencoder import (
    AutoencoderConfig,
    AutoencoderGenerator,
    AutoencoderNet,
    AutoencoderRenderer,
    LatentClassifier,
    adversary_loss,
    classifier_loss,
    config_of,
    labels_of,
)
from memegen.geometry.anatomy import Anatomy

Convolution = (nn.Conv2d, nn.ConvTranspose2d)


def convolutions(network: nn.Module) -> list[tuple[int, int, tuple[int, ...]]]:
    """Channels in and out, and the kernel, in order."""
    return [
        (m.in_channels, m.out_channels, tuple(m.kernel_size))
        for m in network.modules()
        if isinstance(m, Convolution)
    ]


def of_kind(network: nn.Module, kind: type) -> int:
    return sum(isinstance(m, kind) for m in network.modules())


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_channels_are_the_published_ones() -> None:
    found = AutoencoderNet()
    widths = [3, 8, 16, 32, 64, 128, 256, 512]
    down = [(a, b, (4, 4)) for a, b in itertools.pairwise(widths)]
    assert convolutions(found.encoder) == down
    into, out = [513, 257, 129, 65, 33, 17, 9], [256, 128, 64, 32, 16, 8, 3]
    assert convolutions(found.decoder) == [(a, b, (3, 3)) for a, b in zip(into, out, strict=True)]
    assert not of_kind(found.encoder, nn.BatchNorm2d) and not of_kind(found, nn.ConvTranspose2d)
    assert of_kind(found.decoder, nn.Upsample) == 7
    classifier = LatentClassifier(found.config)
    assert of_kind(classifier, nn.Linear) == 3
    assert classifier(torch.zeros(2, 512, 2, 2)).shape == (2,)
    photo = torch.zeros(1, 3, 256, 256)
    assert found.encode(photo).shape[1:] == found.config.latent == (512, 2, 2)
    assert found(photo, torch.zeros(1)).shape == photo.shape


def test_the_baseline_is_fader() -> None:
    fader = AutoencoderNet(AutoencoderConfig(fader=True))
    assert [c[0] for c in convolutions(fader.decoder)] == [514, 258, 130, 66, 34, 18, 10]
    assert of_kind(fader.decoder, nn.ConvTranspose2d) == 7
    assert of_kind(fader.encoder, nn.BatchNorm2d) == 7
    assert convolutions(fader.encoder) == convolutions(AutoencoderNet().encoder)


def test_fewer_parameters_are_those_of_the_decoder() -> None:
    """The published 43.7% is 1 - 9/16, 3x3 for 4x4, of the decoder; of the whole it is 22%."""
    ours, fader = AutoencoderNet(), AutoencoderNet(AutoencoderConfig(fader=True))
    fewer = 1 - parameters(ours.decoder) / parameters(fader.decoder)
    assert fewer == pytest.approx(0.437, abs=0.003)
    assert 1 - parameters(ours) / parameters(fader) == pytest.approx(0.220, abs=0.002)


def test_sizes_in_between() -> None:
    assert config_of(256) == AutoencoderConfig()
    assert config_of(32, fader=True) == AutoencoderConfig(32, (8, 16, 32, 64), True)
    for size in (8, 100, 512):
        with pytest.raises(UsageError, match="must be 16"):
            config_of(size)


@pytest.mark.parametrize("fader", [False, True])
def test_the_label_is_told_at_every_level(fader: bool) -> None:
    network = AutoencoderNet(config_of(32, fader)).eval()
    seen: list[torch.Tensor] = []
    for level in network.decoder:
        level.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    network(torch.rand(2, 3, 32, 32), torch.tensor([0.25, 1.0]))
    assert [x.shape[2] for x in seen] == [2, 4, 8, 16]
    for x in seen:
        assert (x[0, -1] == 0.25).all() and (x[1, -1] == 1).all()
        if fader:
            assert (x[0, -2] == 0.75).all() and (x[1, -2] == 0).all()


def test_the_encoder_pays_for_what_the_classifier_reads() -> None:
    label = torch.tensor([1.0, 0.0])
    odds = [torch.tensor([sure, -sure]) for sure in (-2.0, 0.0, 2.0)]
    told = [classifier_loss(o, label).item() for o in odds]
    paid = [adversary_loss(o, label).item() for o in odds]
    assert told[0] > told[1] > told[2] and paid[0] < paid[1] < paid[2]
    torch.manual_seed(1)
    classifier = LatentClassifier(TINY).eval()
    code = torch.randn(2, *TINY.latent).requires_grad_()
    before = classifier(code)
    slope = torch.autograd.grad(adversary_loss(before, label), code)[0]
    after = classifier(code - 0.1 * slope / slope.norm())
    assert after[0] < before[0] and after[1] > before[1]  # each is less sure of the right one


def test_labels_are_intensities_of_the_smile() -> None:
    asked = np.stack([vector(AU12=4), vector(AU12L=5), vector(AU1=5, AU6=5)])
    assert labels_of(asked).tolist() == pytest.approx([0.8, 0.5, 0.0])


@pytest.mark.parametrize("name", ["autoencoder", "fader"])
def test_only_the_change_is_put_into_the_photo(
    name: str, tmp_path: Path, face: np.ndarray, anatomy: Anatomy
) -> None:
    generator = generator_named(str(tiny_autoencoder(tmp_path, name)))
    assert generator.name == name
    scene = scene_of(face, anatomy, 96)
    renderer = generator.prepare(scene)
    assert isinstance(renderer, AutoencoderRenderer)
    own = scene.motion.source
    other, smile = own + vector(AU4=5, AU26=5), own + vector(AU12=5)
    images = list(renderer.render(np.stack([own, other, smile])))
    photo = scene.picture.astype(np.float32)
    assert np.abs(np.stack(images[:2]) - photo).max() < 0.01  # of 255
    changed = np.abs(images[2] - photo)
    assert changed[32:64, 32:64].mean() > 5 * changed[[0, -1]].mean()  # feathered
    # Not the reconstruction is put in, but what the label changes of it.
    with torch.inference_mode():
        code = renderer.network.encode(renderer.seen * 2 - 1)
        calm, smiling = (renderer.network.decode(code, torch.tensor([at])) for at in (0.0, 1.0))
    wanted = ((smiling - calm) * 255 / 2)[0, :, 8:24, 8:24]
    added = torch.from_numpy(images[2] - photo).permute(2, 0, 1)
    reduced = F.interpolate(added[None], size=(32, 32), mode="area")[0, :, 8:24, 8:24]
    assert torch.corrcoef(torch.stack([wanted.flatten(), reduced.flatten()]))[0, 1] > 0.9


def test_the_published_output_is_there_to_be_judged(tmp_path: Path) -> None:
    generator = generator_named(str(tiny_autoencoder(tmp_path)))
    assert isinstance(generator, AutoencoderGenerator)
    crops, labels = torch.rand(2, 3, 32, 32), torch.tensor([0.0, 1.0])
    found = generator.reconstruct(crops, labels)
    assert found.shape == crops.shape and 0 <= found.min() < found.max() <= 1
    with torch.inference_mode():
        assert torch.equal(found, (generator.network(crops * 2 - 1, labels) + 1) / 2)
    with pytest.raises(WeightsError, match="for 'autoencoder', not for 'fader'"):
        type(generator_named(str(tiny_autoencoder(tmp_path / "b", "fader"))))(
            "cpu", str(tiny_autoencoder(tmp_path))
        )


def test_photos_are_animated_by_a_run(tmp_path: Path, run_cli: RunCli) -> None:
    run = tiny_autoencoder(tmp_path / "run").parent
    out = tmp_path / "smile.png"
    asked = ["--model", str(run), "--au", "AU12=5", "--still", "-o", str(out)]
    run_cli("animate", str(SAMPLE), *asked)
    assert out.is_file()
    run_cli("animate", str(SAMPLE), "--model", "autoencoder", "--au", "AU12=5", code=4)
    assert len(aus.channels_of("AU12")) == 2


def smooth_noise(random: np.random.Generator, side: int) -> np.ndarray:
    """(16, side, side, 3) pictures whose spectrum falls like that of photos, in 0..1."""
    line = np.fft.fftfreq(side)
    distance = np.hypot(line[:, None], line[None]) + 1 / side
    noise = np.fft.fft2(random.normal(size=(16, side, side))) / distance
    found = np.fft.ifft2(noise).real
    return np.repeat((0.5 + 0.1 * found / found.std())[..., None], 3, -1).astype(np.float32)


def test_checkerboards_are_told_by_period() -> None:
    photos = smooth_noise(np.random.default_rng(0), 128)
    plain = checkerboard(photos)
    assert list(plain) == list(PERIODS)
    assert all(0.7 < energy < 1.4 for energy in plain.values())
    assert checkerboard(photos * 255)[4] == pytest.approx(plain[4], rel=1e-3)
    at = np.arange(128)
    for period in PERIODS:
        line = np.where(at % period < period // 2, 1.0, -1.0)
        pattern = 0.05 * line[:, None] * line[None] * (1 + np.sin(at / 30))
        found = checkerboard(photos + pattern[None, ..., None].astype(np.float32))
        assert found[period] > 2 * plain[period]
        assert all(found[p] < 1.5 * plain[p] for p in PERIODS if p > period)
    # The classic one: a kernel that its stride does not divide counts some pixels twice.
    small = torch.from_numpy(smooth_noise(np.random.default_rng(1), 64)).permute(0, 3, 1, 2)
    kernel = torch.ones(1, 1, 3, 3) / 4
    uneven = F.conv_transpose2d(small[:, :1], kernel, stride=2)[..., :128, :128]
    even = F.interpolate(small[:, :1], scale_factor=2, mode="bilinear")
    energy = [
        checkerboard(x.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy())[2] for x in (uneven, even)
    ]
    assert energy[0] > 100 * energy[1]
