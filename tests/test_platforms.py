"""Stickers and emojis: every platform's limits, by a probe of the file that was written."""

import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command import RunCli
from support.paths import SAMPLE

from memegen import recipes
from memegen.captions.caption import Caption, usual_style
from memegen.captions.frames import drawn
from memegen.crop import crop_box
from memegen.errors import MemegenError, UsageError
from memegen.frames import Frames
from memegen.geometry.box import Box
from memegen.media.encode import best_within, ffmpeg
from memegen.media.formats.apng import ApngQuality
from memegen.media.formats.base import Quality
from memegen.media.platforms import (
    SNUG,
    Platform,
    fitted,
    platform_named,
    platforms,
    presented,
)
from memegen.photo import Photo
from memegen.pipeline import Animator


@dataclass(frozen=True)
class Probed:
    size: tuple[int, int]
    frames: int
    seconds: float


def probed(path: Path) -> Probed:
    """What a file holds, by Pillow, or by ffmpeg where that is not its business."""
    if path.suffix == ".webm":
        command = [ffmpeg(), "-hide_banner", "-i", str(path), "-f", "null", "-"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        width, height = re.search(r"Video: vp9.* (\d+)x(\d+)", said).groups()  # type: ignore[union-attr]
        hours, minutes, seconds = re.search(r"Duration: (\d+):(\d+):([\d.]+)", said).groups()  # type: ignore[union-attr]
        frames = re.findall(r"frame= *(\d+)", said)[-1]
        length = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        return Probed((int(width), int(height)), int(frames), length)
    if path.suffix == ".webp":
        data, at, lengths = path.read_bytes(), 12, []
        while at < len(data):  # Pillow tells no durations of these
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            if data[at : at + 4] == b"ANMF":
                lengths.append(int.from_bytes(data[at + 20 : at + 23], "little"))
            at += 8 + size + size % 2
        with Image.open(path) as image:
            return Probed(image.size, len(lengths), sum(lengths) / 1000)
    with Image.open(path) as image:
        count, milliseconds = getattr(image, "n_frames", 1), 0.0
        for number in range(count):
            image.seek(number)
            milliseconds += image.info.get("duration", 0)
        return Probed(image.size, count, milliseconds / 1000)


@pytest.mark.parametrize("name", sorted(platforms()))
def test_what_is_written_keeps_to_the_platforms_limits(
    name: str, tmp_path: Path, run_cli: RunCli
) -> None:
    platform = platform_named(name)
    au = ("--au", "AU12=5,AU25=3,AU51=2", "--fps", "12", "--duration", "6", "--model", "mesh")
    run_cli("animate", str(SAMPLE), *au, "--for", name, "-o", f"{tmp_path}/")
    (path,) = tmp_path.iterdir()
    found = probed(path)
    assert path.suffix == platform.output.suffix and path.stat().st_size <= platform.bytes
    if platform.exact:
        assert found.size == platform.exact
    if platform.most:
        assert found.size[0] <= platform.most[0] and found.size[1] <= platform.most[1]
    assert found.frames > 1 and found.seconds > 1
    if platform.seconds is not None:
        assert found.seconds <= platform.seconds + 0.01
    if platform.frames is not None:
        assert found.frames <= platform.frames


def ramp(count: int, size: tuple[int, int], fps: float) -> Frames:
    """Frames whose grey level is their number."""
    pictures = (np.full((size[1], size[0], 3), k, np.uint8) for k in range(count))
    return Frames(pictures, count, size, fps, True, "test")


PLATFORM = Platform("p", "gif", 10**6, "none", True, "", "", exact=(40, 40))


def test_what_is_too_long_is_played_faster_and_ends_where_it_did() -> None:
    made = fitted(ramp(100, (40, 40), 20), replace(PLATFORM, seconds=2.0))
    levels = [int(picture[0, 0, 0]) for picture in made]
    assert made.fps == 20 and len(made) == len(levels) == 40
    assert levels[0] == 0 and levels[-1] == 99 and levels == sorted(levels)


def test_of_too_many_frames_some_are_left_out_at_the_same_speed() -> None:
    made = fitted(ramp(100, (40, 40), 20), replace(PLATFORM, frames=50))
    assert len(list(made)) == len(made) == 50 and made.fps == 10


@pytest.mark.parametrize("transparent", [True, False])
def test_pictures_are_padded_in_the_middle(transparent: bool) -> None:
    made = fitted(ramp(3, (20, 10), 10), replace(PLATFORM, transparent=transparent))
    last = list(made)[-1]
    if transparent:
        assert last.shape == (40, 40, 4)
        assert (last[:10, :, 3] == 0).all() and (last[30:, :, 3] == 0).all()
        assert (last[10:30, :, 3] == 255).all() and (last[10:30, :, :3] == 2).all()
    else:
        assert last.shape == (40, 40, 3) and (last == 2).all()


def test_crops_are_squares_about_the_face(animator: Animator, photo: Photo) -> None:
    faces = [found.analysis for found in animator.analyze(photo)]
    points = faces[0].alignment.to_photo(faces[0].landmarks[:, :2])
    boxes = {name: crop_box(name, faces, photo.size) for name in ("face", "head", "square")}
    for box in boxes.values():
        assert box.shape[0] == box.shape[1]
        assert box.left <= points[:, 0].min() and box.right >= points[:, 0].max()
        assert box.top <= points[:, 1].min() and box.bottom >= points[:, 1].max()
    assert boxes["face"].shape < boxes["head"].shape <= boxes["square"].shape
    assert boxes["square"].shape[0] == min(photo.size)
    whole = crop_box("none", faces, photo.size)
    assert whole.shape == (photo.size[1], photo.size[0])


def test_a_crop_shows_what_the_whole_photo_does_there(animator: Animator, photo: Photo) -> None:
    faces = [found.analysis for found in animator.analyze(photo)]
    box = crop_box("head", faces, photo.size)
    au = {"AU12": 5.0}
    whole = list(animator.animate(photo, au=au, fps=2, duration=1.0))
    track = recipes.of_expression(au).track(2, 1.0)
    cut = list(animator.prepare_photo(photo, crop="head").play(track))
    for picture, part in zip(whole, cut, strict=True):
        wanted = picture[box.slices].astype(int)
        assert part.shape == wanted.shape
        # At the cut, flow and softness are told from less of a picture: a level here and there.
        assert np.abs(part - wanted).mean() < 0.05


@dataclass(frozen=True)
class Levels(Quality):
    level: int = 0


def test_a_limit_is_used_by_nine_tenths() -> None:
    asked = []

    def size_at(quality: Levels) -> int:
        asked.append(quality.level)
        return 10_000 - 90 * quality.level

    ladder = [Levels(level=level) for level in (0, 20, 40, 60, 80, 100)]
    best = best_within(ladder, size_at, 5_000)  # type: ignore[arg-type]
    assert 0.9 * 5_000 <= size_at(best) <= 5_000  # type: ignore[arg-type]
    assert asked[-2] == best.level, "what was written last is the best"  # type: ignore[attr-defined]
    assert len(asked) < 9
    assert best_within(ladder, size_at, 20_000) is ladder[0]  # type: ignore[arg-type]
    with pytest.raises(MemegenError, match="the smallest version is 1 kB"):
        best_within(ladder, size_at, 900)  # type: ignore[arg-type]


def test_no_refinement_is_worse_than_what_was_found() -> None:
    """An APNG of 0 colours has all of them: half way from there to 256 is no middle."""
    ladder = [ApngQuality(colours=colours) for colours in (0, 256, 64)]

    def size_at(quality: ApngQuality) -> int:
        return 10_000 if quality.colours == 0 else 10 * quality.colours

    assert best_within(ladder, size_at, 4_000) == ladder[1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--for", "telegram"], "did you mean 'telegram-"),
        (["--for", "telegram-sticker", "-o", "x.gif"], "x.gif: --for telegram-sticker is a .webm"),
        (["--for", "tweet", "--format", "mp4"], "--for tweet is a .gif, not mp4"),
        (["--crop", "feet"], "--crop feet: unknown"),
    ],
)
def test_bad_requests_are_one_line(
    arguments: list[str], says: str, run_cli: RunCli,
) -> None:  # fmt: skip
    said = run_cli("animate", str(SAMPLE), *arguments, code=2).err.strip()
    assert says in said and "\n" not in said


