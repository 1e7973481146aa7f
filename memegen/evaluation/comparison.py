"""Generators of any kind side by side, on the same data in the same run: the figures of the table.

What a generator cannot do is no error here: its cell is empty and says why.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from memegen import aus, models, weights
from memegen.compositing import render
from memegen.devices import has_halves
from memegen.errors import MemegenError, UsageError, nearest
from memegen.evaluation import au_response, au_response_mediapipe
from memegen.evaluation.landmark_aus import READINGS
from memegen.evaluation.network_cost import cost_of, milliseconds
from memegen.evaluation.pair_figures import REGION_FIGURES, PairScale
from memegen.evaluation.real import STILL, looking
from memegen.evaluation.subjects import track_of_targets
from memegen.generators.registry import generating_model, weights_named
from memegen.perception.analyze import FaceAnalyzer
from memegen.photo import Photo
from memegen.pipeline import Animator

PAIRS = 40  # pairs of real photos, unless told
FACES = 8  # whose action units are asked for, unless told
CROP = 512  # pixels of the face crop whose frames are timed as a whole
TIMED = 8  # frames of that
SEEN = 2  # levels of 255 by which some pixel must change for an action unit to count as driven
COSTS = ("parameters", "megabytes", "gflops", "ms_fp32", "ms_bf16", "ms_gpu", "ms_frame",
         "resolution")  # fmt: skip
RESPONSE = ("aus", "au_slope", "au_correlation", "au12")
HISTORY = ("data", "steps", "minutes", "device", "images_per_second")
FIGURES = (*COSTS, *RESPONSE, "lips", "identity", *REGION_FIGURES, *HISTORY)
NOTE, PHOTOS = "note", "photos"  # further keys of given figures

Value = float | str


@dataclass
class Row:
    """One model: its figures, and why others are missing."""

    name: str
    figures: dict[str, Value] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)  # figure -> reason
    note: str = ""  # about the whole row

    def lack(self, reason: str, *names: str) -> None:
        """Say why some figures are missing, where nothing has been said."""
        for name in names:
            if name not in self.figures:
                self.missing.setdefault(name, reason)


@dataclass(frozen=True)
class Comparison:
    """All rows, and what they share."""

    rows: list[Row]
    judge: str  # who looks at faces
    pairs: int
    faces: int
    verification: float | None  # how often the ruler of identity is right; None: there is none
    data: str  # what was looked at
    machine: str


@dataclass(frozen=True)
class Question:
    """What is compared on what."""

    data: Path  # shards
    pairs: int = PAIRS
    faces: int = FACES
    landmarker: Path | None = None  # MediaPipe's; without it our own perception looks
    given: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # model -> figures

    @property
    def judge(self) -> str:
        """Its name."""
        return "memegen's own perception" if self.landmarker is None else "MediaPipe"


def given_figures(file: Path) -> dict[str, dict[str, Any]]:
    """{model: {figure: value}} of a JSON file: what was measured elsewhere, and takes precedence.

    `note` is told below the table; `photos: false` says that the model moves no photos, so that
    nothing of it is measured here. Raises UsageError for another file or an unknown figure.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: no JSON file ({error})") from None
    if not isinstance(found, dict) or not all(isinstance(row, dict) for row in found.values()):
        raise UsageError(f"{file}: must map names of models to their figures")
    known = (*FIGURES, NOTE, PHOTOS)
    for name in (name for row in found.values() for name in row):
        if name not in known:
            raise UsageError(f"{file}: unknown figure '{name}'{nearest(name, known)}")
    return found


def compare(
    question: Question, names: Sequence[str], say: Callable[[str], None] = print
) -> Comparison:
    """The figures of every model, in this order, after the row `still`: the photo as it is.

    names: of generators, weights files or folders of runs. `say` is told what goes on. Raises
    MemegenError where the data serve for nothing, and before anything is measured where a file or
    folder holds no generator.
    """
    for name in names:
        if name not in models.MODELS and name not in question.given:
            generating_model(name)
    analyzer = FaceAnalyzer()
    with looking(question.landmarker, analyzer) as look:
        scale = PairScale.of(question.data, question.pairs, look, analyzer)
        rows = [_still(scale)]
        for name in names:
            say(f"{name}: {len(scale.seen)} pairs, {question.faces} faces")
            rows.append(_row(name, question, scale))
    verification = scale.person.verification if scale.person else None
    return Comparison(
        rows, question.judge, len(scale.seen), question.faces, verification, question.data.name,
        machine(),
    )  # fmt: skip


