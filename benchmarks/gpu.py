"""What a GPU does for memegen: frames, networks and training by device, in one run, as JSON.

    python benchmarks/gpu.py [--seconds 60] [--out gpu.json] [--devices cuda,cpu] [--batch 25]

Frames a second of whole pictures by crop size, encoding left out; of `ganimation` with random
weights. Networks alone by batch and precision. GANimation's training in images
a second, five steps of the discriminator to one of the generator, by precision. Nothing is looked
for in the photo: where the sample's face lies is written down here, so neither a face detector
nor ffmpeg is needed. What the time does not suffice for is left out.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from speed import SAMPLE, scaled

import memegen
from memegen import recipes, weights
from memegen.devices import has_halves, ready_to_train
from memegen.facedata.rated import Rated, RatedPictures
from memegen.faces.align import Alignment
from memegen.generators.ganimation import GanimationNet
from memegen.photo import read_photo
from memegen.pipeline import render
from memegen.training.batches import Batch
from memegen.training.ganimation import GanimationTask, GanimationTraining
from memegen.training.processes import Alone

SIZES = (256, 512, 1024)  # pixels of the crop
BATCHES = (1, 8, 32)
SHORTEST = 0.6  # seconds that each figure is measured for
LONG = 2.0  # seconds of one run that are figure enough, without a second one
# MTCNN's five points in examples/astronaut.png.
FIVE_POINTS = np.array(
    [[204.1, 100.7], [247.4, 104.1], [224.8, 128.3], [202.2, 140.0], [244.8, 142.4]], np.float32
)
PRECISIONS = {  # name -> bfloat16, channels last
    "float32": (False, False),
    "bfloat16": (True, False),
    "bfloat16, channels last": (True, True),
}
Figures = dict[str, float]


class Budget:
    """What is left of the time."""

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds

    def __bool__(self) -> bool:
        return time.perf_counter() < self._end


def settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def rate(once: Callable[[], object], items: float, device: torch.device) -> float:
    """Items a second of what makes so many at once.

    The first run is never counted: it allocates, and with cudnn's benchmark mode tries every
    kernel, which takes seconds. One later run that takes LONG is figure enough.
    """
    once()
    settle(device)
    start, runs, spent = time.perf_counter(), 0, 0.0
    while spent < (LONG if runs < 2 else SHORTEST):
        once()
        settle(device)
        runs, spent = runs + 1, time.perf_counter() - start
    return round(runs * items / spent, 2)


def frames(device: torch.device, models: dict[str, str], budget: Budget) -> dict[str, Figures]:
    """Whole frames a second by model and crop size."""
    photo = read_photo(np.asarray(Image.open(SAMPLE).convert("RGB")))  # Pillow alone reads it
    track = recipes.load_track("laugh+shake", duration=0.64)
    found: dict[str, Figures] = {}
    for name, file in models.items():
        animator = memegen.Animator(file, device.type)
        seen = animator.analyzer.analyze(photo.rgb, FIVE_POINTS)
        for crop in SIZES:
            if not budget:
                return found
            factor = crop / seen.alignment.width
            canvas = scaled(photo, factor).channels()
            at = Alignment(seen.alignment.matrix * factor, seen.alignment.offset * factor)
            face = animator.prepare_face(canvas, replace(seen, alignment=at))
            once = lambda c=canvas, f=face: sum(1 for _ in render(c, [f], track, 1.0))  # noqa: E731
            found.setdefault(name, {})[f"{crop} px"] = rate(once, len(track), device)
    return found


def networks(device: torch.device, budget: Budget) -> dict[str, Figures]:
    """Frames a second of GANimation's generator at 128 px, by precision and batch."""
    found: dict[str, Figures] = {}
    for name, (half, last) in precisions(device):
        network = GanimationNet().eval().to(device)
        if last:
            network.to(memory_format=torch.channels_last)
        for batch in BATCHES:
            if not budget:
                return found
            photo = torch.rand(batch, 3, 128, 128, device=device) * 2 - 1
            units = torch.rand(batch, network.config.units, device=device)
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, half):
                once = lambda n=network, p=photo, u=units: n(p, u)  # noqa: E731
                found.setdefault(name, {})[f"batch {batch}"] = rate(once, batch, device)
    return found


def training(device: torch.device, batch: int, budget: Budget) -> Figures:
    """Images a second of GANimation's training at 128 px, by precision."""
    found: Figures = {}
    nothing = RatedPictures([], [], np.zeros((0, 17), np.float32))
    for name, (half, last) in precisions(device):
        if not budget:
            break
        settings = GanimationTraining(batch=batch, half=half, channels_last=last, steps=10)
        task = GanimationTask(settings, Alone(device), Rated(nothing, nothing))
        given = Batch(
            torch.rand(batch, 3, 128, 128) * 2 - 1,
            torch.rand(batch, 17),
            torch.rand(batch, 17),
            torch.rand(batch, 1, 1, 1),
        ).to(device)
        steps = settings.generator_every

        def cycle(task: GanimationTask = task, given: Batch = given, steps: int = steps) -> None:
            for step in range(steps):
                task.train_step(step, given)

        found[name] = rate(cycle, batch * steps, device)
    return found


def precisions(device: torch.device) -> Iterator[tuple[str, tuple[bool, bool]]]:
    """Those that a device has."""
    halves = has_halves(device)
    return ((name, how) for name, how in PRECISIONS.items() if halves or not how[0])


def about(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor()
    return {"name": name, "torch": torch.__version__, "threads": torch.get_num_threads()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--out", type=Path)
    usual = "cuda,cpu" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--devices", default=usual, help="in order")
    parser.add_argument("--batch", type=int, default=25, help="crops a step of training")
    wanted = parser.parse_args()
    ready_to_train(0)
    report: dict[str, Any] = {}
    budget = Budget(wanted.seconds)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ganimation.safetensors"
        network = GanimationNet()
        weights.save(file, network.state_dict(), "ganimation", network.config)
        models = {"mesh": "mesh", "anatomical": "anatomical", "ganimation": str(file)}
        for name in wanted.devices.split(","):
            device = torch.device(name)
            here = report[name] = {"about": about(device)}
            batch = wanted.batch if name != "cpu" else min(wanted.batch, 4)
            for part, measure in (
                ("networks, frames a second", lambda d=device: networks(d, budget)),
                ("frames a second", lambda d=device: frames(d, models, budget)),
                (f"training, images a second, batch {batch}",
                 lambda d=device, b=batch: training(d, b, budget)),
            ):  # fmt: skip
                if budget:
                    here[part] = measure()
                    print(f"{name}  {part}: {here[part]}", flush=True)
    text = json.dumps(report, indent=2)
    if wanted.out:
        wanted.out.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
