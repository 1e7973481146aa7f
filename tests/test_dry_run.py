"""--dry-run foretells what is written, and writes nothing."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from support.clips import pictures
from support.command import RunCli
from support.faces import sample_face
from support.paths import SAMPLE

from memegen.media.encode import target_for, write
from memegen.performance.clip import open_clip, read_clip


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "p.png"
    sample_face().resize((101, 95)).save(path)
    return path


def foretold(text: str) -> tuple[str, int, int, int, float]:
    """Path, width, height, frames and frame rate of a line."""
    found = re.search(
        r"would write (\S+): \w+, (\d+)x(\d+), (?:about )?(\d+) frames at ([\d.]+) fps", text
    )
    assert found, text
    path, *numbers, fps = found.groups()
    return path, *map(int, numbers), float(fps)  # type: ignore[return-value]


def of_file(path: Path) -> tuple[int, int, int, float]:
    clip = open_clip(path)
    frames = list(read_clip(clip).frames)
    return frames[0].shape[1], frames[0].shape[0], len(frames), clip.fps


@pytest.mark.parametrize(
    "args",
    [
        ["--recipe", "blink", "-o", "a.gif"],
        ["--au", "AU12=3", "--duration", "0.4", "--fps", "30", "-o", "a.mp4"],
        ["--recipe", "nod", "--crop", "face", "--caption", "some words", "-o", "a.webp"],
        ["--recipe", "nod", "--for", "slack-emoji", "--mark"],
    ],
)
def test_what_animate_foretells_is_what_it_writes(
    args: list[str], photo: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    line = ["animate", str(photo), "--model", "mesh", *args]
    printed = run_cli(*line, "--dry-run")
    path, *told = foretold(printed.out)
    assert "1 face" in printed.out and "nothing was painted or written" in printed.err
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]
    run_cli(*line, notes=True)
    width, height, frames, fps = of_file(Path(path))
    assert (width, height) == tuple(told[:2])
    if "--for" in args:  # a limit of bytes may leave frames out
        assert frames <= told[2] and "exactly 128x128, at most 50 frames, 131.1 kB" in printed.out
    else:
        assert frames == told[2] and fps == pytest.approx(told[3], rel=1e-3)


def test_inputs_are_checked(photo: Path, tmp_path: Path, run_cli: RunCli) -> None:
    blank = tmp_path / "blank.png"
    Image.new("RGB", (90, 90)).save(blank)
    run_cli("animate", str(blank), "--dry-run", code=3)
    run_cli("animate", str(photo), "--model", "nix", "--dry-run", code=2)
    run_cli("animate", str(photo), "-o", str(photo), "--dry-run", code=2)
    printed = run_cli(
        "animate", str(photo), str(blank), "-o", "out/", "--dry-run", code=6, notes=True
    )
    assert "out/p_smile.gif" in printed.out and "1 of 2" in printed.err
    assert not (tmp_path / "out").exists()


def test_one_picture(photo: Path, run_cli: RunCli) -> None:
    out = run_cli("animate", str(photo), "--still", "--dry-run").out
    assert "p_smile.png: APNG, 101x95, one picture; 1 face" in out
    photo.with_name("p_smile.png").write_bytes(b"")
    assert "replaces the one there" in run_cli("animate", str(photo), "--still", "--dry-run").out


def test_clips_and_transfer(photo: Path, tmp_path: Path, run_cli: RunCli) -> None:
    clip = tmp_path / "c.mp4"
    write(pictures(12, (64, 81)), 12, True, target_for(str(clip)))
    told = foretold(run_cli("animate", str(clip), "--dry-run").out)
    assert told == (str(tmp_path / "c_smile.mp4"), 80, 64, 12, 12)
    line = ["transfer", str(photo), str(clip)]
    told = foretold(run_cli(*line, "--dry-run").out)
    assert told == (str(tmp_path / "p_c.mp4"), 100, 94, 12, 12)
    line += ["--start", "0.5", "--speed", "0.5", "--boomerang", "--save-recipe", "r.yaml"]
    printed = run_cli(*line, "-o", "x.gif", "--dry-run").out
    assert foretold(printed)[3] == 22 and "would write r.yaml" in printed
    assert (
        foretold(run_cli("transfer", str(photo), str(SAMPLE), "-o", "y.gif", "--dry-run").out)[3]
        == 48
    )
    assert (
        "c.mp4: --start 9"
        in run_cli("transfer", str(photo), str(clip), "--start", "9", "--dry-run", code=2).err
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.mp4", "p.png"]


def test_batch_tells_each_job(photo: Path, tmp_path: Path, run_cli: RunCli) -> None:
    line = ["batch", str(photo), "-r", "blink,nod", "-o", "out/", "--model", "mesh", "--mark"]
    printed = run_cli(*line, "--dry-run")
    told = [foretold(text) for text in printed.out.splitlines()]
    assert [Path(t[0]).name for t in told] == ["p_blink.gif", "p_nod.gif"]
    assert "2 would be made" in printed.err and not (tmp_path / "out").exists()
    run_cli(*line, notes=True)
    for path, *numbers in told:
        assert of_file(Path(path))[:3] == tuple(numbers[:3])
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}
    assert run_cli(*line, "--dry-run").out.splitlines() == [
        "up to date out/p_blink.gif", "up to date out/p_nod.gif",
    ]  # fmt: skip
    assert "2 would be made" in run_cli(*line, "--force", "--dry-run").err
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()} == before
    rows = run_cli("batch", "nix.jpg", str(photo), "--dry-run", "--json", code=6, notes=True)
    states = [json.loads(row)["state"] for row in rows.out.splitlines()]
    assert states == ["cannot be made", "would be made"] and "nix.jpg: no such" in rows.err
