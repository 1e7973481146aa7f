"""Action-unit labels from blendshape scores, and from landmarks where the scores are dead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memegen import aus
from memegen.arrays import Array, Integers
from memegen.errors import UsageError
from memegen.facedata.shards import FaceLabels
from memegen.geometry.blendshapes import AU_TO_SHAPES, mixing_matrix
from memegen.geometry.shape import MESH_POINTS, angles_of, fit_pose

# AUs whose blendshape score is near zero on every face: read from the landmarks instead.
PROJECTED = (5, 6, 9, 15, 34)
PROJECTED_CHANNELS = [aus.INDEX[c] for number in PROJECTED for c in aus.BY_NUMBER[number].channels]
# How much further than the upper lip goes up the lower lip goes down where lips only part (scores,
# 94th percentile of all crops); beyond, it is pulled down (AU16).
PARTING_LOWER = 0.15
FORM_MODES = 12  # components of face form told apart from expression
SHAPE_NOISE = 0.03**2 * 30  # variance neither explains; about 30 vertices move alike
JAW_AT_AU26 = AU_TO_SHAPES[26][
    "jawOpen"
]  # jawOpen score of a full jaw drop (AU26); beyond it begins AU27


@dataclass(frozen=True)
class IctBasis:
    """The uncalibrated anatomical basis: ICT-FaceKit shapes on the face mesh, face axes, IOD."""

    names: list[str]  # S shape names
    displacements: Array  # (S, 468, 3) at full activation
    canonical: Array  # (468, 3)
    triangles: Integers  # (898, 3)

    @property
    def rigid_weights(self) -> Array:
        """(468,) large where no expression moves a vertex: what pose is fitted on."""
        return 1 / (0.02 + np.linalg.norm(self.displacements, axis=-1).max(0))

    def action_units(self) -> Array:
        """(K, 468, 3) displacement of each AU channel at full intensity."""
        return np.tensordot(mixing_matrix(self.names), self.displacements, 1)


def load_basis(folder: Path) -> IctBasis:
    """Read `basis.npz` of a shard folder, with cheekSquint's leak over the whole face cut off."""
    path = folder / "basis.npz"
    try:
        with np.load(path, allow_pickle=False) as data:
            names = [str(name) for name in data["names"]]
            displacements = data["disp"].astype(np.float32)
            canonical, triangles = data["verts"].astype(np.float32), data["tris"].astype(np.int64)
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise UsageError(f"{path}: not an anatomical basis ({error})") from None
    for index, name in enumerate(names):
        if name.startswith("cheekSquint"):
            size = np.linalg.norm(displacements[index], axis=-1, keepdims=True)
            displacements[index] *= np.clip((size - 0.01) / 0.01, 0, 1)
    return IctBasis(names, displacements, canonical, triangles)


def face_shapes(labels: FaceLabels, basis: IctBasis) -> Array:
    """(N, 468, 3) landmarks freed of pose and scale, in face coordinates (IOD)."""
    pose = fit_pose(labels.landmarks, basis.canonical, basis.rigid_weights)
    return pose.to_face(labels.landmarks[:, :MESH_POINTS])


def action_units(labels: FaceLabels, basis: IctBasis) -> Array:
    """(N, K) channel intensities 0..1 of every crop."""
    vectors = scored_units(labels.scores, labels.rotation)
    _project_dead(vectors, labels, basis)
    return vectors


def scored_units(score: Mapping[str, Array], rotation: Array) -> Array:
    """(N, K) channel intensities 0..1 as far as blendshape scores tell; none where they are dead.

    score: name -> (N,); rotation: (N, 3, 3) of the head, which with the gaze sets its channels.
    """
    vectors = np.zeros((len(rotation), len(aus.CHANNELS)), np.float32)

    def put(name: str, values: Array) -> None:
        for channel in (name,) if name in aus.INDEX else (name + "L", name + "R"):
            vectors[:, aus.INDEX[channel]] = np.clip(values, 0, 1)

    def sided(stem: str) -> Array:
        return (score[stem + "Left"] + score[stem + "Right"]) / 2

    put("AU1", score["browInnerUp"])
    for number, stem in {
        2: "browOuterUp", 4: "browDown", 7: "eyeSquint", 10: "mouthUpperUp", 12: "mouthSmile",
        14: "mouthDimple", 20: "mouthStretch", 45: "eyeBlink",
    }.items():  # fmt: skip
        put(f"AU{number}L", score[stem + "Left"])
        put(f"AU{number}R", score[stem + "Right"])
    rolled = (score["mouthRollUpper"] + score["mouthRollLower"]) / 2
    for side, word in (("L", "Left"), ("R", "Right")):  # what parting lips do not explain
        depressed = score["mouthLowerDown" + word] - score["mouthUpperUp" + word]
        put("AU16" + side, (depressed - PARTING_LOWER) / (1 - PARTING_LOWER))
    put("AU17", score["mouthShrugLower"])
    put("AU18", score["mouthPucker"])
    put("AU22", score["mouthFunnel"])
    # Lips that roll in tighten first (AU23), and are sucked in where they roll further (AU28).
    put("AU23", 2 * rolled)
    put("AU24", sided("mouthPress"))
    put("AU25", 0.85 * sided("mouthLowerDown") + 0.3 * sided("mouthUpperUp"))
    put("AU26", score["jawOpen"] / JAW_AT_AU26)
    put("AU27", score["jawOpen"] - JAW_AT_AU26)
    put("AU28", 2 * rolled - 1)
    put("AU30L", score["jawLeft"])
    put("AU30R", score["jawRight"])
    aus.set_head_and_gaze(vectors, angles_of(rotation), gaze_of_scores(score))
    return vectors


