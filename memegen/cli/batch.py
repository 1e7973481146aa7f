"""`memegen batch`."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memegen import models
from memegen.cli import captions, complete, dry_run, options
from memegen.cli import mark as marking
from memegen.cli.command import is_said
from memegen.cli.console import fail, result, say, verbosity
from memegen.errors import UsageError, nearest

if TYPE_CHECKING:
    from memegen.batch import Engine, Job, Outcome, Request
    from memegen.batch.pool_engine import PoolEngine

SOME_FAILED = 6
STDIN = "-"
ENGINES = ("local", "ray")

_Sources = Annotated[
    list[str],
    typer.Argument(
        help="A file of jobs (.yaml), folders, photos, or - for a list of photos from standard "
        "input, one a line.",
        metavar="SOURCE...",
    ),
]
_Recipes = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        help="Recipes, several by commas; smile unless given.",
        autocompletion=complete.recipe,
    ),
]
_Au = Annotated[
    str | None,
    typer.Option(
        "--au",
        help='An expression instead of recipes: "AU12=4,AU6=2".',
        autocompletion=complete.expression,
    ),
]
_Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        help="Folder, or a template such as out/{stem}_{recipe}.{ext}; fields: stem, suffix, "
        "folder, parent, recipe, ext, number, size, model. Beside the photos unless given.",
    ),
]
_Still = Annotated[bool | None, typer.Option("--still", help="One picture of each recipe.")]
_Intensity = Annotated[float | None, typer.Option("--intensity", help="Scales the change, 0..3.")]
_Face = Annotated[
    str | None,
    typer.Option(
        "--face",
        help="largest, all, a number from 1, or a box x,y,w,h.",
        autocompletion=complete.face,
    ),
]
_At = Annotated[
    str | None, typer.Option("--caption-at", help="Where the bar is: above (usual) or below.")
]
_Model = Annotated[
    str | None,
    typer.Option(
        "--model", help=f"Model, {models.DEFAULT} unless given.", autocompletion=complete.model
    ),
]
_Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, max=1024, help="Jobs painted at a time, a core each; all cores."
    ),
]
_EngineName = Annotated[
    str, typer.Option("--engine", help="local, or ray: many machines, by a cluster of Ray.")
]
_Address = Annotated[
    str | None,
    typer.Option(
        "--address", help="Ray's: auto, HOST:PORT, ray://HOST:PORT; starts one unless given."
    ),
]
_Report = Annotated[
    Path | None, typer.Option("--report", help="Write a contact sheet, one HTML file.")
]
_Watch = Annotated[
    bool, typer.Option("--watch", help="Go on with new photos of the folder until Ctrl-C.")
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a job.")]
_Again = Annotated[bool, typer.Option("--force", help="Make what is up to date anew, too.")]


def batch(
    ctx: typer.Context,
    sources: _Sources,
    recipe: _Recipes = None,
    au: _Au = None,
    out: _Out = None,
    face: _Face = None,
    intensity: _Intensity = None,
    fps: options.Fps = None,
    duration: options.Duration = None,
    size: options.Size = None,
    max_size: options.MaxSize = None,
    loop: options.Loop = None,
    still: _Still = None,
    crop: options.Crop = None,
    cutout: options.Cutout = None,
    platform: options.For = None,
    top: captions.Top = None,
    bottom: captions.Bottom = None,
    caption: captions.Text = None,
    caption_at: _At = None,
    caption_style: captions.Style = None,
    font: captions.Font = None,
    fmt: options.Format = None,
    mark: marking.Mark = None,
    mark_text: marking.MarkText = None,
    model: _Model = None,
    device: options.Device = "auto",
    workers: _Workers = None,
    engine: _EngineName = "local",
    address: _Address = None,
    report: _Report = None,
    watch: _Watch = False,
    as_json: _Json = False,
    force: _Again = False,
    dry: options.DryRun = False,
) -> None:
    """Animate many photos by many recipes; what is up to date already is not made again."""
    from memegen.batch import Settings

    named = {"format": fmt, **locals(), "mark": marking.mark_asked(mark, mark_text)}
    over = {row.name: named[row.name] for row in fields(Settings) if named[row.name] is not None}
    if au is not None and recipe is not None:
        raise UsageError("give --recipe or --au, not both")
    chosen: dict[str, Any] = {"recipes": _names(recipe), "au": au, "out": out}
    over |= {name: value for name, value in chosen.items() if value is not None}
    said = {name: value for name, value in over.items() if _is_said(ctx, name)}
    if report is not None:
        from memegen.files import check_writable

        check_writable(report, ".html")
    with contextlib.closing(_Engine(engine, workers, device, address)) as chosen_engine:
        run = _Run(chosen_engine, as_json, force, report)
        if dry:
            run.tell(_requests(sources, over, said))
            return
        if watch:
            run.watch(sources, over)
        else:
            run.once(sources, over, said)
    run.end()


def _names(recipe: str | None) -> list[str] | None:
    if recipe is None:
        return None
    names = [name.strip() for name in recipe.split(",") if name.strip()]
    if not names:
        raise UsageError("--recipe: name at least one")
    return names


class _Engine:
    """The engine that is asked for, made when there is work."""

    def __init__(
        self, name: str, workers: int | None, device: str, address: str | None = None
    ) -> None:
        if name not in ENGINES:
            raise UsageError(
                f"`engine` {name}: must be {' or '.join(ENGINES)}{nearest(name, ENGINES)}"
            )
        if address is not None and name != "ray":
            raise UsageError("`address` goes with `engine` ray")
        if name == "ray":
            from memegen.batch.ray_pool import check_installed

            check_installed()
        self._name, self._workers, self._device, self._address = name, workers, device, address
        self._made: Engine | None = None
        self._close: Callable[[], None] = lambda: None

    def run(self, jobs: Any) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made.run(jobs)

    def close(self) -> None:
        """Let go of machines."""
        self._close()

    def _make(self) -> Engine:
        if self._name == "ray":
            from memegen.batch import RayEngine

            made: PoolEngine = RayEngine(self._workers, self._device, self._address, say)
        else:
            from memegen.batch import LocalEngine

            made = LocalEngine(self._workers, self._device, say)
        self._close = made.close
        return made


class _Run:
    """A batch, and what is told of it."""

    def __init__(self, engine: Engine, as_json: bool, again: bool, report: Path | None) -> None:
        self._engine, self._as_json, self._again, self._report = engine, as_json, again, report
        self._outcomes: dict[str, Outcome] = {}  # by output: with --watch one may come again
        self._began = time.monotonic()

    def once(self, sources: list[str], over: dict[str, Any], said: dict[str, Any]) -> None:
        """Everything that sources name; `said` is what of `over` was typed."""
        from memegen.batch import plan

        self._do(plan(_requests(sources, over, said)))

    def watch(self, sources: list[str], over: dict[str, Any]) -> None:
        """A folder's photos, and those that come, until Ctrl-C."""
        from memegen.batch import plan
        from memegen.batch.watch import arrivals

        if len(sources) != 1 or not Path(sources[0]).is_dir():
            raise UsageError("--watch: name one folder")
        plan([_request(["photo"], over)])  # mistakes are told before anything comes
        say(f"watching {sources[0]}, Ctrl-C ends it")
        number = 1
        with contextlib.suppress(KeyboardInterrupt):
            for photos in arrivals(sources[0]):
                jobs: list[Job] = []
                if photos:
                    try:
                        jobs = plan([_request(photos, over)], number)
                    except UsageError as error:  # say so, and wait for the next
                        fail(str(error))
                number += len(jobs)
                self._do(jobs)

    def tell(self, requests: list[Request]) -> None:
        """What would be done. Raises Exit where something cannot be."""
        from memegen.batch import plan
        from memegen.batch.dry_run import forecasts

        counts = {"would be made": 0, "up to date": 0, "cannot be made": 0}
        for forecast in forecasts(plan(requests), self._again):
            counts[dry_run.of_job(forecast, self._as_json)] += 1
        say(", ".join(f"{count} {what}" for what, count in counts.items() if count))
        dry_run.end()
        if counts["cannot be made"]:
            raise typer.Exit(SOME_FAILED)

    def end(self) -> None:
        """The report, the summary, the exit code."""
        from memegen.batch.report import summary, write_report

        outcomes = list(self._outcomes.values())
        if self._report is not None:
            write_report(self._report, outcomes)
            say(f"report: {self._report}")
        say(f"{summary(outcomes)} in {time.monotonic() - self._began:.0f} s")
        if any(outcome.exit_code for outcome in outcomes):
            raise typer.Exit(SOME_FAILED)

    def _do(self, jobs: Sequence[Job]) -> None:
        from memegen import batch

        if not jobs:
            return
        with (
            _bar(len(jobs)) as advance,
            contextlib.closing(batch.run(jobs, self._engine, self._again)) as outcomes,
        ):
            for outcome in outcomes:
                self._outcomes[outcome.job.out] = outcome
                self._tell(outcome)
                advance()

    def _tell(self, outcome: Outcome) -> None:
        if outcome.state is outcome.state.FAILED:
            fail(outcome.error)
        if self._as_json:
            result(json.dumps(outcome.as_json()))
        elif outcome.state is outcome.state.DONE:
            result(outcome.job.out)


