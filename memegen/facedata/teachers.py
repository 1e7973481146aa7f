"""Somebody else's opinion of a face: MediaPipe's face landmarker, of the `label` extra."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memegen.arrays import Array, Picture
from memegen.errors import MemegenError, UsageError
from memegen.facedata.labels import PROJECTED_CHANNELS, scored_units

TEACHERS = ("perception", "mediapipe")


class MediaPipeTeacher:
    """Landmarks and blendshape scores from a `face_landmarker.task` file.

    Raises UsageError if mediapipe is not installed, or the file is not there or no landmarker.
    """

    def __init__(self, landmarker: Path) -> None:
        try:
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision
        except ImportError:
            raise UsageError(
                "--teacher mediapipe needs its package: pip install 'memegen[label]'"
            ) from None
        if not landmarker.is_file():
            raise UsageError(f"{landmarker}: no such landmarker file")
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(landmarker)),
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        try:
            self._landmarker = vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError, OSError):
            raise UsageError(f"{landmarker}: no face landmarker of MediaPipe") from None
        self._mediapipe = mediapipe

    def close(self) -> None:
        """Give its threads back; it is not to be used any more."""
        self._landmarker.close()

    def look(self, crop: Picture, own: Array) -> tuple[Array, Array]:
        """Landmarks (478, 3) in crop units and channels (K,) of an aligned crop.

        own: (K,) what perception says; it stays where MediaPipe's scores are dead.
        Raises MemegenError if MediaPipe sees no face.
        """
        kind = self._mediapipe.ImageFormat.SRGB
        image = self._mediapipe.Image(image_format=kind, data=np.ascontiguousarray(crop))
        found = self._landmarker.detect(image)
        if not found.face_landmarks:
            raise MemegenError("MediaPipe sees no face")
        points = [(point.x, point.y, point.z) for point in found.face_landmarks[0]]
        score = {
            one.category_name: np.array([one.score], np.float32)
            for one in found.face_blendshapes[0]
        }
        rotation = np.asarray(found.facial_transformation_matrixes[0])[None, :3, :3]
        units = scored_units(score, rotation.astype(np.float32))[0]
        units[PROJECTED_CHANNELS] = own[PROJECTED_CHANNELS]
        return np.array(points, np.float32), units
