"""gifsicle and gifski: what they are asked for, and that files stay what they were without them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memegen.media.encode import Target, write
from memegen.media.formats import format_of
from memegen.media.formats import gif_tools as tools
from memegen.media.formats.base import Stream

GIF = format_of("gif")
STREAM = Stream(64, 48, 12.5, False, True)


def frames(count: int = 6) -> list[np.ndarray]:
    """A square that moves over noise."""
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    found = []
    for index in range(count):
        frame = noise.copy()
        frame[10:30, 5 + 4 * index : 25 + 4 * index] = (200, 40, 90)
        found.append(frame)
    return found


@pytest.fixture
def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_installed", lambda name: None)


def fake(folder: Path, name: str, body: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name on PATH, which notes how it was called; returns the note."""
    note = folder / f"{name}.json"
    program = folder / name
    program.write_text(
        f"#!{sys.executable}\nimport json, sys, shutil\nargs = sys.argv[1:]\n"
        f"open({str(note)!r}, 'w').write(json.dumps(args))\n"
        f"out = args[args.index('--output') + 1]\n{body}\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(tools, "_installed", lambda asked: str(program) if asked == name else None)
    return note


def test_commands_are_pure():
    made = tools.packed("/bin/gifsicle", Path("/a b.gif"), Path("/out.gif"), 0)
    assert made == ["/bin/gifsicle", "--no-warnings", "-O3", "--output", "/out.gif", "/a b.gif"]
    assert "--lossy=20" in tools.packed("g", Path("/a"), Path("/b"), 20)
    made = tools.made_of("gifski", [Path("/1.png"), Path("/2.png")], Path("/o.gif"), STREAM, 75)
    assert made[-4:] == ["--output", "/o.gif", "/1.png", "/2.png"]
    told = {"--fps=12.5", "--quality=75", "--width=64", "--height=48", "--repeat=0", "--no-sort"}
    assert told <= set(made)
    assert "--repeat=-1" in tools.made_of("g", [], Path("/o"), replace(STREAM, loops=False), 75)


def test_gifski_is_asked_only_if_it_shall_be(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tools, "_installed", lambda name: f"/bin/{name}")
    monkeypatch.delenv(tools.ENCODER, raising=False)
    assert tools.gifski() is None
    monkeypatch.setenv(tools.ENCODER, "gifski")
    assert tools.gifski() == "/bin/gifski"


def test_programs_are_found_on_path_and_beside_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    program = tmp_path / "gifsicle"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(tools.sysconfig, "get_path", lambda name: str(tmp_path))
    assert tools.gifsicle() == str(program)
    monkeypatch.setattr(tools.sysconfig, "get_path", lambda name: str(tmp_path / "none"))
    assert tools.gifsicle() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.gifsicle() == str(program)


def test_what_is_packed_smaller_is_taken_with_its_comment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    # The fake drops every frame but the first.
    body = "from PIL import Image; Image.open(args[-1]).save(out, 'GIF')"
    note = fake(tmp_path, "gifsicle", body, monkeypatch)
    out = tmp_path / "a.gif"
    write(iter(frames()), 10, True, Target(out, GIF, comment="made so"))
    assert "-O3" in json.loads(note.read_text())
    with Image.open(out) as image:
        assert getattr(image, "n_frames", 1) == 1
        assert image.info["comment"] == b"made so"


@pytest.mark.parametrize(
    "body",
    ["shutil.copy(args[-1], out); open(out, 'ab').write(bytes(99))", "sys.exit('broken')", "pass"],
)
def test_what_is_not_smaller_is_left(body: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    fake(tmp_path, "gifsicle", body, monkeypatch)
    out = tmp_path / "out" / "a.gif"
    write(iter(frames()), 10, True, Target(out, GIF))
    with Image.open(out) as image:
        assert image.n_frames == 6
    assert [path.name for path in out.parent.iterdir()] == ["a.gif"]


def test_gifski_makes_gifs_of_pngs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    body = (
        "from PIL import Image\nopened = [Image.open(p) for p in args if p.endswith('.png')]\n"
        "opened[0].save(out, save_all=True, append_images=opened[1:], duration=80, loop=0)"
    )
    note = fake(tmp_path, "gifski", body, monkeypatch)
    monkeypatch.setenv(tools.ENCODER, "gifski")
    out = tmp_path / "a.gif"
    write(iter(frames()), 12.5, True, Target(out, GIF))
    told = json.loads(note.read_text())
    assert "--fps=12.5" in told and "--quality=90" in told and "--width=64" in told
    with Image.open(out) as image:
        assert image.n_frames == 6 and b"memegen" in image.info["comment"]
    assert [Path(a).name for a in told if a.endswith(".png")] == [
        f"{i:07}.png" for i in range(1, 7)
    ]
    first, *others = frames()
    write([first, first, first, *others], 12.5, True, Target(out, GIF))
    told = json.loads(note.read_text())
    assert [Path(a).stem[-1] for a in told if a.endswith(".png")] == list("11123456")
    limit = out.stat().st_size // 2
    write(iter(frames()), 12.5, True, Target(out, GIF, max_bytes=limit))
    assert out.stat().st_size <= limit
    told = json.loads(note.read_text())
    assert "--fps=6.25" in told and "--quality=60" in told


def test_limits_are_searched_with_loss_where_gifsicle_is(
    monkeypatch: pytest.MonkeyPatch, no_tools: None
):
    def said() -> list[tuple[int, int, int]]:
        return [(q.keep_every, q.colours, q.lossy) for q in GIF.ladder() if q.scale == 1]

    plain = said()
    assert plain[:3] == [(1, 256, 0), (1, 160, 0), (2, 256, 0)] and plain[-1] == (2, 64, 0)
    monkeypatch.setattr(tools, "_installed", lambda name: f"/bin/{name}")
    assert said() == [*plain, (2, 64, 40)]


@pytest.mark.skipif(tools.gifsicle() is None, reason="gifsicle is not installed")
def test_gifsicle_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    shown = [np.dstack([f, np.where(f[..., :1] == 200, 255, 0).astype(np.uint8)]) for f in frames()]
    write(iter(shown), 10, True, Target(tmp_path / "a.gif", GIF))
    plain = tmp_path / "plain.gif"
    monkeypatch.setattr(tools, "_installed", lambda name: None)
    write(iter(shown), 10, True, Target(plain, GIF))
    assert (tmp_path / "a.gif").stat().st_size < plain.stat().st_size
    with Image.open(plain) as before, Image.open(tmp_path / "a.gif") as after:
        assert after.info["comment"] == b"made with memegen" and after.info["loop"] == 0
        for index in range(6):
            before.seek(index), after.seek(index)
            assert after.info["duration"] == before.info["duration"] == 100
            one, other = (np.asarray(image.convert("RGBA")) for image in (before, after))
            assert np.array_equal(one[..., 3], other[..., 3])
            assert np.array_equal(one[one[..., 3] > 0], other[other[..., 3] > 0])
