"""Training of the talking head for drawings: `memegen train cartoon`.

Morpher, rotator and combiner learn in one run, from faces that are drawn while they learn
(`memegen.training.drawings`). At first each learns by itself: the morpher to make the drawing with
another face, the rotator to turn the drawing that it should have made. From a share of the run on
the combiner learns from the rotator's two pictures, and at last both learn together, from what the
morpher makes. Shares are of the steps, or of the time where `max_minutes` is shorter.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memegen import weights
from memegen.cartoon.pose import MORPH, ROTATE
from memegen.devices import has_halves, ready_to_train
from memegen.errors import MemegenError
from memegen.generators.cartoon import (
    POSE_ORDER,
    CartoonConfig,
    CartoonNet,
    combine,
    morph_picture,
    resized,
    rotate_picture,
)
from memegen.generators.compose import shift
from memegen.perception.network import PerceptionNet
from memegen.training import checkpoint
from memegen.training.drawing_pool import (
    DrawingPool,
    DrawingPoolConfig,
    DrawnBatch,
    begin_at,
    tensors_of,
)
from memegen.training.drawings import HELD_OUT, DrawingConfig, draw, drawers
from memegen.training.loop import Loop, Task, set_rate
from memegen.training.losses import perceptual
from memegen.training.processes import processes
from memegen.training.run import Run
from memegen.training.settings import LoopSettings, Rule, checked, setting
from memegen.training.sheets import write_columns

PARTS = {
    "all": ("morpher", "rotator", "combiner"),
    "morpher": ("morpher",),
    "rotator": ("rotator", "combiner"),
}
SHOWN = 6  # rows of a sample sheet
PYRAMID = 4  # halvings at which flow is compared too
SEEN_CHANGE = 0.1  # of 2, difference of a channel that counts as a change of the drawing
AROUND_PX = 2  # of it, that count too
CHANGED_WEIGHT = 9.0  # how much more pixels count that change: an eye is a hundredth of a drawing
# Of the squared error of colour pictures by themselves, where the drawing changes. Of a change that
# is not known well yet, the least absolute error is often none at all: attention comes to keep all,
# and then colour is taught nothing. The least squared error is the mean, which is a beginning.
COLOUR_WEIGHT = 0.3
# Of attention as a segmentation of what changes: it finds eyes and mouths long before colour does.
MASK_WEIGHT = 0.05
LEAST_SHARE = 1e-3  # of a mask, so that its logarithm stays finite
MOST_SKIPPED = 0.9  # running mean of the steps whose loss is not finite; then the run stops


def _network_of(width: int) -> CartoonConfig:
    return CartoonConfig(width=width)


@dataclass(frozen=True)
class CartoonTraining(LoopSettings):
    """Every setting of a run."""

    steps: int | None = setting(20_000, "optimiser steps", least=1)
    batch: int = setting(32, "drawn characters a step, for each network", least=1)
    lr: float = setting(7e-4, "peak learning rate of Adam, for all networks", above=0.0)
    betas: tuple[float, float] = (0.9, 0.99)
    warmup: int = setting(100, "steps over which the rate rises", least=1)
    decay: float = setting(0.5, "last share of the run, over which the rate falls to zero", above=0)
    combine_from: float = setting(
        0.25, "share of the run from which the combiner learns", least=0.0, most=1.0
    )
    join_from: float = setting(
        0.7, "share of the run from which rotator and combiner learn together", least=0.0, most=1.0
    )
    parts: str = setting("all", "what learns; the rest stays as it is", choices=tuple(PARTS))
    loss: str = setting(
        "l1", "what pictures are compared by; perceptual adds features of the perception network",
        choices=("l1", "perceptual"),
    )  # fmt: skip
    perceptual_weight: float = setting(0.1, "how much these features count", least=0.0)
    flow_smoothness: float = setting(0.5, "weight of the flow's mean step to neighbours", least=0.0)
    recolour: float = setting(0.2, "most change of colour channels, of 1", least=0.0, most=0.9)
    clip: float = 1.0  # largest norm of each network's gradient
    half: bool = setting(True, "bfloat16 where safe and fast")
    compile: bool = setting(False, "the networks through torch.compile")
    workers: int | None = setting(None, "processes that draw; half of the cores", least=0)
    fresh: int = setting(0, "new characters a step; 0: as many as are ready", least=0)
    log_steps: int = setting(25, "steps between lines of the log", least=1)
    sheet_steps: int = setting(500, "steps between sample sheets", least=1)
    size: int = setting(256, "pixels of the drawings", choices=(32, 64, 128, 256))
    drawing: DrawingConfig = field(default_factory=DrawingConfig)
    pool: DrawingPoolConfig = field(default_factory=DrawingPoolConfig)
    network: CartoonConfig = field(
        default_factory=CartoonConfig,
        metadata={
            "rule": Rule(
                "feature maps of morpher and rotator at full resolution",
                option="width", parse=_network_of, kind=int,
            )
        },
    )  # fmt: skip

    @property
    def sized_network(self) -> CartoonConfig:
        """Sizes of the networks, for drawings of this size."""
        return replace(self.network, size=self.size)

    @property
    def sized_drawing(self) -> DrawingConfig:
        """How drawings of this size are drawn."""
        return replace(self.drawing, size=self.size)


def train(settings: CartoonTraining, run: Run) -> Path:
    """Train on drawn faces; returns the path of the weights, `out/cartoon.safetensors`.

    Nothing is read from `run.data`. Raises MemegenError where the loss stays not finite.
    """
    checked(settings)
    if run.resume:
        checkpoint.required(run.out)
    ready_to_train(settings.seed)
    with processes(run.device or torch.device("cpu")) as team:
        task = CartoonTask(settings, team.device, run.init)
        return Loop(task, run, team)()


class CartoonTask(Task[DrawnBatch]):
    """The three networks, their optimiser, and a step of learning."""

    name = "cartoon"
    au_order = POSE_ORDER
    crop = "a whole drawn head"
    data = "faces drawn by memegen"
    smoothing = 0.95

    def __init__(
        self, settings: CartoonTraining, device: torch.device, init: str | None = None
    ) -> None:
        """Raises WeightsError where the weights `init` do not fit."""
        self.settings: CartoonTraining = settings
        self.device = device
        self._net = CartoonNet(settings.sized_network)
        if init:
            weights.load_state(self._net, weights.load(init, self.name))
        self._net.to(device).to(memory_format=torch.channels_last)
        self.learning = {name: getattr(self._net, name) for name in PARTS[settings.parts]}
        self._net.requires_grad_(False)
        for part in self.learning.values():
            part.requires_grad_(True)
        parameters = [p for p in self._net.parameters() if p.requires_grad]
        fused = device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.Adam(parameters, settings.lr, settings.betas, fused=fused)
        self._features: PerceptionNet | None = None
        if settings.loss == "perceptual":
            found, _ = weights.load_network("perception", "perception")
            self._features = found.to(device).requires_grad_(False)
        # Not for half precision's sake: it leaves out steps that are not finite, on the device.
        self._scaler = torch.amp.GradScaler(device.type, init_scale=1.0)
        self._made, self._uses = 0, 0.0
        net = self._net
        parts: list[Any] = [net.morpher, net.rotator, net.combiner]
        if settings.compile:
            parts = [torch.compile(part) for part in parts]
        self._morpher, self._rotator, self._combiner = parts

    @property
    def network(self) -> CartoonNet:
        """See Task.network."""
        return self._net

    def stateful(self) -> dict[str, checkpoint.Stateful]:
        """See Task.stateful."""
        return {"network": self._net, "optimizer": self.optimizer}

    def state(self) -> dict[str, Any]:
        """See Task.state."""
        return {"made": self._made}

    def fixed(self) -> dict[str, Any]:
        """See Task.fixed."""
        s = self.settings
        return {"seed": s.seed, "batch": s.batch, "parts": s.parts, "loss": s.loss}

    def begin(self, state: Mapping[str, Any]) -> None:
        """Draw what is shown: characters that nothing is learnt from."""
        self._made = int(state.get("made", 0))
        s = self.settings
        shown = [draw(i, s.seed, HELD_OUT, s.sized_drawing) for i in range(SHOWN)]
        self._shown = DrawnBatch.of(*(t.to(self.device) for t in tensors_of(shown)))

    def batches(self, start: int) -> Generator[DrawnBatch, None, None]:
        """See Task.batches."""
        s = self.settings
        workers = (os.cpu_count() or 2) // 2 if s.workers is None else s.workers
        config = replace(s.pool, fresh=s.fresh)
        source = drawers(s.seed, s.sized_drawing, begin_at(config, self._made), workers)
        pool = DrawingPool(source, config, self.device, 2 * s.batch, self._made)
        try:
            while True:
                batch = pool.batch(s.batch)
                self._made, self._uses = pool.made, pool.uses
                yield batch.recoloured(s.recolour).mapped(_channels_last)
        finally:
            pool.close()

    def set_learning_rates(self, step: int) -> None:
        """Warm-up, constant, then linear to zero."""
        s, done = self.settings, self.share(step)
        set_rate(self.optimizer, s.lr * min(1.0, (step + 1) / s.warmup, (1 - done) / s.decay))

    def train_step(self, step: int, batch: DrawnBatch) -> dict[str, Tensor]:
        """See Task.train_step. A step whose gradients are not finite changes nothing."""
        with torch.autocast(self.device.type, torch.bfloat16, self._halves()):
            losses = self.losses(batch, self.share(step))
        total = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(total).backward()
        self._scaler.unscale_(self.optimizer)
        for part in self.learning.values():
            nn.utils.clip_grad_norm_(part.parameters(), self.settings.clip)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        figures = {name: loss.detach().nan_to_num(0.0, 0.0, 0.0) for name, loss in losses.items()}
        skipped = 1 - torch.isfinite(total.detach()).float()
        return figures | {"skipped": skipped, "uses": skipped.new_tensor(self._uses)}

    def refuse_collapse(self, step: int, figures: Mapping[str, float]) -> None:
        """See Task.refuse_collapse."""
        if figures.get("skipped", 0.0) > MOST_SKIPPED:
            raise MemegenError(
                f"most losses up to step {step} were not finite; `resume` with a lower `lr`"
            )

    def losses(self, batch: DrawnBatch, share: float) -> dict[str, Tensor]:
        """What counts at a share 0..1 of the run, by name."""
        s, found = self.settings, dict[str, Tensor]()
        own, pose = batch.own[:, list(MORPH)], batch.pose[:, list(MORPH)]
        seen, together = batch.morphed, share >= s.join_from
        if "morpher" in self.learning:
            said = self._morpher(batch.source, own, pose)
            made = morph_picture(batch.source, said)
            where = changed(batch.source, batch.morphed)
            found["morph"] = self.difference(made, batch.morphed, where)
            own_colour = error_over(said.colour, batch.morphed, where, squared=True)
            found["morpher's colour"] = COLOUR_WEIGHT * own_colour
            found["morpher's mask"] = MASK_WEIGHT * mask_error(said.attention, where)
            if together:  # half of what is turned is what the morpher makes
                half = len(made) // 2
                seen = torch.cat([made[:half].detach(), seen[half:]])
        if "rotator" in self.learning:
            found |= self.turning(seen, batch, share >= s.combine_from, together)
        return found

    def turning(
        self, seen: Tensor, batch: DrawnBatch, combining: bool, together: bool
    ) -> dict[str, Tensor]:
        """Losses of the rotator on pictures (B, 3, S, S), and the combiner's."""
        turn = batch.pose[:, list(ROTATE)]
        rotation = self._rotator(seen, turn)
        by_colour, by_flow = rotate_picture(seen, rotation)
        where = changed(batch.morphed, batch.turned)
        own_colour = error_over(rotation.colour, batch.turned, where, squared=True)
        found = {
            "colour": self.difference(by_colour, batch.turned, where),
            "rotator's colour": COLOUR_WEIGHT * own_colour,
            "rotator's mask": MASK_WEIGHT * mask_error(rotation.attention, where),
            "flow": self.difference(by_flow, batch.turned, where),
            "pyramid": pyramid_difference(seen, rotation.flow, batch.turned),
            "roughness": self.settings.flow_smoothness * steps_of(rotation.flow),
        }
        if combining:
            if not together:
                by_colour, by_flow = by_colour.detach(), by_flow.detach()
            said = self._combiner(by_colour, by_flow, turn)
            both = combine(by_colour, by_flow, said)
            found["combined"] = self.difference(both, batch.turned, where)
        return found

    def difference(self, made: Tensor, target: Tensor, where: Tensor) -> Tensor:
        """The loss of pictures (B, 3, S, S), and that of their features if asked.

        where (B, 1, S, S): pixels of the drawing that change, which count more.
        """
        error = error_over(made, target, 1 + CHANGED_WEIGHT * where)
        if self._features is None:
            return error
        found = perceptual(self._features, (made + 1) / 2, (target + 1) / 2, target.shape[-1])
        return error + self.settings.perceptual_weight * found

    def write_sheet(self, path: Path) -> None:
        """See Task.write_sheet."""
        write_sheet(path, self._net, self._shown)

    def line(self, figures: Mapping[str, float]) -> str:
        """See Task.line."""
        names = ("morph", "colour", "flow", "combined", "uses")
        return "  ".join(f"{name} {figures[name]:.4f}" for name in names if name in figures)

    def _halves(self) -> bool:
        return self.settings.half and has_halves(self.device)


