"""Moments in the terminal."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from support.command import RunCli
from support.faces import sample_face

from memegen import recipes
from memegen.cli.preview import told_apart
from memegen.cli.terminal import GREYS, UPPER_HALF, Sheet, draw


def printed(width: int, pictures: list[np.ndarray], **console: object) -> str:
    out = io.StringIO()
    settings = {"force_terminal": True, "color_system": "truecolor", "no_color": False, **console}
    draw(
        pictures,
        [f"{i} s" for i in range(len(pictures))],
        Console(file=out, width=width, **settings),  # type: ignore[arg-type]
    )
    return out.getvalue()


def visible(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


def test_half_blocks_have_the_pictures_colours() -> None:
    picture = np.zeros((48, 24, 3), np.uint8)
    picture[:24] = (200, 10, 20)
    picture[24:] = (1, 2, 250)
    text = printed(24, [picture])
    lines = visible(text)
    assert lines[0] == UPPER_HALF * 24 and len(lines) == 25
    assert "38;2;200;10;20;48;2;200;10;20" in text and "38;2;1;2;250;48;2;1;2;250" in text
    assert lines[-1].strip() == "0 s"


@pytest.mark.parametrize("width", [8, 20, 24, 49, 80, 200])
@pytest.mark.parametrize("colours", [True, False])
def test_no_line_is_wider_than_the_window(width: int, colours: bool) -> None:
    pictures = [np.full((30, 40, 4), 99, np.uint8)] * 5
    text = printed(width, pictures, no_color=not colours)
    assert max(map(len, visible(text))) <= width
    assert sum(text.count(f"{i} s") for i in range(5)) == 5


def test_without_colours_light_is_dense() -> None:
    ramp = np.repeat(np.linspace(0, 255, 60, dtype=np.uint8)[None, :, None], 40, 0).repeat(3, 2)
    text = printed(60, [ramp], no_color=True)
    line = visible(text)[0]
    assert line[0] == GREYS[0] and line[-1] == GREYS[-1] and UPPER_HALF not in text
    steps = [GREYS.index(letter) for letter in line]
    assert steps == sorted(steps)


def test_sheets_fill_rows_evenly() -> None:
    assert Sheet.for_window(80, 6).columns == 3
    assert Sheet.for_window(20, 6) == Sheet(1, 20)
    assert Sheet.for_window(120, 4).columns * 2 >= 4
    for width in range(8, 250):
        sheet = Sheet.for_window(width, 6)
        assert sheet.columns * (sheet.width + 1) - 1 <= width


def test_moments_show_what_happens() -> None:
    for name in ("smile", "laugh", "wink", "nod"):
        track = recipes.load_track(name)
        for count in (1, 2, 3, 6, 30):
            rows = told_apart(track, count)
            assert len(rows) <= count and (np.diff(rows) > 0).all()
            if count > 1:
                assert 0 in rows and track.strongest() in rows
    there = recipes.of_expression({"AU12": 4}).track()  # and back, which looks the same
    assert len(there) > there.strongest() + 2
    assert told_apart(there, 6).max() == there.strongest()
    assert told_apart(recipes.load_track("smile").frame(3), 6).tolist() == [0]


def test_photos_and_files(tmp_path: Path, run_cli: RunCli) -> None:
    photo, gif = tmp_path / "p.png", tmp_path / "a.gif"
    sample_face().save(photo)
    line = ["preview", str(photo), "--recipe", "smile", "--frames", "3", "--model", "mesh"]
    out = run_cli(*line, "--width", "78").out
    assert out.count(" s\n") == 1 and out.count(" s ") == 2 and "\x1b" not in out
    frames = [Image.new("RGB", (40, 40), (i * 60, 0, 0)) for i in range(4)]
    frames[0].save(gif, save_all=True, append_images=frames[1:], duration=100)
    out = run_cli("preview", str(gif), "--frames", "2").out
    assert "0.00 s" in out and "0.30 s" in out
    assert "no such file" in run_cli("preview", str(tmp_path / "nix.jpg"), code=2).err
    assert [p.name for p in tmp_path.iterdir()] and len(list(tmp_path.iterdir())) == 2