def test_every_platform_says_where_its_limits_are_from() -> None:
    for platform in platforms().values():
        assert platform.source.startswith("https://") and re.match(r"20\d\d-\d\d", platform.as_of)
        assert platform.output.animated and platform.bytes > 10_000
    with pytest.raises(UsageError):
        platform_named("nowhere")


def captioned(size: tuple[int, int], position: str, faces: tuple[Box, ...] = ()) -> Frames:
    caption = Caption("some words for everybody", position, style=usual_style(position))
    return replace(ramp(3, size, 10), captions=(caption,), faces=faces)


@pytest.mark.parametrize("position", ["top", "above", "below"])
@pytest.mark.parametrize("size", [(150, 150), (90, 160), (700, 500)])
def test_text_is_as_sharp_as_on_pictures_of_that_size(position: str, size: tuple[int, int]) -> None:
    platform = replace(PLATFORM, exact=(400, 400))
    made = presented(captioned(size, position), platform, None, print)
    picture = next(iter(made))
    assert made.size == (400, 400) and picture.shape[:2] == (400, 400)
    # What is drawn at that size has hard edges: few pixels are neither ink nor ground.
    letters = picture[..., :3].max(-1).astype(int)
    steps = np.abs(np.diff(letters, axis=1))
    soft = fitted(drawn(captioned(size, position)), platform)
    before = np.abs(np.diff(next(iter(soft))[..., :3].max(-1).astype(int), axis=1))
    assert (steps > 150).sum() > (1.2 if max(size) < 200 else 0.9) * (before > 150).sum()
    used = np.argwhere(picture[..., 3] > 0) if picture.shape[2] == 4 else np.argwhere(letters >= 0)
    assert (used.max(0) - used.min(0) + 1).max() >= 400 * (1 - SNUG)


def test_without_captions_nothing_is_resized_twice() -> None:
    one = list(presented(ramp(3, (20, 10), 10), PLATFORM, None, print))
    other = list(fitted(ramp(3, (20, 10), 10), PLATFORM))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_faces_that_captions_keep_off_grow_with_the_picture() -> None:
    platform = replace(PLATFORM, exact=(400, 400))
    face = Box(30, 40, 70, 90)
    made = presented(captioned((100, 100), "top", (face,)), platform, None, print)
    assert made.faces[0] == Box(120, 160, 280, 360)
    assert all(text.bottom <= 160 for text in made.faces[1:])  # what was drawn is kept off, too


def test_a_cut_out_is_padded_with_nothing_even_where_padding_is_not() -> None:
    clear = np.zeros((10, 20, 4), np.uint8)
    clear[:, 5:15] = (9, 9, 9, 255)
    frames = replace(ramp(1, (20, 10), 10), pictures=iter([clear]))
    made = next(iter(fitted(frames, replace(PLATFORM, transparent=False))))
    assert (made[:10, :, 3] == 0).all() and (made[13:27, 13:27, 3] > 245).all()
