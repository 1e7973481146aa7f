"""Fonts of the system: asked of fontconfig where it is, else looked for in well-known folders."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

BOLD = 200  # fontconfig's weight
PATIENCE = 10.0  # seconds that fontconfig gets
SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
# Without fontconfig: first names of files to ask for what other fonts lack, best first.
_WIDE = (
    "seguiemj", "apple color emoji", "notocoloremoji", "msyhbd", "msyh", "yugothb", "meiryob",
    "malgunbd", "arialbd", "arial unicode", "pingfang", "hiragino", "applesdgothicneo",
    "geezapro", "tahomabd", "nirmalab", "leelauib", "notosans", "droidsansfallback",
)  # fmt: skip


@dataclass(frozen=True)
class FontFile:
    """One font: a file, and which of those that the file holds."""

    path: Path
    index: int = 0


@lru_cache(maxsize=256)
def covering(codes: frozenset[int], colour: bool = False) -> tuple[FontFile, ...]:
    """Fonts of the system that may have these characters, those that suit captions best first.

    colour: fonts in colours only. Without fontconfig the fonts are not asked what they have.
    """
    pattern = ":charset=" + " ".join(f"{code:x}" for code in sorted(codes))
    listed = _listed(pattern + (":color=true" if colour else ""))
    return tuple(_in_folders()) if listed is None else listed


def of_family(name: str) -> FontFile | None:
    """A font of the system by the name of its family, bold if there is one."""
    safe = "".join(c for c in name if c not in ":\\-,=")
    listed = _listed(f":family={safe}")
    if listed:
        return listed[0]
    wanted = name.casefold().replace(" ", "")
    for font in _in_folders():
        if font.path.stem.casefold().replace(" ", "") == wanted:
            return font
    return None


def _listed(pattern: str) -> tuple[FontFile, ...] | None:
    """What fontconfig lists for a pattern; None where it is not there."""
    command = shutil.which("fc-list")
    if command is None:
        return None
    form = "%{file}\\t%{index}\\t%{weight}\\t%{spacing}\\t%{slant}\\n"
    try:
        ran = subprocess.run(
            [command, "-f", form, pattern], capture_output=True, timeout=PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split("\t") for line in os.fsdecode(ran.stdout).splitlines()]
    good = [row for row in rows if len(row) == 5 and row[0].lower().endswith(SUFFIXES)]
    # The upper half of an index says which instance of a variable font it is.
    return tuple(FontFile(Path(row[0]), int(row[1]) & 0xFFFF) for row in sorted(good, key=_rank))


def _rank(row: list[str]) -> tuple[bool, bool, bool, int, str]:
    """Upright, proportional, no serifs, near to bold."""
    path, _, weight, spacing, slant = row
    heavy = int(weight) if weight.isdigit() else BOLD // 2  # a range: of a variable font
    name = Path(path).name.lower()
    return (
        slant not in ("", "0"),
        spacing not in ("", "0"),
        "serif" in name,
        abs(heavy - BOLD),
        path,
    )


@lru_cache(maxsize=1)
def _in_folders() -> tuple[FontFile, ...]:
    """Every font in the well-known folders, those with many characters first."""
    found = [path for folder in _folders() for path in _files(folder)]

    def rank(path: Path) -> tuple[int, str]:
        stem = path.stem.lower()
        place = next((i for i, known in enumerate(_WIDE) if stem.startswith(known)), len(_WIDE))
        return place, str(path)

    return tuple(FontFile(path) for path in sorted(found, key=rank))


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names if name.lower().endswith(SUFFIXES))


def _folders() -> list[Path]:
    home, windows = Path.home(), os.environ.get("WINDIR")
    known: list[str | Path] = [
        "/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts",
        home / ".fonts", home / ".local/share/fonts", home / "Library/Fonts",
    ]  # fmt: skip
    return [Path(place) for place in known] + ([Path(windows, "Fonts")] if windows else [])
