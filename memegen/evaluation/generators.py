"""Generators side by side on held-out faces, where the right answer is a real picture.

The pair protocol (as in training): a real crop X of expression y is moved by the mesh to another
expression y', and each generator is asked to bring it back to y. X is what it should have made.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from memegen import aus
from memegen.arrays import Array, Mask, Picture
from memegen.errors import MemegenError
from memegen.evaluation import identity
from memegen.evaluation.measures import (
    REGIONS,
    Perceptual,
    absolute,
    mean_over,
    psnr,
    regions,
    structure,
)
from memegen.facedata.shards import is_shards
from memegen.files import written_whole
from memegen.generators import Generator, Scene, generator_named
from memegen.generators.anatomical import AnatomicalRenderer, attention_map
from memegen.generators.windows import WINDOWS, place, sample_window, to_pixels
from memegen.geometry.outline import opening
from memegen.geometry.shape import iod
from memegen.geometry.topology import LIPS_INNER
from memegen.perception.analyze import FaceAnalyzer
from memegen.perception.network import PerceptionOutput
from memegen.training.crops import load_crops
from memegen.training.pairs import PairConfig, PairDataset

MOUTH_OPEN = 0.05  # IOD between the lips from which a mouth counts as open
MOUTH_SHUT = 0.012  # IOD up to which it counts as shut
LIDS_SHUT = 0.5  # blink from which an eye counts as closing
GAZE_TURN = 8.0  # degrees of gaze change from which a pair counts for gaze
SPEED_SIDE, SPEED_FRAMES = 512, 24  # the crop and frames that are timed
KIND = ", "  # between the name of a figure and the kind of pairs that it is of
SHOWN = 16  # pairs on a contact sheet
_SIDES = {"mouth": 64}  # of the windows that Perceptual compares

Report = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Pair:
    """One question with its answer."""

    scene: Scene  # the moved crop X', as generators take it
    target: Array  # (K,) y
    true: Picture  # X
    landmarks: Array  # (478, 3) of X, crop units
    kinds: dict[str, bool]  # what kind of change it asks for


@dataclass
class Tally:
    """Figures of one model, collected pair by pair."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """One more value of a figure."""
        self.values.setdefault(name, []).append(value)

    def means(self) -> dict[str, float]:
        """Every figure's mean; of kinds of pairs, which are few, its standard error (se) too."""
        means = {}
        for name, found in self.values.items():
            means[name] = float(np.mean(found))
            if KIND in name and len(found) > 1:
                means[f"{name} (se)"] = float(np.std(found, ddof=1) / np.sqrt(len(found)))
        return means


def pairs(data: Path, count: int, seed: int = 7) -> Iterator[Pair]:
    """`count` held-out questions, always the same ones."""
    config = PairConfig(landmark_noise=0, worn=0, same=0)
    crops = load_crops(data, dict(config.sources), "held out")
    maker = PairDataset(crops, config, {}, seed)
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        picture, landmarks, source, other = maker.sample(rng)
        moved = maker.moved(maker.scene(picture, landmarks, source), other)
        there = moved.picture
        at = moved.landmarks[0] / picture.shape[0]
        scene = maker.scene(there, at, other)
        kinds = _kinds(landmarks, at, source, other)
        yield Pair(scene, source, picture, landmarks, kinds)


def _kinds(landmarks: Array, moved: Array, source: Array, other: Array) -> dict[str, bool]:
    gap, before = (
        float(opening(face[list(LIPS_INNER), :2]) / iod(face[None])[0])
        for face in (landmarks, moved)
    )
    blinks = [aus.INDEX["AU45L"], aus.INDEX["AU45R"]]
    closing = (source[blinks] > LIDS_SHUT) & (source[blinks] - other[blinks] > LIDS_SHUT / 2)
    turn = np.linalg.norm(aus.gaze_degrees(source) - aus.gaze_degrees(other))
    awake = max(source[blinks].max(), other[blinks].max()) < LIDS_SHUT
    return {
        "opening": gap > MOUTH_OPEN and before < MOUTH_SHUT,
        "closing": bool(closing.any()),
        "gaze": bool(turn > GAZE_TURN and awake),
    }


