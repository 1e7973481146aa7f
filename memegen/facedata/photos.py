"""Photos of one's own as face data: faces found, aligned, labelled by perception, and kept.

What is found in a photo is kept in a cache under the hash of the photo and of the perception
weights: a folder is labelled once, goes on where it was broken off, and follows changes of either.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import signal
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from memegen import weights
from memegen.arrays import Array, Integers, Picture
from memegen.errors import MemegenError, UsageError
from memegen.facedata.teachers import MediaPipeTeacher
from memegen.faces.align import IOD_IN_CROP
from memegen.faces.choose import Choice, choose
from memegen.faces.detect import Detector
from memegen.perception.analyze import FaceAnalysis, FaceAnalyzer, read_crop
from memegen.perception.find import FaceFinder
from memegen.performance.clip import open_clip, read_clip
from memegen.performance.track import FaceTracker
from memegen.photo import picture_kind, picture_suffixes, read_photo

CROP = 256  # pixels of the aligned crops that are kept
QUALITY = 95  # of their JPEG
SMALLEST = 24  # pixels between the eyes below which a face teaches nothing
TURNED = 35.0  # degrees beyond which perception was never taught
OF_A_CLIP = 160  # frames taken from a clip at most, those that differ most
FORMAT = "1"  # of the cached files
HELD_OUT = 6  # of photos without a split of their own, every sixth is held out
FEWEST = 6  # photos that training makes sense with
FEW = 48  # photos that are labelled in this process: others take seconds to start


@dataclass(frozen=True)
class LabelledFace:
    """One face of a photo, or of a frame."""

    name: str
    jpeg: bytes  # aligned crop
    landmarks: Array  # (478, 3) crop units
    units: Array  # (K,) channels 0..1


@dataclass(frozen=True)
class Labelled:
    """The faces of a folder or clip, and what was left out for which reason."""

    faces: list[LabelledFace]
    bad: dict[str, str]

    @property
    def units(self) -> Array:
        """(N, K) channels of all faces."""
        return np.stack([face.units for face in self.faces])


class Labeller:
    """Finds and understands the largest face of a photo. Networks are loaded on first use.

    landmarker: MediaPipe's file, where its opinion counts instead of perception's.
    """

    def __init__(self, device: str = "cpu", landmarker: Path | None = None) -> None:
        self._device, self._landmarker = device, landmarker

    @cached_property
    def detector(self) -> Detector:
        """MTCNN."""
        return Detector(self._device)

    @cached_property
    def analyzer(self) -> FaceAnalyzer:
        """The perception network."""
        return FaceAnalyzer(device=self._device)

    @cached_property
    def teacher(self) -> MediaPipeTeacher | None:
        """Whose opinion counts, if it is not perception's."""
        return MediaPipeTeacher(self._landmarker) if self._landmarker else None

    def close(self) -> None:
        """Give back what is not given back by itself."""
        if "teacher" in vars(self) and self.teacher is not None:
            self.teacher.close()

    def photo(self, path: Path) -> LabelledFace:
        """Raises MemegenError with the reason why a photo is of no use."""
        photo = read_photo(path)
        seen = choose(photo, Choice(), FaceFinder(self.detector, self.analyzer))[0]
        return self.labelled(path.name, photo.rgb, seen.analysis)

    def labelled(self, name: str, rgb: Picture, seen: FaceAnalysis) -> LabelledFace:
        """A face that was seen, as data. Raises MemegenError if it is of no use."""
        crop = useful_crop(rgb, seen)
        landmarks, units = seen.landmarks.astype(np.float32), seen.action_units
        if self.teacher is not None:
            landmarks, units = self.teacher.label(crop, units)
        data = io.BytesIO()
        Image.fromarray(crop).save(data, "JPEG", quality=QUALITY)
        return LabelledFace(name, data.getvalue(), landmarks, units)


