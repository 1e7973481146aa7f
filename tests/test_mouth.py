"""The mouth in three dimensions: its model, its light, its layers, and their fit."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.command import RunCli
from support.faces import STILL, vector
from support.shards import make_shards

from memegen import weights
from memegen.errors import UsageError, WeightsError
from memegen.generators import Scene, generator_named, mouth_poses
from memegen.generators.inpaint import pixel_grid
from memegen.generators.mouth import MouthLayer
from memegen.generators.mouth_drawing import MouthFrame, MovedMouths, shadow_at
from memegen.generators.mouth_layers import DARKEST, FALLOFF, jaw_shift, light_at, render
from memegen.generators.mouth_light import (
    LUMA,
    LightSamples,
    MouthLight,
    features,
    from_log_tone,
    light_of,
    log_tone,
)
from memegen.generators.mouth_model import (
    ANCHOR,
    FULL_JAW,
    JAW_BACK,
    individual,
    load_mouth,
)
from memegen.geometry.anatomy import Anatomy
from memegen.geometry.box import Box
from memegen.geometry.motion import FaceMotion
from memegen.geometry.outline import fill, smooth_ring
from memegen.geometry.topology import LIP_CORNERS, LIPS_INNER
from memegen.training import mouth as training
from memegen.training import open_mouths

SIDE = 300
IOD = 81.0
FRONTAL = np.diag(np.array([IOD, -IOD, 1], np.float32))
LIGHT = MouthLight(
    np.array([220, 210, 195], np.float32), np.array([0, 0.4, 0.9165], np.float32), 1.0
)


SHUT = np.zeros(2, np.float32)  # a jaw


def layer_of(picture: np.ndarray, ring: np.ndarray, light: MouthLight = LIGHT) -> MouthLayer:
    return MouthLayer(picture, ring, MouthFrame(ring.mean(0), FRONTAL, IOD), light)


def draw(layer: MouthLayer, image: np.ndarray, ring: np.ndarray, jaw: np.ndarray = SHUT) -> None:
    """Into an image, in place."""
    layer.draw([torch.from_numpy(image)], MovedMouths(ring[None], jaw[None]), STILL)


def opened(ring: np.ndarray, up: float, down: float) -> np.ndarray:
    moved = ring.copy()
    moved[1:10, 1] -= up
    moved[11:, 1] += down
    return moved


@pytest.fixture
def shut(face: np.ndarray) -> np.ndarray:
    """(20, 2) the drawn face's lips, brought together."""
    ring = face[list(LIPS_INNER), :2] * SIDE
    middle = (ring[1:10] + ring[:10:-1]) / 2
    ring[1:10], ring[:10:-1] = middle, middle
    return ring.astype(np.float32)


@pytest.fixture
def picture() -> np.ndarray:
    return np.full((SIDE, SIDE, 3), (170, 130, 110), np.float32)


def test_incisors_end_where_the_fit_says_and_go_with_the_jaw() -> None:
    model = load_mouth()
    upper, lower = model.incisal(upper=True), model.incisal(upper=False)
    assert model.vertices[upper, 1].min() == pytest.approx(ANCHOR[1] - model.fit.upper_edge)
    assert model.vertices[lower, 1].max() == pytest.approx(ANCHOR[1] + model.fit.lower_edge)
    dropped = model.at(FULL_JAW) - model.vertices
    assert np.abs(dropped[model.is_upper]).max() < 1e-4
    assert dropped[lower, 2].mean() == pytest.approx(-JAW_BACK * FULL_JAW, abs=1e-4)
    assert jaw_shift(model, FULL_JAW) == pytest.approx(dropped[lower].mean(0), abs=1e-4)


def test_people_differ_and_one_person_does_not() -> None:
    model = load_mouth()
    first, again, other = individual(model, 1), individual(model, 1), individual(model, 2)
    assert np.array_equal(first.vertices, again.vertices)
    assert 0.005 < np.abs(first.vertices - other.vertices).max() < 0.12
    edge = first.vertices[model.tooth == 7, 1].min()
    assert edge == pytest.approx(ANCHOR[1] - model.fit.upper_edge, abs=0.01)


def test_a_file_that_is_no_mouth_is_refused(tmp_path: Path) -> None:
    weights.save(tmp_path / "mouth.safetensors", {}, "mouth", {})
    with pytest.raises(WeightsError, match="not a mouth"):
        load_mouth(str(tmp_path / "mouth.safetensors"))


