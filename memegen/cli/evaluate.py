"""`memegen evaluate`: figures on held-out faces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from memegen.cli.console import result, say, tabulate
from memegen.errors import UsageError, nearest
from memegen.files import check_writable

Report = Mapping[str, Mapping[str, float]]
JUDGES = ("perception", "mediapipe")
ERROR = " (se)"  # ends the names of standard errors
SHARED = "pairs"  # the row of figures that all columns side by side share


# The options of `evaluate`, so that its signature can be read.
_Data = Annotated[
    Path, typer.Argument(help="Folder of face-data shards, of photos or of clips; or a clip.")
]
_Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Generators to compare (repeat it), or perception; files and folders of runs too. "
        "[default: mesh, anatomical]",
    ),
]
_Judge = Annotated[
    str,
    typer.Option(
        "--judge",
        help="Who looks at faces: perception, or mediapipe, which shares nothing with it "
        "(needs --landmarker).",
    ),
]
_Landmarker = Annotated[
    Path | None,
    typer.Option("--landmarker", help="MediaPipe's face_landmarker.task, for --judge."),
]
_Reach = Annotated[
    bool, typer.Option("--reach", help="Measure whether asked-for intensities are reached.")
]
_Faces = Annotated[
    int | None, typer.Option("--faces", help="How many faces, or real pairs, to look at.")
]
_TrainingPairs = Annotated[
    int | None,
    typer.Option(
        "--training-pairs",
        "--pairs",
        help="Training signal instead, no quality: how well generators undo the warp that "
        "training pairs are made by, on so many held-out ones.",
    ),
]
_Photos = Annotated[
    Path | None,
    typer.Option(
        "--photos",
        help="Photos to drive by --clips: does what the performer does arrive? Where DATA holds "
        "shards: does everybody stay the same, too?",
    ),
]
_Clips = Annotated[Path | None, typer.Option("--clips", help="Clips that drive --photos.")]
_Stages = Annotated[
    bool,
    typer.Option(
        "--stages", help="With --photos and --clips: where strength is lost, stage by stage."
    ),
]
_Frames = Annotated[
    int | None, typer.Option("--frames", help="How many frames of each clip are looked at.")
]
_Sheet = Annotated[
    Path | None,
    typer.Option(
        "--sheet",
        help="Write contact sheets, PNG: of a folder of photos, a page a face; else of what was "
        "compared. Further pages are NAME-2.png and so on.",
    ),
]
_Expressions = Annotated[
    str | None,
    typer.Option("--expressions", help="Recipes on the sheet of photos, with commas between them."),
]


def evaluate(
    data: _Data,
    model: _Model = None,
    judge: _Judge = "perception",
    landmarker: _Landmarker = None,
    reach: _Reach = False,
    faces: _Faces = None,
    training_pairs: _TrainingPairs = None,
    photos: _Photos = None,
    clips: _Clips = None,
    stages: _Stages = False,
    frames: _Frames = None,
    sheet: _Sheet = None,
    expressions: _Expressions = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge generators on held-out faces, on photos or on clips, or measure perception.

    Shards: two real photos of one person, the first driven by the second and compared with it.
    --reach: whether what is asked for is seen. Photos with --sheet: a picture to look at.
    Clips: each drives its own first frame, as `transfer` does unless told otherwise. With --photos
    and --clips: how much of every clip arrives on every photo, and (DATA with shards) how far
    every photo's identity goes.
    """
    asked = _Asked(
        data=data,
        named=model or [],
        judge=judge,
        landmarker=landmarker,
        reach=reach,
        faces=faces,
        training_pairs=training_pairs,
        photos=photos,
        clips=clips,
        stages=stages,
        frames=frames,
        sheet=sheet,
        expressions=expressions,
    )
    asked.check()
    report = asked.run()
    if as_json:
        result(json.dumps(report.nested, indent=2))
    else:
        report.show()


@dataclass(frozen=True)
class _Printed:
    """Reports by heading, and how they are shown."""

    reports: Mapping[str, Report]
    headed: bool = True  # else one report without a heading
    aside: frozenset[str] = frozenset()  # headings of reports that are shown side by side

    @property
    def nested(self) -> object:
        return self.reports if self.headed else next(iter(self.reports.values()))

    def show(self) -> None:
        for heading, report in self.reports.items():
            if self.headed:
                result(heading)
            (_side_by_side if heading in self.aside else _show)(report)


