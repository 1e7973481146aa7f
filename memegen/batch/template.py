"""Names of outputs: `out/{stem}_{recipe}.{ext}`, with the format specifications of Python."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from pathlib import Path

from memegen.errors import UsageError, nearest
from memegen.files import NAME_BYTES

USUAL = "{folder}/{stem}_{recipe}.{ext}"
IN_FOLDER = "{stem}_{recipe}.{ext}"
FIELDS = {
    "stem": "the photo's name without its suffix",
    "suffix": "the photo's suffix, without the dot",
    "folder": "the folder the photo is in, as it was given",
    "parent": "the name of that folder alone",
    "recipe": "the recipe's name, `au` for an expression",
    "ext": "suffix of the output's format, without the dot",
    "number": "number of the job in the batch, from 1; `{number:04d}` pads it",
    "size": "`--size`, or `full`",
    "model": "the model's name",
}


def check(template: str) -> None:
    """Raise UsageError for braces that do not fit and for unknown fields."""
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise UsageError(f"output '{template}': {error}; write {{{{ for a brace") from None
    for name in names:
        if name not in FIELDS:
            known = ", ".join(FIELDS)
            raise UsageError(
                f"output '{template}': unknown field '{{{name}}}'{nearest(name, FIELDS)} "
                f"(known: {known})"
            )


def whole(out: str | None) -> str:
    """The template that `-o` says: itself, a folder's, or the usual one."""
    if out is None:
        return USUAL
    if out.endswith(("/", os.sep)) or ("{" not in out and Path(out).is_dir()):
        folder = out.rstrip("/" + os.sep) or os.sep
        return f"{folder}/{IN_FOLDER}"
    return out


def fill(template: str, values: Mapping[str, str | int]) -> str:
    """The path that a checked template gives; a name that is too long loses the stem's end."""
    values = dict(values)
    while True:
        try:
            path = template.format_map(values)
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            raise UsageError(f"output '{template}': {error}") from None
        stem = str(values["stem"])
        if len(os.fsencode(Path(path).name)) <= NAME_BYTES or len(stem) <= 1:
            return path
        values["stem"] = stem[:-1]
