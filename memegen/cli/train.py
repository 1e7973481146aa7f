"""`memegen train`: make the weights that memegen ships, or your own."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from memegen import aus, weights
from memegen.cli import options
from memegen.cli.console import result, say
from memegen.errors import UsageError, nearest
from memegen.files import check_writable
from memegen.weights import DEFAULT_MODEL

_RUN = {"--steps", "--lr", "--init", "--resume", "--tensorboard", "--max-minutes"}
# Options that a model has a use for, beside those that all have.
USED = {
    "anatomical": _RUN | {"--critic-from"},
    "anatomy": set[str](),
    "appearance": set[str](),
    "ganimation": _RUN | {"--size", "--batch", "--source", "--compile"},
    "mouth": set[str](),
    "perception": _RUN | {"--au-weight", "--augment", "--emphasis"},
    "reach": {"--steps", "--judge"},
}
FROM_PHOTOS = ("anatomical", "ganimation")  # models that need no shards
SIZES = (128, 256)  # of GANimation's crops


def train(
    data: Annotated[
        Path, typer.Argument(help="Folder of photos, or a clip; or a folder of face-data shards.")
    ],
    model: Annotated[
        str, typer.Option("--model", help=f"What to train: {', '.join(USED)}.")
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
    emphasis: Annotated[
        str | None, typer.Option("--emphasis", help='More weight on some: "AU45=4"; perception.')
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
    size: Annotated[
        int | None, typer.Option("--size", help="Side of ganimation's crops: 128 or 256.")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Crops a step; ganimation.")] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Whose loss weights: authors, paper, replicate; ganimation."),
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the generator first; ganimation.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard's files beside the log.")
    ] = False,
    judge: Annotated[
        Path | None,
        typer.Option("--judge", help="MediaPipe's face_landmarker.task, to measure reach with."),
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Fine-tune the generator on photos of a person, or train any model on labelled face data."""
    if model not in USED:
        raise UsageError(
            f"unknown model '{model}'{nearest(model, USED)} (known: {', '.join(USED)})"
        )
    if not data.exists():
        raise UsageError(f"{data}: no such folder or clip")
    check_writable(out / "log.jsonl")  # now, not after all data is read
    from memegen.facedata.shards import is_shards

    photos = not is_shards(data)
    if photos and model not in FROM_PHOTOS:
        raise UsageError(f"{data}: no labels.npz in this folder; --model {model} needs shards")
    if max_minutes is not None and not max_minutes > 0:
        raise UsageError(f"--max-minutes {max_minutes:g}: must be more than 0")
    for name, least, count in (("--steps", 1, steps), ("--batch", 1, batch), ("--seed", 0, seed)):
        if count is not None and count < least:
            raise UsageError(f"{name} must be at least {least}")
    if seed >= 2**63:
        raise UsageError("--seed must be less than 2 to the power of 63")
    if lr is not None and not 0 < lr < math.inf:
        raise UsageError(f"--lr {lr:g}: must be more than 0")
    for name, share in {"--au-weight": au_weight, "--augment": augment}.items():
        if share is not None and not 0 <= share < math.inf:
            raise UsageError(f"{name} {share:g}: must be 0 or more")
    if size is not None and size not in SIZES:
        raise UsageError(f"--size {size}: must be {' or '.join(map(str, SIZES))}")
    given = {
        "--steps": steps,
        "--init": init,
        "--lr": lr,
        "--au-weight": au_weight,
        "--emphasis": emphasis,
        "--augment": augment,
        "--resume": resume or None,
        "--critic-from": critic_from,
        "--max-minutes": max_minutes,
        "--size": size,
        "--batch": batch,
        "--source": source,
        "--compile": compiled or None,
        "--tensorboard": tensorboard or None,
        "--judge": judge,
    }
    for option, value in given.items():
        if value is not None and option not in USED[model]:
            raise UsageError(f"{option} means nothing for --model {model}")
    if resume and init is not None:
        raise UsageError("--resume goes on from the checkpoint in --out; --init begins anew")
    if init is not None:
        weights.load(init, model)  # now, not after all data is read
    from memegen.training.processes import started

    if model != "ganimation" and started() > 1:
        raise UsageError(f"several processes train --model ganimation; --model {model} takes one")
    if model == "anatomy":
        from memegen.training import anatomy

        for name, errors in anatomy.train(data, out).items():
            line = "  ".join(f"{region} {value:.4f}" for region, value in errors.items())
            say(f"{name:14}{line}")
        result(str(out / "anatomy.safetensors"))
        return
    if model == "appearance":
        from memegen.training import appearance

        for name, figures in appearance.train(data, out, log=say).items():
            line = "  ".join(f"{figure} {value:.3f}" for figure, value in figures.items())
            say(f"{name:18}{line}")
        result(str(out / "appearance.safetensors"))
        return
    if model == "mouth":
        from memegen.training import mouth

        for name, value in mouth.train(data, out).items():
            say(f"{name:18}{value:.3f}")
        result(str(out / "mouth.safetensors"))
        return
    if model == "reach":
        from memegen.training import reach

        result(str(reach.train(data, out, steps or 60, say, judge)))
        return
    import torch

    from memegen.devices import device_named

    where = torch.device(device_named(device))
    chosen: dict[str, Any] = {
        "seed": seed,
        "steps": steps,
        "lr": lr,
        "au_weight": au_weight,
        "batch": batch,
    }
    chosen |= {"critic_from": critic_from, "max_minutes": max_minutes, "source": source}
    changed = {n: value for n, value in chosen.items() if value is not None}
    if model == "anatomical":
        from memegen.training import generator

        usual = generator.fine_tuning() if photos else generator.GeneratorTraining()
        begin = init or (DEFAULT_MODEL if photos and not resume else None)
        settings = replace(usual, **changed)
        path = generator.train(data, out, settings, where, resume, begin, say, tensorboard)
    elif model == "ganimation":
        from memegen.training import ganimation

        if source is not None and source not in ganimation.SOURCES:
            known = ", ".join(ganimation.SOURCES)
            raise UsageError(f"--source {source}: unknown (known: {known})")
        plan = ganimation.GanimationTraining(compile=compiled).for_size(size or SIZES[0])
        plan = replace(plan, **changed)
        path = ganimation.train(data, out, plan, where, resume, init, say, tensorboard)
    else:
        from memegen.training import perception

        wanted = replace(perception.PerceptionTraining(), **changed)
        if emphasis is not None:
            more = aus.parse_factors(emphasis, "--emphasis", 20)
            wanted = replace(wanted, emphasis=more)
        if augment is not None:
            wanted = replace(wanted, augment=wanted.augment.scaled(augment))
        path = perception.train(data, out, wanted, where, resume, init, say, tensorboard)
    result(str(path))
