"""Motion of one face's landmarks: from its own expression to any other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from memegen import aus
from memegen.arrays import Array, Mask
from memegen.curves import soft_limit
from memegen.geometry.anatomy import Anatomy, compose_channels
from memegen.geometry.lips import LipLine
from memegen.geometry.shape import LEFT_IRIS, MESH_POINTS, RIGHT_IRIS, Pose, fit_pose, rotation_of
from memegen.geometry.silhouette import silhouette_weights
from memegen.geometry.topology import (
    BROW_LEFT,
    BROW_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    FACE_OVAL,
    LID_SKIN_LEFT,
    LID_SKIN_RIGHT,
    LIPS_OUTER,
    LOWER_LIP_EDGE,
    UPPER_LIP_EDGE,
)
from memegen.tracks import Detail

HEAD_PIVOT = np.array([0, -0.45, -1.25], np.float32)  # IOD: between the ears, where a neck turns
# Degrees of yaw, pitch and roll from the photo's pose: exactly, and at most. Beyond, the
# photo would have to show what it does not: the other side of a face, or the wall behind it. A head
# that is turned already has less to turn back, by this share of its turn.
EXACT_TURN, MOST_TURN, LEAST_TURN, BACK = 12.0, 20.0, 5.0, 0.7
EYEBALL_RADIUS = 0.19  # IOD: 12 mm of 63
BLINK_CLOSED = 0.8  # blink channel at which the lids meet
# Share of a brow's height above the upper lid that lowering leaves. Of 610 pairs of photos of one
# person, neutral and frowning, the first percentile at the inner end is 0.4; there brows vanish.
LEAST_BROW = 0.5
BROW_REACH = 0.12  # IOD around a brow that goes along when it is held
LID_FOLLOWS = 0.3  # of an iris's way up or down, beyond the lids' motion in the basis
WHITE_SHOWN, MOST_WIDENING = 0.02, 0.06  # IOD above the iris at AU5 = 5, and at most for that
BROW_ROOM = 0.55  # share of the skin's height between lid and brow that a raised lid leaves
SEEN_GAP = 0.015  # IOD between the lips of a photo, from which its mouth is open
CLOSED_LINE = 0.12  # where lids meet, from the lower lid (0) to the upper (1)


@dataclass(frozen=True)
class FaceMotion:
    """A face at rest in its photo, ready to be moved. Build it with `FaceMotion.of`."""

    landmarks: Array  # (478, 3) crop units, the rings of shut lips brought together
    source: Array  # (K,) the photo's own expression, 0..1
    anatomy: Anatomy
    pose: Pose
    lid_spread: dict[str, Array]  # side -> (468, 16) how far each lid point's correction reaches
    lip_spread: tuple[Array, Array]  # (468, 11) each, upper and lower lip edge
    lips: LipLine
    edge: Array  # (468, 36) how far vertices follow the outline, see `silhouette_weights`
    # Of each brow: its lower edge, the eye's ring, (468, 5) how far a correction of it reaches.
    brow_spread: tuple[tuple[tuple[int, ...], tuple[int, ...], Array], ...]
    limited: bool = True  # whether the head turns only as far as the photo can show

    @classmethod
    def of(cls, landmarks: Array, source: Array, anatomy: Anatomy) -> FaceMotion:
        """Fit the anatomy to landmarks (478, 3) of a face whose expression is `source` (K,)."""
        canonical = anatomy.canonical
        middle = canonical[list(LIPS_OUTER), 1].mean()
        near_mouth = np.linalg.norm(canonical[:, :2] - [0, middle], axis=1) < 0.75
        above = _upper_lip_side(anatomy)
        upper = _spread(canonical, UPPER_LIP_EDGE, 0.09) * (near_mouth & above)[:, None]
        lower = _spread(canonical, LOWER_LIP_EDGE, 0.12) * (near_mouth & ~above)[:, None]
        for edge, spread in ((UPPER_LIP_EDGE, upper), (LOWER_LIP_EDGE, lower)):
            spread[list(edge)] = np.eye(len(edge), dtype=np.float32)
        corners = [UPPER_LIP_EDGE[0], UPPER_LIP_EDGE[-1]]
        upper[corners], lower[corners] = upper[corners] / 2, lower[corners] / 2
        lids = {}
        for side, ring in (("R", EYE_RIGHT), ("L", EYE_LEFT)):
            spread = _spread(canonical, ring, 0.055)
            spread[list(ring)] = np.eye(len(ring), dtype=np.float32)
            lids[side] = spread
        pose = fit_pose(landmarks, canonical, anatomy.rigid_weights)
        landmarks, lips = _sealed(landmarks, source, pose)
        brows = tuple(
            (brow, ring, _spread(canonical, brow, BROW_REACH))
            for brow, ring in ((BROW_RIGHT[5:], EYE_RIGHT), (BROW_LEFT[5:], EYE_LEFT))
        )
        outline = silhouette_weights(landmarks, canonical, float(pose.scale))
        return cls(landmarks, source, anatomy, pose, lids, (upper, lower), lips, outline, brows)

    def on(self, landmarks: Array, source: Array) -> FaceMotion:
        """The same anatomy on another face: what `of` makes, without its preparations."""
        pose = fit_pose(landmarks, self.anatomy.canonical, self.anatomy.rigid_weights)
        landmarks, lips = _sealed(landmarks, source, pose)
        edge = silhouette_weights(landmarks, self.anatomy.canonical, float(pose.scale))
        return replace(self, landmarks=landmarks, source=source, pose=pose, lips=lips, edge=edge)

    def move(self, targets: Array, detail: Detail | None = None) -> Array:
        """(T, K) expressions, 0..1, to (T, 478, 3) landmarks in crop units.

        `detail` is what a performer's vertices did beyond what the action units say.
        """
        face = self.pose.to_face(self.landmarks)
        targets = self.anatomy.reaching(self.source, targets)
        # A photo whose expression is asked for must not move at all: nothing below adds to zero.
        moved = self.anatomy.displacement(targets)
        shift = moved - self._at_source
        if detail is not None:
            shift = shift + detail.weight[:, None] * detail.shift
        if self.edge.any():
            free = 1 - self.edge.sum(1, keepdims=True)
            shift = free * shift + self.edge @ shift[:, list(FACE_OVAL)]
        points = np.repeat(face[None], len(targets), 0)
        points[:, :MESH_POINTS] += shift
        self._turn_eyes(points, targets)
        self._hold_brows(points, face)
        self._widen_lids(points, face, targets)
        self._hold_brows(points, face)  # wide eyes under a frown: they meet halfway
        self._close_lids(points, face, targets, moved)
        lips_moved = None if detail is not None else moved
        self._meet_lips(points, face, targets, lips_moved)
        return self.pose.to_crop(self._turn_head(points, targets))

    def head_affine(self, targets: Array, depth: float) -> tuple[Array, Array]:
        """Where head turns take the plane z = `depth` (IOD) of the face, in crop units.

        (T, K) expressions to matrices (T, 2, 2) and offsets (T, 2):
        `moved = matrix @ point + offset`.
        """
        corners = np.array([[0, 0, depth], [1, 0, depth], [0, 1, depth]], np.float32)
        before = self.pose.to_crop(corners)[:, :2]
        after = self.pose.to_crop(self._turn_head(corners[None], targets))[..., :2]
        sides = np.swapaxes(after[:, 1:] - after[:, :1], 1, 2)
        matrix = sides @ np.linalg.inv((before[1:] - before[0]).T)
        offset = after[:, 0] - matrix @ before[0]
        return matrix.astype(np.float32), offset.astype(np.float32)

    def rest_landmarks(self) -> Array:
        """(468, 3) crop units: the face as it would be at rest, in its own pose."""
        face = self.pose.to_face(self.landmarks[:MESH_POINTS])
        return self.pose.to_crop(face - self._at_source)

    def _turn_head(self, points: Array, targets: Array) -> Array:
        """Rotate (T, P, 3) face coordinates by the change of head pose, about the neck."""
        source = aus.head_degrees(self.source)
        target = aus.head_degrees(targets)
        if self.limited:
            target = within_reach(target, source)
        change = rotation_of(target) @ rotation_of(source).T
        # `change` acts in camera axes; bring it into the face's own.
        local = self.pose.rotation.T @ change @ self.pose.rotation
        return (points - HEAD_PIVOT) @ np.swapaxes(local, -1, -2) + HEAD_PIVOT

    def _turn_eyes(self, points: Array, targets: Array) -> None:
        gaze = np.sin(np.radians(aus.gaze_degrees(targets)))
        source = np.sin(np.radians(aus.gaze_degrees(self.source)))
        shift = ((gaze - source) * EYEBALL_RADIUS)[:, None, :]
        for iris in (RIGHT_IRIS, LEFT_IRIS):
            points[:, iris, :2] += shift
        # An upper lid follows the iris nearly all the way, further than the basis takes it.
        followed = LID_FOLLOWS * shift[:, :, 1]
        for side, ring in (("R", EYE_RIGHT), ("L", EYE_LEFT)):
            self._lift_upper_lid(points, side, ring, followed)

    def _lift_upper_lid(self, points: Array, side: str, ring: tuple[int, ...], lift: Array) -> None:
        """Raise the middle of an upper lid by `lift` (T, 1) IOD, its corners not at all."""
        weight = self.lid_spread[side][:, 1:8] @ np.sin(np.pi * np.arange(1, 8) / 8)
        points[:, :MESH_POINTS, 1] += lift * weight.astype(np.float32)

    def _widen_lids(self, points: Array, face: Array, targets: Array) -> None:
        """Wide eyes show white above the iris: raise upper lids as far as that takes with AU5."""
        for side, ring, iris in (("R", EYE_RIGHT, RIGHT_IRIS), ("L", EYE_LEFT, LEFT_IRIS)):
            channel = aus.INDEX["AU5" + side]
            raising = np.clip(targets[:, channel] - self.source[channel], 0, 1)
            rim = np.linalg.norm(face[iris][1:, :2] - face[iris][0, :2], axis=-1).mean()
            above_iris = points[:, iris.start, 1] + rim + WHITE_SHOWN
            lack = np.clip(above_iris - points[:, ring[4], 1], 0, MOST_WIDENING)
            self._lift_upper_lid(points, side, ring, (raising * lack)[:, None])
        self._keep_off_brows(points, face)

    def _keep_off_brows(self, points: Array, face: Array) -> None:
        """Skin between a raised lid and its brow gathers; it must not run over the brow."""
        for side, ring, skin, brow in (
            ("R", EYE_RIGHT, LID_SKIN_RIGHT, BROW_RIGHT),
            ("L", EYE_LEFT, LID_SKIN_LEFT, BROW_LEFT),
        ):
            edge, lower_row = list(skin[1:6]), list(brow[5:])
            source = float(face[lower_row, 1].mean() - face[edge, 1].mean())
            room = points[:, lower_row, 1].mean(1) - points[:, edge, 1].mean(1)
            risen = np.maximum(points[:, edge, 1].mean(1) - face[edge, 1].mean(), 0)
            excess = np.clip(BROW_ROOM * max(source, 0) - room, 0, risen)
            self._lift_upper_lid(points, side, ring, -excess[:, None])

    def _hold_brows(self, points: Array, face: Array) -> None:
        """Keep lowered brows above the lids: a brow pushes the lid's skin down, never over it."""
        for brow, ring, spread in self.brow_spread:
            height = _above_lids(points, brow, ring)
            least = LEAST_BROW * _above_lids(face[None], brow, ring)
            lift = np.clip(least - height, 0, None)  # 0 where nothing is asked of the brow
            points[:, :MESH_POINTS, 1] += lift @ spread.T

    def _close_lids(self, points: Array, face: Array, targets: Array, moved: Array) -> None:
        """Bring the lids exactly together as the blink channels near BLINK_CLOSED.

        moved (T, 468, 3): where the basis moves vertices.
        """
        driven, source = compose_channels(targets), compose_channels(self.source)
        awake = self.anatomy.displacement(self._awake(targets)) - moved
        for side, ring in (("R", EYE_RIGHT), ("L", EYE_LEFT)):
            channel = aus.INDEX["AU45" + side]
            room = max(BLINK_CLOSED - float(source[channel]), 0.05)
            closing = np.clip((driven[:, channel] - source[channel]) / room, 0, 1)[:, None, None]
            ring_points = points[:, list(ring)]
            opposite = face[[ring[-k % 16] for k in range(16)]]
            is_upper = np.zeros((16, 1), bool)
            is_upper[1:8] = True
            lower = np.where(is_upper, opposite, face[list(ring)])
            upper = np.where(is_upper, face[list(ring)], opposite)
            line = lower + CLOSED_LINE * (upper - lower)
            line[[0, 8]] = face[[ring[0], ring[8]]]
            # Basis motion for what it is open, its own line for what it is closed.
            target = (1 - closing) * (ring_points + awake[:, list(ring)]) + closing * line
            target = _uncross(target)
            # Lids that the photo itself shows crossed (an eye shut tight) stay as they are.
            own_crossing = _uncross(face[None, list(ring)]) - face[list(ring)]
            parted = _uncross(ring_points) - ring_points - own_crossing
            correction = np.where(closing > 0, target - ring_points, parted)
            points[:, :MESH_POINTS] += np.einsum("vr,trc->tvc", self.lid_spread[side], correction)

    def _awake(self, targets: Array) -> Array:
        """(T, K) expressions without what they blink beyond the photo's own."""
        awake = targets.copy()
        for name in ("AU45L", "AU45R", "AU46L", "AU46R"):
            column = aus.INDEX[name]
            awake[:, column] = np.minimum(awake[:, column], self.source[column])
        return awake

    def _meet_lips(self, points: Array, face: Array, targets: Array, moved: Array | None) -> None:
        """Open shut lips smoothly; scale an open mouth down with what opens it; never cross lips.

        moved (T, 468, 3): where the basis moves vertices. None: lips move as measured on a
        performer, and are only kept from crossing.
        """
        upper, lower = list(UPPER_LIP_EDGE), list(LOWER_LIP_EDGE)
        if moved is None:
            middle = np.asarray((points[:, upper] + points[:, lower]) / 2, np.float32)
            half = np.asarray((points[:, upper] - points[:, lower]) / 2, np.float32)
        else:
            middle, half = self.lips.moved(points, face, targets)
            if self._own_gap > SEEN_GAP:
                keep = np.clip(_opening(moved) / self._own_gap, 0, 1)[:, None, None]
                kept = (face[upper] - face[lower]) / 2 * keep
                half = np.where(keep < 1, kept, half)
        crossed = (half[..., 1] < 0) & (face[upper, 1] >= face[lower, 1])
        half = np.where(crossed[..., None], np.float32(0), half)
        top = np.einsum("vr,trc->tvc", self.lip_spread[0], middle + half - points[:, upper])
        bottom = np.einsum("vr,trc->tvc", self.lip_spread[1], middle - half - points[:, lower])
        points[:, :MESH_POINTS] += top + bottom

    @cached_property
    def _at_source(self) -> Array:
        """(468, 3) IOD: where the photo's own expression moves vertices from rest."""
        return self.anatomy.displacement(self.source)

    @cached_property
    def _own_gap(self) -> float:
        """IOD by which the photo's own expression parts the lips."""
        return float(_opening(self.anatomy.displacement(self.source[None]))[0])


