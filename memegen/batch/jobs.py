"""What a batch is made of: plain values, which any engine can send to another process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum
from typing import Any

import yaml

from memegen import models, recipes
from memegen.captions.caption import BARS, MARK, checked_mark
from memegen.captions.options import CaptionOptions
from memegen.errors import UsageError
from memegen.media.formats import Format, format_of
from memegen.media.platforms import platform_named
from memegen.media.sizes import MAX_SIDE, MIN_SIDE, checked_side, parse_size
from memegen.nodes import NodeReader

Kind = Callable[[NodeReader, yaml.Node], Any]
MOST_INTENSITY = 3.0


def _text(reader: NodeReader, node: yaml.Node) -> str:
    return reader.text(node)


def _flag(reader: NodeReader, node: yaml.Node) -> bool:
    return reader.flag(node)


def _mark(reader: NodeReader, node: yaml.Node) -> str:
    """A text, or whether the usual one is wanted."""
    if reader.text(node).lower() in ("true", "false"):
        return MARK if reader.flag(node) else ""
    return checked_mark(reader.text(node))


def _number(low: float, high: float) -> Kind:
    return lambda reader, node: reader.number(node, low, high)


def _pixels(reader: NodeReader, node: yaml.Node) -> int:
    value = reader.number(node, MIN_SIDE, MAX_SIDE)
    if not value.is_integer():
        raise reader.fail(node, f"{value:g} is no whole number of pixels")
    return int(value)


def _setting(default: Any, kind: Kind) -> Any:
    """A field: its default, and how it is read from YAML."""
    return field(default=default, metadata={"kind": kind})


@dataclass(frozen=True)
class Settings:
    """How a photo is animated and written: the options of `memegen animate` of the same names.

    All of them count for whether an output is up to date. To add an option, add a field here, an
    option in `memegen.cli.batch`, and what it does in `memegen.batch.worker`.
    """

    face: str = _setting("largest", _text)
    intensity: float = _setting(1.0, _number(0, MOST_INTENSITY))
    fps: float | None = _setting(None, _number(1, recipes.MAX_FPS))
    duration: float | None = _setting(None, _number(0.1, recipes.MAX_SECONDS))
    size: int | None = _setting(None, _pixels)
    max_size: str | None = _setting(None, _text)
    loop: bool | None = _setting(None, _flag)
    still: bool = _setting(False, _flag)
    crop: str | None = _setting(None, _text)
    cutout: str | None = _setting(None, _text)
    platform: str | None = _setting(None, _text)  # `--for`
    mark: str | None = _setting(None, _mark)  # text in a corner; empty: none
    format: str | None = _setting(None, _text)
    model: str = _setting(models.DEFAULT, _text)
    top: str | None = _setting(None, _text)
    bottom: str | None = _setting(None, _text)
    caption: str | None = _setting(None, _text)
    caption_at: str = _setting(BARS[0], lambda reader, node: reader.word(node, BARS))
    caption_style: str | None = _setting(None, _text)
    font: str | None = _setting(None, _text)

    def check(self) -> None:
        """Raise UsageError for a value that cannot be."""
        recipes.check_ranges(self.intensity, self.fps, self.duration)
        if self.size is not None:
            checked_side(self.size)
        if self.max_size is not None:
            parse_size(self.max_size)
        if self.format is not None:
            format_of(self.format)
        if self.mark:
            checked_mark(self.mark)
        if self.crop is not None:
            from memegen.crop import checked_crop

            checked_crop(self.crop)
        if self.cutout is not None:
            from memegen.cutout.asked import checked_cutout

            checked_cutout(self.cutout)
        if self.face not in ("largest", "all"):
            from memegen.faces.choose import parse_choice

            parse_choice(self.face)
        self.captions.check()

    @property
    def captions(self) -> CaptionOptions:
        """The captions that are asked for, beside those of the recipe."""
        said = {row.name: getattr(self, row.name) for row in fields(CaptionOptions)}
        return CaptionOptions(**said)

    def on_platform(self) -> Settings:
        """The same with what the platform asks for; the settings themselves where none is named.

        Raises UsageError for a platform that is not known, or of another format.
        """
        if self.platform is None:
            return self
        wanted = platform_named(self.platform)
        if self.format is not None and format_of(self.format) is not wanted.output:
            raise UsageError(
                f"`platform` {self.platform} is a {wanted.output.suffix}, not {self.format}"
            )
        limit = min(parse_size(self.max_size) if self.max_size else wanted.bytes, wanted.bytes)
        crop = self.crop or (wanted.crop if self.cutout is None else None)
        return replace(self, format=wanted.format, crop=crop, max_size=str(limit))

    def side(self, fmt: Format) -> int | None:
        """The longest side of frames, in pixels, as `memegen animate` has it; None: the photo's."""
        if self.size is not None or self.still:
            return self.size
        if self.platform is not None:
            wanted = platform_named(self.platform)
            return max(wanted.exact or wanted.most or (fmt.default_side,)) or None
        return fmt.default_side or None


KINDS: dict[str, Kind] = {row.name: row.metadata["kind"] for row in fields(Settings)}


@dataclass(frozen=True)
class Request:
    """Some photos, each with some recipes, or with one expression instead."""

    photos: tuple[str, ...]
    recipes: tuple[str, ...] = ("smile",)
    au: str | None = None
    out: str | None = None  # template of the outputs' names; None: beside the photos
    settings: Settings = Settings()
    origin: str = ""  # where it stands, for messages: `jobs.yaml:3`


@dataclass(frozen=True)
class Job:
    """One photo that plays one recipe, into one file."""

    photo: str
    recipe: str
    au: str | None  # an expression instead
    out: str
    settings: Settings = Settings()

    @property
    def played(self) -> str:
        """The recipe or the expression, as it was asked for."""
        return self.recipe if self.au is None else self.au


class State(str, Enum):
    """How a job ended."""

    DONE = "done"
    CURRENT = "current"  # was up to date already
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """How a job went."""

    job: Job
    state: State
    seconds: float = 0.0  # of work on it; what it shared with others counts for who came first
    bytes: int = 0  # of the output
    error: str = ""  # one line
    exit_code: int = 0  # what `memegen animate` would have ended with

    def as_json(self) -> dict[str, Any]:
        """What `--json` says of it."""
        job = self.job
        about = {"photo": job.photo, "recipe": None if job.au else job.recipe, "au": job.au}
        rest = {k: v for k, v in asdict(self).items() if k not in ("job", "state")}
        rest["seconds"] = round(self.seconds, 3)
        return about | {"out": job.out, "state": self.state.value} | rest
