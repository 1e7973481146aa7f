"""The layers of the mesh generator: patches, eyes, mouth, and the anatomy that drives them."""

import cv2
import numpy as np
import pytest
import torch
from support.faces import STILL, vector

from memegen import aus
from memegen.curves import smoothstep
from memegen.facedata.labels import gaze_of_scores
from memegen.generators import Scene, generator_named, mesh
from memegen.generators.eyes import EyeLayer, MovedEyes
from memegen.generators.inpaint import fill_unknown, pixel_grid, soften
from memegen.generators.mesh import MeshRenderer
from memegen.geometry.anatomy import Anatomy, compose_channels
from memegen.geometry.motion import FaceMotion
from memegen.geometry.sampling import sample
from memegen.geometry.topology import (
    EYE_RIGHT,
    LID_SKIN_RIGHT,
    LOWER_LIP_EDGE,
    UPPER_LIP_EDGE,
)
from memegen.training import augment

SIDE = 300


def test_known_pixels_stay_and_a_constant_continues() -> None:
    patch = np.random.default_rng(0).random((21, 34, 3), dtype=np.float32) * 255
    known = np.zeros((21, 34), np.float32)
    known[5:12, 8:20] = 1
    filled = fill_unknown(patch, known)
    assert np.allclose(filled[known > 0], patch[known > 0])
    flat = fill_unknown(np.full((21, 34, 3), 80, np.float32), known)
    assert np.allclose(flat, 80, atol=0.5)


def test_sample_at_centres_returns_the_patch() -> None:
    patch = np.random.default_rng(0).random((9, 12, 2), dtype=np.float32)
    x, y = pixel_grid(0, 0, 9, 12)
    assert np.allclose(sample(patch, x, y), patch, atol=1e-5)
    assert np.allclose(sample(patch, x - 100, y)[:, 0], patch[:, 0], atol=1e-5)


def test_soften_keeps_the_mean_and_smoothstep_its_ends() -> None:
    mask = np.zeros((40, 40), np.float32)
    mask[15:25, 15:25] = 1
    assert soften(mask, 3).sum() == pytest.approx(100, rel=1e-3)
    assert soften(mask, 3).max() < 1.001
    assert smoothstep(1, 2, np.array([0.5, 1.5, 3])).tolist() == [0, 0.5, 1]
    assert smoothstep(2, 1, np.array([0.5, 1.5, 3])).tolist() == [1, 0.5, 0]


@pytest.fixture
def eye(face: np.ndarray) -> tuple[EyeLayer, np.ndarray, np.ndarray, np.ndarray]:
    """A drawn right eye: white, dark iris, brown skin; its layer, picture, ring and iris."""
    points = face[:, :2] * SIDE
    ring, iris = points[list(EYE_RIGHT)], points[468:473]
    x, y = pixel_grid(0, 0, SIDE, SIDE)
    from memegen.geometry.box import Box
    from memegen.geometry.outline import fill, smooth_ring

    opening = fill(smooth_ring(ring, (0, 8)), Box(0, 0, SIDE, SIDE))[..., None]
    picture = np.full((SIDE, SIDE, 3), (150, 110, 90), np.float32)
    disc = np.hypot(x - iris[0, 0], y - iris[0, 1])[..., None] < 0.09 * 0.27 * SIDE
    picture = picture * (1 - opening) + np.where(disc, 40, 230) * opening
    picture = picture.astype(np.float32)
    lid = points[list(LID_SKIN_RIGHT)]
    return EyeLayer(picture, ring, iris, lid, 0.27 * SIDE), picture, ring, iris


def draw(
    layer: EyeLayer, image: np.ndarray, ring: np.ndarray, iris: np.ndarray, face: np.ndarray
) -> None:
    lid = face[list(LID_SKIN_RIGHT), :2] * SIDE
    eyes = MovedEyes(ring[None], iris[None], lid[None])
    layer.draw([torch.from_numpy(image)], eyes, STILL)


