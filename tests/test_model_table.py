"""The table of models: figures of any generator, dashes with reasons, a page rewritten in place."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.command import RunCli
from support.networks import TINY, tiny_file
from support.paths import SAMPLE
from support.shards import make_shards
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from memegen import weights
from memegen.errors import MemegenError, UsageError
from memegen.evaluation import (
    comparison,
    contact_sheets,
    identity,
    model_table,
    network_cost,
    pair_figures,
)
from memegen.evaluation.comparison import Comparison, Question, Row, compare, given_figures
from memegen.evaluation.landmark_aus import READINGS
from memegen.evaluation.measures import Perceptual
from memegen.evaluation.network_cost import recorded
from memegen.evaluation.real import DrivenPair, Face
from memegen.evaluation.real_pairs import RealPair
from memegen.generators.ganimation import GanimationConfig, GanimationNet
from memegen.generators.registry import generating_model, weights_named
from memegen.geometry.anatomy import Anatomy
from memegen.photo import read_photo
from memegen.pipeline import Animator


def couple(animator: Animator) -> DrivenPair:
    """The sample photo with itself, a little brighter."""
    photo = read_photo(SAMPLE)
    seen = animator.analyze(photo)[0].analysis
    matrix, side = seen.alignment, 160
    box = matrix.to_photo(np.array([[0, 0], [1, 1]], np.float32)).astype(int)
    (left, top), (right, bottom) = np.clip(box, 0, None)
    cut = Image.fromarray(photo.rgb[top:bottom, left:right]).resize((side, side))
    first = np.asarray(cut)
    second = np.clip(first.astype(int) + 12, 0, 255).astype(np.uint8)
    pair = RealPair(first, second, np.zeros(18, np.float32), False, 0, False)
    faces = [Face(picture, seen.landmarks, None, None) for picture in (first, second)]
    return DrivenPair(pair, *faces, seen.action_units)


@pytest.fixture
def one_pair(monkeypatch: pytest.MonkeyPatch, mesh: Animator) -> DrivenPair:
    """Instead of shards: drawn ones hold no faces."""
    pair = couple(mesh)
    monkeypatch.setattr(pair_figures.real, "pairs_seen", lambda *_: [pair])
    monkeypatch.setattr(comparison, "CROP", 96)
    few = [reading for reading in READINGS if reading.number in (4, 12, 26)]
    monkeypatch.setattr(comparison, "READINGS", few)
    monkeypatch.setattr(network_cost, "LONGEST", 0.0)  # each is timed once
    monkeypatch.setattr(comparison, "TIMED", 1)
    # Of drawn noise there is nothing to fit, and the eigenvectors take seconds.
    monkeypatch.setattr(
        identity,
        "discriminant",
        lambda features, _, count: (
            features.mean(0),
            np.eye(features.shape[1], count, dtype=np.float32),
        ),
    )
    answer = {f"AU{n}": {"slope": 0.5, "correlation": 0.25} for n in (1, 2, 4, 12, 26)}
    monkeypatch.setattr(comparison.au_response, "evaluate", lambda *_: answer)
    return pair


def tiny_ganimation(path: Path, **told: str) -> Path:
    network = GanimationNet(GanimationConfig(size=64, width=4, blocks=1))
    weights.save(path, network.state_dict(), "ganimation", network.config, **told)
    return path


def test_kinds_of_generators_stand_side_by_side(
    one_pair: DrivenPair, tmp_path: Path, anatomy: Anatomy, face: np.ndarray
) -> None:
    data = make_shards(tmp_path / "data", anatomy, face)
    told = {"steps": "7", "minutes": "1.5", "images_per_second": "12", "data": "a-00, a-01, b"}
    gan = tiny_ganimation(tmp_path / "gan.safetensors", **told)
    tiny = tiny_file(tmp_path / "tiny.safetensors")
    given = {"ganimation": {"ms_gpu": 0.5, "steps": 8}, "drawn": {"photos": False, "lips": 0.1}}
    names = ["mesh", str(tiny), str(gan), "drawn"]
    said: list[str] = []
    found = compare(Question(data, 1, 1, None, given), names, said.append)
    rows = {row.name: row for row in found.rows}
    assert list(rows) == ["still", "mesh", "anatomical", "ganimation", "drawn"]
    assert found.judge == "memegen's own perception" and found.pairs == 1 and len(said) == 4
    g, a, m = (rows[name] for name in ("ganimation", "anatomical", "mesh"))
    assert g.figures["parameters"] == sum(
        p.numel() for p in GanimationNet(GanimationConfig(size=64, width=4, blocks=1)).parameters()
    )
    assert g.figures["resolution"] == 64 and a.figures["resolution"] == TINY.mouth.side // 4
    assert g.figures["ms_gpu"] == 0.5 and g.figures["steps"] == 8  # given ones come first
    assert g.figures["minutes"] == 1.5 and g.figures["data"] == "a, b"
    assert g.figures["gflops"] > 0 and g.figures["ms_fp32"] > 0 and a.figures["gflops"] > 0
    assert m.figures["parameters"] == 0 and "no network" in m.missing["gflops"]
    assert m.missing["minutes"] == m.missing["megabytes"] == comparison.NO_NETWORK
    assert "not written down" in a.missing["minutes"] and "GPU" in a.missing["ms_gpu"]
    assert m.figures["aus"] == "3 of 3" and m.figures["au12"] == 0.5
    assert all("ssim_skin" in row.figures for row in (m, a, g, rows["still"]))
    assert rows["still"].figures["identity"] == pytest.approx(0, abs=1e-5)
    assert rows["drawn"].figures == {"lips": 0.1}
    assert "own data" in rows["drawn"].missing["gflops"]
    for row in found.rows:  # nothing is missing without a reason but of the photo as it is
        lacking = set(comparison.FIGURES) - row.figures.keys()
        assert lacking <= row.missing.keys()


def test_weights_that_are_not_there_are_a_row_of_dashes(
    one_pair: DrivenPair, tmp_path: Path, anatomy: Anatomy, face: np.ndarray
) -> None:
    data = make_shards(tmp_path / "data", anatomy, face)
    row = compare(Question(data, 1, 1), ["stargan"], str).rows[1]
    assert row.figures == {} and "weights not found" in row.missing["lips"]
    (tmp_path / "empty").mkdir()
    for name in (str(tmp_path / "empty"), "stargna"):
        with pytest.raises(MemegenError, match=r"not found|unknown|no such"):
            compare(Question(tmp_path / "no data", 1, 1), ["mesh", name], pytest.fail)
    with pytest.raises(MemegenError, match="none of these models"):
        comparison.movers(["stargan"], {}, str)


def test_the_folder_of_a_run_may_hold_its_weights_compressed_only(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    file = tiny_ganimation(run / "ganimation-int8.safetensors")
    assert generating_model(str(run)).name == "ganimation" and weights_named(str(run)) == file
    named = tiny_ganimation(run / "ganimation.safetensors")
    assert weights_named(str(run)) == named


def some() -> Comparison:
    still = Row("still", {"lips": 0.08, "ssim_skin": 0.5}, note="as it is")
    still.lack("", *comparison.FIGURES)
    one = Row("one", {"parameters": 2.5e6, "data": "a | b", "steps": 10.0, "lips": 0.031})
    one.lack("too slow", "ms_fp32", "ms_gpu")
    two = Row("two", {f"{m}_skin": 0.25 for m in ("ssim", "psnr", "perceptual")}, note="as it is")
    two.lack("too slow", *comparison.FIGURES)
    return Comparison([still, one, two], "MediaPipe", 3, 2, 0.9, "faces", "a machine")


def test_what_a_model_cannot_do_is_a_dash_with_a_footnote() -> None:
    text = model_table.markdown(some())
    lines = text.splitlines()
    assert any(
        line.startswith("| `one` | 2.50 | - | - | -<sup>1</sup> | - | -<sup>1</sup>")
        for line in lines
    )
    assert "1. too slow" in lines and "2. as it is" in lines and text.count("too slow") == 1
    assert "| `still`<sup>2</sup> | - | - | - | - | 0.0800 | - |" in lines
    assert any("0.250 / 0.2 / 0.250" in line for line in lines if line.startswith("| `two`"))
    assert any("| a / b | 10 |" in line for line in lines)
    assert "](a/b.webp)" in model_table.markdown(some(), "a/b.webp") and "![" not in text
    assert "MediaPipe looks" in text and "90%" in text and "a machine" in text
    for line in lines:  # every row has the columns of its table
        if line.startswith("|"):
            assert line.count("|") in (7, 8, 6, 10) or line.startswith("|---")


def test_pages_are_rewritten_between_their_markers(tmp_path: Path) -> None:
    page = tmp_path / "models.md"
    text = model_table.markdown(some())
    model_table.write_between_markers(page, text)
    page.write_text(f"# Mine\n\nbefore\n\n{page.read_text().split(model_table.HEADER)[1]}after\n")
    kept = page.read_text()
    model_table.write_between_markers(page, text)
    assert page.read_text() == kept
    model_table.write_between_markers(page, "other")
    assert page.read_text().startswith("# Mine") and page.read_text().endswith("after\n")
    assert "too slow" not in page.read_text()
    page.write_text("no markers\n")
    with pytest.raises(UsageError, match="lacks the lines"):
        model_table.check_page(page)
    with pytest.raises(UsageError, match="lacks the lines"):
        model_table.write_between_markers(page, text)
    assert page.read_text() == "no markers\n"


def test_given_figures_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    for text, says in (
        ("{", "no JSON"),
        ("[1]", "must map"),
        ('{"a": {"lip": 1}}', "unknown figure 'lip'.*lips"),
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match=says):
            given_figures(file)
    file.write_text(json.dumps({"a": {"lips": 1, "note": "n", "photos": False}}))
    assert given_figures(file)["a"]["note"] == "n"


def test_calls_are_recorded_once_however_they_are_nested() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.more = nn.Conv2d(1, 2, 3), nn.ModuleList([nn.Conv2d(2, 1, 3)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.more[0](self.a(x))  # type: ignore[no-any-return]

    net, x = Net(), torch.zeros(1, 1, 8, 8)
    with recorded(net) as whole:
        net(x)
    with recorded(net) as parts:
        net.more[0](net.a(x))
    assert [c.module for c in whole] == [net] and [c.module for c in parts] == [net.a, net.more[0]]
    assert whole[0].returned == 4 and [c.returned for c in parts] == [6, 4]
    counts = []
    for calls in (whole, parts):
        with FlopCounterMode(display=False) as counter:
            for call in calls:
                call()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] == 2 * 9 * 2 * (36 + 16)
    assert not net._forward_hooks and not net.a._forward_pre_hooks


def test_perceptual_distance_of_a_region_is_blind_elsewhere() -> None:
    ruler, one = Perceptual(), torch.rand(1, 3, 96, 96)
    other, weight = one.clone(), torch.zeros(96, 96)
    other[..., :30] = 0
    weight[:, 70:] = 1
    assert ruler(one, other) > 0.01 and ruler(one, other, weight) < 1e-6
    assert ruler(one, other, torch.ones(96, 96)) == pytest.approx(ruler(one, other), rel=1e-5)


def test_the_sheet_shows_every_model_in_a_column(tmp_path: Path, mesh: Animator) -> None:
    sheet, cell = tmp_path / "sheet.webp", 64
    people = [read_photo(SAMPLE)]
    shown = {"one": mesh, "two": mesh}
    report = contact_sheets.across(people, shown, sheet, ["smile", "AU26=4"], cell)
    with Image.open(sheet) as image:
        assert image.format == "WEBP"
        assert image.size == (3 * cell, 2 * (cell + contact_sheets.LABEL))
        cells = np.asarray(image.convert("RGB"), np.float32)[
            contact_sheets.LABEL : contact_sheets.LABEL + cell
        ]
    assert report["run"]["faces"] == 1 and report["run"]["pages"] == 1
    photo, one, two = np.split(cells, 3, 1)
    assert np.abs(one - two).mean() < 4 < np.abs(one - photo).max()


@pytest.mark.slow
def test_the_command_writes_page_and_picture(
    one_pair: DrivenPair, tmp_path: Path, anatomy: Anatomy, face: np.ndarray, run_cli: RunCli
) -> None:
    data = make_shards(tmp_path / "data", anatomy, face)
    page, sheet = tmp_path / "models.md", tmp_path / "models.png"
    options = ["--pairs", "1", "--faces", "1", "--expressions", "smile", "--cell", "64"]
    gan = tiny_ganimation(tmp_path / "gan.safetensors")
    said = run_cli(
        "evaluate", str(data), "--model", f"mesh,{gan}", "--table", str(page), "--sheet", str(sheet),
        *options, notes=True,
    )  # fmt: skip
    assert said.out.strip() == str(page) and "| `ganimation`" in page.read_text()
    with Image.open(sheet) as image:
        assert image.size[0] == 3 * 64
    page.write_text("mine\n")
    refused = run_cli("evaluate", "table", str(data), "--table", str(page), code=2)
    assert "lacks the lines" in refused.err and page.read_text() == "mine\n"