def evaluate(data: Path, models: list[str], count: int, sheet: Path | None = None) -> Report:
    """Figures of every model on the same pairs: {model: {figure: value}}.

    Per region: L1 (levels of 255), PSNR (decibels), SSIM; per window a perceptual distance; for
    the whole face the action units (0..5), landmarks (IOD) and identity that are seen in the
    generated picture against those seen in the real one; mean attention, time and size. Figures of
    one kind of pairs come with their standard error.
    `data` holds shards or photos, of which the part is used that training leaves out (all photos
    where they are too few to train on); people of the rest make the ruler of identity, where any
    are known. `sheet` gets a picture: input, every model, the attention of the last one, target.
    """
    ruler, analyzer = Perceptual(), FaceAnalyzer()
    person = _ruler_of_identity(data, analyzer)
    generators = {name: generator_named(name) for name in models}
    tallies = {name: Tally() for name in models}
    rendered: dict[str, list[Array]] = {name: [] for name in models}
    asked: list[Pair] = list(pairs(data, count))
    rows: list[Array] = []
    telling = [pair for pair in asked if any(pair.kinds.values())] or asked
    shown = {id(pair) for pair in telling[:SHOWN]}
    for pair in asked:
        true = pair.true.astype(np.float32)
        weight = regions(pair.landmarks, true.shape[0])
        columns = [pair.scene.picture.astype(np.float32)]
        mask = np.zeros_like(true)
        for name, generator in generators.items():
            renderer = generator.prepare(pair.scene)
            picture = np.clip(next(iter(renderer.render(pair.target[None]))), 0, 255)
            rendered[name].append(picture)
            columns.append(picture)
            _compare(tallies[name], pair, picture, true, weight, ruler)
            if isinstance(renderer, AnatomicalRenderer):
                mask = _attention(tallies[name], renderer, pair, weight)
        if sheet is not None and id(pair) in shown:
            rows.append(np.concatenate([*columns, mask, true], 1))
    if sheet is not None:
        with written_whole(sheet) as partial:
            Image.fromarray((np.concatenate(rows) + 0.5).astype(np.uint8)).save(partial, "PNG")
    reals = _tensor(np.stack([pair.true for pair in asked]))
    seen = _see(analyzer, reals)
    report = {}
    for name, generator in generators.items():
        mine = _tensor(np.stack(rendered[name]))
        report[name] = (
            tallies[name].means()
            | _seen_alike(_see(analyzer, mine), seen)
            | ({"identity distance": person.distance(mine, reals)} if person else {})
            | _cost(generator, asked[0])
        )
    common = {"all": float(count)}
    common |= {kind: float(sum(pair.kinds[kind] for pair in asked)) for kind in asked[0].kinds}
    if person:
        common["identity verification"] = person.verification
    report["pairs"] = common
    return report


def _ruler_of_identity(data: Path, analyzer: FaceAnalyzer) -> identity.Identity | None:
    if not is_shards(data):
        return None
    try:
        return identity.fit(data, analyzer.network)
    except MemegenError:  # nobody is known twice: all other figures can be had
        return None


def _compare(
    tally: Tally,
    pair: Pair,
    picture: Array,
    true: Array,
    weight: dict[str, Array],
    ruler: Perceptual,
) -> None:
    error, alike = absolute(picture, true), structure(picture, true)
    for region in REGIONS:
        if weight[region].sum() < 4:
            continue
        level = mean_over(error, weight[region])
        tally.add(f"{region} L1", level)
        tally.add(f"{region} PSNR", psnr(picture, true, weight[region]))
        tally.add(f"{region} SSIM", mean_over(alike, weight[region]))
        for kind, of in (("opening", "mouth"), ("closing", "eyes"), ("gaze", "eyes")):
            if of == region and pair.kinds[kind]:
                tally.add(f"{region} L1{KIND}{kind}", level)
    side = true.shape[0]
    both = _tensor(np.stack([picture, true]))
    scale = float(pair.scene.motion.pose.scale)
    for window in WINDOWS:
        size = _SIDES[window.name]
        affine = to_pixels(
            place(window, pair.landmarks[None], scale),
            np.array([[side, 0, 0], [0, side, 0]], np.float32),
        )
        output, real = sample_window(both, torch.from_numpy(affine).expand(2, -1, -1), size).split(
            1
        )
        distance = ruler(output, real)
        tally.add(f"{window.name} perceptual", distance)
        if window.name == "mouth" and pair.kinds["opening"]:
            tally.add(f"mouth perceptual{KIND}opening", distance)


