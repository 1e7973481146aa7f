"""Training of the perception network: `memegen train DATA --model perception`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from memegen import aus, weights
from memegen.devices import ready_to_train
from memegen.errors import MemegenError
from memegen.facedata.labels import action_units, load_basis, rarity
from memegen.facedata.shards import load_labels, read_crops
from memegen.geometry.shape import mirror_order
from memegen.perception.network import Perceived, PerceptionConfig, PerceptionNet
from memegen.training import checkpoint
from memegen.training.augment import (
    AugmentConfig,
    disturb,
    in_plane,
    similarity,
    warp_crops,
    warp_points,
)
from memegen.training.journal import Journal


@dataclass(frozen=True)
class PerceptionTraining:
    """Every setting of a run."""

    steps: int = 12_000  # optimiser steps
    batch: int = 64  # crops a step
    lr: float = 2e-3  # peak learning rate of AdamW, after a linear warm-up, cosine to zero
    warmup: int = 300  # steps
    weight_decay: float = 0.02
    ema: float = 0.999  # decay of the averaged weights that are shipped
    landmark_weight: float = 1.0  # per 0.01 IOD of mean landmark error
    au_weight: float = 10.0  # per squared AU error, each AU scaled by its spread
    emphasis: Mapping[str, float] = field(default_factory=dict)  # times more, by channel
    pose_weight: float = 0.3  # per degree
    save_minutes: float = 3.0  # between checkpoints
    max_minutes: float = math.inf  # then the run stops as if it were done
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    network: PerceptionConfig = field(default_factory=PerceptionConfig)


@dataclass(frozen=True)
class Faces:
    """Crops and their labels as tensors on the training device."""

    crops: Tensor  # (N, 3, S, S) uint8
    landmarks: Tensor  # (N, 478, 3)
    action_units: Tensor  # (N, K)
    rotation: Tensor  # (N, 3, 3)
    weight: Tensor  # (N,) how often a crop is drawn; in a batch, whether it was mirrored


def load_faces(data: Path, size: int, device: torch.device) -> tuple[Faces, Tensor, Tensor, Tensor]:
    """Training crops at `size` pixels, landmark decoder (mean, components), mirror order (478,)."""
    labels, basis = load_labels(data), load_basis(data)
    units = action_units(labels, basis)
    train = ~labels.is_val
    weight = 1 + 0.15 * rarity(units)  # rare expressions are drawn more often
    faces = Faces(
        torch.from_numpy(read_crops(data, labels.ids[train], size)).permute(0, 3, 1, 2),
        torch.from_numpy(labels.landmarks[train]),
        torch.from_numpy(units[train]),
        torch.from_numpy(labels.rotation[train]),
        torch.from_numpy(weight[train]),
    )
    order = torch.from_numpy(mirror_order(basis.canonical))
    moved = [getattr(faces, name).to(device) for name in Faces.__dataclass_fields__]
    mean, components = (torch.from_numpy(labels.landmark_mean), labels.landmark_components)
    return Faces(*moved), mean, torch.from_numpy(components), order


def landmark_weights(mean: Tensor) -> Tensor:
    """(478,) more for the lips and lids, whose edges become cuts in the picture."""
    weight = torch.ones(len(mean))
    mouth = (mean[:, 0] - 0.5).abs().lt(0.14) & mean[:, 1].gt(0.58) & mean[:, 1].lt(0.75)
    eyes = (mean[:, 1] - 0.4).abs().lt(0.045) & ((mean[:, 0] - 0.5).abs() - 0.125).abs().lt(0.08)
    weight[mouth | eyes] = 2.5
    weight[468:] = 4.0
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
    turn = torch.atan2(rotation[:, 0, 2], rotation[:, 2, 2])
    up = torch.asin(rotation[:, 1, 2].clamp(-1, 1))
    tilt = torch.atan2(-rotation[:, 1, 0], rotation[:, 1, 1])
    return torch.rad2deg(torch.stack([turn, up, tilt], -1))


@dataclass(frozen=True)
class PerceptionLoss:
    """Landmarks in IOD, action units in units of their spread, pose in degrees."""

    point_weight: Tensor  # (478,)
    au_weight: Tensor  # (K,) of `au_weights`
    settings: PerceptionTraining

    def __call__(self, said: Perceived, true: Faces) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and its parts for the log."""
        scale = (true.landmarks[:, 473, :2] - true.landmarks[:, 468, :2]).norm(dim=-1)
        miss = (said.landmarks - true.landmarks) / scale[:, None, None]
        miss = miss * miss.new_tensor([1, 1, 0.5])
        distance = (miss.square().sum(-1) + 1e-6).sqrt()
        landmark = (distance * self.point_weight).mean()
        units = (said.action_units - true.action_units).square() * self.au_weight
        pose = torch.nn.functional.smooth_l1_loss(said.angles, angles(true.rotation))
        s = self.settings
        total = (
            s.landmark_weight * 100 * landmark + s.au_weight * units.mean() + s.pose_weight * pose
        )
        parts = {"landmark": landmark, "au": units.mean(), "pose": pose, "total": total}
        return total, {name: float(part.detach()) for name, part in parts.items()}


