"""The `memegen` command: global options, errors and exit codes."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from memegen import __version__
from memegen.cli import (
    animate,
    batch,
    config,
    doctor,
    evaluate,
    inspect,
    label,
    preview,
    provenance,
    recipes,
    serve,
    studio,
    train,
    transfer,
    weights,
)
from memegen.cli.command import Command, Root, set_defaults, wants_help
from memegen.cli.console import fail, in_one_line, open_streams, settle_streams, verbosity
from memegen.cli.defaults import read_defaults
from memegen.cli.ending import BY_SIGNAL, HardExit, Signals, ending_tidily
from memegen.cli.examples import add_examples, epilog
from memegen.errors import MemegenError, is_out_of_memory

INTERRUPTED = 130  # what Typer makes of Ctrl-C

app = typer.Typer(
    name="memegen",
    cls=Root,
    help="Turn a photo of a face into an animated meme, controlled by facial action units.",
    no_args_is_help=True,
    epilog=epilog(),
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("animate", cls=Command)(animate.animate)
app.command("batch", cls=Command)(batch.batch)
app.command("transfer", cls=Command)(transfer.transfer)
app.command("preview", cls=Command)(preview.preview)
app.command("studio", cls=Command)(studio.studio)
app.command("serve", cls=Command)(serve.serve)
app.command("aus", cls=Command)(inspect.aus)
app.command("faces", cls=Command)(inspect.faces)
app.command("inspect", cls=Command)(provenance.inspect)
app.add_typer(recipes.app, name="recipes")
app.command("label")(label.label)
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(weights.app, name="weights")
app.command("config", cls=Command)(config.config)
app.command("doctor", cls=Command)(doctor.doctor)
add_examples(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"memegen {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Turn a photo of a face into an animated meme, controlled by facial action units."""
    if not wants_help(ctx):  # help is given whatever files say
        defaults = read_defaults(ctx.command)
        set_defaults(ctx, defaults)
        quiet, debug = (
            flag or bool(setting and setting.value)
            for flag, setting in (
                (quiet, defaults.of((), "quiet")),
                (debug, defaults.of((), "debug")),
            )
        )
    verbosity.quiet, verbosity.debug = quiet, debug


def main() -> NoReturn:
    """Run the command line; exits with the codes that `memegen.errors` and docs/usage.md list."""
    open_streams()
    with ending_tidily() as ending:
        try:
            code = _code_of(ending)
        except KeyboardInterrupt:  # while it was told how the run ended
            code = BY_SIGNAL + ending.number
    settle_streams()
    sys.exit(code)


def run() -> NoReturn:
    """`main`, where the process is the command's own: it ends as soon as all is done."""
    ending = HardExit()
    try:
        main()
    except SystemExit as left:
        ending.code = left.code if isinstance(left.code, int) else 1
        raise


def _code_of(ending: Signals) -> int:
    """Run the command; what went wrong is told, and its exit code returned."""
    try:
        # Outside standalone mode Typer returns the code of an Exit, and makes Ctrl-C an Exit(130).
        left = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        if left == INTERRUPTED:
            raise KeyboardInterrupt
        return left if isinstance(left, int) else 0
    except (typer.Abort, KeyboardInterrupt):
        fail("interrupted, nothing half-written was left")
        return BY_SIGNAL + ending.number
    except MemegenError as error:
        _trace()
        fail(in_one_line(error))
        return 1 if is_out_of_memory(error) else error.exit_code
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        return 0
    except Exception as error:
        _trace()
        return _report(error)


def _trace() -> None:
    if verbosity.debug:
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
