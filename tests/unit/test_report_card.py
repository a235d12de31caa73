"""What heads the page, and its grid: they say what the terminal says, and name everyone before telling of them."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from report_study import IMPLICIT_OUTLINE, LABELS, SPEECH_OUTLINE, STATISTICS, Study, build, write_study
from test_report_browser import tone, write_speech
from test_report_page import Page, check_page, write

from cascade_equivalence.config.study import ByItself
from cascade_equivalence.report.browser import KINDS, SHARED, SHARED_FIRST, Items, browser_items
from cascade_equivalence.report.card import KINDS_OF_SYSTEMS, PORTRAITS, card
from cascade_equivalence.report.display import decimal, ends
from cascade_equivalence.report.grid import MEANINGS, verdict_grid
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.screen import screen
from cascade_equivalence.report.screen_cells import SYMBOLS, opponents, told
from cascade_equivalence.report.screen_sentences import sentences
from cascade_equivalence.report.shown import TEMPLATES
from cascade_equivalence.report.tables import Tables

COUNTED = [{"task": task, "groups": 60, "answers": 100} for task in LABELS]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A made-up study with speech LLMs and systems of every kind that needs no service."""
    return write_study(tmp_path_factory.mktemp("study"), IMPLICIT_OUTLINE)


@pytest.fixture(scope="module")
def tables(study: Study) -> Tables:
    """Its tables."""
    return build(study)


@pytest.fixture(scope="module")
def items(study: Study) -> Items:
    """Its items, clean SST-2 with sound."""
    speech = [write_speech(study.root, "sst2", voice, "clean", tone(300)) for voice in ("heart", "us", "gb")]
    return browser_items(study.answers, study.transcripts, speech, [], IMPLICIT_OUTLINE, per_kind=1)


