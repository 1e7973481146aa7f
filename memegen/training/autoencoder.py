"""Training of expression transfer by autoencoder, and of Fader Networks: `memegen train
autoencoder DATA`, `memegen train fader DATA`.

The label is whether a face smiles: CelebA's attribute where it is known, else AU12 above
SMILES_FROM. A run has three equal stages (Liu and Jin, 2019): the classifier counts for nothing,
then 1e-4, then 1e-2, and the autoencoder's learning rate falls from each to the next. Stages
follow `Task.share`: a run that `max_minutes` ends has had them all.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memegen import aus, weights
from memegen.arrays import Array
from memegen.devices import has_halves, ready_to_train
from memegen.errors import MemegenError, UsageError
from memegen.facedata.rated import Rated, RatedPictures, load_rated
from memegen.facedata.shards import is_shards, load_attribute
from memegen.generators.autoencoder import (
    LABEL,
    AutoencoderConfig,
    AutoencoderNet,
    LatentClassifier,
    adversary_loss,
    classifier_loss,
    config_of,
)
from memegen.training import checkpoint
from memegen.training.augment import AugmentConfig, similarity, warp_crops
from memegen.training.batches import Batch, BatchSampler
from memegen.training.device_crops import as_photos
from memegen.training.loop import Loop, Task, set_rate
from memegen.training.processes import Alone
from memegen.training.run import Run
from memegen.training.settings import LoopSettings, Rule, checked, setting
from memegen.training.sheets import write_columns

ATTRIBUTE = "Smiling"  # of CelebA
# AU12 (0..1) from which a face without the attribute smiles: agrees with CelebA's on 89% of its
# faces, as often as any other.
SMILES_FROM = 0.3
# How far crops are moved: as alignments differ, not more. Half of them are mirrored, too.
JITTER = AugmentConfig(rotation=2.0, scale=0.03, shift=0.01, rough=0.0)
SHOWN = 6  # rows of a sample sheet
LABELS = (0.0, 0.25, 0.5, 0.75, 1.0)  # its columns, beside photo and reconstruction
_AU12 = next(i for i, au in enumerate(aus.OPENFACE) if au.name == LABEL)


def adversary_of(text: str) -> tuple[float, ...]:
    """Read "0,1e-4,1e-2". Raises UsageError where that is not a list of numbers from 0 on."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = (-1.0,)
    if not all(0 <= weight < float("inf") for weight in found):
        raise UsageError(f"`adversary` {text}: write weights of 0 or more, like 0,1e-4,1e-2")
    return found


def _sized(fader: bool) -> dict[str, Rule]:
    """Of a network's sizes, that of the crop can be asked for."""
    about = "side of the crops: 256, or a smaller power of two"
    return {"rule": Rule(about, option="size", parse=lambda n: config_of(n, fader), kind=int)}


@dataclass(frozen=True)
class AutoencoderTraining(LoopSettings):
    """Every setting of a run."""

    steps: int | None = setting(60_000, "optimiser steps", least=1)
    batch: int = setting(32, "crops a step", least=1)
    # Published is 0.01, 1e-3, 1e-4. But 0.01 is as much as the weights themselves of the encoder's
    # last level (fan-in 4096), whose codes nothing normalises: they grow to thousands within 300
    # steps. And in runs of thousands of steps, an adversary that joins at 1e-4 changes little.
    lr: float = setting(2e-3, "learning rate of Adam; the classifier's in all stages", above=0.0)
    fall: float = setting(
        0.5, "the autoencoder's learning rate in a stage by that before", above=0.0, most=1.0
    )
    adversary: tuple[float, ...] = field(
        default=(0.0, 1e-4, 1e-2),
        metadata={
            "rule": Rule(
                "weight of the classifier in each of the equal stages",
                parse=adversary_of, kind=str,
            )
        },
    )  # fmt: skip
    half: bool = setting(True, "bfloat16 where safe and fast")
    log_steps: int = setting(50, "steps between lines of the log", least=1)
    sheet_steps: int = setting(2000, "steps between sample sheets", least=1)
    network: AutoencoderConfig = field(
        default_factory=AutoencoderConfig, metadata=_sized(fader=False)
    )

    def stage_at(self, share: float) -> int:
        """Which stage a share 0..1 of the run is in."""
        return min(int(share * len(self.adversary)), len(self.adversary) - 1)


