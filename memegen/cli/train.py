"""`memegen train`: make the weights that memegen ships, or your own.

One command a model; its options are the fields of the model's settings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, replace
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

from memegen import models, weights
from memegen.cli import options
from memegen.cli.console import result, say
from memegen.errors import UsageError
from memegen.files import check_writable
from memegen.models import MODELS, Model, models_with, resolve

if TYPE_CHECKING:
    from memegen.training.run import Run
    from memegen.training.settings import Rule

Data = Annotated[
    Path, typer.Argument(help="Folder of photos, or a clip; or a folder of face-data shards.")
]
Unread = Annotated[Path, typer.Argument(help="Not needed: this model draws what it learns from.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for weights, log and checkpoint.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")]
Init = Annotated[str | None, typer.Option("--init", help="Weights to begin with.")]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write TensorBoard's files beside the log.")
]


class TrainGroup(TyperGroup):
    """Commands that are made when they are asked for, because settings import torch.

    `memegen train DATA` trains the default model; `--model NAME` names it after DATA, too.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all models that can be trained."""
        return [model.name for model in models_with("trainer")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A model's name and line of help; what it does is known to `resolve_command`."""
        return _command(MODELS[cmd_name], _nothing)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is to run, and its arguments."""
        model = models.model_named(args[0], "trainer")
        return model.name, _command(model, _trainer(model)), args[1:]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the model's name first."""
        return super().parse_args(ctx, model_first(args, self.list_commands(ctx)))


app = typer.Typer(
    cls=TrainGroup,
    help="Fine-tune the generator on photos of a person, or train any model on face data.",
    no_args_is_help=True,
)


@app.callback()
def _train() -> None:
    """Fine-tune the generator on photos of a person, or train any model on face data."""


def model_first(args: list[str], known: list[str]) -> list[str]:
    """Arguments with the model's name in front: that of `--model`, else the default's."""
    if not args or args[0] in (*known, *models.RENAMED, "-h", "--help"):
        return args
    left, name = [], models.DEFAULT
    rest = iter(args)
    for word in rest:
        if word == "--model":
            name = next(rest, "")
        elif word.startswith("--model="):
            name = word.removeprefix("--model=")
        else:  # until the next release, discriminators go by their former name, too
            left.append(word.replace("--critic-", "--discriminator-", 1))
    return [models.model_named(name, "trainer").name, *left]


def _command(model: Model, function: Callable[..., None]) -> Any:
    own = typer.Typer(add_completion=False)
    about = f"{model.summary[0].upper()}{model.summary[1:]}."
    settings = {"help_option_names": ["-h", "--help"]}
    data = "" if model.makes_data else " shards/"
    example = f"Example:\n  memegen train {model.name}{data} --out run"
    own.command(model.name, help=about, epilog=example, context_settings=settings)(function)
    return typer.main.get_command(own)


def _nothing() -> None:
    """Stands where only a name and a line of help are shown."""


def _trainer(model: Model) -> Callable[..., None]:
    """The function behind a model's command, its parameters being the model's settings."""
    kind = resolve(model.settings)
    parameters = list(_parameters(kind))

    def train(data: Path, out: Path, device: str = "auto", **given: Any) -> None:
        run = _run(model, data, out, device, given)
        result(str(models.trainer_of(model.name)(_settings(model, kind, run, given), run)))

    fixed: dict[str, tuple[Any, Any]] = {
        "data": (Unread, Path()) if model.makes_data else (Data, Parameter.empty),
        "out": (Out, Path("run")),
    }
    if model.network:
        fixed |= {
            "resume": (Resume, False), "init": (Init, None), "tensorboard": (TensorBoard, False),
            "device": (options.Device, "auto"),
        }  # fmt: skip
    signature = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in fixed.items()
    ]
    train.__signature__ = Signature([*signature, *parameters])  # type: ignore[attr-defined]
    train.__annotations__ = {p.name: p.annotation for p in [*signature, *parameters]}
    return train


def _parameters(kind: type) -> Iterator[Parameter]:
    """An option for every field of a settings class that has a rule."""
    from memegen.training.settings import rules_of

    hints, by_name = get_type_hints(kind), {f.name: f for f in fields(kind)}
    for name, rule in rules_of(kind).items():
        typed = rule.kind or hints[name]
        flag = _flag(name, rule)
        about = rule.about[0].upper() + rule.about[1:] + _usual(by_name[name])
        if typed is bool:
            yes_no = f"{flag}/--no-{flag.removeprefix('--')}"
            option = typer.Option(yes_no, help=f"{about}.", show_default=False)
        else:
            option = typer.Option(flag, help=f"{about}.", show_default=False)
        annotation = Annotated[typed | None, option]  # type: ignore[valid-type]
        yield Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag(name: str, rule: Rule) -> str:
    return "--" + (rule.option or name).replace("_", "-")


def _usual(field: Field[Any]) -> str:
    """What a help text says of a default."""
    usual = field.default
    if usual is MISSING or usual in (None, "", math.inf):
        return ""
    if isinstance(usual, bool):
        return f" ({'on' if usual else 'off'})"
    return f" ({usual:g})" if isinstance(usual, float) else f" ({usual})"


def _run(model: Model, data: Path, out: Path, device: str, given: Mapping[str, Any]) -> Run:
    """Where to read and write; whatever can be refused before all data is read is refused."""
    from memegen.facedata.shards import is_shards
    from memegen.training.processes import started
    from memegen.training.run import Run

    if not data.exists():
        raise UsageError(f"{data}: no such folder or clip")
    check_writable(out / "log.jsonl")
    if not (is_shards(data) or model.from_photos or model.makes_data):
        raise UsageError(f"{data}: no labels.npz in this folder; {model.name} needs shards")
    resume, init = bool(given.get("resume")), given.get("init")
    if resume and init is not None:
        raise UsageError("--resume goes on from the checkpoint in --out; --init begins anew")
    mended = model.shipped and model.from_photos and hasattr(resolve(model.settings), "for_photos")
    if init is None and mended and not resume and not is_shards(data):
        init = model.name  # tens of photos mend weights, they make none
    elif init is not None:
        weights.load(init, model.name)
    if started() > 1 and not model.distributed:
        able = " or ".join(m.name for m in models_with("distributed"))
        raise UsageError(f"several processes train {able}; {model.name} takes one")
    if not model.network:
        return Run(data, out, log=say)
    import torch

    from memegen.devices import device_named

    where = torch.device(device_named(device))
    return Run(data, out, where, resume, init, bool(given.get("tensorboard")), say)


def _settings(model: Model, kind: type, run: Run, given: Mapping[str, Any]) -> Any:
    """The model's settings with what was given on the command line."""
    from memegen.facedata.shards import is_shards
    from memegen.training.settings import checked, rules_of

    usual = kind() if is_shards(run.data) else getattr(kind, "for_photos", kind)()
    changed = {}
    for name, rule in rules_of(kind).items():
        if given.get(name) is not None:
            value = given[name]
            changed[name] = rule.parse(value) if rule.parse else value
    settings = replace(usual, **changed)
    checked(settings)
    return settings
