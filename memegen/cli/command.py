"""Commands whose options have defaults in files and in the environment, and which explain them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from memegen.cli.console import as_options
from memegen.cli.defaults import Defaults
from memegen.errors import MemegenError

HELP = "memegen.help"
META = "memegen.defaults"  # where a context and those below it keep them
# Options that a nearer one takes the place of: what was chosen once and for all says nothing where
# the command line chooses otherwise.
YIELDS = {
    "recipe": ("au",),
    "au": ("recipe",),
    "fmt": ("platform", "out"),
    "platform": ("fmt", "out"),
    "mark_text": ("mark",),
}


class Root(TyperGroup):
    """memegen itself."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; whether help is all that is wanted is kept for `wants_help`."""
        ctx.meta[HELP] = any(arg in ctx.help_option_names for arg in args)
        return super().parse_args(ctx, args)


class Command(TyperCommand):
    """A command of memegen."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; then settings that something nearer excludes are forgotten."""
        left = super().parse_args(ctx, args)
        for name, stronger in YIELDS.items():
            if name in ctx.params and any(_is_nearer(ctx, other, name) for other in stronger):
                param = next(p for p in self.params if p.name == name)
                ctx.params[name] = param.default
        return left

    def invoke(self, ctx: Any) -> Any:
        """Run; an error about an option that was not typed says where it comes from."""
        try:
            return super().invoke(ctx)
        except MemegenError as error:
            text = as_options(str(error))
            origins = [
                setting.origin
                for param in self.params
                if (setting := _setting(ctx, param.name)) and _names(text, param.opts)
            ]
            if not origins:
                raise
            raise type(error)(f"{text} ({', '.join(origins)})") from error


def wants_help(ctx: Any) -> bool:
    """Whether help is asked for, of whichever command."""
    return bool(ctx.meta.get(HELP))


def set_defaults(ctx: Any, defaults: Defaults) -> None:
    """Let the commands below a context have these defaults."""
    ctx.meta[META] = defaults
    ctx.default_map = defaults.as_map()


def path_of(ctx: Any) -> tuple[str, ...]:
    """The names of a context's command, without memegen's own."""
    names: list[str] = []
    while ctx.parent is not None:
        names.insert(0, ctx.info_name)
        ctx = ctx.parent
    return tuple(names)


def is_said(ctx: typer.Context, name: str) -> bool:
    """Whether a parameter was typed on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _setting(ctx: Any, name: str | None) -> Any:
    """What is set for a parameter that was not typed."""
    defaults = ctx.meta.get(META)
    if defaults is None or name is None or is_said(ctx, name):
        return None
    return defaults.of(path_of(ctx), name)


def _is_nearer(ctx: Any, other: str, name: str) -> bool:
    """Whether another parameter was set by what comes before what set this one."""
    own, value = _setting(ctx, name), ctx.params.get(other)
    if own is None or value is None or (other == "out" and not Path(str(value)).suffix):
        return False
    if is_said(ctx, other):
        return True
    set_ = _setting(ctx, other)
    return set_ is not None and set_.rank > own.rank


def _names(text: str, opts: Sequence[str]) -> bool:
    words = text.replace(":", " ").replace(",", " ").split()
    return any(opt in words for opt in opts if opt.startswith("--"))
