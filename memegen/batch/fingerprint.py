"""The hash of everything that an output is made of: SHA-256 of photo, settings, recipe, weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

from memegen import __version__, recipes, weights
from memegen.batch.jobs import Job
from memegen.media.formats import output_format


class Fingerprints:
    """Fingerprints of jobs. Files are read once each: make a new one for every run."""

    def __init__(self) -> None:
        self._weights = cache(_weights)
        self._recipe = cache(_recipe)
        self._last_photo = ("", "")  # the jobs of a photo come one after the other

    def of(self, job: Job) -> str:
        """The fingerprint of a job. Raises OSError where its photo cannot be read."""
        if self._last_photo[0] != job.photo:
            self._last_photo = (job.photo, _file(Path(job.photo)))
        made_of = {
            "photo": self._last_photo[1],
            "recipe": self._recipe(job.recipe) if job.au is None else None,
            "au": job.au,
            "settings": asdict(job.settings),
            "format": output_format(job.out, job.settings.format).suffix,
            "weights": self._weights(job.settings.model),
            "program": __version__,
        }
        text = json.dumps(made_of, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _file(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _recipe(name: str) -> list[str]:
    return [recipes.read(part) for part in recipes.parts(name)]


def _weights(model: str) -> dict[str, str]:
    """Hashes of the weights that frames depend on: the shipped ones, and a model's own."""
    own = Path(model)
    files = [weights.find(name) for name in weights.SHIPPED]
    if own.suffix == ".safetensors":
        files.append(own)
    elif own.is_dir():
        files += sorted(own.glob("*.safetensors"))
    return {str(file.name): _file(file) for file in files if file.is_file()}
