"""Where drawn faces are, in the terms of photos: what perception says of those, a box says here."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from memegen import aus, weights
from memegen.arrays import Array, Picture
from memegen.cartoon import animeface
from memegen.cartoon.crop import FACE_SHARE, Crop
from memegen.errors import UsageError
from memegen.faces.align import Alignment, five_points
from memegen.faces.detect import Detector, Face
from memegen.perception.analyze import FaceAnalysis
from memegen.perception.find import AnalyzedFace

# Pixels of a drawing that is searched, and searched again for smaller faces if there are none: the
# detector takes seconds on larger ones.
SEARCH_SIDES = (640, 1280)
# From what animeface finds to the box of a face: medians over drawn characters whose boxes are
# known (`cartoon.renderer.face_box`); half of them differ from each by less than 7%.
_WIDTHS_OF_BOX = 1.07  # the face's width, in widths of animeface's box
_WIDTHS_OF_EYES = 2.12  # and in distances between the eyes
_BELOW_CHIN = 0.03  # of animeface's box: how far its chin is above the face's
_LIKELY = 0.9  # likelihood from which animeface is believed before the detector of photos
# The same for what that detector finds, medians over drawings of several hands.
_WIDTHS_OF_FIND = 1.04
_ABOVE_FIND = 0.04  # widths of its box that the chin is above the box's bottom
_CONFIDENT = 0.8
_HEIGHT = 0.85  # of a face from above its brows to its chin, to its width


class DrawnFaceFinder:
    """Finds faces in drawings (see faces.choose.Finder).

    What is found has the face's crop as its alignment, the landmarks of an average face laid on
    the box, and an expression at rest: what a drawing shows is what its poses are counted from.
    Animeface knows anime; the detector of photos finds many other drawings, whose faces perception
    would not take for ones.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def find(self, rgb: Picture, every: bool = False) -> list[AnalyzedFace]:
        """The largest face of an (H, W, 3) drawing, or `every` one, largest first.

        Raises UsageError if there is none and the package that finds more is missing.
        """
        drawn = _as_anime(rgb) if animeface.available() else []
        likely = [seen for seen in drawn if seen.face.confidence >= _LIKELY]
        found = likely or self._as_photo(rgb, every) or drawn
        if not found and not animeface.available():
            raise UsageError(animeface.MISSING)
        return found if every else found[:1]

    def _as_photo(self, rgb: Picture, every: bool) -> list[AnalyzedFace]:
        """What the detector of photos is sure of, largest first."""
        found = next(self._detector.rungs(rgb, every), [])
        return [
            seen_in_box(_box_of_find(face.box), face.confidence)
            for face in found
            if face.confidence >= _CONFIDENT
        ]

    def find_in(self, rgb: Picture, box: Array) -> AnalyzedFace:
        """The face that fills a box (x0, y0, x1, y1): it is believed."""
        del rgb
        return seen_in_box(np.concatenate([box[:2], box[2:] - box[:2]]), 1.0)


def _as_anime(rgb: Picture) -> list[AnalyzedFace]:
    """What animeface finds, largest first."""
    for times in _reductions(max(rgb.shape[:2])):
        found = animeface.detect(_reduced(rgb, times))
        if found:
            return [seen_in_box(_box_of(face) * times, face.likelihood) for face in found]
    return []


def seen_in_box(box: Array, confidence: float) -> AnalyzedFace:
    """A drawn face whose box is (4,) x, y, width, height in pixels."""
    crop = Crop.around(box)
    alignment = Alignment(
        np.diag([crop.side, crop.side]).astype(np.float32),
        np.array([crop.left, crop.top], np.float32),
    )
    usual = _average_face()
    low, high = usual[:, 0].min(), usual[:, 0].max()
    bottom = (float(box[1] + box[3]) - crop.top) / crop.side
    origin = np.array([(low + high) / 2, usual[:, 1].max(), 0], np.float32)
    landmarks = (usual - origin) * np.float32(FACE_SHARE / (high - low))
    landmarks += np.array([0.5, bottom, 0], np.float32)
    at_rest = np.zeros(len(aus.CHANNELS), np.float32)
    analysis = FaceAnalysis(alignment, landmarks, at_rest, np.zeros(3, np.float32), 0.0)
    corners = np.concatenate([box[:2], box[:2] + box[2:]]).astype(np.float32)
    points = alignment.to_photo(five_points(landmarks))
    return AnalyzedFace(Face(corners, points, confidence), analysis)


@lru_cache(maxsize=1)
def _average_face() -> Array:
    """(478, 3) landmarks in units of photos' crops."""
    mean = weights.load("perception", "perception").tensors["mean"]
    return np.asarray(mean.float().numpy(), np.float32)


def _reductions(side: int) -> list[int]:
    """By how much a drawing whose longest side is given is reduced, attempt by attempt."""
    times = [max(1, int(np.ceil(side / most))) for most in SEARCH_SIDES]
    return sorted(set(times), reverse=True)


def _reduced(rgb: Picture, times: int) -> Picture:
    """Every `times` pixels averaged to one."""
    if times == 1:
        return rgb
    height, width = (n // times * times for n in rgb.shape[:2])
    blocks = rgb[:height, :width].reshape(height // times, times, width // times, times, 3)
    return np.round(blocks.mean((1, 3), dtype=np.float32)).astype(np.uint8)


def _box_of_find(box: Array) -> Array:
    """(4,) x, y, width, height of a face, from a box (x0, y0, x1, y1) of the detector's."""
    wide = float(box[2] - box[0])
    width = _WIDTHS_OF_FIND * wide
    bottom = float(box[3]) - _ABOVE_FIND * wide
    left = float(box[0] + box[2]) / 2 - width / 2
    return np.array([left, bottom - _HEIGHT * width, width, _HEIGHT * width], np.float32)


def _box_of(face: animeface.AnimeFace) -> Array:
    """(4,) x, y, width, height of a face, from what was found of it."""
    between = float(np.linalg.norm(face.left_eye - face.right_eye))
    width = (_WIDTHS_OF_BOX * float(face.box[2]) + _WIDTHS_OF_EYES * between) / 2
    middle = float(face.box[0] + face.box[2] / 2)
    bottom = float(face.chin[1]) + _BELOW_CHIN * float(face.box[3])
    height = _HEIGHT * width
    return np.array([middle - width / 2, bottom - height, width, height], np.float32)
