"""Claims of the expression autoencoder (Liu and Jin, 2019) beside Fader Networks, in one run.

    python benchmarks/autoencoder.py [AUTOENCODER FADER DATA] [--landmarker face_landmarker.task]
        [--faces 40] [--rounds 20] [--batch 32] [--size 256] [--device cpu] [--json figures.json]
        [--sheet sheet.png]

Always: parameters, multiplications, and the time of a training step of each (all networks learn,
batches of random pictures on the device, steps of both in turn). With weights of both, names, files
or folders of runs, and DATA (face-data shards), on neutral held-out faces: the error of their
reconstructions, checkerboards in what they make and in how that differs from the photo (1 is none;
the photos' own beside it), and how far identity moves when the label goes to 1. With MediaPipe's
landmarker: the change of its smile scores, in the published output and in the photo that `animate`
makes of it.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from memegen import aus, weights
from memegen.arrays import Array
from memegen.devices import device_named, ready_to_train
from memegen.errors import NoFaceError
from memegen.evaluation import identity
from memegen.evaluation.checkerboard import checkerboard
from memegen.evaluation.pair_figures import PEOPLE
from memegen.evaluation.real_pairs import neutral_photos
from memegen.evaluation.subjects import track_of_targets
from memegen.facedata.rated import Rated, RatedPictures
from memegen.facedata.teachers import Landmarker
from memegen.generators.autoencoder import AutoencoderNet, config_of
from memegen.photo import Photo
from memegen.pipeline import Animator
from memegen.training.autoencoder import LABELS, AutoencoderTask, AutoencoderTraining
from memegen.training.sheets import write_columns

NAMES = ("autoencoder", "fader")
WARM_UP = 5  # steps
SMILE = ("mouthSmileLeft", "mouthSmileRight")
SHOWN = 8  # faces of the sheet

Figures = dict[str, Any]


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def fewer(ours: float, other: float) -> float:
    """By how many per cent ours is less."""
    return 100 * (1 - ours / other)


def sizes() -> Figures:
    nets = {name: AutoencoderNet(config_of(256, fader=name == "fader")) for name in NAMES}
    found: Figures = {
        part: {name: parameters(getattr(net, part)) for name, net in nets.items()}
        for part in ("encoder", "decoder")
    }
    found["all"] = {name: parameters(net) for name, net in nets.items()}
    found["million multiplications a crop"] = {n: millions(net) for n, net in nets.items()}
    for part in found.values():
        part["fewer %"] = fewer(part["autoencoder"], part["fader"])
    return found


def millions(network: AutoencoderNet) -> float:
    """Multiplications, each with an addition, that convolutions take for one crop, in millions."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(torch.zeros(1, 3, 256, 256), torch.zeros(1))
    return counter.get_total_flops() / 2e6


def step_times(asked: argparse.Namespace, device: torch.device) -> Figures:
    """Milliseconds of a step, the median of rounds in which both take turns."""
    nobody = RatedPictures([], [], np.array([[0.0], [1.0]], np.float32))
    tasks = {}
    for name in NAMES:
        sized = config_of(asked.size, fader=name == "fader")
        settings = AutoencoderTraining(network=sized)
        tasks[name] = AutoencoderTask(settings, device, Rated(nobody, nobody))
    shape = (asked.batch, 3, asked.size, asked.size)
    photo = (torch.rand(shape, device=device) * 2 - 1).to(memory_format=torch.channels_last)
    label = torch.arange(asked.batch, device=device).float() % 2
    spent: dict[str, list[float]] = {name: [] for name in NAMES}
    for turn in range(WARM_UP + asked.rounds):
        for name, task in tasks.items():
            wait(device)
            start = time.perf_counter()
            task.learn(photo, label, 1e-4)
            wait(device)
            if turn >= WARM_UP:
                spent[name].append(1000 * (time.perf_counter() - start))
    middle: Figures = {name: float(np.median(found)) for name, found in spent.items()}
    each = [fewer(a, b) for a, b in zip(spent["autoencoder"], spent["fader"], strict=True)]
    middle["less %"] = float(np.median(each))
    middle["less %, quartiles"] = np.quantile(each, (0.25, 0.75)).tolist()
    return middle | {"device": str(device), "batch": asked.batch, "size": asked.size}


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def crops_of(photos: list[Photo], side: int) -> Tensor:
    """(T, 3, side, side) in 0..1: the photos are aligned crops already."""
    found = np.stack([photo.resized(side, side).rgb for photo in photos])
    return torch.from_numpy(found).permute(0, 3, 1, 2).float() / 255


