import numpy as np
import pytest
import torch
from support.faces import vector

from memegen import aus
from memegen.faces.align import Alignment, align, five_points
from memegen.geometry.anatomy import Anatomy
from memegen.geometry.box import Box
from memegen.geometry.flow import DenseFlow, ring_points, warp
from memegen.geometry.motion import FaceMotion, within_reach
from memegen.geometry.outline import fill, smooth_ring
from memegen.geometry.raster import rasterize, trace
from memegen.geometry.sampling import Border, pixel_centres, sample_displaced, sample_images
from memegen.geometry.shape import angles_of, fit_pose, mirror_order, rotation_of
from memegen.geometry.topology import (
    EYE_LEFT,
    EYE_RIGHT,
    FACE_OVAL,
    LIPS_INNER,
    LOWER_LIP_EDGE,
    UPPER_LIP_EDGE,
)


def test_alignment_puts_eyes_where_the_data_has_them() -> None:
    points = np.array([[100, 100], [160, 100], [130, 130], [110, 160], [150, 160]], np.float32)
    aligned = align(points)
    eyes = aligned.to_crop(points[:2])
    assert np.allclose(eyes.mean(0), [0.5, 0.40], atol=1e-5)
    assert eyes[1, 0] - eyes[0, 0] == pytest.approx(0.27, abs=1e-5)


def test_alignment_of_a_turned_head_keeps_its_size() -> None:
    """Eyes foreshortened to half: the eye-to-mouth distance holds the scale."""
    front = np.array([[100, 100], [160, 100], [130, 130], [110, 163], [150, 163]], np.float32)
    turned = front.copy()
    turned[:2, 0] = [115, 145]
    assert align(turned).width == pytest.approx(0.95 * 63 / 0.27, rel=1e-4)
    assert align(turned).width > 0.95 * align(front).width


def test_alignment_follows_rotation_and_there_and_back() -> None:
    points = np.array([[100, 100], [160, 100], [130, 130], [110, 160], [150, 160]], np.float32)
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    aligned = align(points @ turn.T)
    assert np.allclose(aligned.matrix / aligned.width, turn, atol=1e-5)
    assert np.allclose(aligned.to_photo(aligned.to_crop(points)), points, atol=1e-3)


def test_five_points_of_landmarks(face: np.ndarray) -> None:
    aligned = align(five_points(face))
    assert isinstance(aligned, Alignment)
    assert aligned.width == pytest.approx(1, abs=0.15)


def test_pose_is_recovered(anatomy: Anatomy) -> None:
    angles = np.array([20, -10, 5], np.float32)
    points = (anatomy.canonical @ rotation_of(angles).T * 0.25 + [0.5, -0.4, 0]) * [1, -1, -1]
    pose = fit_pose(points.astype(np.float32), anatomy.canonical, anatomy.rigid_weights)
    assert np.allclose(angles_of(pose.rotation), angles, atol=1e-2)
    assert pose.scale == pytest.approx(0.25, rel=1e-4)
    assert np.allclose(pose.to_face(points.astype(np.float32)), anatomy.canonical, atol=1e-4)


def test_angles_mean_what_they_say() -> None:
    forward, top = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
    assert (rotation_of(np.array([20, 0, 0], np.float32)) @ forward)[0] > 0  # image right
    assert (rotation_of(np.array([0, 20, 0], np.float32)) @ forward)[1] > 0  # up
    assert (rotation_of(np.array([0, 0, 20], np.float32)) @ top)[0] > 0  # person's left shoulder


def test_mirror_order_is_an_involution_with_eyes_swapped(anatomy: Anatomy) -> None:
    order = mirror_order(anatomy.canonical)
    assert (order[order] == np.arange(478)).all()
    assert order[468] == 473
    assert [order[i] for i in EYE_RIGHT] == list(EYE_LEFT)


def test_anatomy_is_side_symmetric(anatomy: Anatomy) -> None:
    order = mirror_order(anatomy.canonical)[:468]
    left = anatomy.displacement(vector(AU12L=4))
    right = anatomy.displacement(vector(AU12R=4))
    assert np.abs(left[order] * [-1, 1, 1] - right).max() < 0.02


@pytest.mark.parametrize(
    ("expression", "vertex", "axis", "sign"),
    [
        ({"AU12L": 5}, 291, 1, 1), ({"AU12L": 5}, 291, 0, 1), ({"AU15": 5}, 291, 1, -1),
        ({"AU26": 5}, 14, 1, -1), ({"AU1": 5}, 107, 1, 1), ({"AU4": 5}, 107, 1, -1),
        ({"AU2L": 5}, 334, 1, 1), ({"AU10": 5}, 0, 1, 1), ({"AU30L": 5}, 152, 0, 1),
        ({"AU5": 5}, 159, 1, 1), ({"AU45": 5}, 159, 1, -1), ({"AU18": 5}, 291, 0, -1),
    ],
)  # fmt: skip
def test_action_units_move_what_their_names_say(
    anatomy: Anatomy, expression: dict[str, float], vertex: int, axis: int, sign: int
) -> None:
    moved = anatomy.displacement(vector(expression))[vertex, axis]
    assert moved * sign > 0.015


