"""Generators by name, as the table of models knows them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from memegen import weights
from memegen.errors import WeightsError
from memegen.models import MODELS, Model, model_named, models_with, resolve

if TYPE_CHECKING:
    from memegen.generators.base import Generator


def generator_names() -> list[str]:
    """Names that `--model` takes."""
    return sorted(model.name for model in models_with("generator"))


def generator_named(name: str, device: str = "cpu") -> Generator:
    """Make a generator by its registered name, or from weights of `memegen train`.

    Those are a .safetensors file, or the folder of a run that holds one. Raises UsageError naming
    the nearest registered name, WeightsError for a file that is none.
    """
    path = _file_of(name)
    model = generating_model(name)
    return _made(model, device, *([str(path)] if path.suffix == ".safetensors" else []))


def generating_model(name: str) -> Model:
    """The row of the generator that a name, weights or the folder of a run stand for.

    Raises as `generator_named`.
    """
    path = _file_of(name)
    if path.suffix != ".safetensors":
        return model_named(name, "generator")
    architecture = weights.architecture_of(path)
    model = MODELS.get(architecture)
    if model is None or not model.generator:
        raise WeightsError(f"{path}: these weights are for '{architecture}', no generator")
    return model


def weights_named(name: str) -> Path:
    """The file of weights that a name, a file or the folder of a run stands for."""
    path = _file_of(name)
    return path if path.suffix == ".safetensors" or path.exists() else weights.find(name)


def _made(model: Model, device: str, *file: str) -> Generator:
    generator: Generator = resolve(model.generator)(device, *file)
    return generator


def _file_of(name: str) -> Path:
    registered = name in MODELS and MODELS[name].generator
    with_weights = [model.name for model in models_with("generator") if model.network]
    return Path(name) if registered else weights.in_run(name, with_weights)
