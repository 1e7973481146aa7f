import numpy as np
import pytest

from memegen.errors import NoFaceError, UsageError
from memegen.faces.choose import Choice, choose, parse_choice
from memegen.faces.detect import Face, distinct, overlap, turned_back
from memegen.photo import Photo

PHOTO = Photo(np.zeros((100, 200, 3), np.uint8), None)


def a_face(x: float, size: float, confidence: float = 0.99) -> Face:
    return Face(
        np.array([x, 10, x + size, 10 + size], np.float32), np.zeros((5, 2), np.float32), confidence
    )


class Fake:
    """A detector that finds what it is told to."""

    def __init__(self, *faces: Face, inside: Face | None = None) -> None:
        self.faces, self.inside = list(faces), inside
        self.boxes: list[np.ndarray] = []

    def find(self, _rgb: np.ndarray, every: bool = False) -> list[Face]:
        return self.faces

    def find_in(self, _rgb: np.ndarray, box: np.ndarray) -> Face:
        self.boxes.append(box)
        assert self.inside is not None
        return self.inside


def test_choices() -> None:
    assert parse_choice("largest") == Choice()
    assert parse_choice(" All").which == "all"
    assert parse_choice("2").number == 2
    assert parse_choice("10,20,30.5,40").box == (10, 20, 30.5, 40)


@pytest.mark.parametrize(
    "text", ["biggest", "0", "-1", "1,2,3", "1,2,3,x", "1,2,0,5", "nan,1,9,9", ""]
)
def test_wrong_choices(text: str) -> None:
    with pytest.raises(UsageError, match="--face"):
        parse_choice(text)


def test_choosing() -> None:
    big, small = a_face(0, 50), a_face(100, 20)
    both = Fake(big, small)
    assert choose(PHOTO, parse_choice("largest"), both) == [big]
    assert choose(PHOTO, parse_choice("all"), both) == [big, small]
    assert choose(PHOTO, parse_choice("2"), both) == [small]
    with pytest.raises(NoFaceError, match="only 2"):
        choose(PHOTO, parse_choice("3"), both)
    with pytest.raises(NoFaceError, match="no face found"):
        choose(PHOTO, parse_choice("largest"), Fake())


def test_a_box_says_where_to_look() -> None:
    seen = a_face(20, 60)
    asked = Fake(inside=seen)
    assert choose(PHOTO, parse_choice("20,10,60,800"), asked) == [seen]
    assert asked.boxes[0].tolist() == [20, 10, 80, 100]  # what of it is in the photo


def test_a_box_outside_the_photo() -> None:
    with pytest.raises(UsageError, match="outside 200x100"):
        choose(PHOTO, parse_choice("300,10,60,80"), Fake())


def test_second_finds_of_one_face_are_dropped() -> None:
    one, again, other = a_face(0, 50), a_face(4, 48, 0.95), a_face(100, 80, 0.97)
    assert distinct([one, again, other]) == [other, one]
    assert overlap(one.box, other.box) == 0


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_faces_of_turned_photos_come_back(turns: int) -> None:
    photo = np.zeros((40, 60), np.uint8)
    photo[12, 33] = 1
    row, column = np.argwhere(np.rot90(photo, turns))[0]
    points = np.tile(np.array([[column + 0.5, row + 0.5]], np.float32), (5, 1))
    box = np.array([column, row, column + 1, row + 1], np.float32)
    back = turned_back(Face(box, points, 1.0), turns, 60, 40)
    assert np.allclose(back.points[0], [33.5, 12.5])
    assert np.allclose(back.box, [33, 12, 34, 13])
