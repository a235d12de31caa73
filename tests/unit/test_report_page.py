"""The figures, page and headline of a small made-up study."""

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from report_study import MINUS_FIVE, OUTLINE, PLANTED, STATISTICS, Study, build, write_study

from cascade_equivalence.config.statistics import PairSpec
from cascade_equivalence.config.study import CascadeSpec
from cascade_equivalence.report import display
from cascade_equivalence.report.browser import Entry, HeardClip, Items, Side, browser_items
from cascade_equivalence.report.display import Display
from cascade_equivalence.report.figures.figure import figure_name
from cascade_equivalence.report.figures.write import write_figures
from cascade_equivalence.report.headline import print_headline
from cascade_equivalence.report.html import SCRIPTS, write_report
from cascade_equivalence.report.shown import SECTIONS
from cascade_equivalence.report.tables import Tables, displays, write_markdown
from cascade_equivalence.report.verdict import verdict

HOSTILE = "</script></noscript><script>alert(1)</script><img src=x onerror=alert(1)><!-- {{ 7*7 }} \u2028 ]]> \"' &amp;"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The made-up study."""
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def tables(study: Study) -> Tables:
    """Its tables."""
    return build(study)


class Page(HTMLParser):
    """Collects the elements, ids, links and text of a page, and checks that elements close."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self, text: str) -> None:
        """Parse a page."""
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.scripts: list[tuple[str | None, str]] = []
        self.cells: list[str] = []
        self.headings: list[str] = []
        self.unfolded: list[dict[str, str | None]] = []
        self.places: dict[str, int] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))
        if tag in ("td", "th"):
            self.cells.append("")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content, as SVG has them."""
        self.tags.append(tag)
        self.elements.append((tag, dict(attrs)))
        if tag in ("table", "figure") and "details" not in self.open:
            self.unfolded.append(dict(attrs))
        self.places |= {str(value): len(self.text) for name, value in attrs if name == "id"}
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """Check the nesting."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect the text, but for styles and scripts."""
        if self.open and self.open[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif not self.open or self.open[-1] != "style":
            self.text += data
        if {"td", "th"} & set(self.open[-4:]):
            self.cells[-1] += data
        # But for what stands beside a heading: how many tables it holds.
        if any(re.fullmatch(r"h[1-6]", tag) for tag in self.open) and self.open[-1] != "span":
            self.headings[-1] += data

    def between(self, start: str, end: str) -> str:
        """The text from one id to another."""
        return self.text[self.places[start] : self.places[end]]

    @property
    def ids(self) -> list[str | None]:
        """All ids, in the order of the page."""
        return [value for name, value in self.attributes if name == "id"]


def check_page(page: Page) -> None:
    """What holds for every page: it is whole, runs only its own scripts, needs no network, and can be found through."""
    assert page.open == []
    own = [text for kind, text in page.scripts if kind is None]
    assert len(own) == len(SCRIPTS) and {kind for kind, _ in page.scripts} <= {None, "application/json"}
    (policy,) = [
        str(attributes["content"])
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in own]
    assert rules["default-src"] == "'none'" and rules["script-src"].split() == hashes
    assert all("http" not in rule and "*" not in rule for rule in rules.values())
    assert "connect-src" not in rules and rules["media-src"] == "data: blob:"
    addresses = [value or "" for name, value in page.attributes if name in ("src", "href", "xlink:href", "action")]
    sounds = [
        value or "" for tag, each in page.elements if tag == "audio" for name, value in each.items() if name == "src"
    ]
    assert all(sound.startswith("data:audio/") for sound in sounds)
    addresses = [address for address in addresses if address not in sounds]
    assert addresses and all(address.startswith("#") for address in addresses)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in addresses} <= set(page.ids)
    labels = [value or "" for name, value in page.attributes if name == "aria-labelledby"]
    assert set(labels) <= set(page.ids)
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(heading.strip() for heading in page.headings)
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))
    assert [page.tags.count(tag) for tag in ("main", "nav", "header")] == [1, 1, 1]
    first = next(attributes for tag, attributes in page.elements if tag == "a")
    assert first == {"class": "skip", "href": "#answer"}
    # All but the grid of verdicts is folded.
    assert [attributes.get("class") for attributes in page.unfolded] in ([], ["grid"])
    assert not [attributes for tag, attributes in page.elements if tag == "details" and "open" in attributes]
    assert ("html", {"lang": "en"}) in page.elements


def write(path: Path, tables: Tables, **changed: Any) -> str:
    """The text of a page."""
    usual = {"title": "t", "tables": tables, "figures": [], "outline": OUTLINE, "statistics": STATISTICS}
    return write_report(path / "report.html", **(usual | changed)).read_text(encoding="utf-8")


