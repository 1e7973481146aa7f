"""`memegen animate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memegen.cli import options
from memegen.cli.clips import Changes, face_number, is_clip, job_of, suffix_of, write_clip
from memegen.cli.console import fail, in_one_line, progress, result, say
from memegen.errors import UsageError
from memegen.weights import DEFAULT_MODEL

if TYPE_CHECKING:
    from memegen.tracks import Track

SOME_FAILED = 6


def animate(
    photos: Annotated[
        list[str],
        typer.Argument(
            help="Photos to animate; videos and animated pictures keep their own motion and sound.",
            metavar="PHOTO...",
        ),
    ],
    recipe: Annotated[
        str,
        typer.Option("--recipe", "-r", help="Recipe name, several joined by +, or a YAML file."),
    ] = "smile",
    au: Annotated[
        str | None, typer.Option("--au", help='An expression instead of a recipe: "AU12=4,AU6=2".')
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="Output file, folder, or - for standard output; the suffix "
            "(.gif .mp4 .webp .png .jpg) chooses the format.",
        ),
    ] = None,
    face: options.Face = "largest",
    intensity: options.Intensity = 1.0,
    fps: options.Fps = None,
    duration: Annotated[
        float | None, typer.Option("--duration", help="Seconds of one cycle.")
    ] = None,
    size: options.Size = None,
    max_size: options.MaxSize = None,
    loop: options.Loop = None,
    still: Annotated[
        bool, typer.Option("--still", help="One picture: the strongest moment of the recipe.")
    ] = False,
    relative: Annotated[
        bool,
        typer.Option(
            "--relative/--absolute",
            help="Of videos: add to the face's own expression, or replace it.",
        ),
    ] = True,
    mute: Annotated[bool, typer.Option("--mute", help="Leave a video's sound out.")] = False,
    fmt: options.Format = None,
    model: options.Model = DEFAULT_MODEL,
    device: options.Device = "auto",
) -> None:
    """Animate photos by a recipe or by action units; change the expression in videos."""
    from memegen import recipes
    from memegen.media.formats import format_of, parse_size, representable_fps

    recipes.check_ranges(intensity, fps, duration)

    limit = parse_size(max_size) if max_size else None
    outputs = [_output(photo, recipe, au, out, fmt, still, len(photos)) for photo in photos]
    _writable(photos, outputs, fmt)
    once = loop is False
    jobs = {
        photo: job_of(photo, path, fmt, fps)
        for photo, path in zip(photos, outputs, strict=True)
        if not still and is_clip(photo)
    }
    changes = None
    if jobs:
        changes = Changes(face_number(face), intensity, not relative, size, loop, mute)
    stills = [path for photo, path in zip(photos, outputs, strict=True) if photo not in jobs]
    chosen = format_of(fmt or (stills[0] if stills and stills[0] != "-" else "gif"))
    track = _track(recipe, au, fps, duration, once)
    exact = representable_fps(track.fps, chosen)
    if exact != track.fps:
        track = _track(recipe, au, exact, duration, once)
    if loop:
        track = replace(track, loops=True)
    if still or not chosen.animated:
        track = track.frame(track.strongest())
    side = size if size is not None else None if still else chosen.default_side or None
    from memegen.photo import read_photo

    # Say so before loading networks.
    first = read_photo(photos[0]) if len(photos) == 1 and not jobs else None
    from memegen.pipeline import Animator, write

    animator = Animator(model, device)
    failed = 0
    for photo, path in zip(photos, outputs, strict=True):
        try:
            if photo in jobs and changes is not None:
                job = jobs[photo]
                played = _track(recipe, au, job.clip.fps, duration, once)
                written = write_clip(animator, job, played, changes, limit)
                if written is not None:
                    result(str(written))
                continue
            with progress(Path(photo).name) as follow:
                frames = animator.animate(
                    first or read_photo(photo), track, face=face, intensity=intensity, size=side
                )
                followed = replace(frames, pictures=iter(follow(frames, len(frames))))
                written = write(followed, path, fmt=fmt, max_size=limit)
        except Exception as error:  # whatever one photo does, the others get their turn
            if len(photos) == 1:
                raise
            fail(in_one_line(error, photo))
            failed += 1
            continue
        if written is not None:
            result(str(written))
    if failed:
        say(f"{failed} of {len(photos)} photos failed")
        raise typer.Exit(SOME_FAILED)


def _track(
    recipe: str, au: str | None, fps: float | None, duration: float | None, once: bool
) -> Track:
    from memegen import recipes
    from memegen.aus import parse_expression

    if au is not None:
        return recipes.of_expression(parse_expression(au)).track(fps, duration, once)
    return recipes.load_track(recipe, fps, duration, once)


def _output(
    photo: str,
    recipe: str,
    au: str | None,
    out: str | None,
    fmt: str | None,
    still: bool,
    count: int,
) -> str:
    """Where a photo's animation goes: -o, inside the folder -o, or beside the photo."""
    from memegen.media.formats import format_of

    moving = suffix_of(photo) if is_clip(photo) else ".gif"
    suffix = format_of(fmt).suffixes[0] if fmt else ".png" if still else moving
    played = "au" if au is not None else Path(recipe).stem.replace("+", "-")
    name = f"{Path(photo).stem}_{played}{suffix}"
    if out is None:
        return str(Path(photo).parent / name)
    if out != "-" and (Path(out).is_dir() or out.endswith("/")):
        if not Path(out).is_dir():
            raise UsageError(f"{out}: no such folder")
        return str(Path(out) / name)
    if count > 1:
        raise UsageError(f"-o {out}: {count} photos need a folder to go to")
    return out


def _writable(photos: list[str], outputs: list[str], fmt: str | None) -> None:
    """Check before any work that every output can be written and overwrites no photo."""
    from memegen.media.encode import target_for

    inputs = {Path(photo).resolve() for photo in photos}
    taken: dict[Path, str] = {}
    for photo, output in zip(photos, outputs, strict=True):
        target = target_for(output, fmt).path
        if target is None:
            continue
        path = target.resolve()
        if path in inputs:
            raise UsageError(f"{output}: is a photo to animate; choose another name")
        if path in taken:
            raise UsageError(f"{output}: {taken[path]} and {photo} would both be written there")
        taken[path] = photo