def test_light_falls_off_with_depth() -> None:
    bright, dim = light_at(torch.tensor([0, 0.5**FALLOFF]), 0.5)
    assert bright == pytest.approx(1) and dim == pytest.approx(DARKEST + (1 - DARKEST) / np.e)
    fit = load_mouth().fit
    assert fit.reach_at(0.05) < fit.reach_at(0.2) <= fit.reach_at(0.9) < 2
    near, far = shadow_at(torch.tensor([0.0, 0.3]), (0.4, 0.03))
    assert near == pytest.approx(0.6) and far > 0.99


def test_layers_hold_teeth_where_teeth_are() -> None:
    model = load_mouth()
    upper, lower = (render(model, FRONTAL, LIGHT, jaw) for jaw in (None, 0.0))
    edge = model.fit.upper_edge * IOD
    x, y = torch.tensor([[[4.0, 4.0]]]), torch.tensor([[[edge - 5, edge + 5]]])
    above, below = upper.sample(x, y)[0, :, 0].T.numpy()
    assert above[3] == pytest.approx(1, abs=0.01) and below[3] == 0
    assert above[:3] == pytest.approx(LIGHT.tooth, rel=0.25)
    assert lower.sample(x, y + 10)[0, 3, 0, 1] > 0.9
    assert not upper.sample(x + 500, y).any()


def test_upper_teeth_hang_from_the_skull_and_lower_ones_follow_the_jaw(
    picture: np.ndarray, shut: np.ndarray
) -> None:
    layer, ring = layer_of(picture, shut), opened(shut, 4, 45)
    rendered = []
    for down in (0.4, 0.52):
        image = picture.copy()
        draw(layer, image, ring, np.array([0, down], np.float32))
        rendered.append(image)
    column, middle = round(float(shut[:, 0].mean())) + 5, float(shut[:, 1].mean())
    row = round(middle + load_mouth().fit.upper_edge * IOD) - 3
    assert rendered[0][row, column] @ LUMA > 110  # enamel
    assert np.allclose(rendered[0][row, column], rendered[1][row, column], atol=12)
    assert np.abs(rendered[0] - rendered[1]).max() > 30
    throat = rendered[0][row + 14, column] @ LUMA
    assert throat < 0.5 * float(rendered[0][row, column] @ LUMA)


def test_equal_frames_are_equal_whatever_came_between(
    picture: np.ndarray, shut: np.ndarray
) -> None:
    layer, ring = layer_of(picture, shut), opened(shut, 6, 30)
    first, again = picture.copy(), picture.copy()
    jaw = np.array([0.02, 0.3], np.float32)
    draw(layer, first, ring, jaw)
    draw(layer, picture.copy(), opened(shut, 2, 60), jaw * 2)
    draw(layer, again, ring, jaw)
    assert np.array_equal(first, again)


def test_nothing_jumps_where_the_jaw_passes_from_drawing_to_drawing(
    picture: np.ndarray, shut: np.ndarray
) -> None:
    layer, ring = layer_of(picture, shut), opened(shut, 6, 40)
    frames = []
    for down in (0.3198, 0.3199, 0.3201, 0.3202):
        image = picture.copy()
        draw(layer, image, ring, np.array([0, down], np.float32))
        frames.append(image)
    assert max(np.abs(a - b).max() for a, b in itertools.pairwise(frames)) < 3


def test_lips_drawn_too_far_take_the_teeth_along(picture: np.ndarray, shut: np.ndarray) -> None:
    layer, fit = layer_of(picture, shut), load_mouth().fit
    origin = shut.mean(0)
    rings = np.stack([opened(shut, gap * IOD, gap * IOD) - origin for gap in (0.05, 0.4)])
    lift, drop = layer.drawn.limits(MovedMouths(rings, np.stack([SHUT, SHUT])))
    assert (lift[0], drop[0]) == pytest.approx((0, 0), abs=1e-6)
    assert lift[1] == pytest.approx(0.4 + fit.upper_edge - fit.most_upper, abs=0.03)
    assert drop[1] == pytest.approx(0.4 + fit.lower_edge - fit.most_lower, abs=0.03)


