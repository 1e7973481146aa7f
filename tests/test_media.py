import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memegen.errors import EncoderError, MemegenError, UsageError
from memegen.media import encode
from memegen.media.commands import Quality, Stream, ladder, raw_input
from memegen.media.commands import encode as arguments
from memegen.media.encode import flatten, target_for, write
from memegen.media.formats import format_of, parse_size, representable_fps

STREAM = Stream(64, 48, 25, alpha=False, loops=True)


def pictures(
    count: int = 5, size: tuple[int, int] = (48, 64), channels: int = 3
) -> list[np.ndarray]:
    """A still gradient with a square that moves."""
    y, x = np.mgrid[: size[0], : size[1]]
    base = np.stack([x * 3 % 256, y * 4 % 256, (x + y) % 256], -1).astype(np.uint8)
    if channels == 4:
        base = np.dstack([base, np.where(x < size[1] // 2, 255, 0).astype(np.uint8)])
    frames = [base.copy() for _ in range(count)]
    for i, frame in enumerate(frames):
        frame[10:20, 5 + 4 * i : 15 + 4 * i, :3] = (250, 20, 20)
    return frames


def options(args: list[str]) -> dict[str, str]:
    return {a: b for a, b in itertools.pairwise(args) if a.startswith("-")}


def test_raw_input_says_size_rate_and_pixels() -> None:
    said = options(raw_input(STREAM))
    assert said["-s"] == "64x48"
    assert said["-pix_fmt"] == "rgb24"
    assert float(said["-r"]) == 25
    assert options(raw_input(Stream(2, 2, 10, True, True)))["-pix_fmt"] == "rgba"


def test_gif_palette_is_made_of_all_frames_and_only_changes_are_stored() -> None:
    graph = options(arguments("gif", STREAM, Quality(colours=64), ["-i", "x"], "out", "c"))[
        "-filter_complex"
    ]
    assert "palettegen=max_colors=64" in graph
    assert "stats_mode=full" in graph
    assert "diff_mode=rectangle" in graph


def test_mp4_is_h264_yuv420p_with_even_sides_and_fast_start() -> None:
    said = options(arguments("mp4", STREAM, Quality(), ["-i", "x"], "out", "c"))
    assert said["-c:v"] == "libx264"
    assert "format=yuv420p" in said["-vf"]
    assert "trunc(iw/2)*2" in said["-vf"]
    assert said["-movflags"] == "+faststart"


@pytest.mark.parametrize(("name", "key", "loop", "once"), [
    ("gif", "-loop", "0", "-1"), ("webp", "-loop", "0", "1"), ("apng", "-plays", "0", "1"),
])  # fmt: skip
def test_loops(name: str, key: str, loop: str, once: str) -> None:
    ending = Stream(64, 48, 25, alpha=False, loops=False)
    assert options(arguments(name, STREAM, Quality(), [], "o", "c"))[key] == loop
    assert options(arguments(name, ending, Quality(), [], "o", "c"))[key] == once


@pytest.mark.parametrize("name", ["gif", "mp4", "webp", "apng"])
def test_ladder_begins_untouched_and_shrinks_last(name: str) -> None:
    steps = ladder(name)
    assert steps[0] == Quality()
    scales = [q.scale for q in steps]
    assert scales == sorted(scales, reverse=True)
    assert scales[-1] <= 0.1


def test_gif_delays_are_hundredths() -> None:
    gif = format_of("x.gif")
    assert representable_fps(25, gif) == 25
    assert representable_fps(30, gif) == pytest.approx(100 / 3)
    assert representable_fps(120, gif) == 50
    assert representable_fps(30, format_of("x.mp4")) == 30


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
    read = subprocess.run(
        [encode.ffmpeg(), "-i", str(out), "-f", "null", "-"], capture_output=True, text=True
    )
    assert "yuv420p" in read.stderr
    assert "64x48" in read.stderr
    assert "made with memegen" in read.stderr


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_one_frame_is_a_still(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"a{suffix}"
    frame = pictures()[0]
    write([frame], 25, False, target_for(str(out)))
    with Image.open(out) as image:
        assert getattr(image, "n_frames", 1) == 1
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - frame).mean() < 6
    assert out.read_bytes().count(b"made with memegen") == 1


def test_size_limit_is_kept(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (8, 120, 160, 3), dtype=np.uint8)
    for suffix in (".gif", ".mp4", ".webp"):
        out = tmp_path / f"a{suffix}"
        write(list(noise), 25, True, target_for(str(out), max_bytes=40_000))
        assert 0 < out.stat().st_size <= 40_000
    with pytest.raises(MemegenError, match="max-size"):
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
