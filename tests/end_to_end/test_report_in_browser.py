"""The page in a real browser, from disk and offline: it sorts, filters, plays, and can be used without a mouse."""

import csv
import io
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from report_mechanism_study import SPEAKERS, TASKS, World, write_mechanism
from report_study import IMPLICIT_OUTLINE, PLANTED, STATISTICS, build, write_study
from test_report_browser import write_speech
from test_report_page import verdicts

from cascade_equivalence.report.browser import KINDS, browser_items
from cascade_equivalence.report.contents import displays
from cascade_equivalence.report.costs import clip_seconds, costs_table
from cascade_equivalence.report.display import MINUS, Display
from cascade_equivalence.report.figures import write_figures
from cascade_equivalence.report.html import write_report
from cascade_equivalence.report.naming import nodes
from cascade_equivalence.speech.waveform import SAMPLING_RATE, encode_flac

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright to lead a browser with")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is installed")

DESKTOP, PHONE, SMALLEST, PAPER = (1440, 900), (390, 844), (320, 640), (688, 1000)
SECONDS = 1.5
SHORT = [".92", f"{MINUS}.05", "1.00", "n/a", ".1", f"{MINUS}1"]
"""Numbers as the paper writes them."""
FOCUSABLE = "a[href], button, input, select, summary, audio, [tabindex='0']"
"""What the Tab key stops at, as far as it is shown."""


@pytest.fixture(scope="module")
def tables_shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A made-up study of speech LLMs, opened models, costs and clips, as what the page is made from."""
    root = tmp_path_factory.mktemp("study")
    study = write_study(root, IMPLICIT_OUTLINE)
    tables = build(study, mechanism=write_mechanism(root, World(draws=2), TASKS[:1], SPEAKERS[:1]))
    times = np.arange(int(SECONDS * SAMPLING_RATE)) / SAMPLING_RATE
    flac = encode_flac((0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32))
    speech = [
        write_speech(root, task, voice, "clean", flac)
        for task in ("ag_news", "sst2")
        for voice in ("heart", "us", "gb")
    ]
    answers = {
        node: pl.read_parquet(path).with_columns(seconds=pl.lit(0.9 if node.who == "talker" else 0.2))
        for node, path in nodes(study.answers).items()
    }
    costs = costs_table(answers, {}, clip_seconds(speech), IMPLICIT_OUTLINE, tables.accuracy)
    tables = replace(tables, costs=costs)
    return {
        "tables": tables,
        "figures": write_figures(tables, root / "figures"),
        "outline": IMPLICIT_OUTLINE,
        "confidence": STATISTICS.confidence,
        "verdicts": verdicts(tables),
        "items": browser_items(study.answers, study.transcripts, speech, [], IMPLICIT_OUTLINE, per_kind=2),
        "extra_tables": [
            (
                "paper",
                Display("layers", "Layers", ["Layer", "R²"], [[str(i), cell] for i, cell in enumerate(SHORT)], []),
            ),
            ("paper", Display("grouped", "Grouped", ["Layer", "R²"], [["model", ""], ["8", ".2"], ["0", ".1"]], [])),
        ],
        "provenance": {"seed": 0, "models": {"a-model-with-a-name-" + "that-goes-on-" * 12: "revision"}},
    }


@pytest.fixture(scope="module")
def address(tables_shown: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the page is on disk."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_report(path, title="Cascade equivalence", **tables_shown).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Headless Chromium."""
    # Chromium's own sandbox needs a user who is not root.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as lead:
        chromium = lead.chromium.launch(
            executable_path=CHROMIUM, args=[*sandbox, "--autoplay-policy=no-user-gesture-required"]
        )
        yield chromium
        chromium.close()