def test_an_eye_at_rest_is_the_photos(
    eye: tuple[EyeLayer, np.ndarray, np.ndarray, np.ndarray], face: np.ndarray
) -> None:
    layer, picture, ring, iris = eye
    image = picture.copy()
    draw(layer, image, ring, iris, face)
    assert np.abs(image - picture).max() < 0.01
    assert layer.closing(ring[None]) == 0


def test_a_shut_ring_is_closed(eye: tuple[EyeLayer, np.ndarray, np.ndarray, np.ndarray]) -> None:
    layer, _, ring, _ = eye
    shut = ring.copy()
    shut[1:8] = shut[:8:-1]
    assert layer.closing(shut[None]) == pytest.approx(1)


def test_gaze_moves_the_iris_and_leaves_white_behind(
    eye: tuple[EyeLayer, np.ndarray, np.ndarray, np.ndarray], face: np.ndarray
) -> None:
    layer, picture, ring, iris = eye
    image = picture.copy()
    shift = np.array([8, 0], np.float32)
    draw(layer, image, ring, iris + shift, face)
    row = round(float(iris[0, 1]))
    assert image[row, round(float(iris[0, 0]) + 8), 0] < 60
    assert image[row, round(float(iris[0, 0]) - 5), 0] > 150


def test_an_iris_under_the_lid_is_completed_by_its_symmetry(
    eye: tuple[EyeLayer, np.ndarray, np.ndarray, np.ndarray], face: np.ndarray
) -> None:
    layer, picture, ring, iris = eye
    wide = ring.copy()
    wide[1:8, 1] -= 10
    image = picture.copy()
    draw(layer, image, wide, iris, face)
    above = image[round(float(ring[4, 1]) - 1), round(float(iris[0, 0])), 0]
    assert above < 120  # iris, where the photo has skin


def test_head_affine_is_the_turn_of_its_plane(motion: FaceMotion) -> None:
    targets = np.stack([vector(AU51=3, AU54=2, AU55=1), vector(AU52=4), vector()])
    matrix, offset = motion.head_affine(targets, 0.2)
    plane = np.array([[-0.4, -1, 0.2], [0.5, 0.3, 0.2], [0.1, -0.2, 0.2]], np.float32)
    before = motion.pose.to_crop(plane)[:, :2]
    after = motion.pose.to_crop(motion._turn_head(plane[None], targets))[..., :2]
    for turn, shift, there in zip(matrix, offset, after, strict=True):
        assert np.allclose(before @ turn.T + shift, there, atol=1e-5)


def test_stretch_is_a_jaw_drop_carried_on_and_a_wink_a_blink_with_help() -> None:
    stretched = compose_channels(vector(AU27=5))
    assert stretched[aus.INDEX["AU26"]] == pytest.approx(1.95)
    assert compose_channels(vector(AU27=5, AU26=5))[aus.INDEX["AU26"]] == pytest.approx(1.95)
    winked = compose_channels(vector(AU46L=5))
    assert winked[aus.INDEX["AU45L"]] == 1
    assert winked[aus.INDEX["AU45R"]] == 0
    assert winked[aus.INDEX["AU6L"]] > 0


def test_upper_lips_keep_their_height(anatomy: Anatomy) -> None:
    """Nose wrinkler and upper lip raiser pull at one lip: together little more than one alone."""

    def height(**units: float) -> float:
        face = anatomy.canonical + anatomy.displacement(1.25 * vector(**units))
        return float(face[2, 1] - face[0, 1])  # from under the nose to the lip

    rest = height()
    assert height(AU9=5) < 0.8 * rest and height(AU10=5) < 0.7 * rest
    assert height(AU9=5, AU10=5) > 0.4 * rest
    assert compose_channels(vector(AU9=2, AU10=3)) == pytest.approx(vector(AU9=2, AU10=3))


