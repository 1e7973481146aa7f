"""Shipped weights on drawn faces: parts are found where they were drawn, and move by flow."""

from __future__ import annotations

import itertools
from functools import cache

import cv2
import numpy as np
import pytest

from memegen import aus
from memegen.arrays import Array, Picture
from memegen.cartoon import POSE, render, sample_style
from memegen.cartoon.pose import pose_of
from memegen.generators.cartoon import CartoonNetworks
from memegen.generators.drawing_flow import DrawingFlow
from memegen.generators.drawing_parts import NO_PARTS, Mouth, Part, Parts, find_parts

REST = np.zeros(len(POSE), np.float32)
SIDE = 64
PARTS = Parts(
    0.4,
    {"left": Part(0.7, 0.4, 0.1, 0.08), "right": Part(0.3, 0.4, 0.1, 0.08)},
    {"left": Part(0.7, 0.24, 0.1, 0.02), "right": Part(0.3, 0.24, 0.1, 0.02)},
    Mouth(0.5, 0.75, 0.12, 0.02, 0.0, 0.04, 0.95),
)


@cache
def networks() -> CartoonNetworks:
    return CartoonNetworks()


@cache
def drawing() -> Picture:
    return render(sample_style(np.random.default_rng(3), "anime"), REST, 192)


def posed(text: str) -> Array:
    vector = np.zeros((1, len(aus.CHANNELS)), np.float32)
    for channel, value in aus.parse_expression(text).items():
        vector[0, aus.INDEX[channel]] = value / aus.MAX_INTENSITY
    return pose_of(vector)


def blank(parts: Parts = PARTS) -> Picture:
    """Light skin with dark parts where `parts` says."""
    picture = np.full((SIDE, SIDE, 3), (240, 200, 180), np.uint8)
    boxes = [*parts.eyes.values(), *parts.brows.values()]
    for part in boxes + ([parts.mouth] if parts.mouth else []):
        (x0, x1), (y0, y1) = (
            (round((at - half) * SIDE), round((at + half) * SIDE))
            for at, half in ((part.x, part.half_width), (part.y, part.half_height))
        )
        picture[y0:y1, x0:x1] = 20
    return picture


def dark(picture: Picture, part: Part) -> Array:
    """Rows of dark pixels around a part, as shares of the side, from top to bottom."""
    reach = 1.9 * part.half_height + 0.06
    rows = slice(max(0, round((part.y - reach) * len(picture))),
                 round((part.y + reach) * len(picture)))  # fmt: skip
    columns = slice(round((part.x - part.half_width) * len(picture)),
                    round((part.x + part.half_width) * len(picture)))  # fmt: skip
    found = np.nonzero(picture[rows, columns].mean(-1) < 110)[0] + rows.start
    return np.asarray(np.sort(found), np.float32) / len(picture)


def test_a_pose_of_zeros_is_the_drawing_to_the_bit() -> None:
    ((same, changed),) = networks().render(drawing(), REST[None])
    assert np.array_equal(same, drawing()) and not changed.any()
    assert np.array_equal(DrawingFlow(blank(), PARTS).moved({"left_eye": 0.0}), blank())


def test_au45_closes_both_eyes_of_a_drawn_face() -> None:
    still = drawing()
    ((shut, _),) = networks().render(still, posed("AU45=5"))
    true = render(sample_style(np.random.default_rng(3), "anime"), posed("AU45=5")[0], 192)
    where = np.abs(true.astype(int) - still).max(-1) > 40  # the eyes, as they were drawn
    skin = np.median(true[where], axis=0)

    def area(picture: Picture) -> int:
        return int((np.abs(picture[where].astype(int) - skin).max(-1) > 60).sum())

    assert area(shut) < 0.5 * area(still)
    mouth = slice(int(0.75 * 192), None)
    assert np.array_equal(shut[mouth], still[mouth])


