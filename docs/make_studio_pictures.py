"""Draw the pictures of docs/studio.md: the studio in a browser, with the sample photo.

python docs/make_studio_pictures.py docs/studio     (needs Playwright, and Chromium on PATH)
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

SAMPLE = Path(__file__).resolve().parents[1] / "examples" / "astronaut.png"
MOST_BYTES = 150_000  # of a picture
QUALITIES = (92, 88, 84, 80, 75, 70, 60)  # of WebP, the first that is small enough
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
GAP = 24  # pixels between two phones
QUIET = 1200  # milliseconds without a new picture: all is painted


@contextmanager
def studio() -> Iterator[str]:
    """The address of a studio that shows the sample photo."""
    command = [sys.executable, "-m", "memegen", "studio", str(SAMPLE), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def opened(browser: Browser, address: str, **options: Any) -> Page:
    """The page, ready, with the recipe `laugh`."""
    page = browser.new_context(**options).new_page()
    page.goto(address)
    page.wait_for_selector("html[data-ready] #picture[data-painted]")
    page.get_by_role("tab", name="Presets").click()
    page.locator('[data-recipe="laugh"]').click()
    page.wait_for_selector(".keyframe:nth-child(4)")
    page.get_by_role("tab", name="Face").click()
    page.mouse.move(1, 1)
    rest(page)
    return page


def rest(page: Page) -> None:
    """Wait until nothing is painted any more, and nothing is said."""
    painted = None
    while (now := page.locator("#picture[data-painted]").get_attribute("data-painted")) != painted:
        painted = now
        page.wait_for_timeout(QUIET)
    page.wait_for_selector("#toast", state="hidden")


def shot(page: Page) -> Image.Image:
    """What the page shows."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def beside(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one height in a row."""
    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) - 1)
    row = Image.new("RGB", (width, pictures[0].height), "white")
    x = 0
    for picture in pictures:
        row.paste(picture, (x, 0))
        x += picture.width + GAP
    return row


def save(picture: Image.Image, path: Path) -> None:
    """As WebP of at most MOST_BYTES."""
    for quality in QUALITIES:
        picture.save(path, quality=quality, method=6)
        if path.stat().st_size <= MOST_BYTES:
            break
    else:
        raise SystemExit(f"{path}: {path.stat().st_size} bytes are more than {MOST_BYTES}")
    print(f"{path}: {picture.width} x {picture.height}, {path.stat().st_size / 1e3:.0f} kB")


def phones(browser: Browser, address: str) -> Image.Image:
    """A phone at the top of the page, at the mouth's sliders, and dark at the pads."""
    options = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
    page = opened(browser, address, **options)
    page.evaluate("scrollTo(0, 0)")
    pictures = [shot(page)]
    page.evaluate("document.querySelector('#group-mouth').scrollIntoView()")
    pictures.append(shot(page))
    page = opened(browser, address, color_scheme="dark", **options)
    page.evaluate("document.querySelector('#group-pose').scrollIntoView()")
    pictures.append(shot(page))
    return beside(pictures)


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with studio() as address, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = opened(browser, address, viewport=DESKTOP)
        save(shot(page), out / "face.webp")
        page = opened(browser, address, viewport=DESKTOP, color_scheme="dark")
        page.keyboard.press("z")
        page.get_by_role("tab", name="Captions").click()
        page.get_by_label("Top", exact=True).fill("when the code")
        page.get_by_label("Bottom", exact=True).fill("compiles")
        page.get_by_role("tab", name="Presets").click()
        page.wait_for_selector('[data-recipe="nope"] canvas[data-painted]')
        page.mouse.move(1, 1)
        rest(page)
        save(shot(page), out / "presets.webp")
        save(phones(browser, address), out / "phone.webp")
        browser.close()


if __name__ == "__main__":
    main()
