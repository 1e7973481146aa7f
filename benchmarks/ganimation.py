"""Training of GANimation beside a plain loop of the same networks, in one run.

    python benchmarks/ganimation.py DATA [--rounds 3] [--device cpu]

A round is five steps of the discriminator and one of the generator on batches of 25 at 128 px. The
plain loop is the one of textbooks: float32, contiguous tensors, one process that reads its pictures
itself, one pass of the discriminator for real and one for generated photos, Adam as it comes. Both
see the same batches, in processes of their own that work in turn.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from memegen.facedata.rated import load_rated
from memegen.generators.ganimation import GanimationDiscriminator, GanimationNet, PatchConv2d, blend
from memegen.prefetch import prefetch
from memegen.process import flush_denormals, keep_freed_memory
from memegen.training.adversaries import gradient_penalty
from memegen.training.batches import Batch
from memegen.training.ganimation import GanimationTask, GanimationTraining
from memegen.training.processes import Alone
from memegen.training.wasserstein import attention_penalty, au_error, total_variation

LOOPS = ("plain", "memegen")
WARM_UP = 2  # rounds


class PlainNet(GanimationNet):
    """The generator with a convolution for each head."""

    def forward(self, photo: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
        tiled = units[:, :, None, None].expand(-1, -1, *photo.shape[2:])
        x = self.trunk(torch.cat([photo, tiled], 1))
        return torch.sigmoid(self.attention(x)), torch.tanh(self.colour(x))


def plain_discriminator() -> GanimationDiscriminator:
    discriminator = GanimationDiscriminator()
    for module in discriminator.modules():
        if isinstance(module, PatchConv2d):
            module.__class__ = nn.Conv2d
    return discriminator


class PlainLoop:
    """Both networks, taught as directly as possible."""

    def __init__(self, settings: GanimationTraining, device: torch.device) -> None:
        self.weights = settings.objective
        self.generator, self.discriminator = PlainNet().to(device), plain_discriminator().to(device)
        self.optimizers = [
            torch.optim.Adam(net.parameters(), settings.lr, settings.betas)
            for net in (self.generator, self.discriminator)
        ]

    def learn(self, batch: Batch, both: bool) -> None:
        self.discriminator_step(batch)
        if both:
            self.generator_step(batch)

    def discriminator_step(self, batch: Batch) -> Tensor:
        w, optimizer = self.weights, self.optimizers[1]
        with torch.no_grad():
            generated = blend(batch.photo, *self.generator(batch.photo, batch.target))
        real, units = self.discriminator(batch.photo)
        fake, _ = self.discriminator(generated)
        penalty = gradient_penalty(self.discriminator, batch.photo, generated, batch.mix)
        loss = fake.mean() - real.mean() + w.penalty * penalty
        loss = loss + w.units * au_error(units, batch.source)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def generator_step(self, batch: Batch) -> Tensor:
        w, optimizer = self.weights, self.optimizers[0]
        there, colour = self.generator(batch.photo, batch.target)
        generated = blend(batch.photo, there, colour)
        back, colour = self.generator(generated, batch.source)
        again = blend(generated, back, colour)
        verdict, units = self.discriminator(generated)
        loss = w.units * au_error(units, batch.target) - verdict.mean()
        loss = loss + w.cycle * (again - batch.photo).abs().mean()
        for attention in (there, back):
            loss = loss + w.attention * attention_penalty(attention, w.attention_squared)
            loss = loss + w.total_variation * total_variation(attention)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss


def work(which: str, data: Path, device: torch.device) -> None:
    """In a process of its own: a line for each round, one round for each line that is read."""
    flush_denormals()
    torch.manual_seed(0)
    settings = GanimationTraining()
    pictures = load_rated(data)
    draw = settings.draws(pictures.train, slice(settings.batch))
    learn: Callable[[Batch, bool], object]
    batches: Iterator[Batch]
    if which == "plain":
        learn, batches = PlainLoop(settings, device).learn, map(draw, count())
    else:
        keep_freed_memory()
        learn = GanimationTask(settings, Alone(device), pictures).learn
        batches = prefetch(draw, range(10_000), workers=2, depth=4)
    every = settings.generator_every
    for _ in sys.stdin:
        start = time.perf_counter()
        for step in range(every):
            learn(next(batches).to(device), step == every - 1)
        if device.type == "cuda":
            torch.cuda.synchronize()
        print(every * settings.batch / (time.perf_counter() - start), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", choices=LOOPS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(asked.work, asked.data, torch.device(asked.device))
        return
    workers = {
        which: subprocess.Popen(
            [sys.executable, *sys.argv, "--work", which],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for which in LOOPS
    }  # fmt: skip
    rates: dict[str, list[float]] = {which: [] for which in LOOPS}
    for around in range(WARM_UP + asked.rounds):
        for which, worker in workers.items():
            assert worker.stdin and worker.stdout
            print(file=worker.stdin, flush=True)
            rate = float(worker.stdout.readline())
            if around >= WARM_UP:
                rates[which].append(rate)
    for worker in workers.values():
        worker.kill()
    middle = {which: float(np.median(found)) for which, found in rates.items()}
    for which, rate in middle.items():
        print(f"{which:8} {rate:7.2f} images a second")
    print(f"ratio {middle['memegen'] / middle['plain']:.2f}")


if __name__ == "__main__":
    main()
