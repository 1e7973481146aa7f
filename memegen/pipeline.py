"""From a photo to frames: find, analyze, render, composite. One frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from memegen import models, recipes
from memegen.arrays import Array, Picture
from memegen.aus import parse_expression
from memegen.captions.frames import drawn
from memegen.cartoon.find import DrawnFaceFinder
from memegen.compositing import PreparedFace, render
from memegen.crop import checked_crop, crop_box
from memegen.cutout.cut import cut_box, cut_out
from memegen.devices import device_named
from memegen.errors import UsageError
from memegen.faces.align import Alignment
from memegen.faces.choose import Choice, choose, parse_choice
from memegen.faces.detect import Detector
from memegen.footage import clip_edit, render_clip, track_clip
from memegen.frames import Frames
from memegen.generators import Scene, generator_named
from memegen.generators.registry import generating_model
from memegen.generators.shared_appearance import SharedAppearance
from memegen.generators.tone import GreyscaleRenderer, tone_of
from memegen.geometry.anatomy import load_anatomy
from memegen.geometry.box import Box
from memegen.geometry.head import FACE_MIDDLE
from memegen.geometry.motion import FaceMotion
from memegen.geometry.outline import fill
from memegen.media.commands import Sound
from memegen.media.encode import Target, target_for
from memegen.media.encode import write as write_target
from memegen.media.provenance import sentence
from memegen.media.sizes import MAX_SIDE, checked_side, parse_size
from memegen.perception.analyze import FaceAnalysis, FaceAnalyzer
from memegen.perception.find import AnalyzedFace, FaceFinder
from memegen.performance.clip import Clip, open_clip, read_clip
from memegen.performance.table import read_csv
from memegen.performance.track import FaceTracker, Performance, performance_from
from memegen.photo import Photo, read_photo
from memegen.process import flush_denormals, give_back_memory
from memegen.tracks import Track

_LARGEST = Choice()


@dataclass(frozen=True)
class PreparedPhoto:
    """A photo whose faces are ready to be painted, as often as wanted, in several threads too."""

    canvas: Picture  # (H, W, 3 or 4) at the size of the frames
    faces: list[PreparedFace]
    boxes: tuple[Box, ...]  # where the faces are on the canvas

    def play(self, track: Track, intensity: float = 1.0) -> Frames:
        """Frames in which the faces follow a track; `intensity` scales the change."""
        return Frames(
            render(self.canvas, self.faces, track, intensity),
            len(track),
            (self.canvas.shape[1], self.canvas.shape[0]),
            track.fps,
            track.loops,
            sentence(track.kind, track.name),
            track.captions,
            self.boxes,
        )


class Animator:
    """Animates photos. Networks are loaded once and used for every photo.

    model: `anatomical`, `mesh`, or what `memegen train` made (a file or a run's folder).
    device: auto, cpu, cuda or mps.
    """

    def __init__(self, model: str = models.DEFAULT, device: str = "auto") -> None:
        flush_denormals()
        self._device = device_named(device)
        self.model = model
        self.drawings = generating_model(model).drawings  # whether it animates drawn faces
        self.generator = generator_named(model, self._device)  # what renders faces
        self.detector = Detector(self._device)

    @cached_property
    def analyzer(self) -> FaceAnalyzer:
        """The perception network, loaded on first use."""
        return FaceAnalyzer(device=self._device)

    def release_analyzer(self) -> None:
        """Give the memory of the perception network back, for who has seen all faces."""
        self.__dict__.pop("analyzer", None)
        give_back_memory()

    def analyze(
        self, photo: Photo | str | Path, face: str | Choice = _LARGEST
    ) -> list[AnalyzedFace]:
        """Find and analyze the chosen faces of a photo, largest first."""
        picture = photo if isinstance(photo, Photo) else read_photo(photo)
        choice = face if isinstance(face, Choice) else parse_choice(face)
        if self.drawings:
            return choose(picture, choice, DrawnFaceFinder(self.detector))
        return choose(picture, choice, FaceFinder(self.detector, self.analyzer))

    def track_face(
        self,
        source: str | Path,
        *,
        face: int = 1,
        fps: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        warn: Callable[[str], None] = print,
    ) -> Performance:
        """Track one face through a picture, animated picture or video, or read a CSV table.

        face counts from 1, largest first; start and end are seconds; fps the rate of the result
        (the clip's own unless given). `warn` is told what of a damaged file could not be read.
        """
        path = Path(source)
        if face < 1 or start < 0 or (end is not None and end <= start):
            raise UsageError("faces count from 1, and a clip ends after it starts")
        if path.suffix.lower() == ".csv":
            return read_csv(path, face).between(start, end)
        clip = open_clip(path, fps)
        if clip.seconds is not None and start >= clip.seconds:
            raise UsageError(f"{path}: --start {start:g} is after its end ({clip.seconds:.2f} s)")
        reading = read_clip(clip, start, end)
        tracker = FaceTracker(self.detector, self.analyzer, face)
        performance = performance_from(tracker.track(reading.frames), clip.fps, path.stem, face)
        if reading.problem:
            warn(reading.problem)
        return performance

    def animate(
        self,
        photo: Photo | str | Path,
        recipe: str | recipes.Recipe | Track = "smile",
        *,
        au: str | dict[str, float] | None = None,
        face: str | Choice = _LARGEST,
        intensity: float = 1.0,
        fps: float | None = None,
        duration: float | None = None,
        size: int | None = None,
    ) -> Frames:
        """Frames of a photo that plays a recipe.

        recipe: a name (`smile`, `smile+wink`), a YAML file, a Recipe or a Track. au: an expression
        instead (`"AU12=4,AU6=2"` or a mapping), gone to and back. intensity scales the change,
        duration is seconds of one cycle (a Track has its own rate and length), size the longest
        side in pixels (never enlarged). `prepare_photo` does the same in two steps, and crops.
        Raises the errors of `memegen.errors`.
        """
        recipes.check_ranges(intensity, fps, duration)
        track = _track_of(recipe, au, fps, duration)
        return self.prepare_photo(photo, face, size).play(track, intensity)

    def prepare_photo(
        self,
        photo: Photo | str | Path,
        face: str | Choice = _LARGEST,
        size: int | None = None,
        crop: str | None = None,
        cutout: str | None = None,
    ) -> PreparedPhoto:
        """Do everything for a photo that does not depend on what is played.

        face and size as for `animate`; cutout is what stays of the photo: head, person, or all;
        crop what of it is shown: none, square, head or face; unless given, all that stays.
        """
        picture = photo if isinstance(photo, Photo) else read_photo(photo)
        return self.prepare_canvas(picture, self.analyze(picture, face), size, crop, cutout)

    def prepare_canvas(
        self,
        picture: Photo,
        seen: list[AnalyzedFace],
        size: int | None = None,
        crop: str | None = None,
        cutout: str | None = None,
    ) -> PreparedPhoto:
        """The same for faces that were found in the photo before; the rest as there."""
        placed = framed(picture, seen, size, crop, cutout)
        picture, scale = placed.picture, placed.scale
        small = picture if scale == 1 else picture.resized(*placed.size)
        canvas = small.channels()
        faces = [self.prepare_face(canvas, s, scale) for s in placed.faces]
        return PreparedPhoto(canvas, faces, placed.boxes)

    def animate_clip(
        self,
        source: str | Path | Clip,
        recipe: str | recipes.Recipe | Track | Callable[[Array], Track] = "smile",
        *,
        au: str | dict[str, float] | None = None,
        face: int = 1,
        intensity: float = 1.0,
        absolute: bool = False,
        size: int | None = None,
        warn: Callable[[str], None] = print,
    ) -> Frames:
        """Frames of a video or animated picture in which a face plays a recipe; all else is kept.

        recipe, au and intensity as for `animate`, or what makes a track of the face's habitual
        expression (K,); the clip's length counts. What the recipe does is added to what the face
        does anyway; `absolute` takes the channels over that it sets. face counts from 1, largest
        first; size is the longest side in pixels (never enlarged).
        `warn` is told what of a damaged file could not be read.
        Raises the errors of `memegen.errors`.
        """
        recipes.check_ranges(intensity, None, None)
        if self.drawings:
            raise UsageError(f"{source}: moves; `model` {self.model} animates drawings that do not")
        if face < 1:
            raise UsageError("faces count from 1")
        side = MAX_SIDE if size is None else checked_side(size)
        clip = source if isinstance(source, Clip) else open_clip(source, None)
        ready = None if callable(recipe) else _track_of(recipe, au, clip.fps, None)
        tracker = FaceTracker(self.detector, self.analyzer, face)
        footage = track_clip(tracker, clip, side, warn)
        track = recipe(footage.usual) if callable(recipe) else ready
        assert track is not None
        if track.fps != clip.fps:
            track = track.resampled(clip.fps)
        plan = clip_edit(footage, track, intensity, absolute)
        return Frames(
            render_clip(footage, plan, clip, side, self.prepare),
            len(footage),
            footage.size,
            clip.fps,
            clip.animated,
            sentence(track.kind, track.name),
            track.captions_over(len(footage)),
            (footage.face_box,),
        )

    def prepare_face(self, canvas: Picture, seen: FaceAnalysis, scale: float = 1.0) -> PreparedFace:
        """A seen face of a picture (H, W, 3 or 4), `scale` times the photo that it was seen in."""
        # A face that lies is rendered in the picture turned upright: there up is up.
        alignment = Alignment(seen.alignment.matrix * scale, seen.alignment.offset * scale)
        turns = alignment.turns
        alignment = alignment.turned(turns, canvas.shape[1], canvas.shape[0])
        motion = FaceMotion.of(seen.landmarks, seen.action_units, load_anatomy())
        face = self.prepare(np.rot90(canvas, turns), alignment, motion)
        return replace(face, turns=turns)

    def prepare(
        self,
        canvas: Picture,
        alignment: Alignment,
        motion: FaceMotion,
        shared_appearance: SharedAppearance | None = None,
    ) -> PreparedFace:
        """A face of a picture (H, W, 3 or 4), ready to be rendered.

        alignment says where the crop lies whose units the motion's landmarks are in, in the
        picture's pixels; shared_appearance is what several pictures of one person share.
        """
        box, scene = Scene.of(canvas, alignment, motion, self.drawings)
        renderer = self.generator.prepare(replace(scene, shared_appearance=shared_appearance))
        tone = shared_appearance.tone if shared_appearance else tone_of(scene.picture)
        if tone is not None:
            renderer = GreyscaleRenderer(renderer, tone, scene.picture)
        local = Box(0, 0, box.right - box.left, box.bottom - box.top)
        inside = np.where(fill(renderer.outline(), local) > 0.5, 255, 0).astype(np.uint8)
        channels = np.repeat(inside[..., None], canvas.shape[2], 2)
        middle = alignment.to_photo(motion.pose.to_crop(FACE_MIDDLE[None])[:, :2])[0]
        turn = alignment.matrix / alignment.width
        iod = float(motion.pose.scale) * alignment.width
        return PreparedFace(box, channels, renderer, motion.source, motion, middle, iod, turn)


@dataclass(frozen=True)
class Framed:
    """What part of a photo is shown, how large, and where its faces are."""

    picture: Photo  # that part, at the photo's own size
    scale: float  # from that to frames
    size: tuple[int, int]  # width and height of frames
    faces: list[FaceAnalysis]  # in the part
    boxes: tuple[Box, ...]  # where they are in frames


def framed(
    picture: Photo,
    seen: Sequence[AnalyzedFace],
    size: int | None = None,
    crop: str | None = None,
    cutout: str | None = None,
) -> Framed:
    """The part of a photo that `prepare_canvas` shows; the arguments as there."""
    found = [one.analysis for one in seen]
    box = crop_box(checked_crop(crop or "none"), found, picture.size)
    if cutout is not None:
        picture = cut_out(picture, found, cutout)
        box = cut_box(picture, found) if crop is None else box
    picture = picture.cropped(*box.slices) if box.shape != picture.rgb.shape[:2] else picture
    scale = _scale_to(picture, size)
    small = _scaled(picture.size, scale)
    moved = [replace(s, alignment=s.alignment.moved(-box.left, -box.top)) for s in found]
    return Framed(picture, scale, small, moved, tuple(_box_on(s, scale, small) for s in moved))


def _box_on(seen: FaceAnalysis, scale: float, size: tuple[int, int]) -> Box:
    """Where a seen face is in a picture (width, height), `scale` times what it was seen in."""
    points = seen.alignment.to_photo(seen.landmarks[:, :2]) * scale
    return Box.around(points, 0, size[1], size[0])


def _track_of(
    recipe: str | recipes.Recipe | Track,
    au: str | dict[str, float] | None,
    fps: float | None,
    duration: float | None,
) -> Track:
    if au is not None:
        expression = parse_expression(au) if isinstance(au, str) else au
        return recipes.of_expression(expression).track(fps, duration)
    if isinstance(recipe, Track):
        return recipe
    if isinstance(recipe, recipes.Recipe):
        return recipe.track(fps, duration)
    return recipes.load_track(recipe, fps, duration)


def _scale_to(photo: Photo, size: int | None) -> float:
    return 1.0 if size is None else min(1.0, checked_side(size) / max(photo.size))


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def write(
    frames: Frames,
    path: str | Path,
    *,
    fmt: str | None = None,
    max_size: str | int | None = None,
    sound: Sound | None = None,
    exact: bool = False,
    warn: Callable[[str], None] = print,
) -> Path | None:
    """Write frames to a file whose suffix chooses the format (`media.formats`), or `-`.

    Their captions are drawn. max_size: largest file, bytes or for example "8MB"; exact: it leaves
    width and height alone. sound: for videos. `warn` is told of characters that no font has.
    """
    frames = drawn(frames, warn)
    limit = parse_size(max_size) if isinstance(max_size, str) else max_size
    target: Target = target_for(str(path), fmt)
    target = replace(target, max_bytes=limit, comment=frames.comment, sound=sound, exact=exact)
    return write_target(frames, frames.fps, frames.loops, target)
