"""A contact sheet of a batch: one HTML file with small moving previews, to look through.

It holds all it shows and asks no server for anything; previews lead to the outputs by links
relative to where the sheet lies.
"""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from memegen.batch.jobs import Outcome, State
from memegen.errors import MemegenError
from memegen.files import write_text

SIDE = 128  # pixels, the longest of a preview
FRAMES = 10  # of a preview, at most
PREVIEW_SECONDS = 1.2  # that a preview takes
QUALITY = 60  # of WebP, 0..100

_STYLE = """
body{font:14px/1.4 system-ui,sans-serif;margin:1.5rem;background:#fafafa;color:#222}
h1{font-size:1.3rem;margin:0}h2{font-size:1rem;margin:1.4rem 0 .4rem;overflow-wrap:anywhere}
.row{display:flex;flex-wrap:wrap;gap:.7rem}
figure{margin:0;padding:.5rem;background:#fff;border:1px solid #ddd;border-radius:6px;width:9rem}
figure a{display:flex;height:8rem;align-items:center;justify-content:center}
img{max-width:8rem;max-height:8rem}figcaption{overflow-wrap:anywhere;margin-top:.3rem}
small{color:#666;display:block}.failed{border-color:#c33}.failed p{color:#a11;margin:0}
#only:checked~main figure:not(.failed){display:none}
#only:checked~main section:not(:has(.failed)){display:none}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}
figure{background:#222;border-color:#444}small{color:#999}.failed p{color:#f88}}
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{style}</style></head><body>
<h1>{title}</h1><p>{summary}</p>
<input type="checkbox" id="only"><label for="only"> only what failed</label>
<main>
{sections}
</main></body></html>
"""


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many were done, up to date, and failed: `3 done, 1 up to date, 1 failed`."""
    words = {State.DONE: "done", State.CURRENT: "up to date", State.FAILED: "failed"}
    counts = {state: sum(o.state is state for o in outcomes) for state in words}
    return ", ".join(f"{counts[s]} {word}" for s, word in words.items() if counts[s]) or "no jobs"


def write_report(path: Path, outcomes: Sequence[Outcome], title: str = "memegen batch") -> None:
    """Write the sheet, whole or not at all. Raises UsageError where that is not possible."""
    by_photo: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda o: (o.job.photo, o.job.played, o.job.out)):
        by_photo.setdefault(outcome.job.photo, []).append(outcome)
    folder = Path(os.path.realpath(path)).parent
    sections = "\n".join(
        f"<section><h2>{html.escape(_shown(photo))}</h2><div class='row'>"
        + "".join(_figure(outcome, folder) for outcome in rows)
        + "</div></section>"
        for photo, rows in by_photo.items()
    )
    page = _PAGE.format(
        title=html.escape(title), style=_STYLE, summary=html.escape(summary(outcomes)),
        sections=sections,
    )  # fmt: skip
    write_text(path, page)


def _figure(outcome: Outcome, folder: Path) -> str:
    job = outcome.job
    caption = f"<figcaption>{html.escape(_shown(job.played))}"
    if outcome.state is State.FAILED:
        error = html.escape(_shown(outcome.error))
        return f"<figure class='failed'>{caption}<p>{error}</p></figcaption></figure>"
    out = os.path.realpath(job.out)
    try:
        link = Path(os.path.relpath(out, folder)).as_posix()
    except ValueError:  # on another drive
        link = Path(out).as_posix()
    href = html.escape(quote(os.fsencode(link)))
    shown = preview(Path(job.out))
    alt = html.escape(_shown(f"{Path(job.photo).name}, {job.played}"))
    data = base64.b64encode(shown).decode() if shown else ""
    image = f"<img alt='{alt}' src='data:image/webp;base64,{data}'>" if shown else alt
    about = f"<small>{outcome.bytes / 1000:.0f} kB {Path(job.out).suffix.lstrip('.')}</small>"
    # `./`: a name with a colon is no scheme.
    return f"<figure><a href='./{href}'>{image}</a>{caption}{about}</figcaption></figure>"


def preview(path: Path) -> bytes:
    """A small moving WebP of an output; nothing where it cannot be read."""
    from memegen.performance.clip import open_clip, read_clip
    from memegen.photo import picture_kind, read_photo

    try:
        if picture_kind(path) == "still":
            pictures = [read_photo(path).rgb]
        else:
            clip = open_clip(path, None)
            with closing(read_clip(clip, side=SIDE)) as reading:
                pictures = list(reading.frames)
    except (MemegenError, OSError):
        return b""
    every = -(-len(pictures) // FRAMES)
    small = [Image.fromarray(picture) for picture in pictures[::every]]
    for image in small:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    ms = round(1000 * PREVIEW_SECONDS / len(small))
    small[0].save(
        buffer, "WEBP", save_all=len(small) > 1, append_images=small[1:], duration=ms, loop=0,
        quality=QUALITY, method=2,
    )  # fmt: skip
    return buffer.getvalue()


def _shown(text: str) -> str:
    """A text as a page can hold it: names that are no UTF-8 have their odd bytes replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
