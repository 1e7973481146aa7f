"""`memegen animate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memegen import models
from memegen.cli import captions, complete, dry_run, options
from memegen.cli import mark as marking
from memegen.cli.captions import CaptionOptions
from memegen.cli.clips import ClipJob, clip_for, face_number, is_clip, usual_format, write_clip
from memegen.cli.console import fail, in_one_line, photo_at, say
from memegen.cli.output import Output, resolved
from memegen.errors import UsageError
from memegen.files import fitting
from memegen.generators.registry import generating_model
from memegen.media.formats import suffixes_said
from memegen.played import Played

if TYPE_CHECKING:
    from memegen.photo import Photo
    from memegen.pipeline import Animator
    from memegen.tracks import Track

SOME_FAILED = 6

# The options of `animate`, so that its signature can be read.
_Photos = Annotated[
    list[str],
    typer.Argument(
        help="Photos to animate; videos and animated pictures keep their own motion and sound.",
        metavar="PHOTO...",
    ),
]
Recipe = Annotated[
    str,
    typer.Option(
        "--recipe",
        "-r",
        help="Recipe name, several joined by +, or a YAML file.",
        autocompletion=complete.recipe,
    ),
]
Au = Annotated[
    str | None,
    typer.Option(
        "--au",
        help='An expression instead of a recipe: "AU12=4,AU6=2".',
        autocompletion=complete.expression,
    ),
]
_Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        help="Output file, folder, or - for standard output; the suffix "
        f"({suffixes_said()}) chooses the format.",
    ),
]
_Still = Annotated[
    bool, typer.Option("--still", help="One picture: the strongest moment of the recipe.")
]
_Relative = Annotated[
    bool,
    typer.Option(
        "--relative/--absolute", help="Of videos: add to the face's own expression, or replace it."
    ),
]
_Mute = Annotated[bool, typer.Option("--mute", help="Leave a video's sound out.")]


def animate(
    photos: _Photos,
    recipe: Recipe = "smile",
    au: Au = None,
    out: _Out = None,
    face: options.Face = "largest",
    intensity: options.Intensity = 1.0,
    fps: options.Fps = None,
    duration: options.Duration = None,
    size: options.Size = None,
    max_size: options.MaxSize = None,
    loop: options.Loop = None,
    still: _Still = False,
    relative: _Relative = True,
    mute: _Mute = False,
    crop: options.Crop = None,
    cutout: options.Cutout = None,
    platform: options.For = None,
    top: captions.Top = None,
    bottom: captions.Bottom = None,
    caption: captions.Text = None,
    caption_at: captions.At = "above",
    caption_style: captions.Style = None,
    font: captions.Font = None,
    mark: marking.Mark = None,
    mark_text: marking.MarkText = None,
    fmt: options.Format = None,
    model: options.Model = models.DEFAULT,
    device: options.Device = "auto",
    dry: options.DryRun = False,
) -> None:
    """Animate photos by a recipe or by action units; change the expression in videos."""
    from memegen import recipes

    recipes.check_ranges(intensity, fps, duration)
    said = CaptionOptions(top, bottom, caption, caption_at, caption_style, font)
    marked = marking.mark_asked(mark, mark_text)
    plain = Output(fmt, size, max_size, loop, mute, cutout=cutout, captions=said, mark=marked)
    output = Output.on(platform, crop, plain)
    job = _Job(Played(recipe, au, fps, duration, loop), output, face, intensity, not relative, dry)
    failed = job.run(photos, out, still, (model, device))
    if failed:
        say(f"{failed} of {len(photos)} photos failed")
        raise typer.Exit(SOME_FAILED)


@dataclass(frozen=True)
class _Job:
    """What is done to every photo and clip."""

    played: Played
    output: Output
    face: str
    intensity: float
    absolute: bool
    dry: bool  # say what would be written, write nothing

    def run(self, photos: list[str], out: str | None, still: bool, model: tuple[str, str]) -> int:
        """Animate all; returns how many failed. One that fails alone raises its error."""
        self.output.check()
        paths = [self._path_for(photo, out, still, len(photos)) for photo in photos]
        _refuse_overwriting(photos, paths, self.output.fmt)
        moving = [not still and is_clip(photo) for photo in photos]
        if any(moving):
            face_number(self.face)
            self.output.check_clip(photos[moving.index(True)])
        for path in paths:
            self.output.check_cutout(path)
        stills = [path for path, moves in zip(paths, moving, strict=True) if not moves]
        chosen = self.output.format_at(stills[0] if stills else "-")
        track = self.played.on_photos(chosen, still)
        size = self.output.size if still else self.output.side_of(chosen)
        # Say so before loading networks.
        first = self._read(photos[0], paths[0], moving[0]) if len(photos) == 1 else None
        generating_model(model[0])
        from memegen.pipeline import Animator

        animator = Animator(*model)
        failed = 0
        for photo, path, moves in zip(photos, paths, moving, strict=True):
            try:
                source = first or self._read(photo, path, moves)
                self._one(animator, source, path, track, size, last=path == paths[-1])
            except Exception as error:  # whatever one photo does, the others get their turn
                if len(photos) == 1:
                    raise
                fail(in_one_line(error, photo))
                failed += 1
        if self.dry:
            dry_run.end()
        return failed

    def _one(
        self,
        animator: Animator,
        source: Photo | ClipJob,
        path: str,
        track: Track,
        size: int | None,
        last: bool,
    ) -> None:
        if self.dry:
            self._tell(animator, source, path, track, size)
            return
        if isinstance(source, ClipJob):
            write_clip(animator, source, self.played.at(source.clip.fps))
            return
        shown = self.output.crop, self.output.cutout
        ready = animator.prepare_photo(source, self.face, size, *shown)
        if last:
            animator.release_analyzer()
        frames = ready.play(track, self.intensity)
        about = source.path.name if source.path else "photo"
        self.output.write(frames, path, about)

    def _tell(
        self, animator: Animator, source: Photo | ClipJob, path: str, track: Track, size: int | None
    ) -> None:
        """What `_one` would write; faces of photos are looked for, those of clips are not."""
        if isinstance(source, ClipJob):
            dry_run.tell(dry_run.of_clip(source, self.played.at(source.clip.fps)))
            return
        seen = animator.analyze(source, self.face)
        planned = dry_run.of_photo(source, seen, track, path, replace(self.output, size=size))
        dry_run.tell(planned, dry_run.faces_said(len(seen)))

    def _read(self, photo: str, path: str, moves: bool) -> Photo | ClipJob:
        if not moves:
            return photo_at(photo)
        clip, output = clip_for(photo, path, self.output, self.played.fps)
        face = face_number(self.face)
        return ClipJob(clip, path, output, face, self.intensity, self.absolute)

    def _path_for(self, photo: str, out: str | None, still: bool, count: int) -> str:
        """Where a photo's animation goes: -o, inside the folder -o, or beside the photo."""
        from memegen.media.formats import USUAL_ANIMATION, USUAL_STILL, format_of

        fmt = self.output.fmt
        moving = usual_format(photo) if is_clip(photo) else USUAL_ANIMATION
        suffix = (format_of(fmt) if fmt else USUAL_STILL if still else moving).suffix
        name = fitting(Path(photo).stem, self.played.name, suffix)
        self.output.check(out)
        if out is None:
            return str(Path(photo).parent / name)
        if out != "-" and (Path(out).is_dir() or out.endswith("/")):
            return str(Path(out) / name)
        if count > 1:
            raise UsageError(f"-o {out}: {count} photos need a folder to go to")
        return out


def _refuse_overwriting(photos: Sequence[str], paths: Sequence[str], fmt: str | None) -> None:
    """Check before any work that every output can be written and overwrites no photo."""
    from memegen.media.encode import target_for

    inputs = resolved(*photos)
    taken: dict[Path, str] = {}
    for photo, output in zip(photos, paths, strict=True):
        target = target_for(output, fmt).path
        if target is None:
            continue
        path = target.resolve()
        if path in inputs:
            raise UsageError(f"{output}: is a photo to animate; choose another name")
        if path in taken:
            raise UsageError(f"{output}: {taken[path]} and {photo} would both be written there")
        taken[path] = photo
