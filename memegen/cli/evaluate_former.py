"""`memegen evaluate DATA` without a command's name: what the former single command measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from memegen.errors import UsageError, nearest

JUDGES = ("perception", "mediapipe")
FLAGS = ("--json", "--reach", "--stages")  # options of the former single command without a value


def command_first(args: list[str], known: list[str]) -> list[str]:
    """Arguments with a command's name in front, for those of the former single command.

    Kept until the next release. Raises UsageError for options that went together and do not.
    """
    if not args or args[0] in (*known, "-h", "--help"):
        return args
    data, given = _taken_apart(args)
    if not data:
        raise UsageError("evaluate needs DATA (see memegen evaluate --help)")
    path = Path(data[0])
    if not path.exists():
        raise UsageError(f"{path}: no such folder or clip")
    _check_judge(given)
    command = next(name for name, is_meant in _FORMER if is_meant(path, given))
    if command == "transfer":
        if not {"--photos", "--clips"} <= given.keys():
            raise UsageError("--photos and --clips go together")
        data = [given.pop("--photos")[0], given.pop("--clips")[0]]
        if _is_shards(path):
            given["--identity"] = [str(path)]
    elif command == "training-pairs":
        given["--count"] = given.pop("--training-pairs", []) or given.pop("--pairs")
    elif command == "perception":
        named = given.pop("--model")
        if len(named) > 1:
            raise UsageError("perception is measured alone")
        given["--weights"] = named
    given.pop("--reach", None)
    flat = [word for option, values in given.items() for value in values
            for word in ((option,) if option in FLAGS else (option, value))]  # fmt: skip
    return [command, *data, *flat]


def _taken_apart(args: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Arguments, and the values of every option."""
    data: list[str] = []
    given: dict[str, list[str]] = {}
    words = iter(args)
    for word in words:
        option, equals, value = word.partition("=")
        if not word.startswith("--"):
            data.append(word)
        elif option in FLAGS:
            given[option] = [""]
        else:
            given.setdefault(option, []).append(value if equals else next(words, ""))
    return data, given


def _check_judge(given: dict[str, list[str]]) -> None:
    """`--judge mediapipe --landmarker FILE` is `--landmarker FILE` now."""
    judge = given.pop("--judge", ["mediapipe" if "--landmarker" in given else JUDGES[0]])[-1]
    if judge not in JUDGES:
        raise UsageError(f"--judge {judge}: unknown{nearest(judge, JUDGES)}")
    if (judge == "mediapipe") != ("--landmarker" in given):
        raise UsageError("--judge mediapipe and --landmarker FILE go together")


def _is_shards(path: Path) -> bool:
    from memegen.facedata.shards import is_shards

    return is_shards(path)


def _has_clips(path: Path, _given: object) -> bool:
    from memegen.evaluation.self_reenactment import is_clip

    if path.is_file():
        return True
    return not _is_shards(path) and any(is_clip(file) for file in path.iterdir())


def _names_perception(_path: object, given: dict[str, list[str]]) -> bool:
    from memegen.weights import architecture_of, in_run

    for name in given.get("--model", []):
        file = in_run(name, ["perception"])
        if name == "perception" or (file.is_file() and architecture_of(file) == "perception"):
            return True
    return False


def _refused(path: Path, _given: object) -> bool:
    raise UsageError(
        f"{path}: photos are judged by looking (memegen evaluate sheet PHOTOS --sheet OUT.png) or "
        "by memegen evaluate au-response; training-pairs gives the training signal"
    )


# What the single command measured, in the order in which it decided.
_FORMER: tuple[tuple[str, Callable[[Path, dict[str, list[str]]], bool]], ...] = (
    ("table", lambda _, given: "--table" in given),
    ("transfer", lambda _, given: bool({"--photos", "--clips"} & given.keys())),
    ("clips", _has_clips),
    ("perception", _names_perception),
    ("au-response", lambda _, given: "--reach" in given),
    ("training-pairs", lambda _, given: bool({"--training-pairs", "--pairs"} & given.keys())),
    ("pairs", lambda path, _: _is_shards(path)),
    ("sheet", lambda _, given: "--sheet" in given),
    ("sheet", _refused),
)
