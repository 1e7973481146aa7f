"""The perception network on the `val` split: landmarks, action units, pose, size and speed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from memegen import aus
from memegen.arrays import Array, Mask, Picture
from memegen.facedata.dataset import FaceDataset
from memegen.facedata.shards import FaceLabels
from memegen.faces.align import Alignment
from memegen.geometry.shape import IRIS_CENTRES, angles_of, iod
from memegen.geometry.topology import REGIONS
from memegen.perception.analyze import FaceAnalyzer

Report = dict[str, dict[str, float]]


def evaluate(data: Path, name: str = "perception") -> Report:
    """Figures of weights `name` on the held-out crops of a shard folder.

    Landmark errors are mean distances in IOD (2-D by region, and 3-D over all), AU figures are
    Pearson correlations with the labels, pose figures mean absolute degrees. `several looks` is
    what a photo gets: ten, of five slightly different crops and their mirror images, averaged.
    """
    faces = FaceDataset.load(data)
    held_out = np.flatnonzero(faces.split(val=True))
    truth, labels = faces.units[held_out], faces.labels.take(held_out)
    analyzer = FaceAnalyzer(name)
    crops = faces.crops(held_out, analyzer.network.config.size)
    points, units, angles = _predict(analyzer, crops)
    looked = _looked(analyzer, crops)
    error = (points - labels.landmarks) / iod(labels.landmarks)[:, None, None]
    flat, deep = np.linalg.norm(error[..., :2], axis=-1), np.linalg.norm(error, axis=-1)
    landmarks = {"all": float(flat.mean()), "all, 3-D": float(deep.mean())}
    landmarks |= {region: float(flat[:, list(rows)].mean()) for region, rows in REGIONS.items()}
    landmarks |= {"irises": float(flat[:, list(IRIS_CENTRES)].mean())}
    pose = np.abs(angles - angles_of(labels.rotation))
    by_axis = dict(zip(("turn", "nod", "tilt"), pose.mean(0).tolist(), strict=True))
    return {
        "landmarks": landmarks,
        "pearson": _pearson(units, truth),
        "several looks": _several(looked, labels, truth),
        "pose": {"mean": float(pose.mean()), **by_axis},
        "landmarks by group": _by_group(flat.mean(1), labels),
        "cost": _cost(analyzer, crops),
    }


def _predict(analyzer: FaceAnalyzer, crops: Picture) -> tuple[Array, Array, Array]:
    with torch.inference_mode():
        output = [analyzer.network(b) for b in _batches(crops)]
    points, units, angles = (torch.cat(part).numpy() for part in zip(*output, strict=True))
    return points, np.clip(units, 0, 1), angles


def _looked(analyzer: FaceAnalyzer, crops: Picture) -> tuple[Array, Array]:
    """Landmarks and channels as photos get them: several views of each crop, averaged."""
    side = crops.shape[1]
    whole = Alignment(np.eye(2, dtype=np.float32) * side, np.zeros(2, np.float32))
    seen = [analyzer.predict(crop, whole) for crop in crops]
    return np.stack([s[0] for s in seen]), np.clip(np.stack([s[1] for s in seen]), 0, 1)


def _several(looked: tuple[Array, Array], labels: FaceLabels, truth: Array) -> dict[str, float]:
    error = (looked[0] - labels.landmarks) / iod(labels.landmarks)[:, None, None]
    landmarks = float(np.linalg.norm(error[..., :2], axis=-1).mean())
    return {"landmarks": landmarks} | _pearson(looked[1], truth)


def _batches(crops: Picture) -> Iterator[torch.Tensor]:
    for start in range(0, len(crops), 64):
        yield torch.from_numpy(crops[start : start + 64]).permute(0, 3, 1, 2).float() / 255


def _pearson(units: Array, truth: Array) -> dict[str, float]:
    """Correlation per action unit, sides taken together."""
    found = {}
    for au in aus.TABLE:
        if au.group == "head":
            continue
        rows = [aus.INDEX[c] for c in au.channels]
        true, output = truth[:, rows].ravel(), units[:, rows].ravel()
        if true.std() > 1e-6 and output.std() > 1e-6:
            found[au.name] = float(np.corrcoef(true, output)[0, 1])
    return found


def _by_group(error: Array, labels: FaceLabels) -> dict[str, float]:
    groups: dict[str, Mask] = {f"source {s}": labels.source == s for s in np.unique(labels.source)}
    for name in ("Male", "Young", "Pale_Skin", "Eyeglasses", "No_Beard", "Gray_Hair"):
        known = labels.attributes[name]
        groups |= {name: known == 1, f"not {name}": known == 0}
    return {name: float(error[rows].mean()) for name, rows in groups.items() if rows.sum() >= 10}


def _cost(analyzer: FaceAnalyzer, crops: Picture) -> dict[str, float]:
    batch = next(_batches(crops))
    with torch.inference_mode():
        analyzer.network(batch)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            analyzer.network(batch)
            times.append(time.perf_counter() - start)
    parameters = sum(p.numel() for p in analyzer.network.parameters())
    return {
        "parameters, millions": parameters / 1e6,
        "ms a crop, batches of 64": float(np.median(times)) / len(batch) * 1000,
    }