def train(
    data: Path,
    out: Path,
    settings: PerceptionTraining,
    device: torch.device,
    resume: bool = False,
    init: str | None = None,
    log: Callable[[str], None] = print,
    tensorboard: bool = False,
) -> Path:
    """Train on a shard folder; returns the path of the weights, `out/perception.safetensors`.

    Writes `out/log.jsonl` and `out/checkpoint.pt` while it runs; `resume` goes on from there,
    `init` begins with what fits of other weights (a name or a file).
    """
    if resume:
        checkpoint.required(out)
    ready_to_train(settings.seed)
    faces, mean, components, mirrored = load_faces(data, settings.network.size, device)
    out.mkdir(parents=True, exist_ok=True)
    network = PerceptionNet(settings.network).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.set_decoder(mean, components)
    if init:
        log(_begin_with(network, init))
    average = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.ema),
        use_buffers=True,
    )
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.lr, weight_decay=settings.weight_decay
    )
    weighed = au_weights(faces.action_units, settings.emphasis)
    loss_of = PerceptionLoss(landmark_weights(mean).to(device), weighed, settings)
    parts_kept = {"network": network, "average": average, "optimizer": optimizer}
    begun = {"--seed": settings.seed}
    told = checkpoint.settings_of(settings, data)
    start = 0
    if resume:
        start = int(checkpoint.restore(out, parts_kept, begun, told, log)["step"])

    def save(step: int) -> Path:
        checkpoint.save(out, parts_kept, {"step": step}, begun, told)
        path = out / "perception.safetensors"
        weights.save(
            path,
            average.module.state_dict(),
            "perception",
            asdict(settings.network),
            au_order=" ".join(aus.CHANNELS),
            crop="eyes (0.5, 0.40), IOD 0.27",
            data=", ".join(sorted({p.stem for p in data.glob("*.zip")})),
            settings=json.dumps(asdict(settings)),
            steps=str(step),
        )
        return path

    saved_at = started = time.monotonic()
    seen = 0
    done = start
    with Journal(out, start, tensorboard) as journal:
        for step in range(start, settings.steps):
            progress = step / settings.steps
            warm = min(1.0, (step + 1) / settings.warmup)
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * warm * 0.5 * (1 + math.cos(math.pi * progress))
            batch = draw(faces, settings.batch, mirrored, settings.augment, settings.network.size)
            with torch.autocast(device.type, torch.bfloat16):
                said = network(batch.crops.contiguous(memory_format=torch.channels_last))
            loss, parts = loss_of(said, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            average.update_parameters(network)
            seen += settings.batch
            if not math.isfinite(parts["total"]):
                raise MemegenError(f"the loss is not finite at step {step}; try a lower --lr")
            if step % 100 == 0:
                rate = seen / (time.monotonic() - started)
                journal.write(step, {"rate": rate, **parts})
                log(
                    f"{step:6d}  landmark {parts['landmark']:.4f}  "
                    f"au {parts['au']:.3f}  {rate:.0f}/s"
                )
            done = step + 1
            if time.monotonic() - saved_at > settings.save_minutes * 60:
                save(done)
                saved_at = time.monotonic()
            if time.monotonic() - started > settings.max_minutes * 60:
                log(f"stopped at step {step}: {settings.max_minutes:g} minutes are over")
                break
    return save(done)


def _begin_with(network: PerceptionNet, init: str) -> str:
    """Copy every tensor of the weights `init` that has the network's name and shape."""
    state, found = network.state_dict(), weights.load(init, "perception").tensors
    fitting = {
        name: t for name, t in found.items() if name in state and state[name].shape == t.shape
    }
    for name, tensor in fitting.items():
        state[name].copy_(tensor)
    return f"{len(fitting)} of {len(state)} tensors taken from {init}"
