import itertools
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image, ImageSequence
from support.clips import described, pictures, run_ffmpeg
from support.command import RunCli
from support.faces import sample_face

from memegen.errors import EncoderError, MemegenError, UsageError
from memegen.media import encode, formats
from memegen.media.commands import Sound, raw_input
from memegen.media.encode import Target, flatten, target_for, write
from memegen.media.formats import (
    FORMATS,
    AnimatedFormat,
    Format,
    Quality,
    StillFormat,
    Stream,
    format_of,
    output_format,
)
from memegen.media.graph import FilterStream, Options
from memegen.media.sizes import parse_size
from memegen.performance.clip import open_clip, read_clip

ANIMATED = [fmt for fmt in FORMATS if isinstance(fmt, AnimatedFormat)]


def test_gif_has_one_palette_of_all_frames_and_stores_what_changes(tmp_path: Path) -> None:
    """A colour that only the last frame has is in the palette, which is the only one."""
    frames = pictures()
    frames[-1][10:20, 21:31] = (0, 0, 255)
    out = tmp_path / "a.gif"
    write(frames, 25, True, target_for(str(out)))
    areas, last = [], None
    with Image.open(out) as image:
        for frame in ImageSequence.Iterator(image):
            assert frame.global_palette is not None and frame.disposal_method != 2  # type: ignore[attr-defined]
            areas.append(frame.dispose_extent)  # type: ignore[attr-defined]
            last = np.asarray(frame.convert("RGB"))
    assert areas[0] == (0, 0, 64, 48)
    for x0, y0, x1, y1 in areas[1:]:
        assert (x1 - x0) * (y1 - y0) <= 20 * 12
    assert last is not None and np.abs(last[15, 25].astype(int) - (0, 0, 255)).max() < 40
    data = out.read_bytes()
    with Image.open(out) as image:
        assert data[10] & 0x80 and image.n_frames == 5  # type: ignore[attr-defined]


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_pictures_that_became_small_are_counted_whole(suffix: str) -> None:
    fmt = format_of(suffix)
    assert isinstance(fmt, AnimatedFormat)
    coarse = next(q for q in fmt.ladder() if getattr(q, "colours", 0) == 256)
    for side, scale, sparse in ((640, 1.0, True), (640, 0.3, False), (128, 1.0, False)):
        stream = Stream(side, side, 25, False, True)
        narrow = replace(coarse, scale=scale)
        told = " ".join(encode.encode(fmt, stream, narrow, raw_input(stream), Path("a"), ""))
        assert ("flags=neighbor" in told) is sparse


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_what_stands_still_between_what_moves_is_not_stored_again(
    suffix: str, tmp_path: Path
) -> None:
    """Two specks in opposite corners: the rectangle that changes is nearly the whole picture."""
    ground = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    frames = [ground.copy() for _ in range(8)]
    for index, frame in enumerate(frames):
        frame[2:6, 2 + index : 6 + index] = frame[-6:-2, -8 - index : -4 - index] = (255, 0, 0)
    fmt = format_of(suffix)
    assert isinstance(fmt, AnimatedFormat)
    coarse = only(fmt, next(q for q in fmt.ladder() if getattr(q, "colours", 0) == 256))
    sizes = []
    for count in (1, 8):
        out = tmp_path / f"{count}{suffix}"
        write([*frames[:count], frames[0][::-1]], 25, True, Target(out, coarse))
        sizes.append(out.stat().st_size)
    assert sizes[1] < 1.25 * sizes[0]
    with Image.open(out) as image:
        for frame in ImageSequence.Iterator(image):
            assert np.asarray(frame.convert("RGBA"))[..., 3].min() == 255  # no holes


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_palettes_of_large_pictures_miss_nothing(suffix: str, tmp_path: Path) -> None:
    """Counted is a ninth of the pixels: still all frames, and small parts of them."""
    random = np.random.default_rng(0)
    ground = random.integers(60, 190, (240, 320, 1), np.uint8).repeat(3, 2)
    frames = [ground.copy() for _ in range(6)]
    for index, frame in enumerate(frames):
        frame[20:120, 30 + index : 130 + index] = (40, 130, 60)
    frames[4][200:206, 300:306] = (0, 0, 255)  # one frame, 6 by 6 pixels
    frames[0][100:103, 4:7] = (255, 0, 0)
    out = tmp_path / f"a{suffix}"
    fmt = format_of(suffix)
    assert isinstance(fmt, AnimatedFormat)
    coarse = next(q for q in fmt.ladder() if getattr(q, "colours", 0) == 256)
    write(frames, 25, True, Target(out, only(fmt, coarse)))
    with Image.open(out) as image:
        shown = [np.asarray(f.convert("RGB")).astype(int) for f in ImageSequence.Iterator(image)]
    assert np.abs(shown[4][203, 303] - (0, 0, 255)).max() < 30
    assert np.abs(shown[0][101, 5] - (255, 0, 0)).max() < 30
    assert np.abs(shown[2] - frames[2]).mean() < 3


