"""Frames that repeat are painted once."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

import memegen
from memegen import aus
from memegen.compositing import repeats
from memegen.generators import Renderer
from memegen.photo import Photo
from memegen.tracks import Detail, HeadTrajectory, Track

FRAMES = [0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.5]
HELD = [False, True, False, False, True, True, False, True]


class Counting:
    """A renderer that counts what it is asked to paint."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer, self.painted = renderer, 0

    def outline(self) -> np.ndarray:
        return self.renderer.outline()

    def render(self, targets: np.ndarray, detail: Detail | None = None) -> Iterator[np.ndarray]:
        self.painted += len(targets)
        yield from self.renderer.render(targets, detail)


def gapes(head: HeadTrajectory | None = None) -> Track:
    add = np.zeros((len(FRAMES), len(aus.CHANNELS)), np.float32)
    add[:, aus.INDEX["AU26"]] = FRAMES
    return Track(np.ones_like(add), add, 10, True, "gapes", "recipe", None, head)


def test_what_repeats() -> None:
    shift = np.zeros((3, 468, 3), np.float32)
    shift[2, 7] = 0.1
    targets = [np.zeros((3, 4), np.float32), np.float32([[0] * 4, [0] * 4, [0] * 4])]
    still = HeadTrajectory(np.zeros((3, 2)), np.zeros(3), np.zeros(3))
    assert repeats(targets, None, None).tolist() == [False, True, True]
    assert repeats(targets, Detail(shift, np.ones(468)), still).tolist() == [False, True, False]
    leaning = replace(still, roll=np.array([0.0, 1.0, 1.0]))
    assert repeats(targets, None, leaning).tolist() == [False, False, True]
    targets[1][1:] = 0.3
    assert repeats(targets, None, None).tolist() == [False, False, True]
    assert repeats([np.zeros((0, 4))], None, None).tolist() == []


def test_held_frames_are_painted_once(animator: memegen.Animator, photo: Photo) -> None:
    ready = animator.prepare_photo(photo)
    counting = Counting(ready.faces[0].renderer)
    faces = [replace(ready.faces[0], renderer=counting)]
    frames = list(replace(ready, faces=faces).play(gapes()))
    assert counting.painted == HELD.count(False)
    same = [False] + [bool((a == b).all()) for a, b in zip(frames[1:], frames[:-1], strict=True)]
    assert same == HELD
    frames[4][:] = 0  # everyone's own
    assert frames[3].any() and frames[5].any()


def test_a_head_on_its_way_is_painted_in_every_frame(
    animator: memegen.Animator, photo: Photo
) -> None:
    turns = np.linspace(0, 5, len(FRAMES)).astype(np.float32)
    head = HeadTrajectory(np.zeros((len(FRAMES), 2), np.float32), np.zeros_like(turns), turns)
    frames = list(animator.prepare_photo(photo).play(gapes(head)))
    assert all((a != b).any() for a, b in zip(frames[1:], frames[:-1], strict=True))
