"""The contact sheet in a real browser: Chromium without a window, driven by Playwright."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image, ImageDraw

from memegen.batch.jobs import Job, Outcome, State
from memegen.batch.report import write_report

pytestmark = pytest.mark.slow
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
SIZES = ((64, 48), (300, 40), (30, 200))  # of outputs: usual, wide, high
NAMES = (
    "plain", 'say "cheese"', "it's", "<script>document.title='taken'", "<img src=x onerror=alert(1)>", "<b>bold", "&lt;b&gt;", "100%", "%41",
    "a#b?c", "two  spaces", "日本語 😀", "עברית", "javascript:alert(1)", "back\\slash", "{braces}", "x" * 120,
)  # fmt: skip
ANIM = "QU5JTQ"  # `ANIM` in base64, the chunk of a WebP that moves, 30 bytes from its beginning
ERROR = "photos/<i>.jpg: no face was found & none was guessed"


def moving(path: Path, size: tuple[int, int]) -> int:
    """An animation at a path; returns its bytes."""
    frames = [Image.new("RGB", size, (40 * i, 90, 160)) for i in range(4)]
    for number, frame in enumerate(frames):
        ImageDraw.Draw(frame).ellipse((4 * number, 5, 4 * number + 20, 25), fill="white")
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0)
    return path.stat().st_size


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sheet of names that no page likes: some done, one without its file, and two errors."""
    place = tmp_path_factory.mktemp("sheet #1 50%")
    (place / "o ü'#%").mkdir()
    outcomes = []
    for number, name in enumerate(NAMES):
        out = place / "o ü'#%" / f"{name}.gif"
        size = moving(out, SIZES[number % len(SIZES)])
        state = State.CURRENT if number == 1 else State.DONE
        outcomes.append(Outcome(Job(f"photos/{name}.jpg", "smile", None, str(out)), state, 1, size))
    gone = Job(
        "photos/plain.jpg", "smile", "AU12=4,AU6=2,AU1=3,AU2=3,AU25=2", str(place / "gone.gif")
    )
    outcomes.append(Outcome(gone, State.DONE, 1, 7))
    for recipe in ("smile", "wink"):
        job = Job("photos/<i>.jpg", recipe, None, str(place / f"{recipe}.gif"))
        outcomes.append(Outcome(job, State.FAILED, error=ERROR, exit_code=3))
    write_report(place / "sheet.html", outcomes)
    return place / "sheet.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(request: pytest.FixtureRequest, browser: Any, sheet: Path) -> Iterator[Any]:
    """The sheet, opened; whatever goes wrong in it, or is asked of any server, fails the test."""
    context = browser.new_context(viewport=request.param)
    opened = context.new_page()
    asked, wrong = [], []
    opened.on("request", lambda r: asked.append(r.url))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text))
    opened.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    opened.goto(sheet.as_uri())
    yield opened
    assert wrong == []
    assert [url for url in asked if not url.startswith("data:")] == [sheet.as_uri()]
    context.close()


def test_everything_is_to_be_seen(page: Any, sheet: Path) -> None:
    assert page.title() == "memegen batch"
    images = page.evaluate(
        "[...document.images].map(i => [i.complete, i.naturalWidth, i.alt,"
        " i.width / i.height / (i.naturalWidth / i.naturalHeight)])"
    )
    assert len(images) == len(NAMES)
    assert all(complete and width > 0 and alt for complete, width, alt, _ in images)
    assert all(abs(stretched - 1) < 0.1 for *_, stretched in images)
    assert {alt for _, _, alt, _ in images} == {f"{name}.jpg, smile" for name in NAMES}
    titles = set(page.locator("h2").all_text_contents())
    assert titles == {f"photos/{name}.jpg" for name in (*NAMES, "<i>")}
    assert f"{len(NAMES)} done, 1 up to date, 2 failed" in page.inner_text("header")
    assert page.locator("text=(no preview)").count() == 1


def test_nothing_sticks_out(page: Any) -> None:
    """Neither beside the window, nor out of the box that it belongs to."""
    wide, window = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide <= window
    out = page.evaluate(
        "[...document.querySelectorAll('figure *, .errors *, h2 *')].filter(e => {"
        " const box = e.closest('figure, .errors, section').getBoundingClientRect(), own = e.getBoundingClientRect();"
        " return own.width && (own.left < box.left - 1 || own.right > box.right + 1) }).map(e => e.outerHTML.slice(0, 99))"
    )
    assert out == []


def test_links_lead_to_the_outputs(page: Any, sheet: Path) -> None:
    links = page.evaluate("[...document.querySelectorAll('figure a')].map(a => a.href)")
    paths = [Path(unquote(urlsplit(link).path)) for link in links]
    assert all(link.startswith("file://") and not urlsplit(link).fragment for link in links)
    assert {path.name for path in paths if path.exists()} == {f"{name}.gif" for name in NAMES}


def test_errors_and_the_keyboard(page: Any) -> None:
    """The first stop is the list of errors, which leads to the photo; the second hides the rest."""
    listed = page.locator(".errors li")
    assert listed.all_text_contents() == [f"{ERROR} (smile, wink)"]
    page.keyboard.press("Tab")
    focus = "document.activeElement"
    assert page.evaluate(f"{focus}.textContent") == ERROR
    assert page.evaluate(f"getComputedStyle({focus}).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert "<i>.jpg" in page.locator("section:target h2").text_content()
    box = page.get_by_label("Show only these")
    box.focus()
    page.keyboard.press("Space")
    assert page.locator("figure:visible").count() == page.locator("figure.failed").count() == 2
    page.keyboard.press("Space")
    assert page.locator("figure:visible").count() == len(NAMES) + 3
    stops = []
    for _ in range(len(NAMES) + 1):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(f"{focus}.closest('figure') !== null"))
    assert all(stops), "every output can be reached"


def luminance(color: str) -> float:
    """Relative luminance of `rgb(...)`, WCAG 2.2."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(page: Any, scheme: str) -> None:
    """Every text has the contrast that WCAG 2.2 asks for (AA, 4.5:1) with what is behind it."""
    page.emulate_media(color_scheme=scheme)
    pairs = page.evaluate(
        "[...document.querySelectorAll('h1,h2 *,p,li,a,small,figcaption,strong,label,bdi')].map(e => {"
        " let b = e; while (b.parentElement && getComputedStyle(b).backgroundColor === 'rgba(0, 0, 0, 0)') b = b.parentElement;"
        " return [getComputedStyle(e).color, getComputedStyle(b).backgroundColor] })"
    )
    for text, back in {tuple(pair) for pair in pairs}:
        high, low = sorted((luminance(text), luminance(back)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, back)
    body = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (body < 0.05) == (scheme == "dark")


def test_it_stands_still_where_less_motion_is_asked_for(page: Any) -> None:
    sources = "[...document.images].map(i => i.currentSrc)"
    moving_ones = page.evaluate(sources)
    assert all(ANIM in source for source in moving_ones)
    page.emulate_media(reduced_motion="reduce")
    # Asked from here: what a page waits for by itself, its content security policy forbids.
    for _ in range(100):
        still = page.evaluate(sources)
        if still != moving_ones:
            break
        page.wait_for_timeout(50)  # milliseconds
    assert not set(still) & set(moving_ones)
    assert all(ANIM not in source for source in still)
