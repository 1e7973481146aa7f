"""Drawn faces in the pipeline: found, boxed, moved by networks (here small fakes), put back."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support.command import RunCli
from support.paths import SAMPLE

import memegen.generators.cartoon
from memegen import aus
from memegen.batch import worker
from memegen.cartoon import animeface, face_box, render, sample_style
from memegen.cartoon.crop import FACE_SHARE, Crop
from memegen.cartoon.find import DrawnFaceFinder, seen_in_box
from memegen.cartoon.pose import INDEX, POSE
from memegen.errors import NoFaceError, UsageError
from memegen.faces.detect import Face
from memegen.generators.base import Scene
from memegen.generators.drawing import DrawingGenerator
from memegen.generators.registry import generating_model
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.motion import FaceMotion
from memegen.photo import read_photo
from memegen.pipeline import Animator

REST = np.zeros(len(POSE), np.float32)
BOX = (80, 90, 96, 80)  # a face in a drawing of 256 x 240 pixels


class RedMouths:
    """Networks that paint a red square where mouths are, as red as the mouth is open."""

    def __init__(self, device: str = "cpu", file: str = "cartoon") -> None:
        self.seen: list[np.ndarray] = []

    def render(
        self, crop: np.ndarray, poses: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self.seen.append(crop)
        side = len(crop)
        part = (
            slice(round(0.7 * side), round(0.8 * side)),
            slice(round(0.4 * side), round(0.6 * side)),
        )
        for pose in poses:
            picture, changed = crop.copy(), np.zeros((side, side), np.float32)
            share = pose[INDEX["mouth"]]
            picture[part] = np.round(crop[part] * (1 - share) + share * np.array([255, 0, 0]))
            changed[part] = min(1.0, 4 * share)
            yield picture, changed


class Seeing:
    """A detector of photos that finds these faces."""

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)

    def rungs(self, rgb: np.ndarray, every: bool = False) -> Iterator[list[Face]]:
        if self.faces:
            yield self.faces


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memegen.generators.cartoon, "CartoonNetworks", RedMouths)


def noise(height: int = 240, width: int = 256, channels: int = 3) -> np.ndarray:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    if channels == 4:
        picture[..., 3] = 0
    return picture


def expression(text: str) -> np.ndarray:
    vector = np.zeros((1, len(aus.CHANNELS)), np.float32)
    for channel, value in aus.parse_expression(text).items():
        vector[0, aus.INDEX[channel]] = value / aus.MAX_INTENSITY
    return vector


def scene_of(picture: np.ndarray, box=BOX) -> Scene:
    seen = seen_in_box(np.array(box, np.float32), 1.0).analysis
    motion = FaceMotion.of(seen.landmarks, seen.action_units, load_anatomy())
    return Scene.of(picture, seen.alignment, motion, whole_crop=True)[1]


def rendered(picture: np.ndarray, text: str, box=BOX) -> tuple[np.ndarray, np.ndarray]:
    scene = scene_of(picture, box)
    renderer = DrawingGenerator(networks=RedMouths()).prepare(scene)
    (out,) = renderer.render(expression(text))
    return scene.picture, out


def test_what_networks_leave_alone_is_the_drawings_own():
    before, after = rendered(noise(), "AU12=5")
    assert np.array_equal(before, after)


def test_only_what_networks_change_is_put_back():
    before, after = rendered(noise(), "AU27=5")
    changed = (before != after).any(-1)
    red = (after == [255, 0, 0]).all(-1)
    assert red.sum() > 200
    assert changed.sum() < 1.5 * red.sum()


def test_large_crops_are_reduced_for_networks_and_stay_sharp_elsewhere(monkeypatch):
    monkeypatch.setattr("memegen.generators.drawing.MOST_SIDE", 64)
    networks = RedMouths()
    scene = scene_of(noise())
    (out,) = DrawingGenerator(networks=networks).prepare(scene).render(expression("AU27=5"))
    assert networks.seen[0].shape == (64, 64, 3)
    changed = (scene.picture != out).any(-1)
    assert 0.01 < changed.mean() < 0.08


def test_a_crop_may_reach_beyond_the_drawing():
    before, after = rendered(noise(90, 100), "AU27=5", (5, 5, 90, 80))
    assert before.shape == after.shape == (90, 100, 3)
    assert (after == [255, 0, 0]).all(-1).sum() > 200


def test_what_is_painted_on_transparent_paper_is_seen():
    before, after = rendered(noise(channels=4), "AU27=5")
    shown = after[..., 3] > 128
    assert shown.sum() > 200 and not before[..., 3].any()
    assert (after[shown][:, 0] > 200).all()


def test_a_box_is_believed_and_its_crop_is_the_alignment():
    seen = DrawnFaceFinder(Seeing()).find_in(noise(), np.array([80.0, 90.0, 176.0, 170.0]))
    crop = Crop.around(np.array(BOX, np.float32))
    assert seen.analysis.alignment.width == pytest.approx(96 / FACE_SHARE, rel=1e-5)
    assert seen.analysis.alignment.offset == pytest.approx([crop.left, crop.top])
    assert not seen.analysis.action_units.any()
    points = seen.analysis.alignment.to_photo(seen.analysis.landmarks[:, :2])
    assert points[:, 0].min() == pytest.approx(80, abs=0.5)
    assert points[:, 0].max() == pytest.approx(176, abs=0.5)
    assert points[:, 1].max() == pytest.approx(170, abs=0.5)
    eyes, mouth = seen.face.points[:2].mean(0), seen.face.points[3:].mean(0)
    assert 90 < eyes[1] < mouth[1] < 170


def found_at(box: np.ndarray) -> animeface.AnimeFace:
    """What animeface says of such a face, where its measures are the usual ones."""
    x, y, w, h = box
    wide, eyes = w / 1.07, w / 2.12
    at = np.array([x + w / 2, y + h / 3])
    beside = np.array([eyes / 2, 0])
    return animeface.AnimeFace(
        np.array([at[0] - wide / 2, y, wide, h]),
        at + beside, at - beside, at + np.array([0, h / 3]), at + np.array([0, h / 6]),
        np.array([at[0], y + h - 0.03 * h]), 0.9,
    )  # fmt: skip


def test_faces_are_found_on_a_reduced_drawing(monkeypatch):
    asked = []

    def detect(rgb: np.ndarray) -> list[animeface.AnimeFace]:
        asked.append(rgb.shape)
        if rgb.shape[1] < 1000:
            return []
        return [found_at(np.array([100, 100, 80, 68.0])), found_at(np.array([400, 100, 50, 42.0]))]

    monkeypatch.setattr(animeface, "available", lambda: True)
    monkeypatch.setattr(animeface, "detect", detect)
    large = np.zeros((1200, 2400, 3), np.uint8)
    (face,) = DrawnFaceFinder(Seeing()).find(large)
    assert asked == [(300, 600, 3), (600, 1200, 3)]
    assert face.face.box == pytest.approx([200, 200, 360, 336], abs=2)
    assert len(DrawnFaceFinder(Seeing()).find(large, every=True)) == 2


def test_what_only_the_detector_of_photos_finds_is_found(monkeypatch):
    monkeypatch.setattr(animeface, "available", lambda: False)
    points = np.zeros((5, 2), np.float32)
    sure = Face(np.array([50, 40, 150, 160], np.float32), points, 0.95)
    unsure = Face(np.array([50, 40, 180, 190], np.float32), points, 0.75)
    (found,) = DrawnFaceFinder(Seeing(unsure, sure)).find(noise())
    x0, y0, x1, y1 = found.face.box
    assert (x0 + x1) / 2 == pytest.approx(100) and x1 - x0 == pytest.approx(104)
    assert y1 == pytest.approx(156) and 40 < y0 < 90
    with pytest.raises(UsageError, match=r"pip install 'memegen-faces\[cartoon\]'"):
        DrawnFaceFinder(Seeing(unsure)).find(noise())


def test_animeface_is_handed_the_picture_and_the_likely_faces_are_read(monkeypatch):
    """The package itself where it is installed, else only what is made of its answer."""
    if animeface.available():
        found = 0
        for seed in range(8):
            style = sample_style(np.random.default_rng(1000 + seed), "anime")
            box = face_box(style, REST, 320)
            for face in animeface.detect(render(style, REST, 320))[:1]:
                middle = face.box[:2] + face.box[2:] / 2
                found += bool((abs(middle - box[:2] - box[2:] / 2) < box[2:] / 2).all())
        assert found >= 5
        return
    with pytest.raises(UsageError, match=r"pip install 'memegen-faces\[cartoon\]'.*--face"):
        animeface.detect(noise())


def test_only_the_talking_head_is_for_drawings():
    assert generating_model("cartoon").drawings
    assert not generating_model("anatomical").drawings


def test_a_drawing_is_animated_by_the_same_pipeline(networks, monkeypatch):
    monkeypatch.setattr(animeface, "available", lambda: True)
    monkeypatch.setattr(animeface, "detect", lambda rgb: [])
    animator = Animator("cartoon", "cpu")
    photo = read_photo(noise())
    with pytest.raises(NoFaceError, match="--face x,y,width,height"):
        animator.analyze(photo)
    frames = list(animator.animate(photo, au="AU27=5", face="80,90,96,80", fps=5))
    assert np.array_equal(frames[0], noise())
    strongest = max(frames, key=lambda frame: int((frame == [255, 0, 0]).all(-1).sum()))
    assert (strongest == [255, 0, 0]).all(-1).sum() > 200
    assert np.array_equal(strongest[:60], noise()[:60])
    with pytest.raises(UsageError, match="cartoon animates drawings that do not"):
        animator.animate_clip("clip.mp4")


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    path = tmp_path / "drawing.png"
    Image.fromarray(noise()).save(path)
    return path


def test_commands_animate_preview_and_transfer(
    networks: None, drawing: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    face = ["--face", "60,70,130,110", "--model", "cartoon", "--device", "cpu"]
    out = tmp_path / "out.gif"
    run_cli(
        "animate",
        str(drawing),
        "--recipe",
        "surprise",
        *face,
        "--size",
        "96",
        "-o",
        str(out),
        notes=True,
    )
    assert Image.open(out).n_frames > 3
    run_cli("preview", str(drawing), "--recipe", "surprise", *face, "--frames", "2", notes=True)
    run_cli("transfer", str(drawing), str(SAMPLE), *face, "--size", "96", "-o",
            str(tmp_path / "t.gif"), notes=True)  # fmt: skip
    assert Image.open(tmp_path / "t.gif").n_frames > 3
    run_cli("animate", str(drawing), *face, "--dry-run", notes=True)


def test_what_is_wrong_is_said_in_one_line(
    networks: None, drawing: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    model = ["--model", "cartoon", "--device", "cpu"]
    monkeypatch.setattr(animeface, "available", lambda: False)
    said = run_cli("animate", str(drawing), *model, code=2, notes=True).err
    assert "pip install 'memegen-faces[cartoon]'" in said and "--face" in said
    monkeypatch.setattr(animeface, "available", lambda: True)
    monkeypatch.setattr(animeface, "detect", lambda rgb: [])
    said = run_cli("animate", str(drawing), *model, code=3, notes=True).err
    assert "no face found" in said and "--face x,y,width,height" in said
    said = run_cli(
        "animate", str(drawing), *model, "--face", "900,900,50,50", code=2, notes=True
    ).err
    assert "outside" in said


def test_a_batch_looks_for_faces_of_drawings_and_of_photos_apart(tmp_path: Path, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(noise()).save(path)
    asked = []
    monkeypatch.setattr(
        worker, "_understand", lambda animator, *_: asked.append(animator.drawings) or (None, [])
    )
    one = worker._UnderstoodPhoto(str(path), "largest", nullcontext())
    for drawings in (True, False, True, False):
        one._understood(SimpleNamespace(drawings=drawings))
    assert asked == [True, False]
