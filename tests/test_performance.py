"""Performances: reading clips, following faces, smoothing, tables, and what they drive."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.clips import run_ffmpeg
from support.faces import vector
from support.paths import SAMPLE

from memegen import aus, recipes
from memegen.errors import MemegenError, NoFaceError, UsageError
from memegen.faces.detect import Detector
from memegen.geometry.motion import FaceMotion
from memegen.geometry.topology import REGIONS
from memegen.perception.analyze import FaceAnalyzer, read_crop
from memegen.performance.clip import open_clip, parse_probe, read_clip, read_ppm
from memegen.performance.keyframes import recipe_text, simplify
from memegen.performance.retarget import (
    PARTS,
    STRENGTH,
    RetargetOptions,
    detail_weights,
    parse_parts,
    reference_of,
    reference_weights,
    retarget,
)
from memegen.performance.smooth import estimate_noise, interpolate_gaps, smooth
from memegen.performance.table import read_csv, to_csv
from memegen.performance.track import (
    FaceTracker,
    Performance,
    heads_of,
    performance_from,
    with_lacks,
)

MP4 = """Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'a.mp4':
  Duration: 00:01:02.50, start: 0.000000, bitrate: 1205 kb/s
  Stream #0:0[0x1](und): Video: h264 (High), yuv420p, 640x360 [SAR 1:1], 29.97 fps, 30 tbr
  Stream #0:1[0x2](und): Audio: aac (LC), 44100 Hz, stereo, fltp, 128 kb/s (default)
At least one output file must be specified"""
SONG = """Input #0, mp3, from 'a.mp3':
  Duration: 00:00:03.00, start: 0.025057, bitrate: 128 kb/s
  Stream #0:0: Audio: mp3, 44100 Hz, stereo, fltp, 128 kb/s
  Stream #0:1: Video: mjpeg, yuvj420p, 300x300, 90k tbr, 90k tbn (attached pic)"""


def performance(**columns: np.ndarray) -> Performance:
    length = len(next(iter(columns.values())))
    units = np.zeros((length, len(aus.CHANNELS)), np.float32)
    for name, values in columns.items():
        units[:, aus.INDEX[name]] = values
    return Performance(25.0, units, np.ones(length, np.float32))


def test_ffmpegs_description_is_read() -> None:
    video, song = parse_probe(MP4), parse_probe(SONG)
    assert video is not None and song is not None
    assert (video.video, video.audio, video.fps, video.seconds) == (True, True, 30000 / 1001, 62.5)
    assert not song.video and song.audio
    assert parse_probe("a.txt: Invalid data found when processing input") is None


def test_pictures_come_one_by_one_with_their_sizes() -> None:
    stream = io.BytesIO()
    for size in ((3, 2), (4, 5)):
        Image.new("RGB", size, (1, 2, 3)).save(stream, "PPM")
    stream.write(b"P6\n9 9\n255\nshort")
    stream.seek(0)
    first, second, third = (read_ppm(stream) for _ in range(3))
    assert first is not None and first.shape == (2, 3, 3)
    assert second is not None and second.shape == (5, 4, 3) and third is None


def test_animated_pictures_run_at_a_steady_rate(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 24), (level, 0, 0)) for level in (0, 80, 160, 240)]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[100, 100, 100, 200])
    clip = open_clip(path)
    assert clip.fps == pytest.approx(10) and clip.animated and not clip.still
    levels = [int(f[0, 0, 0]) for f in read_clip(clip).frames]
    assert len(levels) == 5 and levels[-1] == levels[-2] > levels[0]
    assert len(list(read_clip(clip, 0.1, 0.3).frames)) == 2
    assert len(list(read_clip(open_clip(path, fps=20)).frames)) == 10


def test_videos_are_upright_and_small_enough(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=size=1600x400:rate=12:duration=1",
               "-pix_fmt", "yuv420p", str(path))  # fmt: skip
    clip = open_clip(path)
    assert clip.fps == pytest.approx(12) and clip.seconds == pytest.approx(1) and not clip.audio
    frames = list(read_clip(clip).frames)
    assert len(frames) == 12 and frames[0].shape == (240, 960, 3)
    assert len(list(read_clip(open_clip(path, fps=6), 0.5).frames)) == 3


