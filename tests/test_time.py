"""Time: frame rates to the last digit, tables, odd times, edit lists, and which sound is heard."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from support.clips import pictures, ramp, run_ffmpeg, samples, tone
from support.command import RunCli
from support.faces import sample_face
from support.paths import SAMPLE

from memegen import aus
from memegen.errors import MemegenError, UsageError
from memegen.media.commands import Sound
from memegen.media.encode import target_for, write
from memegen.media.rates import beat_of, exact_rate, rate_text
from memegen.performance.clip import open_clip, parse_probe, read_clip
from memegen.performance.table import read_csv, to_csv

RATES = [24000 / 1001, 24, 25, 30000 / 1001, 30, 50, 60000 / 1001, 60]


@pytest.mark.parametrize("fps", RATES)
def test_tables_keep_rates_and_places(fps: float, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    told = ramp(40, fps)
    path.write_text(to_csv(told, whole=True))
    back = read_csv(path)
    assert back.fps == fps and len(back) == 40
    assert np.allclose(back.units, told.units, atol=1e-5)
    assert np.allclose(back.heads, told.heads, atol=1e-4)
    assert np.allclose(back.landmarks, told.landmarks, atol=1e-5)
    path.write_text(to_csv(told))
    small = read_csv(path)
    assert small.landmarks is None and small.heads is not None
    assert path.stat().st_size < 40 * 1000


@pytest.mark.parametrize("fps", RATES)
def test_stamps_in_milliseconds_say_the_same_rate(fps: float) -> None:
    """As OpenFace writes them: 30 frames a second are no 30.3."""
    times = np.round(np.arange(100) / fps, 3)
    beat = beat_of(times, 1e-3)
    assert beat is not None and beat.steady and beat.fps == fps


@pytest.mark.parametrize(
    ("resolution", "fps"), [(1e-3, fps) for fps in RATES] + [(1e-2, 100 / n) for n in (3, 4, 5, 8)]
)
def test_frames_that_are_held_leave_the_rate_as_it_is(resolution: float, fps: float) -> None:
    """As GIFs of memegen's have them: most frames at the rate, some for longer."""
    repeats = [7, *[1] * 15, 6, 1, 1, 10, *[1] * 20, 3]
    times = np.cumsum([0, *repeats]) / fps
    beat = beat_of(np.round(times / resolution) * resolution, resolution)
    assert beat is not None and beat.fps == pytest.approx(fps, abs=1e-9) and not beat.steady


def test_one_short_frame_is_no_rate() -> None:
    beat = beat_of(np.cumsum([0, 1.0, 0.5, 0.02, 1.0, 1.0, 1.0]), 1e-2)
    assert beat is not None and beat.fps == pytest.approx(1)


def test_rates_are_known_by_what_files_say_of_them() -> None:
    said = {
        23.98: 24000 / 1001,
        29.97: 30000 / 1001,
        59.94: 60000 / 1001,
        25: 25,
        12.5: 12.5,
        29.9: 29.9,
    }
    for rounded, exact in said.items():
        assert exact_rate(rounded) == exact
    assert rate_text(30000 / 1001) == "30000/1001" and rate_text(25) == "25"
    assert rate_text(12.5) == "12.500000"
    assert beat_of(np.array([0.0]), 1e-3) is None and beat_of(np.zeros(4), 1e-3) is None


@pytest.mark.parametrize(("text", "fps"), [("24000/1001", RATES[0]), ("30000/1001", RATES[3])])
def test_videos_keep_exact_rates(text: str, fps: float, tmp_path: Path) -> None:
    source, out = tmp_path / "a.mp4", tmp_path / "b.mp4"
    run_ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=64x48:r={text}:d=1", str(source))
    clip = open_clip(source)
    assert clip.fps == fps
    frames = list(read_clip(clip).frames)
    assert len(frames) == round(fps)
    write(frames, clip.fps, False, target_for(str(out)))
    assert open_clip(out).fps == fps


def stamped(path: Path, times: list[float], smile: list[float]) -> Path:
    """A table whose rows were seen at some times."""
    told = ramp(len(times), 10)
    told.units[:, aus.INDEX["AU12L"]] = smile
    header, *rows = to_csv(told).splitlines()
    for i, (row, time) in enumerate(zip(rows, times, strict=True)):
        cells = row.split(",")
        rows[i] = ",".join([*cells[:2], f"{time:g}", *cells[3:]])
    path.write_text("\n".join([header, *rows]))
    return path


