"""Somebody else's opinion of a face: MediaPipe's face landmarker, of the `label` extra."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memegen.arrays import Array, Picture
from memegen.errors import MemegenError, UsageError
from memegen.facedata.labels import PROJECTED_CHANNELS, scored_units

TEACHERS = ("perception", "mediapipe")


@contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Keep an installed tensorflow out of an import, as if it were not there.

    MediaPipe imports it for metadata that nobody reads here, and a process that holds torch with
    triton and tensorflow both is ended by LLVM ("inconsistency in registered CommandLine options").
    """
    if "tensorflow" in sys.modules:
        yield
        return
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["tensorflow"]


@dataclass(frozen=True)
class MediaPipeFace:
    """What MediaPipe says of one face."""

    landmarks: Array  # (478, 3) in widths of the picture, x right, y down, z away
    scores: dict[str, float]  # the 52 blendshape scores, 0..1
    rotation: Array  # (3, 3) of the head, face axes


class Landmarker:
    """MediaPipe's face landmarker, from a `face_landmarker.task` file.

    Raises UsageError if mediapipe is not installed, or the file is not there or no landmarker.
    `option` is what of the command line asked for it.
    """

    def __init__(self, file: Path, option: str = "`teacher` mediapipe") -> None:
        try:
            with _without_tensorflow():
                import mediapipe
                from mediapipe.tasks.python import BaseOptions, vision
        except ImportError:
            raise UsageError(
                f"{option} needs its package: pip install 'memegen-faces[label]'"
            ) from None
        if not file.is_file():
            raise UsageError(f"{file}: no such landmarker file")
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(file)),
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        try:
            self._landmarker = vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError, OSError):
            raise UsageError(f"{file}: no face landmarker of MediaPipe") from None
        self._mediapipe = mediapipe

    def close(self) -> None:
        """Give its threads back; it is not to be used any more."""
        self._landmarker.close()

    def find(self, picture: Picture) -> MediaPipeFace | None:
        """The first face of (H, W, 3) `picture`, or none."""
        kind = self._mediapipe.ImageFormat.SRGB
        image = self._mediapipe.Image(image_format=kind, data=np.ascontiguousarray(picture))
        found = self._landmarker.detect(image)
        if not found.face_landmarks:
            return None
        tall = picture.shape[0] / picture.shape[1]  # MediaPipe gives y in heights
        points = [(point.x, point.y * tall, point.z) for point in found.face_landmarks[0]]
        scores = {one.category_name: float(one.score) for one in found.face_blendshapes[0]}
        rotation = np.asarray(found.facial_transformation_matrixes[0])[:3, :3]
        return MediaPipeFace(np.array(points, np.float32), scores, rotation.astype(np.float32))


class MediaPipeTeacher:
    """Landmarks and action units from a `face_landmarker.task` file; raises as Landmarker does."""

    def __init__(self, landmarker: Path) -> None:
        self._landmarker = Landmarker(landmarker)

    def close(self) -> None:
        """Give its threads back; it is not to be used any more."""
        self._landmarker.close()

    def label(self, crop: Picture, source: Array) -> tuple[Array, Array]:
        """Landmarks (478, 3) in crop units and channels (K,) of an aligned crop.

        source: (K,) what perception says; it stays where MediaPipe's scores are dead.
        Raises MemegenError if MediaPipe sees no face.
        """
        found = self._landmarker.find(crop)
        if found is None:
            raise MemegenError("MediaPipe sees no face")
        score = {name: np.array([value], np.float32) for name, value in found.scores.items()}
        units = scored_units(score, found.rotation[None])[0]
        units[PROJECTED_CHANNELS] = source[PROJECTED_CHANNELS]
        return found.landmarks, units