def test_figures_are_drawn_and_the_same_every_time(tables: Tables, tmp_path: Path) -> None:
    from matplotlib import image

    first = write_figures(tables, tmp_path / "a")
    again = write_figures(tables, tmp_path / "b")
    files = {f"{stem}.{kind}" for stem in ("figure1_agreement", "figure3_noise") for kind in ("svg", "png")}
    assert files <= {path.name for path in first}
    for path, other in zip(first, again, strict=True):
        assert path.read_bytes() == other.read_bytes()
        if path.suffix == ".png":
            pixels = image.imread(path)
            assert min(pixels.shape[:2]) > 200 and pixels[..., :3].std() > 0.05
        else:
            assert "<text" not in path.read_text() and not re.search(r"\b20\d\d-\d\d-\d\d", path.read_text())


def test_page_escapes_what_models_say_and_needs_no_network(study: Study, tables: Tables, tmp_path: Path) -> None:
    figures = write_figures(tables, tmp_path)
    text = write(
        tmp_path,
        tables,
        title="A <study> & more",
        figures=figures,
        items=browser_items(study.answers, study.transcripts, [], [], OUTLINE),
        provenance={"seed": 0, "packages": {"polars": "<1>"}, "tasks": ["a", "b"]},
    )
    page = Page(text)
    check_page(page)
    assert PLANTED in page.text and "A <study> & more" in page.text and "packages / polars" in page.text
    assert page.tags.count("figure") == sum(path.suffix == ".svg" for path in figures) >= 2
    # The names that SVG gives its dialects are no addresses.
    outside = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", text)


def test_the_verdict_comes_first_and_the_items_last(study: Study, tables: Tables, tmp_path: Path) -> None:
    extra = [(name, Display(f"extra-{name}", f"More on {name}", ["a"], [["1"]], [])) for name in SECTIONS]
    page = Page(
        write(
            tmp_path,
            tables,
            figures=write_figures(tables, tmp_path),
            items=browser_items(study.answers, study.transcripts, [], [], OUTLINE),
            extra_tables=extra,
        )
    )
    check_page(page)
    parts = ["answer", "verdict", "behaviour", "inside", "controls", "counts", "cost", "paper", "provenance", "items"]
    assert [each for each in page.ids if each in parts] == parts
    places = [
        *("verdict", "extra-verdict", "behaviour", "on-agreement", "figure-agreement", "agreement", "extra-agreement"),
        *("on-accuracy", "accuracy", "on-errors", "extra-errors", "on-noise", "figure-noise", "noise", "extra-noise"),
        *("on-transcription", "transcription", "inside", "extra-probes", "extra-erasure", "controls", "counted"),
        *("cost", "costs", "paper", "extra-paper", "provenance", "items", "browser", "items-data"),
    ]
    assert [page.ids.index(place) for place in places] == sorted(page.ids.index(place) for place in places)
    for _, table in extra:
        assert table.title in page.text
    links = [attributes.get("href") for tag, attributes in page.elements if tag == "a"]
    assert {f"#{part}" for part in parts} | {"#on-agreement", "#on-errors", "#on-noise"} <= set(links)
    with pytest.raises(KeyError, match="nowhere"):
        write(tmp_path, tables, extra_tables=[("nowhere", extra[0][1])])
    for name in ("inside", "agreement"):
        with pytest.raises(ValueError, match=name):
            write(tmp_path, tables, extra_tables=[("errors", replace(extra[0][1], name=name))])


def test_an_empty_table_and_a_section_without_any_are_left_out(tables: Tables, tmp_path: Path) -> None:
    empty = Display("nothing", "Nothing", ["a"], [], [])
    page = Page(write(tmp_path, tables, extra_tables=[("paper", empty)]))
    check_page(page)
    assert not {"nothing", "on-more", "on-probes", "inside", "paper", "items"} & set(page.ids)


def test_a_section_without_a_title_has_one_beside_others_that_have(tables: Tables, tmp_path: Path) -> None:
    shown = [(section, Display(f"of-{section}", "Shown", ["a"], [["1"]], [])) for section in ("dial", "controls")]
    page = Page(write(tmp_path, tables, extra_tables=shown))
    check_page(page)
    assert {"on-dial", "on-controls"} <= set(page.ids) and ("href", "#on-controls") in page.attributes


def test_tables_stand_in_the_page_cell_by_cell(tables: Tables, tmp_path: Path) -> None:
    page = Page(write(tmp_path, tables))
    cells = "\0".join(page.cells)
    for table in displays(tables, 0.95):
        assert "\0".join([*table.columns, *(cell for row in table.rows for cell in row)]) in cells
        for remark in table.remarks:
            assert remark in page.text