def _is_said(ctx: typer.Context, name: str) -> bool:
    """Whether a setting was typed, rather than taken from memegen.toml or the environment."""
    typed = {"recipes": ("recipe",), "format": ("fmt",), "mark": ("mark", "mark_text")}
    return any(is_said(ctx, option) for option in typed.get(name, (name,)))


def _requests(sources: list[str], over: dict[str, Any], said: dict[str, Any]) -> list[Request]:
    """What sources ask for. A file of jobs means the same everywhere: only what is `said` on the
    command line takes the place of what it says, not defaults of this folder or this user.
    """
    from memegen.batch.jobs_file import SUFFIXES, read_jobs
    from memegen.batch.planning import photos_listed, photos_of

    requests, photos = [], []
    for source in sources:
        if source == STDIN:
            if sys.stdin is None:
                raise UsageError("-: standard input is closed")
            photos += photos_listed(sys.stdin)
        elif source.lower().endswith(SUFFIXES):
            requests += read_jobs(Path(source), said)
        else:
            photos += photos_of(source)
    if photos:
        requests.append(_request(photos, over))
    if not requests:
        raise UsageError("there are no photos in the list")
    return requests


def _request(photos: list[str], over: dict[str, Any]) -> Request:
    from memegen.batch import Request, Settings

    settings = {row.name: over[row.name] for row in fields(Settings) if row.name in over}
    recipes = tuple(over.get("recipes", ("smile",)))
    return Request(tuple(photos), recipes, over.get("au"), over.get("out"), Settings(**settings))


@contextlib.contextmanager
def _bar(count: int) -> Iterator[Callable[[], None]]:
    """One bar for all jobs, with the time that is left; nothing where nobody watches."""
    if verbosity.quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = TextColumn("batch"), BarColumn(), MofNCompleteColumn(), Left(), TextColumn("left")
    console = Console(stderr=True)
    # Results that go to a file must not be drawn above the bar instead.
    shared = sys.stdout is not None and sys.stdout.isatty()
    with Progress(*columns, console=console, transient=True, redirect_stdout=shared) as bar:
        task = bar.add_task("batch", total=count)
        yield lambda: bar.advance(task)
