"""Eyes that close, narrow, widen and turn: lids, lashes, whites, and how lids move."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from support.faces import STILL, vector

from memegen.generators.eyes import EyeLayer, MovedEyes
from memegen.generators.inpaint import blur_of, pixel_grid, soften
from memegen.generators.lashes import draw_lashes
from memegen.generators.lids import LUMA, LidLayer
from memegen.geometry.box import Box
from memegen.geometry.lids import EyeAxes, LidCurves
from memegen.geometry.motion import BROW_ROOM, CLOSED_LINE, WHITE_SHOWN, FaceMotion
from memegen.geometry.outline import fill, smooth_ring
from memegen.geometry.topology import BROW_RIGHT, EYE_CORNERS, EYE_RIGHT, LID_SKIN_RIGHT

SKIN = np.array([150, 110, 90], np.float32)


@dataclass(frozen=True)
class DrawnEye:
    """A right eye of flat skin, white, dark iris and a darker rim of lashes."""

    picture: np.ndarray
    ring: np.ndarray
    iris: np.ndarray
    lid: np.ndarray
    iod: float

    def layer(self) -> EyeLayer:
        return EyeLayer(self.picture, self.ring, self.iris, self.lid, self.iod)

    def draw(
        self, image: np.ndarray, ring: np.ndarray, iris: np.ndarray, layer: EyeLayer | None = None
    ) -> None:
        """Into an image, in place, with other lids and another iris."""
        eyes = MovedEyes(ring[None], iris[None], self.lid[None])
        (layer or self.layer()).draw([torch.from_numpy(image)], eyes, STILL)

    def shut(self) -> np.ndarray:
        """Its ring with both lids on the line where they meet."""
        upper, lower = self.ring[1:8], self.ring[:8:-1]
        line = lower + CLOSED_LINE * (upper - lower)
        ring = self.ring.copy()
        ring[1:8], ring[:8:-1] = line, line
        return ring


def drawn_eye(face: np.ndarray, side: int) -> DrawnEye:
    points = face[:, :2] * side
    ring, iris, lid = points[list(EYE_RIGHT)], points[468:473], points[list(LID_SKIN_RIGHT)]
    iod = 0.27 * side
    x, y = pixel_grid(0, 0, side, side)
    opening = fill(smooth_ring(ring, EYE_CORNERS), Box(0, 0, side, side))
    lashes = soften(opening, max(1, 0.012 * iod))[..., None]
    picture = SKIN + (np.float32(60) - SKIN) * (lashes > 0.2)
    disc = np.hypot(x - iris[0, 0], y - iris[0, 1])[..., None] < 0.09 * iod
    picture = picture + (np.where(disc, 40, 230) - picture) * opening[..., None]
    return DrawnEye(picture.astype(np.float32), ring, iris, lid, iod)


@pytest.mark.parametrize("side", [93, 300, 700])  # faces of 25, 81 and 189 px between the eyes
def test_a_shut_eye_shows_neither_white_nor_iris(face: np.ndarray, side: int) -> None:
    eye = drawn_eye(face, side)
    image = eye.picture.copy()  # as if the warp had left the whole eye between the lids
    eye.draw(image, eye.shut(), eye.iris)
    inside = fill(smooth_ring(eye.ring, EYE_CORNERS), Box(0, 0, side, side)) > 0.5
    luma, skin = image @ LUMA, float(SKIN @ LUMA)
    assert luma[inside].max() < 1.12 * skin
    axes = EyeAxes.of(eye.ring, eye.lid)
    curves = LidCurves.of(eye.ring, eye.lid)
    along, above = axes.place(*pixel_grid(0, 0, side, side))
    meet, _, height = curves.shut(along, above)
    lid = inside & (height > 0.3) & (height < 0.9) & (along > 0.2) & (along < 0.8)
    assert np.abs(image[lid] - SKIN).max() < 0.2 * skin  # skin, where the iris was
    near = np.abs(above - meet) < max(0.7, 0.008 * eye.iod)
    line = inside & near & (along > 0.2) & (along < 0.7)
    assert luma[line].mean() < 0.8 * skin  # lashes, darker than the lid


def test_an_eye_at_rest_is_left_alone(face: np.ndarray) -> None:
    eye = drawn_eye(face, 300)
    image = eye.picture.copy()
    eye.draw(image, eye.ring, eye.iris)
    assert np.abs(image - eye.picture).max() < 0.01


def test_a_held_expression_gives_equal_frames(face: np.ndarray) -> None:
    eye = drawn_eye(face, 300)
    layer, frames = eye.layer(), []
    half = (eye.shut() + eye.ring) / 2
    for _ in range(2):
        image = eye.picture.copy()
        eye.draw(image, half, eye.iris + 3, layer)
        frames.append(image)
    assert (frames[0] == frames[1]).all()


def test_lowered_counts_the_upper_lid_only(face: np.ndarray) -> None:
    eye = drawn_eye(face, 300)
    layer = LidLayer(eye.picture, eye.ring, eye.lid, eye.iod)
    assert layer.lowered(np.stack([eye.ring, eye.shut()])) == pytest.approx([0, 1], abs=0.02)
    assert layer.lowered(eye.ring[None]) == 0
    squint = eye.ring.copy()
    squint[9:, 1] -= 8  # the lower lid goes up
    assert layer.lowered(squint[None]) < 0.02
    assert layer.lowered(eye.ring[None] + 5) == pytest.approx(0, abs=0.01)  # the whole eye moved
    sleeping = LidLayer(eye.picture, eye.shut(), eye.lid, eye.iod)
    assert sleeping.lowered(eye.shut()[None] + np.array([0, 3])) == 0  # the photo's own eye is shut


def test_half_shut_lies_between(face: np.ndarray) -> None:
    """The lid's painted skin reaches down to the moved edge and no further."""
    eye = drawn_eye(face, 300)
    half = (eye.shut() + eye.ring) / 2
    image = eye.picture.copy()
    eye.draw(image, half, eye.iris)
    x = round(float(eye.iris[0, 0]))
    edge = float(half[4, 1])
    assert image[round(edge - 4), x] == pytest.approx(SKIN, abs=25)
    assert image[round(edge + 4), x] @ LUMA < 60  # the iris still looks out below


