"""What `memegen evaluate` says of `memegen transfer`: place, strength, stages, time."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from support.command import RunCli
from support.faces import vector
from support.mediapipe import FakeMediaPipe
from support.paths import SAMPLE

from memegen import pipeline
from memegen.cli.transfer import transfer
from memegen.evaluation import in_picture, stages, strength, timing
from memegen.evaluation.judges import Estimate, Estimates, MediaPipeJudge, units_read
from memegen.evaluation.landmark_aus import BY_NUMBER, READINGS
from memegen.facedata.teachers import Landmarker
from memegen.performance.retarget import PARTS, RetargetOptions
from memegen.photo import Photo
from memegen.pipeline import Animator

COLUMN = strength.COLUMN


def looks_of(landmarks: np.ndarray, intensities: np.ndarray | None = None) -> Estimates:
    count = len(landmarks)
    values = np.zeros((count, len(READINGS))) if intensities is None else intensities
    return Estimates(landmarks, values, np.zeros((count, 3)))


def turned(points: np.ndarray, degrees: float, scale: float, shift: list[float]) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)) * scale, np.sin(np.radians(degrees)) * scale
    return points @ np.array([[c, s], [-s, c]]) + np.array(shift)


def test_distances_in_the_picture_and_after_alignment(face: np.ndarray) -> None:
    real = face[:, :2] * 300
    iod = 0.27 * 300
    away, laid = in_picture.distances(real + np.array([0.1 * iod, 0]), real)
    assert away == pytest.approx(0.1, abs=1e-4) and laid == pytest.approx(0, abs=1e-6)
    away, laid = in_picture.distances(turned(real, 20, 1.3, [5, -9]), real)
    assert away > 0.1 and laid == pytest.approx(0, abs=1e-6)
    mirrored = real * [-1, 1]
    assert in_picture.distances(mirrored, real)[1] > 0.02  # a reflection is no similarity
    stretched = real * [1.2, 1]
    assert (
        0.01 < in_picture.distances(stretched, real)[1] < in_picture.distances(stretched, real)[0]
    )


def test_ssim_looks_at_the_face_where_it_is(photo: Photo, animator: Animator) -> None:
    seen = animator.analyze(photo)[0].analysis
    landmarks = seen.alignment.to_photo(seen.landmarks[:, :2])
    rgb = photo.rgb
    assert in_picture.ssim(rgb, rgb, landmarks) == pytest.approx(1, abs=1e-4)
    low, high = landmarks.min(0).astype(int), landmarks.max(0).astype(int)
    far = round(16 * float((high - low).max()) / in_picture.FACE)
    elsewhere = np.full_like(rgb, 90)
    part = np.s_[low[1] - far : high[1] + far, low[0] - far : high[0] + far]
    elsewhere[part] = rgb[part]
    assert in_picture.ssim(elsewhere, rgb, landmarks) == pytest.approx(1, abs=1e-3)
    near = in_picture.ssim(np.roll(rgb, 2, 1), rgb, landmarks)
    assert in_picture.ssim(np.roll(rgb, 8, 1), rgb, landmarks) < near < 0.95
    # The size of the picture does not count, only that of the face.
    double = np.repeat(np.repeat(rgb, 2, 0), 2, 1)
    moved = np.roll(double, 4, 1)
    assert in_picture.ssim(moved, double, landmarks * 2 + 0.5) == pytest.approx(near, abs=0.03)


def test_changes_are_counted_from_the_frames_with_a_weight(face: np.ndarray) -> None:
    values = np.zeros((4, len(READINGS)))
    values[:, COLUMN[12]] = [1, 2, 4, np.nan]
    values[:, COLUMN[1]], values[:, COLUMN[2]] = 3, [0, 0, 2, 0]
    estimates = looks_of(np.repeat(face[None, :, :2], 4, 0), values)
    estimates.landmarks[3], estimates.angles[3] = np.nan, np.nan
    estimates.angles[:3, 1] = [10, 10, 25]
    assert estimates.seen.tolist() == [True, True, True, False]
    changes = strength.changes_of(estimates, estimates.mean(np.array([0.5, 0.5, 0, 0])))
    assert changes["smile"][:3].tolist() == [-0.5, 0.5, 2.5] and np.isnan(changes["smile"][3])
    assert changes["brows up"][:3].tolist() == [0, 0, 1]  # the mean of AU1 and AU2
    assert changes["pitch"][:3].tolist() == [0, 0, 15]


def test_strength_is_pooled_over_pairs_in_which_the_performer_acts() -> None:
    names = (*strength.EXPRESSION, *strength.HEAD)
    wave = np.sin(np.arange(20))
    acted = {name: wave * 20 if name in strength.HEAD else wave * 2 for name in names}
    driven = {name: change / 2 for name, change in acted.items()}
    acted["blink"] = acted["blink"] + 2  # counted from the wrong frame
    driven["smile"] = driven["smile"].copy()
    driven["smile"][4] = np.nan  # one face was not seen
    calm = dict.fromkeys(names, wave * 0.1)
    wrong = dict.fromkeys(names, -5 * wave)  # of calm performers: it does not count
    acted["pucker"] = calm["pucker"]
    report = strength.figures([(acted, driven), (calm, wrong)])
    assert set(report) == {*names, "expression", "head"} - {"pucker"}
    for name, figures in report.items():
        assert figures["slope, centred"] == pytest.approx(0.5, abs=0.01), name
        assert figures["correlation"] == figures["correlation, centred"] == pytest.approx(1), name
        if name not in ("blink", "expression"):
            assert figures["slope"] == pytest.approx(0.5), name
    assert report["blink"]["slope"] < 0.2
    assert report["smile"]["pairs"] == 1
    assert strength.figures([(calm, wrong)]) == {}


def test_stages_are_told_apart() -> None:
    acted = np.zeros((10, len(READINGS)))
    acted[:, COLUMN[4]] = np.linspace(0, 4, 10)
    found = {stage: acted * (1 - 0.1 * i) for i, stage in enumerate(stages.STAGES)}
    report = stages.figures([found | {"acted": acted}])
    assert report["pairs"] == {"AU4": 1}
    slopes = [report[stage]["AU4 slope"] for stage in stages.STAGES]
    assert slopes == pytest.approx([1 - 0.1 * i for i in range(len(stages.STAGES))])


def test_units_are_read_as_readings() -> None:
    read = units_read(vector({"AU12": 4, "AU1L": 3, "AU18": 2}))
    wanted = {12: 4, 1: 1.5, 18: 2}
    for number, column in COLUMN.items():
        assert read[column] == pytest.approx(wanted.get(number, 0)), number


@pytest.mark.parametrize("late", [0, 2, -3])
def test_lag_is_where_signals_correlate_most(late: int) -> None:
    signal = np.random.default_rng(0).normal(size=90).cumsum()
    assert timing.lag(signal[5:-5], signal[5 - late : len(signal) - 5 - late]) == pytest.approx(
        late, abs=0.1
    )


def test_lag_is_told_between_frames() -> None:
    time = np.arange(60) / 25
    wave = np.sin(2 * np.pi * time) + 0.4 * np.sin(2 * np.pi * 2.3 * time)
    later = time - 0.5 / 25
    shown = np.sin(2 * np.pi * later) + 0.4 * np.sin(2 * np.pi * 2.3 * later)
    assert timing.lag(wave, shown) == pytest.approx(0.5, abs=0.15)


def test_jitter_counts_where_the_performer_holds_still(face: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    steady = np.repeat(face[None, :, :2] * 300, 40, 0)
    noise = rng.normal(0, 0.3, steady.shape)
    steady[20:] += np.arange(20)[:, None, None] ** 2 * 0.5  # leaves
    real, driven = looks_of(steady + noise), looks_of(steady + 3 * noise)
    still = timing.still_frames(real.landmarks)
    assert still[4:16].all() and not still[24:].any() and not still[:2].any()
    found = timing.figures(real, driven)
    assert found["jitter"] == pytest.approx(3, rel=0.02)
    assert found["still frames"] == still.sum()
    assert "lag" not in found  # nobody speaks or smiles
    real.landmarks[10] = np.nan
    assert timing.figures(real, driven)["still frames"] < found["still frames"]
    assert timing.figures(looks_of(steady[:4]), looks_of(steady[:4])) == {}


def test_mediapipe_sees_pixels_in_pictures_that_are_not_square(
    tmp_path: Path, face: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeMediaPipe(face).install(monkeypatch)
    file = tmp_path / "face_landmarker.task"
    file.write_bytes(b"task")
    judge = MediaPipeJudge(Landmarker(file))
    estimate = next(judge.estimate([np.zeros((100, 200, 4), np.uint8)]))
    assert isinstance(estimate, Estimate)
    np.testing.assert_allclose(estimate.landmarks, face[:, :2] * [200, 100], rtol=1e-5)
    assert estimate.intensities[COLUMN[12]] == pytest.approx(0.8 / 2 / BY_NUMBER[12].full * 5)


def test_driving_is_what_the_command_line_does_by_default() -> None:
    asked = {name: p.default for name, p in inspect.signature(transfer).parameters.items()}
    options = RetargetOptions()
    assert asked["relative"] is None and options.relative  # of a video
    assert asked["neutral_frame"] is options.neutral_frame is None
    assert tuple(asked["only"].split(",")) == options.only == tuple(PARTS)
    assert asked["gain"] is None and options.gains == {}
    assert (asked["smooth"], asked["detail"]) == (options.smoothing, options.detail)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, animator: Animator, photo: Photo) -> Path:
    """The sample photo, drawn as it smiles and opens its mouth."""
    path = tmp_path_factory.mktemp("clips") / "grin.gif"
    frames = animator.animate(photo, au="AU12=5,AU26=4,AU25=3", fps=10, duration=2, size=320)
    pipeline.write(frames, path)
    return path


def test_a_clip_drives_its_first_frame(clip: Path, run_cli: RunCli) -> None:
    report = json.loads(
        run_cli("evaluate", "clips", str(clip), "--model", "mesh", "--frames", "14", "--json").out
    )
    assert {"grin.gif", "all clips"} <= report.keys()
    found = report["grin.gif, in its picture, seen by perception"]
    assert set(found) == {"still", "mesh", "mesh, from frame 0"}
    still, driven = found["still"], found["mesh, from frame 0"]
    assert still["frames"] == driven["frames"] == 2
    assert driven["landmarks"] < 0.7 * still["landmarks"] and driven["SSIM"] > still["SSIM"]
    assert driven["landmarks gain"] == pytest.approx(still["landmarks"] - driven["landmarks"])
    assert driven["SSIM gain"] == pytest.approx(driven["SSIM"] - still["SSIM"])
    assert abs(found["mesh"]["lag"]) < 1


def test_photos_are_driven_by_clips_stage_by_stage(
    clip: Path, photo: Photo, tmp_path: Path, run_cli: RunCli
) -> None:
    from PIL import Image

    person = tmp_path / "person.png"
    Image.fromarray(photo.rgb).save(person)
    Image.new("RGB", (90, 90), "teal").save(tmp_path / "nobody.png")
    asked = ("evaluate", "transfer", str(tmp_path), str(clip), "--model", "mesh", "--stages")
    report = json.loads(run_cli(*asked, "--json").out)
    seen = report["mesh, strength seen by perception"]
    assert 0.5 < seen["jaw open"]["slope"] < 1.5 and seen["jaw open"]["correlation"] > 0.8
    assert seen["run"] == {"photos": 1, "left out": 1, "clips": 1}
    table = next(found for name, found in report.items() if "stage by stage" in name)
    assert set(table) == {*stages.STAGES, "pairs"}
    assert table["perceived"]["AU26 slope"] == pytest.approx(1, abs=0.05)  # the judge itself
    assert table["pairs"]["AU26"] == 1
    assert "stage by stage" in run_cli(*asked, "--frames", "8").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--stages"], "No such option: --stages"),
        (["--frames", "0"], "--frames"),
        (["--photos", str(SAMPLE), "--clips", "grin.gif", "--sheet", "x.png"], "needs --identity"),
    ],
)
def test_options_of_driving_that_mean_nothing_are_said(
    arguments: list[str], says: str, clip: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    monkeypatch.chdir(clip.parent)
    assert says in run_cli("evaluate", str(clip), "--model", "mesh", *arguments, code=2).err
