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

SIDE = 160  # pixels, the longest of a preview
FRAMES = 10  # of a preview, at most
PREVIEW_SECONDS = 1.2  # that a preview takes
QUALITY = 60  # of WebP, 0..100

_STYLE = """
:root{color-scheme:light dark;--back:#f6f6f7;--card:#fff;--line:#dcdce0;--text:#1d1d20;
--soft:#62626a;--bad:#a5121f;--link:#1a56b0}
@media(prefers-color-scheme:dark){:root{--back:#151517;--card:#202023;--line:#3a3a40;--text:#e6e6ea;
--soft:#a0a0aa;--bad:#ff8a8a;--link:#8ab8ff}}
*{box-sizing:border-box}
body{font:15px/1.4 system-ui,sans-serif;margin:0 auto;padding:1.25rem 1rem 3rem;max-width:100rem;
background:var(--back);color:var(--text)}
h1{font-size:1.35rem;margin:0}header p{margin:.2rem 0 .8rem;color:var(--soft)}
h2{font-size:1rem;margin:0 0 .5rem;overflow-wrap:anywhere;width:0;min-width:100%}
h2 span{color:var(--soft);font-weight:400}bdi{white-space:pre-wrap}
a{color:var(--link)}:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.errors{border:1px solid var(--bad);border-radius:8px;background:var(--card);padding:.6rem .9rem}
.errors strong{color:var(--bad)}.errors ul{margin:.4rem 0;padding-left:1.2rem;
overflow-wrap:anywhere;max-height:16rem;overflow:auto}
.errors label{display:inline-block;padding:.3rem 0;cursor:pointer}
main{display:flex;flex-wrap:wrap;gap:1.5rem;margin-top:1.25rem;align-items:flex-start}
section{max-width:100%}section:target h2{text-decoration:underline}
.row{display:flex;flex-wrap:wrap;gap:.6rem}
figure{margin:0;padding:.45rem;background:var(--card);border:1px solid var(--line);
border-radius:8px;width:11rem}
figure a{display:flex;height:10rem;align-items:center;justify-content:center;border-radius:4px;
text-align:center}
figure a span{max-width:100%;overflow-wrap:anywhere}
img{display:block;max-width:100%;max-height:10rem;width:auto;height:auto}
figcaption{overflow-wrap:anywhere;margin-top:.35rem}
small{color:var(--soft);display:block}.failed{border-color:var(--bad)}
.failed p{margin:.3rem 0 0}.failed strong{color:var(--bad)}
body:has(#only:checked) :is(figure:not(.failed),section:not(:has(.failed))){display:none}
@media(max-width:30rem){section,main{width:100%}.row{display:grid;grid-template-columns:1fr 1fr}
figure{width:auto;min-width:0}}
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>{style}</style></head><body>
<header><h1>{title}</h1><p>{summary}</p>{errors}</header>
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
        f"<section id='p{number}'><h2>{_name(photo)}</h2><div class='row'>"
        + "".join(_figure(outcome, folder) for outcome in rows)
        + "</div></section>"
        for number, (photo, rows) in enumerate(by_photo.items())
    )
    page = _PAGE.format(
        title=html.escape(title), style=_STYLE, summary=html.escape(summary(outcomes)),
        errors=_errors(by_photo), sections=sections,
    )  # fmt: skip
    write_text(path, page)


def _errors(by_photo: dict[str, list[Outcome]]) -> str:
    """All that failed, each error of a photo once; nothing where nothing has."""
    items = []
    for number, rows in enumerate(by_photo.values()):
        failed = [outcome for outcome in rows if outcome.state is State.FAILED]
        for error in dict.fromkeys(outcome.error for outcome in failed):
            played = ", ".join(o.job.played for o in failed if o.error == error)
            items.append(f"<li><a href='#p{number}'>{_text(error)}</a> ({_text(played)})</li>")
    if not items:
        return ""
    return (
        "<div class='errors'><strong>What failed</strong><ul>" + "".join(items) + "</ul>"
        "<label><input type='checkbox' id='only'> Show only these</label></div>"
    )


def _figure(outcome: Outcome, folder: Path) -> str:
    job = outcome.job
    caption = f"<figcaption>{_text(job.played)}"
    if outcome.state is State.FAILED:
        told = f"<p><strong>failed</strong><br>{_text(outcome.error)}</p>"
        return f"<figure class='failed'>{caption}{told}</figcaption></figure>"
    out = os.path.realpath(job.out)
    try:
        link = Path(os.path.relpath(out, folder)).as_posix()
    except ValueError:  # on another drive
        link = Path(out).as_posix()
    href = html.escape(quote(os.fsencode(link)))
    about = f"{outcome.bytes / 1000:.0f} kB {Path(job.out).suffix.lstrip('.')}"
    about += ", was up to date" if outcome.state is State.CURRENT else ""
    # `./`: a name with a colon is no scheme.
    return (
        f"<figure><a href='./{href}'>{_image(outcome)}</a>{caption}"
        f"<small>{html.escape(_shown(about))}</small></figcaption></figure>"
    )


def _image(outcome: Outcome) -> str:
    """A preview, which stands still for those who have asked their system for less motion."""
    job = outcome.job
    alt = html.escape(_shown(f"{Path(job.photo).name}, {job.played}"))
    moving = preview(Path(job.out))
    if not moving:
        return f"<span>{alt}<br>(no preview)</span>"
    with Image.open(io.BytesIO(moving)) as picture:
        width, height = picture.size
        still = _webp([picture.copy()]) if getattr(picture, "n_frames", 1) > 1 else b""
    image = f"<img alt='{alt}' width='{width}' height='{height}' src='{_data(moving)}'>"
    if not still:
        return image
    less = "(prefers-reduced-motion: reduce)"
    return f"<picture><source media='{less}' srcset='{_data(still)}'>{image}</picture>"


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
    return _webp(small)


def _webp(pictures: list[Image.Image]) -> bytes:
    """One still picture, or a moving one that takes PREVIEW_SECONDS."""
    buffer = io.BytesIO()
    ms = round(1000 * PREVIEW_SECONDS / len(pictures))
    pictures[0].save(
        buffer, "WEBP", save_all=len(pictures) > 1, append_images=pictures[1:], duration=ms, loop=0,
        quality=QUALITY, method=2,
    )  # fmt: skip
    return buffer.getvalue()


def _data(webp: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"


def _text(text: str) -> str:
    """A text that anyone may have written, for the page: with its own direction and spaces."""
    return f"<bdi>{html.escape(_shown(text))}</bdi>"


def _name(photo: str) -> str:
    """A photo's path, its folder less prominent."""
    folder, name = os.path.split(photo)
    before = f"<span>{_text(os.path.join(folder, ''))}</span>" if folder else ""  # noqa: PTH118
    return before + _text(name)


def _shown(text: str) -> str:
    """A text as a page can hold it: names that are no UTF-8 have their odd bytes replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
