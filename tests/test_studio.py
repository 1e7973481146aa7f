"""The studio in a real browser: what hands and keys do, and what comes of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.command import RunCli
from support.paths import SAMPLE

from memegen import aus, recipes, tracks
from memegen.arrays import Array

for needed in ("fastapi", "uvicorn", "websockets", "python_multipart"):
    pytest.importorskip(needed, reason="the extra [serve] is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
if CHROMIUM is None:
    pytest.skip("there is no Chromium on PATH", allow_module_level=True)

pytestmark = pytest.mark.slow
Page = Any  # playwright's; its types are not there where it is not
EXAMPLES = SAMPLE.parent
SECONDS = 20_000  # milliseconds that anything may take on a busy machine
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
FLAGS = (
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",  # a webcam that shows a test pattern, and is allowed
    "--use-fake-device-for-media-stream",
)
BY_HAND = {
    "late": """
name: late
loop: once
fps: 12.5
keyframes:
  - {at: 0.3, ease: overshoot, hold: 0.2, expression: {AU12L: 3, AU30R: 2, AU62: 2}, offset: {AU51: 1}}
  - {at: 1.0, ease: step, expression: {AU4: 2}}
  - {at: 1.3, ease: in, expression: {AU61: 1, AU45R: 5}}
""",
    "relative": """
name: relative
relative: true
keyframes:
  - {at: 0, expression: {}}
  - {at: 0.5, ease: out, expression: {AU12: 1.5, AU4: -1, AU53: 2}, offset: {AU12L: 0.5}}
  - {at: 0.9, ease: linear, relative: false, expression: {AU26: 2}}
""",
    "closing": """
loop: loop
keyframes:
  - {at: 0, expression: {AU1: 2}}
  - {at: 0.42, hold: 0.13, expression: {AU1: 1, AU2: 4}}
