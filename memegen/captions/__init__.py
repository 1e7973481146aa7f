"""Captions: text on frames, fitted, kept off the face, drawn once and laid over every frame.

caption -> layout (fonts say how wide text is) -> layer -> frames.
"""

from __future__ import annotations

from memegen.captions.caption import Caption
from memegen.captions.style import STYLES, CaptionStyle

__all__ = ["STYLES", "Caption", "CaptionStyle"]