def useful_crop(rgb: Picture, seen: FaceAnalysis) -> Picture:
    """The aligned crop. Raises MemegenError if the face is too small or turned too far."""
    gap = seen.alignment.width * IOD_IN_CROP
    if gap < SMALLEST:
        raise MemegenError(f"the face is too small: {gap:.0f} pixels between the eyes")
    turn = float(np.abs(seen.angles[:2]).max())
    if turn > TURNED:
        raise MemegenError(f"the head is turned by {turn:.0f} degrees")
    crop = read_crop(rgb, seen.alignment, CROP)[0].permute(1, 2, 0).clamp(0, 1).numpy()
    return (crop * 255 + 0.5).astype(np.uint8)


def label(
    source: Path,
    cache: Path | None = None,
    device: str = "cpu",
    workers: int | None = None,
    follow: Callable[[int, int], None] = lambda done, count: None,
    landmarker: Path | None = None,
) -> Labelled:
    """The faces of a folder of photos (and its subfolders), of one photo, or of one clip.

    cache: where results are kept, `default_cache()` unless given. workers: processes; as many as
    are of use unless given. follow: told how many of how many files are done. landmarker:
    MediaPipe's file, where its opinion counts instead of perception's.
    Raises UsageError if there is nothing to label, MemegenError if no face was found at all.
    """
    if not source.exists():
        raise UsageError(f"{source}: no such file or folder")
    if source.is_file() and picture_kind(source) != "still":
        labeller = Labeller(device, landmarker)
        found = _of_clip(source, labeller)
        labeller.close()
    else:
        if landmarker is not None:
            # What is wrong with it is said once, not for each photo.
            MediaPipeTeacher(landmarker).close()
        workers = workers or (None if device == "cpu" else 1)  # one GPU is one GPU
        kept = Cache(cache or default_cache(), landmarker)
        try:
            found = _of_photos(source, kept, partial(_attempt, device, landmarker), workers, follow)
        finally:
            _labeller(device, landmarker).close()
            _labeller.cache_clear()
    if not found.faces:
        first = next(iter(found.bad.items()))
        raise MemegenError(f"{source}: no usable face in {len(found.bad)} files ({first[1]})")
    return found


def pictures_under(source: Path) -> list[Path]:
    """A photo, or all pictures of a folder and its subfolders, in order."""
    if source.is_file():
        return [source]
    known = picture_suffixes()
    return sorted(p for p in source.rglob("*") if p.is_file() and p.suffix.lower() in known)


def default_cache() -> Path:
    """Where labels of photos are kept, by the rules of freedesktop.org."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "memegen" / "faces"


class Cache:
    """Labelled faces, and reasons for having none, by the hash of the photo."""

    def __init__(self, folder: Path, landmarker: Path | None = None) -> None:
        self._folder = folder
        made_by = [weights.find("perception"), *([landmarker] if landmarker else [])]
        self._made_by = " ".join(hashlib.sha256(p.read_bytes()).hexdigest() for p in made_by)

    def key(self, path: Path) -> str:
        """What a photo's entry is called: changes with the photo and with perception."""
        about = f"{FORMAT} {CROP} {self._made_by} ".encode()
        return hashlib.sha256(about + path.read_bytes()).hexdigest()

    def get(self, key: str, name: str) -> LabelledFace | str | None:
        """A face, the reason why there is none, or None where nothing (readable) is known."""
        try:
            with np.load(self._path(key), allow_pickle=False) as entry:
                if "reason" in entry.files:
                    return str(entry["reason"])
                return LabelledFace(
                    name, entry["jpeg"].tobytes(), entry["landmarks"], entry["units"]
                )
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def put(self, key: str, found: LabelledFace | str) -> None:
        """Keep what was found; whole or not at all."""
        path = self._path(key)
        side_by_side = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with side_by_side.open("wb") as file:
                if isinstance(found, str):
                    np.savez(file, reason=np.array(found))
                else:
                    jpeg = np.frombuffer(found.jpeg, np.uint8)
                    np.savez(file, jpeg=jpeg, landmarks=found.landmarks, units=found.units)
            side_by_side.replace(path)
        except OSError as error:
            raise UsageError(f"{path.parent}: cannot keep labels ({error.strerror})") from None
        finally:
            side_by_side.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.npz"


