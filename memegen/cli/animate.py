"""`memegen animate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memegen import models
from memegen.cli import options
from memegen.cli.clips import (
    Changes,
    ClipJob,
    face_number,
    is_clip,
    job_of,
    usual_format,
    write_clip,
)
from memegen.cli.console import fail, in_one_line, photo_at, progress, result, say
from memegen.errors import UsageError
from memegen.files import fitting
from memegen.media.formats import suffixes_said

if TYPE_CHECKING:
    from memegen.media.formats import Format
    from memegen.photo import Photo
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
            f"({suffixes_said()}) chooses the format.",
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
    model: options.Model = models.DEFAULT,
    device: options.Device = "auto",
) -> None:
    """Animate photos by a recipe or by action units; change the expression in videos."""
    from memegen import recipes
    from memegen.media.formats import output_format
    from memegen.media.sizes import parse_size

    recipes.check_ranges(intensity, fps, duration)

    limit = parse_size(max_size) if max_size else None
    outputs = [_output(photo, recipe, au, out, fmt, still, len(photos)) for photo in photos]
    _writable(photos, outputs, fmt)
    clips = [not still and is_clip(photo) for photo in photos]
    changes = Changes(1, intensity, not relative, size, loop, mute)
    if any(clips):
        changes = replace(changes, face=face_number(face))
    stills = [path for path, moves in zip(outputs, clips, strict=True) if not moves]
    chosen = output_format(stills[0] if stills else "-", fmt)
    track = _photo_track(recipe, au, fps, duration, loop, chosen)
    if still or not chosen.animated:
        track = track.frame(track.strongest())
    side = size if size is not None else None if still else chosen.default_side or None

    def read(photo: str, path: str, moves: bool) -> Photo | ClipJob:
        return job_of(photo, path, fmt, fps) if moves else photo_at(photo)

    # Say so before loading networks.
    first = read(photos[0], outputs[0], clips[0]) if len(photos) == 1 else None
    from memegen.pipeline import Animator, write

    animator = Animator(model, device)
    failed = 0
    for photo, path, moves in zip(photos, outputs, clips, strict=True):
        try:
            source = first or read(photo, path, moves)
            if isinstance(source, ClipJob):
                played = _track(recipe, au, source.clip.fps, duration, loop is False)
                written = write_clip(animator, source, played, changes, limit)
            else:
                with progress(Path(photo).name) as follow:
                    frames = animator.animate(
                        source, track, face=face, intensity=intensity, size=side
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


def _photo_track(
    recipe: str,
    au: str | None,
    fps: float | None,
    duration: float | None,
    loop: bool | None,
    chosen: Format,
) -> Track:
    """What photos play, at a frame rate that their format can say."""
    once = loop is False
    track = _track(recipe, au, fps, duration, once)
    exact = chosen.representable_fps(track.fps)
    if exact != track.fps:
        track = _track(recipe, au, exact, duration, once)
    return replace(track, loops=True) if loop else track


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
    from memegen.media.formats import USUAL_ANIMATION, USUAL_STILL, format_of

    moving = usual_format(photo) if is_clip(photo) else USUAL_ANIMATION
    suffix = (format_of(fmt) if fmt else USUAL_STILL if still else moving).suffix
    played = "au" if au is not None else Path(recipe).stem.replace("+", "-")
    name = fitting(Path(photo).stem, played, suffix)
    if out is None:
        return str(Path(photo).parent / name)
    if out != "-" and (Path(out).is_dir() or out.endswith("/")):
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
