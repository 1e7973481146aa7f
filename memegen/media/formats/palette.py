"""One palette for all frames, made and applied by ffmpeg: what GIFs and smaller APNGs share."""

from __future__ import annotations

from memegen.media.formats.base import Quality, Stream
from memegen.media.graph import FilterStream

STEP = 3  # pixels: of a frame, every third of every third row is counted
SPARSE = 200 * 200  # pixels that a frame has at least for that; smaller ones are counted whole


def paletted(
    pictures: FilterStream, stream: Stream, quality: Quality, colours: int
) -> FilterStream:
    """Pictures, reduced to a quality, in so many colours, a transparent one among them.

    The still background gets its colours, as the palette is made of all frames alike. An ordered
    dither stays put where pixels do, so it does not crawl over the background, and only the
    rectangle that moved is stored: in it, what did not move is transparent also where the pictures
    are not, which packs far better.
    """
    shown, counted = quality.reduced(pictures).split()
    if stream.width * stream.height * quality.scale**2 >= SPARSE:
        counted = sparse(counted)
    palette = counted.filter(
        "palettegen", max_colors=colours, reserve_transparent=1, stats_mode="full"
    )
    return shown.filter_with(
        palette, "paletteuse", dither="bayer", bayer_scale=4, diff_mode="rectangle"
    )


def sparse(pictures: FilterStream) -> FilterStream:
    """A ninth of the pixels of every frame, others in each: what stands still is seen whole.

    Counting colours takes longer than all else that is done to a GIF, and a ninth of them finds the
    same palette: `benchmarks/gif_bytes.py`.
    """
    size = {"w": f"iw-{STEP - 1}", "h": f"ih-{STEP - 1}"}
    start = {"x": f"mod(n,{STEP})", "y": f"mod(floor(n/{STEP}),{STEP})"}
    return pictures.filter("crop", **size, **start).filter(
        "scale", w=f"iw/{STEP}", h=f"ih/{STEP}", flags="neighbor"
    )