def test_an_open_mouth_that_stays_is_the_photos_and_its_teeth_are_kept(
    picture: np.ndarray, shut: np.ndarray
) -> None:
    ring = opened(shut, 6, 10)
    from memegen.geometry.box import Box
    from memegen.geometry.outline import fill, smooth_ring

    inside = fill(smooth_ring(ring, (0, 10)), Box(0, 0, SIDE, SIDE)) > 0.5
    picture[inside] = (200, 230, 190)  # teeth of a tint that nothing draws
    layer = layer_of(picture, ring)
    image = picture.copy()
    draw(layer, image, ring)
    assert np.abs(image - picture).max() < 0.51
    draw(layer, image, opened(ring, 6, 4))
    column, row = np.rint(ring.mean(0)).astype(int)
    assert image[row, column] == pytest.approx((200, 230, 190), abs=2)
    added = image[round(float(ring[5, 1])) - 3, column + 5]  # between old and new upper lip
    assert added[1] > added[0] > added[2]  # what is added takes the tint on


def test_mouths_too_small_to_draw_do_not_fail(picture: np.ndarray, shut: np.ndarray) -> None:
    tiny = (shut - shut.mean(0)) * 0.02 + 20
    layer = MouthLayer(picture, tiny, MouthFrame(tiny.mean(0), FRONTAL / 50, IOD / 50), LIGHT)
    image = picture.copy()
    draw(layer, image, opened(tiny, 1, 2), np.array([0, 0.3], np.float32))
    assert np.isfinite(image).all()


def test_a_turned_face_opens_on_teeth(anatomy: Anatomy, motion: FaceMotion) -> None:
    from memegen.geometry.shape import Pose, rotation_of

    mesh = motion.pose.to_face(motion.landmarks)
    turned = Pose(rotation_of(np.array([30.0, 5, 8])), motion.pose.scale, motion.pose.offset)
    source = np.zeros_like(motion.source)
    scene = Scene(
        np.full((SIDE, SIDE, 3), 140, np.uint8),
        np.array([[SIDE, 0, 0], [0, SIDE, 0]], np.float32),
        FaceMotion.of(turned.to_crop(mesh).astype(np.float32), source, anatomy),
    )
    renderer = generator_named("mesh").prepare(scene)
    (rendered,) = renderer.render(vector(AU12=5, AU25=3, AU26=2)[None])
    assert rendered.max() > 170  # enamel
    assert rendered.min() < 60  # throat


@pytest.mark.parametrize("turn", [-20.0, 20.0, 0.0])
def test_teeth_fill_the_far_side_of_a_turned_mouth(
    picture: np.ndarray, shut: np.ndarray, turn: float
) -> None:
    from memegen.geometry.shape import rotation_of

    axes = FRONTAL @ rotation_of(np.array([turn, 0, 0]))
    width = np.array([[1.25, 0], [0, 1]], np.float32)  # a smile: wider than the teeth
    smiling = opened((shut - shut.mean(0)) @ width + shut.mean(0), 4, 14)
    shown = picture.copy()
    layer = MouthLayer(picture, shut, MouthFrame(shut.mean(0), axes, IOD), LIGHT)
    draw(layer, shown, smiling, np.array([0, 0.05], np.float32))
    inside = fill(smooth_ring(smiling, LIP_CORNERS), Box(0, 0, SIDE, SIDE)) > 0.9
    lit = np.flatnonzero(((shown @ LUMA > 70) & inside).any(0))
    gaps = (lit.min() - smiling[:, 0].min()) / IOD, (smiling[:, 0].max() - lit.max()) / IOD
    far = gaps[0] if turn < 0 else gaps[1]
    if turn:
        assert far < 0.16, gaps  # more than 0.2, were they drawn as the arch lies
    else:
        assert max(gaps) < 0.08 and abs(gaps[0] - gaps[1]) < 0.03, gaps


def samples(skin: tuple[int, ...], whites: tuple[int, ...] | None) -> LightSamples:
    white = np.zeros((0, 3)) if whites is None else np.tile(np.array([whites]), (20, 1))
    return LightSamples(
        white.astype(np.float32), np.tile(np.array([skin], np.float32), (50, 1)), (100.0, 100.0)
    )


def test_light_follows_exposure_and_keeps_grey_grey() -> None:
    fit = load_mouth().fit
    bright = light_of(samples((210, 160, 140), (225, 220, 215)), fit)
    dim = light_of(samples((84, 64, 56), (90, 88, 86)), fit)
    assert (bright.tooth > 1.5 * dim.tooth).all()
    assert bright.tooth[0] > bright.tooth[2]  # teeth are warm
    grey = light_of(samples((120, 120, 120), None), fit)
    assert np.ptp(grey.tooth) < 1e-2 and grey.colour == 0
    nothing = light_of(LightSamples(np.zeros((0, 3)), np.zeros((0, 3)), (0.0, 0.0)), fit)
    assert np.isfinite(nothing.tooth).all() and nothing.tooth.min() > 40