def test_bad_clips_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        open_clip(tmp_path / "none.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(MemegenError, match="is empty"):
        open_clip(tmp_path / "empty.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(MemegenError, match="neither a picture nor a video"):
        open_clip(tmp_path / "text.mp4")
    sound = tmp_path / "sound.wav"
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", str(sound))
    with pytest.raises(MemegenError, match="sound but no pictures"):
        open_clip(sound)


def test_what_was_not_seen_is_bridged() -> None:
    values = np.array([[9.0], [0], [9], [9], [6], [9]], np.float32)
    seen = np.array([0, 1, 0, 0, 1, 0], bool)
    assert interpolate_gaps(values, seen).ravel() == pytest.approx([0, 0, 2, 4, 6, 6])
    assert interpolate_gaps(values, np.zeros(6, bool)).max() == 0


def test_noise_is_measured_beside_movement() -> None:
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(500) / 12)[:, None]
    assert estimate_noise(wave + rng.normal(0, 0.05, (500, 1))) == pytest.approx(0.05, rel=0.2)


def test_smoothing_stills_noise_and_keeps_a_blink() -> None:
    rng = np.random.default_rng(0)
    blink = np.zeros((100, 1), np.float32)
    blink[50:53, 0] = [0.6, 0.9, 0.6]
    noisy = blink + rng.normal(0, 0.01, blink.shape).astype(np.float32)
    calm = smooth(noisy, 25.0)
    assert calm[:45].std() < 0.5 * noisy[:45].std()
    assert calm.max() > 0.85 * 0.9
    assert int(calm.argmax()) == 51
    assert np.array_equal(smooth(noisy, 25.0, 0), noisy)


def test_smoothing_stills_noise_of_what_moves() -> None:
    """A head that turns is not made to turn in steps: the noise goes, the way stays."""
    rng = np.random.default_rng(0)
    turn = np.cumsum(0.03 * np.sin(np.arange(120) / 20))[:, None].astype(np.float32)
    calm = smooth(turn + rng.normal(0, 0.004, turn.shape).astype(np.float32), 25.0)
    noise = np.abs(np.diff(rng.normal(0, 0.004, turn.shape), n=2, axis=0)).mean()
    trembling = np.abs(np.diff(calm, n=2, axis=0)).mean()
    assert trembling < np.abs(np.diff(turn, n=2, axis=0)).mean() + 0.25 * noise
    assert np.abs(calm - turn)[5:-5].max() < 0.01


def test_fast_speech_is_not_taken_for_noise() -> None:
    """Syllables of five a second, at 25 frames a second, keep their height."""
    rng = np.random.default_rng(0)
    speech = 0.2 * np.sin(np.arange(100) * 2 * np.pi / 5)[:, None].astype(np.float32)
    noisy = speech + rng.normal(0, 0.004, speech.shape).astype(np.float32)
    calm = smooth(noisy, 25.0, floor=0.004)
    assert calm[10:-10].std() > 0.9 * speech[10:-10].std()


def test_smoothing_does_not_lag_behind_a_ramp() -> None:
    ramp = np.linspace(0, 1, 60, dtype=np.float32)[:, None]
    middle = slice(15, 45)
    assert np.abs(smooth(ramp, 25.0) - ramp)[middle].max() < 0.01


def test_table_there_and_back(tmp_path: Path) -> None:
    told = performance(AU12L=np.array([0.2, 0.8]), AU12R=np.array([0.4, 0.0]),
                       AU51=np.array([0.5, 0]), AU54=np.array([0.1, 0.3]),
                       AU63=np.array([0, 0.4]), AU18=np.array([0.3, 0.1]))  # fmt: skip
    path = tmp_path / "t.csv"
    path.write_text(to_csv(told))
    back = read_csv(path)
    assert np.abs(back.units - told.units).max() < 2e-3
    assert back.fps == pytest.approx(25, rel=1e-3)


def openface(path: Path, layout: str, drop: str = "") -> Path:
    """A table as OpenFace writes it: spaces after commas, classes beside intensities."""
    lead = {"video": ["frame", "face_id", "timestamp", "confidence", "success"],
            "image": ["face", "confidence"]}[layout]  # fmt: skip
    names = [*lead, "gaze_0_x", "gaze_angle_x", "gaze_angle_y", "pose_Tx", "pose_Rx", "pose_Ry",
             "pose_Rz", "x_0", *(f"AU{au.number:02d}_r" for au in aus.OPENFACE), "AU01_c"]  # fmt: skip
    given = {"timestamp": "0.04", "confidence": "0.98", "success": "1", "pose_Ry": "-0.2",
             "gaze_angle_y": "-0.1", "AU12_r": "2.5", "frame": "1"}  # fmt: skip
    names = [name for name in names if name != drop]
    rows = [", ".join(names), ", ".join(given.get(name, "0") for name in names)]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("layout", ["video", "image"])
def test_openfaces_own_tables_are_read_by_name(tmp_path: Path, layout: str) -> None:
    told = read_csv(openface(tmp_path / "o.csv", layout))
    assert told.units[0, aus.INDEX["AU12L"]] == pytest.approx(0.5)
    assert aus.head_degrees(told.units)[0] == pytest.approx([np.degrees(0.2), 0, 0], abs=1e-3)
    assert aus.gaze_degrees(told.units)[0] == pytest.approx([0, np.degrees(0.1)], abs=1e-3)


def test_bad_tables_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(MemegenError, match="column AU12_r is missing"):
        read_csv(openface(tmp_path / "o.csv", "video", drop="AU12_r"))
    with pytest.raises(UsageError, match="no such file"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "words.csv").write_text("frame, AU01_r\n1, much\n")
    with pytest.raises(MemegenError, match="column AU01_r holds something else"):
        read_csv(tmp_path / "words.csv")
    (tmp_path / "none.csv").write_text("frame\n")
    with pytest.raises(MemegenError, match="no rows"):
        read_csv(tmp_path / "none.csv")


def test_changes_are_counted_from_frames_that_look_as_the_photo_does() -> None:
    smile = np.concatenate([np.full(40, 0.1), np.linspace(0.1, 0.9, 60)]).astype(np.float32)
    told = performance(AU12L=smile, AU12R=smile)
    column = aus.INDEX["AU12L"]

    def smiles(frame: int | None = None, source: np.ndarray | None = None) -> float:
        weights = reference_weights(told, frame, source)
        assert weights.sum() == pytest.approx(1, abs=1e-5)
        return float(reference_of(told, weights, source)[column])

    assert smiles() == pytest.approx(0.1, abs=0.01)
    assert smiles(99) == pytest.approx(0.9)
    assert smiles(source=vector({"AU12": 4})) == pytest.approx(0.8, abs=0.04)
    with pytest.raises(UsageError, match="there are 100 frames"):
        smiles(100)


def test_the_reference_does_no_more_than_a_photo_can_undo() -> None:
    """Brows are up in the frames that smile as the photo does: they still come up in full."""
    brows = np.array([0.0] * 20 + [0.6] * 30 + [0.0] * 20, np.float32)
    smile = np.array([0.0] * 20 + [0.7] * 30 + [0.0] * 20, np.float32)
    told = performance(AU1L=brows, AU1R=brows, AU12L=smile, AU12R=smile)
    source = vector({"AU12": 3.5})
    asked = retarget(told, RetargetOptions(smoothing=0), source).resolve(source)[
        :, aus.INDEX["AU1L"]
    ]
    assert asked.max() - asked.min() > 0.5


def test_a_face_that_is_lost_is_held_and_then_let_go() -> None:
    smile = np.array([0.0] * 30 + [0.8] * 70, np.float32)
    told = performance(AU12L=smile, AU12R=smile)
    seen = np.ones(100, np.float32)
    seen[50:] = 0
    heads = np.zeros((100, 4), np.float32)
    heads[30:, 0], heads[:, 2] = 30, np.log(50)
    told = replace(told, confidence=seen, heads=heads)
    track = retarget(told, RetargetOptions(smoothing=0))
    smiles = track.resolve(np.zeros(len(aus.CHANNELS), np.float32))[:, aus.INDEX["AU12L"]]
    assert smiles[50:56] == pytest.approx(smiles[40], abs=1e-5)
    assert (np.diff(smiles[50:]) <= 1e-6).all() and smiles[-1] == 0
    assert track.head is not None
    assert track.head.shift[40] == pytest.approx([0.6, 0], abs=1e-5)
    assert track.head.shift[-1] == pytest.approx([0, 0], abs=1e-5)


def test_heads_are_found_in_the_picture(face: np.ndarray) -> None:
    points = np.stack([face * 200, face * 240 + np.array([30, -12, 0], np.float32)])
    heads = heads_of(points)
    assert heads[1, 2] - heads[0, 2] == pytest.approx(np.log(1.2), abs=1e-3)
    assert heads[1, :2] == pytest.approx(heads[0, :2] * 1.2 + [30, -12], abs=0.1)
    told = Performance(
        25.0, np.zeros((2, len(aus.CHANNELS)), np.float32), np.ones(2, np.float32), "p", None, heads
    )
    path = retarget(told, RetargetOptions(smoothing=0, neutral_frame=0)).head
    assert path is not None and path.scale == pytest.approx([0, np.log(1.2)], abs=1e-3)
    assert path.shift[0] == pytest.approx([0, 0], abs=1e-4)
    half = retarget(told, RetargetOptions(smoothing=0, neutral_frame=0, head=0.5)).head
    assert half is not None and half.scale[1] == pytest.approx(path.scale[1] / 2)
    still = retarget(told, RetargetOptions(smoothing=0, only=("mouth",)))
    assert still.head is None and retarget(told, RetargetOptions(head=0)).head is None


def test_relative_transfer_adds_the_change_to_the_photos_own() -> None:
    smile = np.array([0.2] * 30 + [0.7] * 30, np.float32)
    turn = np.array([0.0] * 30 + [0.3] * 30, np.float32)
    told = performance(AU12L=smile, AU52=turn)
    source = vector({"AU12L": 1, "AU51": 1})
    wanted = retarget(told, RetargetOptions(smoothing=0)).resolve(source)
    assert wanted[0] == pytest.approx(source, abs=1e-5)
    assert wanted[-1, aus.INDEX["AU12L"]] == pytest.approx(0.2 + 0.5 * STRENGTH["AU12"], abs=1e-5)
    assert aus.head_degrees(wanted[-1])[0] == pytest.approx(6 - 9, abs=1e-3)


def test_absolute_transfer_parts_and_gains() -> None:
    told = performance(AU12L=np.array([0.4] * 5), AU4L=np.array([0.5] * 5))
    source = vector({"AU12": 2, "AU4": 1, "AU1": 3})
    wanted = retarget(told, RetargetOptions(relative=False, smoothing=0)).resolve(source)[2]
    assert wanted[aus.INDEX["AU12L"]] == pytest.approx(0.4)
    assert wanted[aus.INDEX["AU1L"]] == 0
    only = retarget(
        told, RetargetOptions(relative=False, smoothing=0, only=("mouth",), gains={"AU12": 2})
    )
    assert only.resolve(source)[2, aus.INDEX["AU12L"]] == pytest.approx(0.8)
    assert only.resolve(source)[2, aus.INDEX["AU4L"]] == pytest.approx(0.2)
    assert parse_parts("mouth, gaze") == ("mouth", "gaze")
    with pytest.raises(UsageError, match="did you mean 'mouth'"):
        parse_parts("moth")


def test_few_keyframes_say_almost_the_same() -> None:
    ramp = np.r_[np.linspace(0, 0.8, 40), np.linspace(0.8, 0.2, 40)].astype(np.float32)
    told = performance(AU12L=ramp, AU12R=ramp)
    rows = simplify(ramp[:, None], 0.01)
    assert len(rows) <= 4 and 40 in [*rows, *(rows + 1)]
    text, error = recipe_text(retarget(told, RetargetOptions(relative=False, smoothing=0)))
    assert error <= 0.4
    again = recipes.parse(text).track()
    assert len(recipes.parse(text).keyframes) <= 4
    source = np.zeros(len(aus.CHANNELS), np.float32)
    played = again.resolve(source)[:80, aus.INDEX["AU12L"]]
    assert np.abs(played - ramp[: len(played)]).max() * 5 <= 0.45


def test_measured_motion_replaces_the_action_units_where_it_counts(
    face: np.ndarray, motion: FaceMotion
) -> None:
    units = np.zeros((12, len(aus.CHANNELS)), np.float32)
    landmarks = np.repeat(face[None], 12, 0)
    landmarks[6:] = motion.move(vector({"AU26": 3})[None])[0]
    told = Performance(25.0, units, np.ones(12, np.float32), "p", landmarks)
    track = retarget(told, RetargetOptions(detail=1.0, smoothing=0, neutral_frame=0))
    assert track.detail is not None
    assert track.frame(0).detail is not None
    moved = motion.move(track.resolve(motion.source), track.detail)
    chin, temple = 14, 127
    assert moved[11, chin, 1] - face[chin, 1] > 0.01
    assert abs(moved[11, temple, 1] - face[temple, 1]) < 0.002
    plain = motion.move(track.resolve(motion.source))
    assert np.allclose(plain[11], plain[0], atol=1e-5)


def test_parts_share_out_the_measured_motion() -> None:
    """As in Shepard's interpolation: a part's own points are its own, and all add up to one."""
    mouth, eyes, brows = (detail_weights((part,)) for part in ("mouth", "eyes", "brows"))
    assert np.allclose(mouth + eyes + brows, 1, atol=1e-6)
    assert np.allclose(detail_weights(tuple(PARTS)), 1, atol=1e-6)
    assert not detail_weights(("head", "gaze")).any()
    chin, lips, forehead = 152, list(REGIONS["mouth"]), 10
    assert mouth[lips].min() > 0.95 and mouth[chin] > 0.9 > 0.1 > mouth[forehead]
    assert eyes[list(REGIONS["eyes"])].min() > 0.7 and brows[list(REGIONS["brows"])].min() > 0.7


def test_gains_count_in_measured_motion_too(face: np.ndarray, motion: FaceMotion) -> None:
    wanted = vector({"AU26": 3})
    units = np.repeat(wanted[None], 12, 0)
    units[:6] = 0
    landmarks = np.concatenate(
        [np.repeat(face[None], 6, 0), np.repeat(motion.move(wanted[None]), 6, 0)]
    )
    told = Performance(25.0, units, np.ones(12, np.float32), "p", landmarks)
    chin, opened = 14, []
    for gain in (0.0, 1.0, 1.5):
        options = RetargetOptions(smoothing=0, neutral_frame=0, gains={"AU26": gain})
        track = retarget(told, options)
        moved = motion.move(track.resolve(motion.source), track.detail)
        opened.append(moved[11, chin, 1] - face[chin, 1])
    assert opened[0] < 0.35 * opened[1] < 0.35 * opened[2] / 1.2


@pytest.fixture(scope="module")
def tracker_parts() -> tuple[Detector, FaceAnalyzer]:
    return Detector(), FaceAnalyzer()


def test_a_still_face_holds_still(tracker_parts: tuple[Detector, FaceAnalyzer]) -> None:
    """Noise on every frame; the crop stays, and so do the action units."""
    rng = np.random.default_rng(0)
    photo = np.asarray(Image.open(SAMPLE).convert("RGB"))[:300]
    noisy = [np.clip(photo + rng.normal(0, 4, photo.shape), 0, 255).astype(np.uint8)
             for _ in range(12)]  # fmt: skip
    found = list(FaceTracker(*tracker_parts).track(noisy))
    assert all(seen is not None and seen.confidence > 0.9 for seen in found)
    places = {tuple(seen.alignment.offset.round(0)) for seen in found if seen}
    assert len(places) <= 3
    told = performance_from(found, 25.0, "still")
    assert len(told) == 12
    assert retarget(told, RetargetOptions()).add[:, aus.INDEX["AU12L"]].std() * 5 < 0.05


def test_what_is_seen_is_the_mean_with_what_is_seen_mirrored(
    tracker_parts: tuple[Detector, FaceAnalyzer],
) -> None:
    photo = np.asarray(Image.open(SAMPLE).convert("RGB"))[:300]
    tracker = FaceTracker(*tracker_parts)
    found = list(tracker.track([photo] * 3))
    at, analyzer = tracker._search(photo), tracker_parts[1]
    assert at is not None
    crops = torch.cat([read_crop(photo, at, analyzer.network.config.size)] * 2)
    straight, mirrored = analyzer.predict_crops(crops, np.array([False, True]))[0]
    assert np.abs(straight - mirrored).max() > 1e-3
    for seen in found:
        assert seen is not None
        np.testing.assert_allclose(seen.landmarks, (straight + mirrored) / 2, atol=1e-4)


def test_mirrored_looks_at_the_ends_of_a_batch_serve_all_of_it() -> None:
    rng = np.random.default_rng(0)
    straight, (bias, drift) = rng.normal(size=(5, 4)), rng.normal(size=(2, 4))
    away = bias + np.arange(5)[:, None] * drift
    ends = [0, 4]
    np.testing.assert_allclose(with_lacks(straight, away[ends], ends), straight + away)
    np.testing.assert_allclose(with_lacks(straight[:1], np.ones((1, 4)), [0]), straight[:1] + 1)
    later = with_lacks(straight[1:], away[ends], [-1, 3])  # the first is of the frame before
    np.testing.assert_allclose(later, straight[1:] + away[1:])


def test_faces_that_leave_and_return_are_bridged(
    tracker_parts: tuple[Detector, FaceAnalyzer],
) -> None:
    photo = np.asarray(Image.open(SAMPLE).convert("RGB"))[:300]
    empty = np.full_like(photo, 90)
    found = list(FaceTracker(*tracker_parts).track([photo] * 4 + [empty] * 7 + [photo] * 6))
    seen = [one is not None for one in found]
    assert len(found) == 17
    assert seen[:4] == [True] * 4 and not any(seen[4:11]) and seen[-1]
    told = performance_from(found, 25.0, "away")
    assert told.confidence[5] == 0 and np.isfinite(told.units).all()
    with pytest.raises(NoFaceError, match="no face found in 7 frames"):
        performance_from(FaceTracker(*tracker_parts).track([empty] * 7), 25.0, "empty")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    import memegen

    frame = Image.open(SAMPLE).convert("RGB").resize((256, 256))
    frame.save(
        tmp_path / "a.gif",
        save_all=True,
        append_images=[frame.rotate(d) for d in (1, 2, 3)],
        duration=40,
    )
    animator = memegen.Animator("mesh", "cpu")
    with pytest.raises(UsageError, match="--start 9 is after its end"):
        animator.track_face(tmp_path / "a.gif", start=9)
    with pytest.raises(NoFaceError, match="a: no face 2 in 4 frames"):
        animator.track_face(tmp_path / "a.gif", face=2)


def test_odd_names_and_deep_colours_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten bits a channel, pixels twice as wide as high, and a name that looks like a protocol."""
    monkeypatch.chdir(tmp_path)
    plain = tmp_path / "plain.mkv"
    run_ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=64x96:d=0.4:r=10",
        "-vf", "setsar=2", "-pix_fmt", "yuv420p10le", "-c:v", "ffv1", str(plain),
    )  # fmt: skip
    for name in ("19:45.mkv", "-dash %d [x]*.mkv"):
        plain.rename(tmp_path / name)
        plain = tmp_path / name
        frames = list(read_clip(open_clip(name)).frames)
        assert len(frames) == 4 and frames[0].shape == (96, 128, 3)
        assert frames[0].std() > 20


def test_high_dynamic_range_is_told_and_mapped(tmp_path: Path) -> None:
    path = tmp_path / "hlg.mp4"
    run_ffmpeg(
        "-f", "lavfi", "-i", "color=c=white:s=64x64:d=0.2:r=10",
        "-pix_fmt", "yuv420p10le", "-c:v", "libx264", "-x264-params",
        "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc", str(path),
    )  # fmt: skip
    clip = open_clip(path)
    assert clip.hdr
    (frame, *_) = read_clip(clip).frames
    assert frame.shape == (64, 64, 3) and 150 < frame.mean() <= 255