def test_heads_turn_and_corners_of_the_drawing_stay() -> None:
    still = drawing()
    ((turned, changed),) = networks().render(still, posed("AU51=2.5"))
    assert (changed > 0.5).mean() > 0.05
    assert np.abs(turned[0].astype(int) - still[0]).max() <= 2  # at the crop's edge nothing moves


def test_parts_are_found_where_they_were_drawn() -> None:
    net = networks()
    parts = net._flow(drawing(), REST).parts
    assert set(parts.eyes) == {"left", "right"} and parts.mouth is not None
    for side, eye in parts.eyes.items():
        pose = REST.copy()
        pose[POSE.index(f"{side}_eye")] = 1
        true = render(sample_style(np.random.default_rng(3), "anime"), pose, 192)
        rows, columns = np.nonzero(np.abs(true.astype(int) - drawing()).max(-1) > 40)
        assert eye.x == pytest.approx(columns.mean() / 192, abs=0.03)
        assert eye.y == pytest.approx(rows.mean() / 192, abs=0.04)
    assert parts.mouth.y > max(eye.y for eye in parts.eyes.values()) < parts.mouth.chin


def test_networks_that_change_nothing_find_nothing() -> None:
    assert find_parts(lambda _: np.zeros((32, 32, 3), np.float32)) == NO_PARTS
    crop = blank()
    assert DrawingFlow(crop, NO_PARTS).moved({"left_eye": 1.0, "mouth": 1.0}) is crop


def test_an_eye_that_shuts_shrinks_step_by_step_and_leaves_the_other() -> None:
    flow, eye = DrawingFlow(blank(), PARTS), PARTS.eyes["left"]
    heights = [len(dark(flow.moved({"left_eye": t}), eye)) for t in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert all(after < before for before, after in itertools.pairwise(heights))
    assert 0 < heights[-1] < 0.5 * heights[0]
    shut = flow.moved({"left_eye": 1.0})
    assert np.array_equal(shut[:, : SIDE // 2], blank()[:, : SIDE // 2])


@pytest.mark.parametrize(("value", "sign"), [(1.0, -1), (-1.0, 1)])
def test_brows_go_up_and_down_whole(value: float, sign: int) -> None:
    brow = PARTS.brows["left"]
    moved = DrawingFlow(blank(), PARTS).moved({"brow_left": value})
    before, after = (np.median(dark(p, Part(brow.x, brow.y, 0.1, 0.01))) for p in (blank(), moved))
    assert (after - before) * sign > 0.4 / SIDE


def test_mouths_open_dark_within_the_chin_and_smile_at_their_corners() -> None:
    mouth = PARTS.mouth
    assert mouth is not None
    flow = DrawingFlow(blank(), PARTS)
    half, full = (dark(flow.moved({"mouth": t}), mouth) for t in (0.5, 1.0))
    assert np.ptp(full) > np.ptp(half) > np.ptp(dark(blank(), mouth))
    below = slice(round(mouth.chin * SIDE), None)
    assert np.array_equal(flow.moved({"mouth": 1.0})[below], blank()[below])
    smiling = flow.moved({"smile": 1.0})

    def line(x: float) -> float:
        column = 255 - smiling[round(0.6 * SIDE) :, round(x * SIDE)].mean(-1)
        return float(np.argmax(cv2.GaussianBlur(column, (1, 5), 0)))

    assert line(mouth.x) - line(mouth.x + 0.9 * mouth.half_width) >= 1


def test_frames_follow_one_another() -> None:
    flow = DrawingFlow(blank(), PARTS)
    for names in (("left_eye",), ("mouth", "smile"), ("brow_left", "frown"), ("gaze_x", "wide")):
        frames = [flow.moved(dict.fromkeys(names, t)) for t in np.linspace(0, 1, 21)]
        steps = [np.abs(b.astype(int) - a).mean() for a, b in itertools.pairwise(frames)]
        whole = np.abs(frames[-1].astype(int) - frames[0]).mean()
        assert 0 < max(steps) < 0.4 * whole + 0.3