def _opening(moved: Array) -> Array:
    """(T,) how far (IOD) displacements (T, 468, 3) part the middle of the lips from rest."""
    return np.maximum(moved[:, 13, 1] - moved[:, 14, 1], 0)  # type: ignore[no-any-return]


def _above_lids(points: Array, brow: tuple[int, ...], ring: tuple[int, ...]) -> Array:
    """(T, 5) height of a brow's lower edge above the line of the upper lid (face coordinates)."""
    lid = list(ring[:9])
    found = np.empty((len(points), len(brow)), np.float32)
    for frame, face in enumerate(points):
        order = np.argsort(face[lid, 0])
        x, y = face[lid, 0][order], face[lid, 1][order]
        found[frame] = face[list(brow), 1] - np.interp(face[list(brow), 0], x, y)
    return found


def _sealed(landmarks: Array, source: Array, pose: Pose) -> tuple[Array, LipLine]:
    """Landmarks (478, 3) in crop units with shut lips on one line, and how shut they are."""
    face = pose.to_face(landmarks)
    lips = LipLine.of(face, source)
    sealed = landmarks.copy()
    rows = sorted({*UPPER_LIP_EDGE, *LOWER_LIP_EDGE})
    if lips.shut > 0:
        sealed[rows] = pose.to_crop(lips.sealed(face))[rows]
    return sealed, lips


