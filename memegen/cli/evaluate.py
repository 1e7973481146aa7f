"""`memegen evaluate`: figures on faces that nothing was learnt from. One command a question."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from memegen.cli.console import result, say
from memegen.cli.evaluate_former import command_first
from memegen.cli.reports import Printed, Report
from memegen.errors import UsageError
from memegen.files import check_writable

COMPARED = ("mesh", "anatomical")  # models, unless others are named

Shards = Annotated[Path, typer.Argument(help="Folder of face-data shards.")]
Faces = Annotated[int | None, typer.Option("--faces", min=1, help="How many faces to look at.")]
Frames = Annotated[
    int | None, typer.Option("--frames", min=1, help="How many frames of each clip are looked at.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Landmarker = Annotated[
    Path | None,
    typer.Option(
        "--landmarker",
        help="MediaPipe's face_landmarker.task: it looks at faces, and shares nothing with our own "
        "perception, which does otherwise.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Generators to compare (repeat it, or a,b,c); files and folders of runs too. "
        f"[default: {', '.join(COMPARED)}]",
    ),
]
Sheet = Annotated[
    Path | None,
    typer.Option(
        "--sheet", help="Write contact sheets, PNG; further pages are NAME-2.png and so on."
    ),
]


class EvaluateGroup(TyperGroup):
    """Commands by question; `memegen evaluate DATA` with the options of old finds its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command's name first."""
        return super().parse_args(ctx, command_first(args, self.list_commands(ctx)))


app = typer.Typer(
    cls=EvaluateGroup,
    help="Judge generators on faces that nothing was learnt from, or measure perception.",
    no_args_is_help=True,
)


@app.command()
def pairs(
    data: Shards,
    model: Models = None,
    landmarker: Landmarker = None,
    faces: Annotated[int | None, typer.Option("--faces", min=1, help="How many pairs.")] = None,
    sheet: Sheet = None,
    as_json: Json = False,
) -> None:
    """Two real photos of one person: the first, driven by the second, beside the second."""
    _readable(data, sheet)
    from memegen.evaluation import real

    found = real.evaluate(data, _models(model), faces or real.PAIRS, landmarker, sheet)
    Printed(found).show(as_json)


@app.command("au-response")
def au_response(
    data: Annotated[Path, typer.Argument(help="Folder of shards or photos, or a photo.")],
    model: Models = None,
    landmarker: Landmarker = None,
    faces: Faces = None,
    as_json: Json = False,
) -> None:
    """Whether the intensity that is asked for is the one that is seen."""
    _readable(data)
    reports: dict[str, Report] = {}
    for name in _models(model):
        if landmarker is not None:
            from memegen.evaluation import au_response_mediapipe as by_mediapipe

            count = faces or by_mediapipe.FACES
            reports[name] = by_mediapipe.evaluate(name, data, landmarker, count)
        else:
            from memegen.evaluation import au_response as by_perception

            reports[name] = by_perception.evaluate(data, name, faces or by_perception.FACES)
    Printed(reports).show(as_json)


@app.command("training-pairs")
def training_pairs(
    data: Annotated[Path, typer.Argument(help="Folder of face-data shards or of photos.")],
    count: Annotated[int, typer.Option("--count", min=1, help="How many pairs.")] = 100,
    model: Models = None,
    sheet: Sheet = None,
    as_json: Json = False,
) -> None:
    """A training signal, no quality: how well generators undo the warp that made their pairs."""
    _readable(data, sheet)
    from memegen.evaluation import generators

    say("a training signal, no measure of quality: the pairs are made by the mesh's own warp")
    report = generators.evaluate(data, _models(model), count, sheet)
    Printed({"": report}, headed=False, aside=frozenset([""])).show(as_json)