def test_a_frame_of_glasses_is_not_painted_over(face: np.ndarray) -> None:
    eye = drawn_eye(face, 700)
    y, x = round(float(eye.lid[3, 1])), round(float(eye.iris[0, 0]))
    framed = eye.picture.copy()
    framed[y - 6 : y + 2] = 12  # a bar across the eye and beyond, at the lid's crease
    shown = []
    for picture in (framed, eye.picture):
        image = framed.copy()
        layer = replace(eye, picture=picture).layer()
        eye.draw(image, eye.shut(), eye.iris, layer)
        shown.append(image[y - 2 : y + 1, x - 20 : x + 20] @ LUMA)
    assert shown[0].max() < 45
    assert shown[1].mean() > 2 * shown[0].mean()  # a lid that knows of no frame is painted over it


def test_lashes_have_the_photos_colour_and_hang_outward(face: np.ndarray) -> None:
    eye = drawn_eye(face, 700)
    brown = eye.picture.copy()
    dark = (brown @ LUMA > 55) & (brown @ LUMA < 65)
    brown[dark] = (90, 50, 30)
    image = brown.copy()
    replace(eye, picture=brown).draw(image, eye.shut(), eye.iris)
    curves = LidCurves.of(eye.ring, eye.lid)
    box = Box(0, 0, 700, 700)
    along, above = curves.axes.place(*pixel_grid(0, 0, 700, 700))
    line = (np.abs(curves.shut(along, above)[2]) < 0.03) & (along > 0.2) & (along < 0.6)
    red, _, blue = image[line].mean(0)
    assert red > 1.3 * blue
    drawn = draw_lashes(curves, box, eye.iod, 1.0, 0.4)
    below = above < curves.shut(along, above)[0] - 0.02 * eye.iod
    outer, inner = drawn[below & (along < 0.4)].sum(), drawn[below & (along > 0.6)].sum()
    assert outer > 2 * inner > 0


def test_gaze_uncovers_white_even_where_the_photo_shows_none(face: np.ndarray) -> None:
    """A dark, narrow eye has hardly a pixel of clear white; it must not turn with brown ones."""
    eye = drawn_eye(face, 300)
    dim = eye.picture.copy()
    dim[dim.min(-1) > 200] = (120, 85, 70)
    image = dim.copy()
    layer = replace(eye, picture=dim).layer()
    eye.draw(image, eye.ring, eye.iris + np.array([8, 0], np.float32), layer)
    at = image[round(float(eye.iris[0, 1]) + 1), round(float(eye.iris[0, 0]) - 6)]
    assert at @ LUMA > 0.75 * float(SKIN @ LUMA)
    assert np.ptp(at) < 0.6 * np.ptp(SKIN)


