"""The far edge of a turned face."""

import numpy as np
from support.faces import vector

from memegen.geometry.anatomy import Anatomy
from memegen.geometry.motion import FaceMotion
from memegen.geometry.shape import MESH_POINTS, Pose, rotation_of
from memegen.geometry.silhouette import silhouette_weights
from memegen.geometry.topology import FACE_OVAL

CHEEKS = (50, 280)  # the person's right and left
SMILE = vector(AU12=5, AU6=4)


def turned_by(degrees: float, motion: FaceMotion, anatomy: Anatomy) -> FaceMotion:
    mesh = motion.pose.to_face(motion.landmarks)
    turn = rotation_of(np.array([degrees, 0, 0]))
    pose = Pose(turn, motion.pose.scale, motion.pose.offset)
    return FaceMotion.of(pose.to_crop(mesh).astype(np.float32), motion.source, anatomy)


def test_a_face_from_the_front_moves_as_anatomy_says(motion: FaceMotion) -> None:
    shares = silhouette_weights(
        motion.landmarks, motion.anatomy.canonical, float(motion.pose.scale)
    )
    assert shares.sum(1).max() < 0.2 and not shares[list(CHEEKS)].any()


def test_skin_seen_edge_on_moves_as_the_outline(motion: FaceMotion, anatomy: Anatomy) -> None:
    turned = turned_by(30, motion, anatomy)
    total = turned.edge.sum(1)
    assert total.max() <= 1.001 and total.min() >= 0
    hidden = int(np.argmax(total))
    assert total[hidden] > 0.9
    assert anatomy.canonical[hidden, 0] > 0, "a head turned to its left shows its right side"
    assert total[CHEEKS[0]] == 0
    free = FaceMotion.of(turned.landmarks, turned.source, anatomy).move(SMILE[None])
    face = turned.pose.to_face(turned.landmarks)
    shift = turned.pose.to_face(free[0]) - face
    along = turned.edge[hidden] @ shift[list(FACE_OVAL)] / total[hidden]
    np.testing.assert_allclose(shift[hidden], along, atol=0.02)


def test_nothing_moves_in_at_the_far_edge(motion: FaceMotion, anatomy: Anatomy) -> None:
    """What a smile moves there would draw the background into the face."""
    far = turned_by(-25, motion, anatomy)
    moved = far.move(SMILE[None])[0, :MESH_POINTS, :2] - far.landmarks[:MESH_POINTS, :2]
    outline = far.landmarks[list(FACE_OVAL), :2]
    away = np.linalg.norm(far.landmarks[:MESH_POINTS, None, :2] - outline[None], axis=-1)
    near = (away.min(1) < 0.03 * far.pose.scale) & (anatomy.canonical[:, 0] < -0.3)
    nearest = np.array(FACE_OVAL)[away.argmin(1)]
    assert near.sum() > 8
    apart = np.linalg.norm(moved - moved[nearest], axis=-1)[near] / far.pose.scale
    assert apart.max() < 0.06


def test_the_photos_own_expression_moves_nothing(motion: FaceMotion, anatomy: Anatomy) -> None:
    turned = turned_by(25, motion, anatomy)
    assert np.abs(turned.move(turned.source[None])[0] - turned.landmarks).max() < 1e-5
