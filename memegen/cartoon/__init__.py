"""Drawn faces: a procedural renderer of cartoon and anime characters, and their crops."""

from memegen.cartoon.pose import MORPH, POSE, ROTATE, pose_of
from memegen.cartoon.renderer import face_box, render, render_pair
from memegen.cartoon.style import CartoonStyle, sample_style

__all__ = [
    "MORPH",
    "POSE",
    "ROTATE",
    "CartoonStyle",
    "face_box",
    "pose_of",
    "render",
    "render_pair",
    "sample_style",
]