def test_rows_at_odd_times_are_brought_to_a_steady_rate(tmp_path: Path) -> None:
    times = [0, 0.1, 0.2, 0.35, 0.4, 0.5, 0.6, 2.0, 2.1]
    told = read_csv(stamped(tmp_path / "a.csv", times, [t / 3 for t in times]))
    assert told.fps == pytest.approx(10) and len(told) == 22
    assert told.units[:, aus.INDEX["AU12L"]] == pytest.approx(np.arange(22) / 30, abs=1e-4)
    assert told.heads is not None and told.heads[10, 0] == pytest.approx(
        np.interp(1, times, np.linspace(90, 130, 9)), abs=0.01
    )
    assert list(np.flatnonzero(~told.seen)) == list(range(7, 20))  # nobody was seen meanwhile
    with pytest.raises(MemegenError, match="goes back in time"):
        read_csv(stamped(tmp_path / "b.csv", [0, 0.5, 0.1, 0.9], [0, 0, 0, 0]))
    for odd in ([0, 0.1, 0.2, 9e8], [0, 33, 67, 100]):
        with pytest.raises(MemegenError, match="s apart; is it in seconds"):
            read_csv(stamped(tmp_path / "c.csv", odd, [0, 0, 0, 0]))


def test_tables_are_cut_by_start_and_end(tmp_path: Path, run_cli: RunCli) -> None:
    path = stamped(tmp_path / "a.csv", [i / 10 for i in range(20)], [i / 20 for i in range(20)])
    told = read_csv(path)
    part = told.between(0.5, 1.2)
    assert len(part) == 7 and part.units[0, aus.INDEX["AU12L"]] == pytest.approx(0.25, abs=1e-4)
    assert part.heads is not None and len(part.heads) == len(part.confidence) == 7
    with pytest.raises(UsageError, match="after its end"):
        told.between(2.5, None)
    with pytest.raises(UsageError, match="no frame begins"):
        told.between(0.51, 0.55)
    out = tmp_path / "o.gif"
    arguments = [
        "transfer",
        str(SAMPLE),
        str(path),
        "--start",
        "0.5",
        "--end",
        "1.2",
        "--size",
        "64",
        "--model",
        "mesh",
    ]
    run_cli(*arguments, "-o", str(out))
    with Image.open(out) as image:
        assert image.n_frames == 7  # type: ignore[attr-defined]


def greys(path: Path, start: float = 0.0) -> list[int]:
    """Which frame is which: their level of grey, in steps of 20."""
    return [round(float(frame.mean()) / 20) for frame in read_clip(open_clip(path), start).frames]


def graded(path: Path, *options: str, count: int = 10, when: str = "N/10/TB") -> Path:
    """A video whose frame n is grey of level 20 n, shown from `when` on."""
    grey = "geq=lum='20*N':cb=128:cr=128"
    run_ffmpeg(
        "-f", "lavfi", "-i", f"color=black:s=64x48:r=10:d={count / 10}",
        "-vf", f"format=yuv444p,{grey},setpts='{when}'", "-fps_mode", "vfr", "-color_range", "pc",
        *options, str(path),
    )  # fmt: skip
    return path


def test_frames_at_odd_times_are_shown_when_they_should(tmp_path: Path) -> None:
    path = graded(tmp_path / "a.mkv", "-c:v", "ffv1", when="if(lt(N,5),N*0.1,0.5+(N-5)*0.4)/TB")
    clip = open_clip(path, fps=10)
    levels = [round(float(frame.mean()) / 20) for frame in read_clip(clip).frames]
    assert levels[:6] == [0, 1, 2, 3, 4, 5]
    assert levels[5:21] == [5] * 4 + [6] * 4 + [7] * 4 + [8] * 4


def test_times_that_jump_are_not_filled_for_hours(tmp_path: Path) -> None:
    path = graded(tmp_path / "a.mkv", "-c:v", "ffv1", count=4, when="N*20000/TB")
    levels = [round(float(frame.mean()) / 20) for frame in read_clip(open_clip(path, fps=2)).frames]
    assert len(levels) < 500 and levels[1::120] == [0, 1, 2]
    rare = parse_probe("Input #0\n  Stream #0:0: Video: mjpeg, 64x48, 0.0000 fps, 0.0000 tbr")
    assert rare is not None and rare.fps == 0  # minutes apart: not read 25 times a second
    moving, picture = tmp_path / "b.webp", Image.new("RGB", (32, 32), "red")
    times = [40, 40, 16_000_000, 40]
    others = [Image.new("RGB", (32, 32), colour) for colour in ("blue", "green", "grey")]
    picture.save(moving, save_all=True, append_images=others, duration=times)
    assert len(list(read_clip(open_clip(moving)).frames)) == 3 + 60 * 25


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".avif"])
def test_animated_pictures_run_as_fast_as_they_say(suffix: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), (level, 0, 0)) for level in (0, 80, 160, 240)]
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[40, 40, 80, 40])
    clip = open_clip(path)
    assert clip.fps == pytest.approx(25) and clip.seconds == pytest.approx(0.2)
    levels = [round(float(frame[..., 0].mean()) / 80) for frame in read_clip(clip).frames]
    assert levels == [0, 1, 2, 2, 3]