""",
}
CAPTIONS = """
captions:
  - {to: 0.5, text: wait}
  - {text: so, style: plain}
  - {text: "and: so", position: above, style: {size: 0.1}}
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A studio of its own process, which shows the sample photo."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "MEMEGEN_CONFIG": ""}
    command = [sys.executable, "-m", "memegen", "studio", str(SAMPLE), "--no-open"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as server:
        assert server.stdout
        line = server.stdout.readline().strip()
        try:
            assert line.startswith("http://127.0.0.1:"), server.stderr and server.stderr.read()
            yield line
        finally:
            server.terminate()
            assert server.wait(20) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def refusals() -> set[int]:
    """Statuses that a test has the server answer: browsers tell of each in the console."""
    return set()


@pytest.fixture
def opened(address: str, browser: Any, refusals: set[int]) -> Iterator[Callable[..., Page]]:
    """Opens pages; in the end, none has said an error, or asked any other host."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def one(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, "accept_downloads": True} | options)
        context.grant_permissions(["camera"], origin=address.rstrip("/"))
        context.set_default_timeout(SECONDS)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda e: said.append(str(e)))
        page.on("request", lambda r: asked.append(r.url))
        page.on("websocket", lambda w: asked.append(w.url))
        page.goto(address)
        page.wait_for_selector("html[data-ready] #picture[data-painted]")
        return page

    yield one
    for context in contexts:
        context.close()
    host = address.partition("://")[2]
    told = {f"the server responded with a status of {status} " for status in refusals}
    assert not [text for text in said if not any(known in text for known in told)]
    assert asked and not [
        url for url in asked if not re.match(rf"(http|ws)://{re.escape(host)}|blob:", url)
    ]


@pytest.fixture
def page(opened: Callable[..., Page]) -> Page:
    return opened()


THUMB = 96  # pixels a side of the small copy that is compared
PIXELS = """(side) => {
    const small = new OffscreenCanvas(side, side).getContext('2d', { willReadFrequently: true });
    small.drawImage(document.querySelector('#picture'), 0, 0, side, side);
    return Array.from(small.getImageData(0, 0, side, side).data);
}"""


SHIFTS = """() => new Promise((resolve) => {
    new PerformanceObserver((list) => resolve(list.getEntries().reduce((sum, each) => sum + each.value, 0)))
        .observe({ type: 'layout-shift', buffered: true });
    setTimeout(() => resolve(0), 500);
})"""


def picture(page: Page) -> Array:
    """The stage, small."""
    return np.asarray(page.evaluate(PIXELS, THUMB), np.float32).reshape(THUMB, THUMB, 4)


def changed_from(page: Page, before: Array) -> Array:
    """The stage, once it shows something else."""
    for _ in range(200):
        now = picture(page)
        if np.abs(now - before).max() > 20:
            return now
        page.wait_for_timeout(50)
    raise AssertionError("the picture stays as it is")


def settled(page: Page) -> Array:
    """The stage, once nothing is painted any more."""
    painted = ""
    page.wait_for_selector('#picture[data-shows="preview"]')
    for _ in range(40):
        now = page.locator("#picture").get_attribute("data-painted")
        if now == painted:
            return picture(page)
        painted = now
        page.wait_for_timeout(400)
    raise AssertionError("the picture never rests")


def until(page: Page, condition: str) -> None:
    """Wait for a condition; not by `wait_for_function`, whose `eval` the page forbids."""
    for _ in range(SECONDS // 50):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


def has_keyframes(page: Page, count: int) -> None:
    until(page, f"document.querySelectorAll('.keyframe').length === {count}")


def slider(page: Page, name: str) -> Any:
    return page.get_by_role("slider", name=name, exact=True)


def value(page: Page, name: str) -> float:
    return float(slider(page, name).input_value())


def drag(page: Page, name: str, share: float) -> None:
    """Drag a slider's thumb to a share of its way, in steps."""
    slider(page, name).scroll_into_view_if_needed()
    box = slider(page, name).bounding_box()
    start = value(page, name) / 5
    thumb = 16  # pixels
    across = [box["x"] + thumb / 2 + (box["width"] - thumb) * where for where in (start, share)]
    height = box["y"] + box["height"] / 2
    page.mouse.move(across[0], height)
    page.mouse.down()
    page.mouse.move(across[1], height, steps=8)
    page.mouse.up()


def yaml_text(page: Page) -> str:
    """The recipe as the page writes it."""
    page.get_by_role("tab", name="Recipe").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save YAML").click()
    return Path(saved.value.path()).read_text(encoding="utf-8")


def test_a_slider_moves_the_face(page: Page) -> None:
    before = settled(page)
    drag(page, "AU26 jaw drop", 0.8)
    changed_from(page, before)
    after = settled(page)
    assert 0.003 < (np.abs(after - before) > 20).mean() < 0.5  # the face, not the photo
    assert value(page, "AU26 jaw drop") == pytest.approx(4, abs=0.3)
    said = slider(page, "AU26 jaw drop").get_attribute("aria-valuetext")
    assert re.fullmatch(r"AU26 jaw drop [34]\.\d of 5", said)
    page.get_by_role("button", name="AU26 jaw drop: back to the photo's own").click()
    assert np.array_equal(settled(page), before)


def test_sides_apart(page: Page) -> None:
    page.get_by_role("button", name="AU2 outer brow raiser: left and right together").click()
    left, right = "AU2 outer brow raiser left", "AU2 outer brow raiser right"
    slider(page, left).fill("4")
    page.wait_for_timeout(100)
    assert value(page, left) == 4 and value(page, right) < 2
    assert slider(page, left).get_attribute("aria-valuetext") == f"{left} 4.0 of 5"
    frames = recipes.parse(yaml_text(page)).keyframes
    assert frames[-1].expression == {"AU2L": 4}
    page.get_by_role("tab", name="Face").click()
    page.get_by_role("button", name="AU2 outer brow raiser: left and right together").click()
    page.wait_for_timeout(100)
    joined = recipes.parse(yaml_text(page)).keyframes[-1].expression
    assert joined["AU2L"] == joined["AU2R"] < 4


def test_pads_turn_head_and_eyes(page: Page) -> None:
    before = settled(page)
    for name, x in (("Head", 0.7), ("Gaze", 0.2)):
        field = page.get_by_role("group", name=name, exact=True).locator(".pad-field")
        field.scroll_into_view_if_needed()
        box = field.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + x * box["width"], box["y"] + box["height"] / 2, steps=4)
        page.mouse.up()
    changed_from(page, before)
    said = slider(page, "Head turn, AU51 and AU52").get_attribute("aria-valuetext")
    assert said == "Head left 2.0, 0 of 5"  # the person's left is the picture's right
    frame = recipes.parse(yaml_text(page)).keyframes[-1]
    assert frame.offset == {"AU51": pytest.approx(2, abs=0.1)}
    assert frame.expression["AU62"] == pytest.approx(3, abs=0.1)


