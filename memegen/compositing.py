"""Putting what was painted for a face back into its picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memegen.arrays import Array, Picture
from memegen.generators import Painter
from memegen.geometry.flow import Box


@dataclass(frozen=True)
class Actor:
    """One face ready to be painted: where, how, and what it looks like at rest."""

    box: Box
    inside: Picture  # (h, w, channels) 255 where pixels may change, 0 where they must not
    painter: Painter
    own: Array  # (K,)


def put_back(frame: Picture, actor: Actor, picture: Array, before: Picture | None = None) -> None:
    """Put what was painted for an actor, (h, w, C) 0..255, into its frame (H, W, C), in place.

    `before`: the frame without any change, where near faces are painted one after the other; the
    later must not undo the earlier one's change.
    """
    view = frame[actor.box.slices]
    np.clip(picture, 0, 255, out=picture)
    picture += 0.5
    new = picture.astype(np.uint8)
    inside = actor.inside
    if before is not None:
        inside = inside * (new != before[actor.box.slices]).any(-1, keepdims=True)
    new ^= view
    new &= inside
    view ^= new  # `new` where inside, else `view`: four times as fast as a masked copy
