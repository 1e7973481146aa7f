"""How near driven photos come to real ones of the same people: landmarks, pixels, identity.

Pairs are those of `memegen evaluate pairs`. Light and pose of a second photo are its own, so that
no picture can be equal to it: what doing nothing gives (`still`) is the measure of every figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from memegen.arrays import Picture
from memegen.errors import MemegenError
from memegen.evaluation import identity, real
from memegen.evaluation.measures import REGIONS, Perceptual, mean_over, psnr, regions, structure
from memegen.perception.analyze import FaceAnalyzer
from memegen.pipeline import Animator

MEASURES = ("ssim", "psnr", "perceptual")
REGION_FIGURES = tuple(f"{measure}_{region}" for region in REGIONS for measure in MEASURES)
PEOPLE = 800  # that the ruler of identity is fitted on: a minute, where all take several
LEAST_REGION = 16.0  # pixels of a region that is compared: a shut mouth has none


@dataclass(frozen=True)
class PairScale:
    """Pairs as a judge sees them, and what pictures are measured with."""

    seen: list[real.DrivenPair]
    look: real.Look
    ruler: Perceptual
    person: identity.Identity | None  # None: nobody is known twice in the data

    @classmethod
    def of(cls, data: Path, count: int, look: real.Look, analyzer: FaceAnalyzer) -> PairScale:
        """`count` pairs of a folder of shards. Raises MemegenError where the judge sees none."""
        seen = real.pairs_seen(data, count, look, analyzer)
        try:
            person = identity.fit(data, analyzer.network, PEOPLE)
        except MemegenError:  # all other figures can be had
            person = None
        return cls(seen, look, Perceptual(), person)

    def still(self) -> dict[str, float]:
        """The figures of a generator that changes nothing."""
        return self._figures(real.still(self.seen))

    def figures(self, animator: Animator) -> dict[str, float]:
        """Of every first photo, driven by what perception reads in the second: see `_figures`."""
        return self._figures(real.play(animator, self.seen, self.look))

    def _figures(self, driven: Sequence[real.Driven]) -> dict[str, float]:
        """`lips` (IOD), `identity` (cosine distance from the first photo), and by region.

        ssim of luma, psnr (decibels) and perceptual distance from the second photo: REGION_FIGURES.
        """
        report = real.report_of(self.seen, driven)["all"]
        values: dict[str, list[float]] = {}
        for each, (mine, _) in zip(self.seen, driven, strict=True):
            if mine is None:
                continue
            if self.person is not None:
                distance = self.person.distance(_tensor(mine.picture), _tensor(each.first.picture))
                values.setdefault("identity", []).append(distance)
            for name, value in self._by_region(mine.picture, each.second).items():
                values.setdefault(name, []).append(value)
        means = {name: float(np.mean(found)) for name, found in values.items()}
        return means | {name: report[name] for name in ("lips",) if name in report}

    def _by_region(self, picture: Picture, real_face: real.Face) -> dict[str, float]:
        true, found = real_face.picture, dict[str, float]()
        if picture.shape != true.shape:
            size = (true.shape[1], true.shape[0])
            picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
        one, other = picture.astype(np.float32), true.astype(np.float32)
        alike = structure(one, other)
        for region, weight in regions(real_face.landmarks, true.shape[0]).items():
            if weight.sum() < LEAST_REGION:
                continue
            found[f"ssim_{region}"] = mean_over(alike, weight)
            found[f"psnr_{region}"] = psnr(one, other, weight)
            share = torch.from_numpy(weight)
            distance = self.ruler(_tensor(picture), _tensor(true), share)
            found[f"perceptual_{region}"] = distance
        return found


def _tensor(picture: Picture) -> Tensor:
    """(H, W, 3) of 0..255 to (1, 3, H, W) of 0..1."""
    flat = np.ascontiguousarray(picture[..., :3].transpose(2, 0, 1)[None])
    return torch.from_numpy(flat).float() / 255
