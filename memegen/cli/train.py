"""`memegen train`: make the weights that memegen ships, or your own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from memegen.cli import options
from memegen.cli.console import result, say
from memegen.errors import UsageError, nearest
from memegen.weights import DEFAULT_MODEL

MODELS = ("anatomical", "anatomy", "perception", "reach")
# Options that a model has no use for.
UNUSED = {
    "anatomical": ("--au-weight", "--augment"),
    "anatomy": (
        "--steps", "--init", "--lr", "--au-weight", "--augment", "--resume", "--critic-from",
        "--max-minutes",
    ),
    "perception": ("--critic-from", "--max-minutes"),
    "reach": (
        "--init", "--lr", "--au-weight", "--augment", "--resume", "--critic-from", "--max-minutes",
    ),
}  # fmt: skip


def train(
    data: Annotated[
        Path, typer.Argument(help="Folder of photos, or a clip; or a folder of face-data shards.")
    ],
    model: Annotated[
        str, typer.Option("--model", help=f"What to train: {', '.join(MODELS)}.")
    ] = DEFAULT_MODEL,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for weights, log and checkpoint.")
    ] = Path("run"),
    steps: Annotated[
        int | None, typer.Option("--steps", help="Optimiser steps; for reach, faces.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of all randomness.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")
    ] = False,
    init: Annotated[str | None, typer.Option("--init", help="Weights to begin with.")] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")] = None,
    au_weight: Annotated[
        float | None, typer.Option("--au-weight", help="Weight of the action units in the loss.")
    ] = None,
    augment: Annotated[
        float | None, typer.Option("--augment", help="Strength of the augmentation; 1 is usual.")
    ] = None,
    critic_from: Annotated[
        int | None, typer.Option("--critic-from", help="Step at which the critics join.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", help="Stop in time, with what was learnt.")
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Fine-tune the generator on photos of a person, or train any model on labelled face data."""
    if model not in MODELS:
        raise UsageError(
            f"unknown model '{model}'{nearest(model, MODELS)} (known: {', '.join(MODELS)})"
        )
    if not data.exists():
        raise UsageError(f"{data}: no such folder or clip")
    photos = not (data / "labels.npz").is_file()
    if photos and model != DEFAULT_MODEL:
        raise UsageError(f"{data}: no labels.npz in this folder; --model {model} needs shards")
    if max_minutes is not None and not max_minutes > 0:
        raise UsageError(f"--max-minutes {max_minutes:g}: must be more than 0")
    if steps is not None and steps < 1:
        raise UsageError("--steps must be at least 1")
    given = {
        "--steps": steps,
        "--init": init,
        "--lr": lr,
        "--au-weight": au_weight,
        "--augment": augment,
        "--resume": resume or None,
        "--critic-from": critic_from,
        "--max-minutes": max_minutes,
    }
    for option in UNUSED.get(model, ()):
        if given[option] is not None:
            raise UsageError(f"{option} means nothing for --model {model}")
    if model == "anatomy":
        from memegen.training import anatomy

        for name, errors in anatomy.train(data, out).items():
            line = "  ".join(f"{region} {value:.4f}" for region, value in errors.items())
            say(f"{name:14}{line}")
        result(str(out / "anatomy.safetensors"))
        return
    if model == "reach":
        from memegen.training import reach

        result(str(reach.train(data, out, steps or 60, say)))
        return
    import torch

    from memegen.devices import device_named

    where = torch.device(device_named(device))
    chosen = {"seed": seed, "steps": steps, "lr": lr, "au_weight": au_weight}
    chosen |= {"critic_from": critic_from, "max_minutes": max_minutes}
    changed: dict[str, Any] = {n: value for n, value in chosen.items() if value is not None}
    if model == "anatomical":
        from memegen.training import generator

        usual = generator.fine_tuning() if photos else generator.GeneratorTraining()
        begin = init or (DEFAULT_MODEL if photos and not resume else None)
        path = generator.train(data, out, replace(usual, **changed), where, resume, begin, say)
    else:
        from memegen.training import perception

        wanted = replace(perception.PerceptionTraining(), **changed)
        if augment is not None:
            wanted = replace(wanted, augment=wanted.augment.scaled(augment))
        path = perception.train(data, out, wanted, where, resume, init, say)
    result(str(path))
