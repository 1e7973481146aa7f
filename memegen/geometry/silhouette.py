"""The far edge of a turned face: skin that is seen edge-on moves as the outline does.

Cheeks lie within a fraction of their width of the silhouette there, and what a smile moves them by
would draw in what stands behind the face, or spill over it.
"""

from __future__ import annotations

import cv2
import numpy as np

from memegen.arrays import Array
from memegen.curves import smoothstep
from memegen.geometry.shape import MESH_POINTS
from memegen.geometry.topology import FACE_OVAL

REACH = 0.26  # IOD inside the outline, in the picture, over which skin begins to move freely
BESIDE = 0.08  # IOD along the outline whose motion is averaged
# IOD inside the outline of a face seen from the front: skin that is as near there belongs to the
# edge from every side, and moves as anatomy says.
FRONTAL = (0.1, 0.26)


def silhouette_weights(points: Array, canonical: Array, iod: float) -> Array:
    """(468, 36) how far each vertex follows each point of the outline (FACE_OVAL).

    points (468+, 2+) landmarks and iod their inter-ocular distance, in one unit; canonical (468, 3)
    in IOD. Rows add up to 0 (free) .. 1 (moves as the outline nearby does).
    """
    seen = np.ascontiguousarray(points[:MESH_POINTS, :2], np.float32) / np.float32(iod)
    hidden = smoothstep(*FRONTAL, _inside(canonical[:, :2]))
    fraction = hidden * (1 - smoothstep(0.0, REACH, _inside(seen)))
    rows = np.flatnonzero(fraction > 0)
    found = np.zeros((MESH_POINTS, len(FACE_OVAL)), np.float32)
    outline = seen[list(FACE_OVAL)]
    away = np.linalg.norm(seen[rows, None] - outline[None], axis=-1)
    away -= away.min(1, keepdims=True)  # far out, too, the nearest count
    weight = np.exp(-((away / BESIDE) ** 2) / 2)
    found[rows] = fraction[rows, None] * weight / weight.sum(1, keepdims=True)
    return found


def _inside(points: Array) -> Array:
    """(V,) distance of (V, 2) points from their outline, in their unit, negative beyond it."""
    outline = np.ascontiguousarray(points[list(FACE_OVAL)], np.float32)[:, None]
    return np.array(
        [cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in points], np.float32
    )