@dataclass(frozen=True)
class FaderTraining(AutoencoderTraining):
    """The same for the baseline."""

    network: AutoencoderConfig = field(
        default_factory=lambda: AutoencoderConfig(fader=True), metadata=_sized(fader=True)
    )


def train(settings: AutoencoderTraining, run: Run) -> Path:
    """Train on any rated pictures; returns the path of the weights.

    They are `out/autoencoder.safetensors`, or `out/fader.safetensors` where `settings.network` is
    one. Raises MemegenError where nobody, or everybody, smiles, or the loss is not finite.
    """
    checked(settings)
    if run.resume:
        checkpoint.required(run.out)
    ready_to_train(settings.seed)
    with Alone(run.device or torch.device("cpu")) as team:
        rated = load_rated(run.data, run.log)
        data = Rated(*(labelled(run.data, pictures) for pictures in rated))
        task = AutoencoderTask(settings, team.device, data, run.init)
        return Loop(task, run, team)()


def smiles(data: Path, pictures: RatedPictures) -> Array:
    """(N,) 1 where a face smiles, else 0."""
    found = (pictures.units[:, _AU12] > SMILES_FROM).astype(np.float32)
    if is_shards(data):
        known = load_attribute(data, ATTRIBUTE)
        said = np.array([known.get(name, -1) for name in pictures.names])
        found = np.where(said >= 0, said, found).astype(np.float32)
    return found


def labelled(data: Path, pictures: RatedPictures) -> RatedPictures:
    """The same pictures, with their label in place of action units (N, 1)."""
    return replace(pictures, units=smiles(data, pictures)[:, None])


