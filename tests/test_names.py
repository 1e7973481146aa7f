"""Files are only ever files, in and out, whatever they are called."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clips import pictures, ramp, run_ffmpeg, tone
from support.command import RunCli
from support.faces import sample_face

from memegen import files
from memegen.media.commands import Sound
from memegen.media.encode import target_for, write
from memegen.performance.clip import open_clip, read_clip
from memegen.performance.table import read_csv, to_csv
from memegen.photo import picture_kind, read_photo

NAMES = {
    "pattern": "%d %05d",
    "glob": "[x]*?{a,b}",
    "dashes": "--size",
    "protocol": "19:45",
    "pipe": "pipe:1",
    "concat": "concat:a|b",
    "quotes": "a'b\"c\\d $HOME `x`",
    "emoji": "😀 Ünï",
    "newline": "two\nlines\ttab",
    "long": "x" * 245,
    "long emoji": "😀" * 61,
    "bytes": os.fsdecode(b"\xff\xfe"),
    "dots": "..a..",
    "percent": "100%",
}


@pytest.mark.skipif(os.name == "nt", reason="Windows forbids most of these")
@pytest.mark.parametrize("kind", NAMES)
def test_names_in_and_out(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stills, animations, tables and sound, in a folder with such a name, by relative paths."""
    name = NAMES[kind]
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    frames = pictures(4)
    voice = Path(f"{name}.wav")
    run_ffmpeg("-f", "lavfi", "-i", "sine=f=900:d=1", f"file:{voice.absolute()}")
    for suffix, form in (
        (".gif", "animated"),
        (".webp", "animated"),
        (".png", "animated"),
        (".mp4", "none"),
    ):
        out = f"{name}{suffix}"
        sound = Sound(voice, 0.0, 0.4)
        assert write(iter(frames), 10, True, target_for(out, sound=sound)) == Path(out)
        assert picture_kind(Path(out)) == form
        found = list(read_clip(open_clip(out)).frames)
        assert len(found) == 4 and found[3].shape == frames[3].shape
        assert np.abs(found[3].astype(float) - frames[3]).mean() < 12
    assert tone(Path(f"{name}.mp4")) == pytest.approx(900, abs=20)
    write(iter(frames), 10, True, target_for(f"{name}.gif", max_bytes=50_000))
    for suffix in (".png", ".jpg", ".webp"):
        write(iter(frames[:1]), 10, False, target_for(f"{name}{suffix}"))
        assert np.abs(read_photo(f"{name}{suffix}").rgb.astype(float) - frames[0]).mean() < 8
    table = Path(f"{name}.csv")
    files.write_text(table, to_csv(ramp(3, 25)))
    assert len(read_csv(table)) == 3
    ends = {".gif", ".webp", ".png", ".mp4", ".jpg", ".csv", ".wav"}
    assert {path.name for path in folder.iterdir()} == {f"{name}{end}" for end in ends}


def test_relative_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    monkeypatch.chdir(tmp_path / "near")
    write(iter(pictures(4)), 10, True, target_for("../far/a.mp4"))
    Path("b.mp4").symlink_to("../far/a.mp4")
    assert len(list(read_clip(open_clip("b.mp4")).frames)) == 4
    Path("c.mp4").symlink_to("../far/new/d.mp4")
    write(iter(pictures(3)), 10, True, target_for("c.mp4"))
    assert len(list(read_clip(open_clip("../far/new/d.mp4")).frames)) == 3
    assert Path("c.mp4").is_symlink()
    Path("loop.mp4").symlink_to("loop.mp4")
    write(iter(pictures(3)), 10, True, target_for("loop.mp4"))
    assert len(list(read_clip(open_clip("loop.mp4")).frames)) == 3


@pytest.mark.skipif(os.name == "nt", reason="Windows forbids most of these")
def test_names_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    monkeypatch.chdir(tmp_path)
    model = ["--model", "mesh", "--size", "64", "--au", "AU12=3"]
    small = sample_face()
    for name in ("-%d.png", f"{'😀' * 61}.png"):
        small.save(name)
        made = run_cli("animate", *model, "--still", "--", name).out.rstrip("\n")
        assert made.endswith("_au.png") and made[:2] == name[:2]
        with Image.open(made) as image:
            assert image.size == (64, 64)
    run_cli("animate", *model, "--still", "-o", "-o.png", "--", "-%d.png")
    run_cli("animate", *model, "--duration", "0.4", "-o", "19:45 %d.mp4", "--", "-%d.png")
    run_cli("aus", "--csv", "-t.csv", "19:45 %d.mp4")
    assert len(read_csv(Path("-t.csv"))) == len(list(read_clip(open_clip("19:45 %d.mp4")).frames))