def gaze_of_scores(score: Mapping[str, Array]) -> Array:
    """(N, 2) gaze in degrees, to the person's left and up; a full look score is 30 degrees."""
    left = score["eyeLookOutLeft"] + score["eyeLookInRight"]
    right = score["eyeLookInLeft"] + score["eyeLookOutRight"]
    up = score["eyeLookUpLeft"] + score["eyeLookUpRight"]
    down = score["eyeLookDownLeft"] + score["eyeLookDownRight"]
    return 15 * np.stack([left - right, up - down], -1)


def _project_dead(vectors: Array, labels: FaceLabels, basis: IctBasis) -> None:
    """Fill the PROJECTED AUs of `vectors` in place.

    First everything the scored AUs and the head pose explain linearly is taken out of the shapes
    (by regression on the data: the basis' own smile differs from real ones by more than a cheek
    raise). What is left is explained as dead AUs + face form by ridge least squares; face form is
    the first components of near-neutral faces, so that a wide nose is no wrinkled one.
    """
    shapes = face_shapes(labels, basis).reshape(len(labels), -1)
    scored = vectors[:, vectors.std(0) > 0]
    smile = scored[:, :, None] * vectors[:, None, [aus.INDEX["AU12L"], aus.INDEX["AU26"]]]
    known = np.c_[np.ones(len(scored)), scored, smile.reshape(len(scored), -1)]
    gram = known.T @ known + 1e-3 * len(known) * np.eye(known.shape[1]) * known.var(0)
    residual = shapes - known @ np.linalg.lstsq(gram, known.T @ shapes, rcond=None)[0]
    effort = vectors[:, [aus.INDEX[c] for c in ("AU12L", "AU12R", "AU26", "AU25", "AU4L", "AU1L")]]
    neutral = np.flatnonzero(effort.sum(1) <= np.quantile(effort.sum(1), 0.25))
    _, values, modes = np.linalg.svd(residual[neutral[:4000]], full_matrices=False)
    form = modes[:FORM_MODES] * values[:FORM_MODES, None] / np.sqrt(min(4000, len(neutral)))
    units = basis.action_units().reshape(len(aus.CHANNELS), -1)[PROJECTED_CHANNELS]
    design = np.concatenate([units, form])
    slack = np.r_[np.full(len(units), 0.4), np.ones(len(form))]
    prior = np.diag(SHAPE_NOISE / slack**2)
    solved = np.linalg.solve(design @ design.T + prior, design @ residual.T).T[:, : len(units)]
    scale = np.maximum(np.quantile(solved, 0.99, axis=0), 1e-6)
    for column, channel in enumerate(PROJECTED_CHANNELS):
        vectors[:, channel] = np.clip(solved[:, column] / scale[column] * 0.8, 0, 1)
    # Weak evidence beside the projection: two scores that are faint but not dead, and the cheek
    # raise that every strong smile brings along.
    for side, word in (("L", "Left"), ("R", "Right")):
        smiling = vectors[:, aus.INDEX[f"AU12{side}"]]
        for name, hint in {
            f"AU5{side}": 2 * labels.scores["eyeWide" + word],
            f"AU15{side}": 2 * labels.scores["mouthFrown" + word],
            f"AU6{side}": vectors[:, aus.INDEX[f"AU6{side}"]] + 0.5 * smiling**2,
        }.items():
            column = aus.INDEX[name]
            vectors[:, column] = np.clip(np.maximum(vectors[:, column], hint), 0, 1)


def rarity(units: Array) -> Array:
    """(N,) from 0 to 20: how rare the rarest strong action unit of each expression (N, K) is."""
    strong = units > 0.3
    return np.asarray(np.minimum((strong / (0.02 + strong.mean(0))).max(1), 20), np.float32)