def test_own_expression_moves_nothing(face: np.ndarray, anatomy: Anatomy) -> None:
    source = vector({"AU12": 3, "AU26": 2, "AU45": 1, "AU51": 2, "AU61": 1})
    still = FaceMotion.of(face, source, anatomy)
    assert np.abs(still.move(source[None])[0] - face).max() < 1e-6


def test_a_blink_brings_the_lids_exactly_together(motion: FaceMotion) -> None:
    moved = motion.move(vector(AU45=5)[None])[0]
    for ring in (EYE_LEFT, EYE_RIGHT):
        gap = np.abs(moved[list(ring[1:8]), 1] - moved[list(ring[:8:-1]), 1])
        assert gap.max() < 0.002


def test_a_wink_closes_one_eye(motion: FaceMotion) -> None:
    moved = motion.move(vector(AU46L=5)[None])[0]
    left = np.abs(moved[list(EYE_LEFT[1:8]), 1] - moved[list(EYE_LEFT[:8:-1]), 1]).mean()
    right = np.abs(moved[list(EYE_RIGHT[1:8]), 1] - moved[list(EYE_RIGHT[:8:-1]), 1]).mean()
    assert left < 0.1 * right


def test_closing_an_open_mouth_is_complete(face: np.ndarray, anatomy: Anatomy) -> None:
    source = vector({"AU26": 4, "AU25": 3})
    opened = FaceMotion.of(face, np.zeros(len(aus.CHANNELS), np.float32), anatomy).move(
        source[None]
    )[0]
    closed = FaceMotion.of(opened, source, anatomy).move(
        np.zeros((1, len(aus.CHANNELS)), np.float32)
    )[0]
    gap = closed[list(LOWER_LIP_EDGE), 1] - closed[list(UPPER_LIP_EDGE), 1]
    assert np.abs(gap).max() < 0.004


def test_heads_turn_no_further_than_a_photo_can_show() -> None:
    steps = np.linspace(0, 60, 61, dtype=np.float32)
    asked = np.stack([steps, -steps, steps], 1)
    change = within_reach(asked, np.zeros(3, np.float32))
    assert np.allclose(change[:13], asked[:13], atol=1e-4)  # 12 degrees exactly
    assert (np.diff(change[:, 0]) > 0).all() and 19 < change[-1, 0] < 20
    assert np.allclose(change[:, 1], -change[:, 0], atol=1e-4)
    assert np.allclose(change[:, 2], change[:, 0], atol=1e-4)
    source = np.array([20, 0, 0], np.float32)
    back, on = (within_reach((source + d * asked)[:, :3], source)[-1, 0] - 20 for d in (-1, 1))
    assert -6.001 < back < -5.9 and 19 < on < 20


def test_head_turn_left_moves_the_nose_to_the_images_right(motion: FaceMotion) -> None:
    rest = motion.move(vector()[None])[0]
    assert motion.move(vector(AU51=3)[None])[0, 1, 0] > rest[1, 0] + 0.02
    assert motion.move(vector(AU53=3)[None])[0, 1, 1] < rest[1, 1] - 0.02
    assert motion.move(vector(AU55=3)[None])[0, 10, 0] > rest[10, 0] + 0.02


def test_gaze_moves_irises_only(motion: FaceMotion) -> None:
    rest, moved = motion.move(vector()[None])[0], motion.move(vector(AU61=4)[None])[0]
    assert moved[468, 0] > rest[468, 0] + 0.01
    assert np.abs(moved[:468] - rest[:468]).max() < 0.01


def test_rasterizer_agrees_with_the_definition() -> None:
    points = torch.tensor([[[1.0, 1.0], [9.0, 2.0], [3.0, 8.0], [8.5, 9.0]]])
    triangles = torch.tensor([[0, 1, 2], [1, 3, 2]])
    index = rasterize(points, torch.zeros(1, 4), triangles, 10, 10)[0]
    for row in range(10):
        for column in range(10):
            p = np.array([column + 0.5, row + 0.5])
            inside = []
            for number, triangle in enumerate(triangles.tolist()):
                a, b, c = points[0, triangle].numpy()
                edges = [(a, b), (b, c), (c, a)]
                sides = [
                    (q[0] - o[0]) * (p[1] - o[1]) - (q[1] - o[1]) * (p[0] - o[0]) for o, q in edges
                ]
                if min(sides) >= -1e-3 or max(sides) <= 1e-3:
                    inside.append(number)
            assert (int(index[row, column]) in inside) if inside else int(index[row, column]) == -1


def test_nearer_triangle_wins_and_flat_ones_draw_nothing() -> None:
    points = torch.tensor([[[0.0, 0], [8, 0], [0, 8], [0, 0], [8, 0], [0, 8], [2, 2]]])
    depth = torch.tensor([[0.0, 0, 0, 1, 1, 1, 9]])
    triangles = torch.tensor([[3, 4, 5], [0, 1, 2], [6, 6, 6]])
    index = rasterize(points, depth, triangles, 8, 8)[0]
    assert int(index[1, 1]) == 0
    assert int(index[7, 7]) == -1


