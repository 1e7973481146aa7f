"""Exported networks on real faces: their inputs, to calibrate with; what a precision costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from memegen.arrays import Array
from memegen.errors import MemegenError, NoFaceError, UsageError
from memegen.evaluation.network_cost import milliseconds
from memegen.evaluation.subjects import heights
from memegen.generators.export import Exported, networks_of
from memegen.generators.onnx_precision import Inputs
from memegen.photo import Photo
from memegen.pipeline import Animator

EXPRESSIONS = ("smile", "laugh", "scream", "rage", "disgust", "surprise", "kiss", "yawn")
HELD_OUT = 4  # every so many inputs are kept out of calibration, to compare on


@dataclass(frozen=True)
class PrecisionReport:
    """One exported network beside the network that it was made of."""

    megabytes: float
    ms: float  # a frame, by onnxruntime on this processor
    ms_torch: float  # a frame, by torch, float32
    error: float | None  # mean, levels of 255 of the pictures; None: it makes none
    largest: float | None  # of any pixel and channel


def real_inputs(file: Path, photos: Sequence[Photo]) -> dict[str, list[Inputs]]:
    """{part: inputs, a frame each} of a generator's networks on photos with EXPRESSIONS.

    Photos without a face are passed over. Raises UsageError for networks that make no frames,
    MemegenError where no photo shows a face.
    """
    animator, track = Animator(str(file), "cpu"), heights(EXPRESSIONS)
    network, found = getattr(animator.generator, "network", None), dict[str, list[Inputs]]()
    for one in networks_of(file):
        if one.watch is None or network is None:
            raise UsageError(f"{file}: int8 is for generators")
        calls: list[tuple[Tensor, ...]] = []
        hooks = one.watch(network, calls.append)
        try:
            for photo in photos:
                try:
                    prepared = animator.prepare_photo(photo)
                except NoFaceError:
                    continue
                for index in range(len(track)):  # one by one: calls come in order
                    list(prepared.play(track.frame(index)))
        finally:
            for hook in hooks:
                hook.remove()
        found[one.part] = [row for given in calls for row in _rows(one, given)]
        if not found[one.part]:
            raise MemegenError("no photo shows a face")
    return found


def _rows(one: Exported, given: tuple[Tensor, ...]) -> list[Inputs]:
    arrays = [part.detach().float().cpu().numpy().copy() for part in given]
    return [
        {name: array[row : row + 1] for name, array in zip(one.inputs, arrays, strict=True)}
        for row in range(len(arrays[0]))
    ]


def parted(inputs: Mapping[str, Sequence[Inputs]]) -> tuple[dict[str, list[Inputs]], ...]:
    """Those to calibrate with, and those to compare on."""
    kept = {part: [x for i, x in enumerate(rows) if i % HELD_OUT] for part, rows in inputs.items()}
    held_out = {part: list(rows[::HELD_OUT]) for part, rows in inputs.items()}
    return kept, held_out


def compare(one: Exported, path: Path, inputs: Sequence[Inputs]) -> PrecisionReport:
    """An ONNX file of a network beside it, on real inputs (a frame each)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    errors = []
    with torch.inference_mode():
        network = one.network.eval()
        for given in inputs:
            tensors = {name: torch.from_numpy(array) for name, array in given.items()}
            wanted = _picture(one, tensors, network(*tensors.values()))
            said = [torch.from_numpy(out) for out in session.run(None, dict(given))]
            shown = _picture(one, tensors, said)
            if wanted is not None and shown is not None:
                errors.append(np.abs(shown - wanted) * 255)
        first = dict(inputs[0])
        tensors = {name: torch.from_numpy(array) for name, array in first.items()}
        by_torch = milliseconds(lambda: network(*tensors.values()))
        by_onnx = milliseconds(lambda: session.run(None, first))
    return PrecisionReport(
        path.stat().st_size / 1e6,
        by_onnx,
        by_torch,
        float(np.mean([error.mean() for error in errors])) if errors else None,
        float(np.max([error.max() for error in errors])) if errors else None,
    )


def _picture(
    one: Exported, inputs: Mapping[str, Tensor], outputs: Sequence[Tensor]
) -> Array | None:
    if one.picture is None:
        return None
    return np.asarray(one.picture(inputs, outputs).clamp(0, 1).numpy())