def made(network: AutoencoderNet, crops: Tensor, label: float) -> Tensor:
    """(T, 3, S, S) in 0..1, some at a time."""
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode():
        for some in crops.split(16):
            labels = torch.full((len(some),), label, device=device)
            parts.append((network(some.to(device) * 2 - 1, labels).cpu() + 1) / 2)
    return torch.cat(parts)


def pictures_of(crops: Tensor) -> Array:
    """(T, S, S, 3) as judges take them."""
    return crops.permute(0, 2, 3, 1).numpy()


def smile_of(eye: Landmarker, picture: Array) -> float:
    """MediaPipe's score 0..1; NaN where it sees no face."""
    found = eye.find((picture * 255 + 0.5).clip(0, 255).astype(np.uint8))
    return float("nan") if found is None else float(np.mean([found.scores[n] for n in SMILE]))


def smiles(eye: Landmarker, file: str, photos: list[Photo], calm: Array, smiling: Array) -> Figures:
    """Change of the score from label 0 to 1: of the published output, and of whole photos."""
    change = [smile_of(eye, b) - smile_of(eye, a) for a, b in zip(calm, smiling, strict=True)]
    channels = [aus.INDEX[channel] for channel in aus.channels_of("AU12")]
    target = np.zeros((1, len(aus.CHANNELS)), np.float32)
    target[:, channels] = 1
    track, animator, whole = track_of_targets(target, target > 0), Animator(file), []
    for photo in photos:
        try:
            frame = next(iter(animator.animate(photo, track)))[..., :3]
        except NoFaceError:  # a crop may be too tight for the detector
            continue
        whole.append(smile_of(eye, frame / 255) - smile_of(eye, photo.rgb / 255))
    return {"output": mean_of_seen(change), "photo": mean_of_seen(whole)}


def mean_of_seen(change: list[float]) -> Figures:
    """Over the faces that MediaPipe saw both times."""
    seen = [value for value in change if np.isfinite(value)]
    error = float(np.std(seen, ddof=1) / len(seen) ** 0.5) if len(seen) > 1 else None
    mean = float(np.mean(seen)) if seen else None
    return {"mean": mean, "standard error": error, "faces": len(seen)}


def judged(asked: argparse.Namespace, device: torch.device) -> Figures:
    """Everything that needs weights and faces."""
    photos = neutral_photos(asked.data, asked.faces)
    person = identity.fit(asked.data, Animator("mesh").analyzer.network, PEOPLE)
    found: Figures = {"faces": len(photos), "identity verification": person.verification}
    rows = []
    for name, file in zip(NAMES, (asked.autoencoder, asked.fader), strict=True):
        network, _ = weights.load_network(file, name)
        network.to(device)
        crops = crops_of(photos, network.config.size)
        calm, smiling = made(network, crops, 0.0), made(network, crops, 1.0)
        found[name] = {
            "PSNR": float(-10 * torch.log10((calm - crops).square().mean())),
            "checkerboard": checkerboard(pictures_of(calm)),
            "checkerboard of the difference": checkerboard(pictures_of(calm - crops)),
            "change of pixels": float((smiling - calm).abs().mean()),
            "identity, label 0 to 1": person.distance(calm, smiling),
            "identity, photo to label 0": person.distance(crops, calm),
        }
        found["checkerboard of the photos"] = checkerboard(pictures_of(crops))
        if asked.landmarker:
            with closing(Landmarker(asked.landmarker, "--landmarker")) as eye:
                parts = pictures_of(calm), pictures_of(smiling)
                found[name]["smile"] = smiles(eye, file, photos, *parts)
        rows.append([crops[:SHOWN], *(made(network, crops[:SHOWN], at) for at in LABELS)])
    if asked.sheet:
        both = [torch.stack(pair, 1).flatten(0, 1) for pair in zip(*rows, strict=True)]
        write_columns(asked.sheet, both)  # two rows a face: autoencoder, fader
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("autoencoder", nargs="?")
    parser.add_argument("fader", nargs="?")
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--landmarker", type=Path)
    parser.add_argument("--faces", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    asked = parser.parse_args()
    device = torch.device(device_named(asked.device))
    ready_to_train(0)
    figures: Figures = {"sizes": sizes(), "milliseconds a step": step_times(asked, device)}
    if asked.data:
        figures["judged"] = judged(asked, device)
    said = json.dumps(figures, indent=2)
    print(said)
    if asked.json:
        asked.json.write_text(said + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