def movers(
    names: Sequence[str], given: Mapping[str, Mapping[str, Any]], say: Callable[[str], None]
) -> dict[str, Animator]:
    """Those of some models that move photos, by their names in the table; `say` names others."""
    found = {}
    for name in names:
        label = _label(name)
        if given.get(label, given.get(name, {})).get(PHOTOS, _moves_photos(label)):
            try:
                found[label] = Animator(name)
            except MemegenError as error:
                say(f"{error}; not on the sheet")
    if not found:
        raise MemegenError("none of these models moves photos")
    return found


def machine() -> str:
    """What computes here, for people."""
    halves = "with" if has_halves(torch.device("cpu")) else "without"
    threads = torch.get_num_threads()
    return (
        f"{platform.machine()} processor, {os.cpu_count()} cores, {threads} threads, "
        f"{halves} bfloat16 instructions, torch {torch.__version__.partition('+')[0]}"
    )


def _still(scale: PairScale) -> Row:
    row = Row(STILL, dict(scale.still()), note="the first photo as it is: what doing nothing gives")
    row.lack("", *FIGURES)
    return row


def _row(name: str, question: Question, scale: PairScale) -> Row:
    row = Row(_label(name))
    given = dict(question.given.get(row.name, question.given.get(name, {})))
    row.note = str(given.pop(NOTE, ""))
    on_photos, file = bool(given.pop(PHOTOS, _moves_photos(row.name))), _file(name)
    row.figures |= (_history(file) if file is not None else {}) | given
    if name in models.MODELS and not models.MODELS[name].network:
        row.lack(NO_NETWORK, *HISTORY, "megabytes", "gflops", "ms_fp32", "ms_bf16", "ms_gpu")
    row.lack("not written down when these weights were trained", *HISTORY)
    row.lack("not measured on a GPU", "ms_gpu")
    if not on_photos:
        row.lack("moves no photos: only what was measured on its own data", *FIGURES)
        return row
    try:
        animator = Animator(name)
    except MemegenError as error:
        row.lack(_reason(error), *FIGURES)
        return row
    photo = scale.seen[0].pair.photo()
    for measure, names in (
        (partial(_costs, animator, photo, file), COSTS),
        (partial(_response, name, animator, photo, question), RESPONSE),
        (partial(scale.figures, animator), ("lips", "identity", *REGION_FIGURES)),
    ):
        try:
            row.figures = dict(measure()) | row.figures
        except MemegenError as error:
            row.lack(_reason(error), *names)
    _explain(row)
    return row


def _explain(row: Row) -> None:
    """Why figures are still missing of a generator that could be measured."""
    if not has_halves(torch.device("cpu")):
        row.lack("this processor has no bfloat16 instructions", "ms_bf16")
    row.lack("the photo's own: no network makes pixels", "resolution")
    row.lack("its network is not called while it renders", "gflops", "ms_fp32", "ms_bf16")
    row.lack("cannot be asked for it", *RESPONSE)
    row.lack("nobody is known twice in the data", "identity")
    row.lack("too few pixels of it in these faces", *REGION_FIGURES)
    row.lack("not known", *FIGURES)


NO_NETWORK = "has no network of its own"


def _moves_photos(label: str) -> bool:
    """Whether a registered model is for photos; others draw or move drawings."""
    model = models.MODELS.get(label)
    return model is None or (bool(model.generator) and not model.drawings)


def _reason(error: MemegenError) -> str:
    """What went wrong, without the folders of whoever ran this."""
    return re.sub(r"/\S*/", "", str(error))


def _label(name: str) -> str:
    """A model's name in the table: the registered one, also of a file or a run."""
    if name in models.MODELS:
        return name
    try:
        return weights.architecture_of(weights_named(name))
    except MemegenError:
        return Path(name).stem