def _channels_last(pictures: Tensor) -> Tensor:
    return pictures.contiguous(memory_format=torch.channels_last)


def changed(before: Tensor, after: Tensor) -> Tensor:
    """(B, 3, S, S) drawings, -1..1, to (B, 1, S, S): 1 where they differ, and close by."""
    differs = ((after - before).abs().amax(1, keepdim=True) > SEEN_CHANGE).to(before.dtype)
    return nn.functional.max_pool2d(differs, 2 * AROUND_PX + 1, 1, AROUND_PX)


def error_over(made: Tensor, target: Tensor, weight: Tensor, squared: bool = False) -> Tensor:
    """Mean absolute, or squared, error of pictures (B, 3, S, S) under weights (B, 1, S, S)."""
    error = made.float() - target
    error = (error.square() if squared else error.abs()).mean(1, keepdim=True)
    return (error * weight).sum() / weight.sum().clamp(min=1)


def mask_error(attention: Tensor, where: Tensor) -> Tensor:
    """Cross-entropy of what is not kept, 1 - attention (B, 1, S, S), with what changes."""
    let_go = (1 - attention).clamp(LEAST_SHARE, 1 - LEAST_SHARE)
    return -(where * let_go.log() + (1 - where) * (1 - let_go).log()).mean()


def steps_of(flow: Tensor) -> Tensor:
    """Mean absolute step between neighbours of flow (B, 2, F, F)."""
    across, down = flow[..., 1:] - flow[..., :-1], flow[..., 1:, :] - flow[..., :-1, :]
    return across.abs().mean() + down.abs().mean()


