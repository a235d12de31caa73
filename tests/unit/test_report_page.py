"""The figures, page and headline of a small made-up study."""

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from report_study import LABELS, MINUS_FIVE, OUTLINE, PLANTED, Study, build, write_study

from cascade_equivalence.report import display
from cascade_equivalence.report.contents import write_markdown
from cascade_equivalence.report.examples import KINDS, examples
from cascade_equivalence.report.figures import write_figures
from cascade_equivalence.report.headline import print_headline
from cascade_equivalence.report.html import write_report
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.verdict import verdict


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
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content, as SVG has them."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """Check the nesting."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect the text."""
        self.text += data


def test_figures_are_drawn_and_the_same_every_time(tables: Tables, tmp_path: Path) -> None:
    from matplotlib import image

    first = write_figures(tables, tmp_path / "a")
    again = write_figures(tables, tmp_path / "b")
    assert [path.name for path in first] == ["agreement.svg", "agreement.png", "noise.svg", "noise.png"]
    for path, other in zip(first, again, strict=True):
        assert path.read_bytes() == other.read_bytes()
        if path.suffix == ".png":
            pixels = image.imread(path)
            assert min(pixels.shape[:2]) > 200 and pixels[..., :3].std() > 0.05
        else:
            assert "<text" not in path.read_text() and not re.search(r"\b20\d\d-\d\d-\d\d", path.read_text())


def test_page_escapes_what_models_say_and_needs_no_network(study: Study, tables: Tables, tmp_path: Path) -> None:
    figures = write_figures(tables, tmp_path)
    shown = examples(study.answers, study.transcripts, OUTLINE)
    text = write_report(
        tmp_path / "report.html",
        title="A <study> & more",
        tables=tables,
        figures=figures,
        outline=OUTLINE,
        confidence=0.95,
        examples=shown,
        provenance={"seed": 0, "packages": {"polars": "<1>"}, "tasks": ["a", "b"]},
    ).read_text()
    page = Page(text)
    assert not page.open and "script" not in page.tags and "<script" not in text
    assert PLANTED in page.text and "A <study> & more" in page.text and "packages / polars" in page.text
    assert page.tags.count("svg") == 2
    addresses = [value or "" for name, value in page.attributes if name in ("src", "href", "xlink:href", "action")]
    assert addresses and all(address.startswith("#") for address in addresses)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    ids = {value for name, value in page.attributes if name == "id"}
    assert {address[1:] for address in addresses} <= ids


def test_examples_show_both_sides_of_each_kind(study: Study) -> None:
    shown = examples(study.answers, study.transcripts, OUTLINE, per_kind=3)
    assert {example.task for example in shown} == set(LABELS)
    for example in shown:
        system, reference = example.sides
        assert (system.system, reference.system) == ("base-qwen", "tiny-qwen")
        rights = (system.correct, reference.correct)
        assert list(KINDS)[[(True, True), (True, False), (False, True), (False, False)].index(rights)] == example.kind
        assert system.heard == "heard as <b>" and system.correct == (system.parsed == example.gold)
    assert shown == examples(study.answers, study.transcripts, OUTLINE, per_kind=3)


def test_verdict_says_ceiling_chance_and_what_is_undefined(tables: Tables) -> None:
    text = " ".join(verdict(tables, OUTLINE))
    assert text.count("ceiling") == 1 and "base-qwen and tiny-qwen share their LLM" in text
    assert re.search(r"On SST-2 \(κ [\d.]+ to [\d.]+\) at least one system of a pair is not above chance", text)
    assert "undefined on MUStARD" in text and "On MUStARD no system is clearly better" in text
    assert "neither support nor refute" in text
    assert "accuracies differ in 1 of 8 comparisons: base-smol against base-qwen on SST-2 (+" in text
    assert f"at {MINUS_FIVE} accuracy changes by" in text


def test_headline_is_plain_outside_a_terminal(tables: Tables) -> None:
    stream = io.StringIO()
    print_headline(tables, 0.95, stream)
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
    assert write_figures(tables, tmp_path) == []
    Page(
        write_report(
            tmp_path / "r.html", title="t", tables=tables, figures=[], outline=OUTLINE, confidence=0.95
        ).read_text()
    )