def test_traced_positions_invert_an_affine_motion() -> None:
    source = torch.tensor([[2.0, 2], [30, 3], [4, 28], [29, 29]])
    matrix = torch.tensor([[0.9, 0.1], [-0.05, 0.8]])
    points = source @ matrix.T + torch.tensor([1.0, 2.0])
    triangles = torch.tensor([[0, 1, 2], [1, 3, 2]])
    index, where = trace(points[None], torch.zeros(1, 4), source[None], triangles, 32, 32)
    assert torch.equal(index, rasterize(points[None], torch.zeros(1, 4), triangles, 32, 32))
    held = index[0] >= 0
    ys, xs = torch.nonzero(held, as_tuple=True)
    pixel = torch.stack([xs, ys], 1) + 0.5
    expected = (pixel - torch.tensor([1.0, 2.0])) @ torch.linalg.inv(matrix).T
    assert torch.allclose(where[0].permute(1, 2, 0)[held], expected, atol=1e-3)
    assert held.sum() > 200


def flow_of(face: np.ndarray, anatomy: Anatomy, side: int) -> tuple[DenseFlow, np.ndarray]:
    points = face * side
    return DenseFlow(points, anatomy.triangles, side, side, max(1, side // 150)), points


def test_no_motion_is_no_flow(face: np.ndarray, anatomy: Anatomy) -> None:
    flow, points = flow_of(face, anatomy, 300)
    assert float(flow(points[None]).abs().max()) < 1e-3


def test_flow_is_zero_outside_the_outline(
    face: np.ndarray, anatomy: Anatomy, motion: FaceMotion
) -> None:
    flow, _ = flow_of(face, anatomy, 300)
    moved = motion.move(vector(AU51=3, AU27=5, AU12=3)[None]) * 300
    field = flow(moved)[0]
    outside = fill(flow.outline(), Box(0, 0, 300, 300)) == 0
    assert outside.any()
    assert float(field[:, torch.from_numpy(outside)].abs().max()) < 0.6  # one coarse cell
    assert float(field.abs().max()) > 5


def test_flow_follows_the_vertices(face: np.ndarray, anatomy: Anatomy, motion: FaceMotion) -> None:
    flow, points = flow_of(face, anatomy, 300)
    moved = (motion.move(vector(AU12=4, AU1=4)[None]) * 300)[0]
    field = flow(moved[None])[0].numpy()
    for v in (61, 291, 107, 336, 50, 280, 199):
        x, y = np.floor(moved[v, :2]).astype(int)
        assert np.allclose(field[:, y, x], points[v, :2] - moved[v, :2], atol=1.6)


def test_warp_without_flow_returns_the_image() -> None:
    image = torch.rand(1, 3, 33, 47)
    assert torch.allclose(warp(image, torch.zeros(1, 2, 33, 47)), image, atol=1e-4)


def test_warp_shifts_by_whole_pixels() -> None:
    image = torch.rand(1, 3, 20, 20)
    flow = torch.zeros(1, 2, 20, 20)
    flow[:, 0] = 3
    assert torch.allclose(warp(image, flow)[..., :16], image[..., 3:19], atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_warp_reads_as_torch_does(channels: int) -> None:
    rng = np.random.default_rng(channels)
    images = [torch.from_numpy(rng.random((channels, 33, 47), np.float32)) for _ in range(2)]
    flow = torch.from_numpy(rng.normal(size=(2, 2, 33, 47)).astype(np.float32)) * 9
    at = (pixel_centres(33, 47) + flow).permute(0, 2, 3, 1).requires_grad_()
    borders: tuple[Border, ...] = ("border", "zeros", "reflection")
    for border in borders:
        pairs = zip(images, at, strict=True)
        wanted = torch.cat([sample_images(one[None], p[None], border) for one, p in pairs])
        torch.testing.assert_close(
            sample_displaced(images, flow, border), wanted.detach(), atol=1e-4, rtol=0
        )
    nothing = [image[:, :0] for image in images]
    assert sample_displaced(nothing, flow[:, :, :0]).shape == (2, channels, 0, 47)


def test_rings_lie_outside_the_oval(face: np.ndarray) -> None:
    rings = ring_points(face).reshape(3, len(FACE_OVAL), 2)
    centre = face[list(FACE_OVAL), :2].mean(0)
    radius = np.linalg.norm(rings - centre, axis=-1)
    assert (np.diff(radius, axis=0) > 0).all()


def test_filled_ring_has_its_area_and_clean_edges(face: np.ndarray) -> None:
    ring = np.array([[2, 2], [12, 2], [12, 8], [2, 8]], np.float32)
    mask = fill(ring, Box(0, 0, 16, 12))
    assert mask.sum() == pytest.approx(60, rel=0.08)  # edges count an eighth of a pixel more
    lips = smooth_ring(face[list(LIPS_INNER), :2] * 400, (0, 10))
    assert len(lips) == 120
    assert np.allclose(lips[::6], face[list(LIPS_INNER), :2] * 400, atol=1e-3)