@app.command()
def transfer(
    photos: Annotated[Path, typer.Argument(help="Photos to drive, or one.")],
    clips: Annotated[Path, typer.Argument(help="Clips that drive them, or one.")],
    model: Annotated[str, typer.Option("--model", help="Generator.")] = COMPARED[-1],
    landmarker: Landmarker = None,
    stages: Annotated[
        bool, typer.Option("--stages", help="Where strength is lost, stage by stage.")
    ] = False,
    frames: Frames = None,
    identity: Annotated[
        Path | None,
        typer.Option(
            "--identity", help="Shards: does everybody stay the same, too? It takes long."
        ),
    ] = None,
    sheet: Sheet = None,
    as_json: Json = False,
) -> None:
    """How much of what every clip's performer does arrives on every photo."""
    from memegen.evaluation import cross_reenactment, transfer_strength
    from memegen.evaluation.judges import judging
    from memegen.evaluation.self_reenactment import clips_in
    from memegen.performance.retarget import RetargetOptions
    from memegen.pipeline import Animator

    _readable(photos, sheet)
    _readable(clips)
    people, films = cross_reenactment.photos_in(photos), clips_in(clips)
    reports: dict[str, Report] = {}
    if identity is not None:
        given = (identity, people, films, model, RetargetOptions(), sheet)
        reports[model] = cross_reenactment.evaluate(*given, warn=say)
    elif sheet is not None:
        raise UsageError("--sheet needs --identity with shards")
    animator = Animator(model)
    with judging(landmarker, animator) as judge:
        strength, lost = transfer_strength.evaluate(
            people, films, animator, judge, RetargetOptions(), frames, stages, say
        )
    table = f"{model}, stage by stage, on what {judge.name} sees in performers"
    reports |= {f"{model}, strength seen by {judge.name}": strength}
    reports |= {table: lost} if stages else {}
    Printed(reports, aside=frozenset([table])).show(as_json)


@app.command()
def clips(
    data: Annotated[Path, typer.Argument(help="Folder of clips, or a clip.")],
    model: Models = None,
    landmarker: Landmarker = None,
    frames: Frames = None,
    as_json: Json = False,
) -> None:
    """Each clip drives its own first frame, as `memegen transfer` does, and is compared with it."""
    _readable(data)
    from memegen.evaluation import in_picture, self_reenactment
    from memegen.evaluation.judges import judging
    from memegen.performance.retarget import RetargetOptions
    from memegen.pipeline import Animator

    films, names = self_reenactment.clips_in(data), _models(model)
    reports = self_reenactment.evaluate(films, names, frames, say)
    films = [clip for clip in films if clip.name in reports]
    animators = {name: Animator(name) for name in names}
    with judging(landmarker, next(iter(animators.values()))) as judge:
        found = in_picture.evaluate(films, animators, judge, RetargetOptions(), frames, say)
    seen = {f"{name}, in its picture, seen by {judge.name}": r for name, r in found.items()}
    Printed(reports | seen).show(as_json)


@app.command()
def perception(
    data: Shards,
    weights: Annotated[
        str, typer.Option("--weights", help="Name, file, or the folder of a run.")
    ] = "perception",
    as_json: Json = False,
) -> None:
    """Landmarks, action units and pose against the labels of held-out crops."""
    _readable(data)
    from memegen.evaluation import perception as by_labels

    Printed({weights: by_labels.evaluate(data, weights)}, headed=False).show(as_json)


