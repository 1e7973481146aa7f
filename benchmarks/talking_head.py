"""The table of the talking head (Khungurn 2019), on drawn characters that nothing was learnt from.

python benchmarks/talking_head.py l1.safetensors [perceptual.safetensors ...] [--json table.json]

The head is turned by the colour path alone, by the flow path alone, and by both combined: root mean
squared error (of 0..1) and structural similarity to the drawing that the renderer makes. The face
is changed one part at a time: the same in that part alone. `unchanged` is the drawing as it was.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Array, Picture
from memegen.cartoon.pose import HIGH, INDEX, LOW, MORPH, POSE, ROTATE
from memegen.cartoon.renderer import render
from memegen.cartoon.style import sample_style
from memegen.evaluation.measures import mean_over, structure
from memegen.files import write_text
from memegen.generators.cartoon import (
    CartoonNet,
    CartoonNetworks,
    combine,
    morph_picture,
    rotate_picture,
)
from memegen.training.drawings import HELD_OUT

# What is changed of a face, and by which numbers of the pose.
REGIONS: dict[str, tuple[str, ...]] = {
    "eyes": ("left_eye", "right_eye", "wide"),
    "gaze": ("gaze_x", "gaze_y"),
    "brows": ("brow_left", "brow_right", "frown"),
    "mouth": ("mouth", "smile", "pucker"),
}
SEEN_CHANGE = 12  # levels of 255 by which a pixel that belongs to the change differs
MARGIN_PX = 3  # around those pixels, of 256
PEAK = 255.0
Figures = dict[str, dict[str, float]]


def main() -> None:
    """Measure weights side by side, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", nargs="+", help="files of `memegen train cartoon`")
    parser.add_argument("--count", type=int, default=100, help="characters")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args()
    torch.set_flush_denormal(True)
    found = {}
    for file in given.weights:
        network = CartoonNetworks(given.device, file).network
        found[file] = table_of(network, given.count, given.seed)
        print(shown(file, found[file]))
    if given.json:
        write_text(given.json, json.dumps(found, indent=1))


def table_of(network: CartoonNet, count: int, seed: int = 0) -> dict[str, Figures]:
    """Figures of `count` characters, by what was asked for and by what answered it."""
    side = network.config.size
    sums: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for index in range(count):
        rng = np.random.default_rng([seed, HELD_OUT, index])
        for asked, answers in measured(network, rng, side):
            for answer, figures in answers.items():
                sums[asked][answer].append(figures)
    return {
        asked: {answer: mean_of(figures) for answer, figures in answers.items()}
        for asked, answers in sums.items()
    }


def measured(
    network: CartoonNet, rng: np.random.Generator, side: int
) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """Of one character: what was asked for, and how far each answer is from the drawing of it."""
    style, still = sample_style(rng), np.zeros(len(POSE), np.float32)
    source, everywhere = render(style, still, side), np.ones((side, side), np.float32)
    for region, names in REGIONS.items():
        pose = still.copy()
        rows = [INDEX[name] for name in names]
        pose[rows] = rng.uniform(LOW[rows], HIGH[rows])
        target = render(style, pose, side)
        where = changed(source, target)
        if where.any():
            answers = {"unchanged": source, "morpher": morphed(network, source, pose)}
            yield region, compared(answers, target, where)
    face, turn = random_parts(rng)
    target = render(style, face + turn, side)
    yield "turned", compared(turned(network, render(style, face, side), turn), target, everywhere)
    # As it is used: what is turned is what the morpher made.
    answers = turned(network, morphed(network, source, face), turn)
    yield "all together", compared(answers | {"unchanged": source}, target, everywhere)


def random_parts(rng: np.random.Generator) -> tuple[Array, Array]:
    """Poses (P,) of the face alone and of the head alone, uniform in their ranges."""
    pose = rng.uniform(LOW, HIGH).astype(np.float32)
    face, turn = pose.copy(), pose.copy()
    face[list(ROTATE)], turn[list(MORPH)] = 0, 0
    return face, turn


def morphed(network: CartoonNet, source: Picture, pose: Array) -> Picture:
    """The morpher's picture."""
    with torch.inference_mode():
        picture, numbers = tensor_of(network, source), numbers_of(network, pose)[:, list(MORPH)]
        said = network.morpher(picture, torch.zeros_like(numbers), numbers)
        return picture_of(morph_picture(picture, said))


def turned(network: CartoonNet, source: Picture, pose: Array) -> dict[str, Picture]:
    """The rotator's two pictures, and what the combiner makes of them."""
    with torch.inference_mode():
        picture, turn = tensor_of(network, source), numbers_of(network, pose)[:, list(ROTATE)]
        by_colour, by_flow = rotate_picture(picture, network.rotator(picture, turn))
        both = combine(by_colour, by_flow, network.combiner(by_colour, by_flow, turn))
    return {
        "unchanged": source,
        "colour": picture_of(by_colour),
        "flow": picture_of(by_flow),
        "combined": picture_of(both),
    }


def changed(source: Picture, target: Picture) -> Array:
    """(S, S) 1 where two drawings differ, and around it."""
    differs = np.abs(source.astype(np.int16) - target).max(-1) > SEEN_CHANGE
    radius = max(1, round(MARGIN_PX * len(source) / 256))
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return cv2.dilate(differs.astype(np.uint8), kernel).astype(np.float32)


def compared(
    answers: Mapping[str, Picture], target: Picture, where: Array
) -> dict[str, dict[str, float]]:
    """How far pictures are from the true one, over (S, S) weights."""
    true = target.astype(np.float32)
    found = {}
    for name, picture in answers.items():
        made = picture.astype(np.float32)
        square = mean_over((((made - true) / PEAK) ** 2).mean(-1), where)
        found[name] = {
            "rmse": float(np.sqrt(square)),
            "l1": mean_over(np.abs(made - true).mean(-1) / PEAK, where),
            "ssim": mean_over(structure(made, true), where),
        }
    return found


def mean_of(figures: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over characters, and of how many."""
    mean = {name: float(np.mean([f[name] for f in figures])) for name in figures[0]}
    return mean | {"characters": float(len(figures))}


def tensor_of(network: CartoonNet, picture: Picture) -> Tensor:
    """(S, S, 3) uint8 as networks see it: (1, 3, S, S), -1..1."""
    found = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
    return found.to(next(network.parameters()).device).float() / (PEAK / 2) - 1


def numbers_of(network: CartoonNet, pose: Array) -> Tensor:
    """A pose (P,) as (1, P)."""
    return torch.from_numpy(pose)[None].to(next(network.parameters()).device)


def picture_of(made: Tensor) -> Picture:
    """(1, 3, S, S), -1..1, as (S, S, 3) uint8."""
    levels = ((made[0].float() + 1) * (PEAK / 2)).round().clamp(0, PEAK)
    return levels.permute(1, 2, 0).byte().cpu().numpy()


def shown(file: str, table: Mapping[str, Figures]) -> str:
    """The table as Markdown."""
    lines = [f"\n{file}\n", "| asked for | made by | RMSE | L1 | SSIM | characters |",
             "|---|---|---:|---:|---:|---:|"]  # fmt: skip
    for asked, answers in table.items():
        for answer, f in answers.items():
            lines.append(
                f"| {asked} | {answer} | {f['rmse']:.4f} | {f['l1']:.4f} | {f['ssim']:.4f} "
                f"| {f['characters']:.0f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
