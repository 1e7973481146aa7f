"""Training of StarGAN as it was published: `memegen train stargan DATA`.

GANimation's task with labels for action units: a classifier's cross entropy instead of their
squared error, and no attention to keep in bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from memegen.devices import ready_to_train
from memegen.errors import MemegenError
from memegen.facedata.rated import Rated, RatedPictures, load_rated
from memegen.generators.stargan import (
    EXPRESSIONS,
    NEUTRAL,
    UNLABELLED,
    StarganConfig,
    StarganDiscriminator,
    StarganNet,
    classification_error,
    labels_of,
)
from memegen.training import checkpoint
from memegen.training.batches import BatchSampler, Draws
from memegen.training.device_crops import as_photos
from memegen.training.ganimation import (
    SHOWN,
    GanimationTask,
    GanimationTraining,
    ObjectiveWeights,
    network_of,
)
from memegen.training.loop import Loop, silent
from memegen.training.processes import processes
from memegen.training.run import Run
from memegen.training.settings import Rule, checked, setting
from memegen.training.sheets import write_columns

FEWEST = 8  # labelled pictures that training makes sense with


def _network_of(size: int) -> StarganConfig:
    """The published network for crops of that many pixels."""
    found = network_of(size)
    return StarganConfig(size=size, blocks=found.blocks)


@dataclass(frozen=True)
class StarganTraining(GanimationTraining):
    """Every setting of a run."""

    batch: int = setting(16, "crops a step", least=1)
    classes: float = setting(1.0, "weight of the expressions' cross entropy", above=0.0)
    skip: bool = setting(
        False, "the network's colour is added to the photo: not in the paper, learnt in minutes"
    )
    network: StarganConfig = field(
        default_factory=StarganConfig,
        metadata={
            "rule": Rule(
                "side of the crops: 128 or 256", option="size", parse=_network_of, kind=int
            )
        },
    )
    noise: float = 0.0  # labels have none
    source: str = "paper"  # there is one
    watch_from: int = 0  # no attention, no collapse of it

    def draws(self, pictures: RatedPictures, rows: slice) -> BatchSampler:
        """Batches of such pictures; rows: those of this process."""
        return LabelSampler(pictures, self.network.size, self.batch, 0.0, self.seed, rows)

    @property
    def objective(self) -> ObjectiveWeights:
        """How much each term counts: 1 (`classes`), 10 and 10 in the paper, section 3.1."""
        return ObjectiveWeights(self.classes, 0.0, False, 0.0)


@dataclass(frozen=True)
class LabelSampler(BatchSampler):
    """Batches of labelled pictures, all expressions being asked for equally often."""

    def draws(self, step: int) -> Draws:
        """See BatchSampler.draws."""
        drawn, random = super().draws(step), np.random.default_rng((self.seed, 3, step))
        asked = random.integers(0, len(EXPRESSIONS), self.batch)[self.rows]
        return replace(drawn, target=torch.eye(len(EXPRESSIONS))[torch.from_numpy(asked)])


def train(settings: StarganTraining, run: Run) -> Path:
    """Train on any rated pictures; returns the path of the weights, `out/stargan.safetensors`.

    Pictures between the expressions are left out. Otherwise as `ganimation.train`. Raises
    MemegenError where too few pictures show one of the expressions.
    """
    checked(settings)
    if run.resume:
        checkpoint.required(run.out)
    ready_to_train(settings.seed)
    settings = replace(settings, network=replace(settings.network, skip=settings.skip))
    with processes(run.device or torch.device("cpu")) as team:
        say = run.log if team.rank == 0 else silent
        with team.first_alone():
            pictures = load_rated(run.data, say)
        labelled = Rated(*(labelled_of(part) for part in pictures))
        if len(labelled.train) < FEWEST:
            raise MemegenError(
                f"{run.data}: {len(labelled.train)} pictures show one of the "
                f"{len(EXPRESSIONS)} expressions plainly, {FEWEST} are the least"
            )
        counts = labelled.train.units.sum(0).astype(int)
        shown = (f"{e.name} {n}" for e, n in zip(EXPRESSIONS, counts, strict=True))
        say(f"expressions: {', '.join(shown)}")
        held_out = labelled.held_out if len(labelled.held_out) else labelled.train
        return Loop(
            StarganTask(settings, team, Rated(labelled.train, held_out), run.init), run, team
        )()


def labelled_of(pictures: RatedPictures) -> RatedPictures:
    """Those that show one expression, with its label (N, 8) for action units."""
    labels = labels_of(pictures.units)
    rows = np.flatnonzero(labels != UNLABELLED)
    return RatedPictures(
        [pictures.names[row] for row in rows],
        [pictures.files[row] for row in rows],
        np.eye(len(EXPRESSIONS), dtype=np.float32)[labels[rows]],
    )


class StarganTask(GanimationTask):
    """GANimation's task, told expressions instead of action units."""

    name = "stargan"
    au_order = ", ".join(kind.name for kind in EXPRESSIONS)
    read_error = staticmethod(classification_error)

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """See GanimationTask.networks."""
        config = self.settings.network
        assert isinstance(config, StarganConfig)
        return StarganNet(config), StarganDiscriminator(config)

    def begin(self, state: Mapping[str, object]) -> None:
        """Choose what is shown: neutral faces of the held-out, as far as there are any."""
        held_out, size = self._data.held_out, self.settings.network.size
        order = np.argsort(-held_out.units[:, NEUTRAL], kind="stable")
        chosen = np.resize(order, SHOWN)
        crops = np.stack([held_out.picture(int(row), size) for row in chosen])
        self._photos = as_photos(torch.from_numpy(crops).permute(0, 3, 1, 2)).to(self.team.device)

    def refuse_collapse(self, step: int, figures: Mapping[str, float]) -> None:
        """There is no attention that could."""

    def write_sheet(self, path: Path) -> None:
        """One row a photo: as it is, then every expression in the order of the table."""
        network, photos = self.network, self._photos
        network.eval()
        with torch.inference_mode():
            labels = torch.eye(len(EXPRESSIONS), device=photos.device)[:, None]
            asked = labels.expand(-1, len(photos), -1)
            columns = [photos, *(network(photos, label)[1] for label in asked)]
        network.train()
        write_columns(path, [(column + 1) / 2 for column in columns])

    def line(self, figures: Mapping[str, float]) -> str:
        """See Task.line."""
        names = ("distance", "units of real", "units", "cycle", "change")
        return "  ".join(f"{name} {figures[name]:.3f}" for name in names if name in figures)
