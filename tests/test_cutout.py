"""Cut-outs: engines, edges, where a head ends, and what formats make of transparency."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support.command import RunCli
from support.paths import SAMPLE

import memegen
from memegen import recipes
from memegen.batch import Request, Settings, plan
from memegen.cutout import asked, engines
from memegen.cutout.cut import ROOM, cut_box, cut_out
from memegen.cutout.head import NECK, Part, head_share
from memegen.cutout.matte import edge_band, trimap
from memegen.errors import MemegenError, UsageError
from memegen.media.encode import Target, write
from memegen.media.formats import FORMATS, format_of
from memegen.perception.analyze import FaceAnalysis
from memegen.photo import Photo


class Ellipse:
    """An engine that sees a person of a head and shoulders in the middle of every picture."""

    name = "ellipse"

    def coverage(self, rgb: np.ndarray) -> np.ndarray:
        height, width = rgb.shape[:2]
        y, x = np.mgrid[:height, :width]
        away = np.hypot((x / width - 0.5) / 0.3, (y / height - 0.45) / 0.4)
        body = (y > 0.75 * height) & (abs(x / width - 0.5) < 0.45)
        return np.where(body, 1.0, np.clip((1.05 - away) / 0.1, 0, 1)).astype(np.float32)


class Nobody(Ellipse):
    def coverage(self, rgb: np.ndarray) -> np.ndarray:
        return np.zeros(rgb.shape[:2], np.float32)


@pytest.fixture(scope="module")
def seen(photo: Photo, mesh: memegen.Animator) -> list[FaceAnalysis]:
    return [found.analysis for found in mesh.analyze(photo)]


def test_trimap_believes_what_is_sure_and_the_face():
    coverage = np.array([[0.0, 0.05, 0.5, 0.95, 1.0]], np.float32)
    nothing = np.zeros((1, 5), bool)
    assert trimap(coverage, nothing, nothing).tolist() == [[0, 0, 0.5, 1, 1]]
    unknown = np.array([[False, True, True, True, False]])
    certain = np.array([[False, False, False, True, False]])
    assert trimap(coverage, certain, unknown).tolist() == [[0, 0.5, 0.5, 1, 1]]


def test_edges_of_hair_are_looked_for_farther_out():
    coverage = np.zeros((40, 200), np.float32)
    coverage[:, :100] = 1
    hair = np.zeros((40, 200), np.float32)
    hair[:20] = 1
    band = edge_band(coverage, hair, 100.0)
    assert band[5].sum() == 10 + 10
    assert band[35].sum() == 10 + 5


def test_a_head_ends_under_its_chin(photo: Photo, seen: list[FaceAnalysis]):
    width, height = photo.size
    share = head_share(seen[0], Part((height, width), np.zeros(2, np.float32), 1.0))
    landmarks = seen[0].alignment.to_photo(seen[0].landmarks[:468, :2])
    inside = landmarks[(landmarks >= 0).all(1) & (landmarks < [width, height]).all(1)].astype(int)
    assert share[inside[:, 1], inside[:, 0]].min() > 0.99
    iod = 0.27 * seen[0].alignment.width
    chin = landmarks[152]
    column = share[:, round(float(chin[0]))]
    below = np.flatnonzero(column < 0.5)
    assert below.min() == pytest.approx(chin[1] + NECK * iod, abs=0.15 * iod)
    # Softly, and the same in a reduced part.
    assert ((column > 0.1) & (column < 0.9)).sum() > 0.05 * iod
    part = Part((height // 2, width // 2 - 20), np.array([40, 0], np.float32), 0.5)
    small = head_share(seen[0], part)
    halved = share[: height // 2 * 2, 40 : width // 2 * 2]
    halved = halved.reshape(height // 2, 2, width // 2 - 20, 2).mean((1, 3))
    assert np.abs(small - halved).max() < 0.03


def test_what_is_left_is_the_person_or_the_head(photo: Photo, seen: list[FaceAnalysis]):
    pytest.importorskip("pymatting")
    person = cut_out(photo, seen, "person", Ellipse())
    head = cut_out(photo, seen, "head", Ellipse())
    assert person.alpha is not None and head.alpha is not None
    assert (person.alpha[-5:, photo.size[0] // 2] > 250).all() and (head.alpha[-5:] == 0).all()
    opaque = head.alpha == 255
    assert opaque.mean() > 0.05
    assert np.array_equal(head.rgb[opaque], photo.rgb[opaque])  # sharp as it was
    assert ((head.alpha > 10) & (head.alpha < 245)).any()
    box = cut_box(head, seen)
    assert (head.alpha[box.slices] > 8).sum() == (head.alpha > 8).sum()
    rows = np.flatnonzero((head.alpha > 8).any(1))
    assert box.bottom - rows[-1] - 1 == pytest.approx(ROOM * 0.27 * seen[0].alignment.width, abs=2)
    with pytest.raises(MemegenError, match="ellipse sees no person"):
        cut_out(photo, seen, "head", type("E", (Nobody,), {"name": "ellipse"})())


def test_frames_of_a_cut_out_are_transparent_and_still(
    photo: Photo, mesh: memegen.Animator, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("pymatting")
    monkeypatch.setattr("memegen.cutout.cut.engine", Ellipse)
    ready = mesh.prepare_photo(photo, size=200, cutout="head")
    assert ready.canvas.shape[2] == 4 and max(ready.canvas.shape) == 200
    frames = list(ready.play(recipes.load_track("smile", 5)))
    alpha = np.stack([frame[..., 3] for frame in frames]).astype(int)
    assert (alpha[:, 0] == 0).all()  # there is room above
    upper = alpha[:, : alpha.shape[1] // 4]
    assert np.abs(upper - upper[:1]).max() <= 2  # hair does not flicker


def test_gifs_are_transparent_where_less_than_half_is_there(tmp_path: Path):
    frame = np.full((20, 40, 4), (200, 100, 50, 255), np.uint8)
    frame[:, 10:, 3] = 120
    frame[:, 20:, 3] = 140
    frame[:, 30:] = (0, 255, 0, 0)
    moved = np.roll(frame, 3, 0)
    moved[:4, :10, :3] = 0
    write(iter([frame, moved, frame]), 10, True, Target(tmp_path / "a.gif", format_of("gif")))
    with Image.open(tmp_path / "a.gif") as image:
        for index in range(3):
            image.seek(index)
            shown = np.asarray(image.convert("RGBA"))
            assert (shown[..., 3] > 0)[0].tolist() == [True] * 10 + [False] * 10 + [True] * 10 + [
                False
            ] * 10
    assert np.abs(shown[5, 25, :3].astype(int) - (200, 100, 50)).max() < 12


def test_hidden_colours_are_not_stored_without_loss(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 4), np.uint8)
    noise[..., 3] = 0
    noise[10, 10] = (1, 2, 3, 4)
    write(iter([noise, noise]), 10, True, Target(tmp_path / "a.png", format_of("png")))
    assert (tmp_path / "a.png").stat().st_size < 2000


def fake_rembg(mask: object, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A module of rembg's interface (2.0.86), which notes what it is asked for."""
    told: list[str] = []

    def new_session(name: str) -> str:
        told.append(name)
        if isinstance(mask, Exception):
            raise mask
        return name

    def remove(data: np.ndarray, session: str, only_mask: bool) -> np.ndarray:
        assert only_mask and session == engines.REMBG_MODEL
        return np.full(data.shape[:2], mask, np.uint8)

    monkeypatch.setitem(
        sys.modules, "rembg", SimpleNamespace(new_session=new_session, remove=remove)
    )  # type: ignore[arg-type]
    return told


