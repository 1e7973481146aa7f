# ruff: noqa: RUF001
"""What letters belong together, which way they run, and where lines may end.

Pure functions of text. Enough of Unicode's annexes for captions: UAX 29 (clusters), UAX 9 without
explicit embeddings (directions), UAX 14 for spaces, hyphens and scripts written without spaces.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

ZWJ, ZWNJ = "\u200d", "\u200c"  # zero width joiner and non-joiner
KEYCAP = "\u20e3"
AS_EMOJI, AS_TEXT = "\ufe0f", "\ufe0e"  # variation selectors that ask for colours, or for none
_SKINS = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
_EMOJI_PLANE = range(0x1F000, 0x1FB00)
# Characters below that plane which are emoji without a selector (Unicode's Emoji_Presentation).
_EMOJI_BELOW = frozenset(
    "⌚⌛⏩⏪⏫⏬⏰⏳◽◾☔☕♈♉♊♋♌♍♎♏♐♑♒♓♿⚓⚡⚪⚫⚽⚾⛄⛅⛎⛔⛪⛲⛳⛵⛺⛽✅✊✋✨❌❎❓❔❕❗➕➖➗➰➿⬛⬜⭐⭕"
)
# Scripts written without spaces: a line may end after any of their characters (CJK, kana, Thai,
# Lao, Khmer, Myanmar). Hangul is written with spaces.
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x312F), (0x3190, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF),
)  # fmt: skip
# No line begins with these, nor ends with those (kinsoku shori).
_NOT_FIRST = frozenset(
    "、。，．・：；？！ー々〜）」』】〕〉》”’ぁぃぅぇぉっゃゅょァィゥェォッャュョ"
)
_NOT_LAST = frozenset("（「『【〔〈《“‘")
_HYPHENS = frozenset("-\u2010\u2013\u2014/")


def clusters(text: str) -> list[str]:
    """What is seen as one character each: letters with their marks, emoji with their modifiers."""
    found: list[str] = []
    for character in text:
        if found and _continues(found[-1], character):
            found[-1] += character
        else:
            found.append(character)
    return found


def _continues(cluster: str, character: str) -> bool:
    code = ord(character)
    if cluster.endswith(ZWJ) and is_emoji(cluster[0]):
        return True
    if code in _FLAG_LETTERS:
        return len(cluster) == 1 and ord(cluster) in _FLAG_LETTERS
    extends = unicodedata.category(character) in ("Mn", "Me", "Mc")
    return extends or character in (ZWJ, ZWNJ) or code in _SKINS or code in _TAGS


def is_emoji(cluster: str) -> bool:
    """Whether a cluster is one that people expect in colours."""
    if AS_TEXT in cluster:
        return False
    if AS_EMOJI in cluster or KEYCAP in cluster:
        return True
    return ord(cluster[0]) in _EMOJI_PLANE or cluster[0] in _EMOJI_BELOW


def is_invisible(character: str) -> bool:
    """Whether a character is no glyph of its own: joiners, selectors, tags, direction marks."""
    code = ord(character)
    selectors = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
    return selectors or code in _TAGS or unicodedata.category(character) == "Cf"


def is_rtl(text: str) -> bool:
    """Whether a paragraph runs from right to left: its first letter with a direction says so."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return kind != "L"
    return False


def is_joining(text: str) -> bool:
    """Whether a text's letters must be joined by a shaper: Arabic and its relatives."""
    return any(unicodedata.bidirectional(character) == "AL" for character in text)


def levels(parts: Sequence[str], rtl: bool) -> list[int]:
    """The embedding level of each cluster of a line: even runs right, odd runs left (UAX 9)."""
    kinds = _resolved([_kind(part) for part in parts], rtl)
    base = int(rtl)
    strong = {"L": 2 if rtl else 0, "R": 1, "N": 2}
    found = [strong.get(kind, base) for kind in kinds]
    for index in range(len(parts) - 1, -1, -1):  # spaces at the end stay at the end (L1)
        if not parts[index].isspace():
            break
        found[index] = base
    return found


def visual_order(ranks: Sequence[int]) -> list[int]:
    """Which run of a line comes first from the left, given the runs' levels (rule L2)."""
    order = list(range(len(ranks)))
    for level in range(max(ranks, default=0), 0, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and ranks[order[end]] >= level:
                end += 1
            order[start:end] = order[start:end][::-1]
            start = max(end, start + 1)
    return order


def _kind(part: str) -> str:
    """L, R, N (number), S (separates or ends numbers), or O (other) of a cluster."""
    given = unicodedata.bidirectional(part[0])
    table = {"L": "L", "R": "R", "AL": "R", "EN": "N", "AN": "N", "CS": "S", "ES": "S", "ET": "S"}
    return table.get(given, "O")


def _resolved(kinds: list[str], rtl: bool) -> list[str]:
    """L, R, N or O of clusters: O is as the paragraph (rules W4-W7, N1, N2)."""
    kinds = list(kinds)
    for index, kind in enumerate(kinds):
        near = [kinds[i] for i in (index - 1, index + 1) if 0 <= i < len(kinds)]
        if kind == "S":
            kinds[index] = "N" if near == ["N", "N"] else "O"
    last = "R" if rtl else "L"
    for index, kind in enumerate(kinds):
        if kind in "LR":
            last = kind
        elif kind == "N" and last == "L":
            kinds[index] = "L"
    found, index = list(kinds), 0
    while index < len(kinds):
        end = index
        while end < len(kinds) and kinds[end] == "O":
            end += 1
        if end > index:
            edge = "R" if rtl else "L"
            before = kinds[index - 1] if index else edge
            after = kinds[end] if end < len(kinds) else edge
            sides = {"R" if side == "N" else side for side in (before, after)}
            found[index:end] = [sides.pop() if len(sides) == 1 else "O"] * (end - index)
        index = end + 1
    return found


@dataclass(frozen=True)
class Piece:
    """A part of a line that is not divided unless it must be."""

    text: str
    spaced: bool  # a space stands before it, unless it begins a line


def pieces(line: str) -> list[Piece]:
    """The parts that a line of text may be divided into."""
    found: list[Piece] = []
    for word in line.split():
        spaced, part = True, ""
        for cluster in clusters(word):
            if part and _may_divide(part, cluster):
                found.append(Piece(part, spaced))
                spaced, part = False, ""
            part += cluster
        found.append(Piece(part, spaced))
    return found


def _may_divide(before: str, after: str) -> bool:
    if after[0] in _NOT_FIRST or before[-1] in _NOT_LAST:
        return False
    if _spaceless(before[-1]) or _spaceless(after[0]):
        return True
    return before[-1] in _HYPHENS and len(before) > 1 and after[0].isalpha()


def _spaceless(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in _WITHOUT_SPACES)