def test_hostile_text_stays_text_in_every_field(tables: Tables, tmp_path: Path) -> None:
    side = Side(HOSTILE, HOSTILE, True, HOSTILE, HOSTILE, False)
    pair = PairSpec.model_construct(system=HOSTILE, reference="tiny-qwen", label=HOSTILE)
    sides = {HOSTILE: side, "tiny-qwen": replace(side, correct=True)}
    clip = HeardClip(
        "sst2", HOSTILE, HOSTILE, "clean", HOSTILE, sides, HOSTILE, (HOSTILE, HOSTILE), HOSTILE, 1.0, HOSTILE
    )
    items = Items([pair], [clip], [Entry(0, 0, "only the system right")])
    table = Display("hostile", HOSTILE, [HOSTILE, HOSTILE], [[HOSTILE, HOSTILE]], [HOSTILE, f"‡ {HOSTILE}"])
    named = {
        name: table.with_columns(pl.col(pl.String).replace("base-smol", HOSTILE))
        for name, table in dict(tables).items()
    }
    pairs = [PairSpec.model_construct(system=HOSTILE, reference="base-qwen", label="LLM changed"), OUTLINE.pairs[0]]
    systems = {HOSTILE if name == "base-smol" else name: spec for name, spec in OUTLINE.systems.items()}
    systems[HOSTILE] = CascadeSpec.model_construct(kind="cascade", asr=HOSTILE, llm=HOSTILE)
    text = write(
        tmp_path,
        tables.changed(**named),
        outline=replace(OUTLINE, systems=systems, pairs=pairs),
        title=HOSTILE,
        items=items,
        extra_tables=[("paper", table)],
        provenance={HOSTILE: {HOSTILE: HOSTILE}},
    )
    page = Page(text)
    check_page(page)
    assert "img" not in page.tags and "{{ 7*7 }}" in page.text
    (held,) = [json.loads(script) for kind, script in page.scripts if kind == "application/json"]
    assert held == json.loads(json.dumps(items.payload()))
    # Title twice, the table's, its anchor and cells, the provenance, the card, the grid, the sample without JavaScript.
    assert page.text.count(HOSTILE) > 25
    assert re.findall(r"<(?:script|noscript)\b[^>]*>", text).count("<script>") == len(SCRIPTS)


def test_text_that_is_no_number_is_refused_as_data(tables: Tables, tmp_path: Path) -> None:
    side = Side("Heard", "h", True, "r", "p", True)
    pair = OUTLINE.pairs[0]
    clip = HeardClip("sst2", "1", "v", "clean", "g", {pair.system: side, pair.reference: side}, seconds=float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        write(tmp_path, tables, items=Items([pair], [clip], [Entry(0, 0, "both right")]))


def test_verdict_says_ceiling_chance_and_what_is_undefined(tables: Tables) -> None:
    text = " ".join(verdict(tables, OUTLINE))
    assert text.count("ceiling") == 1 and "base-qwen and tiny-qwen share their LLM" in text
    assert re.search(
        r"On SST-2 \(κ [\d.]+ to [\d.]+\) at least one system of a pair is not shown to be above chance", text
    )
    assert "undefined on MUStARD" in text and "On MUStARD no system is clearly better" in text
    assert "neither support nor refute" in text
    assert "accuracies differ in 1 of 8 comparisons: base-smol against base-qwen on SST-2 (+" in text
    assert f"at {MINUS_FIVE} accuracy changes by" in text


def test_headline_is_plain_outside_a_terminal(tables: Tables) -> None:
    stream = io.StringIO()
    print_headline(tables, STATISTICS, stream)
    text = stream.getvalue()
    assert "\x1b" not in text and "│" not in text and "…" not in text
    clean = tables.agreement.filter(pl.col("condition") == "clean")
    for row in clean.iter_rows(named=True):
        line = f"{row['system']} vs. {row['reference']}"
        assert line in text and display.interval(row["kappa"], row["kappa_low"], row["kappa_high"]) in text


def test_a_study_without_noise_pairs_or_transcripts_still_has_tables(study: Study, tmp_path: Path) -> None:
    clean = [path for path in study.answers if path.stem == "clean"]
    tables = build(study, answer_files=clean, agreement_files=[], transcript_files=[])
    tables.write(tmp_path)
    assert Tables.read(tmp_path).noise.equals(tables.noise)
    write_markdown(tables, tmp_path, 0.95)
    assert not {"agreement", "noise"} & {figure_name(path.stem) for path in write_figures(tables, tmp_path)}
    check_page(Page(write(tmp_path, tables)))


def test_equal_studies_give_equal_pages(study: Study, tables: Tables, tmp_path: Path) -> None:
    def page(name: str) -> str:
        items = browser_items(study.answers, study.transcripts, [], [], OUTLINE, per_kind=1)
        return write(tmp_path / name, tables, figures=write_figures(tables, tmp_path / name), items=items)

    assert page("a") == page("b")
