"""Captions: lines, sizes, times, places, fonts, and what the command line says of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, features
from support.command import RunCli
from support.paths import SAMPLE

from memegen import recipes
from memegen.captions import STYLES, Caption
from memegen.captions import text as texts
from memegen.captions.caption import checked_text, repeated, usual_style
from memegen.captions.drawing import Typesetter
from memegen.captions.fonts import SHIPPED, FontBook, folder
from memegen.captions.frames import drawn
from memegen.captions.layout import Extent, Limits, fit, wrap
from memegen.captions.system_fonts import FontFile
from memegen.errors import UsageError
from memegen.frames import Frames
from memegen.geometry.box import Box

EXTENT = Extent(0.8, 0.2)
GREY = 90


@pytest.fixture(autouse=True)
def _no_system_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memegen.captions.system_fonts.covering", lambda codes, colour=False: ())
    monkeypatch.setattr("memegen.captions.system_fonts.of_family", lambda name: None)


def half(text: str) -> float:
    """Half an em a character."""
    return 0.5 * len(text)


def frames(
    count: int = 1, size: tuple[int, int] = (200, 200), channels: int = 3, **more: object
) -> Frames:
    width, height = size
    pictures = (np.full((height, width, channels), GREY, np.uint8) for _ in range(count))
    return Frames(pictures, count, size, 10.0, False, "", **more)  # type: ignore[arg-type]


def say(text: str, position: str = "top", **more: object) -> Caption:
    return Caption(text, position, style=usual_style(position), **more)  # type: ignore[arg-type]


def inked(picture: np.ndarray) -> np.ndarray:
    """Rows that are not as the frame was."""
    return np.flatnonzero((picture != GREY).any((1, 2)))


def test_lines_are_as_few_as_there_can_be():
    assert wrap(texts.pieces("aa bb cc dd"), 2.5, half) == ["aa bb", "cc dd"]
    assert wrap(texts.pieces("aa bbbbbbbb"), 2.5, half) is None
    assert wrap(texts.pieces("aa bbbbbbbb"), 2.5, half, divide=True) == ["aa", "bbbbb", "bbb"]
    assert wrap([], 2.5, half) == []


def test_text_is_the_largest_that_fits():
    limits = Limits(200, 100, 2, 60, 10)
    found = fit("aaaa bbbb", limits, half, EXTENT)
    assert found is not None and found.lines == ("aaaa", "bbbb") and found.height <= 100
    larger = dataclasses.replace(found, size=found.size + 1)
    assert larger.height > 100


def test_words_are_divided_only_where_text_is_too_small_otherwise():
    word = "a" * 40
    whole = fit(word, Limits(400, 100, 2, 60, 12), half, EXTENT)
    assert whole is not None and whole.lines == (word,) and whole.size == 20
    divided = fit(word, Limits(100, 100, 2, 60, 12), half, EXTENT)
    assert divided is not None and len(divided.lines) == 3 and divided.size == 12
    assert fit("a" * 1000, Limits(50, 50, 2, 60, 12), half, EXTENT) is None


def test_lines_are_balanced():
    found = fit("aaa bbb ccc ddd eee", Limits(100, 60, 2, 12, 12), half, EXTENT)
    assert found is not None and found.lines == ("aaa bbb ccc", "ddd eee")


def test_what_belongs_together_stays_together():
    assert texts.clusters("e\u0301👍🏽👨‍👩‍👧🇫🇷🇩🇪1️⃣a") == [
        "e\u0301",
        "👍🏽",
        "👨‍👩‍👧",
        "🇫🇷",
        "🇩🇪",
        "1️⃣",
        "a",
    ]
    assert [p.text for p in texts.pieces("代码。好")] == ["代", "码。", "好"]
    assert [p.text for p in texts.pieces("well-known -5")] == ["well-", "known", "-5"]


def test_directions():
    order = texts.visual_order
    assert texts.levels(list("ab אב"), False) == [0, 0, 0, 1, 1]
    assert texts.levels(list("אב ab 12"), True) == [1, 1, 1, 2, 2, 2, 2, 2]
    assert texts.levels(list("אב 12"), True) == [1, 1, 1, 2, 2]
    assert order([0, 1, 0]) == [0, 1, 2]
    assert order([1, 2, 1]) == [2, 1, 0]
    assert texts.is_rtl("12 אב ab") and not texts.is_rtl("12 ab אב")


def test_shipped_fonts_are_there_with_their_licences_and_small():
    files = [folder() / f"{name}.ttf" for name in SHIPPED]
    assert all(
        file.is_file() and file.with_name(f"{file.stem}-LICENSE.txt").is_file() for file in files
    )
    assert sum(file.stat().st_size for file in files) < 1_600_000


@pytest.mark.parametrize(
    "text", ["Żółć ÅÉ", "когда код", "ελληνικά", "שלום", "مرحبا", "Tiếng Việt", "😂🔥❤️", "☃ ★ →"]
)
def test_scripts_that_shipped_fonts_have(text: str):
    told: list[str] = []
    picture = next(iter(drawn(frames(captions=(say(text),)), told.append)))
    assert not told and len(inked(picture))


def test_missing_characters_are_said_once_and_left_out():
    told: list[str] = []
    out = list(drawn(frames(3, captions=(say("a中中b"),)), told.append))
    assert len(told) == 1 and "中 (U+4E2D)" in told[0] and "\n" not in told[0]
    assert np.array_equal(out[0], next(iter(drawn(frames(captions=(say("ab"),))))))


def test_a_font_of_the_system_draws_what_the_shipped_ones_lack():
    dejavu = FontFile(folder() / "dejavu-sans-condensed-bold.ttf")
    asked: list[frozenset[int]] = []

    def find(codes: frozenset[int], colour: bool) -> tuple[FontFile, ...]:
        asked.append(codes)
        return (dejavu,)

    book = FontBook("anton", find)
    assert book.face("中") is None and asked == [frozenset({0x4E2D})] and book.missing == ["中"]


def test_a_word_is_drawn_in_one_font():
    runs = Typesetter(FontBook("anton"), rtl=False).runs("Ωмега x")
    assert [run.text for run in runs] == ["Ωмега", " x"]


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow without Raqm")
def test_right_to_left_words_stand_from_the_right():
    runs = Typesetter(FontBook("anton"), rtl=True).runs("שלום abc 12 עולם")
    assert [run.text for run in runs if run.text.strip()] == ["עולם", "abc 12", "שלום"]
    joined = Typesetter(FontBook("anton"), rtl=True).width
    assert joined("ببب") < 0.9 * 3 * joined("ب")


def test_captions_are_seen_from_their_first_second_to_their_last():
    timed = (say("one", start=0.0, end=0.2), say("two", "bottom", start=0.2))
    out = list(drawn(frames(4, captions=timed)))
    upper = [bool(len(inked(p)) and inked(p).min() < 100) for p in out]
    lower = [bool(len(inked(p)) and inked(p).max() > 100) for p in out]
    assert upper == [True, True, False, False] and lower == [False, False, True, True]


def test_captions_of_what_is_played_again_come_again():
    found = repeated((say("a", end=0.5), say("b")), 1.0, 2.5)
    assert [(c.text, c.start, c.end) for c in found] == [
        ("a", 0.0, 0.5), ("a", 1.0, 1.5), ("a", 2.0, 2.5), ("b", 0.0, None)
    ]  # fmt: skip


def test_bytes_outside_the_text_stay():
    picture = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    kept = picture.copy()
    out = next(
        iter(drawn(dataclasses.replace(frames(captions=(say("hi"),)), pictures=iter([picture]))))
    )
    changed = np.argwhere((out != kept).any(-1))
    assert np.array_equal(picture, kept) and len(changed) and changed[:, 0].max() < 60
    assert np.array_equal(out[60:], kept[60:])


@pytest.mark.parametrize("position", ["above", "below"])
def test_a_bar_makes_the_picture_higher(position: str):
    result = drawn(
        frames(2, captions=(say("me, every day", position),), faces=(Box(50, 50, 90, 90),))
    )
    width, height = result.size
    first = next(iter(result))
    assert first.shape == (height, width, 3) and width == 200 and height > 220 and height % 2 == 0
    bar, rest = (first[:-200], first[-200:]) if position == "above" else (first[200:], first[:200])
    assert (rest == GREY).all() and (bar == 255).any() and (bar == 0).any()
    assert result.faces[0].top == (50 + height - 200 if position == "above" else 50)
    assert result.captions == ()


def test_text_keeps_off_the_face_where_there_is_room():
    wordy = say("some words that would take two lines")
    face = Box(50, 45, 150, 150)
    out = next(iter(drawn(frames(captions=(wordy,), faces=(face,)))))
    free = next(iter(drawn(frames(captions=(wordy,)))))
    assert inked(out).max() < face.top < inked(free).max()
    tight = next(iter(drawn(frames(captions=(wordy,), faces=(Box(50, 5, 150, 150),)))))
    assert np.array_equal(tight, free)


def test_captions_at_one_place_do_not_meet():
    both = next(iter(drawn(frames(captions=(say("one"), say("two"))))))
    one = next(iter(drawn(frames(captions=(say("one"),)))))
    assert len(inked(both)) > 1.6 * len(inked(one))


def test_transparent_pictures_become_opaque_under_text_alone():
    clear = np.zeros((200, 200, 4), np.uint8)
    out = next(
        iter(drawn(dataclasses.replace(frames(captions=(say("hi"),)), pictures=iter([clear]))))
    )
    assert out[..., 3].max() == 255 and (out[100:] == 0).all()
    assert (out[out[..., 3] == 255][:, :3] == 255).any()


@pytest.mark.parametrize("size", [(40, 300), (300, 40), (32, 32)])
def test_narrow_pictures(size: tuple[int, int]):
    picture = next(iter(drawn(frames(size=size, captions=(say("hi"),)))))
    assert len(inked(picture))


def test_what_does_not_fit_is_an_error_in_one_line():
    with pytest.raises(UsageError, match="too long for a picture of 100x40"):
        drawn(frames(size=(100, 40), captions=(say("long words " * 60),)))


def test_no_text_is_no_caption():
    out = drawn(frames(captions=(say(""), say(" \t\n"))))
    assert (next(iter(out)) == GREY).all() and out.size == (200, 200)


def test_text_is_cleaned():
    assert checked_text("a\\nb\tc\x07\ud800") == "a\nb c"
    with pytest.raises(UsageError, match="1001 characters"):
        checked_text("a" * 1001)


# --- recipes ------------------------------------------------------------------------------------

RECIPE = """\
loop: {loop}
keyframes:
  - {{at: 0, expression: {{}}}}
  - {{at: 1, expression: {{AU12: 3}}}}
