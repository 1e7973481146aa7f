"""The anatomical generator: windows, composition, networks, on tiny random weights."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from support.faces import scene_of, vector
from support.networks import TINY, tiny_file
from support.paths import SAMPLE

import memegen
from memegen import aus, weights
from memegen.arrays import LUMA
from memegen.errors import UsageError, WeightsError
from memegen.generators import Scene, generator_named
from memegen.generators.anatomical import AnatomicalRenderer, attention_map, composite
from memegen.generators.compose import compose, compose_low, enlarge, shift
from memegen.generators.network import (
    GeneratorConfig,
    GeneratorNet,
    WindowOutput,
    condition_of,
    smoothed,
)
from memegen.generators.windows import (
    MOUTH,
    draw_masks,
    fade,
    pixel_positions,
    place,
    sample_flow,
    sample_window,
    to_pixels,
    window_box,
)
from memegen.geometry.anatomy import Anatomy, load_anatomy
from memegen.geometry.box import Box
from memegen.geometry.motion import FaceMotion
from memegen.geometry.outline import fill
from memegen.geometry.shape import mirror_order
from memegen.geometry.topology import LIPS_INNER
from memegen.perception.analyze import read_crop
from memegen.photo import read_photo

SIDE = 128


def window_over(left: float, top: float, side: float) -> torch.Tensor:
    """The affine of an upright window over so many pixels."""
    half = side / 2
    return torch.tensor([[[half, 0, left + half], [0, half, top + half]]])


def painted_with(attention: float, colour: torch.Tensor, side: int) -> WindowOutput:
    return WindowOutput(
        torch.full((1, 1, side, side), attention), colour, torch.zeros(1, 2, side, side)
    )


def test_composition_is_ganimations_where_the_picture_has_no_finer_detail() -> None:
    """out = A * moved + (1 - A) * C at the network's own resolution."""
    image, colour = torch.rand(1, 3, 12, 20), torch.rand(1, 3, 8, 8)
    affine = window_over(5, 2, 8)
    seen = sample_window(image, affine, 8)
    assert torch.allclose(seen, image[:, :, 2:10, 5:13], atol=1e-5)
    box, part = compose(image, affine, seen, painted_with(0.3, colour, 8))
    inside = part[:, :, 2 - box.top : 10 - box.top, 5 - box.left : 13 - box.left]
    assert torch.allclose(inside, 0.3 * seen + 0.7 * colour, atol=1e-4)


def test_composition_keeps_detail_as_attention_says() -> None:
    """out = A * moved + (1 - A) * C + A (1 - A) * D, on a picture finer than the window."""
    noise = torch.randn(1, 3, 64, 64) * 0.1
    image = 0.5 + noise
    affine = window_over(0, 0, 64)
    seen = torch.full((1, 3, 16, 16), 0.5)
    for attention in (1.0, 0.6, 0.0):
        _, part = compose(image, affine, seen, painted_with(attention, seen + 0.2, 16))
        low, kept = (1 - attention) * 0.2, 1 - (1 - attention) ** 2
        middle = slice(8, 56)
        expected = (0.5 + low + kept * noise)[:, :, middle, middle]
        assert torch.allclose(part[:, :, middle, middle], expected, atol=1e-4)


def test_full_attention_and_no_residual_change_nothing() -> None:
    image = torch.rand(1, 3, 30, 40)
    seen = sample_window(image, window_over(8, 4, 20), 8)
    for put in (compose, compose_low):
        box, part = put(
            image, window_over(8, 4, 20), seen, painted_with(1.0, torch.rand(1, 3, 8, 8), 8)
        )
        assert torch.allclose(part, image[:, :, box.top : box.bottom, box.left : box.right],
                              atol=1e-5)  # fmt: skip


def test_light_and_colour_change_under_all_detail() -> None:
    """out = moved + (1 - A) * (C - smooth(moved)): nothing that is drawn is painted over."""
    noise = torch.randn(1, 3, 64, 64) * 0.1
    seen, affine = torch.full((1, 3, 16, 16), 0.5), window_over(0, 0, 64)
    middle = slice(8, 56)
    for attention in (1.0, 0.6, 0.0):
        rendered = painted_with(attention, seen + 0.25, 16)
        _, part = compose_low(0.5 + noise, affine, seen, rendered)
        expected = (0.5 + noise + (1 - attention) * 0.25)[..., middle, middle]
        assert torch.allclose(part[..., middle, middle], expected, atol=1e-4)


def test_residual_flow_samples_where_it_points() -> None:
    image = torch.arange(20.0).expand(1, 3, 20, 20) / 20
    affine = window_over(2, 2, 16)
    seen = sample_window(image, affine, 16)
    right = torch.tensor([2 / 16 * 2, 0.0]).view(1, 2, 1, 1).expand(1, 2, 16, 16)  # two pixels
    rendered = WindowOutput(torch.ones(1, 1, 16, 16), seen, right)
    box, part = compose(image, affine, seen, rendered)
    middle = part[0, 0, 6 - box.top, 6 - box.left : 12 - box.left]
    assert torch.allclose(middle, image[0, 0, 6, 8:14], atol=1e-3)
    assert torch.allclose(shift(seen, right)[0, 0, 5, 3:9], seen[0, 0, 5, 5:11], atol=1e-4)


