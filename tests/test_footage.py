"""A clip as the source: what is changed of it, and what is not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support.clips import with_sound
from support.command import RunCli
from support.faces import vector
from support.paths import SAMPLE

import memegen
from memegen import aus
from memegen import footage as footage_module
from memegen.arrays import Picture
from memegen.footage import (
    EASE,
    TURNED,
    Footage,
    clip_edit,
    low_pass,
    placed,
    strengths,
)
from memegen.frames import Frames
from memegen.generators.mouth import MouthLayer, SharedMouth
from memegen.generators.shared_appearance import SharedAppearance
from memegen.performance.clip import open_clip, read_clip
from memegen.photo import read_photo
from memegen.pipeline import Animator
from memegen.tracks import HeadTrajectory, Track, rest

FPS = 10.0
COVERED = range(12, 15)  # frames of the fixture's clip in which the face is hidden
K = len(aus.CHANNELS)


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    """The sample's face, wandering a little, in noise like a camera's; hidden for a moment."""
    rng = np.random.default_rng(1)
    with Image.open(SAMPLE) as image:
        whole = image.convert("RGB")
    found = []
    for frame in range(24):
        x, y = 110 + 3 * np.sin(frame / 4), 3 - 3 * np.cos(frame / 5)
        box = (x, y, x + 280, y + 280)
        picture = np.asarray(whole.resize((280, 280), Image.Resampling.BICUBIC, box), np.float32)
        picture = picture + rng.normal(0, 1.5, picture.shape)
        if frame in COVERED:
            picture[:] = 90
        found.append(np.clip(picture, 0, 255).astype(np.uint8))
    return found


@pytest.fixture(scope="module")
def clip(pictures: list[Picture], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("footage") / "clip.png"  # APNG: nothing is lost
    memegen.write(Frames(iter(pictures), len(pictures), (280, 280), FPS, False, ""), path)
    return path


def held(loops: bool = True, frames: int = 1, kind: str = "recipe", **units: float) -> Track:
    """A track that sets some channels and leaves the others alone."""
    keep, add = rest()
    for name, value in units.items():
        for channel in aus.channels_of(name):
            keep[aus.INDEX[channel]], add[aus.INDEX[channel]] = 0, value / aus.MAX_INTENSITY
    rows = np.ones((frames, 1), np.float32)
    return Track(keep * rows, add * rows, FPS, loops, "held", kind)


def footage_of(units: np.ndarray, strength: float = 1.0) -> Footage:
    points = np.zeros((len(units), 478, 3), np.float32)
    who = SimpleNamespace()  # no painting here
    full = np.full(len(units), strength, np.float32)
    return Footage(points, units.astype(np.float32), full, FPS, (10, 10), who)  # type: ignore[arg-type]


def second_difference(frames: list[Picture], where: np.ndarray) -> float:
    stack = np.stack(frames).astype(np.float32)
    return float(np.abs(stack[2:] - 2 * stack[1:-1] + stack[:-2])[:, where].mean())


@pytest.fixture(scope="module")
def made(mesh: Animator, clip: Path) -> list[Picture]:
    """The clip with a smile."""
    return list(mesh.animate_clip(clip, held(AU12=4, AU25=2, AU1=3)))


def test_only_the_face_changes_and_it_does_not_flicker(
    made: list[Picture], pictures: list[Picture]
) -> None:
    assert len(made) == len(pictures)
    changed = np.stack([(a != b).any(-1) for a, b in zip(made, pictures, strict=True)])
    assert changed[0].mean() > 0.1
    assert not changed[:, :8].any() and not changed[:, -8:].any()  # byte for byte
    assert not changed[:, :, :20].any() and not changed[:, :, -20:].any()
    steady = slice(0, COVERED.start - round(EASE * FPS) - 1)  # before the change is eased out
    where = changed[steady].all(0)
    assert where.mean() > 0.1
    ours = second_difference(made[steady], where)
    assert ours < 1.5 * second_difference(pictures[steady], where)


@pytest.mark.parametrize("turns", [0, 1])
def test_a_performers_way_is_added_to_the_clips(
    mesh: Animator, pictures: list[Picture], tmp_path: Path, turns: int
) -> None:
    frames = [np.ascontiguousarray(np.rot90(picture, -turns)) for picture in pictures[:6]]
    path = tmp_path / "clip.png"
    memegen.write(Frames(iter(frames), len(frames), (280, 280), FPS, False, ""), path)
    aside = HeadTrajectory(
        np.array([[0.3, 0]], np.float32), np.zeros(1, np.float32), np.zeros(1, np.float32)
    )
    keep, add = rest()
    track = Track(keep[None], add[None], FPS, head=aside)
    moved = [np.rot90(frame, turns) for frame in mesh.animate_clip(path, track)]
    for before, after in zip(pictures, moved, strict=False):
        face = before[90:150, 110:170].astype(float)
        apart = [np.abs(after[90:150, 110 + k : 170 + k] - face).mean() for k in range(30)]
        assert 8 < int(np.argmin(apart)) < 22 and min(apart) < 0.4 * apart[0]


def test_a_track_may_be_made_of_the_clips_own_face(
    mesh: Animator, clip: Path, made: list[Picture]
) -> None:
    told: list[np.ndarray] = []

    def smile(source: np.ndarray) -> Track:
        told.append(source)
        return held(AU12=4, AU25=2, AU1=3)

    assert all((a == b).all() for a, b in zip(made, mesh.animate_clip(clip, smile), strict=True))
    assert len(told) == 1 and told[0].shape == (K,) and 0 <= told[0].min() <= told[0].max() <= 1


def test_a_hidden_face_is_passed_through_and_eased_in_and_out(
    made: list[Picture], pictures: list[Picture]
) -> None:
    change = [np.abs(a.astype(float) - b).mean() for a, b in zip(made, pictures, strict=True)]
    assert all(change[frame] == 0 for frame in COVERED)
    first, last = COVERED.start, COVERED.stop
    assert 0 < change[first - 1] < 0.5 * change[0]
    assert change[first - 1] < change[first - 2] < 1.05 * change[0]
    assert 0 < change[last] < change[last + 1] < 1.05 * change[0]


def test_nothing_asked_nothing_changed(mesh: Animator, clip: Path, pictures: list[Picture]) -> None:
    still = mesh.animate_clip(clip, held(AU12=5), intensity=0)
    assert all((a == b).all() for a, b in zip(still, pictures, strict=True))


def test_frames_are_read_as_they_are_needed(
    mesh: Animator, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0
    read = footage_module.read_clip

    def counting(*args: object, **options: object) -> object:
        reading = read(*args, **options)

        def count(inner: Iterator[Picture]) -> Iterator[Picture]:
            nonlocal taken
            for picture in inner:
                taken += 1
                yield picture

        reading.frames = count(reading.frames)
        return reading

    monkeypatch.setattr(footage_module, "read_clip", counting)
    frames = mesh.animate_clip(clip, held(AU12=3))
    assert taken == len(frames)  # followed, none kept
    taken = 0
    next(iter(frames))
    assert 1 <= taken <= 11  # as many as cores paint at once, whatever the clip's length


def test_what_was_seen_lies_where_the_face_is(mesh: Animator, pictures: list[Picture]) -> None:
    from memegen.performance.track import FaceTracker

    tracker = FaceTracker(mesh.detector, mesh.analyzer)
    seen = list(tracker.track(pictures[:12]))
    for frame in (0, 6, 11):  # the crop is not laid anew for each
        found = seen[frame]
        assert found is not None
        face = mesh.analyze(read_photo(pictures[frame]))[0].analysis
        there = face.alignment.to_photo(face.landmarks[:, :2])
        iod = np.linalg.norm(there[473] - there[468])
        assert np.linalg.norm(found.points[:, :2] - there, axis=1).mean() < 0.03 * iod


def test_a_crop_is_laid_on_tilted_points(face: np.ndarray) -> None:
    turn = np.radians(20)
    spin = 300 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = np.concatenate([face[:, :2] @ spin.T + [80, 30], 300 * face[:, 2:]], 1)
    source = vector(AU55=20 / aus.DEGREES_PER_STEP)  # to the person's left: the picture's right
    alignment, landmarks, inside = placed(points.astype(np.float32), source)
    np.testing.assert_allclose(landmarks, face, atol=0.03)
    np.testing.assert_allclose(alignment.to_photo(landmarks[:, :2]), points[:, :2], atol=0.01)
    assert aus.head_degrees(inside)[2] == pytest.approx(0, abs=1)


def test_strength_eases_about_what_is_not_seen() -> None:
    seen, turned = np.ones(60, bool), np.zeros(60)
    seen[30] = False
    turned[45:50] = TURNED[1] + 5
    found = strengths(seen, turned, 25.0)
    assert found[0] == found[-1] == 1  # a clip may begin and end with a changed face
    assert found[30] == 0 and (found[45:50] == 0).all()
    reach = round(EASE * 25)
    assert found[30 - reach] == 1 and 0 < found[30 - reach // 2] < 1
    assert np.abs(np.diff(found)).max() <= 1.6 / reach  # smoothstep's steepest slope is 1.5
    slightly = strengths(np.ones(5, bool), np.full(5, np.mean(TURNED)), 25.0)
    np.testing.assert_allclose(slightly, 0.5, atol=1e-6)


def test_low_pass_keeps_what_stays() -> None:
    values = np.ones((50, 2), np.float32)
    values[:, 1] = np.arange(50) % 2
    found = low_pass(values, 5.0)
    np.testing.assert_allclose(found[:, 0], 1, atol=1e-6)
    np.testing.assert_allclose(found[15:35, 1], 0.5, atol=0.01)


def test_relative_adds_what_a_frame_lacks() -> None:
    lips, cheek = aus.INDEX["AU25"], aus.INDEX["AU12L"]
    units = np.zeros((200, K), np.float32)
    units[::2, lips] = 0.4  # speech: 0.2 by habit
    units[100, lips] = 0.9
    footage = footage_of(units)
    plan = clip_edit(footage, held(AU25=3, AU12L=4), 1.0)
    reached = units + plan.change
    assert np.allclose(reached[:, cheek], 0.8)
    np.testing.assert_allclose(reached[41:60:2, lips], 0.4, atol=0.02)  # speech goes on above
    np.testing.assert_allclose(reached[40:60:2, lips], 0.6, atol=0.02)  # ... up to what is set
    assert reached[100, lips] == pytest.approx(0.9)  # and beyond where it does so by itself
    absolute = units + clip_edit(footage, held(AU25=3, AU12L=4), 1.0, absolute=True).change
    np.testing.assert_allclose(absolute[:, lips], 0.6, atol=1e-6)
    half = clip_edit(replace(footage, strength=footage.strength / 2), held(AU25=3, AU12L=4), 1.0)
    np.testing.assert_allclose(half.change, plan.change / 2, atol=1e-6)


def test_a_head_that_moves_moves_on() -> None:
    left, right = aus.INDEX["AU51"], aus.INDEX["AU52"]
    units = np.zeros((200, K), np.float32)
    units[:, left] = np.maximum(np.sin(np.arange(200)), 0) * 0.3
    units[:, right] = np.maximum(-np.sin(np.arange(200)), 0) * 0.3
    keep, add = rest()
    add[left] = 0.2
    plan = clip_edit(footage_of(units), Track(keep[None], add[None], FPS), 1.0)
    np.testing.assert_allclose(plan.change[:, left], 0.2, atol=1e-5)


def test_a_clip_is_as_long_as_it_is() -> None:
    units, row = np.zeros((10, K), np.float32), aus.INDEX["AU12L"]
    track = held(frames=4, AU12=5)
    track.add[:, row] = [0.2, 0.4, 0.6, 0.8]
    looped = clip_edit(footage_of(units), track, 1.0).change[:, row]
    np.testing.assert_allclose(looped, [0.2, 0.4, 0.6, 0.8] * 2 + [0.2, 0.4], atol=1e-6)
    once = clip_edit(footage_of(units), replace(track, loops=False), 1.0).change[:, row]
    np.testing.assert_allclose(once[3:], 0.8, atol=1e-6)
    performed = replace(track, loops=False, kind="performance")
    left = clip_edit(footage_of(units), performed, 1.0).change[:, row]
    assert left[3] == pytest.approx(0.8) and 0 < left[4] < 0.8
    assert left[3 + round(EASE * FPS) + 1] == 0  # a grimace is not held for ever
    short = clip_edit(footage_of(units[:2]), track, 1.0).change[:, row]
    np.testing.assert_allclose(short, [0.2, 0.4], atol=1e-6)


def test_frames_share_teeth_light_and_furrows(mesh: Animator, pictures: list[Picture]) -> None:
    from memegen.generators.base import Scene
    from memegen.generators.shared_appearance import mouth_of
    from memegen.geometry.anatomy import load_anatomy
    from memegen.geometry.motion import FaceMotion

    scenes = []
    for picture in pictures[0:9:4]:
        face = mesh.analyze(read_photo(picture))[0].analysis
        motion = FaceMotion.of(face.landmarks, face.action_units, load_anatomy())
        scenes.append(Scene.of(picture, face.alignment, motion)[1])
    who = SharedAppearance.of(scenes)

    def mouths(found: list[Scene]) -> list[MouthLayer]:
        return [mouth_of(scene, scene.picture.astype(np.float32)) for scene in found]

    assert len({id(mouth.drawn.model) for mouth in mouths(scenes)}) == len(scenes)
    shared = mouths([replace(scene, shared_appearance=who) for scene in scenes])
    assert all(mouth.drawn.model is who.mouth.model for mouth in shared)
    assert isinstance(who.mouth, SharedMouth) and who.tone is None
    with pytest.raises(ValueError):
        SharedAppearance.of([])
    # In half the light, teeth have about half the brightness.
    dark = replace(scenes[0], picture=scenes[0].picture // 2, shared_appearance=who)
    bright = replace(scenes[0], shared_appearance=who)
    tooth = [mouth.drawn.light.tooth.mean() for mouth in mouths([dark, bright])]
    assert tooth[0] / tooth[1] == pytest.approx(0.5, abs=0.06)


@pytest.fixture(scope="module")
def video(pictures: list[Picture], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video with sound."""
    folder = tmp_path_factory.mktemp("video")
    frames = Frames(iter(pictures[:8]), 8, (280, 280), FPS, False, "")
    memegen.write(frames, folder / "silent.mp4")
    return with_sound(folder / "silent.mp4", folder / "clip.mp4")