captions:
  - {caption}
"""


def recipe(caption: str, loop: str = "once") -> recipes.Recipe:
    return recipes.parse(RECIPE.format(caption=caption, loop=loop), "r.yaml")


def test_captions_of_recipes_stretch_with_them():
    made = recipe(
        "{from: 0.5, to: 1.5, text: hi, position: top, style: {name: plain, size: 0.2, lines: 1}}",
        "boomerang",
    )
    (caption,) = made.track(10, 4.0).captions
    assert (caption.text, caption.position, caption.start, caption.end) == ("hi", "top", 1.0, 3.0)
    assert caption.style == dataclasses.replace(STYLES["plain"], size=0.2, lines=1)
    assert made.track(10).resampled(20, 2.0).captions[0].end == 0.75
    assert (
        made.track(10).frame(2).captions == () and made.track(10).frame(7).captions[0].end is None
    )


@pytest.mark.parametrize(
    ("caption", "said"),
    [
        ("{from: 0}", "r.yaml:6: a caption needs 'text'"),
        ("{text: ''}", "r.yaml:6: a caption needs some text"),
        ("{text: a, form: 0}", "r.yaml:6: unknown key 'form', did you mean 'from'?"),
        ("{text: a, from: 1, to: 0.5}", "r.yaml:6: a caption ends, at 0.5 s, after it begins"),
        ("{text: a, from: 2}", "r.yaml:6: the recipe is over at 1 s"),
        ("{text: a, position: botom}", "r.yaml:6: 'botom' is none of"),
        ("{text: a, style: mem}", "r.yaml:6: unknown caption style 'mem', did you mean 'meme'?"),
        ("{text: a, style: {size: 9}}", "r.yaml:6: size: 9 is outside 0.01..0.5"),
        ("{text: a, style: {lines: 1.5}}", "r.yaml:6: lines: 1.5 is outside whole numbers of"),
        ("{text: a, style: {colour: blu}}", "r.yaml:6: 'blu' is no colour"),
        ("{text: a, style: {case: lower}}", "r.yaml:6: case: 'lower' is none of upper, as-is"),
    ],
)
def test_mistakes_name_their_line(caption: str, said: str):
    with pytest.raises(UsageError) as error:
        recipe(caption)
    assert str(error.value).startswith(said)


# --- the command line ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--caption-at", "abov"],
            "--caption-at abov: must be above or below, did you mean 'above'?",
        ),
        (["--font", "antn"], "unknown font 'antn', did you mean 'anton'?"),
        (["--font", str(SAMPLE)], "not a font that can be read"),
        (["--font", "no.ttf"], "no.ttf: no such font file"),
        (["--caption-style", "mem"], "did you mean 'meme'?"),
        (["--top", "a" * 1001], "--top: 1001 characters are too many"),
    ],
)
def test_errors_of_the_command_line(
    options: list[str], said: str, tmp_path: Path, run_cli: RunCli
) -> None:
    asked = ("animate", str(SAMPLE), *options, "-o", str(tmp_path / "a.gif"))
    assert said in run_cli(*asked, code=2).err


def test_a_still_with_captions(tmp_path: Path, run_cli: RunCli) -> None:
    plain, captioned = tmp_path / "a.png", tmp_path / "b.png"
    still = ("animate", str(SAMPLE), "--still", "--size", "300", "-o")
    run_cli(*still, str(plain))
    run_cli(*still, str(captioned), "--bottom", "compiles", "--caption", "the code")
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (plain, captioned))
    bar = after.shape[0] - before.shape[0]
    same = (after[bar:] == before).all((1, 2))
    assert bar > 0 and same[:200].all() and not same.all()


# --- fonts of the system ------------------------------------------------------------------------


def font_of(path: Path, characters: str) -> FontFile:
    """A font with a square for each character."""
    builder = FontBuilder(1000, isTTF=True)
    names = [".notdef", *(f"u{ord(c):X}" for c in characters)]
    pen = TTGlyphPen(None)
    for at in ((100, 0), (100, 700), (800, 700), (800, 0)):
        (pen.moveTo if at == (100, 0) else pen.lineTo)(at)
    pen.closePath()
    square = pen.glyph()
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(c): f"u{ord(c):X}" for c in characters})
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return FontFile(path)


def test_signs_of_a_word_come_from_the_font_of_its_letters(tmp_path: Path):
    rare = font_of(tmp_path / "rare.ttf", "。一")
    common = font_of(tmp_path / "common.ttf", "日本一。")

    def find(codes: frozenset[int], colour: bool) -> tuple[FontFile, ...]:
        able = ((rare, "。一"), (common, "日本一。"))
        return tuple(file for file, has in able if codes <= set(map(ord, has)))

    setter = Typesetter(FontBook("anton", find), rtl=False)
    assert [run.face.file for run in setter.runs("日本。")] == [common]
    assert [run.face.file for run in setter.runs("一 。")][::2] == [common, common]
    alone = Typesetter(FontBook("anton", find), rtl=False)
    assert [run.face.file for run in alone.runs("。")] == [rare]
    divided = Typesetter(FontBook("anton", find), rtl=False)  # no font has all of it
    assert [run.face.file for run in divided.runs("日Ω。")][::2] == [common, common]