def test_teeth_of_dark_skin_are_no_greyer_than_those_of_fair_skin() -> None:
    """In one light, eye whites alike, teeth are alike to within a third."""
    fit = load_mouth().fit
    dark = light_of(samples((110, 75, 58), (190, 180, 170)), fit).tooth
    fair = light_of(samples((215, 175, 155), (190, 180, 170)), fit).tooth
    assert dark @ LUMA > 1.25 * (np.array([110, 75, 58]) @ LUMA)
    assert dark @ LUMA > 0.5 * (fair @ LUMA)


def test_the_key_light_comes_from_the_brighter_cheek() -> None:
    fit = load_mouth().fit
    seen = samples((180, 140, 120), None)
    left, right = (light_of(replace(seen, sides=s), fit) for s in ((160.0, 90.0), (90.0, 160.0)))
    assert left.key[0] < -0.3 and right.key[0] > 0.3
    assert np.linalg.norm(left.key) == pytest.approx(1, abs=1e-5)


def test_log_tone_and_back() -> None:
    colour = np.array([[200, 180, 150]], np.float32)
    assert from_log_tone(log_tone(colour)[0]) == pytest.approx(colour[0], rel=1e-4)


def synthetic(edge: float, gap: float, tooth: float, skin: float) -> open_mouths.OpenMouth:
    """A mouth with a bar of teeth down to `edge` below the rest line, dark beneath, red lips."""
    rows = int((open_mouths.ABOVE + open_mouths.BELOW) * open_mouths.GRID)
    columns = int(2 * open_mouths.ACROSS * open_mouths.GRID)
    bare = open_mouths.OpenMouth(
        np.zeros((rows, columns, 3), np.float32),
        np.full(columns, -0.08, np.float32),
        np.full(columns, gap - 0.08, np.float32),
        gap,
        features(
            samples(
                (int(skin), int(skin * 0.8), int(skin * 0.7)), (int(skin), int(skin), int(skin))
            )
        ),
    )
    patch = bare.patch
    patch[:] = (150, 80, 80)
    v, u = bare.v[:, None], bare.u
    inside = (v > bare.top) & (v < bare.bottom)
    patch[inside] = (60, 20, 20)
    rows_of_teeth = inside & (v < edge)
    dim = (1 - 0.8 * np.abs(u))[None, :, None]  # darker toward the corners, and between teeth
    dim = dim * np.where(np.abs(u) % 0.12 < 0.015, 0.7, 1)[None, :, None]
    teeth = np.array([tooth, tooth * 0.95, tooth * 0.85]) * dim
    return replace(bare, patch=np.where(rows_of_teeth[..., None], teeth, patch).astype(np.float32))


def test_incisors_are_measured() -> None:
    edge, upper, lower, hidden = open_mouths.incisors(synthetic(0.05, 0.3, 200, 180))
    assert edge == pytest.approx(0.05, abs=0.02)
    assert upper == pytest.approx(0.13, abs=0.02)
    assert lower == 0 and hidden == 0
    assert open_mouths.incisors(synthetic(0.5, 0.2, 200, 180))[3] == 1


def test_median_of_censored_values() -> None:
    values = np.array([1.0, 2, 3, 4, 5])
    none = np.zeros(5, bool)
    assert training.median_of_censored(values, none) == 3
    # What is only known to be at least 1 and 2 may be anything beyond.
    assert training.median_of_censored(values, np.array([True, True, False, False, False])) == 4


def test_the_fit_finds_what_was_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mouths = []
    for gap in np.r_[np.linspace(0.07, 0.34, 60), np.linspace(0.4, 0.6, 8)]:
        skin = rng.uniform(90, 220)
        mouths.append(synthetic(0.04 + rng.normal() * 0.003, gap, skin * 1.1, skin))
    bare = training.read_geometry(geometry_in(tmp_path))
    fit = training.fit(mouths, bare, open_mouths.MouthTraining())
    assert fit.upper_edge == pytest.approx(0.04, abs=0.02)
    assert 0.1 < fit.reach_at(0.1) < 3
    training.save(tmp_path / "mouth.safetensors", replace(bare, fit=fit))
    loaded = load_mouth(str(tmp_path / "mouth.safetensors"))
    assert loaded.fit.upper_edge == pytest.approx(fit.upper_edge)
    errors = training.tone_errors(
        mouths, training.fit_tone(mouths, np.stack([open_mouths.lit_tooth(m) for m in mouths]), 3.0)
    )
    assert errors["luma error"] < 0.25 * errors["luma spread"]


