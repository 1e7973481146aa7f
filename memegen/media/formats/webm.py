"""WebM (VP9): videos with transparency, as Telegram's stickers are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from memegen.media.formats.base import (
    AnimatedFormat,
    Quality,
    Stream,
    then_narrower,
    video_pictures,
)
from memegen.media.graph import FilterStream, Options
from memegen.media.provenance import SOURCE_TYPE_TAG, SOURCE_TYPE_URI


@dataclass(frozen=True)
class WebmQuality(Quality):
    """What a WebM can trade."""

    crf: int = 28  # VP9's constant quality, 0..63: lower is better and larger


class Webm(AnimatedFormat[WebmQuality]):
    """Videos that may be transparent, with sound; comment and source type are tags."""

    name = "webm"
    suffixes = (".webm",)
    alpha = True
    default_side = 1920
    even_sides = True
    sound_options: ClassVar[Options] = {"c:a": "libopus", "b:a": "96k"}

    def ladder(self) -> list[WebmQuality]:
        """Coarser, then half the frames, then narrower."""
        coarser = [replace(WebmQuality(), crf=crf) for crf in (28, 36, 44, 52, 60)]
        return then_narrower([*coarser, replace(coarser[-1], keep_every=2)])

    def encode(
        self, pictures: FilterStream, stream: Stream, quality: WebmQuality
    ) -> tuple[FilterStream, Options]:
        """VP9 at constant quality (`b:v` 0); transparency as a second layer, so without lag."""
        options: Options = {
            "c:v": "libvpx-vp9", "crf": quality.crf, "b:v": 0, "row-mt": 1, "cpu-used": 2,
            "auto-alt-ref": 0, "colorspace": "bt709", "color_primaries": "bt709",
            "color_trc": "iec61966-2-1", "format": "webm",
            "metadata:g": f"{SOURCE_TYPE_TAG}={SOURCE_TYPE_URI}",
        }  # fmt: skip
        pixels = "yuva420p" if stream.alpha else "yuv420p"
        return video_pictures(quality.reduced(pictures), pixels), options