class AutoencoderTask(Task[Batch]):
    """Autoencoder, classifier and their optimisers, and a step of learning."""

    au_order = LABEL
    smoothing = 0.98

    def __init__(
        self, settings: AutoencoderTraining, device: torch.device, data: Rated,
        init: str | None = None,
    ) -> None:  # fmt: skip
        """data: labelled. Raises WeightsError where the weights `init` do not fit."""
        if len(np.unique(data.train.units)) < 2:
            raise MemegenError("all faces smile, or none does: there is nothing to tell apart")
        self.settings: AutoencoderTraining = settings
        self.name = "fader" if settings.network.fader else "autoencoder"
        self._device, self._data = device, data
        self._autoencoder = AutoencoderNet(settings.network)
        if init:
            weights.load_state(self._autoencoder, weights.load(init, self.name))
        layout: Any = {"memory_format": torch.channels_last}  # faster for bfloat16 convolutions
        self._autoencoder.to(device, **layout)
        self.classifier = LatentClassifier(settings.network).to(device)
        self.optimizer, self.classifier_optimizer = (
            torch.optim.Adam(net.parameters(), settings.lr, fused=device.type in ("cpu", "cuda"))
            for net in (self._autoencoder, self.classifier)
        )
        self._stage = 0

    @property
    def network(self) -> AutoencoderNet:
        """See Task.network."""
        return self._autoencoder

    def stateful(self) -> dict[str, checkpoint.Stateful]:
        """See Task.stateful."""
        return {
            "autoencoder": self._autoencoder, "classifier": self.classifier,
            "optimizer": self.optimizer, "classifier_optimizer": self.classifier_optimizer,
        }  # fmt: skip

    def fixed(self) -> dict[str, Any]:
        """See Task.fixed."""
        return {"seed": self.settings.seed, "batch": self.settings.batch}

    def begin(self, state: Mapping[str, Any]) -> None:
        """Choose what is shown."""
        self._shown = for_sheet(self._data.held_out, self.settings.network.size, self._device)

    def batches(self, start: int) -> Generator[Batch, None, None]:
        """See Task.batches. Every batch's `source` is the label (B, 1)."""
        s = self.settings
        size, everything = s.network.size, slice(s.batch)
        draw = BatchSampler(self._data.train, size, s.batch, 0.0, s.seed, everything)
        yield from draw.batches(range(start, self.steps), self._device)

    def set_learning_rates(self, step: int) -> None:
        """Begin the next stage where its time has come."""
        self._stage = self.settings.stage_at(self.share(step))
        # The classifier stays quick: one that lags is fooled by codes that hide nothing. Of codes
        # that it could not read, a fresh one told 82% where it had slowed down too, else 73%.
        set_rate(self.optimizer, self.settings.lr * self.settings.fall**self._stage)

    def train_step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """One step of the classifier, then one of the autoencoder against it."""
        weight = self.settings.adversary[self._stage]
        return self.learn(jittered(batch.photo), batch.source[:, 0], weight)

    def learn(self, photo: Tensor, label: Tensor, weight: float) -> dict[str, Tensor]:
        """From crops (B, 3, S, S) in -1..1 and labels (B,); weight: of the adversary."""
        with self._precision():
            code = self._autoencoder.encode(photo)
            made = self._autoencoder.decode(code, label)
            odds = self.classifier(code.detach())
        told = classifier_loss(odds, label)
        _descend(self.classifier_optimizer, told)
        loss = error = F.mse_loss(made.float(), photo)
        figures = {
            "error": error, "classifier": told,
            "read": ((odds > 0) == (label > 0.5)).float().mean(),
            "stage": torch.full((), self._stage + 1.0, device=photo.device),
        }  # fmt: skip
        if weight:
            self.classifier.requires_grad_(False)
            with self._precision():
                odds = self.classifier(code)
            figures["adversary"] = adversary_loss(odds, label)
            loss = error + weight * figures["adversary"]
        _descend(self.optimizer, loss)
        self.classifier.requires_grad_(True)
        return figures

    def write_sheet(self, path: Path) -> None:
        """See Task.write_sheet: photo, reconstruction, then LABELS."""
        write_sheet(path, self._autoencoder, *self._shown)

    def line(self, figures: Mapping[str, float]) -> str:
        """See Task.line."""
        names = ("stage", "error", "classifier", "read", "adversary")
        return "  ".join(f"{name} {figures[name]:.4g}" for name in names if name in figures)

    def _precision(self) -> torch.autocast:
        half = self.settings.half and has_halves(self._device)
        return torch.autocast(self._device.type, torch.bfloat16, half)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def jittered(photo: Tensor) -> Tensor:
    """(B, 3, S, S), each a little moved."""
    theta = similarity(len(photo), JITTER, photo.device)
    moved = warp_crops(photo, theta, photo.shape[-1])
    return moved.contiguous(memory_format=torch.channels_last)


def for_sheet(held_out: RatedPictures, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Held-out faces (R, 3, S, S) in -1..1 and labels (R,): first those that do not smile."""
    labels = held_out.units[:, 0]
    by_label = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    rows = np.concatenate([np.resize(found, SHOWN // len(by_label)) for found in by_label])
    crops = np.stack([held_out.picture(int(row), size) for row in rows]).transpose(0, 3, 1, 2)
    photo = as_photos(torch.from_numpy(np.ascontiguousarray(crops)))
    return photo.to(device), torch.from_numpy(labels[rows]).to(device)


def write_sheet(path: Path, network: AutoencoderNet, photo: Tensor, own: Tensor) -> None:
    """One row a photo: as it is, with its own label, with each of LABELS."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        code = network.encode(photo)
        columns = [photo, network.decode(code, own)]
        columns += [network.decode(code, torch.full_like(own, at)) for at in LABELS]
    network.train(training)
    write_columns(path, [(column + 1) / 2 for column in columns])