def test_keyframes_play_and_come_back_from_a_file(
    page: Page, tmp_path: Path, run_cli: RunCli
) -> None:
    drag(page, "AU12 lip corner puller", 0.9)
    lane = page.locator("#lane").bounding_box()
    page.mouse.click(lane["x"] + 0.3 * lane["width"], lane["y"] + 8)
    page.get_by_role("button", name="Add at the playhead").click()
    assert page.get_by_role("slider", name=re.compile("^Keyframe 2 of 3")).count() == 1
    page.get_by_label("Easing").select_option("overshoot")
    page.get_by_label("Hold").fill("0.1")
    page.get_by_label("Hold").press("Enter")
    page.get_by_role("radio", name="Loop").check()
    slider(page, "AU1 inner brow raiser").fill("3")

    page.get_by_role("button", name="Play", exact=True).click()
    times = set()
    for _ in range(30):
        times.add(page.locator("#time").inner_text())
        page.wait_for_timeout(60)
    painted = page.evaluate("document.querySelector('#picture').dataset.painted")
    page.get_by_role("button", name="Pause").click()
    assert len(times) > 8 and int(painted) > 8

    text = yaml_text(page)
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    run_cli("recipes", "check", str(file))
    recipe = recipes.parse(text)
    first, second, third = recipe.keyframes
    assert (first.at, first.expression, recipe.loop) == (0, {}, "loop")
    assert (second.ease, second.hold, second.expression["AU1L"]) == ("overshoot", 0.1, 3)
    assert third.expression["AU12L"] == third.expression["AU12R"] == pytest.approx(4.5, abs=0.3)

    page.get_by_role("button", name="New").click()
    page.locator("#recipe-file").set_input_files(file)
    has_keyframes(page, 3)
    assert yaml_text(page) == text
    page.reload()  # a draft is kept
    page.wait_for_selector("html[data-ready]")
    assert yaml_text(page) == text


def test_a_recipe_by_hand_in_the_page(page: Page, refusals: set[int]) -> None:
    refusals.add(400)
    page.get_by_role("tab", name="Recipe").click()
    field = page.get_by_label("As text")
    until(page, "document.querySelector('#yaml').value !== ''")
    field.fill("keyframes:\n  - {at: 0, expression: {AU99: 1}}\n")
    with page.expect_response("**/recipes/check") as refused:
        page.get_by_role("button", name="Apply the text").click()
    assert refused.value.status == 400
    assert "AU99" in page.locator("#yaml-error").inner_text()
    field.fill(BY_HAND["late"] + CAPTIONS)
    page.get_by_role("button", name="Apply the text").click()
    has_keyframes(page, 3)
    ours, theirs = recipes.parse(yaml_text(page)), recipes.parse(BY_HAND["late"])
    assert (ours.keyframes, ours.fps, ours.loop) == (theirs.keyframes, theirs.fps, theirs.loop)
    assert sorted(ours.captions, key=str) == sorted(
        recipes.parse(BY_HAND["late"] + CAPTIONS).captions, key=str
    )
    page.get_by_role("tab", name="Captions").click()
    assert page.get_by_label("Bottom", exact=True).input_value() == "so"
    assert page.get_by_label("Style of top and bottom").input_value() == "plain"
    assert "2 more captions" in page.locator("#timed-captions").inner_text()


def test_undo_and_redo(page: Page) -> None:
    own = value(page, "AU4 brow lowerer")
    drag(page, "AU4 brow lowerer", 0.9)
    drag(page, "AU4 brow lowerer", 0.5)
    assert value(page, "AU4 brow lowerer") == pytest.approx(2.5, abs=0.3)
    page.keyboard.press("Control+z")  # a drag is a step
    page.wait_for_timeout(100)
    assert value(page, "AU4 brow lowerer") == pytest.approx(4.5, abs=0.3)
    page.keyboard.press("Control+z")
    page.wait_for_timeout(100)
    assert value(page, "AU4 brow lowerer") == own
    page.keyboard.press("Control+Shift+z")
    page.wait_for_timeout(100)
    assert value(page, "AU4 brow lowerer") == pytest.approx(4.5, abs=0.3)
    for _ in range(3):
        page.keyboard.press("Control+z")
    assert page.get_by_role("button", name="Undo").is_disabled()