@app.command()
def table(
    data: Shards,
    model: Models = None,
    page: Annotated[
        Path | None,
        typer.Option("--table", help="Page in Markdown: what stands between its markers is new."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Picture of all models, PNG or WebP.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", help="JSON {model: {figure: value}} of what others measured."),
    ] = None,
    photos: Annotated[
        Path | None, typer.Option("--photos", help="Faces of the sheet. [default: the sample]")
    ] = None,
    expressions: Annotated[
        str, typer.Option("--expressions", help="Recipes of the sheet, commas between them.")
    ] = "smile,surprise,rage",
    cell: Annotated[
        int, typer.Option("--cell", min=48, help="Pixels of a face on the sheet.")
    ] = 400,
    landmarker: Landmarker = None,
    pairs: Annotated[
        int | None, typer.Option("--pairs", min=1, help="How many pairs of real photos.")
    ] = None,
    faces: Faces = None,
    as_json: Json = False,
) -> None:
    """Generators of any kind side by side, as a page for docs, with a picture of all."""
    _readable(data)
    from memegen.evaluation import comparison, model_table

    if sheet is not None:
        check_writable(sheet, ".webp" if sheet.suffix.lower() == ".webp" else ".png")
    if page is not None:
        check_writable(page, ".md")
        model_table.check_page(page)
    shown = _sample_or(photos) if sheet is not None else []
    names = _models(model)
    given = comparison.given_figures(figures) if figures is not None else {}
    asked = comparison.Question(
        data, pairs or comparison.PAIRS, faces or comparison.FACES, landmarker, given
    )
    found = comparison.compare(asked, names, say)
    beside = os.path.relpath(sheet, page.parent) if sheet and page else ""
    text = model_table.markdown(found, Path(beside).as_posix() if beside else "")
    if page is not None:
        model_table.write_between_markers(page, text)
    if sheet is not None:
        _draw_models(sheet, shown, comparison.movers(names, given, say), expressions, cell)
    if as_json:
        result(json.dumps({row.name: row.figures for row in found.rows}, indent=2))
    else:
        result(str(page) if page is not None else text)


def _sample_or(photos: Path | None) -> list[Path]:
    """Photos of a folder, or the sample photo of a checkout."""
    from memegen import weights
    from memegen.evaluation.cross_reenactment import photos_in

    sample = weights.folder().parent / "examples" / "astronaut.png"
    if photos is None and not sample.is_file():
        raise UsageError("--sheet needs --photos: the sample photo is only in a checkout")
    return photos_in(photos or sample)


def _draw_models(
    sheet: Path, photos: list[Path], movers: dict[str, Any], expressions: str, cell: int
) -> None:
    from memegen.evaluation import contact_sheets
    from memegen.evaluation.subjects import looked_at
    from memegen.photo import read_photo

    people = list(looked_at(photos, read_photo, say).values())
    contact_sheets.across(people, movers, sheet, expressions.split(","), cell)


@app.command("sheet")
def contact_sheet(
    photos: Annotated[Path, typer.Argument(help="Photos to look at, or one.")],
    sheet: Annotated[Path, typer.Option("--sheet", help="PNG to write; a page a face.")],
    model: Models = None,
    expressions: Annotated[
        str | None, typer.Option("--expressions", help="Recipes, with commas between them.")
    ] = None,
    faces: Faces = None,
    as_json: Json = False,
) -> None:
    """Pictures to look at: every photo with many expressions, a row a model."""
    _readable(photos, sheet)
    from memegen.evaluation import contact_sheets
    from memegen.evaluation.cross_reenactment import photos_in
    from memegen.evaluation.subjects import looked_at
    from memegen.photo import read_photo

    people = list(looked_at(photos_in(photos)[:faces], read_photo, say).values())
    names = expressions.split(",") if expressions else contact_sheets.EXPRESSIONS
    report = contact_sheets.evaluate(people, _models(model), sheet, names)
    Printed({"": report}, headed=False).show(as_json)


def _models(named: list[str] | None) -> list[str]:
    """Names, each of which may be several with commas between them; files have theirs whole."""
    parts = [
        part
        for name in named or COMPARED
        for part in ([name] if Path(name).exists() else name.split(","))
    ]
    return [part for part in parts if part]


def _readable(data: Path, sheet: Path | None = None) -> None:
    """Refuse before any work what cannot be read, or written."""
    if not data.exists():
        raise UsageError(f"{data}: no such folder or clip")
    if sheet is not None:
        check_writable(sheet, ".png")
