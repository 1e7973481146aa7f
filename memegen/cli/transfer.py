"""`memegen transfer`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memegen import aus, models
from memegen.cli import options
from memegen.cli.clips import Changes, face_number, is_clip, job_of, usual_format, write_clip
from memegen.cli.console import photo_at, progress, result, say
from memegen.errors import UsageError
from memegen.files import check_writable, fitting, write_text

if TYPE_CHECKING:
    from memegen.arrays import Array
    from memegen.media.commands import Sound
    from memegen.media.formats import Format
    from memegen.performance.clip import Clip
    from memegen.performance.retarget import RetargetOptions
    from memegen.performance.track import Performance
    from memegen.tracks import Track

SPEEDS = (0.1, 10.0)


def transfer(
    source: Annotated[str, typer.Argument(help="Photo to animate, or a video to change.")],
    target: Annotated[
        str,
        typer.Argument(help="Whom to copy: a picture, a video, or a CSV of OpenFace's columns."),
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Output file, or - for standard output.")
    ] = None,
    only: Annotated[
        str, typer.Option("--only", help="Parts that follow: mouth,eyes,brows,head,gaze.")
    ] = "mouth,eyes,brows,head,gaze",
    relative: Annotated[
        bool | None,
        typer.Option(
            "--relative/--absolute",
            help="Add the performer's changes to the own expression (as videos do), or take the "
            "expression as it is (as pictures do).",
        ),
    ] = None,
    neutral_frame: Annotated[
        int | None,
        typer.Option(
            "--neutral-frame",
            help="The performer's frame that changes are counted from, from 0; unless given, "
            "those nearest to the photo's expression.",
        ),
    ] = None,
    smooth: Annotated[float, typer.Option("--smooth", help="Strength of smoothing, 0..5.")] = 1.0,
    gain: Annotated[
        str | None, typer.Option("--gain", help='Scales action units: "AU12=1.5,AU4=0".')
    ] = None,
    detail: Annotated[
        float,
        typer.Option(
            "--detail",
            help="How far lips and brows copy what the performer's do beyond action units, "
            "0..1; with --relative only.",
        ),
    ] = 1.0,
    head: Annotated[
        float | None,
        typer.Option(
            "--head",
            help="How far the head follows, in place and in turns, 0..1. A clip's own head keeps "
            "its place unless this is given.",
            show_default="1",
        ),
    ] = None,
    intensity: options.Intensity = 1.0,
    face: options.Face = "largest",
    target_face: Annotated[
        int, typer.Option("--target-face", help="Face of the target, from 1, largest first.")
    ] = 1,
    start: Annotated[float, typer.Option("--start", help="Seconds into the target.")] = 0.0,
    end: Annotated[float | None, typer.Option("--end", help="Seconds into the target.")] = None,
    speed: Annotated[float, typer.Option("--speed", help="2 plays twice as fast.")] = 1.0,
    boomerang: Annotated[bool, typer.Option("--boomerang", help="Play forth and back.")] = False,
    fps: options.Fps = None,
    size: options.Size = None,
    max_size: options.MaxSize = None,
    loop: options.Loop = None,
    compare: Annotated[bool, typer.Option("--compare", help="Show the target beside it.")] = False,
    mute: Annotated[bool, typer.Option("--mute", help="Leave the sound out.")] = False,
    save_track: Annotated[
        Path | None, typer.Option("--save-track", help="Also write the performance as CSV.")
    ] = None,
    save_recipe: Annotated[
        Path | None, typer.Option("--save-recipe", help="Also write it as a recipe, a .yaml.")
    ] = None,
    fmt: options.Format = None,
    model: options.Model = models.DEFAULT,
    device: options.Device = "auto",
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say which frames changes are counted from.")
    ] = False,
) -> None:
    """Make a photo or a video copy another face's expression, or a whole performance."""
    from memegen import recipes
    from memegen.media.encode import target_for
    from memegen.media.formats import output_format
    from memegen.media.sizes import parse_size
    from memegen.performance.clip import open_clip
    from memegen.performance.retarget import RetargetOptions, parse_parts, retarget

    recipes.check_ranges(intensity, fps, None)
    _check(
        smooth,
        (detail, 1.0 if head is None else head),
        speed,
        start,
        end,
        target_face,
        (save_track, save_recipe),
    )
    table = Path(target).suffix.lower() == ".csv"
    clip = None if table else open_clip(target, fps)
    still = clip is not None and clip.still
    onto = is_clip(source)
    path = out or _beside(source, target, fmt, usual_format(source) if onto else None, clip)
    if Path(path).resolve() in (Path(source).resolve(), Path(target).resolve()):
        raise UsageError(f"{path}: is one of the inputs; choose another name")
    taken = {Path(given).resolve() for given in (source, target, path)}
    for file in (save_track, save_recipe):
        if file is not None and file.resolve() in taken:
            raise UsageError(f"{file}: is an input or the output; choose another name")
    chosen = output_format(path, fmt)
    target_for(path, fmt)
    if compare and (clip is None or still or boomerang):
        raise UsageError("--compare needs a video as target, and no --boomerang")
    if onto and (compare or boomerang):
        raise UsageError("--compare and --boomerang need a photo as source")
    job = job_of(source, path, fmt, fps) if onto else None
    changes = None
    if onto:
        changes = Changes(face_number(face), intensity, relative is False, size, loop, mute)
    limit = parse_size(max_size) if max_size else None
    retargeting = RetargetOptions(
        not still if relative is None else relative,
        neutral_frame,
        parse_parts(only),
        smooth,
        aus.parse_factors(gain, "--gain") if gain else {},
        1.0 if head is None else head,
        detail,
    )
    photo = None if onto else photo_at(source)  # say so before loading networks

    from memegen.pipeline import Animator, side_by_side, write

    animator = Animator(model, device)
    performance = animator.track_face(
        target, face=target_face, fps=None if onto else fps, start=start, end=end, warn=say
    )
    _report(performance)
    if save_track is not None:
        from memegen.performance.table import to_csv

        write_text(save_track, to_csv(performance, whole=True))
    if photo is None:
        # A clip keeps its own way through the picture: heads turn and tilt where they are, and
        # what is around them stays as it is, unless they are asked to go along.
        performance = replace(performance, heads=None) if head is None else performance
        track = retarget(performance, retargeting)
    else:
        seen = animator.analyze(photo, face)[0].analysis
        if verbose and retargeting.relative:
            _tell_reference(performance, retargeting, seen.action_units)
        track = _track(performance, retargeting, still, chosen, seen.action_units)
    if save_recipe is not None:
        from memegen.performance.keyframes import recipe_text

        text, error = recipe_text(track)
        write_text(save_recipe, text)
        say(f"{save_recipe}: within {error:.2f} of 5 of the performance")
    if job is not None and changes is not None:
        loops, rate = still or bool(loop), job.clip.fps

        def counted_from(own: Array) -> Track:
            return replace(
                retarget(performance, retargeting, own).resampled(rate, speed), loops=loops
            )

        written = write_clip(animator, job, counted_from, changes, limit)
        if written is not None:
            result(str(written))
        return
    assert photo is not None
    rate = chosen.representable_fps(fps or track.fps)
    if rate != track.fps or speed != 1:
        track = track.resampled(rate, speed)
    if boomerang:
        track = track.boomerang()
    if loop is not None or chosen.loops:
        track = replace(track, loops=loop is not False)
    if not chosen.animated:
        track = track.frame(track.strongest())
    side = size if size is not None else chosen.default_side or None
    with progress(Path(source).name) as follow:
        frames = animator.animate(photo, track, face=face, intensity=intensity, size=side)
        if compare and clip is not None:
            frames = side_by_side(frames, replace(clip, fps=rate / speed), start)
        followed = replace(frames, pictures=iter(follow(frames, len(frames))))
        silent = mute or boomerang or speed != 1
        sound = None if silent else _sound(clip, start, len(track) / track.fps)
        written = write(followed, path, fmt=fmt, max_size=limit, sound=sound)
    if written is not None:
        result(str(written))


