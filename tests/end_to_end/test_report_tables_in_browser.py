"""Tables of the page in a real browser: sorted, filtered and copied."""

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from report_page import SHORT, column, number, table, unfolded

from cascade_equivalence.report.display import MINUS
from cascade_equivalence.report.tables import displays

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright to lead a browser with")
if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(autouse=True)
def _unfolded(page: "Page") -> None:
    unfolded(page)


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
