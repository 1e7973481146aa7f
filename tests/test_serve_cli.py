"""`memegen serve` and `memegen studio`: what they refuse, and what they start."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.command import RunCli
from support.paths import ROOT, SAMPLE

extra = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn", "websockets")),
    reason="the extra [serve] is not installed",
)


@pytest.mark.parametrize("command", ["serve", "studio"])
def test_help_imports_nothing_heavy(command: str) -> None:
    probe = (
        f"import sys\nsys.argv = ['memegen', '{command}', '--help']\n"
        "from memegen.cli.app import main\n"
        "try: main()\n"
        "finally:\n"
        "    heavy = {'torch', 'cv2', 'fastapi', 'starlette', 'uvicorn', 'memegen.serve'}\n"
        "    assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=env)
    assert done.returncode == 0 and "--token" in done.stdout, done.stderr


@pytest.mark.parametrize("command", ["serve", "studio"])
def test_without_the_extra(command: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = run_cli(command, code=2).err
    assert "pip install 'memegen-faces[serve]'" in said


@extra
def test_what_cannot_be_served(run_cli: RunCli) -> None:
    assert "--port 70000: must be" in run_cli("serve", "--port", "70000", code=2).err
    assert "--token" in run_cli("serve", "--token", "a b", code=2).err
    assert "--workers 0" in run_cli("serve", "--workers", "0", code=2).err
    assert "--max-size" in run_cli("serve", "--max-upload", "much", code=2).err
    nowhere = run_cli("serve", "--host", "nowhere.invalid", "--token", "x", code=2)
    assert "--host nowhere.invalid" in nowhere.err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = run_cli("serve", "--port", port, code=2).err
    assert f"cannot listen on 127.0.0.1:{port}" in said


class Started:
    """Takes the place of the server."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from memegen.serve import server

        self.settings: Any = None
        self.opened: list[str] = []
        monkeypatch.setattr(server, "serve", self)
        monkeypatch.setattr("webbrowser.open", self.open)

    def __call__(self, settings: Any, ready: Any) -> None:
        self.settings = settings
        ready("http://127.0.0.1:5")

    def open(self, address: str) -> bool:
        self.opened.append(address)
        return True


@extra
def test_serve_starts_what_is_asked_for(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(monkeypatch)
    options = "--queue 0 --workers 3 --max-upload 5MB --max-seconds 9 --max-frames 90 --grace 0"
    said = run_cli("serve", *options.split(), "--allow-host", "meme.example", "--model", "mesh").err
    assert said == "serving at http://127.0.0.1:5; Ctrl-C ends it\n"
    limits = started.settings.limits
    assert (limits.queue, limits.workers, limits.clip_bytes) == (0, 3, 5_000_000)
    assert (limits.seconds, limits.frames, limits.grace_seconds) == (9, 90, 0)
    assert started.settings.page is None and started.settings.names == ("meme.example",)
    assert "whoever reaches this machine" in run_cli("serve", "--host", "0.0.0.0").err
    assert "whoever" not in run_cli("serve", "--host", "0.0.0.0", "--token", "x").err


@extra
def test_the_token_may_come_from_the_environment(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(monkeypatch)
    monkeypatch.setenv("MEMEGEN_SERVE_TOKEN", "sesame")
    run_cli("serve")
    assert started.settings.token == "sesame"


@extra
def test_studio_opens_its_page(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started = Started(monkeypatch)
    monkeypatch.setattr("memegen.serve.settings.PAGE", tmp_path)
    assert "page is missing" in run_cli("studio", code=2).err
    (tmp_path / "index.html").write_text("<title>studio</title>")
    printed = run_cli("studio", str(SAMPLE), "--token", "a+b", "--port", "5")
    assert printed.out == "http://127.0.0.1:5/\n"
    assert started.opened == ["http://127.0.0.1:5/?token=a%2Bb"]
    assert (started.settings.photo, started.settings.page) == (SAMPLE, tmp_path)
    assert started.settings.host == "127.0.0.1"
    run_cli("studio", "--no-open")
    assert len(started.opened) == 1 and started.settings.photo is None
    assert "no such file" in run_cli("studio", str(tmp_path / "none.jpg"), code=2).err