def _file(name: str) -> Path | None:
    if name in models.MODELS and not models.MODELS[name].network:
        return None
    file = weights_named(name)
    return file if file.is_file() else None


def _history(file: Path) -> dict[str, Value]:
    """What weights say of their training; where they say little, the log of a run beside them."""
    try:
        told = weights.about(file).metadata
    except MemegenError:
        return {}
    found: dict[str, Value] = {"device": told["device"]} if "device" in told else {}
    if "data" in told:  # shards of a family count once
        families = (re.sub(r"-\d+$", "", part) for part in told["data"].split(", "))
        found["data"] = ", ".join(dict.fromkeys(families))
    for name in ("steps", "minutes", "images_per_second"):
        if name in told:
            found[name] = float(told[name])
    log = file.with_name("log.jsonl")
    if "images_per_second" not in found and log.is_file():
        lines = log.read_text(encoding="utf-8").splitlines()
        rate = json.loads(lines[-1]).get("rate") if lines else None
        found |= {"images_per_second": float(rate)} if rate else {}
    return found


def _costs(animator: Animator, photo: Photo, file: Path | None) -> dict[str, Value]:
    """Cost of the network, and of a whole frame of a large face."""
    seen = animator.analyze(photo)[0].analysis
    factor = CROP / seen.alignment.width
    width, height = photo.size
    canvas = photo.resized(round(width * factor), round(height * factor)).channels()
    face = animator.prepare_face(canvas, seen, factor)
    targets = np.repeat(face.source[None], TIMED, 0)
    smile = [aus.INDEX[c] for c in aus.BY_NUMBER[12].channels]
    targets[:, smile] = np.linspace(0, 1, TIMED, dtype=np.float32)[:, None]
    track = track_of_targets(targets, np.ones(targets.shape, bool))
    cost = cost_of(animator.generator, face.renderer, targets[-1], file)
    whole = milliseconds(lambda: list(render(canvas, [face], track, 1.0)), 3) / TIMED
    found: dict[str, Value] = {"parameters": float(cost.parameters), "ms_frame": whole}
    known = {"megabytes": cost.megabytes, "gflops": cost.gflops, "ms_fp32": cost.ms_fp32,
             "ms_bf16": cost.ms_bf16, "resolution": cost.resolution}  # fmt: skip
    return found | {name: float(value) for name, value in known.items() if value is not None}


def driven(animator: Animator, photo: Photo) -> list[int]:
    """Action units, of READINGS, with which the picture changes by more than SEEN levels."""
    targets = np.zeros((1 + len(READINGS), len(aus.CHANNELS)), np.float32)
    named = np.zeros(targets.shape, bool)
    for row, reading in enumerate(READINGS, 1):
        columns = [aus.INDEX[channel] for channel in aus.BY_NUMBER[reading.number].channels]
        targets[row, columns], named[row, columns] = 0.8, True
    frames = animator.animate(photo, track_of_targets(targets, named))
    still, *others = (frame[..., :3].astype(np.int16) for frame in frames)
    return [
        reading.number
        for reading, frame in zip(READINGS, others, strict=True)
        if np.abs(frame - still).max() > SEEN
    ]


def _response(name: str, animator: Animator, photo: Photo, question: Question) -> dict[str, Value]:
    """How what is asked for is seen, over the action units that a generator drives."""
    numbers = driven(animator, photo)
    data, faces = question.data, question.faces
    if question.landmarker is not None:
        report = au_response_mediapipe.evaluate(name, data, question.landmarker, faces)
    else:
        report = au_response.evaluate(data, name, faces)
    found: dict[str, Value] = {"aus": f"{len(numbers)} of {len(READINGS)}"}
    rows = [report[f"AU{number}"] for number in numbers if f"AU{number}" in report]
    if rows:
        found["au_slope"] = float(np.nanmean([row["slope"] for row in rows]))
        found["au_correlation"] = float(np.nanmean([row["correlation"] for row in rows]))
    if 12 in numbers and "AU12" in report:
        found["au12"] = report["AU12"]["slope"]
    return found
