"""The appearance basis, learnt from real people: `memegen train appearance DATA`.

Crops are unwrapped to the canonical face and band-limited. For two crops of one person, the change
of the log of skin's luma is regressed on the change of the action units, mirrored copies included;
strong expressions of people seen once join in, each against the average face. No optimiser: normal
equations, pooled over the sources.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from memegen import aus, weights
from memegen.arrays import LUMA, Array, Integers, Mask
from memegen.curves import smoothstep
from memegen.facedata.dataset import FaceDataset, refuse_strangers
from memegen.facedata.labels import IctBasis
from memegen.generators.inpaint import blurred_inside, soften
from memegen.geometry.appearance import FLOOR, AppearanceBasis
from memegen.geometry.box import Box
from memegen.geometry.outline import fill
from memegen.geometry.shape import angles_of
from memegen.geometry.topology import (
    BROW_LEFT,
    BROW_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    FACE_OVAL,
    LIPS_OUTER,
)
from memegen.geometry.unwrap import HEIGHT, SCALE, WIDTH, Unwrapping, texture_points
from memegen.models import MODELS
from memegen.training.run import Run
from memegen.training.settings import checked, setting

# Composed of others, or no skin's, or with labels too rare and weak to tell what skin does.
_SILENT = (16, 24, 27, 30, 34, 46, 51, 52, 53, 54, 55, 56, 61, 62, 63, 64)
_PRODUCTS = (
    (("AU6", "AU12"), ("AU1", "AU2"), ("AU1", "AU4"), ("AU4", "AU9"), ("AU9", "AU10")),
    (("AU12", "AU26"), ("AU15", "AU17")),  # the second has no sides
)
_EDGE = (0.02, 0.24)  # IOD from the face's oval inwards over which maps come in
_RISE = 0.16  # IOD above the brows that they cover when raised
_DARK_SPOTS = (33, 263, 98, 327, 64, 294)  # outer corners of the eyes; nostrils
_GHOST_REACH = (0.14, 0.26)  # IOD around them
GHOST = 0.03  # log ratio by which skin there may lighten
_CHIN, _CHIN_REACH = 199, (0.1, 0.35)  # vertex of the chin, IOD around it
LAMP_SHARE = 0.4  # of the chin's shading by a jaw that opens
_GROUPS = {"AU4": (4,), "AU6": (6,), "AU9": (9,), "AU12": (12,), "AU1+2": (1, 2)}
SEEN = 0.998  # quantile of a feature over all crops up to which its map is believed
_BLOCK = 512  # crops unwrapped together
_TURN = 30.0  # degrees that count as one, where head angles are regressed out


@dataclass(frozen=True)
class AppearanceTraining:
    """Every setting of the fit."""

    band: float = setting(
        0.30, "IOD: shading broader than this is the lamp's, not the muscles'", above=0.0
    )
    ridge: float = setting(10.0, "in pairs; twice as much on products", above=0.0)
    max_angle: float = setting(18.0, "degrees of yaw and pitch about the average", above=0.0)
    person: float = setting(1.0, "weight of pairs of one person in everyday photos", least=0.0)
    laboratory: float = setting(
        6.0, "of pairs in grey laboratory pictures: even light, strong expressions", least=0.0
    )
    people: float = setting(0.5, "of large colour faces of different people", least=0.0)
    brows: float = setting(
        1.0, "share of the maps taken away at brows, which move against the mesh", least=0.0
    )
    judged: int = setting(150, "validation pairs with the largest change, per action unit", least=1)
    judged_band: float = setting(0.14, "IOD: fine enough for folds and no shading", above=0.0)


@dataclass(frozen=True)
class NormalEquations:
    """Normal equations, whose right side is the sum of coefficient times picture over crops."""

    gram: Array  # (F, F)
    plain: Array  # (N, F) coefficients of the crops
    mirrored: Array  # (N, F) of their mirror images
    coloured: Mask  # (N,) crops that tell how colours follow luma


def train(settings: AppearanceTraining, run: Run) -> Path:
    """Fit on a shard folder, write `out/appearance.safetensors`, log figures on `val`.

    Raises MemegenError where a split shows nobody twice.
    """
    checked(settings)
    data = FaceDataset.load(run.data)
    features = feature_table()
    equations = pool_sources(data, features, settings)
    held_out = data.person_pairs(True, settings.max_angle)
    refuse_strangers(data, train=np.flatnonzero(equations.plain.any(1)), val=held_out)
    basis = data.basis
    unwrapping = Unwrapping.of(basis.canonical, basis.triangles)
    run.log("unwrapping faces: some minutes")
    solved, coloured = solve(data, equations, unwrapping, settings)
    kept = skin(basis, settings.brows)
    tint = tint_of(coloured[:, : len(features)], kept > 0.5)
    maps, left = one_side(solved, features, kept)
    maps = without_ghosts(maps, left, basis)
    most = np.quantile(design(data.units, left), SEEN, axis=0).astype(np.float32)
    fitted = AppearanceBasis(maps, left, most, kept, tint)
    run.out.mkdir(parents=True, exist_ok=True)
    save(path := run.out / "appearance.safetensors", fitted)
    for name, figures in validate(data, held_out, fitted, unwrapping, settings).items():
        line = "  ".join(f"{figure} {value:.3f}" for figure, value in figures.items())
        run.log(f"{name:18}{line}")
    return path


def feature_table() -> Integers:
    """(F, 2) channels, then products, both sides; -1: no second factor."""
    live = [c for c in aus.CHANNELS if int(c[2:].rstrip("LR")) not in _SILENT]
    rows = [(aus.INDEX[c], -1) for c in live]
    for side in "LR":
        rows += [(aus.INDEX[a + side], aus.INDEX[b + side]) for a, b in _PRODUCTS[0]]
        rows += [(aus.INDEX[a + side], aus.INDEX[b]) for a, b in _PRODUCTS[1]]
    return np.array(rows, np.int64)


def feature_names(features: Integers) -> list[list[str]]:
    """Channels of each feature by name."""
    return [[aus.CHANNELS[c] for c in pair if c >= 0] for pair in features]


def design(vectors: Array, features: Integers) -> Array:
    """(N, K) expressions to (N, F) features."""
    second = np.where(features[:, 1] < 0, 1, vectors[:, features[:, 1]])
    return np.asarray(vectors[:, features[:, 0]] * second)


def pool_sources(
    data: FaceDataset, features: Integers, settings: AppearanceTraining
) -> NormalEquations:
    """The normal equations of all training crops."""
    labels, vectors = data.labels, data.units
    angles = angles_of(labels.rotation)
    turns = angles / _TURN  # regressed out
    plain = np.c_[design(vectors, features), turns]
    mirrored = np.c_[design(aus.mirror(vectors), features), turns * np.array([-1, 1, -1])]
    gram = np.zeros((plain.shape[1],) * 2)
    shares = [np.zeros(plain.shape, np.float32) for _ in range(2)]
    pairs = data.person_pairs(False, settings.max_angle)
    count = np.maximum(np.bincount(pairs.ravel(), minlength=len(labels)), 1)
    laboratory = labels.kind == "grey"
    weight = np.where(laboratory[pairs[:, 0]], settings.laboratory, settings.person)
    weight = weight * 2 / count[pairs].sum(1)  # a person of many photos is still one person
    steady = np.abs(angles[:, :2] - np.median(angles[:, :2], 0)).max(1) < settings.max_angle
    colour = (labels.source == "hires") & ~laboratory & ~labels.is_val & steady
    for side, (rows, share) in enumerate(zip((plain, mirrored), shares, strict=True)):
        change = rows[pairs[:, 1]] - rows[pairs[:, 0]]
        gram += (change * weight[:, None]).T @ change
        np.add.at(share, pairs[:, 1], change * weight[:, None])
        np.add.at(share, pairs[:, 0], -change * weight[:, None])
        mean = (plain[colour].mean(0) + mirrored[colour].mean(0)) / 2 if colour.any() else 0
        centred = rows[colour] - mean
        gram += settings.people * centred.T @ centred
        shares[side][colour] += settings.people * centred
    return NormalEquations(gram, shares[0], shares[1], colour)


def solve(
    data: FaceDataset,
    plan: NormalEquations,
    unwrapping: Unwrapping,
    settings: AppearanceTraining,
) -> tuple[Array, Array]:
    """(F + 3, H, W) maps of luma, and (3, F + 3, H, W) of colours, from colour faces alone."""
    size, features = plan.gram.shape[0], len(feature_table())
    used = np.flatnonzero(np.abs(plan.plain).sum(1) + np.abs(plan.mirrored).sum(1))
    right = {mode: np.zeros((len(mode), size, HEIGHT, WIDTH), np.float32) for mode in ("L", "RGB")}
    for mode, chosen in (("L", used), ("RGB", np.flatnonzero(plan.coloured))):
        for rows, bands in read_bands(data, chosen, unwrapping, settings.band, mode):
            for share, seen in ((plan.plain, bands), (plan.mirrored, bands[..., ::-1])):
                weight = share[chosen[rows]].T
                for channel in range(len(mode)):
                    right[mode][channel] += np.tensordot(weight, seen[:, channel], 1)
    ridge = np.full(size, settings.ridge)
    ridge[features - 2 * len(sum(_PRODUCTS, ())) : features] *= 2
    inverse = np.linalg.inv(plan.gram + np.diag(ridge)).astype(np.float32)
    luma, *coloured = (np.tensordot(inverse, r, 1) for r in (*right["L"], *right["RGB"]))
    return luma, np.stack(coloured)


def read_bands(
    data: FaceDataset, chosen: Integers, unwrapping: Unwrapping, band: float, mode: str = "L"
) -> Iterator[tuple[Integers, Array]]:
    """Blocks of the chosen crops: which of them, and their band-limited logs (B, C, H, W).

    mode: L for luma, or RGB.
    """
    jpegs, landmarks = data.jpegs(chosen), data.labels.landmarks[chosen]
    inside = torch.from_numpy(unwrapping.inside.astype(np.float32))[None, None]
    for start in range(0, len(chosen), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(chosen)))
        unwrapped = []
        for row in rows:
            with Image.open(io.BytesIO(jpegs[row])) as image:
                picture = np.asarray(image.convert(mode), np.float32)
            planes = torch.from_numpy(np.atleast_3d(picture)).permute(2, 0, 1)[None]
            unwrapped.append(unwrapping.read(planes, landmarks[row] * len(picture)))
        logs = torch.log(torch.cat(unwrapped) + FLOOR)
        yield rows, band_limited(logs, inside, band * SCALE).numpy()


def band_limited(logs: Tensor, inside: Tensor, sigma: float) -> Tensor:
    """(N, C, H, W) minus its Gaussian blur of `sigma` pixels, blurred within `inside` only."""
    mass = blur(inside, sigma).clamp(min=1e-3)
    return (logs - blur(logs * inside, sigma) / mass) * inside


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian of (N, C, H, W), zeros beyond the border; wide ones on a reduced picture."""
    factor = 4 if sigma >= 8 else 1
    small = F.avg_pool2d(x, factor)
    reach = int(3 * sigma / factor)
    soft = blurred_inside(F.pad(small, (reach,) * 4), sigma / factor, reach)
    return F.interpolate(soft, size=x.shape[2:], mode="bilinear") if factor > 1 else soft


