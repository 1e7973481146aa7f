"""`memegen studio`: the server with its page, in the browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from memegen import models
from memegen.cli import options
from memegen.cli.console import photo_at, result, say
from memegen.cli.serve import Token, Verbose, require_extra

_Photo = Annotated[str | None, typer.Argument(help="Photo to begin with; a sample unless given.")]
_Port = Annotated[int, typer.Option("--port", help="Where to listen; 0 takes any that is free.")]
_Open = Annotated[bool, typer.Option("--open/--no-open", help="Open the browser.")]


def studio(
    photo: _Photo = None,
    port: _Port = 0,
    opening: _Open = True,
    token: Token = None,
    model: options.Model = models.DEFAULT,
    device: options.Device = "auto",
    verbose: Verbose = False,
) -> None:
    """Shape a face with sliders and see it move, in the browser; nothing leaves this machine."""
    require_extra()
    from memegen.serve.settings import PAGE, Settings

    if photo is not None:
        photo_at(photo)  # says what is wrong with it before networks are loaded
    first = None if photo is None else Path(photo)
    settings = Settings(
        port=port, token=token, model=model, device=device, page=PAGE, photo=first, verbose=verbose
    )
    settings.check()

    def ready(address: str) -> None:
        result(f"{address}/")
        say("Ctrl-C ends it")
        query = f"?token={quote(token, safe='')}" if token else ""
        if opening and not webbrowser.open(f"{address}/{query}"):
            say("no browser could be opened; open that address in one")

    from memegen.serve.server import serve

    serve(settings, ready)
