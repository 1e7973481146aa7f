"""`memegen transfer`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memegen import models
from memegen.cli import captions, complete, dry_run, options
from memegen.cli import mark as marking
from memegen.cli.captions import CaptionOptions
from memegen.cli.clips import ClipJob, clip_for, face_number, is_clip, usual_format, write_clip
from memegen.cli.console import photo_at, result, say
from memegen.cli.output import Output, resolved
from memegen.cli.performance import PerformanceAsked, RetargetingAsked, SavedBeside
from memegen.errors import UsageError
from memegen.files import fitting
from memegen.generators.registry import generating_model

if TYPE_CHECKING:
    from memegen.arrays import Array
    from memegen.media.formats import Format
    from memegen.performance.clip import Clip
    from memegen.performance.retarget import RetargetOptions
    from memegen.performance.track import Performance
    from memegen.photo import Photo
    from memegen.pipeline import Animator
    from memegen.tracks import Track


# The options of `transfer`, so that its signature can be read.
_Source = Annotated[str, typer.Argument(help="Photo to animate, or a video to change.")]
_Target = Annotated[
    str, typer.Argument(help="Whom to copy: a picture, a video, or a CSV of OpenFace's columns.")
]
_Out = Annotated[
    str | None, typer.Option("--out", "-o", help="Output file, or - for standard output.")
]
_Only = Annotated[
    str,
    typer.Option(
        "--only",
        help="Parts that follow: mouth,eyes,brows,head,gaze.",
        autocompletion=complete.parts,
    ),
]
_Relative = Annotated[
    bool | None,
    typer.Option(
        "--relative/--absolute",
        help="Add the performer's changes to the own expression (as videos do), or take the "
        "expression as it is (as pictures do).",
    ),
]
_NeutralFrame = Annotated[
    int | None,
    typer.Option(
        "--neutral-frame",
        help="The performer's frame that changes are counted from, from 0; unless given, "
        "those nearest to the photo's expression.",
    ),
]
_Smooth = Annotated[float, typer.Option("--smooth", help="Strength of smoothing, 0..5.")]
_Gain = Annotated[str | None, typer.Option("--gain", help='Scales action units: "AU12=1.5,AU4=0".')]
_Detail = Annotated[
    float,
    typer.Option(
        "--detail",
        help="How far the face copies what the performer's does beyond action units, "
        "0..1; with --relative only.",
    ),
]
_Head = Annotated[
    float | None,
    typer.Option(
        "--head",
        help="How far the head follows, in place and in turns, 0..1. A clip's own head keeps "
        "its place unless this is given.",
        show_default="1",
    ),
]
_TargetFace = Annotated[
    int, typer.Option("--target-face", help="Face of the target, from 1, largest first.")
]
_Start = Annotated[float, typer.Option("--start", help="Seconds into the target.")]
_End = Annotated[float | None, typer.Option("--end", help="Seconds into the target.")]
_Speed = Annotated[float, typer.Option("--speed", help="2 plays twice as fast.")]
_Boomerang = Annotated[bool, typer.Option("--boomerang", help="Play forth and back.")]
_Compare = Annotated[bool, typer.Option("--compare", help="Show the target beside it.")]
_Mute = Annotated[bool, typer.Option("--mute", help="Leave the sound out.")]
_SaveTrack = Annotated[
    Path | None, typer.Option("--save-track", help="Also write the performance as CSV.")
]
_SaveRecipe = Annotated[
    Path | None, typer.Option("--save-recipe", help="Also write it as a recipe, a .yaml.")
]
_Verbose = Annotated[
    bool, typer.Option("--verbose", help="Say which frames changes are counted from.")
]


def transfer(
    source: _Source,
    target: _Target,
    out: _Out = None,
    only: _Only = "mouth,eyes,brows,head,gaze",
    relative: _Relative = None,
    neutral_frame: _NeutralFrame = None,
    smooth: _Smooth = 1.0,
    gain: _Gain = None,
    detail: _Detail = 1.0,
    head: _Head = None,
    intensity: options.Intensity = 1.0,
    face: options.Face = "largest",
    target_face: _TargetFace = 1,
    start: _Start = 0.0,
    end: _End = None,
    speed: _Speed = 1.0,
    boomerang: _Boomerang = False,
    fps: options.Fps = None,
    size: options.Size = None,
    max_size: options.MaxSize = None,
    loop: options.Loop = None,
    compare: _Compare = False,
    mute: _Mute = False,
    crop: options.Crop = None,
    cutout: options.Cutout = None,
    platform: options.For = None,
    save_track: _SaveTrack = None,
    save_recipe: _SaveRecipe = None,
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
    verbose: _Verbose = False,
    dry: options.DryRun = False,
) -> None:
    """Make a photo or a video copy another face's expression, or a whole performance."""
    from memegen import recipes

    recipes.check_ranges(intensity, fps, None)
    asked = RetargetingAsked(only, relative, neutral_frame, smooth, gain, detail, head)
    played = PerformanceAsked(target, target_face, start, end, speed, boomerang, fps)
    saved = SavedBeside(save_track, save_recipe)
    asked.check()
    played.check()
    saved.check()
    said = CaptionOptions(top, bottom, caption, caption_at, caption_style, font)
    marked = marking.mark_asked(mark, mark_text)
    plain = Output(fmt, size, max_size, loop, mute, cutout=cutout, captions=said, mark=marked)
    output = Output.on(platform, crop, plain)
    job = _Transfer(source, played, asked, saved, output, face, intensity)
    if dry:
        job.tell(out, compare, (model, device))
    else:
        job.run(out, compare, (model, device), verbose)


