"""Defaults of options: from the environment, `memegen.toml` nearby, and the user's own.

    model = "mesh"             # for animate, batch, transfer, preview, studio, serve, aus and faces
    for = "discord-sticker"

    [animate]                  # for one command
    recipe = "wink"

    [weights.export]
    format = "safetensors"

Those of `train`, which are made when they are asked for, are not among them.
The command line comes first, then MEMEGEN_ANIMATE_RECIPE and MEMEGEN_RECIPE, then the nearest
`memegen.toml` in this folder or above, then the user's. `MEMEGEN_CONFIG=FILE` takes the place of
both files; empty, no file is read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from memegen.errors import UsageError, nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "memegen.toml"
PREFIX = "MEMEGEN_"
# What is set without naming a command is for these.
SHARING = ("animate", "batch", "transfer", "preview", "studio", "serve", "aus", "faces")
# Variables of the environment that are read elsewhere, and are no options.
OTHERS = ("MEMEGEN_CONFIG", "MEMEGEN_WEIGHTS")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_FROM_HERE = ("./", "../", "~/")


@dataclass(frozen=True)
class Option:
    """An option of a command, as settings name it."""

    command: tuple[str, ...]  # `("weights", "list")`; empty for those of memegen itself
    key: str  # `max-size`
    param: Any  # click's Option
    owner: Any  # click's Command that has it

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of the environment that set it, the one for its command alone first."""
        own = "_".join((*self.command, self.key))
        names = [own, self.key] if self.shared else [own]
        return tuple(PREFIX + name.upper().replace("-", "_") for name in dict.fromkeys(names))

    @property
    def shared(self) -> bool:
        """Whether it is also set where no command is named."""
        return not self.command or (len(self.command) == 1 and self.command[0] in SHARING)


@dataclass(frozen=True)
class Setting:
    """A value for an option, and who says so."""

    value: Any
    origin: str  # `memegen.toml: [animate] fps`, `MEMEGEN_FPS`
    rank: int  # who is nearer to the command line has the higher one


@dataclass(frozen=True)
class Defaults:
    """All that is set, by command and name of parameter."""

    files: tuple[Path, ...]  # the nearest first
    options: tuple[Option, ...]  # all there are
    settings: Mapping[tuple[tuple[str, ...], str], Setting]

    def of(self, command: tuple[str, ...], name: str) -> Setting | None:
        """What is set for a parameter."""
        return self.settings.get((command, name))

    def as_map(self) -> dict[str, Any]:
        """As click's contexts take it: a mapping a command, nested."""
        whole: dict[str, Any] = {}
        for (command, name), setting in self.settings.items():
            inner = whole
            for part in command:
                inner = inner.setdefault(part, {})
            inner[name] = setting.value
        return whole


def files() -> list[Path]:
    """The files that are read, the nearest first. Raises UsageError for a named one that is not."""
    named = os.environ.get("MEMEGEN_CONFIG")
    if named is not None:
        if named and not Path(named).exists():
            raise UsageError(f"MEMEGEN_CONFIG={named}: no such file")
        return [Path(named)] if named else []
    here = Path.cwd()
    above = (folder / NAME for folder in (here, *here.parents))
    near = next((file for file in above if _is_file(file)), None)
    own = Path(typer.get_app_dir("memegen")) / NAME
    found = [near] if near else []
    return [*found, own] if _is_file(own) and own != near else found


def read_defaults(root: Any) -> Defaults:
    """All defaults for a command and its subcommands (click's Group).

    Raises UsageError naming file or variable, and key, for what is unknown or of the wrong type.
    """
    options = tuple(_options(root, ()))
    places = files()
    by_key = {(option.command, option.key): option for option in options}
    known = _Known(root, by_key)
    settings: dict[tuple[tuple[str, ...], str], Setting] = {}
    for rank, path in enumerate(reversed(places)):  # the nearer ones take the places of the others
        for option, setting in known.in_file(path, rank):
            settings[option.command, option.param.name] = setting
    for option in options:
        variable = next((v for v in option.variables if os.environ.get(v)), None)
        if variable is not None:
            value = _from_variable(option, variable, os.environ[variable])
            settings[option.command, option.param.name] = Setting(value, variable, len(places))
    return Defaults(tuple(places), options, settings)


def unknown_variables(defaults: Defaults) -> list[str]:
    """Variables of the environment that look like ours and set nothing."""
    known = {v for option in defaults.options for v in option.variables} | set(OTHERS)
    return sorted(v for v in os.environ if v.startswith(PREFIX) and v not in known)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be looked into
        return False