def skin(basis: IctBasis, brows: float) -> Array:
    """(HEIGHT, WIDTH) 1 where maps count, 0 off the face and at lips and lids, soft between.

    `brows` is the share taken away at brows, where label noise moves dark hair over pale skin.
    """
    points, box = texture_points(basis.canonical), Box(0, 0, WIDTH, HEIGHT)

    def part(ring: tuple[int, ...], grow: float, softness: float) -> Array:
        at = points[list(ring)]
        centre = at.mean(0)
        away = at - centre
        length = np.linalg.norm(away, axis=1, keepdims=True)
        return soften(fill(at + away / length * grow * SCALE, box), softness * SCALE)

    # Hair and surroundings show beyond an edge, now more, now less: no skin that changes.
    inside = np.pad(fill(points[list(FACE_OVAL)], box) > 0.5, 1).astype(np.uint8)
    inwards = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    kept = smoothstep(*_EDGE, np.asarray(inwards, np.float32) / SCALE)
    for eye in (EYE_LEFT, EYE_RIGHT):
        kept *= 1 - part(eye, 0.05, 0.025)
    for eye in (EYE_LEFT, EYE_RIGHT):  # the tail of a lid's fold moves along with it
        kept *= smoothstep(0.09, 0.17, _distance(points[eye[0]]))
    for brow, eye in ((BROW_LEFT, EYE_LEFT), (BROW_RIGHT, EYE_RIGHT)):
        kept *= 1 - brows * part(brow, 0.05, 0.03)
        kept *= 1 - brows * _swept_up(part(brow, 0.05, 0.03))
        between = (*brow[5:], *eye[:9])  # a brow's lower edge inward to outward, and the upper lid
        kept *= 1 - brows * part(between, 0.02, 0.03)
    # The dark of a mouth's corners moves along with them: label noise, not a crease.
    for corner in (LIPS_OUTER[0], LIPS_OUTER[10]):
        kept = kept * smoothstep(0.05, 0.14, _distance(points[corner]))
    kept = kept * (1 - part(LIPS_OUTER, 0.035, 0.025))
    return np.asarray(np.minimum(kept, kept[:, ::-1]), np.float32)