def test_enlarging_covers_the_box_and_nothing_outside_the_window() -> None:
    affine = window_over(10, 10, 50)
    large = enlarge(torch.ones(1, 1, 8, 8), affine, Box(0, 0, 71, 67))
    assert large.shape == (1, 1, 67, 71)
    assert large[0, 0, 30, 30] == pytest.approx(1, abs=1e-5)
    assert large[0, 0, :2].abs().max() == 0 and large[0, 0, :, 69:].abs().max() == 0


def test_window_positions_are_the_inverse_of_the_affine() -> None:
    affine = torch.tensor([[[3.0, 1.0, 20.0], [-1.0, 3.0, 30.0]]])
    box = window_box(affine.numpy(), 100, 100)
    where = pixel_positions(affine, box)[0]
    pixel = where[5, 7] @ affine[0, :, :2].T + affine[0, :, 2]
    assert torch.allclose(pixel, torch.tensor([box.left + 7.5, box.top + 5.5]), atol=1e-4)
    coarse = pixel_positions(affine, box, 2)[0]
    assert torch.allclose(coarse[1, 2], where[2:4, 4:6].mean((0, 1)), atol=1e-5)


def test_mesh_flow_is_read_in_window_units() -> None:
    flow = torch.zeros(1, 2, 40, 40)
    flow[:, 0] = 4.0  # pixels to the right
    assert torch.allclose(sample_flow(flow, window_over(10, 10, 16), 8)[0, :, 4, 4],
                          torch.tensor([0.5, 0.0]), atol=1e-5)  # fmt: skip


def test_the_window_of_a_mirrored_mouth_is_the_mirrored_window(face: np.ndarray) -> None:
    order = mirror_order(load_anatomy().canonical)
    picture = torch.rand(1, 3, SIDE, SIDE)
    turned = face[order] * np.array([-1, 1, 1], np.float32) + np.array([1, 0, 0], np.float32)
    whole = np.array([[SIDE, 0, 0], [0, SIDE, 0]], np.float32)
    seen = []
    for points, image in ((face, picture), (turned, picture.flip(3))):
        affine = to_pixels(place(MOUTH, points[None], 0.27), whole)
        masks = draw_masks(MOUTH, points * SIDE, affine[0], 24)
        seen.append((sample_window(image, torch.from_numpy(affine), 24), masks))
    assert torch.allclose(seen[0][0], seen[1][0].flip(3), atol=2e-2)
    outer = [masks[1] for _, masks in seen]
    assert np.abs(outer[0] - outer[1][:, ::-1]).mean() < 0.02
    assert outer[0].max() == 1


def test_the_network_is_told_the_change_and_what_it_becomes() -> None:
    source, target = torch.rand(1, len(aus.CHANNELS)), torch.rand(1, len(aus.CHANNELS))
    told, count = condition_of(source, target), len(aus.CHANNELS)
    assert torch.allclose(told[:, :count], target - source)
    assert torch.allclose(told[:, count:], target)


def test_fade_is_one_inside_and_nearly_nothing_at_the_rim() -> None:
    ramp = fade(64)
    assert ramp[32, 32] == 1
    assert ramp[0].max() < 0.05 and ramp[:, -1].max() < 0.05


def test_a_new_network_keeps_the_moved_picture() -> None:
    net = GeneratorNet(TINY).eval().mouth
    for batch in (1, 3):
        photo = net.encode(torch.rand(1, 5, 16, 16))
        frame = torch.rand(batch, 7, 16, 16)
        with torch.no_grad():
            said = net(frame, torch.rand(batch, 2 * len(aus.CHANNELS)), photo)
        assert said.attention.shape == (batch, 1, 4, 4)
        assert torch.allclose(said.colour, smoothed(frame[:, :3]))
        assert said.residual.abs().max() == 0
        assert said.attention[:, :, 1:3, 1:3].max() == pytest.approx(0.5)


def test_config_there_and_back() -> None:
    stored = json.loads(json.dumps(asdict(TINY)))
    assert weights.config_from(GeneratorConfig, stored) == TINY
    with pytest.raises((TypeError, KeyError)):
        weights.config_from(GeneratorConfig, {"feet": 3})


def test_the_photos_own_expression_is_the_photo(
    tmp_path: Path, face: np.ndarray, anatomy: Anatomy
) -> None:
    """Whatever the networks say: where nothing is asked for, nothing is painted."""
    scene = scene_of(face, anatomy)
    renderer = generator_named(str(tiny_file(tmp_path / "t.safetensors"))).prepare(scene)
    frame, moved = renderer.render(np.stack([scene.motion.source, vector(AU12=4, AU25=3)]))
    assert np.abs(frame - scene.picture).max() < 1
    assert np.abs(moved - scene.picture).max() > 20


