"""Face shape: landmarks to a posed, scaled, expression-carrying mesh and back.

Two frames are used. *Crop* coordinates are those of landmarks: x right, y down, z away from the
camera, in units of the crop's width. *Face* coordinates are those of the canonical mesh: x to the
image's right, y up, z toward the camera, in inter-ocular distances (IOD).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array, Integers

MESH_POINTS = 468  # MediaPipe face mesh; landmarks add five points for each iris
LANDMARKS = 478
RIGHT_IRIS = slice(468, 473)  # the person's right, left in the image: centre, then four on the rim
LEFT_IRIS = slice(473, 478)
IRIS_CENTRES = (RIGHT_IRIS.start, LEFT_IRIS.start)
_FLIP = np.array([1.0, -1.0, -1.0], np.float32)  # crop axes <-> face axes


@dataclass(frozen=True)
class Pose:
    """Similarity from face to crop coordinates: `crop = flip(scale * rotation @ face + offset)`."""

    rotation: Array  # (..., 3, 3)
    scale: Array  # (...,) crop widths per IOD
    offset: Array  # (..., 3)

    def to_crop(self, points: Array) -> Array:
        """(..., P, 3) face coordinates (IOD) to crop coordinates."""
        turned = points @ np.swapaxes(self.rotation, -1, -2)
        return (turned * self.scale[..., None, None] + self.offset[..., None, :]) * _FLIP

    def to_face(self, points: Array) -> Array:
        """(..., P, 3) crop coordinates to face coordinates (IOD)."""
        centred = (points * _FLIP - self.offset[..., None, :]) / self.scale[..., None, None]
        return centred @ self.rotation

    def direction_to_crop(self, vectors: Array) -> Array:
        """(..., P, 3) displacements in face coordinates to displacements in the crop."""
        turned = vectors @ np.swapaxes(self.rotation, -1, -2)
        return turned * self.scale[..., None, None] * _FLIP


def fit_pose(landmarks: Array, canonical: Array, weights: Array) -> Pose:
    """Weighted least-squares similarity that lays the canonical mesh on the landmarks.

    landmarks (..., >=468, 3) in crop units, canonical (468, 3) in IOD, weights (468,), larger
    where a vertex moves little with expression. Umeyama, PAMI 1991; Kabsch's reflection guard.
    """
    target = landmarks[..., :MESH_POINTS, :] * _FLIP
    weight = (weights / weights.sum())[:, None]
    centre = (target * weight).sum(-2)
    origin = (canonical * weight).sum(-2)
    source = (canonical - origin) * weight
    covariance = np.swapaxes(target - centre[..., None, :], -1, -2) @ source
    left, values, right = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(left @ right))
    mend = np.ones_like(values)
    mend[..., 2] = sign
    rotation = (left * mend[..., None, :]) @ right
    spread = ((canonical - origin) ** 2 * weight).sum()
    scale = (values * mend).sum(-1) / spread
    offset = centre - scale[..., None] * (rotation @ origin)
    return Pose(rotation.astype(np.float32), scale.astype(np.float32), offset.astype(np.float32))


def angles_of(rotation: Array) -> Array:
    """(..., 3, 3) to (..., 3) degrees: yaw to the person's left, pitch up, roll to the left.

    The inverse of `rotation_of`.
    """
    yaw = np.arctan2(rotation[..., 0, 2], rotation[..., 2, 2])
    pitch = np.arcsin(np.clip(rotation[..., 1, 2], -1, 1))
    roll = np.arctan2(-rotation[..., 1, 0], rotation[..., 1, 1])
    return np.degrees(np.stack([yaw, pitch, roll], -1)).astype(np.float32)


def rotation_of(angles: Array) -> Array:
    """(..., 3) degrees (yaw left, pitch up, roll left) to `Ry(yaw) Rx(-pitch) Rz(-roll)`."""
    radians = np.radians(angles)
    cosine, sine = np.cos(radians), np.sin(radians)
    ct, cu, cl = cosine[..., 0], cosine[..., 1], cosine[..., 2]
    st, su, sl = sine[..., 0], sine[..., 1], sine[..., 2]
    # The product, multiplied out: for single faces, three matrices take ten times as long.
    found = np.empty((*radians.shape, 3), np.float32)
    found[..., 0, 0], found[..., 0, 1] = ct * cl + st * su * sl, ct * sl - st * su * cl
    found[..., 0, 2], found[..., 1, 2] = st * cu, su
    found[..., 1, 0], found[..., 1, 1] = -cu * sl, cu * cl
    found[..., 2, 0], found[..., 2, 1] = ct * su * sl - st * cl, -st * sl - ct * su * cl
    found[..., 2, 2] = ct * cu
    return found


def iod(landmarks: Array) -> Array:
    """(..., 478, 3) landmarks to (...,) inter-ocular distance, iris centre to iris centre."""
    gap = landmarks[..., LEFT_IRIS.start, :2] - landmarks[..., RIGHT_IRIS.start, :2]
    return np.linalg.norm(gap, axis=-1).astype(np.float32)


def mirror_order(canonical: Array) -> Integers:
    """(478,) the landmark that takes each landmark's place when the picture is mirrored."""
    mirrored = canonical * np.array([-1, 1, 1], np.float32)
    distance = ((mirrored[:, None] - canonical[None]) ** 2).sum(-1)
    iris = [LEFT_IRIS.start, 476, 475, 474, 477, RIGHT_IRIS.start, 471, 470, 469, 472]
    return np.concatenate([distance.argmin(1), np.array(iris)]).astype(np.int64)
