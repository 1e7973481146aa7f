"""Training of the perception network: `memegen train perception DATA`."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from memegen import aus, weights
from memegen.devices import ready_to_train
from memegen.errors import UsageError
from memegen.facedata.dataset import FaceDataset
from memegen.facedata.labels import rarity
from memegen.geometry.shape import IRIS_CENTRES, MESH_POINTS
from memegen.perception.network import PerceptionConfig, PerceptionNet, PerceptionOutput
from memegen.training import checkpoint
from memegen.training.augment import (
    AugmentConfig,
    disturb,
    in_plane,
    similarity,
    warp_crops,
    warp_points,
)
from memegen.training.checkpoint import Stateful
from memegen.training.loop import Loop, Task, ema_of, set_rate, warm_cosine
from memegen.training.processes import Alone
from memegen.training.run import Run
from memegen.training.settings import LoopSettings, Rule, checked, setting

CLIPPED = 5.0  # norm of gradients beyond which they are shortened
MOST_EMPHASIS = 20.0  # times


def _emphasis(text: str) -> Mapping[str, float]:
    return aus.parse_factors(text, "`emphasis`", MOST_EMPHASIS)


def _augmented(strength: float) -> AugmentConfig:
    if not 0 <= strength < math.inf:
        raise UsageError(f"`augment` {strength:g}: must be at least 0")
    return AugmentConfig().scaled(strength)


@dataclass(frozen=True)
class PerceptionTraining(LoopSettings):
    """Every setting of a run."""

    steps: int = setting(12_000, "optimiser steps", least=1)
    batch: int = setting(64, "crops a step", least=1)
    lr: float = setting(
        2e-3, "peak learning rate of AdamW; warm-up, then cosine to zero", above=0.0
    )
    warmup: int = setting(300, "steps of the warm-up", least=1)
    weight_decay: float = setting(0.02, "of AdamW", least=0.0)
    ema: float = setting(0.999, "decay of the averaged weights that are shipped", least=0.0)
    landmark_weight: float = setting(1.0, "per 0.01 IOD of mean landmark error", least=0.0)
    au_weight: float = setting(
        10.0, "weight of the action units: squared error, each scaled by its spread", least=0.0
    )
    emphasis: Mapping[str, float] = field(
        default_factory=dict,
        metadata={
            "rule": Rule('more weight on some: "AU45=4"', parse=_emphasis, kind=str),
        },
    )
    pose_weight: float = setting(0.3, "per degree", least=0.0)
    log_steps: int = setting(100, "steps between lines of the log", least=1)
    augment: AugmentConfig = field(
        default_factory=AugmentConfig,
        metadata={
            "rule": Rule("strength of the augmentation; 1 is usual", parse=_augmented, kind=float)
        },
    )
    network: PerceptionConfig = field(default_factory=PerceptionConfig)


@dataclass(frozen=True)
class Faces:
    """Crops and their labels as tensors on the training device."""

    crops: Tensor  # (N, 3, S, S) uint8
    landmarks: Tensor  # (N, 478, 3)
    action_units: Tensor  # (N, K)
    rotation: Tensor  # (N, 3, 3)
    weight: Tensor  # (N,) how often a crop is drawn; in a batch, whether it was mirrored


def load_faces(data: FaceDataset, size: int, device: torch.device) -> Faces:
    """Training crops at `size` pixels."""
    labels, units = data.labels, data.units
    train = np.flatnonzero(data.split(val=False))
    weight = 1 + 0.15 * rarity(units)  # rare expressions are drawn more often
    faces = Faces(
        torch.from_numpy(data.crops(train, size)).permute(0, 3, 1, 2),
        torch.from_numpy(labels.landmarks[train]),
        torch.from_numpy(units[train]),
        torch.from_numpy(labels.rotation[train]),
        torch.from_numpy(weight[train]),
    )
    return Faces(*(getattr(faces, name).to(device) for name in Faces.__dataclass_fields__))


def landmark_weights(mean: Tensor) -> Tensor:
    """(478,) more for the lips and lids, whose edges become cuts in the picture."""
    weight = torch.ones(len(mean))
    mouth = (mean[:, 0] - 0.5).abs().lt(0.14) & mean[:, 1].gt(0.58) & mean[:, 1].lt(0.75)
    eyes = (mean[:, 1] - 0.4).abs().lt(0.045) & ((mean[:, 0] - 0.5).abs() - 0.125).abs().lt(0.08)
    weight[mouth | eyes] = 2.5
    weight[MESH_POINTS:] = 4.0
    return weight / weight.mean()


def au_weights(units: Tensor, emphasis: Mapping[str, float]) -> Tensor:
    """(K,) one over the variance of each channel of (N, K), times its emphasis.

    Channels that are never labelled count nothing, nor do those that the pose already says.
    """
    spread = units.std(0)
    weight = torch.where(spread > 0, 1 / spread.clamp(min=0.05) ** 2, 0.0)
    for channel, factor in emphasis.items():
        weight[aus.INDEX[channel]] *= factor
    weight[[aus.INDEX[c] for pair in aus.OPPOSITES[:3] for c in pair]] = 0
    return weight


def draw(faces: Faces, batch: int, mirrored: Tensor, config: AugmentConfig, size: int) -> Faces:
    """A random augmented batch; crops (B, 3, size, size) in 0..1."""
    device = faces.crops.device
    rows = torch.multinomial(faces.weight, batch, replacement=True).to(device)
    crops, points = faces.crops[rows].float() / 255, faces.landmarks[rows]
    units, rotation = faces.action_units[rows], faces.rotation[rows]
    flip = torch.rand(batch, device=device) < 0.5
    crops = torch.where(flip[:, None, None, None], crops.flip(3), crops)
    seen = points[:, mirrored] * points.new_tensor([-1, 1, 1]) + points.new_tensor([1, 0, 0])
    points = torch.where(flip[:, None, None], seen, points)
    units = torch.where(flip[:, None], units[:, list(aus.MIRROR)], units)
    side = rotation.new_tensor([-1.0, 1, 1])
    rotation = torch.where(flip[:, None, None], rotation * side * side[:, None], rotation)
    theta = similarity(batch, config, device)
    crops = disturb(warp_crops(crops, theta, size), config)
    return Faces(crops, warp_points(points, theta), units, in_plane(theta) @ rotation, flip)


def angles(rotation: Tensor) -> Tensor:
    """`geometry.shape.angles_of` on tensors."""
    yaw = torch.atan2(rotation[:, 0, 2], rotation[:, 2, 2])
    pitch = torch.asin(rotation[:, 1, 2].clamp(-1, 1))
    roll = torch.atan2(-rotation[:, 1, 0], rotation[:, 1, 1])
    return torch.rad2deg(torch.stack([yaw, pitch, roll], -1))


@dataclass(frozen=True)
class PerceptionLoss:
    """Landmarks in IOD, action units in units of their spread, pose in degrees."""

    point_weight: Tensor  # (478,)
    au_weight: Tensor  # (K,) of `au_weights`
    settings: PerceptionTraining

    def __call__(self, output: PerceptionOutput, true: Faces) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, and its parts for the log."""
        scale = (
            true.landmarks[:, IRIS_CENTRES[1], :2] - true.landmarks[:, IRIS_CENTRES[0], :2]
        ).norm(dim=-1)
        error = (output.landmarks - true.landmarks) / scale[:, None, None]
        error = error * error.new_tensor([1, 1, 0.5])
        distance = (error.square().sum(-1) + 1e-6).sqrt()
        landmark = (distance * self.point_weight).mean()
        units = (output.action_units - true.action_units).square() * self.au_weight
        pose = torch.nn.functional.smooth_l1_loss(output.angles, angles(true.rotation))
        s = self.settings
        total = (
            s.landmark_weight * 100 * landmark + s.au_weight * units.mean() + s.pose_weight * pose
        )
        parts = {"landmark": landmark, "au": units.mean(), "pose": pose, "total": total}
        return total, parts