def test_nothing_changes_outside_the_outline(
    tmp_path: Path, face: np.ndarray, anatomy: Anatomy
) -> None:
    scene = scene_of(face, anatomy, 200)
    renderer = generator_named(str(tiny_file(tmp_path / "t.safetensors"))).prepare(scene)
    inside = fill(renderer.outline(), Box(0, 0, 200, 200))
    assert 0.2 < inside.mean() <= 1
    (frame,) = renderer.render(vector(AU12=4)[None])
    assert frame.shape == (200, 200, 3) and np.isfinite(frame).all()


def test_frames_do_not_depend_on_their_company(
    tmp_path: Path, face: np.ndarray, anatomy: Anatomy
) -> None:
    scene = scene_of(face, anatomy)
    renderer = generator_named(str(tiny_file(tmp_path / "t.safetensors"))).prepare(scene)
    targets = np.stack([vector(AU12=i, AU25=i / 2, AU51=i / 3) for i in (1, 2, 3, 4, 5)])
    together = np.stack(list(renderer.render(targets)))
    alone = np.stack([next(iter(renderer.render(t[None]))) for t in targets])
    assert np.abs(together - alone).mean() < 0.2  # half precision


def test_painting_leaves_gradients_on(tmp_path: Path, face: np.ndarray, anatomy: Anatomy) -> None:
    renderer = generator_named(str(tiny_file(tmp_path / "t.safetensors"))).prepare(
        scene_of(face, anatomy)
    )
    next(iter(renderer.render(np.stack([vector(AU12=4), vector(AU12=2)]))))
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_attention_map_shows_the_windows(
    tmp_path: Path, face: np.ndarray, anatomy: Anatomy
) -> None:
    scene = scene_of(face, anatomy)
    renderer = generator_named(str(tiny_file(tmp_path / "t.safetensors"))).prepare(scene)
    assert isinstance(renderer, AnatomicalRenderer)
    with torch.inference_mode():
        moved = renderer.mesh.move(vector(AU26=4)[None])
        picture, passes = renderer.run_networks(moved)
        mask = attention_map(passes, picture)
        after = composite(picture, passes, 255.0)
    assert mask.shape == (1, 1, SIDE, SIDE)
    assert 0 < float(mask.max()) <= 1
    assert float((after - picture).abs().max()) > 1


def test_the_shipped_network_changes_light_and_keeps_detail(
    animator: memegen.Animator, anatomy: Anatomy
) -> None:
    """A shut mouth opens: what is drawn in it stays as sharp as it was, in another light."""
    seen = animator.analyze(SAMPLE)[0].analysis
    side, affine = 256, np.array([[256, 0, 0], [0, 256, 0]], np.float32)
    crop = read_crop(read_photo(SAMPLE).rgb, seen.alignment, side)[0].permute(1, 2, 0).numpy()
    scene = Scene(
        (crop * 255 + 0.5).astype(np.uint8),
        affine,
        FaceMotion.of(seen.landmarks, seen.action_units, anatomy),
    )
    asked = vector(AU12=5, AU25=3, AU26=3)[None]
    drawn, rendered = (
        next(iter(generator_named(name).prepare(scene).render(asked)))
        for name in ("mesh", "anatomical")
    )
    moved = scene.pixels(scene.motion.move(asked))[0]
    mouth = fill(moved[list(LIPS_INNER), :2], Box(0, 0, side, side)) > 0.9
    change = np.abs(rendered - drawn)
    assert 0.1 < change[mouth].mean() < 25
    assert change[: side // 3].max() == 0  # above the mouth's window
    sharp = [
        float(np.abs(np.diff(picture @ LUMA, axis=1))[mouth[:, 1:]].mean())
        for picture in (drawn, rendered)
    ]
    assert sharp[1] == pytest.approx(sharp[0], rel=0.15)


def test_wrong_weights_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not found"):
        generator_named(str(tmp_path))
    with pytest.raises(WeightsError, match="these weights are for 'perception', no generator"):
        generator_named(str(weights.find("perception")))
    with pytest.raises(UsageError, match="did you mean 'anatomical'"):
        generator_named("anatomic")
    network = GeneratorNet(TINY)
    path = tmp_path / "odd.safetensors"
    weights.save(path, network.state_dict(), "anatomical", {"feet": 3},
                 au_order=" ".join(aus.CHANNELS))  # fmt: skip
    with pytest.raises(WeightsError, match="unknown network sizes"):
        generator_named(str(path))
    weights.save(path, network.state_dict(), "anatomical", TINY, au_order="AU1")
    with pytest.raises(WeightsError, match="another list of action units"):
        generator_named(str(path))
