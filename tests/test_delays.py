"""Frames equal to the one before: stored once, shown as long as before, in every format."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clips import pictures, run_ffmpeg

from memegen.arrays import Picture
from memegen.errors import EncoderError
from memegen.media.delays import Distinct, in_ticks, selection, thinned
from memegen.media.encode import Target, write
from memegen.media.formats import FORMATS, AnimatedFormat, Quality, apng, format_of, gif
from memegen.media.rates import MOST_GAP
from memegen.performance.clip import open_clip, read_clip

VARIABLE = [f for f in FORMATS if isinstance(f, AnimatedFormat) and f.longest_delay]
HELD = (3, 1, 1, 5, 2)  # frames that each of five pictures is shown for
FPS = 25


def held(repeats: tuple[int, ...] = HELD, alpha: bool = False) -> list[Picture]:
    """Pictures of a moving square, some for several frames."""
    shown = [
        np.dstack([p, np.full(p.shape[:2], 255, np.uint8)]) if alpha else p for p in pictures()
    ]
    return [shown[i].copy() for i, count in enumerate(repeats) for _ in range(count)]


def stored(path: Path) -> list[tuple[Picture, float]]:
    """The frames of a file and their seconds."""
    found = []
    with Image.open(path) as image:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            found.append((np.asarray(image.convert("RGBA")), image.info["duration"] / 1000))
    return found


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("name", ["gif", "png", "webp"])
def test_repeats_are_stored_once_and_shown_as_long(name: str, alpha: bool, tmp_path: Path) -> None:
    fmt, out = format_of(name), tmp_path / f"a.{name}"
    write(held(alpha=alpha), FPS, True, Target(out, fmt))
    assert [seconds for _, seconds in stored(out)] == pytest.approx([n / FPS for n in HELD])
    for (picture, _), frame in zip(stored(out), pictures(), strict=True):
        assert np.abs(picture[..., :3].astype(int) - frame).mean() < 6


@pytest.mark.parametrize("name", ["gif", "png", "webp"])
def test_players_show_the_frames_that_were_written(name: str, tmp_path: Path) -> None:
    """As many as came, holds at the beginning and at the end included."""
    out = tmp_path / f"a.{name}"
    write(held(), FPS, True, Target(out, format_of(name)))
    clip = open_clip(out)
    seen = list(read_clip(clip).frames)
    assert clip.fps == FPS and len(seen) == sum(HELD)
    for frame, shown in zip(held(), seen, strict=True):
        assert np.abs(shown.astype(int) - frame).mean() < 6


def test_videos_repeat_what_they_hold(tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"
    write(held(), FPS, True, Target(out, format_of("mp4")))
    assert len(list(read_clip(open_clip(out)).frames)) == sum(HELD)


@pytest.mark.parametrize("fmt", VARIABLE, ids=lambda f: f.name)
def test_frames_that_their_encoder_makes_equal_are_all_there(
    fmt: AnimatedFormat[Quality], tmp_path: Path
) -> None:
    """One pixel, one level: no palette tells them apart."""
    frames = [np.full((48, 64, 3), 90, np.uint8) for _ in range(6)]
    for index, frame in enumerate(frames):
        frame[::2] = np.random.default_rng(1).integers(0, 255, (24, 64, 3), np.uint8)
        frame[1, 7 + index] += 1
    for quality in fmt.ladder():
        if quality.scale == 1 and quality.keep_every == 1:
            out = tmp_path / f"a{fmt.suffix}"
            write(frames, FPS, True, Target(out, only(fmt, quality)))
            assert [s for _, s in stored(out)] == pytest.approx([1 / FPS] * 6)


def only(fmt: AnimatedFormat[Quality], quality: Quality) -> AnimatedFormat[Quality]:
    """The format, of one quality."""

    class Only(type(fmt)):  # type: ignore[misc]
        def ladder(self) -> list[Quality]:
            return [quality]

    return Only()


@pytest.mark.parametrize("every", [2, 3, 8])
@pytest.mark.parametrize("fmt", VARIABLE, ids=lambda f: f.name)
def test_thinned_out_they_last_as_long(
    fmt: AnimatedFormat[Quality], every: int, tmp_path: Path
) -> None:
    """Every other frame, as it was shown: of repeats one, for as long as they are."""
    out = tmp_path / f"a{fmt.suffix}"
    sparse = only(fmt, replace(fmt.ladder()[0], keep_every=every))
    write(held(), FPS, True, Target(out, sparse, max_bytes=10**6))
    found = stored(out)
    assert sum(seconds for _, seconds in found) == pytest.approx(sum(HELD) / FPS)
    begins = np.cumsum([0, *(round(seconds * FPS) for _, seconds in found)])[:-1]
    assert all(begin % every == 0 for begin in begins)
    for (picture, _), begin in zip(found, begins, strict=True):
        assert np.abs(picture[..., :3].astype(int) - held()[begin]).mean() < 6


@pytest.mark.parametrize("fmt", VARIABLE, ids=lambda f: f.name)
def test_a_frame_that_is_left_alone_is_a_picture(
    fmt: AnimatedFormat[Quality], tmp_path: Path
) -> None:
    out = tmp_path / f"a{fmt.suffix}"
    sparse = only(fmt, replace(fmt.ladder()[0], keep_every=16))
    write(held(), FPS, True, Target(out, sparse, max_bytes=10**6))
    with Image.open(out) as image:
        assert getattr(image, "n_frames", 1) == 1


@pytest.mark.parametrize("fmt", VARIABLE, ids=lambda f: f.name)
def test_an_animation_that_holds_still_stays_one(
    fmt: AnimatedFormat[Quality], tmp_path: Path
) -> None:
    out = tmp_path / f"a{fmt.suffix}"
    write(held((9,)), FPS, True, Target(out, fmt))
    assert [s for _, s in stored(out)] == pytest.approx([8 / FPS, 1 / FPS])


def test_what_comes_in_one_buffer_is_compared_as_it_came() -> None:
    buffer = np.zeros((4, 4, 3), np.uint8)

    def frames():
        for value in (1, 1, 2, 3, 3):
            buffer[:] = value
            yield buffer

    distinct = Distinct(frames(), 100)
    assert [int(frame[0, 0, 0]) for frame in distinct] == [1, 2, 3]
    assert distinct.repeats == [2, 1, 2]


def test_no_frame_is_shown_for_longer_than_its_format_can_say(tmp_path: Path) -> None:
    same = [np.zeros((2, 2, 3), np.uint8)] * 11
    distinct = Distinct(same, 4)
    assert len(list(distinct)) == 3 and distinct.repeats == [4, 4, 3]
    assert len(list(Distinct(same, 1))) == 11
    out = tmp_path / "a.gif"
    write(same * 14, 1, True, Target(out, format_of("gif")))
    assert [s for _, s in stored(out)] == [MOST_GAP, MOST_GAP, 34]


@pytest.mark.parametrize("seed", range(20))
def test_thinning_keeps_what_is_shown_at_those_times(seed: int) -> None:
    random = np.random.default_rng(seed)
    repeats = random.integers(1, 9, random.integers(1, 40)).tolist()
    every = int(random.integers(1, 17))
    rows, shown = thinned(repeats, every)
    frames = np.repeat(np.arange(len(repeats)), repeats)
    assert np.repeat(rows, shown).tolist() == [frames[i - i % every] for i in range(len(frames))]
    assert rows == sorted(set(rows))


def test_a_selection_is_what_ffmpeg_lets_pass(tmp_path: Path) -> None:
    rows = [0, 2, 4, 6, 7, 11, 12, 13, 14, 30]
    assert selection(rows).count("between") == 4
    assert selection([5]) == "between(n,5,5)*not(mod(n-5,1))"
    source = "nullsrc=s=64x2:r=25:d=2,format=gray,geq=lum='N*4'"
    out = tmp_path / "%03d.png"
    chosen = f"select='{selection(rows)}'"
    run_ffmpeg("-f", "lavfi", "-i", source, "-vf", chosen, "-fps_mode", "passthrough", str(out))
    seen = [np.asarray(Image.open(path).convert("L"))[0, 0] for path in sorted(tmp_path.iterdir())]
    assert [round(value / 4) for value in seen] == rows


def test_times_are_rounded_so_that_none_is_lost() -> None:
    assert in_ticks([1] * 6, 30, 100) == [3, 4, 3, 3, 4, 3]
    for fps in (12.5, 23.976, 60):
        found = in_ticks([3, 1, 4, 1, 5, 9], fps, 100)
        ends = np.cumsum([3, 1, 4, 1, 5, 9]) * 100 / fps
        assert np.abs(np.cumsum(found) - ends).max() <= 0.5


def test_delays_of_pngs_are_exact_where_16_bits_can_say_them(tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    write(held((1, 1)), 30000 / 1001, True, Target(out, format_of("png")))
    data = bytearray(out.read_bytes())
    delays = [Fraction(1001, 30000), Fraction(3600)]
    apng.set_delays(data, delays)
    places = [i for i in range(len(data)) if data[i : i + 4] == b"fcTL"]
    told = [
        tuple(int.from_bytes(data[at + k : at + k + 2], "big") for k in (24, 26)) for at in places
    ]
    assert told == [(1001, 30000), (3600, 1)]
    for delay in (Fraction(1001 * 70, 30000), Fraction(10**6, 33333333), Fraction(65535)):
        apng.set_delays(data, [delay, delay])
        at = places[0]
        parts = [int.from_bytes(data[at + k : at + k + 2], "big") for k in (24, 26)]
        assert abs(parts[0] / parts[1] - delay) < 1e-4 * delay
    out.write_bytes(data)
    with Image.open(out) as image:  # checksums are right
        image.seek(1)
        image.load()


@pytest.mark.parametrize("module", [gif, apng])
def test_another_number_of_frames_is_an_error(module, tmp_path: Path) -> None:
    name = module.__name__.rpartition(".")[2]
    out = tmp_path / f"a.{name}"
    write(held(), FPS, True, Target(out, format_of(name)))
    data = bytearray(out.read_bytes())
    for count in (4, 6):
        with pytest.raises(EncoderError, match=f"holds 5 frames and not {count}"):
            module.set_delays(data, [Fraction(1)] * count)
    assert data == out.read_bytes()


def test_damage_is_told() -> None:
    with pytest.raises(EncoderError, match="damaged at byte 13"):
        gif.set_delays(bytearray(b"GIF89a" + bytes(4) + b"\x00\x00\x00" + b"\x99"), [])