def pyramid_difference(picture: Tensor, flow: Tensor, target: Tensor) -> Tensor:
    """How far reduced pictures (B, 3, S, S), moved by flow (B, 2, F, F), are from reduced targets.

    Lines are a pixel or two wide and move by tens: only where they are blurred does a flow that is
    far off learn which way is better. Mean absolute error over PYRAMID halvings.
    """
    found = []
    for _ in range(PYRAMID):
        picture, target = (nn.functional.avg_pool2d(p, 2) for p in (picture, target))
        moved = shift(_blurred(picture), resized(flow, picture.shape[-1]))
        found.append((moved - _blurred(target)).abs().mean())
    return torch.stack(found).mean()


def _blurred(picture: Tensor) -> Tensor:
    """Over some 5 pixels: what is one wide has a slope to follow then."""
    for _ in range(2):
        picture = nn.functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)
    return picture


def write_sheet(path: Path, network: CartoonNet, shown: DrawnBatch) -> None:
    """One row a character that nothing is learnt from.

    Source, morphed, what that should be, turned by colour, by flow, both combined, and what that
    should be. What is turned is what the morpher made.
    """
    network.eval()
    turn = shown.pose[:, list(ROTATE)]
    with torch.inference_mode():
        own, pose = shown.own[:, list(MORPH)], shown.pose[:, list(MORPH)]
        morphed = morph_picture(shown.source, network.morpher(shown.source, own, pose))
        by_colour, by_flow = rotate_picture(morphed, network.rotator(morphed, turn))
        combined = combine(by_colour, by_flow, network.combiner(by_colour, by_flow, turn))
    network.train()
    columns = (shown.source, morphed, shown.morphed, by_colour, by_flow, combined, shown.turned)
    write_columns(path, [(column + 1) / 2 for column in columns])
