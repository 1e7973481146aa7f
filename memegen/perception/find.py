"""Faces that are faces: what the detector finds, checked at four turns by what perception sees.

MTCNN finds faces in textiles and paws, and lays the mouth of a face that is upside down on its
forehead, all with high confidence. Perception always answers with a face, but only of a face that
stands upright in its crop does it say the same of every view, and what the detector's last
network says of that crop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from memegen.arrays import Array, Picture
from memegen.faces.align import Alignment, align, five_points, points_of_box
from memegen.faces.detect import Detector, Face, overlap
from memegen.geometry.shape import iod
from memegen.perception.analyze import FaceAnalysis, FaceAnalyzer, read_crop

# Above so many IOD of disagreement there is no face, or one at another turn: see `disagreement`.
# Measured by benchmarks/turned_faces.py.
NO_FACE = 0.047
FIVE_SHARE = 0.15  # of the distance between the detector's points and perception's
SAME_PLACE = 0.6  # overlap of boxes beyond which a second find is not tried at all turns again
SAME_FACE = 0.4  # likewise of faces that were accepted, beyond which they are one
MOST = 16  # finds of one attempt that are looked at: more are texture


@dataclass(frozen=True)
class AnalyzedFace:
    """A face that was found and understood, in photo pixels."""

    face: Face
    analysis: FaceAnalysis


class FaceFinder:
    """Finds faces and understands them; what is no face at any turn is left out."""

    def __init__(self, detector: Detector, analyzer: FaceAnalyzer) -> None:
        self._detector, self._perceiver = detector, analyzer

    def find(self, rgb: Picture, every: bool = False) -> list[AnalyzedFace]:
        """The largest face of an (H, W, 3) picture, or `every` one, largest first."""
        refused: list[Array] = []
        for faces in self._detector.rungs(rgb, every):
            likely = sorted(faces, key=lambda face: -face.confidence)[:MOST]
            found = self._accepted(rgb, sorted(likely, key=lambda face: -face.area), refused)
            if accepted := _distinct(list(found if every else islice(found, 1))):
                return accepted
        return []

    def find_in(self, rgb: Picture, box: Array) -> AnalyzedFace:
        """The face inside a hand-drawn box (x0, y0, x1, y1).

        Where none is recognized, in a drawing perhaps, the box itself says where it is.
        """
        first: Face | None = None
        for turns in (0, 1, 3, 2):
            face = self._detector.find_in(rgb, box, turns)
            first = first or face
            if face is not None and (seen := self._if_face(rgb, face, align(face.points))):
                return seen
        drawn = Face(box, points_of_box(box), 0.0)
        believed = first or drawn
        return self._at_turns(rgb, drawn) or AnalyzedFace(
            believed, self._perceiver.analyze(rgb, believed.points)
        )

    def disagreement(self, rgb: Picture, seen: FaceAnalysis) -> float:
        """How much speaks against a face, in IOD: that views differ, and networks.

        The root mean square of what single views, mirrored ones too, differ from their mean in
        landmarks, and a share of what the detector's five points in the aligned crop differ from
        perception's.
        """
        crop = read_crop(rgb, seen.alignment, self._perceiver.network.config.size)
        _, points = self._detector.judge(crop)
        gap = ((points[0] - five_points(seen.landmarks)) ** 2).sum(-1).mean()
        return seen.spread + FIVE_SHARE * float(np.sqrt(gap)) / max(
            float(iod(seen.landmarks)), 1e-6
        )

    def _accepted(
        self, rgb: Picture, faces: list[Face], refused: list[Array]
    ) -> Iterator[AnalyzedFace]:
        """Those that are faces. The boxes of the others are added to `refused`."""
        for face in faces:
            seen = self._if_face(rgb, face, align(face.points))
            if seen is None and all(_shared(face.box, box) < SAME_PLACE for box in refused):
                seen = self._at_turns(rgb, face)
            if seen is None:
                refused.append(face.box)
            else:
                yield seen

    def _at_turns(self, rgb: Picture, face: Face) -> AnalyzedFace | None:
        """The face in a box, tried at four turns: where perception agrees best, if it does."""
        usual = points_of_box(face.box)
        middle = usual.mean(0)
        tried = []
        for quarters in range(4):
            turn = np.linalg.matrix_power(np.array([[0, -1], [1, 0]], np.float32), quarters)
            near = align((usual - middle) @ turn.T + middle)
            # A start of 45 degrees beside the truth takes more than the usual steps.
            seen = self._perceiver.analyze_near(rgb, self._perceiver.realign(rgb, near))
            tried.append((self.disagreement(rgb, seen), quarters, seen))
        least, _, seen = min(tried, key=lambda one: one[:2])
        return _where_seen(face, seen) if least < NO_FACE else None

    def _if_face(self, rgb: Picture, face: Face, near: Alignment) -> AnalyzedFace | None:
        seen = self._perceiver.analyze_near(rgb, near)
        return AnalyzedFace(face, seen) if self.disagreement(rgb, seen) < NO_FACE else None


def _where_seen(face: Face, seen: FaceAnalysis) -> AnalyzedFace:
    """A find with the points that perception sees, and the box about them."""
    points = seen.alignment.to_photo(five_points(seen.landmarks))
    return AnalyzedFace(replace(face, box=_box_of(seen), points=points), seen)


def _box_of(seen: FaceAnalysis) -> Array:
    """(4,) of the landmarks, in photo pixels."""
    flat = seen.alignment.to_photo(seen.landmarks[:, :2])
    return np.concatenate([flat.min(0), flat.max(0)]).astype(np.float32)


def _distinct(found: list[AnalyzedFace]) -> list[AnalyzedFace]:
    """Largest first, without second finds of one face."""
    kept: list[AnalyzedFace] = []
    for one in sorted(found, key=lambda one: -one.face.confidence):
        box = _box_of(one.analysis)
        if all(overlap(box, _box_of(other.analysis)) < SAME_FACE for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: -one.face.area)


def _shared(a: Array, b: Array) -> float:
    """Intersection of two boxes over their union."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / max(float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared, 1e-6)