def _swept_up(mask: Array) -> Array:
    """(HEIGHT, WIDTH) mask and what lies up to _RISE above it: where raised brows come to lie."""
    reach = round(_RISE * SCALE)
    column = np.ones((reach + 1, 1), np.uint8)
    return np.asarray(cv2.dilate(mask, column, anchor=(0, 0)), np.float32)


def without_ghosts(maps: Array, features: Integers, basis: IctBasis) -> Array:
    """(F, HEIGHT, WIDTH) maps without light where dark edges go away, and with less of the lamp.

    Nostrils and the outer corners of eyes are dark, and move a little against the mesh: their
    shadow leaves skin that has not become lighter. A jaw that drops turns the chin away from a
    lamp above the face; the photo's own lamp may hang elsewhere.
    """
    points = texture_points(basis.canonical)
    away = np.min([_distance(points[k]) for k in _DARK_SPOTS], axis=0)
    most = GHOST + smoothstep(*_GHOST_REACH, away)  # log ratios are far below 1: no limit there
    chin = 1 - smoothstep(*_CHIN_REACH, _distance(points[_CHIN]))
    opens = np.zeros((len(features), 1, 1), bool)
    for name in ("AU25", "AU26"):
        opens |= (features == aus.INDEX[name]).any(1)[:, None, None]
    lamp = np.where(opens, 1 - (1 - LAMP_SHARE) * chin, 1)
    return np.asarray(np.minimum(maps * lamp, most), np.float32)


