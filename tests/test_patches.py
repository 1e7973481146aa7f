"""Parts of many pictures drawn at once: where they lie, and the same by OpenCV and by torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.faces import scene_of, vector
from torch._subclasses.fake_tensor import FakeTensorMode

from memegen.generators import inpaint, mesh
from memegen.generators.mesh import MeshGenerator, MeshRenderer
from memegen.geometry import sampling
from memegen.geometry.affine import PlaneAffines
from memegen.geometry.anatomy import Anatomy
from memegen.geometry.lids import LidCurves, LidTables
from memegen.geometry.outline import fill
from memegen.geometry.patches import Patches, as_images, blended, per_picture
from memegen.geometry.topology import EYE_LEFT, LID_SKIN_LEFT

CPU = torch.device("cpu")
SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)


def test_boxes_are_of_one_size_inside_pictures_and_hold_their_points() -> None:
    points = np.stack([4 + 3 * SQUARE, 14 + 9 * SQUARE, 18 + SQUARE, -50 + SQUARE])
    patches = Patches.around(points, 2, 20, 30)
    assert (patches.height, patches.width) == (8, 13)  # the second ends with the picture
    for ring, box in zip(points, patches.boxes(), strict=True):
        assert 0 <= box.left < box.right <= 30 and 0 <= box.top < box.bottom <= 20
        whole = fill(ring, dataclasses.replace(box, left=0, top=0, right=30, bottom=20))
        assert fill(ring, box).sum() == pytest.approx(whole.sum())
    assert Patches.around(points[3:], 2, 20, 30).empty
    x, y = patches.pixels(CPU)
    assert x.shape == (4, 1, 13) and y.shape == (4, 8, 1)
    assert x[0, 0, 0] == patches.left[0] + 0.5 and y[1, -1, 0] == 19.5


def test_what_is_blended_goes_where_it_was_read() -> None:
    pictures = [torch.full((20, 30, channels), 10.0) for channels in (3, 4)]
    patches = Patches.around(np.stack([5 + 4 * SQUARE, 9 + 4 * SQUARE]), 0, 20, 30)
    under = patches.read(pictures)
    assert under.shape == (2, 3, 4, 4)
    opacity = per_picture(np.array([0.5, 1.0]), CPU).expand(2, 4, 4)
    patches.write(pictures, blended(under, torch.tensor([20.0, 30, 40]).view(3, 1, 1), opacity))
    assert pictures[0][6, 6].tolist() == [15, 20, 25]
    assert pictures[1][12, 12].tolist() == [20, 30, 40, 10]
    assert float(pictures[0].sum()) == pytest.approx(20 * 30 * 30 + 16 * 30)


def test_heads_turn_and_turn_back() -> None:
    matrices = np.array([[[0.9, 0.2], [-0.1, 1.1]], np.eye(2)])
    heads = PlaneAffines.of(matrices, np.array([[3, -4], [0, 7]]))
    points = np.random.default_rng(0).random((2, 5, 2)).astype(np.float32) * 50
    moved = heads.moved(points)
    np.testing.assert_allclose(moved[0], points[0] @ matrices[0].T + [3, -4], rtol=1e-5)
    np.testing.assert_allclose(heads.undone(moved), points, atol=1e-4)
    patches = Patches.around(moved, 1, 99, 99)
    x, y = heads.undone_pixels(*patches.pixels(CPU))
    corner = np.array([[patches.left[0] + 0.5, patches.top[0] + 0.5]])
    np.testing.assert_allclose((x[0, 0, 0], y[0, 0, 0]), heads.rows([0]).undone(corner)[0, 0])


def test_tables_of_lids_are_their_curves(face: np.ndarray) -> None:
    eyes = []
    for size in (300, 900):
        points = face[:, :2] * size
        eyes.append(LidCurves.of(points[list(EYE_LEFT)], points[list(LID_SKIN_LEFT)]))
    tables = LidTables.of(eyes, CPU)
    along = np.linspace(-0.4, 1.4, 60, dtype=np.float32).reshape(6, 10)
    both = torch.from_numpy(np.stack([along, along]))
    for eye, *found in zip(eyes, *tables.heights(both), strict=True):
        np.testing.assert_allclose(found, eye.heights(along), atol=0.02)  # pixels
    one = tables.rows([1])
    x, y = (torch.from_numpy(a)[None] for a in eyes[1].axes.pixels(along, 9 * along))
    for found, there in zip(one.axes.place(x, y), (along, 9 * along), strict=True):
        np.testing.assert_allclose(found[0], there, atol=1e-3)
    shut = eyes[1].shut(along, 9 * along)
    for found, there in zip(one.shut(both[:1], 9 * both[:1]), shut, strict=True):
        np.testing.assert_allclose(found[0], there, atol=0.05)


@pytest.mark.parametrize("border", ["border", "zeros", "reflection"])
def test_several_images_are_read_as_one_by_opencv_as_by_torch(
    border: sampling.Border, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    patch = rng.random((9, 7, 8)).astype(np.float32)
    x, y = (torch.from_numpy(rng.uniform(-3, 12, (2, 5, 6)).astype(np.float32)) for _ in "xy")
    images = as_images(patch, CPU)
    found = sampling.sample_planes(images, x, y, border)
    assert found.shape == (2, 8, 5, 6) and found.is_contiguous()
    alone = sampling.sample(patch, x[1].numpy(), y[1].numpy(), border)
    np.testing.assert_allclose(found[1].permute(1, 2, 0), alone, atol=1e-6)
    monkeypatch.setattr(sampling, "_by_opencv", lambda *_: False)
    np.testing.assert_allclose(sampling.sample_planes(images, x, y, border), found, atol=1e-4)


@pytest.mark.parametrize("sigma", [0.5, 1.7])
def test_a_blur_is_the_same_by_opencv_as_by_torch(sigma: float) -> None:
    planes = torch.rand(2, 4, 9, 11)
    found = inpaint.gaussian(planes, sigma)
    np.testing.assert_allclose(inpaint.convolved(planes, sigma), found, atol=1e-5)
    size = 2 * int(np.ceil(inpaint.GAUSSIAN_REACH * sigma)) + 1
    one = cv2.GaussianBlur(
        planes[1, 2].numpy(), (size, size), sigma, borderType=cv2.BORDER_REPLICATE
    )
    np.testing.assert_allclose(found[1, 2], one)


@pytest.fixture
def renderer(face: np.ndarray, anatomy: Anatomy) -> MeshRenderer:
    return MeshGenerator().prepare(scene_of(face, anatomy))


TARGETS = np.stack(
    [vector(AU26=4, AU25=3), vector(), vector(AU45L=5, AU45R=4), vector(AU61=3, AU52=4, AU27=5),
     vector(AU5=4, AU12=4, AU54=3)]
)  # fmt: skip


def test_frames_are_the_same_alone_and_together(renderer: MeshRenderer) -> None:
    together = renderer.move(TARGETS).images
    for frame, targets in zip(together, TARGETS, strict=True):
        alone = renderer.move(targets[None]).images[0]
        assert float((frame - alone).abs().max()) < 0.02  # of 255


@contextmanager
def a_gpu_that_computes_nothing(drawn: MeshRenderer) -> Iterator[torch.device]:
    """Eyes and mouth that a renderer has drawn once are there; tensors have shapes and devices.

    What mixes devices, or looks at numbers on one that a processor cannot see, fails.
    """
    there = torch.device("cuda")

    def moved(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return torch.empty_strided(value.shape, value.stride(), device=there)
        if isinstance(value, torch.device):
            return there
        if isinstance(value, tuple | list):
            return type(value)(map(moved, value))
        if isinstance(value, dict):
            return {key: moved(each) for key, each in value.items()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {f.name: moved(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return dataclasses.replace(value, **fields)
        return value

    eyes = [*drawn._eyes.values()]
    with FakeTensorMode(allow_non_fake_inputs=True):
        for layer in (*eyes, *(eye._lid for eye in eyes), drawn._mouth):
            for name, value in vars(layer).items():
                setattr(layer, name, moved(value))
        yield there


def test_eyes_and_mouth_are_drawn_where_the_pictures_are(
    renderer: MeshRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = renderer.move(TARGETS).images
    points = renderer.move_landmarks(TARGETS)
    assert len(renderer._mouth.drawn.layers) > 2 and "_shut" in vars(renderer._eyes["L"]._lid)
    # Nothing can be faked in inference mode.
    monkeypatch.setattr(mesh, "torch", SimpleNamespace(inference_mode=torch.no_grad))
    with a_gpu_that_computes_nothing(renderer) as there:
        pictures = torch.empty(images.shape, device=there)
        renderer.draw_interiors(pictures, points, TARGETS)
        assert pictures.device.type == there.type
