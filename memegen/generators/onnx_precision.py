"""ONNX networks in half precision, and in 8-bit integers.

Integers are the static quantisation of onnxruntime: scales of activations come from calibration
inputs, weights have one scale a channel, and convolutions stand between QuantizeLinear and
DequantizeLinear (QDQ), which every runtime fuses as it can. What is not a convolution, and what
comes in and goes out, stays in single precision.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memegen.arrays import Array
from memegen.errors import UsageError

PRECISIONS = ("fp32", "fp16", "int8")
NO_HALVES = ("IsInf",)  # operators that know no half in the operator set that is exported
Inputs = Mapping[str, Array]  # by name, the first axis is the batch


def in_precision(model: Any, precision: str, calibration: Sequence[Inputs]) -> Any:
    """An ONNX model (a ModelProto) in another precision; what goes in and out stays float32.

    calibration: real inputs, for int8. Raises UsageError without any, or where onnxruntime, which
    does the work, is not installed.
    """
    if precision == "fp32":
        return model
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        raise UsageError(
            f"{precision} needs onnxruntime: pip install 'memegen-faces[onnx]'"
        ) from None
    if precision == "fp16":
        return _in_halves(model)
    if not calibration:
        raise UsageError("int8 needs real inputs to find its scales: photos of faces")
    return _in_integers(model, calibration)


def _in_halves(model: Any) -> Any:
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights too small for a half, which become 0
        halves = convert_float_to_float16(
            model, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *NO_HALVES]
        )
    # It casts what several nodes take as float32 (the scale of all Resize) once for each of them,
    # under one name, which no runtime loads.
    made = set[str]()
    for node in list(halves.graph.node):
        if made.issuperset(node.output):
            halves.graph.node.remove(node)
        made.update(node.output)
    return halves


def _in_integers(model: Any, calibration: Sequence[Inputs]) -> Any:
    import onnx
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    told = {entry.key: entry.value for entry in model.metadata_props}
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # its advice to do what is done here
    try:
        with tempfile.TemporaryDirectory() as folder:
            plain, ready, found = (Path(folder) / f"{n}.onnx" for n in ("plain", "ready", "int8"))
            onnx.save(model, plain)
            quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
            quantize_static(
                str(ready), str(found), _Reader(calibration), quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv", "ConvTranspose", "Gemm", "MatMul"], per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
            )  # fmt: skip
            integers = onnx.load(found)
    finally:
        logging.getLogger().setLevel(level)
    del integers.metadata_props[:]
    for key, value in told.items():
        integers.metadata_props.add(key=key, value=value)
    return integers


class _Reader:
    """Calibration inputs as onnxruntime asks for them."""

    def __init__(self, inputs: Sequence[Inputs]) -> None:
        self._inputs: Iterator[Inputs] = iter(inputs)

    def get_next(self) -> dict[str, Array] | None:
        """The next ones; None where there are no more."""
        found = next(self._inputs, None)
        return dict(found) if found is not None else None
