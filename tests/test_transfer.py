"""`memegen transfer`, from files to files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from support.clips import with_sound
from support.command import RunCli
from support.faces import sample_face

from memegen import aus
from memegen.performance.clip import open_clip, read_clip
from memegen.tracks import Track


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small photo, a clip of it with sound that smiles, and a silent GIF."""
    import memegen

    folder = tmp_path_factory.mktemp("parts")
    photo, clip, loop = folder / "photo.png", folder / "clip.mp4", folder / "loop.gif"
    sample_face().save(photo)
    animator = memegen.Animator("mesh", "cpu")
    frames = animator.animate(photo, au={"AU26": 4, "AU1": 3}, fps=10, duration=1.2)
    memegen.write(frames, folder / "silent.mp4")
    memegen.write(animator.animate(photo, "wink", fps=10, duration=0.8), loop)
    with_sound(folder / "silent.mp4", clip)
    return {"photo": photo, "clip": clip, "loop": loop, "folder": folder}


def test_a_performance_moves_the_photo_and_keeps_its_sound(
    parts: dict[str, Path], run_cli: RunCli
) -> None:
    out, table = parts["folder"] / "out.mp4", parts["folder"] / "t.csv"
    run_cli("transfer", str(parts["photo"]), str(parts["clip"]), "-o", str(out), "--save-track",
        str(table))  # fmt: skip
    made, given = open_clip(out), open_clip(parts["clip"])
    assert made.audio and made.fps == pytest.approx(10)
    assert made.seconds == pytest.approx(given.seconds, abs=0.1)
    frames = np.stack(list(read_clip(made).frames)).astype(float)
    assert np.abs(frames - frames[0]).mean((1, 2, 3)).max() > 1.5
    assert np.abs(frames[:, :20, :20] - frames[0, :20, :20]).max() < 12  # the background is still
    recipe, silent = parts["folder"] / "saved.yaml", parts["folder"] / "silent-out.mp4"
    run_cli("transfer", str(parts["photo"]), str(table), "-o", str(silent), "--save-recipe",
        str(recipe))  # fmt: skip
    run_cli("recipes", "check", str(recipe))
    assert not open_clip(silent).audio
    assert len(list(read_clip(open_clip(silent)).frames)) == len(frames)


def test_a_picture_gives_a_still_or_a_way_there_and_back(
    parts: dict[str, Path], run_cli: RunCli
) -> None:
    photo, still = str(parts["photo"]), parts["folder"] / "still.png"
    other = parts["folder"] / "other.png"
    run_cli("animate", photo, "--au", "AU26=4,AU25=3", "--still", "-o", str(other))
    run_cli("transfer", photo, str(other), "-o", str(still))
    with Image.open(still) as made, Image.open(photo) as before:
        assert made.size == before.size
        difference = np.abs(np.asarray(made, float) - np.asarray(before, float)).max()
    assert difference > 40
    moving = run_cli("transfer", photo, str(other)).out.strip()
    assert moving.endswith("photo_other.gif")
    with Image.open(moving) as made:
        shown = sum(frame.info["duration"] for frame in ImageSequence.Iterator(made))
        assert 1200 <= shown <= 2400


def test_views_speeds_and_boomerangs(parts: dict[str, Path], run_cli: RunCli) -> None:
    photo, loop = str(parts["photo"]), str(parts["loop"])
    wide = parts["folder"] / "wide.mp4"
    run_cli("transfer", photo, loop, "-o", str(wide), "--compare")
    first = next(read_clip(open_clip(wide)).frames)
    assert first.shape[1] == 2 * first.shape[0]
    fast = parts["folder"] / "fast.gif"
    run_cli("transfer", photo, loop, "-o", str(fast), "--speed", "2", "--boomerang")
    with Image.open(fast) as made:
        assert 4 <= len(list(ImageSequence.Iterator(made))) <= 8


def test_bad_input_is_one_line(parts: dict[str, Path], run_cli: RunCli) -> None:
    photo, clip, folder = str(parts["photo"]), str(parts["clip"]), parts["folder"]
    out = folder / "never.mp4"
    grey = folder / "grey.png"
    Image.new("RGB", (200, 200), "grey").save(grey)
    for args, code, said in (
        ([photo, str(folder / "none.mp4")], 2, "no such file"),
        ([photo, str(grey)], 3, "no face found"),
        ([str(grey), clip], 3, "no face found"),
        ([photo, clip, "--only", "nose"], 2, "unknown part 'nose'"),
        ([photo, clip, "--gain", "AU12=lots"], 2, "write NAME=FACTOR"),
        ([photo, clip, "--speed", "0"], 2, "--speed 0"),
        ([photo, clip, "--start", "2", "--end", "1"], 2, "--end after it"),
        ([photo, clip, "--neutral-frame", "999"], 2, "there are 12 frames"),
        ([photo, photo], 2, None),
    ):
        where = photo if args == [photo, photo] else str(out)
        found = run_cli("transfer", *args, "-o", where, code=code).err
        assert said is None or said in found
        assert not out.exists()


def track(values: list[float], fps: float = 10.0) -> Track:
    units = np.zeros((len(values), len(aus.CHANNELS)), np.float32)
    units[:, 0] = values
    return Track(np.zeros_like(units), units, fps)


def test_tracks_change_rate_speed_and_direction() -> None:
    ramp = track([0, 0.1, 0.2, 0.3])
    assert ramp.resampled(20).add[:, 0] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.3])
    assert ramp.resampled(10, 2).add[:, 0] == pytest.approx([0, 0.2])
    assert ramp.boomerang().add[:, 0] == pytest.approx([0, 0.1, 0.2, 0.3, 0.2, 0.1])
    there = track([0.8]).there_and_back()
    source = np.full(len(aus.CHANNELS), 0.4, np.float32)
    reached = there.resolve(source)[:, 0]
    assert reached[0] == pytest.approx(0.4) and reached.max() == pytest.approx(0.8)
    assert there.loops and abs(reached[-1] - 0.4) < 0.1
