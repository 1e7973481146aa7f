"""The `memegen` command: global options, errors and exit codes."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from memegen import __version__
from memegen.cli import animate, doctor, evaluate, inspect, label, recipes, train, transfer, weights
from memegen.cli.console import fail, in_one_line, talk
from memegen.errors import MemegenError

INTERRUPTED = 130

app = typer.Typer(
    name="memegen",
    help="Turn a photo of a face into an animated meme, controlled by facial action units.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("animate")(animate.animate)
app.command("transfer")(transfer.transfer)
app.command("aus")(inspect.aus)
app.command("faces")(inspect.faces)
app.add_typer(recipes.app, name="recipes")
app.command("label")(label.label)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(weights.app, name="weights")
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"memegen {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Turn a photo of a face into an animated meme, controlled by facial action units."""
    talk.quiet, talk.debug = quiet, debug


def main() -> NoReturn:
    """Run the command line; exits with the codes of DESIGN section 5."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        # Outside standalone mode Typer returns the code of an Exit, and makes Ctrl-C an Exit(130).
        left = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        code = left if isinstance(left, int) else 0
        sys.stdout.flush()
        if code == INTERRUPTED:
            raise KeyboardInterrupt
    except (typer.Abort, KeyboardInterrupt):
        fail("interrupted, nothing half-written was left")
        code = INTERRUPTED
    except MemegenError as error:
        _trace()
        fail(str(error))
        code = error.exit_code
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        _trace()
        code = _report(error)
    sys.exit(code)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _trace() -> None:
    if talk.debug:
        import traceback

        traceback.print_exc()


def _report(error: Exception) -> int:
    """One line for errors that are not ours: of the command line's parser, or unexpected."""
    message = getattr(error, "format_message", None)
    if callable(message):
        text = str(message()).strip()
        if text:  # a group without a command has shown its help already
            fail(f"{text} (see memegen --help)")
        return int(getattr(error, "exit_code", 2))
    fail(in_one_line(error))
    return 1
