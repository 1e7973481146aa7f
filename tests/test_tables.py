"""Tables of the command line: fitted to a terminal's window, whole lines elsewhere."""

import os
import re
import subprocess
import sys

import pytest
from support.paths import ROOT

from memegen import recipes
from memegen.cli.console import tabulate
from memegen.cli.reports import Printed

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
NARROW = 40  # columns of the window


def on_a_terminal(*args: str, **environment: str) -> str:
    """What the command prints where its standard output is a terminal of NARROW columns."""
    import fcntl
    import pty
    import struct
    import termios

    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, NARROW, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    command = [sys.executable, "-m", "memegen", *args]
    with subprocess.Popen(
        command, stdout=its, cwd=ROOT, env=kept | {"TERM": "xterm-256color"} | environment
    ) as process:
        os.close(its)
        said = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux tells that the other side was closed
                break
            if not part:
                break
            said += part
    os.close(ours)
    assert process.returncode == 0
    return said.decode()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")
def test_terminals_get_what_fits_their_window() -> None:
    said = on_a_terminal("recipes", "list")
    lines = ESCAPES.sub("", said).splitlines()
    assert max(map(len, lines)) <= NARROW
    assert "recipe" in lines[0] and "─" in lines[1] and ESCAPES.search(said)
    words = set(" ".join(lines).split())
    for name in recipes.names():
        assert {name, *recipes.load(name).description.split()} <= words
    plain = on_a_terminal("recipes", "list", NO_COLOR="1")
    colours = [code for code in ESCAPES.findall(plain) if code not in ("\x1b[0m", "\x1b[1m")]
    assert not colours and max(map(len, ESCAPES.sub("", plain).splitlines())) <= NARROW


def test_pipes_get_a_line_a_row() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "memegen", "recipes", "list"], capture_output=True, text=True,
        cwd=ROOT, env=os.environ | {"COLUMNS": "20", "FORCE_COLOR": "1"}, check=True,
    )  # fmt: skip
    assert [re.split(" {2,}", line) for line in done.stdout.splitlines()] == [
        [name, recipes.load(name).description] for name in recipes.names()
    ]


def test_cells_are_text_of_any_width(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    tabulate(
        [("[bold]a[/]", ":smile:", "1"), ("漢字", long, "22")], ("name", "text", "n"), numbers=True
    )
    assert capsys.readouterr().out.splitlines() == [
        "[bold]a[/]" + " " * (2 + 300 - 7) + ":smile:   1",
        "漢字" + " " * (6 + 2) + long + "  22",
    ]
    tabulate([("a", "b")], ("one", "other"), always_headed=True)
    assert capsys.readouterr().out == "one  other\na    b\n"
    tabulate([], ("one",), always_headed=True)
    assert capsys.readouterr().out == ""


def test_reports_are_tables_of_what_belongs_together(capsys: pytest.CaptureFixture[str]) -> None:
    reports = {
        "m": {
            "AU1": {"slope": 0.5, "slope (se)": 0.01, "pairs": 4.0},
            "AU2": {"slope": 0.25, "slope (se)": 0.02, "pairs": 12.0},
            "AU4": {"slope": 1.0},
            "run": {"faces": 3.0, "seconds": 1.5},
        },
        "aside": {"mesh": {"L1": 0.5}, "other": {"L1": 0.25, "fps": 7.0}, "pairs": {"all": 2.0}},
    }
    Printed(reports, aside=frozenset(["aside"])).show()
    assert [re.split(" {2,}", line) for line in capsys.readouterr().out.splitlines()] == [
        ["m"],
        ["", "slope", "pairs"],
        ["AU1", "0.5 ±0.01", "4"],
        ["AU2", "0.25 ±0.02", "12"],
        ["AU4", "1", "-"],
        ["", "run"],
        ["faces", "3"],
        ["seconds", "1.5"],
        ["aside"],
        ["", "mesh", "other"],
        ["L1", "0.5", "0.25"],
        ["fps", "-", "7"],
        ["pairs: all 2"],
    ]