def test_download(page: Page, tmp_path: Path) -> None:
    slider(page, "AU12 lip corner puller").fill("4")
    page.get_by_role("tab", name="Captions").click()
    page.get_by_label("Top", exact=True).fill("when it works")
    page.get_by_role("tab", name="Recipe").click()
    page.get_by_label("Name").fill("It works!")
    page.get_by_label("Rate").fill("10")
    page.get_by_role("button", name="Download").click()
    page.get_by_label("Longer side").select_option("320")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Render and save").click()
    assert saved.value.suggested_filename == "it-works.gif"
    with Image.open(saved.value.path()) as gif:
        assert gif.format == "GIF" and max(gif.size) == 320
        # There and back; GIFs join frames that are the same.
        assert 7 <= gif.n_frames <= 20 and gif.info["loop"] == 0
    page.wait_for_selector("#download", state="hidden")

    page.get_by_role("button", name="Download").click()
    page.get_by_role("radio", name="Discord Sticker").check()
    assert page.get_by_label("Longer side").is_disabled()
    page.get_by_role("button", name="Render and save").click()
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#render", state="visible")
    assert page.locator("#status").inner_text() == "Cancelled"


def test_presets(page: Page) -> None:
    page.get_by_role("tab", name="Presets").click()
    page.wait_for_selector('[data-recipe="anger"] canvas[data-painted]')
    page.get_by_label("Search the presets").fill("laughing out")
    assert page.locator(".tile:visible").count() == 1
    page.locator('[data-recipe="laugh"]').click()
    until(page, "document.querySelectorAll('.keyframe').length > 3")
    ours, theirs = recipes.parse(yaml_text(page)), recipes.load("laugh")
    assert (ours.keyframes, ours.loop) == (theirs.keyframes, theirs.loop)

    page.get_by_role("button", name="New").click()
    page.get_by_role("tab", name="Presets").click()
    page.get_by_role("radio", name="Expression").check()
    page.locator('[data-recipe="laugh"]').click()
    frames = recipes.parse(yaml_text(page)).keyframes
    assert len(frames) == 2 and frames[1].expression["AU12L"] > 2
    track = theirs.track()
    best = track.add[track.strongest()] * aus.MAX_INTENSITY
    assert frames[1].expression["AU12L"] == pytest.approx(best[aus.INDEX["AU12L"]], abs=0.01)


def test_copying_expressions(page: Page, tmp_path: Path, refusals: set[int]) -> None:
    refusals.add(422)
    before = settled(page)
    page.get_by_role("button", name="Copy expression").click()
    page.locator("#copy-file").set_input_files(EXAMPLES / "grace_hopper.jpg")
    page.wait_for_selector("#copy", state="hidden")
    changed_from(page, before)
    frame = recipes.parse(yaml_text(page)).keyframes[-1]
    assert len(frame.expression) == len(
        [
            c
            for c in aus.CHANNELS
            if not re.match("AU[56]", c) or c in ("AU5L", "AU5R", "AU6L", "AU6R")
        ]
    )

    with Image.open(SAMPLE) as sample:
        small = sample.convert("RGB").resize((256, 256))
    clip = tmp_path / "clip.gif"
    small.save(
        clip, save_all=True, append_images=[small.rotate(3), small.rotate(6), small], duration=200
    )
    page.get_by_role("button", name="Copy expression").click()
    page.get_by_label("With head and gaze").check()
    page.locator("#copy-file").set_input_files(clip)
    page.wait_for_selector("#copy", state="hidden")
    frames = recipes.parse(yaml_text(page)).keyframes
    assert (
        2 <= len(frames) <= 4
        and frames[0].at == 0
        and frames[-1].at == pytest.approx(0.6, abs=0.05)
    )

    page.get_by_role("button", name="Copy expression").click()
    page.get_by_role("button", name="Webcam").click()
    page.get_by_role("button", name="Take this face").click()  # a test pattern has none
    until(page, "/face/i.test(document.querySelector('#alert').textContent)")


def test_another_photo(page: Page, refusals: set[int]) -> None:
    refusals.add(415)
    before = settled(page)
    page.locator("#photo-file").set_input_files(EXAMPLES / "mona_lisa.jpg")
    changed_from(page, before)
    until(page, "/Photo opened, one face/.test(document.querySelector('#status').textContent)")
    drag(page, "AU12 lip corner puller", 0.9)
    page.locator("#photo-file").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    until(page, "document.querySelector('#alert').textContent !== ''")