def geometry_in(folder: Path) -> Path:
    """DATA/mouth.npz, made of the shipped weights."""
    tensors = weights.load("mouth", "mouth").tensors
    names = ("vertices", "triangles", "part", "tooth", "jaw_open")
    np.savez(folder / "mouth.npz", **{name: tensors[name].numpy() for name in names})
    return folder


def test_training_says_what_is_missing(
    tmp_path: Path, anatomy: Anatomy, face: np.ndarray, run_cli: RunCli
) -> None:
    with pytest.raises(UsageError, match=r"mouth\.npz"):
        training.read_geometry(tmp_path)
    data = make_shards(tmp_path / "data", anatomy, face)
    run_cli("train", str(data), "--model", "mouth", "--steps", "3", code=2)
    geometry_in(data)
    run_cli("train", str(data), "--model", "mouth", "--out", str(tmp_path / "out"), code=1)
    assert not (tmp_path / "out" / "mouth.safetensors").exists()


def projection_of(yaw: float, pitch: float, roll: float, iod: float) -> np.ndarray:
    """(3, 3) as of MouthFrame, degrees: to the picture's right, up, about the line of sight."""
    turn, lift, spin = np.radians([yaw, pitch, roll])
    ahead = np.array([np.sin(turn) * np.cos(lift), np.sin(lift), np.cos(turn) * np.cos(lift)])
    right = np.array([np.cos(turn), 0, -np.sin(turn)])
    flat = np.stack([iod * right, -iod * np.cross(ahead, right)])
    flat = np.array([[np.cos(spin), -np.sin(spin)], [np.sin(spin), np.cos(spin)]]) @ flat
    return np.concatenate([flat, ahead[None]]).astype(np.float32)


def test_a_mouth_drawn_once_serves_poses_nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    model, drawn = load_mouth(), []

    def counted(*args: object) -> object:
        drawn.append(args)
        return render(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(mouth_poses, "render", counted)
    poses = mouth_poses.MouthPoses(model, LIGHT)
    x, y = (torch.from_numpy(axis)[None] for axis in pixel_grid(-60, -30, 90, 120))
    at = x, y
    for yaw, pitch, roll, iod in ((8, -4, 0, 128), (8.7, -4.6, 12, 135)):
        projection = projection_of(yaw, pitch, roll, iod)
        for jaw in (None, 0.16):
            found = poses.sample(projection, LIGHT, jaw, at)
            source = render(model, projection, LIGHT, jaw).sample(*at)
            off = float((found - source)[:, :3].abs().mean() / source[:, :3].mean())
            assert off < (0.001 if roll == 0 else 0.08)  # a pixel's shift of every edge is 0.1
    assert len(drawn) == 2  # one upper and one lower layer
    half = replace(LIGHT, tooth=LIGHT.tooth / 2)
    dark = poses.sample(projection, half, 0.16, at)
    np.testing.assert_allclose(dark[:, :3], found[:, :3] / 2, atol=1e-3)
    np.testing.assert_array_equal(dark[:, 3:], found[:, 3:])
    for yaw in range(-40, 40, 2):
        poses.sample(projection_of(yaw, 0, 0, 24), LIGHT, None, at)
    assert len(poses._drawn) == mouth_poses.MOST_LAYERS


def test_a_strip_of_shadow_does_not_stay_in_a_wide_mouth() -> None:
    # Lips a little apart, all dark between them; then wide open.
    picture = np.full((200, 200, 3), 150, np.float32)
    angle = np.linspace(np.pi, -np.pi, 20, endpoint=False)
    ring = np.stack([100 + 30 * np.cos(angle), 100 - 4 * np.sin(angle)], 1).astype(np.float32)
    picture[97:103, 72:128] = 5
    frame = MouthFrame(np.array([100, 98], np.float32), projection_of(0, 0, 0, 100), 100.0)
    mouth = MouthLayer(picture, ring, frame, LIGHT)
    wide = ring.copy()
    wide[:, 1] = 100 + 5 * (ring[:, 1] - 100)
    rest, widened = picture.copy(), picture.copy()
    draw(mouth, rest, ring)
    draw(mouth, widened, wide, np.array([0, 0.2], np.float32))
    np.testing.assert_allclose(rest, picture, atol=1)  # nothing asked, nothing changed
    strip = widened[98:102, 90:110]
    assert strip.mean() > 30  # teeth, not the photo's 5
