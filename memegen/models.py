"""The one table of models: everything that has weights, can be trained, or makes frames.

Code is named as `module:attribute` and imported when it is used, so that looking something up
costs nothing. Adding a generator is a row here and a module of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from memegen.errors import UsageError, nearest


@dataclass(frozen=True)
class ChannelAxis:
    """Where a tensor has a place for every action-unit channel."""

    axis: int
    repeats: int = 1  # how many times all channels follow each other there
    absent: float = 0.0  # what a channel reads that the weights do not know


@dataclass(frozen=True)
class Model:
    """One row; an empty entry says that there is none."""

    name: str  # of `--model`, of `memegen train NAME` and of NAME.safetensors
    summary: str  # one line for people
    network: str = ""  # class of the network, made of one config
    config: str = ""  # its sizes, a dataclass; stored in the weights file
    generator: str = ""  # makes frames: called with a device and a name or file of weights
    trainer: str = ""  # called with settings and a training.run.Run, returns the weights' path
    settings: str = ""  # every setting of a training, a dataclass of `training.settings.setting`
    exporter: str = ""  # lists the networks of a Weights for ONNX
    shipped: bool = False  # whether weights come with memegen
    from_photos: bool = False  # trains on photos or a clip of one's own, too
    drawings: bool = False  # its generator animates drawn faces, which are found as such
    makes_data: bool = False  # trains on what it draws itself
    distributed: bool = False  # trains in several processes of torchrun
    licence: str = ""  # of the shipped weights: what they were made of
    # Tensors that list the channels: how their names end -> where. `channel_numbers`: tensors that
    # hold numbers of channels. By these, weights of older lists of action units are brought up.
    channels: dict[str, ChannelAxis] = field(default_factory=dict)
    channel_numbers: tuple[str, ...] = ()


# Former names, which scripts and weights files may have.
RENAMED = {"reach": "gains", "ganimation-critic": "ganimation-discriminator"}
DEFAULT = "anatomical"  # the generator that is used unless another is asked for

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            "anatomical",
            "mesh and graphics move the face, a network mends light and colour of the mouth",
            network="memegen.generators.network:GeneratorNet",
            config="memegen.generators.network:GeneratorConfig",
            generator="memegen.generators.anatomical:AnatomicalGenerator",
            trainer="memegen.training.generator:train",
            settings="memegen.training.generator:GeneratorTraining",
            exporter="memegen.generators.exported_models:anatomical_networks",
            shipped=True,
            from_photos=True,
            licence="trained on face crops that are not free for all uses; see its card",
            channels={"read.0.weight": ChannelAxis(1, repeats=2)},
        ),
        Model(
            "anatomical-small",
            "the default's network distilled to a seventh of its arithmetic",
            network="memegen.generators.network:GeneratorNet",
            config="memegen.generators.network:GeneratorConfig",
            generator="memegen.generators.anatomical:SmallAnatomicalGenerator",
            trainer="memegen.training.generator:train_small",
            settings="memegen.training.generator:SmallGeneratorTraining",
            exporter="memegen.generators.exported_models:anatomical_networks",
            shipped=True,
            licence="distilled from `anatomical` on the same face crops; see its card",
            channels={"read.0.weight": ChannelAxis(1, repeats=2)},
        ),
        Model(
            "mesh",
            "mesh and graphics alone: the fastest",
            generator="memegen.generators.mesh:MeshGenerator",
        ),
        Model(
            "ganimation",
            "GANimation as published (ECCV 2018): one network paints the face; 17 action units",
            network="memegen.generators.ganimation:GanimationNet",
            config="memegen.generators.ganimation:GanimationConfig",
            generator="memegen.generators.ganimation:GanimationGenerator",
            trainer="memegen.training.ganimation:train",
            settings="memegen.training.ganimation:GanimationTraining",
            exporter="memegen.generators.exported_models:ganimation_networks",
            shipped=True,
            from_photos=True,
            distributed=True,
            licence="trained on face crops that are not free for all uses; see its card",
        ),
        Model(
            "ganimation-discriminator",
            "GANimation's discriminator, as imported checkpoints bring it",
            network="memegen.generators.ganimation:GanimationDiscriminator",
            config="memegen.generators.ganimation:GanimationConfig",
        ),
        Model(
            "pix2pix",
            "the mesh's picture translated into a real one by a U-Net; no weights are shipped",
            network="memegen.generators.pix2pix:Pix2PixNet",
            config="memegen.generators.pix2pix:Pix2PixConfig",
            generator="memegen.generators.pix2pix:Pix2PixGenerator",
            trainer="memegen.training.pix2pix:train",
            settings="memegen.training.pix2pix:Pix2PixTraining",
            exporter="memegen.generators.exported_models:pix2pix_networks",
            from_photos=True,
            channels={"read.0.weight": ChannelAxis(1, repeats=2)},
        ),
        Model(
            "stargan",
            "StarGAN (CVPR 2018): eight expressions, no action units; no weights are shipped",
            network="memegen.generators.stargan:StarganNet",
            config="memegen.generators.stargan:StarganConfig",
            generator="memegen.generators.stargan:StarganGenerator",
            trainer="memegen.training.stargan:train",
            settings="memegen.training.stargan:StarganTraining",
            exporter="memegen.generators.exported_models:stargan_networks",
            from_photos=True,
            distributed=True,
        ),
        Model(
            "autoencoder",
            "smiles by an autoencoder (Liu and Jin, 2019): AU12 alone; no weights are shipped",
            network="memegen.generators.autoencoder:AutoencoderNet",
            config="memegen.generators.autoencoder:AutoencoderConfig",
            generator="memegen.generators.autoencoder:AutoencoderGenerator",
            trainer="memegen.training.autoencoder:train",
            settings="memegen.training.autoencoder:AutoencoderTraining",
            exporter="memegen.generators.exported_models:autoencoder_networks",
            from_photos=True,
        ),
        Model(
            "fader",
            "Fader Networks (NIPS 2017), beside `autoencoder`: AU12 alone; no weights are shipped",
            network="memegen.generators.autoencoder:AutoencoderNet",
            config="memegen.generators.autoencoder:AutoencoderConfig",
            generator="memegen.generators.autoencoder:FaderGenerator",
            trainer="memegen.training.autoencoder:train",
            settings="memegen.training.autoencoder:FaderTraining",
            exporter="memegen.generators.exported_models:autoencoder_networks",
            from_photos=True,
        ),
        Model(
            "cartoon",
            "the talking head of Khungurn 2019: morphs and turns drawn faces",
            network="memegen.generators.cartoon:CartoonNet",
            config="memegen.generators.cartoon:CartoonConfig",
            generator="memegen.generators.drawing:DrawingGenerator",
            trainer="memegen.training.cartoon:train",
            settings="memegen.training.cartoon:CartoonTraining",
            exporter="memegen.generators.exported_models:cartoon_networks",
            shipped=True,
            licence="trained on faces that memegen drew; no other data",
            drawings=True,
            makes_data=True,
        ),
        Model(
            "perception",
            "a face's landmarks, action units and head angles",
            network="memegen.perception.network:PerceptionNet",
            config="memegen.perception.network:PerceptionConfig",
            trainer="memegen.training.perception:train",
            settings="memegen.training.perception:PerceptionTraining",
            exporter="memegen.generators.exported_models:perception_networks",
            shipped=True,
            licence="trained on face crops that are not free for all uses; see its card",
            channels={
                "action_units.2.weight": ChannelAxis(0),
                "action_units.2.bias": ChannelAxis(0),
            },
        ),
        Model(
            "anatomy",
            "how every action unit moves the face mesh",
            trainer="memegen.training.anatomy:train",
            settings="memegen.training.anatomy:AnatomyTraining",
            shipped=True,
            licence="ICT-FaceKit (MIT, Copyright USC ICT), calibrated on CelebA landmarks",
            channels={"units": ChannelAxis(0), "gains": ChannelAxis(0, absent=1.0)},
            channel_numbers=("pairs",),
        ),
        Model(
            "appearance",
            "how every action unit lightens and darkens skin",
            trainer="memegen.training.appearance:train",
            settings="memegen.training.appearance:AppearanceTraining",
            shipped=True,
            licence=(
                "fitted on CelebA (non-commercial research) and other face crops; holds no picture"
            ),
        ),
        Model(
            "mouth",
            "teeth, gums and tongue, and how they are lit",
            trainer="memegen.training.mouth:train",
            settings="memegen.training.open_mouths:MouthTraining",
            shipped=True,
            licence=(
                "geometry: ICT-FaceKit (MIT, Copyright USC ICT); fitted on photos of open mouths"
            ),
        ),
        Model(
            "gains",
            "the anatomy's gains: that an action unit asked for is the one that is seen",
            trainer="memegen.training.au_gains:train",
            settings="memegen.training.au_gains:AuGainsTraining",
        ),
    )
}


def resolve(entry: str) -> Any:
    """The attribute that `module:attribute` names."""
    module, _, attribute = entry.partition(":")
    return getattr(importlib.import_module(module), attribute)


def models_with(part: str) -> Iterator[Model]:
    """Rows that have an entry for a part, for example `generator` or `trainer`."""
    return (model for model in MODELS.values() if getattr(model, part))


def model_named(name: str, part: str) -> Model:
    """The row of a name that has such a part. Raises UsageError naming the nearest one."""
    name = RENAMED.get(name, name)
    known = [model.name for model in models_with(part)]
    if name not in known:
        raise UsageError(
            f"unknown model '{name}'{nearest(name, known)} (known: {', '.join(known)})"
        )
    return MODELS[name]


def trainer_of(name: str) -> Callable[..., Any]:
    """What trains a model."""
    found: Callable[..., Any] = resolve(MODELS[name].trainer)
    return found