def _distance(point: Array) -> Array:
    """(HEIGHT, WIDTH) IOD from a point (2,) of the texture, in its pixels."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.asarray(np.hypot(columns - point[0], rows - point[1]) / SCALE, np.float32)


def one_side(solved: Array, features: Integers, kept: Array) -> tuple[Array, Integers]:
    """Maps and features of the person's left and of the middle, from those of all.

    Both sides of a face mostly act together, so that regression cannot tell their halves apart:
    what both make is kept whole, and anatomy says which half is whose (see `AppearanceBasis`).
    """
    names = feature_names(features)
    chosen = [row for row, pair in enumerate(names) if not pair[0].endswith("R")]
    sided = np.array([names[row][0].endswith("L") for row in chosen])[:, None, None]
    maps = solved[chosen]
    maps = np.where(sided, maps + maps[..., ::-1], (maps + maps[..., ::-1]) / 2)
    return (maps * kept).astype(np.float32), features[chosen]


def tint_of(coloured: Array, kept: Mask) -> Array:
    """(3,) slope of the maps of red, green and blue (3, F, H, W) on their luma, over skin.

    Ones where no colour face was seen.
    """
    luma = np.tensordot(LUMA, coloured, 1)[:, kept]
    power = float((luma**2).sum())
    if power == 0:
        return np.ones(3, np.float32)
    return np.array([(channel[:, kept] * luma).sum() / power for channel in coloured], np.float32)


def save(path: Path, basis: AppearanceBasis) -> None:
    """Write a basis as a weights file."""
    weights.save(
        path,
        {name: torch.from_numpy(getattr(basis, name)) for name in ("maps", "most", "skin", "tint")},
        "appearance",
        {},
        features=" ".join("*".join(pair) for pair in feature_names(basis.features)),
        licence=MODELS["appearance"].licence,
    )


def validate(
    data: FaceDataset,
    pairs: Integers,
    basis: AppearanceBasis,
    unwrapping: Unwrapping,
    settings: AppearanceTraining,
) -> dict[str, dict[str, float]]:
    """Correlation, pixel by pixel of skin, of predicted and real change in held-out pairs.

    {source: {action units that change most: correlation}}, and the amplitude as `gain`: real on
    predicted change.
    """
    labels, vectors = data.labels, data.units
    bands = np.zeros((len(labels), HEIGHT, WIDTH), np.float16)
    seen = np.unique(pairs)
    for rows, found in read_bands(data, seen, unwrapping, settings.judged_band):
        bands[seen[rows]] = found[:, 0]
    kept = skin(data.basis, 1.0) > 0.9
    inside = torch.from_numpy(unwrapping.inside.astype(np.float32))[None, None]
    report: dict[str, dict[str, float]] = {}
    laboratory = labels.kind[pairs[:, 0]] == "grey"
    for source, chosen in (
        ("everyday photos", pairs[~laboratory]),
        ("laboratory", pairs[laboratory]),
    ):
        report[source] = {}
        for name, numbers in _GROUPS.items():
            columns = [aus.INDEX[c] for n in numbers for c in aus.BY_NUMBER[n].channels]
            size = np.abs((vectors[chosen[:, 1]] - vectors[chosen[:, 0]])[:, columns].mean(1))
            alike, real, output = [], 0.0, 0.0
            for first, second in chosen[np.argsort(-size)[: settings.judged]]:
                change = torch.from_numpy(basis.changes(vectors[first], vectors[second][None])[0])
                sharp = band_limited(change[None, None], inside, settings.judged_band * SCALE)
                x = sharp[0, 0].numpy()[kept]
                y = bands[second].astype(np.float32)[kept] - bands[first].astype(np.float32)[kept]
                alike.append(float(np.corrcoef(x, y)[0, 1]))
                real, output = real + float(x @ y), output + float(x @ x)
            if alike:
                report[source] |= {name: float(np.mean(alike)), f"gain {name}": real / output}
    return report