def test_mp4_can_start_before_all_of_it_has_come(tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"
    write(pictures(), 25, True, target_for(str(out)))
    data = out.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    assert "h264" in described(out) and "bt709" in described(out)


@pytest.mark.parametrize("fmt", [f for f in ANIMATED if f.loops], ids=lambda f: f.name)
def test_loops(fmt: Format, tmp_path: Path) -> None:
    for loops in (True, False):
        out = tmp_path / f"{loops}{fmt.suffix}"
        write(pictures(), 25, loops, target_for(str(out)))
        with Image.open(out) as image:
            # GIF's extension counts repetitions: without one, it is played once.
            assert image.info.get("loop", 1) == (0 if loops else 1)


def only(fmt: AnimatedFormat[Quality], quality: Quality) -> AnimatedFormat[Quality]:
    """The format, of one quality."""

    class Only(type(fmt)):  # type: ignore[misc]
        def ladder(self) -> list[Quality]:
            return [quality]

    return Only()


@pytest.mark.parametrize("fmt", ANIMATED, ids=lambda f: f.name)
def test_ladder_begins_untouched_and_comes_down_to_little(
    fmt: AnimatedFormat[Quality], tmp_path: Path
) -> None:
    steps = fmt.ladder()
    assert steps[0] == type(steps[0])() and len(set(steps)) == len(steps)
    noise = list(np.random.default_rng(0).integers(0, 255, (4, 60, 80, 3), dtype=np.uint8))

    sizes = []
    for step in steps:
        out = tmp_path / f"a{fmt.suffix}"
        write(noise, 25, True, Target(out, only(fmt, step), max_bytes=10**9))
        sizes.append(out.stat().st_size)
    # Of the smallest, most is the container.
    assert all(after <= 1.05 * before for before, after in itertools.pairwise(sizes)), sizes
    assert sizes[-1] < sizes[0] / 6


class Mjpeg(AnimatedFormat[Quality]):
    """A format that nobody knows beside this class."""

    name = "mjpeg"
    suffixes = (".avi",)
    default_side = 96
    sound_options: ClassVar[Options] = {"c:a": "pcm_s16le"}

    def representable_fps(self, fps: float) -> float:
        return float(round(fps / 5) * 5)

    def ladder(self) -> list[Quality]:
        return formats.base.then_narrower([Quality(), Quality(keep_every=2)])

    def encode(
        self, pictures: FilterStream, stream: Stream, quality: Quality
    ) -> tuple[FilterStream, Options]:
        return quality.reduced(pictures), {
            "c:v": "mjpeg",
            "q:v": 2,
            "pix_fmt": "yuvj420p",
            "f": "avi",
        }


def test_a_format_is_one_class_and_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    """From the command line: its suffix, frame rate, side, sound and size limit."""
    monkeypatch.setattr(formats, "FORMATS", (*FORMATS, Mjpeg()))
    photo, out, clip = tmp_path / "a.png", tmp_path / "a.avi", tmp_path / "b.avi"
    sample_face().save(photo)
    model = ["--model", "mesh"]
    line = ["animate", str(photo), "--au", "AU26=4", "--duration", "0.5", "--fps", "12", *model]
    run_cli(*line, "-o", str(out))
    made = open_clip(out)
    assert made.fps == 10 and next(read_clip(made).frames).shape == (96, 96, 3)
    assert "mjpeg" in described(out) and "made with memegen" in described(out)
    voice = tmp_path / "v.wav"
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=1", str(voice))
    noise = list(np.random.default_rng(0).integers(0, 255, (8, 120, 160, 3), dtype=np.uint8))
    target = target_for(str(clip), max_bytes=60_000, sound=Sound(voice, 0.0, 0.4))
    write(noise, 20, True, target)
    assert open_clip(clip).audio and 0 < clip.stat().st_size <= 60_000
    with pytest.raises(UsageError, match="one picture"):
        write(noise, 20, True, Target(tmp_path / "a.jpg", format_of("jpg")))


def test_pictures_without_sound_ask_for_none(tmp_path: Path) -> None:
    sound = Sound(tmp_path / "never.wav", 1.5, 2.0)
    for fmt in ANIMATED:
        target = target_for(str(tmp_path / f"a{fmt.suffix}"), sound=sound)
        if fmt.sound:
            with pytest.raises(EncoderError, match="No such file"):
                write(pictures(), 25, True, target)
        else:
            write(pictures(), 25, True, target)


SAID = 'it\'s "a" =comment; with: [all] \\ sorts, 100%d @ $HOME `x` | <b>&'


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
def test_comments_are_kept_whatever_they_say(fmt: Format, tmp_path: Path) -> None:
    """Also bytes that are no text, as names of recipes' files may have them."""
    out = tmp_path / f"a{fmt.suffix}"
    for comment in (SAID, f"\udcff{SAID}\nmore 😀"):
        frames = pictures(5 if fmt.animated else 1)
        write(frames, 25, True, target_for(str(out), comment=comment))
        with_escapes = SAID.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        with_escapes = with_escapes.replace('"', "&quot;").replace("'", "&#x27;")
        data = out.read_bytes()
        assert SAID.encode() in data or with_escapes.encode() in data


def test_formats_of_outputs() -> None:
    assert output_format("-") is format_of("gif") and output_format("-", "webp") is format_of(
        ".webp"
    )
    assert (
        output_format("a.PNG") is format_of("apng") and output_format("a.png", "jpg").name == "jpg"
    )
    assert {fmt.suffix for fmt in FORMATS if isinstance(fmt, StillFormat)} == {
        ".webp",
        ".png",
        ".jpg",
    }


def test_gif_delays_are_hundredths() -> None:
    gif = format_of("x.gif")
    assert gif.representable_fps(25) == 25
    assert gif.representable_fps(30) == pytest.approx(100 / 3)
    assert gif.representable_fps(120) == 50
    assert format_of("x.mp4").representable_fps(30) == 30


@pytest.mark.parametrize(
    ("text", "size"), [("8MB", 8_000_000), ("500kB", 500_000), ("1.5MiB", 1572864)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["8TB", "many", "", "-3MB", "nan", "inf"])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)


def test_unknown_suffix_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean '\.webp'"):
        format_of("x.webpp")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_have_their_frames_delay_loop_and_comment(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"a{suffix}"
    target = target_for(str(out), comment="made with memegen, recipe test")
    write(pictures(), 25, True, target)
    with Image.open(out) as image:
        assert image.n_frames == 5
        assert image.info.get("loop", 0) == 0
        image.seek(1)
        image.load()
        assert image.info["duration"] == pytest.approx(40)
        assert image.size == (64, 48)
    assert b"made with memegen, recipe test" in out.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == [out.name]


def test_apng_is_lossless(tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    frames = pictures()
    write(frames, 25, True, target_for(str(out)))
    with Image.open(out) as image:
        for index, frame in enumerate(frames):
            image.seek(index)
            assert (np.asarray(image.convert("RGB")) == frame).all()


def test_gif_background_does_not_flicker(tmp_path: Path) -> None:
    out = tmp_path / "a.gif"
    write(pictures(), 25, True, target_for(str(out)))
    with Image.open(out) as image:
        shown = []
        for index in range(5):
            image.seek(index)
            shown.append(np.asarray(image.convert("RGB"))[25:])
    assert all((other == shown[0]).all() for other in shown[1:])


def test_transparency_is_kept_where_the_format_can(tmp_path: Path) -> None:
    frames = pictures(channels=4)
    write(frames, 25, True, target_for(str(tmp_path / "a.png")))
    with Image.open(tmp_path / "a.png") as image:
        image.seek(2)
        assert (np.asarray(image.convert("RGBA"))[..., 3] == frames[2][..., 3]).all()
    write(frames, 25, True, target_for(str(tmp_path / "a.webp")))
    with Image.open(tmp_path / "a.webp") as image:
        image.seek(1)
        assert np.asarray(image.convert("RGBA"))[30, 60, 3] < 10
    assert (flatten(frames[0])[:, 40:] == 255).all()


def test_mp4_plays_with_odd_sizes(tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"
    write(pictures(size=(49, 65)), 25, True, target_for(str(out)))
    assert "yuv420p" in described(out)
    assert "64x48" in described(out)
    assert "made with memegen" in described(out)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_one_frame_is_a_still(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"a{suffix}"
    frame = pictures()[0]
    write([frame], 25, False, target_for(str(out)))
    with Image.open(out) as image:
        assert getattr(image, "n_frames", 1) == 1
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - frame).mean() < 6
    xmp_and_comment = 1 if suffix == ".webp" else 2
    assert out.read_bytes().count(b"made with memegen") == xmp_and_comment


def test_size_limit_is_kept(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (8, 120, 160, 3), dtype=np.uint8)
    for suffix in (".gif", ".mp4", ".webp"):
        out = tmp_path / f"a{suffix}"
        write(list(noise), 25, True, target_for(str(out), max_bytes=40_000))
        assert 0 < out.stat().st_size <= 40_000
    with pytest.raises(MemegenError, match="max_size"):
        write(list(noise), 25, True, target_for(str(tmp_path / "b.gif"), max_bytes=1000))
    assert not (tmp_path / "b.gif").exists()


def test_an_error_midway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "a.gif"
    out.write_text("old")

    def broken():  # type: ignore[no-untyped-def]
        yield from pictures(2)
        raise MemegenError("stop")

    with pytest.raises(MemegenError, match="stop"):
        write(broken(), 25, True, target_for(str(out)))
    assert out.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.gif"]


def test_ffmpeg_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "ffmpeg", lambda: "/nonexistent/ffmpeg")
    with pytest.raises(EncoderError, match="cannot start ffmpeg"):
        write(pictures(), 25, True, target_for(str(tmp_path / "a.gif")))
    assert not list(tmp_path.iterdir())


def test_targets_are_checked_before_work(tmp_path: Path) -> None:
    deep = tmp_path / "new" / "folder" / "a.gif"
    target = target_for(str(deep))
    assert not deep.parent.exists()
    assert write(pictures(), 25, True, target) == deep and deep.exists()
    with pytest.raises(UsageError, match="is no folder"):
        target_for(str(deep / "b.gif"))
    with pytest.raises(UsageError, match="is a folder"):
        target_for(str(tmp_path))
    with pytest.raises(UsageError, match="unknown output format"):
        target_for(str(tmp_path / "a.bmp"))
    with pytest.raises(UsageError, match="one picture"):
        write(pictures(), 25, True, target_for(str(tmp_path / "a.jpg")))


def test_no_frames(tmp_path: Path) -> None:
    with pytest.raises(MemegenError, match="no frames"):
        write([], 25, True, target_for(str(tmp_path / "a.gif")))
