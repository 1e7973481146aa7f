"""Creases: the unwrapped face, the appearance basis, lines that deepen, drawn furrows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.faces import vector

from memegen import aus, weights
from memegen.errors import WeightsError
from memegen.generators.creases import (
    DARKEST,
    LIGHTEST,
    REGAINED,
    CreaseLayer,
    lines_of,
    overexposed,
    tint_on,
    vertex_areas,
    within_limits,
)
from memegen.generators.furrows import LEAST_FOLD, ROUGH, draw_furrows, fold_share, raised
from memegen.geometry.appearance import FLOOR, load_appearance
from memegen.geometry.unwrap import HEIGHT, ORIGIN, SCALE, WIDTH, Unwrapping, sides, texture_points

SIDE = 320


@pytest.fixture(scope="module")
def basis():
    return load_appearance()


@pytest.fixture(scope="module")
def grey() -> torch.Tensor:
    return torch.full((1, 3, SIDE, SIDE), 140.0)


@pytest.fixture(scope="module")
def layer(grey, motion, basis) -> CreaseLayer:
    return CreaseLayer(grey, motion.landmarks * SIDE, motion, basis, 2)


def test_texture_is_the_mesh_from_the_front(anatomy):
    unwrapping = Unwrapping.of(anatomy.canonical, anatomy.triangles)
    points = texture_points(anatomy.canonical)
    found = unwrapping.positions(points)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = unwrapping.inside
    np.testing.assert_allclose(found[inside], np.stack([x, y], -1)[inside], atol=0.02)
    assert inside[round(ORIGIN[1]), round(ORIGIN[0])] and not inside[0, 0]


def test_values_of_vertices_are_spread_over_the_texture(anatomy):
    unwrapping = Unwrapping.of(anatomy.canonical, anatomy.triangles)
    x = texture_points(anatomy.canonical)[:, 0]
    spread = unwrapping.spread(np.stack([x, np.ones_like(x)]))
    column = np.mgrid[:HEIGHT, :WIDTH][1] + 0.5
    inside = unwrapping.inside
    np.testing.assert_allclose(spread[0][inside], column[inside], atol=0.02)
    np.testing.assert_allclose(spread[1], inside, atol=1e-3)


def test_unwrapping_a_picture_finds_what_was_drawn_there(anatomy, face):
    unwrapping = Unwrapping.of(anatomy.canonical, anatomy.triangles)
    ramp = torch.arange(SIDE, dtype=torch.float32).expand(1, 1, SIDE, SIDE) + 0.5
    seen = unwrapping.read(ramp, face[:, :2] * SIDE)[0, 0].numpy()
    column = int(ORIGIN[0] + 0.5 * SCALE)  # half an IOD to the image's right
    assert seen[round(ORIGIN[1]), column] == pytest.approx(SIDE * (0.5 + 0.5 * 0.27), abs=2)


def test_no_change_asked_leaves_the_picture_itself(layer, grey, motion):
    (unmoved,) = layer.apply(motion.source[None])
    assert torch.equal(unmoved, grey[0])


def test_a_smile_folds_beside_the_mouth_and_its_reverse_undoes_it(basis):
    smile = vector(AU6=4, AU12=5)
    there = basis.changes(vector(), smile[None])[0]
    fold = there[120:165, 20:172]
    assert fold.min() < -0.1
    np.testing.assert_allclose(there, -basis.changes(smile, vector()[None])[0], atol=1e-6)
    assert np.abs(there[:4]).max() < 1e-3, "nothing changes at the edge of the face"


def test_sides_are_mirror_images(basis):
    left, right = vector(AU12L=5), vector(AU12R=5)
    there = basis.changes(vector(), left[None])[0]
    np.testing.assert_allclose(there, basis.changes(vector(), right[None])[0][:, ::-1], atol=1e-6)
    assert np.abs(there[:, 115:]).mean() > 0.01 and np.abs(there[:, :77]).max() == 0


def test_frown_darkens_between_the_brows_and_nothing_off_the_face(layer, grey, motion):
    creased = next(layer.apply(vector(AU4=5, AU9=5)[None])).mean(0)
    change = (creased - grey[0].mean(0)).numpy()
    assert change.min() < -8
    points = motion.landmarks[:468, :2] * SIDE
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    outside = (y < points[:, 1].min() - 2) | (y > points[:, 1].max() + 2)
    outside |= (x < points[:, 0].min() - 2) | (x > points[:, 0].max() + 2)
    assert np.abs(change[outside]).max() == 0


def test_colours_follow_the_change_of_luma_by_their_tint(layer, grey, basis):
    asked = vector(AU4=5, AU9=5)[None]
    red, green, blue = (next(layer.apply(asked)) + FLOOR).log() - (grey[0] + FLOOR).log()
    row, column = divmod(int(green.argmin()), SIDE)
    for channel, weight in ((red, basis.tint[0]), (blue, basis.tint[2])):
        ratio = float(channel[row, column] / green[row, column])
        assert ratio == pytest.approx(weight / basis.tint[1], abs=0.03)


def test_held_expression_gives_equal_frames(layer):
    asked = np.repeat(vector(AU12=4, AU1=3, AU2=3)[None], 3, 0)
    frames = [frame.clone() for frame in layer.apply(asked)]
    assert torch.equal(frames[0], frames[1]) and torch.equal(frames[0], frames[2])


def test_ratio_runs_softly_against_its_limits():
    found = within_limits(np.array([-9, -0.1, 0, 0.1, 9], np.float32))
    assert found[0] == pytest.approx(-DARKEST) and found[-1] == pytest.approx(LIGHTEST)
    assert found[2] == 0 and found[1] == pytest.approx(-0.1, abs=0.01)


def test_lines_of_a_photo_deepen_where_skin_is_compressed(motion, basis):
    """A faint horizontal line on the forehead is darker when the brows come up to it."""
    picture = torch.full((1, 3, SIDE, SIDE), 140.0)
    row = round(float(motion.landmarks[151, 1] * SIDE))  # the middle of the forehead
    picture[:, :, row] = 125.0
    layer = CreaseLayer(picture, motion.landmarks * SIDE, motion, basis, 2)
    flat = CreaseLayer(torch.full_like(picture, 140.0), motion.landmarks * SIDE, motion, basis, 2)
    layer._furrows = flat._furrows  # only what the photo's own line makes is compared
    asked = vector(AU1=5, AU2=5)[None]
    middle = slice(SIDE // 2 - 10, SIDE // 2 + 10)
    with_line = next(layer.apply(asked))[0, row, middle].mean()
    without = next(flat.apply(asked))[0, row, middle].mean()
    assert with_line - without < 125 - 140 - 1


def test_areas_of_a_mesh(anatomy):
    once = vertex_areas(anatomy.canonical[None], anatomy.triangles)
    twice = vertex_areas(2 * anatomy.canonical[None], anatomy.triangles)
    np.testing.assert_allclose(twice, 4 * once, rtol=1e-4)


def test_a_flat_picture_has_no_lines(grey):
    assert float(lines_of(grey, 5).abs().max()) < 1e-4


def test_furrows_are_drawn_the_same_for_one_seed_and_lie_on_the_forehead():
    first, again, other = draw_furrows(3), draw_furrows(3), draw_furrows(4)
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.min() < -0.1
    brows = int(ORIGIN[1] - 0.3 * SCALE)
    assert np.abs(first[brows:]).max() < 0.01


def test_furrows_of_a_soft_picture_are_as_soft_and_no_darker_in_all():
    sharp, soft = draw_furrows(3), draw_furrows(3, 0.02)
    assert soft.min() > 0.8 * sharp.min()
    assert abs(soft.sum() - sharp.sum()) < 0.05 * np.abs(sharp).sum()
    assert np.abs(np.diff(soft, axis=0)).max() < 0.75 * np.abs(np.diff(sharp, axis=0)).max()


def test_smooth_foreheads_fold_less():
    rough = np.random.default_rng(0).normal(0, 1, 4000).astype(np.float32)
    assert fold_share(rough * ROUGH) > 0.98
    assert 0.6 < fold_share(rough * ROUGH / 2) < 0.8
    assert fold_share(np.zeros(9, np.float32)) == pytest.approx(LEAST_FOLD)
    assert fold_share(np.zeros(0, np.float32)) == 1, "nothing is known of a forehead that is hidden"


def test_only_what_is_near_the_limit_is_overexposed(grey):
    assert not overexposed(grey, 3).any()
    assert float(overexposed(torch.full_like(grey, 255.0), 3).min()) == 1


def test_white_skin_gains_the_colour_of_the_rest_as_it_darkens(basis):
    warm = torch.tensor([210.0, 160.0, 130.0]).view(3, 1, 1).expand(3, 8, 16).clone()
    warm[:, :, 8:] = 252.0
    burnt = overexposed(warm[None], 0)[0]
    everywhere = torch.ones(8, 16, dtype=torch.bool)
    tint = torch.from_numpy(basis.tint).view(3, 1, 1)
    found = (warm + FLOOR) * torch.exp(-REGAINED * tint_on(warm, burnt, everywhere, tint))
    skin, white = found[:, 0, 0], found[:, 0, -1]
    assert float(white[0] / white[2]) == pytest.approx(float(skin[0] / skin[2]), rel=0.01)
    assert torch.equal(tint_on(warm[..., 8:], burnt[..., 8:], everywhere[:, 8:], tint), tint)


def test_only_the_raised_side_folds():
    left, right = raised(vector(AU1L=5, AU2L=5))
    assert left == 1 and right == 0
    assert raised(vector(AU4=5)).max() == 0
    weight = sides()
    np.testing.assert_allclose(weight.sum(0), 1)
    assert weight[0, 0, -1] == 1, "the person's left is the image's right"


def test_maps_of_unknown_action_units_are_refused(tmp_path, basis):
    path = tmp_path / "appearance.safetensors"
    tensors = {"maps": torch.zeros(1, HEIGHT, WIDTH), "skin": torch.ones(HEIGHT, WIDTH)}
    tensors |= {"tint": torch.ones(3), "most": torch.ones(1)}
    weights.save(path, tensors, "appearance", {}, features="AU99")
    with pytest.raises(WeightsError, match="AU99"):
        load_appearance(str(path))
    assert basis.maps.shape[0] == len(basis.features) and len(aus.CHANNELS) > len(basis.tint)