def train(settings: PerceptionTraining, run: Run) -> Path:
    """Train on a shard folder; returns the path of the weights, `out/perception.safetensors`.

    Writes `out/log.jsonl` and `out/checkpoint.pt` while it runs; to resume is to go on from there.
    The weights to begin with give what fits of them.
    """
    checked(settings)
    if run.resume:
        checkpoint.required(run.out)
    ready_to_train(settings.seed)
    device = run.device or torch.device("cpu")
    return Loop(PerceptionTask(settings, run, device), run, Alone(device))()


class PerceptionTask(Task[Faces]):
    """The network, the crops it learns from, and a step of learning."""

    name = "perception"
    au_order = " ".join(aus.CHANNELS)

    def __init__(self, settings: PerceptionTraining, run: Run, device: torch.device) -> None:
        self.settings: PerceptionTraining = settings
        self._device = device
        data = FaceDataset.load(run.data)
        self._faces = load_faces(data, settings.network.size, device)
        self._mirrored = torch.from_numpy(data.mirrored)
        mean = torch.from_numpy(data.labels.landmark_mean)
        components = torch.from_numpy(data.labels.landmark_components)
        net = PerceptionNet(settings.network)
        self.learner = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.learner.set_decoder(mean, components)
        if run.init:
            run.log(_begin_with(self.learner, run.init))
        self.average = ema_of(self.learner, settings.ema)
        self.optimizer = torch.optim.AdamW(
            self.learner.parameters(), settings.lr, weight_decay=settings.weight_decay
        )
        weighed = au_weights(self._faces.action_units, settings.emphasis)
        self._loss = PerceptionLoss(landmark_weights(mean).to(device), weighed, settings)

    @property
    def network(self) -> nn.Module:
        """The averaged one."""
        return self.average.module

    def stateful(self) -> dict[str, Stateful]:
        """See Task.stateful."""
        return {"network": self.learner, "average": self.average, "optimizer": self.optimizer}

    def batches(self, start: int) -> Generator[Faces, None, None]:
        """See Task.batches."""
        s = self.settings
        while True:
            yield draw(self._faces, s.batch, self._mirrored, s.augment, s.network.size)

    def set_learning_rates(self, step: int) -> None:
        """Linear warm-up, then a cosine to zero."""
        s = self.settings
        set_rate(self.optimizer, s.lr * warm_cosine(step, self.steps, s.warmup, self.time_share))

    def train_step(self, step: int, batch: Faces) -> dict[str, Tensor]:
        """See Task.train_step."""
        with torch.autocast(self._device.type, torch.bfloat16):
            output = self.learner(batch.crops.contiguous(memory_format=torch.channels_last))
        loss, parts = self._loss(output, batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.learner.parameters(), CLIPPED)
        self.optimizer.step()
        self.average.update_parameters(self.learner)
        return parts

    def line(self, figures: Mapping[str, float]) -> str:
        """See Task.line."""
        return f"landmark {figures['landmark']:.4f}  au {figures['au']:.3f}"


def _begin_with(network: PerceptionNet, init: str) -> str:
    """Copy every tensor of the weights `init` that has the network's name and shape."""
    state, found = network.state_dict(), weights.load(init, "perception").tensors
    fitting = {
        name: t for name, t in found.items() if name in state and state[name].shape == t.shape
    }
    for name, tensor in fitting.items():
        state[name].copy_(tensor)
    return f"{len(fitting)} of {len(state)} tensors taken from {init}"
