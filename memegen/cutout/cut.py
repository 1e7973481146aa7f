"""Photos cut out: transparent but for people, or their heads."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from memegen.arrays import Array, Picture
from memegen.cutout.asked import checked_cutout
from memegen.cutout.engines import Engine, engine
from memegen.cutout.head import Part, hair_share, head_share
from memegen.cutout.matte import (
    OUTSIDE_HAIR,
    Mask,
    edge_band,
    enlarged,
    matte,
    trimap,
    without_background,
)
from memegen.errors import MemegenError
from memegen.faces.align import IOD_IN_CROP
from memegen.geometry.box import Box
from memegen.geometry.outline import fill
from memegen.geometry.topology import FACE_OVAL
from memegen.perception.analyze import FaceAnalysis
from memegen.photo import Photo

WORK_SIDE = 640  # pixels, longest, of the picture that edges are found in
HEAD_VIEW = 2.2  # IOD about a face's landmarks that an engine is shown of a photo for a head
PERSON_VIEW = 0.08  # of a person's box, likewise, about it
ZOOM = 0.7  # of the photo's longest side: what is smaller is looked at again from near
OVAL = 0.9  # of a face's oval, which may lie a little off, is a person without doubt
SEEN = 0.5  # mean coverage of a face below which an engine has not seen a person
SOLID = 0.3  # alpha of what hangs together
ROOM = 0.25  # IOD that a cut-out may move in its frame
VISIBLE = 8  # of 255: alpha that a frame must hold


def cut_out(
    photo: Photo, faces: Sequence[FaceAnalysis], what: str, finder: Engine | None = None
) -> Photo:
    """The photo, transparent but for the people, or the heads, whose faces these are.

    what: a name of `asked.CUTOUTS`. Colours at edges are those of the foreground alone, so that
    nothing of what was behind shows on any other ground. Raises MemegenError where no engine is
    there, or where it sees no person.
    """
    finder = finder or engine()
    box = _view(photo, faces, checked_cutout(what), finder)
    whole = photo.cropped(*box.slices)
    small, part = _reduced(whole, np.array([box.left, box.top], np.float32))
    ovals, iod = _ovals(faces, part), _iod(faces) * part.scale
    coverage = finder.coverage(small.rgb)
    if coverage[ovals].mean() < SEEN:
        raise MemegenError(f"{photo.name}: {finder.name} sees no person here to cut out")
    hair = np.max([hair_share(face, part) for face in faces], axis=0)
    found = matte(small.rgb, trimap(coverage, ovals, edge_band(coverage, hair, iod)))
    alpha = found.alpha
    if what == "head":
        alpha = alpha * np.max([head_share(face, part) for face in faces], axis=0)
    alpha = alpha * _hanging_together(alpha > SOLID, ovals, max(2, round(OUTSIDE_HAIR * iod)))
    return _transparent(photo, box, alpha, without_background(whole.rgb, found))


def cut_box(photo: Photo, faces: Sequence[FaceAnalysis]) -> Box:
    """What of a cut-out photo is seen, with room to move, as far as the photo reaches."""
    width, height = photo.size
    if photo.alpha is None:
        return Box(0, 0, width, height)
    rows, columns = (np.flatnonzero((photo.alpha > VISIBLE).any(axis)) for axis in (1, 0))
    corners = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]], np.float32)
    return Box.around(corners, ROOM * _iod(faces), height, width)


def _view(photo: Photo, faces: Sequence[FaceAnalysis], what: str, finder: Engine) -> Box:
    """The part of a photo that edges are looked for in: networks see more of what is near."""
    width, height = photo.size
    points = np.concatenate([f.alignment.to_photo(f.landmarks[:, :2]) for f in faces])
    near = Box.around(points, HEAD_VIEW * _iod(faces), height, width)
    if what == "head":
        return near
    whole = Box(0, 0, width, height)
    small, part = _reduced(photo, np.zeros(2, np.float32))
    ovals = _ovals(faces, part)
    body = _hanging_together(finder.coverage(small.rgb) > 0.5, ovals, 1) > 0
    y, x = np.nonzero(body)
    corners = np.array([[x.min(), y.min()], [x.max() + 1, y.max() + 1]], np.float32) / part.scale
    margin = PERSON_VIEW * float((corners[1] - corners[0]).max())
    box = Box.around(np.concatenate([corners, points]), margin, height, width)
    return box if max(box.shape) < ZOOM * max(photo.size) else whole


def _reduced(photo: Photo, origin: Array) -> tuple[Photo, Part]:
    """A part of the photo at the size that edges are found in, and where it is."""
    scale = min(1.0, WORK_SIDE / max(photo.size))
    width, height = (max(1, round(n * scale)) for n in photo.size)
    return photo.resized(width, height), Part((height, width), origin, scale)


def _ovals(faces: Sequence[FaceAnalysis], part: Part) -> Mask:
    """(H, W) whether a pixel of a part of the photo is inside a face."""
    box = Box(0, 0, part.size[1], part.size[0])
    inside = np.zeros(part.size, bool)
    for face in faces:
        ring = face.alignment.to_photo(face.landmarks[list(FACE_OVAL), :2])
        middle = ring.mean(0)
        ring = middle + (ring - middle) * OVAL
        inside |= fill((ring - part.origin) * part.scale, box) > 0.5
    return inside


def _iod(faces: Sequence[FaceAnalysis]) -> float:
    """Pixels of the photo, of the smallest face."""
    return IOD_IN_CROP * min(face.alignment.width for face in faces)


def _hanging_together(solid: Mask, seeds: Mask, band: int) -> Array:
    """(H, W) 1 where pixels hang together with seeds, and `band` pixels beyond, else 0."""
    _, labels = cv2.connectedComponents((solid | seeds).astype(np.uint8))
    kept = np.isin(labels, np.unique(labels[seeds])) & (solid | seeds)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    return np.asarray(cv2.dilate(kept.astype(np.float32), kernel), np.float32)


def _transparent(photo: Photo, box: Box, alpha: Array, colours: Picture) -> Photo:
    """The photo with a box of it in other colours and of an alpha (h, w) 0..1; none around it."""
    rows, columns = box.shape
    share = enlarged(alpha, columns, rows)
    if photo.alpha is not None:
        share = share * photo.alpha[box.slices] / 255
    rgb, whole = photo.rgb.copy(), np.zeros(photo.rgb.shape[:2], np.uint8)
    rgb[box.slices] = colours
    whole[box.slices] = np.rint(255 * share)
    return Photo(rgb, whole, photo.path, photo.note)
