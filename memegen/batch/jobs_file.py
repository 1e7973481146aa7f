"""Batches as YAML: what photos, which recipes, how, and where to.

    defaults: {size: 320, out: "out/{stem}_{recipe}.{ext}"}
    jobs:
      - {photos: [party/, me.jpg, "more/*.png"], recipes: [smile, wink], intensity: 1.2}
      - {photo: cat.jpg, au: "AU12=4,AU6=2", format: webp, max_size: 500kB, top: "Monday"}

A list of jobs alone is one too. Paths begin at the folder of the file. Every job takes the keys of
`memegen.batch.jobs.Settings`; what it does not say, `defaults` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from memegen.batch import template
from memegen.batch.jobs import KINDS, Request, Settings
from memegen.batch.planning import photos_of
from memegen.captions.system_fonts import SUFFIXES as FONTS
from memegen.errors import UsageError
from memegen.nodes import NodeReader, compose_yaml

PHOTOS = ("photo", "photos")
SHARED = ("recipe", "recipes", "au", "out", *KINDS)  # what `defaults` may say too
SUFFIXES = (".yaml", ".yml")
FILES = {"font": FONTS, "model": (".safetensors",)}  # settings that may name one, by its suffix


def read_jobs(path: Path, over: Mapping[str, Any] | None = None) -> list[Request]:
    """The requests of a file. Raises UsageError that names the line.

    over: settings, `recipes`, `au` and `out` that take the place of the file's defaults.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{path}: cannot read the jobs ({reason})") from None
    root = compose_yaml(text, str(path))
    if root is None:
        raise UsageError(f"{path}: there are no jobs")
    return _Reader(path).requests(root, dict(over or {}))


class _Reader(NodeReader):
    """Requests from their nodes."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._base = path.parent

    def requests(self, root: yaml.Node, over: dict[str, Any]) -> list[Request]:
        """All of a file."""
        defaults: dict[str, Any] = {}
        jobs = root
        if isinstance(root, yaml.MappingNode):
            top = self.mapping(root, ("defaults", "jobs"))
            if "jobs" not in top:
                raise self.fail(root, "a batch needs jobs")
            if "defaults" in top:
                defaults = self.values(top["defaults"], ())
            jobs = top["jobs"]
        defaults = _over(defaults, over)
        return [self.request(node, defaults) for node in self.sequence(jobs, "job")]

    def request(self, node: yaml.Node, defaults: dict[str, Any]) -> Request:
        """One entry of the list."""
        own = self.values(node, PHOTOS)
        if "photos" not in own:
            raise self.fail(node, "a job needs 'photo' or 'photos'")
        said = _over(defaults, own)
        settings = {name: said[name] for name in KINDS if name in said}
        try:
            made = Settings(**settings)
            made.check()
            template.check(template.whole(said.get("out")))
            recipes = tuple(said.get("recipes", ("smile",)))
            photos = tuple(p for text in own["photos"] for p in photos_of(text, self._base))
        except UsageError as error:
            raise self.fail(node, str(error)) from None
        origin = f"{self._source}:{node.start_mark.line + 1}"
        return Request(photos, recipes, said.get("au"), said.get("out"), made, origin)

    def values(self, node: yaml.Node, more: tuple[str, ...]) -> dict[str, Any]:
        """What an entry says, its singular and plural keys under the plural."""
        fields = self.mapping(node, (*more, *SHARED))
        for one, many in (("photo", "photos"), ("recipe", "recipes")):
            if one in fields and many in fields:
                raise self.fail(fields[many], f"'{one}' and '{many}' are the same: give one")
        if "au" in fields and ("recipe" in fields or "recipes" in fields):
            raise self.fail(fields["au"], "give a recipe or 'au', not both")
        said: dict[str, Any] = {}
        for name, value in fields.items():
            if name in ("photo", "photos"):
                said["photos"] = self.texts(value, "photo")
            elif name in ("recipe", "recipes"):
                said["recipes"] = [
                    self.located(text, SUFFIXES) for text in self.texts(value, "recipe")
                ]
            elif name == "au":
                said[name] = self.text(value)
            elif name == "out":
                said[name] = str(self._base / self.text(value)) + self.ending(value)
            elif name in FILES:
                said[name] = self.located(KINDS[name](self, value), FILES[name])
            else:
                said[name] = KINDS[name](self, value)
        return said

    def texts(self, node: yaml.Node, what: str) -> list[str]:
        """One text, or a list of some."""
        if isinstance(node, yaml.ScalarNode):
            return [self.text(node)]
        return [self.text(item) for item in self.sequence(node, what)]

    def located(self, name: str, suffixes: tuple[str, ...]) -> str:
        """A name, or where it has one of the suffixes, the file from this one's folder."""
        return str(self._base / name) if name.lower().endswith(suffixes) else name

    def ending(self, node: yaml.Node) -> str:
        """The slash that says of a path that it is a folder, which Path drops."""
        return "/" if self.text(node).endswith("/") else ""


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Values, those of `above` first; recipe and expression are one choice."""
    kept = dict(below)
    if "au" in above:
        kept.pop("recipes", None)
    if "recipes" in above:
        kept.pop("au", None)
    return kept | above