def test_edit_lists_hide_what_was_cut_off(tmp_path: Path) -> None:
    """Cutting without coding again leaves the frames in, and says from where to play."""
    whole = graded(tmp_path / "a.mp4", "-c:v", "libx264", "-g", "10", "-bf", "0")
    cut = tmp_path / "cut.mp4"
    run_ffmpeg("-ss", "0.4", "-i", str(whole), "-c", "copy", str(cut))
    assert greys(whole) == list(range(10))
    assert greys(cut) == list(range(4, 10))


@pytest.mark.parametrize("default", [None, 0, 1])
def test_of_several_sounds_the_default_one_is_heard(default: int | None, tmp_path: Path) -> None:
    path, out = tmp_path / "a.mkv", tmp_path / "o.mp4"
    marks = [f for i in (0, 1) for f in (f"-disposition:a:{i}", "default" if i == default else "0")]
    run_ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=1", "-f", "lavfi", "-i", "sine=f=500:d=1",
        "-f", "lavfi", "-i", "sine=f=1500:d=1", "-map", "0", "-map", "1", "-map", "2", *marks,
        "-c:v", "ffv1", "-c:a", "pcm_s16le", str(path),
    )  # fmt: skip
    clip = open_clip(path)
    assert clip.sound == (default or 0)
    sound = Sound(clip.path, 0.0, 1.0, clip.sound)
    write(pictures(10), 10, False, target_for(str(out), sound=sound))
    assert tone(out) == pytest.approx(1500 if default == 1 else 500, abs=20)
    assert parse_probe("Input #0\n  Stream #0:0: Audio: aac\n  Stream #0:1: Audio: aac (default)").sound == 1  # type: ignore[union-attr]  # fmt: skip


@pytest.mark.parametrize("start", [0.0, 0.25])
@pytest.mark.parametrize("first", ["sound", "picture"])
def test_what_begins_first_is_whole_and_in_step(first: str, start: float, tmp_path: Path) -> None:
    """1.5 s in all, of which the other one is away for half a second."""
    path, out = tmp_path / "a.mp4", tmp_path / "o.mp4"
    late = ["-itsoffset", "0.5"]
    run_ffmpeg(
        *(late if first == "sound" else []), "-f", "lavfi", "-i", f"testsrc2=s=64x48:r=10:d={1 if first == 'sound' else 1.5}",
        *(late if first == "picture" else []), "-f", "lavfi", "-i", f"sine=f=500:d={1 if first == 'picture' else 1.5}",
        "-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-c:a", "aac", str(path),
    )  # fmt: skip
    sound = Sound(path, start, 1.5 - start, 0)
    write(pictures(15), 10, False, target_for(str(out), sound=sound))
    loud = np.abs(samples(out)[: int(8000 * (1.5 - start))]).reshape(-1, 400).max(1) > 500
    begins = 0.0 if first == "sound" else 0.5 - start
    assert len(loud) >= 29 - 20 * start
    assert abs(loud.argmax() * 0.05 - begins) < 0.11 and loud[loud.argmax() + 2 :].all()


def test_a_saved_track_drives_as_its_clip_does(tmp_path: Path, run_cli: RunCli) -> None:
    """Also where the head goes, and what the face does beyond action units."""
    import memegen

    photo, clip, table = tmp_path / "photo.png", tmp_path / "clip.gif", tmp_path / "track.csv"
    sample_face().save(photo)
    played = memegen.Animator("mesh", "cpu").animate(photo, au={"AU26": 4, "AU1": 3}, fps=10, duration=0.8)  # fmt: skip
    frames = []
    for i, frame in enumerate(played):
        inner = Image.fromarray(frame)
        frames.append(inner.rotate(i, Image.Resampling.BICUBIC, translate=(4 * i, i)))
    frames[0].save(clip, save_all=True, append_images=frames[1:], duration=100)
    made = []
    for target, more in ((clip, ["--save-track", str(table)]), (table, [])):
        out = tmp_path / f"from-{target.suffix[1:]}.png"
        run_cli("transfer", str(photo), str(target), "-o", str(out), "--size", "200", "--model", "mesh",
            *more)  # fmt: skip
        with Image.open(out) as image:
            made.append(
                [np.asarray(f.convert("RGB"), float) for f in ImageSequence.Iterator(image)]
            )
    ones, others = np.stack(made[0]), np.stack(made[1])
    assert ones.shape == others.shape and len(ones) == 8
    apart = np.abs(ones - others)
    assert apart.mean() < 0.01 and (apart > 2).mean() < 1e-4
    assert np.abs(ones - ones[0]).mean() > 2  # and it moves
