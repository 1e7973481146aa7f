"""Batches as the networks see them: windows sampled, rendered, and composited on the canvas."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from memegen.generators.anatomical import WindowPass, composite
from memegen.generators.network import GeneratorNet, condition_of, smoothed
from memegen.generators.windows import WINDOWS, sample_flow, sample_window


@dataclass(frozen=True)
class Samples:
    """T photos, each to be given another expression. Canvases are (T, 3, S, S) in 0..1."""

    photo: Tensor
    moved: Tensor  # by the mesh
    flow: Tensor  # (T, 2, F, F) mesh flow in crop units
    source_units: Tensor  # (T, K) expression of the photo
    target_units: Tensor  # (T, K)
    photo_places: dict[str, Tensor]  # WINDOW/affine (T, 2, 3) to -1..1, WINDOW/masks (T, R, S, S)
    places: dict[str, Tensor]  # the same of the moved face
    target: Tensor  # (P, 3, S, S) what the first P should become

    @property
    def paired(self) -> int:
        """How many have a target."""
        return len(self.target)


def samples_of(batch: dict[str, Tensor], canvases: dict[str, Tensor], unpaired: int) -> Samples:
    """All draws of a batch as pairs, and the first `unpaired` of them unpaired too.

    canvases: x, x_moved and x_back as floats, recoloured as the augmentation wants it.
    """
    u = unpaired

    def places(paired: str, other: str) -> dict[str, Tensor]:
        found = {}
        for window in WINDOWS:
            for part in ("affine", "masks"):
                key = f"{window.name}/{part}"
                both = torch.cat([batch[f"{paired}/{key}"], batch[f"{other}/{key}"][:u]])
                found[key] = both.float() / 255 if part == "masks" else both
        return found

    return Samples(
        photo=torch.cat([canvases["x_moved"], canvases["x"][:u]]),
        moved=torch.cat([canvases["x_back"], canvases["x_moved"][:u]]),
        flow=torch.cat([batch["flow_back"], batch["flow_moved"][:u]]),
        source_units=torch.cat([batch["target"], batch["source"][:u]]),
        target_units=torch.cat([batch["source"], batch["target"][:u]]),
        photo_places=places("x_moved", "x"),
        places=places("x_back", "x_moved"),
        target=canvases["x"],
    )


def pixels(affine: Tensor, side: int) -> Tensor:
    """(T, 2, 3) window units to -1..1 of a canvas, in pixels of a canvas `side` wide."""
    return affine * (side / 2) + affine.new_tensor([[0, 0, side / 2], [0, 0, side / 2]])


def generate(network: GeneratorNet, samples: Samples) -> tuple[Tensor, list[WindowPass]]:
    """What the networks make of samples: canvases (T, 3, S, S), not clipped, and every window."""
    passes = run_windows(network, samples)
    return composite(samples.moved, passes), passes


def run_windows(network: GeneratorNet, samples: Samples) -> list[WindowPass]:
    """What the networks return for every window of samples."""
    side, flow_side = samples.photo.shape[-1], samples.flow.shape[-1]
    passes = []
    for window in WINDOWS:
        net, key = network.of(window.name), f"{window.name}/affine"
        size = net.config.side
        rest = sample_window(samples.photo, pixels(samples.photo_places[key], side), size)
        photo = net.encode(torch.cat([rest, samples.photo_places[f"{window.name}/masks"]], 1))
        where = pixels(samples.places[key], side)
        seen = sample_window(samples.moved, where, size)
        flow = sample_flow(samples.flow * flow_side, pixels(samples.places[key], flow_side), size)
        frame = torch.cat([seen, samples.places[f"{window.name}/masks"], flow], 1)
        units = condition_of(samples.source_units, samples.target_units)
        passes.append(WindowPass(window, where, smoothed(seen), net(frame, units, photo)))
    return passes