def _attention(
    tally: Tally, renderer: AnatomicalRenderer, pair: Pair, weight: dict[str, Array]
) -> Array:
    """Mean attention by region; returns the change 1 - A as a grey picture 0..255."""
    with torch.inference_mode():
        moved = renderer.mesh.move(pair.target[None])
        picture, passes = renderer.run_networks(moved)
        mask = attention_map(passes, picture)[0, 0].cpu().numpy()
        still = renderer.mesh.move(pair.scene.motion.source[None])
        neutral = attention_map(renderer.run_networks(still)[1], picture)[0, 0].cpu().numpy()
    for region in REGIONS:
        if weight[region].sum() >= 4:
            tally.add(f"{region} attention", 1 - mean_over(mask, weight[region]))
    tally.add("attention of the photo's own expression", 1 - float(neutral.mean()))
    return np.repeat(mask[..., None] * 255, 3, -1)


def _tensor(pictures: Array | Picture) -> Tensor:
    """(T, H, W, 3) 0..255 to (T, 3, H, W) 0..1."""
    flat = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
    return torch.from_numpy(flat).float() / 255


def _see(analyzer: FaceAnalyzer, pictures: Tensor) -> PerceptionOutput:
    size = (analyzer.network.config.size,) * 2
    parts = []
    with torch.inference_mode():
        for batch in pictures.split(64):
            small = torch.nn.functional.interpolate(batch, size, mode="bilinear", antialias=True)
            parts.append(analyzer.network(small))
    return PerceptionOutput(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _seen_alike(output: PerceptionOutput, true: PerceptionOutput) -> dict[str, float]:
    scale = iod(true.landmarks.numpy())
    distance = (output.landmarks - true.landmarks)[..., :2].norm(dim=-1).mean(1).numpy() / scale
    units = (output.action_units.clamp(0, 1) - true.action_units.clamp(0, 1)).abs()
    measured: Mask = np.isin(np.arange(units.shape[1]), [aus.INDEX[c] for c in _MEASURED])
    return {
        "action units": float(units.numpy()[:, measured].mean()) * aus.MAX_INTENSITY,
        "landmarks": float(distance.mean()),
    }


_MEASURED = [channel for au in aus.OPENFACE for channel in au.channels]


def _cost(generator: Generator, pair: Pair) -> dict[str, float]:
    """Milliseconds a frame of a large crop, and millions of parameters."""
    enlarged = Image.fromarray(pair.scene.picture).resize((SPEED_SIDE, SPEED_SIDE))
    factor = SPEED_SIDE / pair.scene.picture.shape[0]
    scene = replace(
        pair.scene, picture=np.asarray(enlarged), to_pixels=pair.scene.to_pixels * factor
    )
    renderer = generator.prepare(scene)
    steps = np.linspace(0, 1, SPEED_FRAMES, dtype=np.float32)[:, None]
    targets = pair.scene.motion.source + steps * (pair.target - pair.scene.motion.source)
    list(renderer.render(targets[:4]))
    start = time.perf_counter()
    frames = sum(1 for _ in renderer.render(targets))
    spent = (time.perf_counter() - start) / frames
    network = getattr(generator, "network", None)
    parameters = sum(p.numel() for p in network.parameters()) if network is not None else 0
    return {
        f"ms a frame, {SPEED_SIDE} px": spent * 1000,
        "parameters, millions": parameters / 1e6,
    }
