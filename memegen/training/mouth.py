"""Fit of the mouth's placement and light on photos: `memegen train mouth DATA`.

Geometry is read from DATA/mouth.npz (ICT-FaceKit, MIT licence). From colour crops whose mouths are
open come: where the incisors end, how much of them shows at most, how bright and warm a tooth is
beside the same face's skin and eye whites, how fast it gets dark behind the incisors, and the
colours of tongue and throat.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from memegen import weights
from memegen.arrays import Array, Mask
from memegen.errors import MemegenError, UsageError
from memegen.facedata.dataset import FaceDataset
from memegen.generators.mouth_drawing import UPPER_SHADOW, shadow_at
from memegen.generators.mouth_layers import DARKEST, FALLOFF, FRONT, light_at, render
from memegen.generators.mouth_light import LUMA, MouthLight, log_tone
from memegen.generators.mouth_model import (
    COLOURS,
    FULL_JAW,
    LENGTHS,
    WIDE,
    MouthFit,
    MouthModel,
    placed,
)
from memegen.models import MODELS
from memegen.training.open_mouths import (
    ABOVE,
    ACROSS,
    BAND,
    BELOW,
    GRID,
    MouthTraining,
    OpenMouth,
    arch_profile,
    incisors,
    lit_tooth,
    open_mouths,
)
from memegen.training.run import Run
from memegen.training.settings import checked

TONGUE_DEPTH = 0.55  # IOD behind the incisors' front of a tongue in a wide open mouth
USUAL_GAP = 0.17  # IOD between the lips of a usual smile
CENTRAL_DEPTH = 0.05  # IOD behind the incisors' front of the central teeth on average


def median_of_censored(values: Array, censored: Mask) -> float:
    """The median of values (N,) of which some are only known to be no less (Kaplan, Meier 1958)."""
    if not len(values):
        raise MemegenError("no smiles that show teeth")
    order = np.lexsort((censored, values))
    at_risk = len(values) - np.arange(len(values))
    surviving = np.cumprod(1 - ~censored[order] / at_risk)
    below = np.flatnonzero(surviving <= 0.5)
    return float(values[order][below[0] if len(below) else -1])


def fit_tone(mouths: list[OpenMouth], teeth: Array, ridge: float) -> tuple[Array, Array]:
    """(7, 3) and (4, 3) maps of `features` to the log tone of lit teeth (N, 3), NaN: unknown.

    Ridge regression on standardised features, twice: the worst tenth is left out the second time.
    """
    known = np.isfinite(teeth[:, 0])
    target = np.full(teeth.shape, np.nan)
    target[known] = log_tone(teeth[known])

    def solve(size: int) -> Array:
        rows = [n for n, m in enumerate(mouths) if known[n] and len(m.seen) >= size]
        if len(rows) < 2 * size:
            raise MemegenError(f"only {len(rows)} mouths show teeth: too few to learn light from")
        x, y = np.stack([mouths[n].seen[:size] for n in rows]), target[rows]
        keep = np.ones(len(x), bool)
        for _ in range(2):
            mean, spread = x[keep, 1:].mean(0), x[keep, 1:].std(0) + 1e-6
            z = np.c_[np.ones(len(x)), (x[:, 1:] - mean) / spread]
            gram = z[keep].T @ z[keep] + ridge * np.diag(np.r_[0, np.ones(size - 1)])
            solved = np.linalg.solve(gram, z[keep].T @ y[keep])
            error = np.abs(z @ solved - y).sum(1)
            keep = error <= np.quantile(error, 0.9)
        scaled = solved[1:] / spread[:, None]
        return np.asarray(np.r_[solved[:1] - (mean @ scaled)[None], scaled], np.float32)

    return solve(7), solve(4)


def fit(mouths: list[OpenMouth], bare: MouthModel, settings: MouthTraining) -> MouthFit:
    """Everything that photos say about the mouth."""
    gap = np.array([m.gap for m in mouths])
    wide = gap > settings.wide
    if wide.sum() < 2:
        raise MemegenError("no wide open mouths to learn from")
    edges = np.stack([incisors(m) for m in mouths])
    smiling = (gap > settings.smile) & ~wide & np.isfinite(edges[:, 0])
    upper = median_of_censored(edges[smiling, 0], edges[smiling, 3] > 0.5)
    turns = float(-bare.jaw_open[bare.incisal(upper=False), 1].mean()) / FULL_JAW
    shows = float(np.nanmedian(edges[wide, 2]))
    lower = shows - (1 - turns) * float(np.median(gap[wide]))
    teeth = np.stack([lit_tooth(m) for m in mouths])
    tone, tone_skin = fit_tone(mouths, teeth, settings.ridge)
    most = [float(np.nanquantile(edges[:, 1], 0.9)), float(np.nanquantile(edges[wide, 2], 0.9))]
    grey = np.ones(3, np.float32)  # to be fitted below, as is the reach of light
    first = MouthFit(upper, lower, most[0], most[1], 1.0, 0.0, tone, tone_skin, grey, grey)
    source, own_profile = _own_looks(placed(replace(bare, fit=first)))
    reach, reach_open = _fit_reach(mouths, teeth, own_profile, bare)
    usual = replace(first, reach=reach, reach_open=reach_open).reach_at(USUAL_GAP).item()
    shown = float(light_at(torch.tensor(CENTRAL_DEPTH**FALLOFF), usual)) * float(
        shadow_at(torch.tensor(np.mean(BAND)), UPPER_SHADOW)
    )
    for map_ in (
        tone,
        tone_skin,
    ):  # the fit is of teeth as they look; the result is their colour unshaded
        map_[0, 0] -= np.log(source * shown)
    flesh = []
    for deep, throat in ((TONGUE_DEPTH, False), (1.0, True)):
        full = torch.tensor(deep**FALLOFF)
        ratios = [
            _flesh(m, throat) / t / float(light_at(full, reach + reach_open * min(m.gap, WIDE)))
            for m, t, is_wide in zip(mouths, teeth, wide, strict=True)
            if is_wide and np.isfinite(t[0])
        ]
        flesh.append(np.median(ratios, 0).astype(np.float32) if ratios else np.full(3, 0.5))
    return replace(first, reach=reach, reach_open=reach_open, tongue=flesh[0], cavity=flesh[1])


def _flesh(mouth: OpenMouth, throat: bool) -> Array:
    """(3,) colour of the tongue, else of the throat: the darkest twentieth of a mouth."""
    v = (mouth.v[:, None] - mouth.top) / np.maximum(mouth.bottom - mouth.top, 1e-3)
    zone = mouth.inside & (np.abs(mouth.u) < 0.15)
    zone &= (v > 0.1) & (v < 0.95) if throat else (v > 0.6) & (v < 0.85)
    colours = mouth.patch[zone]
    luma = colours @ LUMA
    low, high = np.percentile(luma, [0, 5] if throat else [30, 70])
    return np.asarray(colours[(luma >= low) & (luma <= high)].mean(0))


_PLACES = np.arange(0.05, 0.44, 0.05)  # IOD from the midline


def _own_looks(model: MouthModel) -> tuple[float, Array]:
    """Luma of our own lit central teeth, and along the arch, without the dark behind: tooth = 1."""
    projection = np.diag(np.array([GRID, -GRID, 1], np.float32))
    key = np.array([0, 0.4, np.sqrt(1 - 0.4**2)], np.float32)
    layer = render(model, projection, MouthLight(np.full(3, 200, np.float32), key, 1.0), None)
    height, width = int((ABOVE + BELOW) * GRID), int(2 * ACROSS * GRID)
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    at = (torch.from_numpy(values)[None] for values in (x - ACROSS * GRID, y - ABOVE * GRID))
    drawn = layer.sample(*at)[0].permute(1, 2, 0).numpy()
    top = np.full(width, model.fit.upper_edge - 0.12, np.float32)  # a smile's upper lip
    bottom = np.full(width, model.fit.upper_edge - 0.005, np.float32)
    mouth = OpenMouth(drawn[..., :3], top, bottom, 0.1, np.zeros(4))
    return float(lit_tooth(mouth) @ LUMA) / 200, arch_profile(mouth, _PLACES)


def _fit_reach(
    mouths: list[OpenMouth], teeth: Array, source: Array, bare: MouthModel
) -> tuple[float, float]:
    """How far light reaches (IOD) in a mouth hardly open, and how much further an IOD open.

    What real teeth lose along the arch beyond what their shape explains (`source`) is put down to
    their depth, in two groups of openings; between them, linear.
    """
    front = bare.vertices[np.isin(bare.tooth, range(16))]
    depth = np.array(
        [FRONT - front[np.abs(front[:, 0] - at) < 0.03, 2].max() for at in _PLACES], np.float64
    )
    found = []
    for low, high in ((0.06, 0.14), (0.14, 0.3)):
        chosen = [
            n for n, m in enumerate(mouths) if low < m.gap <= high and np.isfinite(teeth[n, 0])
        ]
        if not chosen:
            raise MemegenError("too few smiles that show teeth")
        rows = np.stack([arch_profile(mouths[n], _PLACES) for n in chosen])
        real = np.nanmedian(rows, 0)
        lost = np.clip(real / source, 2 * DARKEST, 0.98)
        usable = (depth > 0.1) & np.isfinite(lost)
        reaches = [
            _reach_of(d, share) for d, share in zip(depth[usable], lost[usable], strict=True)
        ]
        found.append((np.mean([mouths[n].gap for n in chosen]), float(np.median(reaches))))
    (gap, reach), (wider, reach_wider) = found
    slope = float(np.clip((reach_wider - reach) / (wider - gap), 0.2, 2.0))
    return max(reach - slope * float(gap), 0.15), slope


def _reach_of(depth: float, share: float) -> float:
    """The reach at which `light_at` that depth is `share`."""
    lost = -np.log(max((share - DARKEST) / (1 - DARKEST), 1e-3))
    return float(depth / lost ** (1 / FALLOFF))


def read_geometry(data: Path) -> MouthModel:
    """The bare ICT mouth of DATA/mouth.npz. Raises UsageError if it is not there or none."""
    path = data / "mouth.npz"
    try:
        with np.load(path, allow_pickle=False) as raw:
            arrays = {
                name: raw[name].astype(kind)
                for name, kind in (
                    ("vertices", np.float32),
                    ("triangles", np.int64),
                    ("part", np.int64),
                    ("tooth", np.int64),
                    ("jaw_open", np.float32),
                )
            }
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise UsageError(f"{path}: not a mouth ({error})") from None
    none = np.zeros((1, 3), np.float32)
    nothing = MouthFit(0.0, 0.0, 0.0, 0.0, 1.0, 0.0, none, none, none, none)
    shade = np.ones(len(arrays["vertices"]), np.float32)
    return MouthModel(**arrays, shade=shade, tongue=shade * 0, fit=nothing)


def train(settings: MouthTraining, run: Run) -> Path:
    """Fit on the training split, write `out/mouth.safetensors`, log figures of `val`."""
    checked(settings)
    bare = read_geometry(run.data)
    mouths, is_val = open_mouths(FaceDataset.load(run.data), settings)
    seen = [m for m, val in zip(mouths, is_val, strict=True) if not val]
    learnt = fit(seen, bare, settings)
    run.out.mkdir(parents=True, exist_ok=True)
    save(path := run.out / "mouth.safetensors", replace(bare, fit=learnt))
    maps = fit_tone(seen, np.stack([lit_tooth(m) for m in seen]), settings.ridge)
    held_out = [m for m, val in zip(mouths, is_val, strict=True) if val]
    for name, value in tone_errors(held_out, maps).items():
        run.log(f"{name:18}{value:.3f}")
    return path


def tone_errors(mouths: list[OpenMouth], maps: tuple[Array, Array]) -> dict[str, float]:
    """How well `fit_tone`'s maps tell tooth tones (logs): mean absolute error and median error.

    `spread` is the mean absolute error of a constant.
    """
    teeth = [lit_tooth(m) for m in mouths]
    pairs = [(m, t) for m, t in zip(mouths, teeth, strict=True) if np.isfinite(t[0])]
    if not pairs:
        return {"teeth": 0.0}
    real = log_tone(np.stack([t for _, t in pairs]))
    by_size = {len(map_): map_ for map_ in maps}
    error = np.stack([m.seen @ by_size[len(m.seen)] for m, _ in pairs]) - real
    figures = {"teeth": float(len(pairs))}
    for column, name in enumerate(("luma", "red/green", "blue/green")):
        figures[f"{name} error"] = float(np.abs(error[:, column]).mean())
        figures[f"{name} bias"] = float(np.median(error[:, column]))
        spread = np.abs(real[:, column] - np.median(real[:, column]))
        figures[f"{name} spread"] = float(spread.mean())
    return figures


def save(path: Path, model: MouthModel) -> None:
    """Write a bare model with its fit as a weights file."""
    names: tuple[tuple[str, type[np.generic]], ...] = (
        ("vertices", np.float32),
        ("triangles", np.int16),
        ("part", np.int8),
        ("tooth", np.int8),
        ("jaw_open", np.float32),
    )
    tensors = {n: torch.from_numpy(getattr(model, n).astype(kind)) for n, kind in names}
    lengths = [getattr(model.fit, name) for name in LENGTHS]
    tensors["lengths"] = torch.tensor(lengths, dtype=torch.float32)
    tensors |= {name: torch.from_numpy(getattr(model.fit, name)) for name in COLOURS}
    weights.save(
        path,
        tensors,
        "mouth",
        {},
        half=False,  # the normals of small teeth want exact vertices
        licence=MODELS["mouth"].licence,
    )
