"""Photos of some people driven by clips of others, to see that everybody stays who they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from memegen.arrays import Array, Integers, Picture
from memegen.errors import UsageError
from memegen.evaluation import identity
from memegen.evaluation.identity import Identity
from memegen.evaluation.subjects import looked_at
from memegen.faces.align import Alignment
from memegen.files import written_whole
from memegen.perception.analyze import FaceAnalysis, FaceAnalyzer, read_crop
from memegen.performance.clip import open_clip, read_clip
from memegen.performance.retarget import RetargetOptions, reference_weights, retarget
from memegen.performance.track import FaceTracker, Performance, performance_from
from memegen.photo import Photo, picture_kind, read_photo
from memegen.pipeline import Animator
from memegen.tracks import Track

FRAMES = 12  # of every clip that are compared
SIDE = 640  # longest side of the driven photos
CELL = 160  # pixels of a face on the sheet

Report = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Driver:
    """A clip that drives, and the real faces in it that driven ones are compared with."""

    performance: Performance
    rows: Integers  # (F,) frames that are compared
    faces: Tensor  # (F, 3, S, S)
    calm: Tensor  # (1, 3, S, S)

    @property
    def height(self) -> int:
        """Which of the compared frames shows most."""
        return int(self.performance.units[self.rows].sum(1).argmax())

    def track(self, options: RetargetOptions, source: Array) -> Track:
        """The compared frames, for a photo with the expression `source` (K,)."""
        return retarget(self.performance, options, source).rows(self.rows)


def photos_in(source: Path) -> list[Path]:
    """A photo, or the photos of a folder. Raises UsageError if there is none."""
    found = [source] if source.is_file() else sorted(p for p in source.iterdir() if p.is_file())
    found = [path for path in found if picture_kind(path) == "still"]
    if not found:
        raise UsageError(f"{source}: no photos in this folder")
    return found


def evaluate(
    data: Path,
    photos: list[Path],
    clips: list[Path],
    model: str,
    options: RetargetOptions,
    sheet: Path | None = None,
    warn: Callable[[str], None] = print,
) -> Report:
    """Identity distances of every photo driven by every clip: {photo: {clip: distance}}.

    Distances are to the photo itself. Under `performer itself` stands how far the performer's own
    frames are from the performer's calm face (what these expressions do to anybody), under
    `from performer` how far the driven faces are from the performer's: mixtures would be near.
    `data`: shards that the ruler of identity is fitted on. `sheet` gets a picture: every clip at
    its height, then one row a photo. Clips and photos without a face are left out, `warn` is told.
    """
    animator = Animator(model)
    person = identity.fit(data, animator.analyzer.network)
    performers = looked_at(clips, lambda clip: _performer(clip, animator), warn)
    people = looked_at(photos, lambda path: _person(path, animator), warn)
    acted = {clip.name: driver for clip, driver in performers.items()}
    report: Report = {
        "performer itself": {name: _gone(person, p.faces, p.calm) for name, p in acted.items()},
        "from performer": dict.fromkeys(acted, 0.0),
    }
    rows = [_row([torch.ones(3, CELL, CELL), *(p.faces[p.height] for p in acted.values())])]
    for path, (photo, seen) in people.items():
        place = seen.alignment
        source = _face(photo.rgb, place, animator.analyzer)
        shown, report[path.name] = [source[0]], {}
        for name, driver in acted.items():
            frames = animator.animate(photo, driver.track(options, seen.action_units))
            faces = torch.cat([_face(frame, place, animator.analyzer) for frame in frames])
            report[path.name][name] = _gone(person, faces, source)
            report["from performer"][name] += _gone(person, faces, driver.calm) / len(people)
            shown.append(faces[driver.height])
        rows.append(_row(shown))
    report["ruler"] = {"verification": person.verification}
    if sheet is not None:
        with written_whole(sheet) as partial:
            Image.fromarray(np.concatenate(rows)).save(partial, "PNG")
    return report


def _performer(clip: Path, animator: Animator) -> Driver:
    opened = open_clip(clip)
    frames = list(read_clip(opened).frames)
    found = list(FaceTracker(animator.detector, animator.analyzer).track(frames))
    performance = performance_from(found, opened.fps, clip.stem)
    seen = np.flatnonzero(performance.seen)
    rows = seen[np.linspace(0, len(seen) - 1, min(FRAMES, len(seen))).astype(int)]
    faces = []
    for row in [int(reference_weights(performance).argmax()), *rows]:
        there = found[row]
        assert there is not None
        faces.append(_face(frames[row], there.alignment, animator.analyzer))
    return Driver(performance, rows, torch.cat(faces[1:]), faces[0])


def _person(path: Path, animator: Animator) -> tuple[Photo, FaceAnalysis]:
    photo = _small(read_photo(path))
    return photo, animator.analyze(photo)[0].analysis


def _small(photo: Photo) -> Photo:
    scale = min(1.0, SIDE / max(photo.size))
    return photo.resized(round(photo.size[0] * scale), round(photo.size[1] * scale))


def _face(frame: Picture, near: Alignment, analyzer: FaceAnalyzer) -> Tensor:
    """(1, 3, S, S) the face aligned where it now is."""
    rgb = np.ascontiguousarray(frame[..., :3])
    return read_crop(rgb, analyzer.realign(rgb, near), CELL)


def _gone(person: Identity, faces: Tensor, source: Tensor) -> float:
    """Mean identity distance of faces (T, 3, S, S) from one face (1, 3, S, S)."""
    return person.distance(faces, source.expand_as(faces))


def _row(cells: list[Tensor]) -> Array:
    row = torch.cat(cells, 2).permute(1, 2, 0).clamp(0, 1).numpy()
    return np.asarray(row * 255 + 0.5).astype(np.uint8)