def test_one_of_two_faces_and_all(page: Page, tmp_path: Path) -> None:
    with Image.open(SAMPLE) as one, Image.open(EXAMPLES / "grace_hopper.jpg") as other:
        pair = Image.new("RGB", (768, 384))
        pair.paste(one.convert("RGB").resize((384, 384)), (0, 0))
        side = other.width
        pair.paste(other.convert("RGB").crop((0, 0, side, side)).resize((384, 384)), (384, 0))
    pair.save(tmp_path / "pair.png")
    page.locator("#photo-file").set_input_files(tmp_path / "pair.png")
    until(page, "document.querySelectorAll('.face-box').length === 2")
    before = settled(page)

    def moved() -> tuple[bool, bool]:
        """Whether the left and the right face differ from the photo's."""
        off = np.abs(settled(page) - before).max((0, 2))
        return bool(off[: THUMB // 2].max() > 20), bool(off[THUMB // 2 :].max() > 20)

    slider(page, "AU26 jaw drop").fill("5")
    first = moved()
    assert first.count(True) == 1
    page.locator(".face-box:not([data-chosen])").click()
    assert moved() == first[::-1]
    page.locator("#face").select_option("all")
    assert moved() == (True, True)


def test_keyboard_only(page: Page) -> None:
    before = settled(page)
    for _ in range(40):
        page.keyboard.press("Tab")
        if (
            page.evaluate("document.activeElement.getAttribute('aria-label')")
            == "AU1 inner brow raiser"
        ):
            break
    else:
        raise AssertionError("tabs do not lead to the sliders")
    for _ in range(25):
        page.keyboard.press("ArrowRight")
    assert value(page, "AU1 inner brow raiser") > 2.4
    changed_from(page, before)
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Home")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    until(page, "document.querySelector('#time').textContent.startsWith('0.20')")
    page.keyboard.press("k")
    has_keyframes(page, 3)
    page.keyboard.press("]")
    page.keyboard.press("d")
    has_keyframes(page, 4)
    page.keyboard.press("Delete")
    has_keyframes(page, 3)
    page.keyboard.press("Space")
    page.wait_for_selector("#stage[data-playing]")
    page.keyboard.press("Space")
    page.wait_for_selector("#stage:not([data-playing])")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keyboard").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    assert page.locator("#panel-presets").is_visible()
    with page.expect_download() as saved:
        page.keyboard.press("Control+s")
    assert len(recipes.parse(Path(saved.value.path()).read_text()).keyframes) == 3


def test_a_keyframe_is_dragged(page: Page) -> None:
    marker = page.get_by_role("slider", name=re.compile("^Keyframe 2 of 2"))
    box = marker.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 120, middle[1], steps=5)
    page.mouse.up()
    page.wait_for_timeout(100)
    at = float(marker.get_attribute("aria-valuenow"))
    assert 0.1 < at < 0.55
    marker.press("ArrowRight")
    page.wait_for_timeout(100)
    assert float(marker.get_attribute("aria-valuenow")) == pytest.approx(at + 1 / 25, abs=0.006)
    page.get_by_label("Length").fill("3")
    page.get_by_label("Length").press("Enter")
    assert recipes.parse(yaml_text(page)).length == pytest.approx(3, abs=0.02)


def test_on_a_phone(opened: Callable[..., Page]) -> None:
    page = opened(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    before = settled(page)
    assert (
        page.evaluate(SHIFTS) < 0.02
    )  # Cumulative Layout Shift: nothing jumps while the page is built
    bar = slider(page, "AU26 jaw drop")
    page.evaluate("document.querySelector('#group-jaw').scrollIntoView()")
    box = bar.bounding_box()
    page.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    changed_from(page, before)
    seen = page.locator("#stage").bounding_box()
    assert seen["y"] >= 0 and seen["y"] + seen["height"] <= box["y"]  # the picture stays in sight
    small = page.evaluate("""() => [...document.querySelectorAll('button, input.slider')]
        .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 36)
        .map((e) => e.outerHTML.slice(0, 80))""")
    assert not small
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_dark_and_light_and_names_for_all(opened: Callable[..., Page]) -> None:
    page = opened(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Dark or light").click()
    assert page.evaluate(ground) != dark
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    nameless = page.evaluate("""() => [...document.querySelectorAll('button, input:not([hidden]), select, textarea')]
        .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length) && e.getAttribute('aria-hidden') !== 'true')
        .map((e) => e.outerHTML.slice(0, 80))""")
    assert not nameless
    assert page.locator("input.slider").count() >= len(aus.TABLE) - 10  # head and gaze are pads


AGREE = """async ([recipes, own]) => {
    const { fromServer } = await import('./recipe.js');
    const { asked, cycleOf, poseAt, timesOf, wholeOf } = await import('./track.js');
    const units = await (await fetch('aus/table')).json();
    const sided = new Set(units.filter((unit) => unit.sides).map((unit) => unit.name));
    return Promise.all(recipes.map(async (text) => {
        const given = await (await fetch('recipes/check', {method: 'POST', body: text, headers: {'Content-Type': 'text/yaml'}})).json();
        const recipe = fromServer(given.recipe, sided);
        const whole = wholeOf(recipe);
        const poses = timesOf(recipe).map((time) => poseAt(whole, time));
        return {
            cycle: cycleOf(recipe),
            poses: poses.map((pose) => Object.fromEntries(pose)),
            asked: poses.map((pose) => asked(pose, own)),
        };
    }));
}"""


def test_the_page_counts_as_the_library_does(page: Page) -> None:
    """Every frame of recipes: what it keeps and adds, and what a preview is asked for."""
    texts = [*BY_HAND.values(), *(recipes.read(name) for name in recipes.names()[::3])]
    rng = np.random.default_rng(5)
    source = (rng.random(len(aus.CHANNELS)) * 0.9).astype(np.float32)
    own = aus.to_expression(source)
    for text, ours in zip(texts, page.evaluate(AGREE, [texts, own]), strict=True):
        recipe = recipes.parse(text)
        track = recipe.track()
        assert ours["cycle"] == pytest.approx(recipe.cycle)
        assert len(ours["poses"]) == len(track), recipe.name
        reached = track.resolve(source)
        for row, (pose, asked) in enumerate(zip(ours["poses"], ours["asked"], strict=True)):
            pairs = np.asarray([pose.get(channel, (1, 0)) for channel in aus.CHANNELS])
            np.testing.assert_allclose(pairs[:, 0], track.keep[row], atol=1e-5)
            np.testing.assert_allclose(pairs[:, 1] / aus.MAX_INTENSITY, track.add[row], atol=1e-5)
            keep, add = tracks.still(asked)
            seen = tracks.Track(keep[None], add[None], recipe.fps).resolve(source)[0]
            np.testing.assert_allclose(netted(seen), netted(reached[row]), atol=2e-3)


SIMPLER = "async (samples) => (await import('./simplify.js')).simplified(samples)"


def test_few_keyframes_follow_a_clip(page: Page) -> None:
    """8 frames a second of smooth motion: fewer keyframes, nowhere further off than 0.6."""
    fps, count = 8, 40
    seconds = np.arange(count) / fps
    smooth = {
        "AU12L": 2.5 + 2.5 * np.sin(seconds * 2),
        "AU26": np.clip(seconds - 2, 0, 3),
        "AU4L": 0 * seconds,
    }
    samples = [
        {"time": float(t), "expression": {c: float(v[i]) for c, v in smooth.items()}}
        for i, t in enumerate(seconds)
    ]
    found = page.evaluate(SIMPLER, samples)
    assert 4 <= len(found) < count / 3
    frames = tuple(recipes.Keyframe(f["at"], f["expression"], f["ease"], f["hold"]) for f in found)
    track = recipes.Recipe("clip", frames, fps=fps, loop="once").track()
    assert len(track) == count
    for channel, values in smooth.items():
        off = np.abs(track.add[:, aus.INDEX[channel]] * aus.MAX_INTENSITY - values)
        assert off.max() < 0.65  # times are rounded to 0.01 s


def netted(vector: Array) -> Array:
    """Channels (K,), opposites as one signed number of at most 1: that is what moves a face."""
    found = vector.copy()
    for one, other in aus.OPPOSITES:
        a, b = aus.INDEX[one], aus.INDEX[other]
        found[a], found[b] = np.clip(vector[a] - vector[b], -1, 1), 0
    return found