def test_axes_there_and_back(face: np.ndarray) -> None:
    eye = drawn_eye(face, 300)
    turn = np.array([[0.9, -0.3], [0.3, 0.9]], np.float32)
    axes = EyeAxes.of(eye.ring @ turn.T, eye.lid @ turn.T)
    x, y = pixel_grid(3, 4, 5, 6)
    along, above = axes.place(x, y)
    back_x, back_y = axes.pixels(along, above)
    assert np.allclose(back_x, x, atol=1e-3) and np.allclose(back_y, y, atol=1e-3)
    assert axes.place(*(eye.lid @ turn.T).T)[1].min() > 0
    ends = axes.place(*(eye.ring[list(EYE_CORNERS)] @ turn.T).T)
    assert np.allclose(ends[0], [0, 1], atol=1e-5) and np.allclose(ends[1], 0, atol=1e-3)


def test_curves_run_through_the_lid_points_and_the_shut_line_between(face: np.ndarray) -> None:
    eye = drawn_eye(face, 300)
    curves = LidCurves.of(eye.ring, eye.lid)
    along, above = curves.axes.place(*eye.ring[1:8].T)
    upper, lower, crease = curves.heights(along)
    assert np.allclose(upper, above, atol=0.3)
    assert (lower < upper).all() and (crease > upper).all()
    line, reach, height = curves.shut(along, crease)
    assert np.allclose(line, lower + CLOSED_LINE * (upper - lower), atol=1e-4)
    assert np.allclose(height, 1) and np.allclose(reach, crease - line)


def test_blur_of_a_blurred_edge() -> None:
    """A step of contrast C under a Gaussian: greatest slope C / (sigma sqrt(2 pi)), halved."""
    from math import erf

    for sigma in (3.0, 6.0):
        row = np.array([127.5 * (1 + erf((x - 40) / sigma / 2**0.5)) for x in range(80)])
        assert blur_of(np.tile(row, (40, 1))) == pytest.approx(sigma / 2, rel=0.1)
    assert blur_of(np.zeros((1, 9))) == 0.5


def _middle_lid(points: np.ndarray) -> float:
    return float(points[EYE_RIGHT[4], 1])


@pytest.mark.parametrize(("name", "sign"), [("AU63", 1), ("AU64", -1)])
def test_upper_lids_follow_the_gaze(motion: FaceMotion, name: str, sign: int) -> None:
    rest = motion.pose.to_face(motion.landmarks)
    moved = motion.pose.to_face(motion.move(vector(**{name: 4})[None])[0])
    lid, iris = _middle_lid(moved) - _middle_lid(rest), moved[468, 1] - rest[468, 1]
    assert sign * iris > 0.05
    assert 0.7 < lid / iris < 1.1


def test_sideways_gaze_moves_no_lid(motion: FaceMotion) -> None:
    moved = motion.move(vector(AU61=5)[None])[0]
    assert (moved[:468] == motion.move(motion.source[None])[0][:468]).all()


def test_wide_eyes_show_white_above_the_iris(motion: FaceMotion) -> None:
    narrow = motion.landmarks.copy()
    edge = list(EYE_RIGHT[1:8])
    narrow[edge, 1] += 0.006  # crop units, downward: a lid well over the iris
    face = motion.on(narrow, motion.source)
    points = face.pose.to_face(face.move(vector(AU5=5)[None])[0])
    rim = np.linalg.norm(points[469:473, :2] - points[468, :2], axis=1).mean()
    assert _middle_lid(points) > points[468, 1] + rim + 0.5 * WHITE_SHOWN


def test_raised_lids_do_not_run_over_low_brows(motion: FaceMotion) -> None:
    low = motion.landmarks.copy()
    low[list(BROW_RIGHT), 1] += 0.02  # crop units, downward
    face = motion.on(low, motion.source)
    skin, brow = list(LID_SKIN_RIGHT[1:6]), list(BROW_RIGHT[5:])

    def room(points: np.ndarray) -> float:
        placed = face.pose.to_face(points)
        return float(placed[brow, 1].mean() - placed[skin, 1].mean())

    source, raised = room(low), room(face.move(vector(AU5=5)[None])[0])
    assert source > 0.01
    assert raised > 0.7 * BROW_ROOM * source
