"""From what is asked for to jobs: folders are looked through, names made, mistakes told at once."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from memegen import recipes
from memegen.aus import parse_expression
from memegen.batch import manifest, template
from memegen.batch.jobs import Job, Request, Settings
from memegen.cutout.asked import check_cutout
from memegen.errors import UsageError
from memegen.files import PREFIX
from memegen.media.encode import target_for
from memegen.media.formats import USUAL_ANIMATION, USUAL_STILL, format_of
from memegen.played import Played

MAY_MOVE = {".gif", ".webp", ".png", ".apng", ".avif", ".jxl"}  # animated pictures are no photos


def photos_in(folder: str | Path) -> list[str]:
    """The photos of a folder, sorted; without hidden files, and what a batch has written there."""
    from memegen.photo import picture_kind, picture_suffixes

    place, suffixes = Path(folder), picture_suffixes()
    try:
        names = sorted(path.name for path in place.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: cannot look through the folder ({error.strerror})") from None
    written = manifest.planned(place)
    found = []
    for name in names:
        path, suffix = place / name, Path(name).suffix.lower()
        if suffix not in suffixes or name.startswith((".", PREFIX)) or name in written:
            continue
        if suffix in MAY_MOVE and picture_kind(path) != "still":
            continue
        if path.is_file():
            found.append(str(path))
    return found


def photos_of(text: str, base: Path | None = None) -> list[str]:
    """What one entry stands for: a photo, the photos of a folder, or those a pattern fits.

    A relative one begins at `base`. Raises UsageError for a folder or a pattern without any.
    """
    path = Path(text) if base is None else base / text
    if path.is_dir():
        found = photos_in(path)
    elif any(sign in text for sign in "*?[") and not path.exists():
        found = sorted(
            name
            for name in glob.glob(str(path), recursive=True)  # noqa: PTH207
            if Path(name).is_file()
        )
    else:
        return [str(path)]
    if not found:
        raise UsageError(f"{text}: no photos there")
    return found


def photos_listed(lines: Iterable[str]) -> list[str]:
    """The photos of a list, one a line; empty lines and those that begin with # are left out."""
    listed = [line.rstrip("\r\n") for line in lines]
    return [line for line in listed if line.strip() and not line.lstrip().startswith("#")]


def plan(requests: Sequence[Request], first: int = 1) -> list[Job]:
    """The jobs, those of a photo together, the same one once; numbered from `first`.

    Raises UsageError, before any work, for recipes that are not there or broken, bad settings and
    templates, and outputs that would overwrite a photo or each other.
    """
    by_out: dict[str, Job] = {}
    number = first
    for request in requests:
        try:
            _check(request)
            for photo in request.photos:
                for recipe in request.recipes if request.au is None else ("au",):
                    job = _job(request, photo, recipe, number)
                    number += _add(by_out, job)
        except UsageError as error:
            where = f"{request.origin}: " if request.origin else ""
            raise UsageError(f"{where}{error}") from None
    _refuse_overwriting(by_out.values())
    together: dict[str, list[Job]] = {}
    for job in by_out.values():
        together.setdefault(job.photo, []).append(job)
    return [job for jobs in together.values() for job in jobs]


def _check(request: Request) -> None:
    request.settings.check()
    template.check(template.whole(request.out))
    if request.au is not None:
        recipes.of_expression(parse_expression(request.au))
    else:
        for name in request.recipes:
            _checked_recipe(name)


@lru_cache(maxsize=256)
def _checked_recipe(name: str) -> None:
    for part in recipes.parts(name):
        recipes.load(part)


def _job(request: Request, photo: str, recipe: str, number: int) -> Job:
    settings = request.settings.on_platform()
    played = Played(recipe, request.au, settings.fps, settings.duration, settings.loop)
    pattern, path = template.whole(request.out), Path(photo)
    values: dict[str, str | int] = {
        "stem": path.stem,
        "suffix": path.suffix.lstrip("."),
        "folder": str(path.parent),
        "parent": path.absolute().parent.name,
        "recipe": played.name,
        "ext": _suffix(settings).lstrip("."),
        "number": number,
        "size": settings.size or "full",
        "model": Path(settings.model).stem,
    }
    out = template.fill(pattern, values)
    if settings.platform and format_of(out) is not format_of(str(settings.format)):
        raise UsageError(f"{out}: {settings.platform} is a {_suffix(settings)}")
    chosen = target_for(out, settings.format).fmt
    if settings.cutout is not None:
        check_cutout(settings.cutout, chosen)
    return Job(photo, recipe, request.au, out, settings)


def _suffix(settings: Settings) -> str:
    if settings.format:
        return format_of(settings.format).suffix
    return (USUAL_STILL if settings.still else USUAL_ANIMATION).suffix


def _add(by_out: dict[str, Job], job: Job) -> int:
    """Take a job in; returns how many jobs came to it: none where it is there already."""
    place = os.path.abspath(job.out)  # noqa: PTH100 (resolve() would look at every folder)
    other = by_out.setdefault(place, job)
    if other is job:
        return 1
    if other == job:
        return 0
    raise UsageError(
        f"{job.out}: {other.photo} ({other.played}) and {job.photo} ({job.played}) would both be "
        "written there; name outputs by {parent}, {recipe} or {number} too"
    )


def _refuse_overwriting(jobs: Iterable[Job]) -> None:
    listed = list(jobs)
    photos = {os.path.realpath(photo) for photo in {job.photo for job in listed}}
    for job in listed:
        if os.path.realpath(job.out) in photos:
            raise UsageError(f"{job.out}: is a photo to animate; choose another name")
