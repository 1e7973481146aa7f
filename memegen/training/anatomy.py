"""Calibration of the anatomical basis on real people: `memegen train anatomy DATA`.

For two near-frontal crops of one person, the change of the pose-free shape is regressed on the
change of the action units, mirrored pairs included so that left and right agree. The prior is the
ICT basis: where the data say nothing, it stays.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from memegen import aus, weights
from memegen.arrays import Array, Integers
from memegen.facedata.dataset import FaceDataset, refuse_strangers
from memegen.facedata.labels import PROJECTED, IctBasis
from memegen.geometry.anatomy import Anatomy
from memegen.geometry.shape import MESH_POINTS, mirror_order
from memegen.geometry.topology import (
    BROW_LEFT,
    BROW_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    FACE_OVAL,
    LIPS_OUTER,
    REGIONS,
)
from memegen.models import MODELS
from memegen.training.run import Run
from memegen.training.settings import checked, setting

JAW = ("AU26",)  # a chin follows its bone, which landmarks lag behind: half ICT's, half theirs
CHIN_TOP = -1.3  # IOD: height of the canonical mesh under the lower lip
BROW_LOWER = (9, 8, 7, 6, 5)  # of a BROW ring: what lies below its first five, from the outer end
SIDEWAYS = 0.1  # weight of a neighbour at the side beside one above or below
FOREHEAD = 0.32  # IOD: height above the middle of the brows
# `muscle_reach` at the face's outline of the action units that change it.
OUTLINE_BELIEF = {"AU12": 0.1, "AU26": 0.055}


@dataclass(frozen=True)
class AnatomyTraining:
    """Every setting of a calibration."""

    ridge: float = setting(20.0, "strength of the prior, in pairs", above=0.0)
    max_angle: float = setting(
        15.0, "degrees of yaw and pitch about the average, beyond: no pair", above=0.0
    )
    interacting: tuple[str, ...] = (  # channels whose products are learnt too
        "AU12L", "AU12R", "AU26", "AU25", "AU10L", "AU10R", "AU18", "AU17", "AU23",
        "AU20L", "AU20R", "AU22", "AU28",
    )  # fmt: skip


def calibrated_channels() -> list[int]:
    """Channels with a label of their own: not projected, not composed of others, not the head.

    Lower lip depressor and lip pressor stay ICT's: learnt from their scores, the one moves nothing
    that parting lips do not move already, the other pulls the corners of the mouth up.
    """
    silent = (*PROJECTED, 16, 24, 27, 46, 51, 52, 53, 54, 55, 56, 61, 62)
    return [aus.INDEX[c] for au in aus.TABLE if au.number not in silent for c in au.channels]


def muscle_reach(channel: str, canonical: Array) -> Array:
    """(468,) in 0..1: how far the data are believed, vertex by vertex, for a channel.

    1 near its muscles, 0 where they cannot pull at all. The outline is believed little: landmarks
    there slide along the cheek and lag behind a jaw that drops.
    """
    group = aus.BY_NUMBER[int(channel[2:].rstrip("LR"))].group
    if group == "brows":
        reach = _near(canonical, BROW_LEFT + BROW_RIGHT, 0.35, 0.65)
    elif group in ("eyes", "gaze"):
        reach = _near(canonical, EYE_LEFT + EYE_RIGHT, 0.3, 0.55)
    elif group == "mouth":
        near = (0.1, 0.5) if channel in JAW else (0.4, 0.75)  # a chin follows its bone
        reach = _near(canonical, LIPS_OUTER, *near)
        top = 0.1 if channel.startswith("AU12") else -0.05  # a smile lifts the cheeks
        reach = reach * np.clip((top - canonical[:, 1]) / 0.15, 0, 1)
    else:
        reach = np.ones(len(canonical), np.float32)
    belief = OUTLINE_BELIEF.get(channel.rstrip("LR"), 0.0)
    reach[list(FACE_OVAL)] = np.minimum(reach[list(FACE_OVAL)], belief)
    if channel in JAW:
        reach = np.where(canonical[:, 1] < CHIN_TOP, np.maximum(reach, belief), reach)
    return reach


def _near(canonical: Array, rows: tuple[int, ...], full: float, none: float) -> Array:
    """(468,) 1 within `full` IOD of the nearest of `rows` (seen from the front), 0 from `none`."""
    apart = canonical[:, None, :2] - canonical[list(rows), :2]
    distance = np.linalg.norm(apart, axis=-1).min(1)
    return np.asarray(np.clip((none - distance) / (none - full), 0, 1), np.float32)


def calibrate(
    vectors: Array, shapes: Array, pairs: Integers, basis: IctBasis, settings: AnatomyTraining
) -> Anatomy:
    """Fit units and products on pairs of rows of vectors (N, K) and shapes (N, 468, 3)."""
    prior = basis.action_units()
    live = calibrated_channels()
    products = np.array(
        [
            [aus.INDEX[a], aus.INDEX[b]]
            for a, b in itertools.combinations_with_replacement(settings.interacting, 2)
        ]
    )
    mirrored = mirror_order(basis.canonical)[:MESH_POINTS]

    def features(v: Array) -> Array:
        return np.c_[v[:, live], v[:, products[:, 0]] * v[:, products[:, 1]]]

    first, second = pairs.T
    change = shapes[second] - shapes[first]
    seen = change[:, mirrored] * np.array([-1, 1, 1], np.float32)
    reflected = aus.mirror(vectors)
    x = np.r_[
        features(vectors[second]) - features(vectors[first]),
        features(reflected[second]) - features(reflected[first]),
    ]
    y = np.r_[change, seen].reshape(len(x), -1)
    start = np.zeros((x.shape[1], y.shape[1]), np.float32)
    start[: len(live)] = prior[live].reshape(len(live), -1)
    # One ridge regression a vertex: far from the muscles a channel stands for, its prior is firm,
    # lest errors of pose that go with a gaze or a brow move the chin.
    reach = [muscle_reach(aus.CHANNELS[k], basis.canonical) for k in live]
    reach += [np.minimum(reach[live.index(a)], reach[live.index(b)]) for a, b in products]
    ridge = settings.ridge / np.maximum(np.stack(reach, 1), 0.01) ** 2  # (468, features)
    gram = (x.T @ x)[None] + ridge[:, :, None] * np.eye(x.shape[1])
    right = (x.T @ (y - x @ start)).reshape(-1, MESH_POINTS, 3).transpose(1, 0, 2)
    learnt = np.linalg.solve(gram, right).transpose(1, 0, 2)
    solved = (start.reshape(-1, MESH_POINTS, 3) + learnt).astype(np.float32)
    units = prior.copy()
    units[live] = solved[: len(live)]
    for row, channel in enumerate(aus.CHANNELS):  # composed of others, see compose_channels
        if channel.startswith(("AU27", "AU46")):
            units[row] = 0
    return Anatomy(
        basis.canonical,
        basis.triangles,
        units,
        solved[len(live) :],
        products,
        basis.rigid_weights,
        np.ones(len(aus.CHANNELS), np.float32),
    )


def evened(anatomy: Anatomy) -> Anatomy:
    """The same anatomy with every displacement `relaxed`."""
    units, products = (
        relaxed(part, anatomy.canonical, anatomy.triangles)
        for part in (anatomy.units, anatomy.products)
    )
    return replace(anatomy, units=units, products=products)


def relaxed(displacements: Array, canonical: Array, triangles: Integers) -> Array:
    """(N, 468, 3) displacements with bare skin stretched evenly between what pulls at it.

    Forehead and chin have nothing for landmarks to hold on to: they follow the brows or the lower
    lip over a short way, and the mesh folds there where those move far. Between the brows and the
    hairline, and the lip and the outline, each vertex takes the mean of its neighbours' motion,
    weighted by nearness (a discrete harmonic map, Tutte 1963, with inverse lengths), neighbours
    above and below counting most: skin is pushed between lip and chin, not around. A brow keeps its
    thickness: hair does not stretch as the skin below it does.
    """
    displacements = displacements.copy()
    for brow in (BROW_LEFT, BROW_RIGHT):
        upper, lower = list(brow[:5]), [brow[k] for k in BROW_LOWER]
        mean = (displacements[:, upper] + displacements[:, lower]) / 2
        displacements[:, upper], displacements[:, lower] = mean, mean
    lip = canonical[[*LIPS_OUTER[10:], LIPS_OUTER[0]]]  # left corner, lower edge, right one
    order = np.argsort(lip[:, 0])
    below = np.interp(canonical[:, 0], lip[order, 0], lip[order, 1], left=CHIN_TOP, right=CHIN_TOP)
    free = (canonical[:, 1] > FOREHEAD) | (canonical[:, 1] < np.maximum(below - 0.02, CHIN_TOP))
    free[list({*FACE_OVAL, *BROW_LEFT, *BROW_RIGHT, *LIPS_OUTER})] = False
    laplacian = np.zeros((len(canonical), len(canonical)))
    for a, b in ((0, 1), (1, 2), (2, 0)):
        i, j = triangles[:, a], triangles[:, b]
        edge = canonical[i] - canonical[j]
        length = np.maximum(np.linalg.norm(edge, axis=1), 1e-3)
        near = (SIDEWAYS + (edge[:, 1] / length) ** 2) / length
        laplacian[i, j] = laplacian[j, i] = -near
    laplacian -= np.diag(laplacian.sum(1))
    pulled = laplacian[np.ix_(free, ~free)] @ displacements[:, ~free]
    even = displacements.copy()
    even[:, free] = np.linalg.solve(laplacian[np.ix_(free, free)], -pulled)
    return np.asarray(even, np.float32)


def uncalibrated(basis: IctBasis) -> Anatomy:
    """The ICT basis as it is, in the same form."""
    units = basis.action_units()
    for row, channel in enumerate(aus.CHANNELS):
        if channel.startswith(("AU27", "AU46")):
            units[row] = 0
    none = np.zeros((0, 2), np.int64)
    empty = np.zeros((0, MESH_POINTS, 3), np.float32)
    ones = np.ones(len(aus.CHANNELS), np.float32)
    return Anatomy(basis.canonical, basis.triangles, units, empty, none, basis.rigid_weights, ones)


def region_errors(
    anatomy: Anatomy, vectors: Array, shapes: Array, pairs: Integers
) -> dict[str, float]:
    """Mean 2-D distance (IOD) of the predicted second face of each pair to the real one."""
    known = vectors.copy()  # projected AUs are read from the very landmarks to predict: leave out
    for number in PROJECTED:
        known[:, [aus.INDEX[c] for c in aus.BY_NUMBER[number].channels]] = 0
    shift = anatomy.displacement(known)
    first, second = pairs.T
    error = shapes[first] + shift[second] - shift[first] - shapes[second]
    distance = np.linalg.norm(error[..., :2], axis=-1)
    regions = {name: float(distance[:, list(rows)].mean()) for name, rows in REGIONS.items()}
    return regions | {"all": float(distance.mean())}


def train(settings: AnatomyTraining, run: Run) -> Path:
    """Calibrate on a shard folder, write `out/anatomy.safetensors`, log the errors on `val`.

    Raises MemegenError where a split shows nobody twice.
    """
    checked(settings)
    data = FaceDataset.load(run.data)
    pairs, held_out = (data.person_pairs(val, settings.max_angle) for val in (False, True))
    refuse_strangers(data, train=pairs, val=held_out)
    anatomy = evened(calibrate(data.units, data.shapes, pairs, data.basis, settings))
    run.out.mkdir(parents=True, exist_ok=True)
    save(path := run.out / "anatomy.safetensors", anatomy)
    for name, errors in validate(anatomy, data, held_out).items():
        line = "  ".join(f"{region} {value:.4f}" for region, value in errors.items())
        run.log(f"{name:14}{line}")
    return path


def validate(anatomy: Anatomy, data: FaceDataset, pairs: Integers) -> dict[str, dict[str, float]]:
    """`region_errors` of pairs of rows, beside those of no motion and of the prior."""
    known = {
        "static": _still(anatomy),
        "uncalibrated": uncalibrated(data.basis),
        "calibrated": anatomy,
    }
    return {name: region_errors(one, data.units, data.shapes, pairs) for name, one in known.items()}


def save(path: Path, anatomy: Anatomy) -> None:
    """Write an anatomy as a weights file."""
    tensors = {name: torch.from_numpy(value) for name, value in vars(anatomy).items()}
    tensors |= {name: tensors[name].to(torch.int16) for name in ("triangles", "pairs")}
    weights.save(
        path,
        tensors,
        "anatomy",
        {},
        au_order=" ".join(aus.CHANNELS),
        licence=MODELS["anatomy"].licence,
    )


def _still(anatomy: Anatomy) -> Anatomy:
    return replace(anatomy, units=anatomy.units * 0, products=anatomy.products * 0)