def _upper_lip_side(anatomy: Anatomy) -> Mask:
    """(468,) vertices above the line of the closed mouth."""
    canonical = anatomy.canonical
    edge = (canonical[list(UPPER_LIP_EDGE)] + canonical[list(LOWER_LIP_EDGE)]) / 2
    line = np.interp(canonical[:, 0], edge[:, 0], edge[:, 1])
    above = canonical[:, 1] > line
    above[list(UPPER_LIP_EDGE)] = True
    above[list(LOWER_LIP_EDGE[1:-1])] = False
    return np.asarray(above)


def _spread(canonical: Array, ring: tuple[int, ...], reach: float) -> Array:
    """(468, R) share of each ring point's correction that every vertex follows, fading out."""
    distance = np.linalg.norm(canonical[:, None] - canonical[list(ring)][None], axis=-1)
    weight = np.exp(-((distance / reach) ** 2) / 2)
    nearest = weight.max(1, keepdims=True)
    shared = weight**4 / np.maximum((weight**4).sum(1, keepdims=True), 1e-12)
    return np.where(nearest > 0.01, shared * nearest, 0).astype(np.float32)


def within_reach(target: Array, source: Array) -> Array:
    """Head angles (T, 3) that a photo with `source` (3,) can show.

    They run softly against what is possible, the more so where a turn uncovers a hidden side.
    """
    change = target - source
    uncovers = (change * source < 0) & np.array([True, True, False])
    most = np.clip(MOST_TURN - BACK * np.abs(source) * uncovers, LEAST_TURN, MOST_TURN)
    exact = most * (EXACT_TURN / MOST_TURN)
    return np.asarray(source + soft_limit(change, exact, most), np.float32)


def _uncross(ring: Array) -> Array:
    """(T, 16, 3) lids with every upper point at or above its lower one (face coordinates)."""
    flipped = ring[:, [-k % 16 for k in range(16)]]
    sign = np.ones((16, 1), np.float32)
    sign[9:] = -1
    crossed = (ring[..., 1:2] - flipped[..., 1:2]) * sign < 0
    crossed[:, [0, 8]] = False
    return np.where(crossed, (ring + flipped) / 2, ring)  # type: ignore[no-any-return]
