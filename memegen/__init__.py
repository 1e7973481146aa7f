"""memegen turns a photo of a face into an animated meme.

import memegen
animator = memegen.Animator()
frames = animator.animate("photo.jpg", recipe="smile")
memegen.write(frames, "photo.gif")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memegen.errors import EncoderError, MemegenError, NoFaceError, UsageError, WeightsError

if TYPE_CHECKING:
    from memegen.frames import Frames
    from memegen.pipeline import Animator, write

__version__ = "0.1.0"
__all__ = [
    "Animator",
    "EncoderError",
    "Frames",
    "MemegenError",
    "NoFaceError",
    "UsageError",
    "WeightsError",
    "write",
]


def __getattr__(name: str) -> object:
    """Import the pipeline, and with it torch, only when it is used."""
    if name == "Frames":
        from memegen.frames import Frames

        return Frames
    if name in ("Animator", "write"):
        from memegen import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'memegen' has no attribute '{name}'")
