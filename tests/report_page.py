"""The report's page in a real browser: how it is opened, and what stands in its tables."""

import re
import shutil
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from cascade_equivalence.report.display import MINUS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
DESKTOP, LAPTOP, PHONE, SMALLEST, PAPER = (1440, 900), (1280, 900), (390, 844), (320, 640), (688, 1000)
SECONDS = 1.5
TROUBLES: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()
"""What went wrong in each page."""
SHORT = [".92", f"{MINUS}.05", "1.00", "n/a", ".1", f"{MINUS}1"]
"""Numbers as the paper writes them."""


def opened(browser: "Browser", address: str, size: tuple[int, int] = DESKTOP, **options: Any) -> "Page":
    """The page in a window of its own, without a network; whatever goes wrong in it fails the test at its end."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    said = TROUBLES[page] = []
    for event in ("console", "pageerror", "dialog", "requestfailed", "crash"):
        page.on(event, lambda what, event=event: said.append((event, str(what))))
    page.on("request", lambda request: said.append(request.url) if _is_outside(request.url) else None)
    page.goto(address)
    return page


def unfolded(page: "Page") -> "Page":
    """The same page with all that it folds open."""
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    return page


def _is_outside(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:"))


def table(page: "Page", name: str) -> "Locator":
    return page.locator(f"#{name} table")


def column(page: "Page", name: str, heading: str) -> list[str]:
    """The shown cells under a heading."""
    headings = [text.strip() for text in table(page, name).locator("thead th").all_text_contents()]
    place = headings.index(heading) + 1
    cells = table(page, name).locator(f"tbody tr:not([hidden]) > :nth-child({place})")
    return [text.strip() for text in cells.all_text_contents()]


def number(cell: str) -> float:
    found = re.match(r"<?([+-]?[\d.]+)", cell.replace(MINUS, "-").replace(",", ""))
    assert found
    return float(found[1])
