"""The page in a real browser, from disk and offline: seen, read, printed and led by the keyboard."""

import re
from typing import TYPE_CHECKING, Any

import pytest
from report_page import DESKTOP, LAPTOP, PAPER, PHONE, SMALLEST, TROUBLES, opened, table, unfolded
from report_study import PLANTED

from cascade_equivalence.report.display import Display
from cascade_equivalence.report.tables import displays

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright to lead a browser with")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOCUSABLE = "a[href], button, input, select, summary, audio, [tabindex='0']"
"""What the Tab key stops at, as far as it is shown."""


def test_the_page_loads_with_all_its_figures(page: "Page", tables_shown: dict[str, Any]) -> None:
    assert page.title() == "Cascade equivalence" and page.locator("#verdict").is_visible()
    figures = unfolded(page).locator("figure svg")
    assert figures.count() == sum(path.suffix == ".svg" for path in tables_shown["figures"]) >= 6
    for figure in figures.all():
        box = figure.bounding_box()
        assert box and box["width"] > 400 and box["height"] > 100
        # Marks that others refer to are there: nothing was renamed by half.
        missing = figure.evaluate(
            "svg => [...svg.querySelectorAll('use')].filter(use => !document.getElementById("
            "use.getAttribute('xlink:href').slice(1))).length"
        )
        assert missing == 0 and figure.locator("use").count() > 10


@pytest.mark.parametrize("size", [DESKTOP, (1024, 768), (768, 1024), PHONE, SMALLEST], ids=lambda size: str(size[0]))
def test_nothing_scrolls_sideways_but_boxes(browser: "Browser", address: str, size: tuple[int, int]) -> None:
    page = unfolded(opened(browser, address, size))
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    page.evaluate("window.scrollTo(500, 0)")
    assert page.evaluate("window.scrollX") == 0
    assert TROUBLES[page] == []
    page.context.close()


def test_everything_is_reached_by_the_keyboard_and_seen(page: "Page") -> None:
    page.keyboard.press("Tab")
    skip = page.locator("a.skip")
    assert skip.evaluate("link => link === document.activeElement") and skip.bounding_box()["x"] == 0
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#answer-title")).to_be_in_viewport()
    page.evaluate("document.activeElement.blur(); document.body.focus(); window.scrollTo(0, 0)")
    page.goto(page.url.partition("#")[0])
    page.reload()
    unfolded(page)
    wanted = page.evaluate(
        "selector => [...document.querySelectorAll(selector)].filter(each => each.checkVisibility()).length", FOCUSABLE
    )
    page.evaluate("window.seen = new Set()")
    look = (
        "() => { const now = document.activeElement; if (now === document.body) return 'end'; window.seen.add(now);"
        " const style = getComputedStyle(now); return now.tagName === 'AUDIO' ? 'solid' : style.outlineStyle; }"
    )
    outlines = set()
    for _ in range(3 * wanted):
        page.keyboard.press("Tab")
        outline = page.evaluate(look)
        if outline == "end":
            break
        outlines.add(outline)
    assert page.evaluate("window.seen.size") >= wanted > 100
    assert "none" not in outlines
    names = page.evaluate("[...window.seen].map(each => each.name || each.id || each.tagName)")
    assert {"pair", "task", "kind", "voice", "condition", "text", "browser-more", "AUDIO", "SUMMARY"} <= set(names)


def test_the_contents_follow_the_reader(page: "Page") -> None:
    current = page.locator(".contents a[aria-current]")
    assert current.text_content() == "In short"
    page.locator(".contents a[href='#on-probes']").click()
    playwright.expect(current).to_have_text("Probes: what is encoded")
    assert current.count() == 1
    playwright.expect(page.locator("#on-probes h3")).to_be_in_viewport()
    playwright.expect(page.locator(".contents a[href='#on-probes']")).to_be_in_viewport()


def test_a_screen_answers_and_twelve_hold_the_page(browser: "Browser", address: str) -> None:
    page = opened(browser, address, LAPTOP)
    heights = page.evaluate("[document.documentElement.scrollHeight, innerHeight]")
    assert heights[0] <= 12 * heights[1]
    for part in (".said", ".cast", ".points", ".example"):
        box = page.locator(f"#answer {part}").first.bounding_box()
        assert box and box["y"] + box["height"] <= heights[1], part
    assert page.locator("#answer").evaluate("card => card.getBoundingClientRect().bottom <= innerHeight")
    assert TROUBLES[page] == []
    page.context.close()


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=lambda size: str(size[0]))
def test_the_grid_fits(browser: "Browser", address: str, size: tuple[int, int]) -> None:
    page = opened(browser, address, size)
    box = page.locator("#verdict > .scroll")
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
    cells = page.locator("table.grid :is(th, td)").evaluate_all(
        "all => all.map(cell => cell.scrollWidth - cell.clientWidth)"
    )
    assert max(cells) <= 0
    # The words and numbers are there for those who hear the page, the symbols for those who see it.
    assert page.locator("table.grid .symbol").first.is_visible()
    assert TROUBLES[page] == []
    page.context.close()