@pytest.fixture(scope="module")
def short(pictures: list[Picture], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of the clip."""
    path = tmp_path_factory.mktemp("short") / "clip.png"
    memegen.write(Frames(iter(pictures[:8]), 8, (280, 280), FPS, False, ""), path)
    return path


@pytest.mark.slow
def test_commands_take_clips(video: Path, short: Path, run_cli: RunCli) -> None:
    made = run_cli("animate", str(video), "--au", "AU26=4", "--model", "mesh").out
    out = video.with_name("clip_au.mp4")
    assert made.strip() == str(out)
    told = open_clip(out)
    assert told.audio and told.fps == pytest.approx(FPS)
    frames, before = (list(read_clip(open_clip(path)).frames) for path in (out, video))
    assert len(frames) == len(before) == 8
    assert np.abs(frames[4].astype(float) - before[4]).max() > 40
    silent = video.with_name("silent_out.mp4")
    run_cli("transfer", str(video), str(short), "--mute", "--model", "mesh", "-o", str(silent))  # fmt: skip
    assert not open_clip(silent).audio
    assert len(list(read_clip(open_clip(silent)).frames)) == 8
    small = run_cli("animate", str(short), "--size", "140", "--model", "mesh").out.strip()
    assert small.endswith("clip_smile.gif")
    with Image.open(small) as image:
        assert image.size == (140, 140) and image.n_frames == 8  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "arguments",
    [("--face", "all"), ("-o", "one.jpg"), ("--face", "0")],
)
def test_what_clips_cannot_do_is_said(
    arguments: tuple[str, ...], video: Path, run_cli: RunCli
) -> None:
    run_cli("animate", str(video), *arguments, code=2)
