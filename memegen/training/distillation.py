"""Distillation: a small network learns to return what a large one returns.

Of networks that make pictures (Aguinaldo et al. 2019, arXiv 1902.00159; the idea: Hinton et al.
2015, arXiv 1503.02531): on the same inputs, attention, colour and residual flow of the student are
drawn to those of the teacher, whose weights do not change.
"""

from __future__ import annotations

import torch
from torch import Tensor

from memegen import weights
from memegen.errors import UsageError
from memegen.generators.anatomical import WindowPass
from memegen.generators.network import RESIDUAL_REACH, GeneratorConfig, GeneratorNet
from memegen.generators.registry import weights_named

# Colour is only seen where attention lets go of the photo; there it counts fully, elsewhere so
# much, so that a mouth that opens a little more than the teacher's is not painted at random.
UNSEEN_COLOUR = 0.05


def teacher_named(name: str, student: GeneratorConfig, device: torch.device) -> GeneratorNet:
    """The network of some weights, ready to teach networks of such sizes.

    name: of weights, a file or the folder of a run. Raises WeightsError where they cannot be read,
    UsageError where they are for another kind of network or see another window.
    """
    file = weights_named(name)
    network, _ = weights.load_network(str(file), weights.architecture_of(file))
    if not isinstance(network, GeneratorNet):
        raise UsageError(f"`teacher` {name}: no network of the kind that is trained")
    theirs, ours = network.config.mouth, student.mouth
    if (theirs.side, theirs.masks) != (ours.side, ours.masks):
        raise UsageError(
            f"`teacher` {name}: sees windows of {theirs.side} px, the student of {ours.side}"
        )
    network.requires_grad_(False)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def distances(student: list[WindowPass], teacher: list[WindowPass]) -> dict[str, Tensor]:
    """Mean absolute differences of what two networks return for the same windows, by output.

    attention: of 1; colour: of white, weighted as UNSEEN_COLOUR says; residual: of the furthest
    that a residual flow moves a pixel. Each is a mean over windows, and 0 for equal networks.
    """
    found: dict[str, list[Tensor]] = {"attention": [], "colour": [], "residual": []}
    for one, other in zip(student, teacher, strict=True):
        mine, theirs = one.output, other.output
        seen = UNSEEN_COLOUR + (1 - UNSEEN_COLOUR) * (1 - theirs.attention)
        found["attention"].append((mine.attention - theirs.attention).abs().mean())
        found["colour"].append((seen * (mine.colour - theirs.colour).abs()).mean())
        found["residual"].append((mine.residual - theirs.residual).abs().mean() / RESIDUAL_REACH)
    return {name: torch.stack(parts).mean() for name, parts in found.items()}
