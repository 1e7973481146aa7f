"""Judges that share nothing with the program: readings, real pairs, unwrapped skin, sheets."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from support.command import RunCli
from support.faces import vector, with_lips_shut
from support.mediapipe import FakeMediaPipe
from support.shards import make_shards

from memegen import aus
from memegen.evaluation import au_response_mediapipe, contact_sheets, creases, real, real_pairs
from memegen.evaluation.landmark_aus import (
    BY_NUMBER,
    GEOMETRY,
    READINGS,
    expression_scores,
    face_shape,
    fit,
    intensities,
    raw_values,
)
from memegen.evaluation.subjects import HELD, expressions_of, heights, subject_of
from memegen.facedata.labels import JAW_AT_AU26
from memegen.facedata.shards import load_labels
from memegen.facedata.teachers import MediaPipeFace
from memegen.geometry.anatomy import Anatomy, load_anatomy
from memegen.geometry.motion import FaceMotion
from memegen.geometry.shape import rotation_of
from memegen.geometry.unwrap import HEIGHT, WIDTH, texture_points
from memegen.photo import Photo

MODEL = "mesh"


def smooth_noise(side: int, cells: int, seed: int = 0) -> np.ndarray:
    """(side, side, 3) uint8, detail of about side / cells pixels."""
    coarse = np.random.default_rng(seed).integers(60, 200, (cells, cells, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def opened(face: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    motion = FaceMotion.of(face, np.zeros(len(aus.CHANNELS), np.float32), anatomy)
    return motion.move(vector({"AU26": 4, "AU25": 4})[None])[0]


@pytest.mark.parametrize("number", sorted(GEOMETRY))
def test_geometry_grows_with_its_action_unit_and_not_with_the_pose(
    number: int, face: np.ndarray, motion: FaceMotion, anatomy: Anatomy
) -> None:
    asked = np.stack([vector({f"AU{number}": level}) for level in (0, 2, 4)])
    values = GEOMETRY[number](face_shape(motion.move(asked), anatomy))
    assert values[0] < values[1] < values[2]
    turned = (face - 0.5) @ rotation_of(np.array([12, -8, 10], np.float32)).T * 0.7 + 0.4
    still = GEOMETRY[number](face_shape(face, anatomy))
    assert GEOMETRY[number](face_shape(turned, anatomy)) == pytest.approx(still, abs=2e-3)


def test_scores_are_read_on_the_scale_of_the_labels(face: np.ndarray, anatomy: Anatomy) -> None:
    names = [name for reading in READINGS for name in reading.scores or ()]
    scores = {
        each: np.zeros(1)
        for name in names
        for each in ([name] if name[-1] != "*" else [name[:-1] + "Left", name[:-1] + "Right"])
    }
    scores |= {"mouthSmileLeft": np.ones(1), "jawOpen": np.full(1, JAW_AT_AU26)}
    scores |= {"mouthPressLeft": np.ones(1), "mouthRollUpper": np.ones(1)}
    values = raw_values(scores, face_shape(face, anatomy)[None])
    told = intensities(np.array([values[reading.number][0] for reading in READINGS]))
    by_number = dict(zip((r.number for r in READINGS), told, strict=True))
    assert by_number[12] == pytest.approx(2.5)  # one side of two
    assert by_number[26] == pytest.approx(5)
    assert by_number[23] == pytest.approx(5 * (0.4 + 0.25))
    assert by_number[1] == 0


def test_scores_of_expression_leave_gaze_out(face: np.ndarray) -> None:
    scores = {"_neutral": 0.9, "eyeLookUpLeft": 0.8, "jawOpen": 0.2, "eyeBlinkLeft": 0.1}
    found = expression_scores(MediaPipeFace(face, scores, np.eye(3, dtype=np.float32)))
    assert found.tolist() == [0.1, 0.2]


def test_fit_goes_through_the_origin_and_passes_over_what_was_not_seen() -> None:
    asked = np.array([0.0, 1, 2, 3, 4])
    assert fit(asked, asked / 2) == (pytest.approx(0.5), pytest.approx(1))
    assert fit(asked, np.array([0, 0.5, np.nan, 1.5, 2])) == (pytest.approx(0.5), pytest.approx(1))
    assert fit(asked, asked / 2 + 1)[0] == pytest.approx(0.5 + 10 / 30)
    assert fit(asked, np.zeros(5)) == (0, 0)


def test_a_face_unwraps_alike_wherever_it_lies(face: np.ndarray) -> None:
    picture = smooth_noise(256, 12)
    wide = np.zeros((384, 512, 3), np.uint8)
    wide[64:320, 128:384] = picture
    inside = (face[:, :2] * 256 + [128, 64]) / 512  # in widths of the wide picture
    one = creases.unwrap(picture.astype(np.float32), face)
    other = creases.unwrap(wide.astype(np.float32), inside)
    weight = creases.skin() > 0.99
    assert np.abs(one - other)[weight].max() < 0.5
    assert one[weight].std() > 10


def test_skin_is_no_lip_eye_or_brow() -> None:
    weight, points = creases.skin(), texture_points(load_anatomy().canonical)
    for row, bare in ((13, 0), (0, 0), (159, 0), (105, 0), (50, 1), (280, 1), (151, 1), (199, 1)):
        x, y = points[row].astype(int)
        assert weight[y, x] == pytest.approx(bare), row


def test_creases_are_lines_and_no_shading() -> None:
    shape = (HEIGHT, WIDTH, 3)
    flat = np.full(shape, 150, np.float32)
    shaded = flat * np.linspace(0.8, 1.2, WIDTH)[None, :, None].astype(np.float32)
    lined = flat.copy()
    lined[:, 48:144:24] *= 0.7
    weight = creases.skin()
    line, shading = creases.creases(lined), creases.creases(shaded)
    assert line.std() > 5 * shading.std()
    assert creases.correlation(line, creases.creases(lined * 0.8), weight) > 0.99
    assert creases.correlation(line, np.zeros_like(line), weight) == 0


def test_erasing_a_face_is_no_change_of_creases() -> None:
    weight = creases.skin()
    first, second = (
        creases.creases(smooth_noise(216, 30, seed)[:, :192].astype(np.float32)) for seed in (1, 2)
    )
    blurred, true = -0.8 * first, second - first  # a driven face that only lost its detail
    assert creases.correlation(blurred, true, weight) > 0.5
    freed = [creases.without(change, first, weight) for change in (blurred, true)]
    assert (
        abs(creases.correlation(freed[0], freed[1], weight)) < 0.01
    )  # of rounding: nothing is left
    half = 0.5 * (second - first)
    freed[0] = creases.without(half, first, weight)
    assert creases.correlation(freed[0], freed[1], weight) == pytest.approx(1, abs=1e-3)


def looked(picture: np.ndarray, landmarks: np.ndarray) -> real.Face:
    return real.Face(picture, landmarks, None, None)


def test_blur_in_a_mouth_is_seen_as_such(face: np.ndarray, anatomy: Anatomy) -> None:
    landmarks = opened(face, anatomy)
    picture = smooth_noise(256, 85)
    blurred = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(2)))
    shut, sharp = looked(picture, with_lips_shut(face)), looked(picture, landmarks)
    pair = real_pairs.RealPair(picture, picture, np.zeros(len(READINGS)), True, 0, False)
    each = real.DrivenPair(pair, shut, sharp, np.zeros(len(aus.CHANNELS)))
    tally = real.Compared()
    real._compare(tally, 0, each, sharp)
    real._compare(tally, 1, each, looked(blurred, landmarks))
    figures = {name: [value for _, value in found] for name, found in tally.values.items()}
    assert figures["sharpness"][0] == 0 and figures["sharpness"][1] < -1
    assert figures["tone error"][0] == 0 and figures["lips"] == [0, 0]
    real._compare(tally, 2, each, shut)
    assert tally.values["mouths open"][2] == (2, 0.0)
    assert tally.values["lips"][2][1] > 0.05
    assert tally.mean("tone error", [0]) == {"tone error": 0.0, "tone error (se)": 0.0}


def test_cross_driving_is_compared_with_the_other_pair(face: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    full = np.array([reading.full for reading in READINGS])
    changes = rng.uniform(0, 1, (5, len(READINGS))) * full
    blank = np.zeros((8, 8, 3), np.uint8)

    def with_readings(values: np.ndarray) -> real.Face:
        return real.Face(blank, face, np.zeros(2), values)

    rest = with_readings(np.zeros(len(READINGS)))
    pair = real_pairs.RealPair(blank, blank, np.zeros(len(READINGS)), False, 0, False)
    seen = [real.DrivenPair(pair, rest, with_readings(c), np.zeros(2)) for c in changes]
    driven = [
        (with_readings(0.5 * changes[i]), with_readings(0.25 * changes[(i + 1) % 5]))
        for i in range(5)
    ]
    report = real._followed(seen, driven)["AU12"]
    assert report["own slope"] == pytest.approx(0.5)
    assert report["cross slope"] == pytest.approx(0.25)
    assert report["cross correlation"] == pytest.approx(1)


def test_pairs_start_from_neutral_and_differ(
    tmp_path: Path, anatomy: Anatomy, face: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = load_labels(make_shards(tmp_path / "data", anatomy, face, 8))
    values = np.zeros((8, len(READINGS)), np.float32)
    values[[1, 2, 3], 8] = (0.9, 0.88, 0.4)  # of person 0, whose row 0 is neutral
    values[4:, 12] = (0.1, 0.2, 0.05, 0.3)  # person 1 has no neutral photo
    found = real_pairs._Candidates(
        replace(labels, identity=np.arange(8) // 4), values, np.arange(8) == 0
    )
    monkeypatch.setattr(real_pairs, "A_PERSON", 2)
    couples = real_pairs._couples(found).tolist()
    assert couples[:2] == [[0, 1], [0, 3]]  # not 2, which is like 1
    assert len({first for first, _ in couples[2:]}) == 1
    assert all(first != second for first, second in couples)


def test_most_changed_pairs_are_those_of_the_action_unit() -> None:
    blank = np.zeros((4, 4, 3), np.uint8)
    column = READINGS.index(BY_NUMBER[9])
    pairs = []
    for size in (0.1, -4.0, 1.0, 2.0):
        change = np.zeros(len(READINGS))
        change[column] = size
        pairs.append(real_pairs.RealPair(blank, blank, change, False, 0, False))
    assert real._most(pairs, (9,)) == [1]


def test_what_is_asked_is_compared_with_what_is_seen_of_the_same_action_unit() -> None:
    track = au_response_mediapipe._questions()
    levels, readings = len(au_response_mediapipe.LEVELS), len(READINGS)
    assert len(track) == levels * readings
    row = READINGS.index(BY_NUMBER[12]) * levels + levels - 1
    named = np.flatnonzero(track.keep[row] == 0)
    assert named.tolist() == [aus.INDEX["AU12L"], aus.INDEX["AU12R"]]
    assert track.add[row, named].tolist() == pytest.approx([0.8, 0.8])
    values = np.zeros(readings)
    full = np.array([reading.full for reading in READINGS])
    rows: list[np.ndarray | None] = []
    for reading in range(readings):
        for level in au_response_mediapipe.LEVELS:
            seen = np.zeros(readings)
            seen[reading] = 0.5 * level / 5 * full[reading]
            rows.append(seen)
    rows[3] = None  # MediaPipe lost one face
    change = au_response_mediapipe._changes(rows, values)
    asked = np.repeat(np.array(au_response_mediapipe.LEVELS)[None], readings, 0)
    report = au_response_mediapipe._fits(asked[None], change[None])
    assert all(found["slope"] == pytest.approx(0.5) for found in report.values())
    assert report["AU4"]["of people"] == pytest.approx(0.5 / BY_NUMBER[4].people)
    assert report["AU12"]["at 4"] == pytest.approx(2)


def test_reach_is_seen_by_mediapipe(
    tmp_path: Path, face: np.ndarray, photo: Photo, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    fake = FakeMediaPipe(with_lips_shut(face))
    monkeypatch.setattr(
        au_response_mediapipe, "MOST_SMILE", 1.0
    )  # the fake one smiles whatever it is shown
    monkeypatch.setattr(au_response_mediapipe, "SIDE", 96)
    monkeypatch.setattr(au_response_mediapipe, "LEVELS", (0.0, 4.0))
    monkeypatch.setattr(au_response_mediapipe, "_photos", lambda data, faces: [photo])
    fake.install(monkeypatch)
    file = tmp_path / "face_landmarker.task"
    file.write_bytes(b"task")
    asked = ("evaluate", str(tmp_path), "--reach", "--judge", "mediapipe", "--landmarker",
             str(file), "--model", MODEL, "--json")  # fmt: skip
    (tmp_path / "clipless.txt").write_text("x")
    report = json.loads(run_cli(*asked).out)[MODEL]
    assert set(report) == {f"AU{reading.number}" for reading in READINGS} | {"run"}
    assert report["AU12"]["slope"] == 0 and report["run"]["faces"] == 1


def test_real_to_real_is_what_shards_are_judged_by(
    tmp_path: Path,
    anatomy: Anatomy,
    face: np.ndarray,
    run_cli: RunCli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = make_shards(tmp_path / "data", anatomy, face, 24)
    monkeypatch.setattr(real_pairs, "SOURCES", ("celeba",))
    sheet = tmp_path / "pairs.png"
    printed = run_cli("evaluate", "pairs", str(data), "--model", MODEL, "--faces", "2", "--json",
                   "--sheet", str(sheet))  # fmt: skip
    report = json.loads(printed.out)
    assert set(report) == {"still", MODEL, "run"}
    assert set(report["still"]) == set(real.GROUPS)
    pairs = report["run"]["run"]["pairs"]
    assert 1 <= pairs <= 2
    assert report["still"]["all"]["pairs"] == pairs and report["still"]["all"]["creases"] == 0
    with Image.open(sheet) as image:
        assert image.size == (3 * real.CELL, pairs * real.CELL)


def test_the_training_protocol_is_called_what_it_is(
    tmp_path: Path,
    anatomy: Anatomy,
    face: np.ndarray,
    run_cli: RunCli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from memegen.evaluation import generators

    asked: list[int] = []

    def evaluate(
        data: Path, models: list[str], count: int, sheet: Path | None
    ) -> generators.Report:
        asked.append(count)
        return {model: {"skin L1": 1.0} for model in models} | {"pairs": {"all": float(count)}}

    monkeypatch.setattr(generators, "evaluate", evaluate)
    data = make_shards(tmp_path / "data", anatomy, face, 8)
    for option, count in (("--training-pairs", "2"), ("--pairs", "3")):
        said = run_cli("evaluate", str(data), "--model", MODEL, option, count)
        assert "no measure of quality" in said.err and "skin L1" in said.out
    assert asked == [2, 3]
    run_cli("evaluate", str(data), "--pairs", "0", code=2)


def test_contact_sheet_is_a_page_a_face_and_model(
    tmp_path: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_sheets, "CELL", 120)
    sheet = tmp_path / "sheet.png"
    report = contact_sheets.evaluate(
        [photo], ["mesh", "mesh"], sheet, ("AU12=5,AU25=3", "wink", "yawn")
    )
    assert report["run"]["faces"] == 1 and report["run"]["pages"] == 2
    pages = [np.asarray(Image.open(path)) for path in (sheet, tmp_path / "sheet-2.png")]
    high = 120 + contact_sheets.LABEL
    assert pages[0].shape == (2 * high, contact_sheets.COLUMNS * 120, 3)
    cells = [pages[0][contact_sheets.LABEL : high, start : start + 120] for start in (0, 120, 240)]
    assert all(np.abs(cell.astype(int) - cells[0]).max() > 30 for cell in cells[1:])
    assert (pages[0][high + contact_sheets.LABEL :, 120:] == 255).all()  # five cells are left over
    assert (pages[0][contact_sheets.LABEL :] == pages[1][contact_sheets.LABEL :]).all()


def test_subjects_know_where_their_face_is(photo: Photo, animator) -> None:  # type: ignore[no-untyped-def]
    subject = subject_of(animator, photo, 200)
    assert subject.photo.size == (200, 200)
    centre = subject.seen.alignment.to_photo(np.array([[0.5, 0.5]], np.float32))[0]
    assert np.abs(centre - 100).max() < 40
    again = animator.analyze(subject.photo)[0].analysis.alignment
    assert again.width == pytest.approx(subject.seen.alignment.width, rel=0.1)
    assert np.abs(again.offset - subject.seen.alignment.offset).max() < 12


def test_expressions_of_others_leave_head_and_gaze() -> None:
    other = np.full((2, len(aus.CHANNELS)), 0.5, np.float32)
    source = np.full(len(aus.CHANNELS), 0.1, np.float32)
    reenactment = expressions_of(other).resolve(source)
    assert np.allclose(reenactment[:, HELD], 0.1)
    assert np.allclose(np.delete(reenactment, HELD, 1), 0.5)
    assert len(heights(["smile", "AU4=5"])) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "memegen evaluate sheet PHOTOS"),
        (["--judge", "mediapipe"], "--landmarker FILE go together"),
        (["--judge", "mediapip", "--landmarker", "x"], "mediapipe"),
        (["--sheet", "x.png", "--stages"], "No such option: --stages"),
    ],
)
def test_judging_photos_asks_how(
    arguments: list[str], says: str, tmp_path: Path, photo: Photo, run_cli: RunCli
) -> None:
    Image.fromarray(photo.rgb).resize((64, 64)).save(tmp_path / "photo.jpg")
    assert says in run_cli("evaluate", str(tmp_path), *arguments, code=2).err


def test_emotions_count_for_people_whose_photo_is_neutral() -> None:
    path = Path(__file__).resolve().parent.parent / "benchmarks" / "emotion.py"
    spec = importlib.util.spec_from_file_location("emotion", path)
    assert spec and spec.loader
    emotion = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(emotion)
    said = np.full((3, 1 + len(emotion.EXPECTED), 7), 0.05)
    said[:2, 0, 6] = said[2, 0, 3] = 0.7  # the third person smiles in the photo already
    for column, wanted in enumerate(emotion.EXPECTED.values(), 1):
        said[0, column, emotion.LABELS.index(wanted)] = 0.7
        said[1, column, 6] = said[2, column, 6] = 0.7
    figures = emotion.report(said)
    assert figures["people"] == {"seen": 3, "neutral": 2}
    assert figures["all"]["first"] == pytest.approx(0.5)
    assert figures["smile"]["probability"] == pytest.approx((0.7 + 0.05) / 2)
    assert figures["smile"]["as happy"] == 1 and figures["smile"]["as neutral"] == 1
