"""What is behind a character, and what its medium does to a picture."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from memegen.arrays import Array, Picture
from memegen.cartoon.parts import Backdrop, Finish

_KEPT = 2  # backgrounds and noises that are kept: characters are drawn in several poses in turn
_COARSE = 64  # side of what has only soft changes, before it is enlarged


def backdrop(style: Backdrop, size: int) -> Picture:
    """(size, size, 3) of a background, to be drawn on."""
    return _painted(style, size).copy()


@lru_cache(maxsize=_KEPT)
def _painted(style: Backdrop, size: int) -> Picture:
    first, second = np.array(style.first, np.float32), np.array(style.second, np.float32)
    if style.kind == "flat":
        return np.broadcast_to(np.round(first).astype(np.uint8), (size, size, 3)).copy()
    if style.kind in ("gradient", "noise"):
        share = _gradient(style) if style.kind == "gradient" else _blotches(style.seed, 6)
        coarse = first + (second - first) * share[..., None]
        small = np.round(coarse).astype(np.uint8)
        return as_picture(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC))
    picture = np.empty((size, size, 3), np.uint8)
    picture[:] = np.round(first)
    _pattern(picture, style, tuple(float(v) for v in second))
    return picture


def _gradient(style: Backdrop) -> Array:
    y, x = np.mgrid[0:_COARSE, 0:_COARSE].astype(np.float32) / (_COARSE - 1) - 0.5
    return np.clip(0.5 + x * np.cos(style.angle) + y * np.sin(style.angle), 0, 1)


def _blotches(seed: int, cells: int) -> Array:
    noise = np.random.default_rng(seed).random((cells, cells)).astype(np.float32)
    return np.clip(cv2.resize(noise, (_COARSE, _COARSE), interpolation=cv2.INTER_CUBIC), 0, 1)


def _pattern(picture: Picture, style: Backdrop, color: tuple[float, ...]) -> None:
    size = len(picture)
    step = max(style.size * size, 8.0)
    if style.kind == "stripes":
        along = np.array([np.cos(style.angle), np.sin(style.angle)])
        across = np.array([-along[1], along[0]])
        for i in range(-int(size / step) - 2, int(size / step) + 3):
            middle = size / 2 + across * i * step
            ends = [
                middle - along * 1.5 * size - across * step / 4,
                middle + along * 1.5 * size - across * step / 4,
                middle + along * 1.5 * size + across * step / 4,
                middle - along * 1.5 * size + across * step / 4,
            ]
            cv2.fillPoly(
                picture, [np.round(np.array(ends) * 16).astype(np.int32)], color, cv2.LINE_AA, 4
            )
    elif style.kind in ("dots", "checks"):
        rows = int(size / step) + 2
        for j in range(rows):
            for i in range(rows):
                x, y = round((i + 0.5 * (j % 2)) * step), round(j * step)
                if style.kind == "dots":
                    cv2.circle(picture, (x, y), round(0.28 * step), color, -1, cv2.LINE_AA)
                elif (i + j) % 2:
                    cv2.rectangle(
                        picture,
                        (round(i * step), y),
                        (round((i + 1) * step), round(y + step)),
                        color,
                        -1,
                    )
    elif style.kind == "rays":
        for i in range(12):
            a = style.angle + np.array([0, np.pi / 12]) + i * np.pi / 6
            rim = size / 2 + 1.5 * size * np.stack([np.cos(a), np.sin(a)], -1)
            triangle = np.concatenate([[[size / 2, size / 2]], rim])
            cv2.fillPoly(picture, [np.round(triangle * 16).astype(np.int32)], color, cv2.LINE_AA, 4)
    else:  # a scene: a floor line, a window, a few things
        rng = np.random.default_rng(style.seed)
        for _ in range(int(rng.integers(2, 7))):
            x, y = rng.uniform(-0.2, 1.0, 2) * size
            w, h = rng.uniform(0.15, 0.7, 2) * size
            shade = np.clip(np.array(color) + rng.normal(0, 30, 3), 0, 255)
            corner, other = (round(x), round(y)), (round(x + w), round(y + h))
            if rng.random() < 0.3:
                cv2.circle(picture, corner, round(w / 2), tuple(shade), -1, cv2.LINE_AA)
            else:
                cv2.rectangle(picture, corner, other, tuple(shade), -1)
                if rng.random() < 0.5:
                    cv2.rectangle(picture, corner, other, tuple(shade * 0.4), 2)


def as_picture(result: Any) -> Picture:
    """What OpenCV returned for a picture, which its stubs call an array of anything."""
    return np.asarray(result, np.uint8)


def finish(picture: Picture, style: Finish) -> Picture:
    """Greys, blur, noise and compression of a picture (S, S, 3)."""
    size = len(picture)
    if style.medium == "grey":
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = as_picture(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))
    if style.blur > 0:
        picture = as_picture(cv2.GaussianBlur(picture, (0, 0), style.blur * size / 256))
    if style.gain != (1.0, 1.0, 1.0):
        levels = np.arange(256, dtype=np.float32)[:, None] * np.array(style.gain, np.float32)
        table = np.clip(np.round(levels), 0, 255).astype(np.uint8)
        picture = as_picture(cv2.LUT(picture, table[None]))
    if style.noise > 0 or style.grain > 0:
        noise = np.round(_noise(style, size)).astype(np.int16)
        picture = as_picture(cv2.add(picture, np.repeat(noise[..., None], 3, -1), dtype=cv2.CV_8U))
    if style.jpeg:
        _, packed = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, style.jpeg])
        decoded = as_picture(cv2.imdecode(packed, cv2.IMREAD_COLOR))
        picture = np.ascontiguousarray(decoded[..., ::-1])
    return picture


@lru_cache(maxsize=_KEPT)
def _noise(style: Finish, size: int) -> Array:
    """(size, size) grey levels, the same for every pose of a character."""
    rng = np.random.default_rng(style.seed)
    noise = rng.standard_normal((size, size), np.float32) * style.noise
    if style.grain > 0:
        soft = rng.standard_normal((size // 4, size // 4), np.float32)
        noise += cv2.resize(soft, (size, size), interpolation=cv2.INTER_CUBIC) * style.grain
    return noise