@dataclass(frozen=True)
class _Asked:
    """What the command line asks for."""

    data: Path
    named: list[str]
    judge: str
    landmarker: Path | None
    reach: bool
    faces: int | None
    training_pairs: int | None
    photos: Path | None
    clips: Path | None
    stages: bool
    frames: int | None
    sheet: Path | None
    expressions: str | None

    @property
    def models(self) -> list[str]:
        return self.named or ["mesh", "anatomical"]

    def check(self) -> None:
        """Refuse what means nothing. Raises UsageError."""
        if not self.data.exists():
            raise UsageError(f"{self.data}: no such folder or clip")
        if self.faces is not None and self.faces < 1:
            raise UsageError("--faces must be at least 1")
        if self.training_pairs is not None and self.training_pairs < 1:
            raise UsageError("--training-pairs must be at least 1")
        if self.sheet is not None:
            check_writable(self.sheet, ".png")
        if self.reach and self.sheet:
            raise UsageError("--sheet means nothing for --reach")
        if self.judge not in JUDGES:
            raise UsageError(f"--judge {self.judge}: unknown{nearest(self.judge, JUDGES)}")
        if (self.judge == "mediapipe") != (self.landmarker is not None):
            raise UsageError("--judge mediapipe and --landmarker FILE go together")
        if self.expressions is not None and self.sheet is None:
            raise UsageError("--expressions goes with --sheet")
        if (self.photos is None) != (self.clips is None):
            raise UsageError("--photos and --clips go together")
        if self.stages and self.photos is None:
            raise UsageError("--stages goes with --photos and --clips")
        if self.frames is not None and self.frames < 1:
            raise UsageError("--frames must be at least 1")
        if self.photos is not None and len(self.named) > 1:
            raise UsageError("--photos and --clips take one --model")
        if self.photos is not None and self.reach:
            raise UsageError("--reach means nothing for --photos and --clips")

    def run(self) -> _Printed:
        """Measure what is asked for."""
        from memegen.facedata.shards import is_shards

        if self.photos is not None:
            return self._crossing(self.photos)
        if _has_clips(self.data):
            return self._clips()
        if perceived := [file for name in self.models if (file := _perception_named(name))]:
            return self._perception(perceived[0])
        if self.reach:
            return self._reach()
        if self.training_pairs is not None:
            return self._training_pairs(self.training_pairs)
        if is_shards(self.data):
            return self._real()
        if self.sheet is not None:
            return self._contact(self.sheet)
        raise UsageError(
            f"{self.data}: photos are judged with --sheet OUT.png (by looking) or with --reach; "
            "--training-pairs N gives the training signal"
        )

    def _crossing(self, photos: Path) -> _Printed:
        from memegen.evaluation import cross_reenactment
        from memegen.evaluation.self_reenactment import clips_in
        from memegen.facedata.shards import is_shards
        from memegen.performance.retarget import RetargetOptions

        source = self.clips or photos
        for folder in (photos, source):
            if not folder.exists():
                raise UsageError(f"{folder}: no such file or folder")
        people, clips, model = (
            cross_reenactment.photos_in(photos),
            clips_in(source),
            self.models[-1],
        )
        reports: dict[str, Report] = {}
        if is_shards(self.data):
            given = (self.data, people, clips, model, RetargetOptions(), self.sheet)
            reports[model] = cross_reenactment.evaluate(*given, warn=say)
        elif self.sheet is not None:
            raise UsageError(f"{self.data}: --sheet of --photos and --clips needs shards")
        return self._strength(people, clips, model, reports)

    def _strength(
        self, photos: list[Path], clips: list[Path], model: str, reports: dict[str, Report]
    ) -> _Printed:
        """The given reports, and how much of the clips arrives on the photos."""
        from memegen.evaluation import transfer_strength
        from memegen.evaluation.judges import judging
        from memegen.performance.retarget import RetargetOptions
        from memegen.pipeline import Animator

        animator = Animator(model)
        with judging(self.landmarker, animator) as judge:
            strength, stages = transfer_strength.evaluate(
                photos, clips, animator, judge, RetargetOptions(), self.frames, self.stages, say
            )
        heading = f"{model}, strength seen by {judge.name}"
        table = f"{model}, stage by stage, on what {judge.name} sees in performers"
        reports = reports | {heading: strength} | ({table: stages} if self.stages else {})
        return _Printed(reports, aside=frozenset([table]))

    def _clips(self) -> _Printed:
        if self.reach or self.sheet:
            raise UsageError(f"{self.data}: --reach and --sheet mean nothing for clips")
        from memegen.evaluation import in_picture, self_reenactment
        from memegen.evaluation.judges import judging
        from memegen.performance.retarget import RetargetOptions
        from memegen.pipeline import Animator

        clips = self_reenactment.clips_in(self.data)
        reports = self_reenactment.evaluate(clips, self.models, self.frames, say)
        clips = [clip for clip in clips if clip.name in reports]
        models = {name: Animator(name) for name in self.models}
        with judging(self.landmarker, next(iter(models.values()))) as judge:
            found = in_picture.evaluate(clips, models, judge, RetargetOptions(), self.frames, say)
        seen = {f"{name}, in its picture, seen by {judge.name}": r for name, r in found.items()}
        return _Printed(reports | seen)

    def _perception(self, weights: str) -> _Printed:
        if len(self.models) > 1 or self.reach or self.sheet:
            raise UsageError("perception is measured alone")
        from memegen.evaluation import perception

        return _Printed({weights: perception.evaluate(self.data, weights)}, headed=False)

    def _reach(self) -> _Printed:
        if self.landmarker is not None:
            from memegen.evaluation import au_response_mediapipe

            given = self.data, self.landmarker, self.faces or au_response_mediapipe.FACES
            return _Printed(
                {name: au_response_mediapipe.evaluate(name, *given) for name in self.models}
            )
        from memegen.evaluation import au_response

        count = self.faces or 100
        return _Printed(
            {name: au_response.evaluate(self.data, name, count) for name in self.models}
        )

    def _training_pairs(self, count: int) -> _Printed:
        from memegen.evaluation import generators

        say("a training signal, no measure of quality: the pairs are made by the mesh's own warp")
        report = generators.evaluate(self.data, self.models, count, self.sheet)
        return _Printed({"": report}, headed=False, aside=frozenset([""]))

    def _real(self) -> _Printed:
        from memegen.evaluation import real

        count = self.faces or real.PAIRS
        return _Printed(real.evaluate(self.data, self.models, count, self.landmarker, self.sheet))

    def _contact(self, sheet: Path) -> _Printed:
        from memegen.evaluation import contact_sheets
        from memegen.evaluation.cross_reenactment import photos_in
        from memegen.evaluation.subjects import looked_at
        from memegen.photo import read_photo

        photos = list(looked_at(photos_in(self.data)[: self.faces], read_photo, say).values())
        names = self.expressions.split(",") if self.expressions else contact_sheets.EXPRESSIONS
        return _Printed(
            {"": contact_sheets.evaluate(photos, self.models, sheet, names)}, headed=False
        )