def opened(browser: "Browser", address: str, size: tuple[int, int] = DESKTOP, **options: Any) -> "Page":
    """The page in a window of its own, without a network; whatever goes wrong in it fails the test at its end."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.troubles = []  # type: ignore[attr-defined]
    for event in ("console", "pageerror", "dialog", "requestfailed", "crash"):
        page.on(event, lambda what, event=event: page.troubles.append((event, str(what))))
    page.on("request", lambda request: page.troubles.append(request.url) if _is_outside(request.url) else None)
    page.goto(address)
    return page


def _is_outside(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:"))


@pytest.fixture
def page(browser: "Browser", address: str) -> Iterator["Page"]:
    """The page on a desktop."""
    page = opened(browser, address)
    yield page
    troubles = page.troubles
    page.context.close()
    assert troubles == []


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


def test_the_page_loads_with_all_its_figures(page: "Page", tables_shown: dict[str, Any]) -> None:
    assert page.title() == "Cascade equivalence" and page.locator("#verdict").is_visible()
    figures = page.locator("figure svg")
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
    page = opened(browser, address, size)
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    page.evaluate("window.scrollTo(500, 0)")
    assert page.evaluate("window.scrollX") == 0
    assert page.troubles == []
    page.context.close()


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_table_is_sorted_by_its_headings(page: "Page", tables_shown: dict[str, Any], by: str) -> None:
    (agreement,) = [each for each in displays(tables_shown["tables"], 0.95) if each.name == "agreement"]
    heading = "κ [95%]"
    before = column(page, "agreement", heading)
    assert before == [row[agreement.columns.index(heading)] for row in agreement.rows]
    head = table(page, "agreement").locator("thead th", has_text="κ")

    def press() -> None:
        if by == "mouse":
            head.get_by_role("button").click()
        else:
            head.get_by_role("button").focus()
            page.keyboard.press("Enter")

    for order, sign in (("ascending", 1), ("descending", -1)):
        press()
        assert head.get_attribute("aria-sort") == order
        after = column(page, "agreement", heading)
        assert sorted(after) == sorted(before) and after != before
        known = [sign * number(cell) for cell in after if not cell.startswith("n/a")]
        assert known == sorted(known) and 0 < len(known) < len(after)
        assert all(cell.startswith("n/a") for cell in after[len(known) :])
        # Rows stay whole.
        rows = {tuple(row) for row in agreement.rows}
        lines = table(page, "agreement").locator("tbody tr")
        shown = [tuple(cell.strip() for cell in line.locator("th, td").all_text_contents()) for line in lines.all()]
        assert set(shown) == rows
    press()
    assert head.get_attribute("aria-sort") is None and column(page, "agreement", heading) == before
    table(page, "agreement").get_by_role("button", name="Task").click()
    tasks = column(page, "agreement", "Task")
    assert tasks == sorted(tasks, key=str.lower)


def test_sorting_reads_every_form_of_number(page: "Page") -> None:
    forms = [
        "1,234",
        f"{MINUS}0.50 [{MINUS}1.00, 0.10]",
        "n/a",
        "0.7 ‡",
        "<0.001 (0.002)",
        "0.001",
        "\N{EN DASH}",
        "12 %",
        "",
    ]
    ordered = [forms[1], forms[4], forms[5], forms[3], forms[7], forms[0]]
    cells = table(page, "accuracy").locator("tbody tr > :nth-child(4)")
    assert cells.count() >= len(forms)
    cells.evaluate_all(
        "(cells, forms) => cells.forEach((cell, place) => { cell.textContent = forms[place] ?? ''; })", forms
    )
    head = table(page, "accuracy").locator("thead th").nth(3)
    for sign in (1, -1):
        head.get_by_role("button").click()
        assert cells.all_text_contents()[: len(ordered)] == ordered[::sign]


def test_short_numbers_are_sorted_and_groups_stay_together(page: "Page") -> None:
    table(page, "layers").get_by_role("button", name="R²").click()
    assert column(page, "layers", "R²") == [SHORT[place] for place in (5, 1, 4, 0, 2, 3)]
    assert table(page, "grouped").get_by_role("button").count() == 0
    assert table(page, "grouped").locator("tr.group").all_text_contents() != []


def test_a_long_table_is_filtered(page: "Page", tables_shown: dict[str, Any]) -> None:
    (agreement,) = [each for each in displays(tables_shown["tables"], 0.95) if each.name == "agreement"]
    box = page.get_by_label("Filter rows: Agreement, item by item")
    box.fill("sst-2  EXACT")
    wanted = [row for row in agreement.rows if "SST-2" in row and "exact" in row]
    assert 0 < len(wanted) < len(agreement.rows)
    assert column(page, "agreement", "Pair") == [row[0] for row in wanted]
    count = page.locator("#agreement [role=status]")
    assert count.text_content() == f"{len(wanted)} of {len(agreement.rows)} rows"
    box.fill("no row has this")
    assert column(page, "agreement", "Pair") == [] and "0 of" in str(count.text_content())
    box.fill("")
    assert len(column(page, "agreement", "Pair")) == len(agreement.rows) and count.text_content() == ""
    assert page.locator("#counted input").count() == 0


@pytest.mark.parametrize("modern", [True, False], ids=["clipboard", "selection"])
def test_a_table_is_copied_as_csv(page: "Page", tables_shown: dict[str, Any], modern: bool) -> None:
    (noise,) = [each for each in displays(tables_shown["tables"], 0.95) if each.name == "noise"]
    if modern:
        page.evaluate(
            "const writeText = async (text) => { window.held = text; };"
            "Object.defineProperty(navigator, 'clipboard', { value: { writeText } })"
        )
    else:
        page.evaluate(
            "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
            "addEventListener('copy', () => { window.held = document.activeElement.value; })"
        )
    spoilt = 'a "quoted", cut\nline'
    table(page, "noise").locator("tbody th").first.evaluate("(cell, text) => { cell.textContent = text; }", spoilt)
    button = page.locator("#noise .copy")
    button.click()
    playwright.expect(button).to_have_text("Copied")
    rows = list(csv.reader(io.StringIO(page.evaluate("window.held"))))
    assert rows[1][0] == spoilt
    assert rows[1][1:] == [_plain(cell) for cell in noise.rows[0][1:]]
    assert rows[2:] == [[_plain(cell) for cell in row] for row in noise.rows[1:]]
    assert rows[0] == [_plain(name) for name in noise.columns]


def _plain(cell: str) -> str:
    return cell.replace(MINUS, "-").replace("\N{NO-BREAK SPACE}", " ").strip()


def test_a_clip_plays_and_the_one_before_it_stops(page: "Page") -> None:
    clips = page.locator("#browser audio")
    assert clips.count() >= 2
    for player in (clips.nth(0), clips.nth(1)):
        player.evaluate("async clip => { clip.muted = true; await clip.play(); }")
        page.wait_for_function("clip => clip.currentTime > 0.2", arg=player.element_handle())
        assert player.evaluate("clip => clip.duration") == pytest.approx(SECONDS, abs=0.1)
    assert clips.nth(0).evaluate("clip => clip.paused") and not clips.nth(1).evaluate("clip => clip.paused")
    assert clips.nth(0).get_attribute("aria-label").startswith("Clip ")


def test_a_clip_that_cannot_be_played_says_where_it_is(page: "Page") -> None:
    player = page.locator("#browser audio").first
    player.evaluate("clip => { clip.src = 'data:audio/mpeg;base64,AAAA'; clip.load(); }")
    absent = page.locator("#browser .absent").first
    playwright.expect(absent).to_contain_text("This browser does not play the clip. It is in ")
    page.locator("#browser select[name=task]").select_option("mustard")
    playwright.expect(page.locator("#browser .absent").first).to_contain_text("There is no clip file.")


def test_items_are_chosen_and_shown_as_text(page: "Page", tables_shown: dict[str, Any]) -> None:
    items = tables_shown["items"]

    def shown() -> tuple[int, list[str]]:
        while page.locator("#browser-more").is_visible():
            page.locator("#browser-more").click()
        titles = page.locator("#browser .item h3").all_text_contents()
        return len(titles), titles

    def there(**wanted: object) -> int:
        fits = [
            entry
            for entry in items.entries
            if all(
                getattr(entry, name, getattr(items.clips[entry.clip], name, None)) == value
                for name, value in wanted.items()
            )
        ]
        return len(fits)

    assert shown()[0] == there(pair=0) > 8
    assert page.locator("#browser-count").text_content() == f"{there(pair=0)} items, {there(pair=0)} shown"
    raw = page.locator("#browser .side div:nth-child(2) dd").first
    assert raw.text_content() == PLANTED and page.locator("#browser script").count() == 0
    kind = "only the reference right"
    page.locator("select[name=pair]").select_option("3")
    page.locator("select[name=kind]").select_option(kind)
    count, titles = shown()
    assert count == there(pair=3, kind=kind) > 0
    assert all(title.endswith(f"only {items.pairs[3].reference} right") for title in titles)
    page.locator("select[name=task]").select_option("ag_news")
    page.locator("select[name=condition]").select_option("snr-5")
    page.locator("select[name=voice]").select_option("us")
    assert shown()[0] == there(pair=3, kind=kind, task="ag_news", condition="snr-5", voice="us")
    page.get_by_role("button", name="Clear").click()
    playwright.expect(page.locator("#browser-count")).to_contain_text(f"{len(items.entries)} items")
    page.get_by_role("searchbox", name="Text").fill("heard PLANTED")
    assert page.locator("#browser .item").count() == 8
    page.get_by_role("searchbox", name="Text").fill("nobody said so")
    assert page.locator("#browser-count").text_content() == "No item is like that."
    assert set(page.locator("select[name=kind] option").all_text_contents()) == {"all", *KINDS}


def test_the_grid_leads_to_its_items(page: "Page", tables_shown: dict[str, Any]) -> None:
    link = page.locator("a.look:visible").nth(1)
    system, reference, task = (link.get_attribute(f"data-{name}") for name in ("system", "reference", "task"))
    link.focus()
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#items-title")).to_be_in_viewport()
    pairs = [(pair.system, pair.reference) for pair in tables_shown["items"].pairs]
    assert page.locator("select[name=pair]").input_value() == str(pairs.index((system, reference)))
    assert page.locator("select[name=task]").input_value() == task
    names = page.locator("#browser .item").first.locator("h4").all_text_contents()
    assert names == [system, reference]


def test_words_left_out_and_put_in_are_marked(page: "Page") -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        said, heard = ([str(word) for word in rng.choice(list("abcde"), rng.integers(0, 9))] for _ in range(2))
        marks = page.evaluate("([a, b]) => cascadeWords.compare(a, b)", [" ".join(said), " ".join(heard)])
        assert [word for mark, word in marks if mark != "in"] == said
        assert [word for mark, word in marks if mark != "out"] == heard
        # As few marks as can be: all words but those of a longest common subsequence.
        common = np.zeros((len(said) + 1, len(heard) + 1), dtype=int)
        for i, word in enumerate(said):
            for j, other in enumerate(heard):
                common[i + 1, j + 1] = common[i, j] + 1 if word == other else max(common[i, j + 1], common[i + 1, j])
        assert sum(mark == "same" for mark, _ in marks) == common[-1, -1]
    same = page.evaluate("cascadeWords.compare('The cat, sat.', 'the CAT sat')")
    assert [mark for mark, _ in same] == ["same"] * 3
    assert page.evaluate("cascadeWords.compare('a '.repeat(500), 'a')") is None
    written = page.evaluate(
        "(() => { const dd = document.createElement('dd'); cascadeWords.write(dd, 'one two', 'one <b>two</b> x'); "
        "return dd.innerHTML; })()"
    )
    assert written == "<span>one</span> <del>two</del> <ins>&lt;b&gt;two&lt;/b&gt; x</ins>"


def test_everything_is_reached_by_the_keyboard_and_seen(page: "Page") -> None:
    page.keyboard.press("Tab")
    skip = page.locator("a.skip")
    assert skip.evaluate("link => link === document.activeElement") and skip.bounding_box()["x"] == 0
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#verdict-title")).to_be_in_viewport()
    page.evaluate("document.activeElement.blur(); document.body.focus(); window.scrollTo(0, 0)")
    page.reload()
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


def test_more_items_take_the_focus(page: "Page") -> None:
    more = page.locator("#browser-more")
    more.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "LI"
    assert page.evaluate("[...document.activeElement.parentElement.children].indexOf(document.activeElement)") == 8


def test_the_contents_follow_the_reader(page: "Page") -> None:
    current = page.locator(".contents a[aria-current]")
    assert current.text_content() == "Verdict"
    page.locator(".contents a[href='#on-probes']").click()
    playwright.expect(current).to_have_text("Probes: what is encoded")
    assert current.count() == 1
    playwright.expect(page.locator("#on-probes h3")).to_be_in_viewport()
    playwright.expect(page.locator(".contents a[href='#on-probes']")).to_be_in_viewport()


def test_heads_of_long_tables_stay_in_sight(page: "Page") -> None:
    box = page.locator("#agreement .scroll")
    head = page.locator("#agreement thead th").first
    top = head.bounding_box()["y"]
    box.evaluate("box => { box.scrollTop = 300; }")
    assert box.evaluate("box => box.scrollTop") == 300
    assert head.bounding_box()["y"] == pytest.approx(top, abs=1)


def test_without_javascript_all_is_there_to_read(
    browser: "Browser", address: str, tables_shown: dict[str, Any]
) -> None:
    page = opened(browser, address, java_script_enabled=False)
    assert page.locator("main button:visible, main input:visible, main select:visible").count() == 0
    assert not page.locator("#browser").is_visible()
    for shown in displays(tables_shown["tables"], 0.95):
        _assert_shown(page, shown)
    samples = page.locator("#items details")
    assert samples.count() == 4
    samples.first.locator("summary").click()
    assert samples.first.locator("article").count() >= 3
    assert PLANTED in str(samples.first.text_content())
    assert page.troubles == []
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
    page = opened(browser, address, color_scheme=scheme)
    words = "p, h1, h2, h3, h4, h5, td, th, dt, dd, li, summary, figcaption, a, label, strong, ins, del, .soft, .kappa"
    found = page.evaluate(CONTRAST, words)
    # WCAG 2.2, 1.4.3: 4.5 to 1 for small text.
    assert len(found) > 500 and min(found) >= 4.5
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (scheme == "dark")
    assert page.troubles == []
    page.context.close()


def test_it_is_printed_whole(browser: "Browser", address: str) -> None:
    page = opened(browser, address, PAPER)
    page.emulate_media(media="print")
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
    assert len(page.pdf(format="A4")) > 50_000 and page.troubles == []
    page.context.close()
