from pathlib import Path

import numpy as np
import pytest
import torch
from support.paths import SAMPLE

from memegen import aus, weights
from memegen.errors import WeightsError
from memegen.faces.align import Alignment, align
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.shape import mirror_order
from memegen.perception.analyze import FaceAnalyzer, read_crop
from memegen.perception.network import PerceptionConfig, PerceptionNet
from memegen.photo import read_photo

TINY = PerceptionConfig(size=32, widths=(4, 8), blocks=(0, 1), squeeze=2, hidden=16, components=5)


def test_shapes_at_batch_one_and_three() -> None:
    net = PerceptionNet(TINY).eval()
    for batch in (1, 3):
        said = net(torch.rand(batch, 3, 32, 32))
        assert said.landmarks.shape == (batch, 478, 3)
        assert said.action_units.shape == (batch, len(aus.CHANNELS))
        assert said.angles.shape == (batch, 3)


def test_decoder_is_mean_plus_code_times_components() -> None:
    net = PerceptionNet(TINY).eval()
    mean, components = torch.rand(478, 3), torch.rand(9, 478, 3)
    net.set_decoder(mean, components)
    torch.nn.init.zeros_(net.code.weight)
    net.code.bias.data = torch.arange(5.0)
    wanted = mean + (torch.arange(5.0)[:, None, None] * components[:5]).sum(0)
    assert torch.allclose(net(torch.rand(1, 3, 32, 32)).landmarks[0], wanted, atol=1e-4)


def tiny_weights(path: Path, **changes: object) -> Path:
    from dataclasses import asdict

    config = asdict(TINY) | changes
    net = PerceptionNet(TINY)
    weights.save(path, net.state_dict(), "perception", config, au_order=" ".join(aus.CHANNELS))
    return path


def test_weights_there_and_back(tmp_path: Path) -> None:
    path = tiny_weights(tmp_path / "p.safetensors")
    analyzer = FaceAnalyzer(str(path))
    assert analyzer.network.config == TINY
    seen = analyzer.analyze(read_photo(SAMPLE).rgb, np.array(
        [[205, 100], [245, 100], [225, 120], [208, 142], [242, 142]], np.float32))  # fmt: skip
    assert seen.landmarks.shape == (478, 3)
    assert ((seen.action_units >= 0) & (seen.action_units <= 2)).all()


def test_wrong_weights_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not found"):
        FaceAnalyzer(str(tmp_path / "none.safetensors"))
    path = tiny_weights(tmp_path / "p.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged"):
        FaceAnalyzer(str(path))
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match="damaged"):
        FaceAnalyzer(str(path))
    with pytest.raises(WeightsError, match="'anatomy', not for 'perception'"):
        FaceAnalyzer(str(weights.find("anatomy")))
    wrong = tiny_weights(tmp_path / "w.safetensors", hidden=17)
    with pytest.raises(WeightsError, match="another shape"):
        FaceAnalyzer(str(wrong))
    odd = tiny_weights(tmp_path / "o.safetensors", colour="red")
    with pytest.raises(WeightsError, match="unknown network sizes"):
        FaceAnalyzer(str(odd))


def test_non_finite_weights_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not written"):
        weights.save(
            tmp_path / "x.safetensors", {"a": torch.tensor([float("nan")])}, "perception", {}
        )
    assert not list(tmp_path.iterdir())


def test_read_crop_is_the_aligned_square() -> None:
    y, x = np.mgrid[:200, :300]
    rgb = np.stack([x, y, x * 0], -1).astype(np.uint8)
    points = np.array([[100, 80], [127, 80], [113, 95], [102, 106], [125, 106]], np.float32)
    frame = align(points)
    crop = read_crop(rgb, frame, 64)[0].numpy() * 255
    where = frame.to_photo(np.array([[0.25, 0.75]], np.float32))[0]
    assert crop[0, 48, 16] == pytest.approx(where[0], abs=2)
    assert crop[1, 48, 16] == pytest.approx(where[1], abs=2)


def test_read_crop_holds_the_edge_outside_the_photo() -> None:
    rgb = np.full((40, 40, 3), 77, np.uint8)
    points = np.array([[10, 12], [37, 12], [23, 25], [12, 36], [35, 36]], np.float32)
    assert np.allclose(read_crop(rgb, align(points), 32).numpy() * 255, 77, atol=0.5)


def test_a_mirrored_face_is_seen_mirrored() -> None:
    """Several looks see both sides alike: no face is read as lopsided by habit."""
    analyzer = FaceAnalyzer()
    photo = read_photo(SAMPLE).rgb
    points = np.array([[205, 100], [245, 100], [225, 120], [208, 142], [242, 142]], np.float32)
    frame = align(points)
    crop = (read_crop(photo, frame, 192)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    whole = Alignment(np.eye(2, dtype=np.float32) * 192, np.zeros(2, np.float32))
    points, units, angles = analyzer.predict(crop, whole)
    seen, sides, turned = analyzer.predict(np.ascontiguousarray(crop[:, ::-1]), whole)
    order = mirror_order(load_anatomy().canonical)
    assert np.allclose(1 - seen[order, 0], points[:, 0], atol=2e-3)
    assert np.allclose(aus.mirror(sides), units, atol=0.02)
    assert np.allclose(turned * [-1, 1, -1], angles, atol=0.5)