def _options(command: Any, path: tuple[str, ...]) -> Iterator[Option]:
    """The options of a command and of those below it; not --help and its like."""
    for param in command.params:
        if param.param_type_name == "option" and not param.is_eager:
            longest = max(param.opts, key=len)
            yield Option(path, longest.lstrip("-"), param, command)
    for name, below in getattr(command, "commands", {}).items():
        yield from _options(below, (*path, name))


@dataclass(frozen=True)
class _Known:
    """What files may say."""

    root: Any
    options: Mapping[tuple[tuple[str, ...], str], Option]

    def in_file(self, path: Path, rank: int) -> Iterator[tuple[Option, Setting]]:
        """What a file sets, that for a single command last."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{path}: cannot read ({error.strerror})") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: not TOML: {error}") from None
        named = {key: value for key, value in table.items() if self._is_command((key,))}
        for key, value in table.items():
            if key not in named:
                for option in self._shared(path, key):
                    yield option, _setting(option, value, path, key, rank)
        for key, value in named.items():
            yield from self._of_command(path, (key,), value, rank)

    def _of_command(
        self, path: Path, command: tuple[str, ...], table: Any, rank: int
    ) -> Iterator[tuple[Option, Setting]]:
        said = f"[{'.'.join(command)}]"
        if not isinstance(table, dict):
            raise UsageError(f"{path}: {command[-1]}: is a command, write {said} and options below")
        for key, value in table.items():
            if self._is_command((*command, key)):
                yield from self._of_command(path, (*command, key), value, rank)
                continue
            option = self.options.get((command, key.replace("_", "-")))
            if option is None:
                keys = [key_ for command_, key_ in self.options if command_ == command]
                raise UsageError(f"{path}: {said} {key}: unknown key{nearest(key, keys)}")
            yield option, _setting(option, value, path, f"{said} {key}", rank)

    def _shared(self, path: Path, key: str) -> list[Option]:
        """The options that a key outside of tables sets. Raises UsageError if there is none."""
        wanted = key.replace("_", "-")
        found = [o for o in self.options.values() if o.shared and o.key == wanted]
        if not found:
            keys = {o.key for o in self.options.values() if o.shared} | set(self.root.commands)
            raise UsageError(f"{path}: {key}: unknown key{nearest(wanted, sorted(keys))}")
        return found

    def _is_command(self, path: tuple[str, ...]) -> bool:
        command = self.root
        for part in path:
            command = getattr(command, "commands", {}).get(part)
        return command is not None


def _setting(option: Option, value: Any, path: Path, key: str, rank: int) -> Setting:
    """A value of a file. Raises UsageError where it is of the wrong type."""
    where = f"{path}: {key}"
    if isinstance(value, list) != _takes_several(option):
        wants = "a list" if _takes_several(option) else "one value"
        raise UsageError(f"{where}: must be {wants}")
    said = value if isinstance(value, list) else [value]
    kept = [_value(option, one, where, path.parent) for one in said]
    return Setting(kept if isinstance(value, list) else kept[0], where, rank)


def _value(option: Option, value: Any, where: str, folder: Path) -> Any:
    if option.param.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{where}: must be true or false, not {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{where}: must be text or a number, not {_as_toml(value)}")
    if isinstance(value, str) and value.startswith(_FROM_HERE):
        # As texts, not paths: a slash at the end says that it is a folder.
        slash = "/" if value.endswith("/") else ""
        value = os.path.normpath(folder / Path(value).expanduser()) + slash
    converted = _converted(option, value, where)
    if isinstance(value, str) and isinstance(converted, int | float):
        raise UsageError(f"{where}: must be a number, not the text {value!r}")
    return value if isinstance(converted, int | float) else str(value)


def _from_variable(option: Option, variable: str, text: str) -> Any:
    if option.param.is_flag:
        if text.lower() not in (*_TRUE, *_FALSE):
            raise UsageError(f"{variable}={text}: must be true or false")
        return text.lower() in _TRUE
    if _takes_several(option):
        return [_converted(option, part, variable) and part for part in text.split(",")]
    _converted(option, text, variable)
    return text


def _converted(option: Option, value: Any, where: str) -> Any:
    """What click makes of one value. Raises UsageError."""
    given = [value] if _takes_several(option) else value
    try:
        return option.param.process_value(typer.Context(option.owner), given)
    except Exception as error:  # of the parser, whichever it is
        message = getattr(error, "message", None) or str(error)
        raise UsageError(f"{where}: {value!r} will not do: {str(message).rstrip('.')}") from None


def _takes_several(option: Option) -> bool:
    return bool(option.param.multiple or option.param.nargs != 1)


def _as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "a table" if isinstance(value, dict) else repr(value)
