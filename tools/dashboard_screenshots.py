"""Screenshots of the dashboard's pages at 1280 and 390 pixels, light and dark, for docs/.

Usage::

    python tools/dashboard_screenshots.py OUT [--to docs/dashboard]

OUT is the folder of an archive with passed and rejected pieces. The dashboard is started for
it, a few pieces are rated, and each page is written as a PNG of at most 128 colours.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import browser

SIZES = {"wide": (1280, 860), "narrow": (390, 844)}
SCHEMES = ("light", "dark")


def open_piece(tab, query: str) -> None:
    """Open the first piece of a list and wait until it is engraved and can be played."""
    tab.goto(f"/pieces?{query}")
    tab.locator("table.list th a").first.click()
    tab.locator(".engraving").first.wait_for()
    tab.locator("[data-play]:not([disabled])").first.wait_for()


def rejected(tab) -> None:
    """Show a rejected piece, opened from its finding, playing."""
    open_piece(tab, "verdict=rejected&finding=bars.voices-disagree")
    tab.keyboard.press(" ")
    tab.locator('.measure[data-bar="3"] > .now').wait_for(timeout=40_000)
    tab.keyboard.press(" ")
    tab.evaluate("window.scrollTo(0, 0)")


def measures(tab) -> None:
    """Show a piece's measures and text."""
    open_piece(tab, "verdict=passed")
    tab.locator(".section summary", has_text="Measures").click()
    tab.locator(".measures .plot").first.wait_for()
    tab.locator(".section summary", has_text="Measures").scroll_into_view_if_needed()
    tab.evaluate("window.scrollBy(0, 600)")


def review(tab) -> None:
    """Show the review loop after a few ratings, with a tag and a note."""
    tab.goto("/review")
    for key in "452":
        tab.locator(".rates").wait_for()
        before = tab.url
        tab.keyboard.press(key)
        tab.wait_for_url(lambda url, before=before: url != before)
    tab.locator("#tag").fill("good cadence")
    tab.get_by_role("button", name="Add").click()
    tab.locator(".tags").wait_for()


def blind(tab) -> None:
    """Show a blind comparison."""
    tab.goto("/ab")
    tab.locator(".blind .engraving").nth(1).wait_for()


PAGES = {
    "overview": lambda tab: tab.goto("/"),
    "pieces": lambda tab: tab.goto("/pieces"),
    "piece": rejected,
    "measures": measures,
    "review": review,
    "ab": blind,
    "compare": lambda tab: tab.goto("/compare?by=settings"),
    "start": lambda tab: tab.goto("/start"),
    "exports": lambda tab: tab.goto("/exports"),
}


def reduced(path: Path) -> None:
    """Reduce a PNG to 128 colours, where Pillow is installed."""
    try:
        from PIL import Image
    except ImportError:
        return
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def main() -> None:
    """Take all screenshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--to", type=Path, default=Path("docs/dashboard"))
    parser.add_argument("--only", help="one page")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "out"
        shutil.copytree(options.out, copy)
        with browser.chromium() as chromium, browser.dashboard(copy) as (address, _):
            for size, (width, height) in SIZES.items():
                for scheme in SCHEMES:
                    context = chromium.new_context(
                        viewport={"width": width, "height": height}, color_scheme=scheme,
                        base_url=address, timezone_id="Europe/Vienna", locale="en-GB",
                    )  # fmt: skip
                    tab = context.new_page()
                    for name, show in PAGES.items():
                        if options.only in (None, name):
                            show(tab)
                            tab.wait_for_timeout(900)
                            path = options.to / f"{name}-{size}-{scheme}.png"
                            tab.screenshot(path=path)
                            reduced(path)
                    context.close()


if __name__ == "__main__":
    main()
