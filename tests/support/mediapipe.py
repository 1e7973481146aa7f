"""MediaPipe, without MediaPipe."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

ALL_SCORES = [
    *"browInnerUp jawOpen jawLeft jawRight mouthFunnel mouthPucker mouthShrugLower mouthRollUpper mouthRollLower".split(),
    *(f"{stem}{side}" for side in ("Left", "Right") for stem in (
        "browOuterUp browDown eyeSquint mouthUpperUp mouthSmile mouthDimple mouthStretch eyeBlink "
        "mouthPress mouthLowerDown eyeLookOut eyeLookIn eyeLookUp eyeLookDown").split()),
]  # fmt: skip


class FakeMediaPipe:
    """As much of mediapipe as the teacher uses: every crop shows the same smile."""

    def __init__(self, face: np.ndarray, sees: bool = True) -> None:
        points = [SimpleNamespace(x=x, y=y, z=z) for x, y, z in face.tolist()]
        scores = dict.fromkeys(ALL_SCORES, 0.0) | {"mouthSmileLeft": 0.8, "jawOpen": 0.2}
        found = SimpleNamespace(
            face_landmarks=[points] if sees else [],
            face_blendshapes=[
                [SimpleNamespace(category_name=n, score=s) for n, s in scores.items()]
            ],
            facial_transformation_matrixes=[np.eye(4)],
        )
        landmarker = SimpleNamespace(detect=lambda image: found, close=lambda: None)
        made = SimpleNamespace(create_from_options=lambda options: landmarker)
        self.vision = SimpleNamespace(
            FaceLandmarkerOptions=lambda **options: options, FaceLandmarker=made
        )
        self.ImageFormat = SimpleNamespace(SRGB=1)
        self.Image = lambda image_format, data: data

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tasks = SimpleNamespace(BaseOptions=lambda **options: options, vision=self.vision)
        monkeypatch.setitem(sys.modules, "mediapipe", self)  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, "mediapipe.tasks", tasks)  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, "mediapipe.tasks.python", tasks)  # type: ignore[arg-type]