def test_gains_reach_beyond_the_own_expression_only(anatomy: Anatomy) -> None:
    from dataclasses import replace

    strong = replace(anatomy, gains=np.full(len(aus.CHANNELS), 1.5, np.float32))
    source = vector(AU12=2, AU4=3)
    reached = strong.reaching(source, vector(AU12=4, AU4=1)[None])[0]
    assert reached[aus.INDEX["AU12L"]] == pytest.approx(0.4 + 1.5 * 0.4)
    assert reached[aus.INDEX["AU4L"]] == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["AU17", "AU23", "AU28", "AU15", "AU18", "AU4"])
def test_lips_never_cross(motion: FaceMotion, name: str) -> None:
    moved = motion.move(vector(**{name: 5})[None])[0]
    rest = motion.landmarks
    gap = moved[list(LOWER_LIP_EDGE), 1] - moved[list(UPPER_LIP_EDGE), 1]
    source = rest[list(LOWER_LIP_EDGE), 1] - rest[list(UPPER_LIP_EDGE), 1]
    assert (gap > np.minimum(source, 0) - 0.004).all()


def test_painting_is_the_photo_where_nothing_is_asked(motion: FaceMotion) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    scene = Scene(picture, np.array([[SIDE, 0, 0], [0, SIDE, 0]], np.float32), motion)
    renderer = generator_named("mesh").prepare(scene)
    (rendered,) = renderer.render(motion.source[None])
    assert np.abs(rendered - picture).max() < 0.51


def test_every_core_gets_as_many_frames(
    motion: FaceMotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    scene = Scene(picture, np.array([[SIDE, 0, 0], [0, SIDE, 0]], np.float32), motion)
    renderer = generator_named("mesh").prepare(scene)
    assert isinstance(renderer, MeshRenderer)
    for cores in (1, 2, 3, 8, 64):
        monkeypatch.setattr(torch, "get_num_threads", lambda cores=cores: cores)
        for count in (1, 2, 7, 40, 300, 9001):
            together = renderer.frames_together(count)
            rounds = -(-count // (together * cores))
            assert 1 <= together <= 16 and (rounds > 1 or count <= 4 * cores)
            assert together * rounds < count / cores + rounds  # of the core that has most
    monkeypatch.setattr(mesh, "_CHUNK_PIXELS", 2 * SIDE * SIDE)
    assert renderer.frames_together(300) == 2
    assert renderer.frames_together(0) == 1


def test_compression_rounds_the_cosine_coefficients_of_blocks() -> None:
    """To multiples of a step that grows with the frequency, as JPEG does; by OpenCV's transform."""
    picture = torch.rand(2, 3, 32, 32)
    pressed = augment._compress(picture)
    assert pressed.shape == picture.shape

    def coefficients(x: torch.Tensor) -> np.ndarray:
        blocks = x.view(6, 4, 8, 4, 8).permute(0, 1, 3, 2, 4).reshape(-1, 8, 8).numpy()
        return np.stack([cv2.dct(np.ascontiguousarray(block)) for block in blocks])

    steps = 1 + np.arange(8)[:, None] + np.arange(8)[None]  # of the lowest frequency's
    before, after = coefficients(picture) / steps, coefficients(pressed) / steps
    step = np.abs(after[np.abs(after) > 1e-3]).min()
    assert 0.01 <= step <= 0.06 and np.abs(after / step - np.round(after / step)).max() < 0.02
    assert np.abs(after - before).max() <= step / 2 + 1e-4


def test_gaze_signs() -> None:
    names = [f"eyeLook{d}{s}" for d in ("Out", "In", "Up", "Down") for s in ("Left", "Right")]
    score = dict.fromkeys(names, np.zeros(1))
    left = gaze_of_scores(score | {"eyeLookOutLeft": np.ones(1), "eyeLookInRight": np.ones(1)})
    up = gaze_of_scores(score | {"eyeLookUpLeft": np.ones(1), "eyeLookUpRight": np.ones(1)})
    assert left.tolist() == [[30, 0]]
    assert up.tolist() == [[0, 30]]
