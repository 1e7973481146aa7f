"""What photos of open mouths show: unwrapped, with the edges and the light of their teeth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array, Mask
from memegen.facedata.dataset import FaceDataset
from memegen.generators.mouth import REDDEST, TOOTHLIKE
from memegen.generators.mouth_light import LUMA, colourfulness, features, light_samples
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.sampling import sample
from memegen.geometry.shape import MESH_POINTS, Pose, angles_of, fit_pose
from memegen.geometry.topology import LOWER_LIP_EDGE, UPPER_LIP_EDGE
from memegen.training.settings import setting

CROP = 352  # pixels: the size of the large colour crops
GRID = 120  # samples an IOD of an unwrapped mouth
# IOD of an unwrapped mouth: half its width, and how far up and down from the rest line.
ACROSS, ABOVE, BELOW = 0.5, 0.25, 0.8
LIP = 0.012  # IOD inside the lips' landmarks that may still be lip
COLUMNS = (-0.09, -0.05, 0.05, 0.09)  # IOD from the midline: through the central incisors
BAND = (0.025, 0.10)  # IOD below the upper lip where upper teeth are


@dataclass(frozen=True)
class MouthTraining:
    """Which crops, and how firm the regression is."""

    source: str = setting("hires", "shard family")
    max_angle: float = setting(14.0, "degrees of yaw and pitch about the median", above=0.0)
    least_gap: float = setting(0.05, "IOD between the lips", above=0.0)
    smile: float = setting(0.1, "IOD: lips nearer than this hide most teeth", above=0.0)
    wide: float = setting(0.35, "IOD: from here a mouth is wide open", above=0.0)
    ridge: float = setting(
        3.0, 'crops\' worth of "no effect" of each (standardised) feature', above=0.0
    )


@dataclass(frozen=True)
class OpenMouth:
    """One unwrapped mouth. Rows go down from ABOVE the rest line, columns from -ACROSS."""

    patch: Array  # (H, W, 3) 0..255
    top: Array  # (W,) upper lip's edge, IOD below the rest line (above: negative)
    bottom: Array  # (W,) lower lip's edge likewise
    gap: float  # IOD
    seen: Array  # (7,) or (4,) features of skin and whites

    @property
    def v(self) -> Array:
        """(H,) IOD below the rest line."""
        return np.asarray((np.arange(self.patch.shape[0]) + 0.5) / GRID - ABOVE, np.float32)

    @property
    def u(self) -> Array:
        """(W,) IOD from the midline."""
        return np.asarray((np.arange(self.patch.shape[1]) + 0.5) / GRID - ACROSS, np.float32)

    @property
    def inside(self) -> Mask:
        """(H, W) between the lips."""
        v = self.v[:, None]
        return np.asarray((v > self.top + LIP) & (v < self.bottom - LIP))


def open_mouths(data: FaceDataset, settings: MouthTraining) -> tuple[list[OpenMouth], Mask]:
    """Unwrapped mouths of the frontal colour crops that are open, and which are held out."""
    labels, basis = data.labels, data.basis
    pose = fit_pose(labels.landmarks, basis.canonical, basis.rigid_weights)
    face = pose.to_face(labels.landmarks[:, :MESH_POINTS])
    rest = face - load_anatomy().displacement(data.units)
    line = rest[:, 13]  # the upper lip's: what moves the lower one is less surely undone
    angle = angles_of(pose.rotation)[:, :2]
    frontal = (np.abs(angle - np.median(angle, 0)) < settings.max_angle).all(1)
    gap = face[:, 13, 1] - face[:, 14, 1]
    rows = np.flatnonzero((labels.source == settings.source) & frontal & (gap > settings.least_gap))
    found, kept = [], []
    for start in range(0, len(rows), 64):
        batch = rows[start : start + 64]
        for row, crop in zip(batch, data.crops(batch, CROP), strict=True):
            picture = crop.astype(np.float32)
            samples = light_samples(picture, labels.landmarks[row, :, :2] * CROP)
            if colourfulness(samples.skin) < 1:
                continue
            source = Pose(pose.rotation[row], pose.scale[row], pose.offset[row])
            found.append(_unwrap(picture, source, face[row], line[row], features(samples)))
            kept.append(row)
    return found, labels.is_val[kept]


def _unwrap(picture: Array, pose: Pose, face: Array, line: Array, seen: Array) -> OpenMouth:
    u = (np.arange(int(2 * ACROSS * GRID)) + 0.5) / GRID - ACROSS
    v = (np.arange(int((ABOVE + BELOW) * GRID)) + 0.5) / GRID - ABOVE
    grid = np.stack(np.broadcast_arrays(u, line[1] - v[:, None], line[2]), -1)
    at = pose.to_crop(grid.reshape(-1, 3).astype(np.float32))[:, :2] * len(picture)
    x, y = at.T.reshape(2, len(v), len(u)).astype(np.float32)
    upper, lower = face[list(UPPER_LIP_EDGE)], face[list(LOWER_LIP_EDGE)]
    top, bottom = (line[1] - np.interp(u, edge[:, 0], edge[:, 1]) for edge in (upper, lower))
    outside = (u < upper[0, 0]) | (u > upper[-1, 0])
    top = np.where(outside, BELOW, top)
    return OpenMouth(
        sample(picture, x, y),
        top.astype(np.float32),
        bottom.astype(np.float32),
        float(face[13, 1] - face[14, 1]),
        seen,
    )


def incisors(mouth: OpenMouth) -> Array:
    """(4,) upper incisors' edge below the rest line, how much upper, how much lower shows (IOD),
    and whether the edge is hidden.

    NaN where no tooth can be told. Where teeth reach from lip to lip, the edge is that of the lip:
    at least so much is there.
    """
    found = []
    reach = int(0.05 * GRID)  # how far under a lip the first tooth may begin
    for place in COLUMNS:
        column = int((place + ACROSS) * GRID)
        colour = mouth.patch[:, column - 1 : column + 2].mean(1)
        rows = np.flatnonzero(mouth.inside[:, column])
        if len(rows) < 4:
            continue
        luma, red = colour[rows] @ LUMA, colour[rows, 0] / (colour[rows, 1] + 1)
        tooth = (luma > TOOTHLIKE * np.percentile(luma, 95)) & (red < REDDEST)
        upper, lower = _first_run(tooth, reach), _first_run(tooth[::-1], reach)
        if not upper:
            found.append((np.nan, np.nan, lower / GRID, 0.0))
            continue
        v = mouth.v[rows]
        if tooth.all():  # the lower lip hides the edge: it is there or lower
            found.append((v[-1], v[-1] - mouth.top[column], np.nan, 1.0))
            continue
        found.append((v[upper - 1], v[upper - 1] - mouth.top[column], lower / GRID, 0.0))
    if not found:
        return np.full(4, np.nan)
    table = np.array(found)
    enough = np.isfinite(table).sum(0) >= 2
    return np.array(
        [np.nanmedian(table[:, k]) if enough[k] else np.nan for k in range(4)], np.float64
    )


def _first_run(tooth: Mask, reach: int) -> int:
    """How far the first run of True goes that begins within `reach`; 0 if none does."""
    begun = np.flatnonzero(tooth[: reach + 1])
    if not len(begun):
        return 0
    after = np.flatnonzero(~tooth[begun[0] :])
    return int(begun[0] + after[0]) if len(after) else len(tooth)


def lit_tooth(mouth: OpenMouth) -> Array:
    """(3,) colour of the upper central teeth where they are well lit; NaN where none shows."""
    v = mouth.v[:, None] - mouth.top
    zone = mouth.inside & (v > BAND[0]) & (v < BAND[1]) & (np.abs(mouth.u) < 0.16)
    colours = mouth.patch[zone]
    if len(colours) < 40:
        return np.full(3, np.nan)
    luma = colours @ LUMA
    low, high = np.percentile(luma, [60, 90])
    shown = colours[(luma >= low) & (luma <= high)].mean(0)
    # A tooth is no lip and no tongue, and a lit one is brighter than the rest of the mouth.
    is_tooth = shown[0] < REDDEST * shown[1] and high > 1.15 * np.percentile(luma, 5)
    return np.asarray(shown if is_tooth else np.full(3, np.nan))


def arch_profile(mouth: OpenMouth, at: Array) -> Array:
    """(len(at),) luma of upper teeth at distances `at` (IOD) from the midline, a lit tooth = 1."""
    tooth = lit_tooth(mouth)
    v = mouth.v[:, None] - mouth.top
    zone = mouth.inside & (v > BAND[0]) & (v < BAND[1])
    luma = mouth.patch @ LUMA
    found = []
    for place in at:
        near = zone & (np.abs(np.abs(mouth.u) - place) < 0.025)
        found.append(np.percentile(luma[near], 75) if near.sum() > 12 else np.nan)
    return np.asarray(found) / float(tooth @ LUMA)