def test_a_link_unfolds_what_it_leads_to(browser: "Browser", address: str) -> None:
    for name in ("agreement", "figure-probes", "on-erasure", "claims", "in-words", "layers"):
        page = opened(browser, f"{address}#{name}")
        playwright.expect(page.locator(f"#{name}")).to_be_in_viewport()
        assert page.locator("details.fold[open]").count() == 1
        page.context.close()
    page = opened(browser, address)
    page.locator(".contents a[href='#provenance']").click()
    playwright.expect(page.locator("#provenance .wide")).to_be_in_viewport()
    page.evaluate("location.hash = '#accuracy'")
    playwright.expect(page.locator("#accuracy")).to_be_in_viewport()
    button = page.get_by_role("button", name="Unfold all")
    button.click()
    assert page.locator("details.fold:not([open])").count() == 0
    page.get_by_role("button", name="Fold all").click()
    assert page.locator("details.fold[open]").count() == 0
    assert TROUBLES[page] == []
    page.context.close()


def test_heads_of_long_tables_stay_in_sight(page: "Page") -> None:
    box = unfolded(page).locator("#agreement .scroll")
    head = page.locator("#agreement thead th").first
    top = head.bounding_box()["y"]
    box.evaluate("box => { box.scrollTop = 300; }")
    assert box.evaluate("box => box.scrollTop") == 300
    assert head.bounding_box()["y"] == pytest.approx(top, abs=1)


def test_without_javascript_all_is_there_to_read(
    browser: "Browser", address: str, tables_shown: dict[str, Any]
) -> None:
    page = opened(browser, address, java_script_enabled=False)
    for fold in page.locator("details.fold").all():
        fold.locator(":scope > summary").click()
    assert page.locator("main button:visible, main input:visible, main select:visible").count() == 0
    assert not page.locator("#browser").is_visible()
    for shown in displays(tables_shown["tables"], 0.95):
        _assert_shown(page, shown)
    samples = page.locator("#items details")
    assert samples.count() == 4
    samples.first.locator("summary").click()
    assert samples.first.locator("article").count() >= 3
    assert PLANTED in str(samples.first.text_content())
    assert TROUBLES[page] == []
    page.context.close()


def _assert_shown(page: "Page", shown: Display) -> None:
    assert page.locator(f"#{shown.name}-title").is_visible()
    cells = table(page, shown.name).locator("th, td").all_text_contents()
    assert [cell.strip() for cell in cells] == [cell.strip() for row in (shown.columns, *shown.rows) for cell in row]


CONTRAST = """(selector) => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => {
    const linear = (part) => (part <= 10.3 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility()).map((each) => {
    let behind = each, back = [];
    while (behind && (back.length < 3 || back[3] === 0)) {
      back = parse(getComputedStyle(behind).backgroundColor);
      behind = behind.parentElement;
    }
    const both = [parse(getComputedStyle(each).color), back].map((rgb) => light(rgb.slice(0, 3)));
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_the_light_and_in_the_dark(browser: "Browser", address: str, scheme: Any) -> None:
    page = unfolded(opened(browser, address, color_scheme=scheme))
    words = "p, h1, h2, h3, h4, h5, td, th, dt, dd, li, summary, figcaption, a, label, strong, ins, del, .soft, .kappa"
    words += ", .station, .holds"
    found = page.evaluate(CONTRAST, words)
    # WCAG 2.2, 1.4.3: 4.5 to 1 for small text.
    assert len(found) > 500 and min(found) >= 4.5
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (scheme == "dark")
    assert TROUBLES[page] == []
    page.context.close()


def test_it_is_printed_whole(browser: "Browser", address: str) -> None:
    page = opened(browser, address, PAPER)
    page.emulate_media(media="print")
    # What is folded has its height on paper, whether or not a script unfolds it.
    assert page.locator("#agreement").bounding_box()["height"] > 100
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator(".contents, .tools, .filters, audio").filter(visible=True).count()
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER[0]
    cut = page.locator(".scroll").evaluate_all(
        "all => all.filter(box => box.scrollHeight > box.clientHeight + 1).length"
    )
    assert cut == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert len(page.pdf(format="A4")) > 50_000 and TROUBLES[page] == []
    page.context.close()
