"""Which font draws which character: the one asked for, the shipped ones, then the system's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from PIL import ImageFont, features

from memegen.captions import system_fonts
from memegen.captions.system_fonts import SUFFIXES, FontFile
from memegen.captions.text import clusters, is_emoji, is_invisible
from memegen.errors import UsageError, nearest

EMOJI = "noto-emoji-bold"
SHIPPED = ("anton", "oswald-bold", "dejavu-sans-condensed-bold", EMOJI)  # in the order they help
CAP_HEIGHT = 0.86  # em of the face that others are scaled to match: Anton's
# Pixels of the bitmaps that colour fonts of one size have: Noto's, Apple's, and others'.
STRIKES = (109, 160, 136, 128, 96, 64, 32)
_CAPITALS = "H\u041d\u0397"  # Latin, Cyrillic, Greek
_PROBE = 100  # pixels, to measure at
MOST_TRIED = 12  # fonts of the system for one character

Finder = Callable[[frozenset[int], bool], tuple[FontFile, ...]]


def folder() -> Path:
    """Where the shipped fonts are: inside the installed package, else in the checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "data" / "fonts"
    return inside if inside.is_dir() else package.parent / "fonts"


def font_named(name: str) -> FontFile:
    """A font by file, by the name of a shipped one, or by its family. Raises UsageError."""
    if name in SHIPPED:
        return FontFile(folder() / f"{name}.ttf")
    path = Path(name)
    if path.suffix.lower() in SUFFIXES or path.is_file():
        if not path.is_file():
            raise UsageError(f"{name}: no such font file")
        found: FontFile | None = FontFile(path)
    else:
        found = system_fonts.of_family(name)
    if found is None:
        raise UsageError(
            f"unknown font '{name}'{nearest(name, SHIPPED)} (shipped: {', '.join(SHIPPED)}; "
            "or a family of this system, or a file)"
        )
    if face_of(found) is None:
        raise UsageError(f"{name}: not a font that can be read")
    return found


@dataclass(frozen=True)
class Face:
    """A font ready to draw, sized so that its capitals are as high as others' are."""

    file: FontFile
    codes: frozenset[int] = field(repr=False)  # that it has glyphs for
    scale: float  # of its em to that of the text
    strike: int | None = None  # pixels, where it has bitmaps of one size

    def at(self, size: float) -> ImageFont.FreeTypeFont:
        """The font for a text of `size` pixels an em."""
        return _opened(self.file, float(self.strike or size * self.scale))

    def has(self, cluster: str) -> bool:
        """Whether it has a glyph for all that is seen of a cluster."""
        return all(ord(c) in self.codes or is_invisible(c) for c in cluster)


@lru_cache(maxsize=128)
def face_of(file: FontFile) -> Face | None:
    """A font's face; None where it cannot be read or drawn."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(file.path, lazy=True, fontNumber=file.index) as read:
            codes = frozenset(read.getBestCmap() or ())
    except (OSError, TTLibError, AssertionError, ValueError, KeyError, EOFError):
        return None
    for strike in (None, *STRIKES):
        try:
            font = _opened(file, float(strike or _PROBE))
        except (OSError, ValueError):
            continue
        if strike is not None:
            return Face(file, codes, 1.0, strike)
        letter = next((c for c in _CAPITALS if ord(c) in codes), None)
        if letter is None:  # scripts without capitals are drawn in a square of one em
            return Face(file, codes, 1.0)
        caps = -font.getbbox(letter, anchor="ls")[1] / _PROBE
        return Face(file, codes, CAP_HEIGHT / caps if caps > 0 else 1.0)
    return None


@lru_cache(maxsize=256)
def _opened(file: FontFile, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(file.path), size, file.index)


class FontBook:
    """Finds a face for every cluster, and remembers those that no font has.

    name: the font asked for. find: the system's fonts with some characters, in colours or not.
    """

    def __init__(self, name: str, find: Finder | None = None) -> None:
        self._first = font_named(name)
        self._find = find or system_fonts.covering
        self._known: dict[str, Face | None] = {}
        self._words: dict[str, Face | None] = {}
        self._used: list[Face] = []  # of the system; text stays with them, as they fit each other

    @property
    def missing(self) -> list[str]:
        """The clusters asked for that no font has."""
        return [cluster for cluster, face in self._known.items() if face is None]

    def face(self, cluster: str) -> Face | None:
        """The face that draws a cluster; None where there is none."""
        if cluster not in self._known:
            able = (face for face in self._faces(cluster) if face.has(cluster))
            self._known[cluster] = self._noted(next((f for f in able if _draws(f, cluster)), None))
        return self._known[cluster]

    def face_of_word(self, parts: Sequence[str]) -> Face | None:
        """The first face that has all clusters of a word: chosen, shipped, used, the system's.

        Fonts of rare scripts have some signs of common ones, in a shape that fits the rare.
        """
        word = "".join(parts)
        if word not in self._words:
            able = (face for face in self._faces_for(word) if face.has(word))
            self._words[word] = self._noted(next((f for f in able if _draws(f, parts[0])), None))
        return self._words[word]

    def _noted(self, face: Face | None) -> Face | None:
        own = face is None or face.file in (self._first, *_shipped())
        if face is not None and not own and face.strike is None and face not in self._used:
            self._used.append(face)
        return face

    def _faces_for(self, text: str) -> Iterator[Face]:
        """Faces that may have all of a text that is no emoji, the best first."""
        yield from _faces_of(iter([self._first, *_shipped()]))
        yield from self._used
        codes = frozenset(ord(c) for c in text if not is_invisible(c))
        yield from _faces_of(iter(self._find(codes, False)[:MOST_TRIED]))

    def _faces(self, cluster: str) -> Iterator[Face]:
        if is_emoji(cluster):
            codes = frozenset(ord(c) for c in cluster if not is_invisible(c))
            files: Iterator[FontFile] = iter(self._find(codes, True)[:MOST_TRIED])
            yield from _faces_of(files)
            yield from _faces_of(iter(_shipped()[::-1]))
        yield from self._faces_for(cluster)


def files_used(name: str, text: str) -> frozenset[FontFile]:
    """All fonts that may draw a text, however its lines are divided; `name` is asked for.

    Raises UsageError where that is not there.
    """
    book, parts = FontBook(name), clusters(text)
    words = groupby(parts, key=lambda part: part.isspace() or is_emoji(part))
    faces = [book.face(part) for part in parts]
    faces += [book.face_of_word(list(word)) for apart, word in words if not apart]
    return frozenset(face.file for face in faces if face is not None)


def _shipped() -> list[FontFile]:
    return [FontFile(folder() / f"{name}.ttf") for name in SHIPPED]


def _faces_of(files: Iterator[FontFile]) -> Iterator[Face]:
    return (face for face in map(face_of, files) if face is not None)


def _draws(face: Face, cluster: str) -> bool:
    """Whether ink comes of it: colour fonts of some kinds (COLRv1, SVG) leave it blank."""
    if cluster.isspace():
        return True
    font = face.at(_PROBE)
    try:
        return font.getmask(cluster, mode="RGBA").getbbox() is not None
    except (OSError, ValueError):
        return False


def joins_letters() -> bool:
    """Whether Pillow shapes text (Raqm): joins Arabic, orders Hebrew, stacks Indic letters."""
    return bool(features.check("raqm"))
