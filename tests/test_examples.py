"""Examples under the help of commands: all are understood, and the cheap ones run."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from support.command import RunCli
from support.paths import ROOT, SAMPLE

from memegen.cli.app import app
from memegen.cli.examples import EXAMPLES

LINES = [line for lines in EXAMPLES.values() for line in lines]
# What takes long, or needs what a test has not: they are parsed only.
LONG = (
    "train",
    "serve",
    "studio",
    "label",
    "evaluate",
    "weights import",
    "weights mix",
    "weights export",
    "doctor",
)
DRY = ("animate", "batch", "transfer")  # run with --dry-run
LOOK = [
    line
    for line in LINES
    if not line.removeprefix("memegen ").startswith(LONG) and "anna" not in line
]


def words_of(line: str) -> list[str]:
    """The arguments of an example, without memegen and what a shell would take for itself."""
    words = shlex.split(line.split(" > ")[0])
    assert words[0] == "memegen"
    return words[1:]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    below = getattr(command, "commands", None)
    if not below:
        yield " ".join(path)
        return
    for name, one in below.items():
        yield from commands(one, (*path, name))


def test_every_command_has_an_example_of_itself() -> None:
    found = set(commands(typer.main.get_command(app)))
    assert found == set(EXAMPLES) - {""}
    for command, lines in EXAMPLES.items():
        assert any(line.startswith(f"memegen {command}") for line in lines)
        assert all(len(line) <= 76 for line in lines)  # a window of 80, and its margins


@pytest.mark.parametrize("line", LINES)
def test_examples_are_understood(line: str) -> None:
    command, words = typer.main.get_command(app), words_of(line)
    context = command.make_context("memegen", words)
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        context = command.make_context(name, words, parent=context)


def test_help_shows_them(run_cli: RunCli) -> None:
    shown = run_cli("animate", "--help").out
    assert "Examples:" in shown and "--recipe wink -o wink.mp4" in shown
    assert "memegen recipes check mine.yaml" in run_cli("recipes", "check", "--help").out
    assert "memegen train mouth" in run_cli("train", "mouth", "--help").out
    assert "who agree to it" in run_cli("--help").out


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    with Image.open(SAMPLE) as image:
        small = image.convert("RGB").resize((256, 256))
    (folder / "photos").mkdir()
    for name in ("photo.jpg", "friends.jpg", "grin.jpg", "photos/a.jpg"):
        small.save(folder / name)
    frames = [small.rotate(angle) for angle in (0, 2, 4)]
    frames[0].save(
        folder / "meme.gif", save_all=True, append_images=frames[1:], duration=40,
        comment=b"made with memegen, recipe smile",
    )  # fmt: skip
    small.save(folder / "sticker.webp", xmp=b"<x:xmpmeta><dc:description><rdf:li>made with memegen "
               b"0.1.0, recipe smile</rdf:li></dc:description></x:xmpmeta>")  # fmt: skip
    from memegen.media.encode import ffmpeg

    subprocess.run(
        [ffmpeg(), "-loglevel", "error", "-i", folder / "meme.gif", folder / "clip.mp4"], check=True
    )
    shutil.copy(ROOT / "recipes" / "smile.yaml", folder / "mine.yaml")
    (folder / "jobs.yaml").write_text("- {photo: photo.jpg, recipe: wink}\n")
    (folder / "run").mkdir()
    shutil.copy(ROOT / "weights" / "anatomical.safetensors", folder / "run")
    return folder


@pytest.mark.parametrize("line", LOOK)
def test_examples_run(
    line: str, place: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    words = words_of(line)
    if words[0] in DRY:
        before = sorted(place.rglob("*"))
        out = run_cli(*dict.fromkeys([*words, "--dry-run"]), notes=True).out
        assert "would write" in out and sorted(place.rglob("*")) == before
        return
    printed = run_cli(*words, notes=True)
    assert printed.out or (place / "clip.csv").exists() or "memegen.toml" in printed.err


def completed(line: str, place: Path) -> list[str]:
    """What the last word of a line is completed to, in bash."""
    words = line.split(" ")
    probe = (
        "import sys, runpy\nsys.argv = ['memegen']\n"
        "from memegen.cli.app import main\n"
        "try: main()\n"
        "finally:\n"
        "    heavy = {'torch', 'torchvision', 'facenet_pytorch', 'cv2'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    env = os.environ | {
        "_MEMEGEN_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, env=env, cwd=place
    )
    assert "AssertionError" not in done.stderr, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("memegen pre", ["preview"]),
        ("memegen animate photo.jpg --recipe smi", ["smile", "smirk"]),
        ("memegen animate photo.jpg -r smile+sha", ["smile+shake"]),
        ("memegen batch photos/ -r wink,min", ["wink,mind-blown", "wink,mine.yaml"]),
        ("memegen animate photo.jpg --au AU12=4,AU6", ["AU12=4,AU6=3", "AU12=4,AU61=3", "AU12=4,AU62=3", "AU12=4,AU63=3", "AU12=4,AU64=3"]),
        (
            "memegen animate photo.jpg --model ",
            ["anatomical", "anatomical-small", "mesh", "ganimation", "cartoon"],
        ),
        ("memegen animate photo.jpg --for discord", ["discord-emoji", "discord-sticker"]),
        ("memegen animate photo.jpg --font osw", ["oswald-bold"]),
        ("memegen recipes show yaw", ["yawn"]),
        ("memegen weights info mou", ["mouth"]),
    ],
)  # fmt: skip
def test_the_shell_completes_names_without_loading_networks(
    line: str, expected: list[str], place: Path
) -> None:
    assert completed(line, place) == expected