@dataclass(frozen=True)
class _Transfer:
    """One photo or clip, and the performance that it is given."""

    source: str
    played: PerformanceAsked
    asked: RetargetingAsked
    saved: SavedBeside
    output: Output
    face: str
    intensity: float

    def run(self, out: str | None, compare: bool, model: tuple[str, str], verbose: bool) -> None:
        """Do it; whatever can be refused before networks are loaded is refused."""
        clip, path = self._checked(out, compare)
        still = clip is not None and clip.still
        onto = is_clip(self.source)
        job = self._clip_job(path) if onto else None
        photo = None if onto else photo_at(self.source)
        generating_model(model[0])
        retargeting = self.asked.options(still)
        from memegen.pipeline import Animator

        animator = Animator(*model)
        performance = self.played.tracked(animator, None if onto else self.played.fps)
        self.saved.write_track(performance)
        if job is not None:
            self._onto_clip(animator, job, performance, retargeting, still)
        elif photo is not None:
            whom = animator.analyze(photo, self.face)[0].analysis.action_units
            if verbose and retargeting.relative:
                _tell_reference(performance, retargeting, whom)
            track = self._on_photo(performance, retargeting, path, still, whom)
            self._write(animator, photo, track, path, clip, compare)

    def tell(self, out: str | None, compare: bool, model: tuple[str, str]) -> None:
        """Say what `run` would write. The target's length is read off it, its face not tracked."""
        clip, path = self._checked(out, compare)
        still = clip is not None and clip.still
        job = self._clip_job(path) if is_clip(self.source) else None
        photo = None if job else photo_at(self.source)
        generating_model(model[0])
        self.asked.options(still)
        faces = ""
        if job is not None:
            planned = dry_run.of_clip(job)
        elif photo is not None:
            from memegen.pipeline import Animator

            seen = Animator(*model).analyze(photo, self.face)
            track = self._as_played(self.played.resting(clip), path, still)
            output = replace(self.output, size=self.output.side_of(self.output.format_at(path)))
            planned = dry_run.of_photo(photo, seen, track, path, output)
            planned = replace(planned, about=clip is not None and not still)
            faces = dry_run.faces_said(len(seen)) + (", the target beside it" if compare else "")
        dry_run.tell(planned, faces)
        for beside in (self.saved.track, self.saved.recipe):
            if beside is not None:
                result(f"would write {beside}")
        dry_run.end()

    def _checked(self, out: str | None, compare: bool) -> tuple[Clip | None, str]:
        """The target, unless it is a table, and the output. Raises UsageError."""
        self.output.check(out)
        clip, onto = self.played.clip(), is_clip(self.source)
        path = out or self._path(usual_format(self.source) if onto else None, clip)
        self._refuse_overwriting(path)
        still = clip is not None and clip.still
        if compare and (clip is None or still or self.played.boomerang):
            raise UsageError("--compare needs a video as target, and no --boomerang")
        if onto and (compare or self.played.boomerang):
            raise UsageError("--compare and --boomerang need a photo as source")
        self.output.check_cutout(path)
        if onto:
            self.output.check_clip(self.source)
        return clip, path

    def _on_photo(
        self, performance: Performance, asked: RetargetOptions, path: str, still: bool, whom: Array
    ) -> Track:
        """What a photo with expression `whom` (K,) plays; a picture's face is gone to and left."""
        from memegen.performance.retarget import retarget

        return self._as_played(retarget(performance, asked, whom), path, still, save=True)

    def _as_played(self, track: Track, path: str, still: bool, save: bool = False) -> Track:
        """A retargeted track as a photo plays it; `save`: as a recipe too, if asked for."""
        chosen, played = self.output.format_at(path), self.played
        if still and not chosen.for_pictures:
            track = track.there_and_back()
        if save:
            self.saved.write_recipe(track)
        rate = chosen.representable_fps(played.fps or track.fps)
        if rate != track.fps or played.speed != 1:
            track = track.resampled(rate, played.speed)
        if played.boomerang:
            track = track.boomerang()
        if self.output.loop is not None or chosen.loops:
            track = replace(track, loops=self.output.loop is not False)
        return track if chosen.animated else track.frame(track.strongest())

    def _write(
        self,
        animator: Animator,
        photo: Photo,
        track: Track,
        path: str,
        clip: Clip | None,
        compare: bool,
    ) -> None:
        """Write a photo that plays a track, with the clip beside it to `compare`."""
        from memegen.frames import side_by_side

        side = self.output.side_of(self.output.format_at(path))
        part = self.output.crop, self.output.cutout
        ready = animator.prepare_photo(photo, self.face, side, *part)
        frames = ready.play(track, self.intensity)
        if compare and clip is not None:
            shown = replace(clip, fps=track.fps / self.played.speed)
            frames = side_by_side(frames, shown, self.played.start)
        sound = self.played.sound(clip, len(track) / track.fps)
        self.output.write(frames, path, Path(self.source).name, sound)

    def _onto_clip(
        self,
        animator: Animator,
        job: ClipJob,
        performance: Performance,
        asked: RetargetOptions,
        still: bool,
    ) -> None:
        """Write a clip that is given the performance."""
        from memegen.performance.retarget import retarget

        # A clip keeps its own way through the picture: heads turn and tilt where they are, and
        # what is around them stays as it is, unless they are asked to go along.
        if self.asked.head is None:
            performance = replace(performance, heads=None)
        self.saved.write_recipe(retarget(performance, asked))
        loops, rate = still or bool(self.output.loop), job.clip.fps

        def counted_from(usual: Array) -> Track:
            track = retarget(performance, asked, usual).resampled(rate, self.played.speed)
            return replace(track, loops=loops)

        write_clip(animator, job, counted_from)

    def _clip_job(self, path: str) -> ClipJob:
        clip, output = clip_for(self.source, path, self.output, self.played.fps)
        absolute = self.asked.relative is False
        return ClipJob(clip, path, output, face_number(self.face), self.intensity, absolute)

    def _path(self, kept: Format | None, clip: Clip | None) -> str:
        """Where it goes unless -o says; `kept` is the format of a source that is a clip.

        `clip`: the target, unless it is a table. What a video does becomes a video.
        """
        from memegen.media.formats import USUAL_ANIMATION, USUAL_VIDEO, format_of

        film = clip is not None and not clip.still and not clip.animated
        usual = kept or (USUAL_VIDEO if film else USUAL_ANIMATION)
        suffix = (format_of(self.output.fmt) if self.output.fmt else usual).suffix
        name = fitting(Path(self.source).stem, Path(self.played.target).stem, suffix)
        return str(Path(self.source).parent / name)

    def _refuse_overwriting(self, path: str) -> None:
        """Raises UsageError where a file would be written over an input, or cannot be written."""
        from memegen.media.encode import target_for

        inputs = resolved(self.source, self.played.target)
        if Path(path).resolve() in inputs:
            raise UsageError(f"{path}: is one of the inputs; choose another name")
        self.saved.check(frozenset(inputs | resolved(path)))
        target_for(path, self.output.fmt)


def _tell_reference(performance: Performance, asked: RetargetOptions, whom: Array) -> None:
    from memegen.performance.retarget import reference_weights

    weights = reference_weights(performance, asked.neutral_frame, whom)
    chosen = sorted((-weights).argsort(kind="stable")[:5])
    frames = ", ".join(str(frame) for frame in chosen if weights[frame] > 0.01)
    say(f"{performance.name}: changes are counted from frames {frames} of {len(performance)}")
