"""The hash of everything that an output is made of.

SHA-256 of the photo, the recipe's text or the expression, the settings (captions too), the weights,
what the platform asks for, and every font that may draw a caption: one more of the system, or one
that is gone, counts where it would be seen.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

from memegen import __version__, recipes, weights
from memegen.batch.jobs import Job
from memegen.captions.caption import Caption
from memegen.captions.fonts import files_used
from memegen.captions.frames import spoken
from memegen.media.formats import output_format
from memegen.media.platforms import platform_named

NOT_IN_OUTPUT = ("source", "as_of")  # of a platform: where its limits are written


class Fingerprints:
    """Fingerprints of jobs. Files are read once each: make a new one for every run."""

    def __init__(self) -> None:
        self._weights = cache(_weights)
        self._recipe = cache(_recipe)
        self._captions = cache(_captions)
        self._platform = cache(_platform)
        self._fonts = cache(_fonts)
        self._file = cache(_file)  # of fonts
        self._last_photo = ("", "")  # the jobs of a photo come one after the other

    def of(self, job: Job) -> str:
        """The fingerprint of a job. Raises OSError where a file of it cannot be read."""
        if self._last_photo[0] != job.photo:
            self._last_photo = (job.photo, _file(Path(job.photo)))
        made_of = {
            "photo": self._last_photo[1],
            "recipe": self._recipe(job.recipe) if job.au is None else None,
            "au": job.au,
            "settings": asdict(job.settings),
            "format": output_format(job.out, job.settings.format).suffix,
            "weights": self._weights(job.settings.model),
            "platform": self._platform(job.settings.platform),
            "fonts": self._fonts_of(job),
            "program": __version__,
        }
        text = json.dumps(made_of, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _fonts_of(self, job: Job) -> list[str]:
        """Hashes of the files that may draw the captions of a job."""
        files: set[Path] = set()
        written = self._captions(job.recipe) if job.au is None else []
        for caption in job.settings.captions.beside(written):
            files |= self._fonts(caption.style.font, spoken(caption).text)
        return sorted(map(self._file, files))


def _file(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _recipe(name: str) -> list[str]:
    return [recipes.read(part) for part in recipes.parts(name)]


def _captions(recipe: str) -> list[Caption]:
    return [caption for part in recipes.parts(recipe) for caption in recipes.load(part).captions]


def _fonts(name: str, text: str) -> frozenset[Path]:
    return frozenset(font.path for font in files_used(name, text))


def _platform(name: str | None) -> dict[str, object] | None:
    if name is None:
        return None
    row = asdict(platform_named(name))
    return {key: value for key, value in row.items() if key not in NOT_IN_OUTPUT}


def _weights(model: str) -> dict[str, str]:
    """Hashes of the weights that frames depend on: the shipped ones, and a model's own."""
    own = Path(model)
    files = [weights.find(name) for name in weights.SHIPPED]
    if own.suffix == ".safetensors":
        files.append(own)
    elif own.is_dir():
        files += sorted(own.glob("*.safetensors"))
    return {str(file.name): _file(file) for file in files if file.is_file()}
