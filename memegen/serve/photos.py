"""Photos that clients work on: in memory alone, under random names, for a while."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from memegen import aus
from memegen.faces.align import Alignment
from memegen.faces.detect import Face
from memegen.perception.analyze import FaceAnalysis
from memegen.perception.find import AnalyzedFace
from memegen.photo import Photo
from memegen.pipeline import Animator, PreparedPhoto
from memegen.serve.errors import UnknownError
from memegen.serve.settings import Limits

ID_BYTES = 16  # at random: nobody guesses the name of another client's photo
DIGITS = 3  # of intensities that are told


@dataclass
class StoredPhoto:
    """A photo with its faces, and what was prepared of it so far."""

    id: str
    photo: Photo  # its longest side is at most `Limits.kept_side`
    faces: list[AnalyzedFace]  # largest first, in the photo's pixels
    lasts: bool = False  # the server's own, which is not forgotten
    used: float = 0.0  # when, by the store's clock
    lock: threading.Lock = field(default_factory=threading.Lock)  # of preparing
    prepared: OrderedDict[int, PreparedPhoto] = field(default_factory=OrderedDict)  # by side

    def about(self) -> dict[str, Any]:
        """What a client is told of it."""
        width, height = self.photo.size
        faces = [face_json(index, face) for index, face in enumerate(self.faces)]
        return {"id": self.id, "width": width, "height": height, "faces": faces}


class PhotoStore:
    """The photos of all clients. `clock` tells seconds."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._lock = threading.Lock()
        self._photos: OrderedDict[str, StoredPhoto] = OrderedDict()  # the longest unused first
        self._ready: OrderedDict[tuple[str, int], None] = OrderedDict()  # likewise

    def __len__(self) -> int:
        with self._lock:
            self._forget_old()
            return len(self._photos)

    def add(self, photo: Photo, faces: list[AnalyzedFace], lasts: bool = False) -> StoredPhoto:
        """Keep a photo, reduced to what is worth keeping; the longest unused ones go."""
        small, seen = reduced(photo, faces, self._limits.kept_side)
        stored = StoredPhoto(secrets.token_urlsafe(ID_BYTES), small, seen, lasts, self._clock())
        with self._lock:
            self._photos[stored.id] = stored
            self._forget_old()
        return stored

    def get(self, id_: str) -> StoredPhoto:
        """The photo of a name. Raises UnknownError."""
        with self._lock:
            self._forget_old()
            stored = self._photos.get(id_)
            if stored is None:
                raise UnknownError("no such photo: it was not sent, or is forgotten; send it again")
            stored.used = self._clock()
            self._photos.move_to_end(id_)
            return stored

    def remove(self, id_: str) -> None:
        """Forget a photo. Raises UnknownError."""
        self.get(id_)
        with self._lock:
            self._drop(id_)

    def prepared(self, stored: StoredPhoto, side: int, animator: Animator) -> PreparedPhoto:
        """A photo ready to be painted, all its faces, its longest side at most `side` pixels."""
        with stored.lock:
            if side not in stored.prepared:
                ready = animator.prepare_canvas(stored.photo, stored.faces, side)
                stored.prepared[side] = ready
            found = stored.prepared[side]
        with self._lock:
            self._ready[stored.id, side] = None
            self._ready.move_to_end((stored.id, side))
            while len(self._ready) > self._limits.prepared:
                (old, size), _ = self._ready.popitem(last=False)
                if old in self._photos:
                    self._photos[old].prepared.pop(size, None)
        return found

    def _forget_old(self) -> None:
        """Drop what was not used for long, and the longest unused beyond the limit."""
        now, limits = self._clock(), self._limits
        going = [s for s in self._photos.values() if not s.lasts]
        old = [s.id for s in going if now - s.used > limits.photo_seconds]
        beyond = [s.id for s in going[: max(0, len(going) - limits.photos)]]
        for id_ in dict.fromkeys(old + beyond):
            self._drop(id_)

    def _drop(self, id_: str) -> None:
        self._photos.pop(id_, None)
        for key in [key for key in self._ready if key[0] == id_]:
            del self._ready[key]


def reduced(photo: Photo, faces: list[AnalyzedFace], side: int) -> tuple[Photo, list[AnalyzedFace]]:
    """A photo with a longest side of at most `side` pixels, its faces along with it."""
    width, height = photo.size
    scale = side / max(width, height)
    if scale >= 1:
        return photo, faces
    small = photo.resized(max(1, round(width * scale)), max(1, round(height * scale)))
    return small, [_scaled(face, np.float32(scale)) for face in faces]


def _scaled(seen: AnalyzedFace, scale: np.float32) -> AnalyzedFace:
    face, found = seen.face, seen.analysis
    at = Alignment(found.alignment.matrix * scale, found.alignment.offset * scale)
    return AnalyzedFace(
        Face(face.box * scale, face.points * scale, face.confidence),
        FaceAnalysis(at, found.landmarks, found.action_units, found.angles, found.spread),
    )


def face_json(index: int, seen: AnalyzedFace) -> dict[str, Any]:
    """What a client is told of a face: its box x, y, width, height and its intensities 0..5."""
    x0, y0, x1, y1 = (float(v) for v in seen.face.box)
    box = [round(v, 1) for v in (x0, y0, x1 - x0, y1 - y0)]
    expression = expression_json(seen.analysis.action_units)
    return {"index": index, "box": box, "expression": expression}


def expression_json(units: Any) -> dict[str, float]:
    """Channels (K,) 0..1 as intensities 0..5 by name."""
    named = aus.to_expression(units)
    return {name: round(value, DIGITS) for name, value in named.items()}