def test_rembg_is_asked_for_a_mask(monkeypatch: pytest.MonkeyPatch):
    told = fake_rembg(51, monkeypatch)
    found = engines.Rembg().coverage(np.zeros((4, 6, 3), np.uint8))
    assert found.shape == (4, 6) and found == pytest.approx(0.2)
    assert told == ["u2net_human_seg"]
    fake_rembg(OSError("no route\nto host"), monkeypatch)
    with pytest.raises(MemegenError, match=r"rembg cannot load .*no route to host"):
        engines.Rembg()


def test_engines_are_tried_in_turn(monkeypatch: pytest.MonkeyPatch):
    def broken() -> engines.Engine:
        raise ImportError("libgomp.so.1")

    monkeypatch.setattr(engines, "NEEDED", "json")
    monkeypatch.setattr(
        engines, "ENGINES", (("none.here", broken), ("json", broken), ("os", Ellipse))
    )
    engines.engine.cache_clear()
    try:
        assert engines.engine().name == "ellipse"
        engines.engine.cache_clear()
        monkeypatch.setattr(engines, "ENGINES", (("json", broken),))
        with pytest.raises(MemegenError, match=r"json cannot be used \(libgomp"):
            engines.engine()
    finally:
        engines.engine.cache_clear()


def test_what_cannot_be_is_told_in_one_line(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(engines, "ENGINES", (("no_such_module.here", Ellipse),))
    with pytest.raises(UsageError, match=r"pip install 'memegen-faces\[cutout\]'"):
        asked.check_cutout("head", format_of("gif"))
    for fmt in FORMATS:
        if not fmt.alpha:
            with pytest.raises(UsageError, match=r"holds no transparency.*\.gif .*\.webm"):
                asked.check_cutout("person", fmt)
    with pytest.raises(UsageError, match="did you mean 'head'"):
        asked.checked_cutout("heads")
    out = str(tmp_path / "a.mp4")
    said = run_cli("animate", str(SAMPLE), "--cutout", "head", "-o", out, code=2)
    assert "no transparency" in said.err and said.err.count("\n") == 1
    out = str(tmp_path / "a.webp")
    said = run_cli("animate", str(SAMPLE), "--cutout", "head", "-o", out, code=2)
    assert "memegen-faces[cutout]" in said.err and said.err.count("\n") == 1


def test_batches_refuse_cut_outs_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engines, "NEEDED", "json")
    monkeypatch.setattr(engines, "ENGINES", (("os", Ellipse),))
    settings = Settings(cutout="head", format="mp4")
    with pytest.raises(UsageError, match="no transparency"):
        plan([Request((str(SAMPLE),), out=f"{tmp_path}/", settings=settings)])
    stickers = replace(settings, format=None, platform="whatsapp-sticker")
    (job,) = plan([Request((str(SAMPLE),), out=f"{tmp_path}/", settings=stickers)])
    assert job.settings.crop is None  # the cut-out's own bounds, not the platform's
    (job,) = plan(
        [Request((str(SAMPLE),), out=f"{tmp_path}/", settings=replace(stickers, cutout=None))]
    )
    assert job.settings.crop == "head"