def _of_photos(
    source: Path,
    cache: Cache,
    see: Callable[[Path], LabelledFace | str],
    workers: int | None,
    follow: Callable[[int, int], None],
) -> Labelled:
    paths = pictures_under(source)
    if not paths:
        raise UsageError(f"{source}: no photos in this folder")
    keys = {path: cache.key(path) for path in paths}
    known = {path: cache.get(keys[path], path.name) for path in paths}
    new = [path for path in paths if known[path] is None]
    follow(len(paths) - len(new), len(paths))
    for done, (path, seen) in enumerate(_seen(new, see, workers), 1):
        cache.put(keys[path], seen)
        known[path] = seen
        follow(len(paths) - len(new) + done, len(paths))
    faces, bad, twins = [], {}, set()
    for path, found in known.items():
        name = str(path.relative_to(source)) if source.is_dir() else path.name
        if isinstance(found, str):
            bad[name] = found
        elif keys[path] in twins:
            bad[name] = "the same picture twice"
        elif found is not None:
            twins.add(keys[path])
            faces.append(LabelledFace(name, found.jpeg, found.landmarks, found.units))
    return Labelled(faces, bad)


def _seen(
    paths: list[Path], see: Callable[[Path], LabelledFace | str], workers: int | None
) -> Iterator[tuple[Path, LabelledFace | str]]:
    """What is in each photo, in order; in several processes where that pays."""
    usual = 1 if len(paths) < FEW else min(8, os.cpu_count() or 1)
    count = max(1, min(workers or usual, len(paths)))
    if count == 1:
        yield from zip(paths, map(see, paths), strict=True)
        return
    # Spawned, not forked: threads of torch do not survive a fork.
    single = partial(torch.set_num_threads, 1)
    with ProcessPoolExecutor(count, get_context("spawn"), single) as pool:
        with _ignoring_interrupts():
            found = pool.map(see, paths, chunksize=4)
        try:
            yield from zip(paths, found, strict=True)
        except BaseException:
            for child in active_children():  # or leaving would wait for what is under way
                child.terminate()
            raise


@contextlib.contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Processes that are started meanwhile leave Ctrl-C to this one, which then ends them."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # outside the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _attempt(device: str, landmarker: Path | None, path: Path) -> LabelledFace | str:
    try:
        return _labeller(device, landmarker).photo(path)
    except MemegenError as error:
        return str(error).removeprefix(f"{path}: ")


@lru_cache(maxsize=1)
def _labeller(device: str, landmarker: Path | None) -> Labeller:
    """One a process: its networks are loaded once."""
    return Labeller(device, landmarker)


def held_out_of(contents: Iterable[bytes]) -> list[bool]:
    """Which pictures are held out: by content, so that new ones do not mix what was apart."""
    held = [zlib.crc32(content) % HELD_OUT == 0 for content in contents]
    if not any(held):
        held[-1] = True
    return held


def _of_clip(path: Path, labeller: Labeller) -> Labelled:
    """Frames of a clip that differ from each other; it is read once to choose, once to cut out."""
    clip = open_clip(path)
    seen = list(FaceTracker(labeller.detector, labeller.analyzer).track(read_clip(clip).frames))
    found = {index: one for index, one in enumerate(seen) if one is not None}
    if not found:
        return Labelled([], {path.name: f"no face found in {len(seen)} frames"})
    rows = np.array(list(found))
    chosen = set(rows[far_apart(np.stack([one.units for one in found.values()]), OF_A_CLIP)])
    faces, bad = [], {}
    for index, frame in enumerate(read_clip(clip).frames):
        if index in chosen:
            name = f"{path.name} at {index / clip.fps:.2f} s"
            try:
                near = found[index].alignment
                upright = np.rot90(frame, found[index].turns)
                again = labeller.analyzer.analyze_near(upright, near)
                faces.append(labeller.labelled(name, upright, again))
            except MemegenError as error:
                bad[name] = str(error)
    return Labelled(faces, bad)


def far_apart(points: Array, count: int) -> Integers:
    """Rows of (N, K) that differ most: begin with the first, add the farthest from all so far."""
    chosen = [0]
    distance = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(sorted(chosen))
