"""Faces that lie or stand upside down, and finds that are no faces."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import memegen
from memegen import aus, recipes
from memegen.errors import NoFaceError
from memegen.faces.align import Alignment, five_points, quarter_turn
from memegen.faces.choose import Choice, choose, parse_choice
from memegen.faces.detect import Detector, Face
from memegen.perception.find import NO_FACE, FaceFinder
from memegen.photo import Photo

SMILE = recipes.of_expression({"AU12": 4, "AU25": 2, "AU26": 2}).track(10)


class Told(Detector):
    """A detector that finds what it is told to; its last network is the real one."""

    def __init__(self, *faces: Face) -> None:
        super().__init__()
        self.faces = list(faces)

    def rungs(self, rgb: np.ndarray, every: bool = False) -> Iterator[list[Face]]:
        yield self.faces

    def find_in(self, rgb: np.ndarray, box: np.ndarray, turns: int = 0) -> Face | None:
        return self.faces[0] if self.faces else None


def find_at(x: float, y: float, side: float) -> Face:
    """What a detector that takes a square for an upright face says."""
    low = np.array([x, y], np.float32)
    usual = np.array([[0.31, 0.39], [0.69, 0.39], [0.5, 0.58], [0.35, 0.77], [0.65, 0.77]])
    return Face(np.concatenate([low, low + side]), (low + side * usual).astype(np.float32), 0.99)


def turned(photo: Photo, turns: int) -> Photo:
    return Photo(np.ascontiguousarray(np.rot90(photo.rgb, turns)), None)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_are_those_of_arrays(turns: int) -> None:
    pixel = np.zeros((40, 60), np.uint8)
    pixel[12, 33] = 1
    row, column = np.argwhere(np.rot90(pixel, turns))[0]
    turn, shift = quarter_turn(turns, 60, 40)
    assert np.allclose(turn @ [33.5, 12.5] + shift, [column + 0.5, row + 0.5])


@pytest.mark.parametrize(
    ("degrees", "turns"),
    [(0, 0), (50, 0), (-50, 0), (70, 1), (95, 1), (170, 2), (-170, 2), (-80, 3)],
)
def test_heads_that_are_turned_far_lie(degrees: float, turns: int) -> None:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    lying = Alignment(
        50 * np.array([[cos, -sin], [sin, cos]], np.float32), np.array([9, 5], np.float32)
    )
    assert lying.roll == pytest.approx(degrees, abs=0.01)
    assert lying.turns == turns
    upright = lying.turned(turns, 200, 100)
    assert upright.turns == 0 and upright.width == pytest.approx(50, abs=1e-3)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_is_the_photo_animated_and_turned(
    animator: memegen.Animator, photo: Photo, turns: int
) -> None:
    track = SMILE.frame(SMILE.strongest())
    upright = next(iter(animator.animate(photo, track)))
    lying = next(iter(animator.animate(turned(photo, turns), track)))
    change = np.abs(upright.astype(int) - photo.rgb).mean()
    gap = np.abs(np.rot90(lying, -turns).astype(int) - upright).mean()
    assert gap < 0.05 * change


def test_a_find_upside_down_is_turned(animator: memegen.Animator, photo: Photo) -> None:
    """The detector lays its points as if the face stood, eyes on the chin."""
    flipped = turned(photo, 2)
    truth = animator.analyze(photo)[0].analysis
    right = truth.alignment.to_photo(five_points(truth.landmarks))
    height, width = photo.rgb.shape[:2]
    middle = np.array([width, height]) - right.mean(0)
    finder = FaceFinder(Told(find_at(*(middle - 45), 90.0)), animator.analyzer)
    (found,) = finder.find(flipped.rgb)
    assert found.analysis.alignment.turns == 2
    assert np.abs(np.array([width, height]) - found.face.points - right).max() < 4  # pixels


def test_finds_that_are_no_faces_are_refused(animator: memegen.Animator, photo: Photo) -> None:
    y, x = np.mgrid[:200, :240]
    plaid = 120 + 60 * np.sin(x / 9) + 50 * np.sin(y / 13) * (np.sin(x / 31) > 0)
    plaid_rgb = np.repeat(plaid[..., None], 3, -1).astype(np.uint8)
    for rgb, where in ((plaid_rgb, (60, 50, 90.0)), (photo.rgb, (200, 250, 120.0))):
        finder = FaceFinder(Told(find_at(*where)), animator.analyzer)
        assert finder.find(rgb) == []
        with pytest.raises(NoFaceError, match="no face found"):
            choose(Photo(rgb, None), Choice("all"), finder)


def test_the_real_face_is_taken_beside_a_larger_false_one(
    animator: memegen.Animator, photo: Photo
) -> None:
    truth = animator.analyze(photo)[0]
    finder = FaceFinder(Told(find_at(200, 250, 200.0), truth.face), animator.analyzer)
    (found,) = finder.find(photo.rgb)
    assert found.face is truth.face
    assert finder.disagreement(photo.rgb, found.analysis) < NO_FACE / 2


def test_a_box_is_believed_where_no_face_is_seen(animator: memegen.Animator) -> None:
    drawing = Photo(np.full((100, 200, 3), 180, np.uint8), None)
    finder = FaceFinder(Told(), animator.analyzer)
    drawn = choose(drawing, parse_choice("20,10,60,80"), finder)[0].face
    assert drawn.confidence == 0
    assert drawn.points[:2, 1].mean() < drawn.points[3:, 1].mean()
    assert ((drawn.points[:, 0] > 20) & (drawn.points[:, 0] < 80)).all()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, photo: Photo) -> list[Path]:
    """The sample swaying, upright and lying."""
    folder = tmp_path_factory.mktemp("clips")
    frames = [Image.fromarray(photo.rgb[:300, 60 + 3 * i : 360 + 3 * i]) for i in range(6)]
    paths = []
    for name, turn in (("upright", None), ("lying", Image.Transpose.ROTATE_90)):
        made = [frame.transpose(turn) if turn is not None else frame for frame in frames]
        paths.append(folder / f"{name}.png")
        made[0].save(paths[-1], save_all=True, append_images=made[1:], duration=100)
    return paths


def test_a_performer_who_lies_is_read_like_one_who_stands(
    animator: memegen.Animator, clips: list[Path]
) -> None:
    upright, lying = (animator.track_face(path) for path in clips)
    assert upright.heads is not None and lying.heads is not None
    assert np.abs(upright.units - lying.units).max() < 0.03
    assert aus.head_degrees(lying.units)[:, 2] == pytest.approx(
        aus.head_degrees(upright.units)[:, 2], abs=1
    )
    assert np.diff(lying.heads[:, :2], axis=0) == pytest.approx(
        np.diff(upright.heads[:, :2], axis=0), abs=0.7
    )


def test_a_lying_face_in_a_clip_is_changed_where_it_is(
    animator: memegen.Animator, clips: list[Path]
) -> None:
    upright, lying = (list(animator.animate_clip(path, SMILE)) for path in clips)
    assert lying[3].shape == np.rot90(upright[3]).shape
    gap = np.abs(np.rot90(lying[3], -1).astype(int) - upright[3]).mean()
    with Image.open(clips[0]) as image:
        image.seek(3)
        change = np.abs(upright[3].astype(int) - np.asarray(image.convert("RGB"))).mean()
    assert gap < 0.1 * change
