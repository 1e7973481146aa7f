"""The visible mark on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from memegen.captions.caption import MARK

Mark = Annotated[
    bool | None,
    typer.Option("--mark/--no-mark", help=f"A small '{MARK}' in a corner, off the face."),
]
MarkText = Annotated[
    str | None, typer.Option("--mark-text", help="The same with a text of your own.")
]


def mark_asked(mark: bool | None, text: str | None) -> str | None:
    """The mark that `--mark` and `--mark-text` ask for; a text asks for one by itself.

    None where nothing is asked for, an empty text where `--no-mark` wants none.
    """
    if mark is None:
        return text or None
    return (text or MARK) if mark else ""