def _check(
    smooth: float,
    shares: tuple[float, float],
    speed: float,
    start: float,
    end: float | None,
    face: int,
    files: tuple[Path | None, ...],
) -> None:
    if not 0 <= smooth <= 5:
        raise UsageError(f"--smooth {smooth:g}: must be 0..5")
    for name, share in zip(("--detail", "--head"), shares, strict=True):
        if not 0 <= share <= 1:
            raise UsageError(f"{name} {share:g}: must be 0..1")
    if not SPEEDS[0] <= speed <= SPEEDS[1]:
        raise UsageError(f"--speed {speed:g}: must be {SPEEDS[0]:g}..{SPEEDS[1]:g}")
    if not start >= 0 or (end is not None and not end > start):
        raise UsageError("--start must be at least 0, and --end after it")
    if face < 1:
        raise UsageError("--target-face counts from 1")
    for file in files:
        if file is not None:
            check_writable(file, special=True)


def _beside(
    source: str, target: str, fmt: str | None, kept: Format | None, clip: Clip | None
) -> str:
    """Where it goes unless -o says; `kept` is the format of a source that is a clip.

    `clip`: the target, unless it is a table. What a video does becomes a video.
    """
    from memegen.media.formats import USUAL_ANIMATION, USUAL_VIDEO, format_of

    film = clip is not None and not clip.still and not clip.animated
    usual = kept or (USUAL_VIDEO if film else USUAL_ANIMATION)
    suffix = (format_of(fmt) if fmt else usual).suffix
    name = fitting(Path(source).stem, Path(target).stem, suffix)
    return str(Path(source).parent / name)


def _track(
    performance: Performance, retargeting: RetargetOptions, still: bool, chosen: Format, own: Array
) -> Track:
    from memegen.performance.retarget import retarget

    track = retarget(performance, retargeting, own)
    return track.there_and_back() if still and not chosen.for_pictures else track


def _tell_reference(performance: Performance, retargeting: RetargetOptions, own: Array) -> None:
    from memegen.performance.retarget import reference_weights

    weights = reference_weights(performance, retargeting.neutral_frame, own)
    chosen = sorted((-weights).argsort(kind="stable")[:5])
    frames = ", ".join(str(frame) for frame in chosen if weights[frame] > 0.01)
    say(f"{performance.name}: changes are counted from frames {frames} of {len(performance)}")


def _sound(clip: Clip | None, start: float, seconds: float) -> Sound | None:
    from memegen.media.commands import Sound

    if clip is None or not clip.audio:
        return None
    return Sound(clip.path, start, seconds, clip.sound)


def _report(performance: Performance) -> None:
    """Say which parts of a clip had no face."""
    missing = int((~performance.seen).sum())
    if missing:
        say(f"{performance.name}: no face in {missing} of {len(performance)} frames; bridged")
