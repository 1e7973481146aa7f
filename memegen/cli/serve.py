"""`memegen serve`."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from memegen import models
from memegen.cli import options
from memegen.cli.console import say
from memegen.errors import UsageError

if TYPE_CHECKING:
    from memegen.serve.settings import Limits

EXTRA = "memegen-faces[serve]"
NEEDED = ("fastapi", "uvicorn", "websockets", "multipart")  # that the extra brings

Host = Annotated[
    str, typer.Option("--host", help="Where to listen; 0.0.0.0 lets other machines in.")
]
Port = Annotated[int, typer.Option("--port", help="Where to listen; 0 takes any that is free.")]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        help="What clients must show (Authorization: Bearer TOKEN).",
    ),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        help="A name by which clients may call this machine, beside IP addresses and localhost.",
    ),
]
Queue = Annotated[
    int | None, typer.Option("--queue", help="Jobs that may wait; more are refused (429).")
]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Jobs that run at a time.", show_default="cores")
]
MaxUpload = Annotated[
    str | None, typer.Option("--max-upload", help="Largest clip, for example 100MB.")
]
MaxPixels = Annotated[
    int | None, typer.Option("--max-pixels", help="Most pixels of a picture that is sent.")
]
MaxSeconds = Annotated[
    float | None, typer.Option("--max-seconds", help="Longest animation, and longest clip.")
]
MaxFrames = Annotated[
    int | None, typer.Option("--max-frames", help="Most frames of an animation or a clip.")
]
Grace = Annotated[
    float | None,
    typer.Option("--grace", help="Seconds that running jobs get to end when the server does."),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="A line of JSON on standard error for every request.")
]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = None,
    allow_host: AllowHost = None,
    queue: Queue = None,
    workers: Workers = None,
    max_upload: MaxUpload = None,
    max_pixels: MaxPixels = None,
    max_seconds: MaxSeconds = None,
    max_frames: MaxFrames = None,
    grace: Grace = None,
    model: options.Model = models.DEFAULT,
    device: options.Device = "auto",
    verbose: Verbose = False,
) -> None:
    """Serve animations over HTTP; docs/server.md lists the routes."""
    require_extra()
    from memegen.media.sizes import parse_size
    from memegen.serve.settings import Settings

    limits = limits_with(
        queue=queue,
        workers=workers,
        clip_bytes=parse_size(max_upload) if max_upload else None,
        pixels=max_pixels,
        seconds=max_seconds,
        frames=max_frames,
        grace_seconds=grace,
    )
    names = tuple(allow_host or ())
    settings = Settings(host, port, token, names, model, device, verbose=verbose, limits=limits)
    settings.check()
    if settings.open_to_others and token is None:
        say(f"--host {host}: whoever reaches this machine can use it; --token keeps others out")
    from memegen.serve.server import serve as run

    run(settings, lambda address: say(f"serving at {address}; Ctrl-C ends it"))


def limits_with(**given: float | None) -> Limits:
    """The usual limits, but for what was given. Raises UsageError."""
    from memegen.serve.settings import Limits

    said = {name: value for name, value in given.items() if value is not None}
    return replace(Limits(), **said)  # type: ignore[arg-type]


def require_extra() -> None:
    """Raise UsageError where the packages of the extra are missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"serving needs more packages: pip install '{EXTRA}'")