@pytest.fixture(scope="module")
def page(tables: Tables, items: Items, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page."""
    page = Page(write(tmp_path_factory.mktemp("page"), tables, outline=IMPLICIT_OUTLINE, items=items))
    check_page(page)
    return page


def flat(text: str) -> str:
    return " ".join(text.split())


def test_its_sentences_are_those_of_the_terminal(page: Page, tables: Tables) -> None:
    said = sentences(tables)
    assert len(said) == len(IMPLICIT_OUTLINE.speech_llms)
    head = flat(page.between("answer", "verdict"))
    lines = screen(tables, STATISTICS, page="page", command="show")
    shown = flat(" ".join(lines))
    for sentence in said:
        assert flat(sentence) in head and flat(sentence) in shown


def test_everyone_is_introduced_before_the_grid_speaks_of_them(page: Page, tables: Tables) -> None:
    head, grid = page.between("answer", "verdict"), verdict_grid(tables)
    assert grid is not None
    named = {name for row in grid["rows"] for name in row["pair"]}
    assert named == {name for pair in IMPLICIT_OUTLINE.pairs for name in (pair.system, pair.reference)}
    drawn = head[head.index("Who is who") :]
    for name in named:
        assert name in drawn
    for task in LABELS:
        assert task_title(task) in head


def test_the_drawing_shows_what_each_system_is_made_of(tables: Tables, items: Items) -> None:
    found = card(tables, IMPLICIT_OUTLINE, STATISTICS, COUNTED, items)
    ways = {portrait.name: [kind for kind, _ in portrait.way] for portrait in found.portraits}
    assert ways.keys() == IMPLICIT_OUTLINE.systems.keys() and len(ways) > PORTRAITS - 1
    for portrait in found.portraits:
        spec = IMPLICIT_OUTLINE.systems[portrait.name]
        labels = " ".join(label for _, label in portrait.way)
        assert (spec.model if isinstance(spec, ByItself) else spec.llm) in labels
        # A speech LLM gets no text; all others pass one on.
        assert ("text" in ways[portrait.name]) == (not isinstance(spec, ByItself))
        assert portrait.about.startswith(KINDS_OF_SYSTEMS[spec.kind])
    assert ways["talker-oracle"] == ["text", "reads"] and ways["base-qwen"] == ["sound", "hears", "text", "reads"]
    about = {portrait.name: portrait.about for portrait in found.portraits}
    exact = tables.agreement.filter(system="talker", match="exact")["reference"].unique()
    assert {name for name, words in about.items() if "LLM of talker" in words} == set(exact)


def test_the_clip_is_a_shared_error_that_can_be_heard(tables: Tables, items: Items) -> None:
    assert sorted(SHARED_FIRST) == sorted(KINDS) and SHARED_FIRST[0] == SHARED
    example = card(tables, IMPLICIT_OUTLINE, STATISTICS, COUNTED, items).example
    assert example is not None and example.clip.audio and example.clip.condition == "clean"
    pair = opponents(tables)["talker"]
    assert pair is not None and set(pair.pair) == set(example.place)
    assert [name for name, _ in example.answers][:2] == list(example.place)
    for name, side in example.answers:
        assert side == example.clip.sides[name]
    sides = [example.clip.sides[name] for name in example.place]
    audible = {
        entry.kind
        for entry in items.entries
        if (items.pairs[entry.pair].system, items.pairs[entry.pair].reference) == example.place
        and items.clips[entry.clip].audio
        and items.clips[entry.clip].condition == "clean"
    }
    assert (example.what == SHARED) == (SHARED in audible)
    if example.what == SHARED:
        assert sides[0].parsed == sides[1].parsed and not sides[0].correct
    silent = replace(items, clips=[replace(clip, audio=None) for clip in items.clips])
    assert card(tables, IMPLICIT_OUTLINE, STATISTICS, COUNTED, silent).example is not None
    assert card(tables, IMPLICIT_OUTLINE, STATISTICS, COUNTED, None).example is None


def test_it_says_what_it_would_take_to_tell_more(tables: Tables) -> None:
    first = opponents(tables)["talker"]
    assert first is not None
    of_pair = pl.col("system").eq(first.pair[0]) & pl.col("reference").eq(first.pair[1])
    few = tables.equivalence.with_columns(verdict=pl.when(of_pair).then(pl.lit("inconclusive")).otherwise("verdict"))
    needing = tables.power.with_columns(groups_for_80=pl.lit(98_765))
    unsure = tables.changed(equivalence=few, power=needing)
    assert "98,765" in card(unsure, SPEECH_OUTLINE, STATISTICS, COUNTED, None).next
    enough = unsure.changed(power=needing.with_columns(groups_for_80=pl.lit(1)))
    assert card(enough, SPEECH_OUTLINE, STATISTICS, COUNTED, None).next == ""


def test_the_grid_says_what_the_terminal_says_and_by_which_number(page: Page, tables: Tables) -> None:
    cells, grid = told(tables), verdict_grid(tables)
    assert grid is not None and MEANINGS.keys() == SYMBOLS.keys()
    style = (TEMPLATES / "tables.css").read_text()
    rows = {
        (row["system"], row["reference"], row["task"]): row
        for row in tables.equivalence.filter(condition="clean").to_dicts()
    }
    assert grid["rows"][0]["pair"] == opponents(tables)["talker"].pair  # type: ignore[union-attr]
    told_of = set()
    for line in grid["rows"]:
        for cell in filter(None, line["cells"]):
            one, row = cells[line["pair"]][cell["task"]], rows[*line["pair"], cell["task"]]
            told_of.add(one.state)
            assert (cell["state"], cell["symbol"]) == (one.state, SYMBOLS[one.state])
            assert f".is-{one.state.replace(' ', '-')} " in style
            written = " ".join(cell["numbers"])
            assert row["kappa"] is None or f"κ {decimal(row['kappa'])}" in written
            # No more than one interval, that of the number that the verdict rests on.
            assert written.count("[") <= 1
            if one.state == "not alike" and row["accuracy_verdict"] == "different":
                assert "points" in written
            elif row["gap"] is None and row["kappa"] is not None:
                assert ends(row, "kappa") in written
    assert {state for _, state, _ in grid["legend"]} == told_of
    shown = flat(page.between("verdict", "in-words"))
    assert all(flat(meaning) in shown for _, _, meaning in grid["legend"])
    assert verdict_grid(Tables()) is None


def test_a_study_of_many_systems_folds_what_a_screen_does_not_hold(study: Study, tmp_path: Path) -> None:
    systems = {f"more-{i}": SPEECH_OUTLINE.systems["base-qwen"] for i in range(9)}
    outline = replace(IMPLICIT_OUTLINE, systems=IMPLICIT_OUTLINE.systems | systems)
    tables = build(study)
    some = tables.accuracy.filter(system="base-qwen")
    many = pl.concat([tables.accuracy, *(some.with_columns(system=pl.lit(name)) for name in systems)])
    found = Page(write(tmp_path, tables.changed(accuracy=many), outline=outline))
    check_page(found)
    assert "more" in [attributes.get("class") for tag, attributes in found.elements if tag == "details"]
    assert all(name in found.between("answer", "verdict") for name in outline.systems)
