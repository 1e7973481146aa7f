"""What `memegen evaluate` measures with: regions, distances, identity, whole reports."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.command import RunCli
from support.faces import sample_face, vector, with_lips_shut
from support.networks import tiny_file
from support.shards import make_shards

from memegen import aus, weights
from memegen.evaluation import generators, identity, self_reenactment
from memegen.evaluation.measures import (
    REGIONS,
    Perceptual,
    absolute,
    mean_over,
    psnr,
    regions,
    structure,
)
from memegen.geometry.anatomy import Anatomy
from memegen.geometry.motion import FaceMotion
from memegen.photo import Photo


def picture(seed: int = 0, side: int = 64) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(0, 255, (8, 8, 3)).astype(np.float32)
    tensor = torch.from_numpy(coarse).permute(2, 0, 1)[None]
    smooth = torch.nn.functional.interpolate(tensor, (side, side), mode="bilinear")
    return smooth[0].permute(1, 2, 0).numpy()


def test_regions_share_out_every_pixel(face: np.ndarray, anatomy: Anatomy) -> None:
    motion = FaceMotion.of(face, np.zeros(len(aus.CHANNELS), np.float32), anatomy)
    landmarks = motion.move(vector({"AU26": 4, "AU25": 3})[None])[0]
    weight = regions(landmarks, 128)
    assert set(weight) == set(REGIONS)
    assert np.abs(sum(weight.values()) - 1).max() < 0.02
    assert weight["mouth"].sum() > 20
    assert weight["eyes"].sum() > 50
    assert regions(with_lips_shut(face), 128)["mouth"].sum() < 8


def test_distances_of_pictures() -> None:
    one, ones = picture(), np.ones((64, 64), np.float32)
    brighter = one + 10
    assert mean_over(absolute(brighter, one), ones) == pytest.approx(10, abs=1e-4)
    assert psnr(brighter, one, ones) == pytest.approx(20 * np.log10(25.5), abs=1e-3)
    assert psnr(one, one, ones) == pytest.approx(60)
    assert structure(one, one).min() == pytest.approx(1, abs=1e-3)
    noisy = one + np.random.default_rng(0).normal(0, 30, one.shape).astype(np.float32)
    assert structure(brighter, one).mean() > structure(noisy, one).mean()
    half = ones.copy()
    half[:32] = 0
    patched = one.copy()
    patched[:32] += 50
    assert mean_over(absolute(patched, one), half) == 0


def test_perceptual_distance_prefers_shifts_of_light_to_other_pictures() -> None:
    ruler = Perceptual()
    one, other = (torch.from_numpy(picture(i)).permute(2, 0, 1)[None] / 255 for i in (0, 1))
    assert ruler(one, one) == 0
    assert 0 < ruler(one * 0.95, one) < ruler(other, one)


def test_discriminant_finds_what_tells_people_apart() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 4)
    features = rng.normal(size=(160, 12)).astype(np.float32) * 3  # loud, and says nothing
    features[:, :3] = rng.normal(size=(40, 3))[people] + rng.normal(size=(160, 3)) * 0.2
    mean, directions = identity.discriminant(features, people, 3)
    found = (features - mean) @ directions
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    raw = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert identity.verification(found, people) > 0.95
    assert identity.verification(raw, people) < 0.75


def test_models_are_reported_side_by_side(
    tmp_path: Path, anatomy: Anatomy, face: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_shards(tmp_path / "data", anatomy, face)
    tiny = str(tiny_file(tmp_path / "tiny.safetensors"))
    monkeypatch.setattr(generators, "SPEED_SIDE", 64)
    sheet = tmp_path / "sheet.png"
    report = generators.evaluate(data, ["mesh", tiny], 3, sheet)
    assert set(report) == {"mesh", tiny, "pairs"}
    shared = {"skin L1", "eyes SSIM", "background PSNR", "mouth perceptual", "action units",
              "landmarks", "identity distance", "parameters, millions"}  # fmt: skip
    assert shared <= report["mesh"].keys() and shared <= report[tiny].keys()
    assert report["mesh"]["parameters, millions"] == 0 < report[tiny]["parameters, millions"]
    assert 0 <= report[tiny]["skin attention"] <= 1
    assert report[tiny]["attention of the photo's own expression"] == 1
    assert all(np.isfinite(v) for found in report.values() for v in found.values())
    assert sheet.exists()


def test_perception_of_a_run_is_measured(
    tmp_path: Path, anatomy: Anatomy, face: np.ndarray, run_cli: RunCli
) -> None:
    data = make_shards(tmp_path / "data", anatomy, face, 16)
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(weights.find("perception"), run / "perception.safetensors")
    for named in (run, run / "perception.safetensors"):
        printed = run_cli("evaluate", "perception", str(data), "--weights", str(named), "--json")
        assert {"landmarks", "pearson", "pose"} <= json.loads(printed.out).keys()
    assert (
        "perception is measured alone"
        in run_cli("evaluate", str(data), "--model", str(run), "--model", "mesh", code=2).err
    )


@pytest.mark.slow
def test_reach_of_several_models_is_one_report(
    tmp_path: Path, anatomy: Anatomy, face: np.ndarray, run_cli: RunCli
) -> None:
    data = make_shards(tmp_path / "data", anatomy, face, 8)
    tiny = str(tiny_file(tmp_path / "tiny.safetensors"))
    asked = (
        "evaluate",
        "au-response",
        str(data),
        "--faces",
        "1",
        "--model",
        "mesh",
        "--model",
        tiny,
    )
    report = json.loads(run_cli(*asked, "--json").out)
    assert set(report) == {"mesh", tiny} and {"slope"} <= report["mesh"]["AU12"].keys()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--reach", "--sheet", "x.png"], "No such option: --sheet"),
        (["--photos", "."], "--photos and --clips go together"),
        (["--model", "perception", "--model", "mesh"], "perception is measured alone"),
    ],
)  # fmt: skip
def test_options_that_mean_nothing_are_said(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    anatomy: Anatomy,
    face: np.ndarray,
    run_cli: RunCli,
) -> None:
    data = make_shards(tmp_path / "data", anatomy, face, 8)
    assert says in run_cli("evaluate", str(data), *arguments, code=2).err


def test_photos_are_no_clips(tmp_path: Path, photo: Photo, run_cli: RunCli) -> None:
    still = tmp_path / "photo.webp"
    Image.fromarray(photo.rgb).resize((128, 128)).save(still)
    assert not self_reenactment.is_clip(still)
    moving = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    moving[0].save(tmp_path / "clip.gif", save_all=True, append_images=moving[1:])
    (tmp_path / "clip.mp4").write_bytes(b"whatever")
    assert self_reenactment.is_clip(tmp_path / "clip.gif")
    assert self_reenactment.is_clip(tmp_path / "clip.mp4")
    assert (
        "too few frames with a face"
        in run_cli("evaluate", "clips", str(still), "--model", "mesh", code=1).err
    )


@pytest.mark.slow
def test_clips_and_photos_without_a_face_do_not_stop_the_others(
    tmp_path: Path, photo: Photo, run_cli: RunCli
) -> None:
    small = sample_face()
    frames = [small.rotate(d, resample=Image.Resampling.BICUBIC) for d in (0, 1, 2, 3, 2, 1)]
    blank = Image.new("RGB", small.size, "grey")
    for name, first in (("late.gif", blank), ("seen.gif", small)):
        first.save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100)
    said = run_cli("evaluate", "clips", str(tmp_path), "--model", "mesh", "--json")
    assert set(json.loads(said.out)) >= {"seen.gif", "all clips"} and "late.gif" not in said.out
    (line,) = (line for line in said.err.splitlines() if "late.gif" in line)
    assert line.endswith("no face in the first frame; left out")
    (tmp_path / "seen.gif").unlink()
    assert (
        "no face in the first frame"
        in run_cli("evaluate", "clips", str(tmp_path), "--model", "mesh", code=1).err
    )
    photos = tmp_path / "photos"
    photos.mkdir()
    small.save(photos / "seen.png")
    blank.save(photos / "blank.png")
    (photos / "broken.png").write_bytes((photos / "seen.png").read_bytes()[:5000])
    sheet = tmp_path / "new" / "folder" / "sheet.png"
    arguments = ("--model", "mesh", "--sheet", str(sheet), "--expressions", "smile", "--json")
    said = run_cli("evaluate", "sheet", str(photos), *arguments)
    assert json.loads(said.out)["run"]["faces"] == 1 and "broken.png" in said.err
    assert [path.name for path in sheet.parent.iterdir()] == ["sheet.png"]


def test_figures_of_few_pairs_have_a_standard_error() -> None:
    tally = generators.Tally()
    for value in (1.0, 3.0):
        tally.add("mouth L1", value)
        tally.add("mouth L1, opening", value)
    tally.add("eyes L1, closing", 5.0)  # one says nothing of its spread
    assert tally.means() == {
        "mouth L1": 2.0,
        "mouth L1, opening": 2.0,
        "mouth L1, opening (se)": pytest.approx(1.0),
        "eyes L1, closing": 5.0,
    }


def test_kinds_of_pairs(face: np.ndarray, anatomy: Anatomy) -> None:
    shut = np.zeros(len(aus.CHANNELS), np.float32)
    motion = FaceMotion.of(face, shut, anatomy)
    wide = vector({"AU26": 4, "AU25": 3})
    opened = motion.move(wide[None])[0]
    lips_shut = with_lips_shut(face)
    assert generators._kinds(opened, lips_shut, wide, shut)["opening"]
    assert not generators._kinds(lips_shut, opened, shut, wide)["opening"]
    blink, aside = vector({"AU45": 4}), vector({"AU61": 3})
    assert generators._kinds(face, face, blink, shut)["closing"]
    assert generators._kinds(face, face, aside, shut)["gaze"]
    assert not generators._kinds(face, face, shut, shut)["gaze"]
