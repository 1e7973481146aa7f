"""What the shell completes beside commands and options: names. No network is loaded for it."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable

Completer = Callable[[str], list[tuple[str, str]]]
USUAL_INTENSITY = 3  # of an action unit that is completed, 0..5


def among(names: Callable[[], Iterable[str]]) -> Completer:
    """Completes one of some names."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return [(name, "") for name in names() if name.startswith(incomplete)]

    return complete


def recipe(incomplete: str) -> list[tuple[str, str]]:
    """Recipes by name, after + and commas too, and files of some."""
    from memegen import recipes

    before, last = _last(incomplete, "+,")
    found = [(before + name, "") for name in recipes.names() if name.startswith(last)]
    return found + [(before + file, "") for file in _files(last, (".yaml", ".yml"))]


def expression(incomplete: str) -> list[tuple[str, str]]:
    """Action units of `AU12=4,AU6=2`."""
    from memegen.aus import TABLE

    before, last = _last(incomplete, ",")
    return [
        (f"{before}{au.name}={USUAL_INTENSITY}", au.facs_name)
        for au in TABLE
        if au.name.lower().startswith(last.lower()) and "=" not in last
    ]


def model(incomplete: str) -> list[tuple[str, str]]:
    """Models that make frames and come along."""
    from memegen.models import MODELS

    return [
        (one.name, one.summary)
        for one in MODELS.values()
        if one.generator and (one.shipped or not one.network) and one.name.startswith(incomplete)
    ]


def platform(incomplete: str) -> list[tuple[str, str]]:
    """Platforms of `--for`."""
    from memegen.media.platforms import platforms

    return [
        (name, f"{one.format}, at most {one.bytes // 1000} kB")
        for name, one in platforms().items()
        if name.startswith(incomplete)
    ]


def _formats() -> list[str]:
    from memegen.media.formats import FORMATS

    return [fmt.suffix.lstrip(".") for fmt in FORMATS]


def _crops() -> tuple[str, ...]:
    from memegen.crop import CROPS

    return CROPS


def _fonts() -> list[str]:
    from memegen.captions.fonts import SHIPPED

    return list(SHIPPED)


def _styles() -> list[str]:
    from memegen.captions.style import STYLES

    return list(STYLES)


def _devices() -> tuple[str, ...]:
    from memegen.devices import DEVICES

    return DEVICES


def _weights() -> list[str]:
    from memegen import weights

    return sorted(path.stem for path in weights.chosen_folder().glob("*.safetensors"))


format_ = among(_formats)
crop = among(_crops)
font = among(_fonts)
caption_style = among(_styles)
weights = among(_weights)
bar = among(lambda: ("above", "below"))
face = among(lambda: ("largest", "all"))
device = among(_devices)
parts = among(lambda: ("mouth", "eyes", "brows", "head", "gaze"))


def _last(text: str, separators: str) -> tuple[str, str]:
    """What stands before the last name of a list, and that name."""
    cut = max((found.end() for found in re.finditer(f"[{separators}]", text)), default=0)
    return text[:cut], text[cut:]


def _files(beginning: str, suffixes: tuple[str, ...]) -> list[str]:
    found = glob.glob(glob.escape(beginning) + "*")  # noqa: PTH207 (as it was typed)
    return sorted(name for name in found if name.endswith(suffixes))