def _perception_named(name: str) -> str | None:
    """Weights of perception that a name, a file or the folder of a run stands for, if any."""
    from memegen.weights import architecture_of, in_run

    path = in_run(name, ["perception"])
    if name == "perception":
        return name
    return str(path) if path.is_file() and architecture_of(path) == "perception" else None


def _has_clips(data: Path) -> bool:
    from memegen.evaluation.self_reenactment import is_clip
    from memegen.facedata.shards import is_shards

    if data.is_file():
        return True
    return not is_shards(data) and any(is_clip(path) for path in data.iterdir())


def _show(report: Report) -> None:
    """Tables of a report, one for every run of rows of which one has all figures of the others."""
    runs: list[tuple[list[str], list[str]]] = []  # names of rows, figures
    for name, row in report.items():
        own = list(dict.fromkeys(map(_plain, row)))
        names, figures = runs[-1] if runs else ([], [])
        if names and (set(own) <= set(figures) or set(own) >= set(figures)):
            runs[-1] = ([*names, name], max(figures, own, key=len))
        else:
            runs.append(([name], own))
    for names, figures in runs:
        _table({name: report[name] for name in names}, figures, len(figures) > len(names))


def _side_by_side(report: Report) -> None:
    """A line a figure, a column a model; and what they share."""
    models = {name: found for name, found in report.items() if name != SHARED}
    figures = [_plain(figure) for found in models.values() for figure in found]
    _table(models, list(dict.fromkeys(figures)), figures_down=True)
    shared = ", ".join(f"{name} {value:.4g}" for name, value in report[SHARED].items())
    result(f"{SHARED}: {shared}")


def _table(report: Report, figures: list[str], figures_down: bool) -> None:
    """A table of a report; `figures_down`: its figures are the lines, else the columns."""
    names = list(report)
    cells = [[_cell(report[name], figure) for figure in figures] for name in names]
    lines, columns = names, figures
    if figures_down:
        lines, columns, cells = figures, names, [list(row) for row in zip(*cells, strict=True)]
    rows = [[line, *row] for line, row in zip(lines, cells, strict=True)]
    tabulate(rows, ("", *columns), always_headed=True, numbers=True)


def _plain(figure: str) -> str:
    """The figure that a standard error (`NAME (se)`) belongs to, or itself."""
    return figure.removesuffix(ERROR)


def _cell(figures: Mapping[str, float], name: str) -> str:
    """A figure, with its standard error where it has one."""
    if name not in figures:
        return "-"
    error = figures.get(name + ERROR)
    return f"{figures[name]:.4g}" + ("" if error is None else f" ±{error:.2g}")
