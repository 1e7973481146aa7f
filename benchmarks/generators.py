"""The generators beside a plain GANimation, in one run: speed, sharpness, training throughput.

    python benchmarks/generators.py [PHOTO...] [--frames 40] [--train DATA]

Speed: frames a second of `mesh` and `anatomical` by crop size, encoding left out, as a ratio to the
network of the GANimation paper (128 px, 6 residual blocks, float32, one frame at a time).
Sharpness: gradient energy of `anatomical` over that of `mesh` where no network changed the face (by
a tenth, by a fiftieth), on crops of 1024 px. Training: samples a second on DATA, and what waits.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import threads  # first

# isort: split
import numpy as np
import torch
from speed import SAMPLE, placed

import memegen
from memegen import recipes
from memegen.arrays import Array, Picture
from memegen.compositing import PreparedFace
from memegen.generators.anatomical import AnatomicalRenderer, attention_map, composite
from memegen.generators.ganimation import GanimationNet
from memegen.photo import Photo, read_photo
from memegen.pipeline import render
from memegen.process import flush_denormals

SIZES = (256, 512, 1024)
ROUNDS = 5
UNCHANGED = (0.1, 0.02)  # change of skin that counts as none


def plain_milliseconds(frames: int) -> float:
    """A frame of the published network, in a process of its own as whoever runs it has it."""
    command = [sys.executable, __file__, "--plain", "--frames", str(frames)]
    own = threads.BEFORE
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=own)
    return float(said.stdout)


def plain_alone(frames: int) -> float:
    network = GanimationNet().eval()
    photo, units = torch.rand(1, 3, 128, 128), torch.rand(1, network.config.units)
    times = []
    with torch.inference_mode():
        for _ in range(frames):
            start = time.perf_counter()
            network(photo, units)
            times.append(time.perf_counter() - start)
    return float(np.median(times[3:])) * 1000


def stages(renderer: AnatomicalRenderer, targets: Array) -> dict[str, float]:
    """Seconds of the mesh, the networks and the composition of all targets."""
    clock, spent = time.perf_counter, {"mesh": 0.0, "networks": 0.0, "composition": 0.0}
    step = renderer.mesh.frames_together(len(targets))
    with torch.inference_mode():
        for start in range(0, len(targets), step):
            t0 = clock()
            moved = renderer.mesh.move(targets[start : start + step])
            t1 = clock()
            picture, passes = renderer.run_networks(moved)
            t2 = clock()
            composite(picture, passes, 255.0, in_place=True)
            for name, seconds in zip(spent, (t1 - t0, t2 - t1, clock() - t2), strict=True):
                spent[name] += seconds
    return spent


def measured(
    photo: Photo, frames: int, rounds: int = ROUNDS
) -> tuple[float, dict[tuple[int, str], float]]:
    """Milliseconds a frame of the published network, and of each crop size and generator.

    Everything in turn, and medians: a machine's bad moments fall on all.
    """
    track = recipes.load_track("laugh+shake", duration=frames / 25)
    plain: list[float] = []
    scenes = _scenes(photo)
    times: dict[tuple[int, str], list[float]] = {key: [] for key in scenes}
    for _ in range(rounds + 1):  # the first one is to get warm
        plain.append(plain_milliseconds(frames))
        for key, (canvas, face) in scenes.items():
            start = time.perf_counter()
            count = sum(1 for _ in render(canvas, [face], track, 1.0))
            times[key].append((time.perf_counter() - start) / count * 1000)
    medians = {key: float(np.median(found[1:])) for key, found in times.items()}
    return float(np.median(plain[1:])), medians


def _scenes(photo: Photo) -> dict[tuple[int, str], tuple[Picture, PreparedFace]]:
    animators = {name: memegen.Animator(name, "cpu") for name in ("mesh", "anatomical")}
    return {
        (crop, name): placed(animator, photo, crop)
        for crop in SIZES
        for name, animator in animators.items()
    }


def speed(photo: Photo, frames: int) -> None:
    plain, each = measured(photo, frames)
    print(f"plain GANimation: {plain:.1f} ms a frame; medians of {ROUNDS} rounds")
    track = recipes.load_track("laugh+shake", duration=frames / 25)
    for (crop, name), (_, face) in _scenes(photo).items():
        spent_each = each[crop, name]
        line = f"{name:11} {crop:5d} px: {1000 / spent_each:6.1f} fps, "
        line += f"{plain / spent_each:.2f} x plain"
        if isinstance(face.renderer, AnatomicalRenderer):
            spent = stages(face.renderer, track.resolve(face.source))
            line += "   " + "  ".join(
                f"{n} {t / len(track) * 1000:.1f} ms" for n, t in spent.items()
            )
        print(line)


def sharpness(photos: list[Path]) -> None:
    animators = {name: memegen.Animator(name, "cpu") for name in ("mesh", "anatomical")}
    track = recipes.load_track("smile")
    for path in photos:
        photo = read_photo(path)
        slopes, change = {}, np.zeros(0)
        for name, animator in animators.items():
            _, face = placed(animator, photo, 1024)
            target = track.frame(track.strongest()).resolve(face.source)
            if isinstance(face.renderer, AnatomicalRenderer):
                with torch.inference_mode():
                    picture, passes = face.renderer.run_networks(face.renderer.mesh.move(target))
                    change = attention_map(passes, picture)[0, 0].numpy()
                inside = face.inside[..., 0] > 0
            frame = next(iter(face.renderer.render(target)))[..., :3].mean(-1)
            gy, gx = np.gradient(frame)
            slopes[name] = gx**2 + gy**2
        for most in UNCHANGED:
            still = inside & (change < most)
            ratio = slopes["anatomical"][still].mean() / slopes["mesh"][still].mean()
            share = f"changed by less than {most:g}, {still.mean():.0%} of it"
            print(f"{path.name}: gradient energy {ratio:.4f} of mesh's where {share}")


def training(data: Path, steps: int = 12) -> None:
    from memegen.training import generator as g
    from memegen.training.crops import load_crops
    from memegen.training.pairs import PoolConfig

    settings, device = g.GeneratorTraining(), torch.device("cpu")
    settings = replace(settings, pool=PoolConfig(size=64, first=settings.batch, workers=0))
    crops = load_crops(data, dict(settings.pairs.sources), "held out")
    for half in (False, True):
        task = g.GeneratorTask(replace(settings, half=half), device, crops, crops)
        start = time.perf_counter()
        task.begin({})
        made = settings.batch + g.SHOWN
        print(f"draws: {made / (time.perf_counter() - start):.1f} a second, one process")
        batch, times = next(task.batches(0)), []
        for step in range(steps):
            start = time.perf_counter()
            task.train_step(settings.discriminator_from + step, batch)
            times.append(time.perf_counter() - start)
        rate = (settings.batch + settings.unpaired) / float(np.median(times[2:]))
        print(f"training, {'bfloat16' if half else 'float32'}: {rate:.1f} samples a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="*", type=Path, default=[SAMPLE])
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    flush_denormals()
    if wanted.plain:
        print(plain_alone(wanted.frames))
        return
    speed(read_photo(wanted.photos[0]), wanted.frames)
    sharpness(wanted.photos)
    if wanted.train:
        training(wanted.train)


if __name__ == "__main__":
    main()
