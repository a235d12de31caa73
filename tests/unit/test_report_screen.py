"""One screen of a finished study: it always fits, says what the tables say, and works with next to nothing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from recorded_study import make_study
from rich.cells import cell_len

from cascade_equivalence.cli.tree import build_parser
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.report.display import NOT_RUN
from cascade_equivalence.report.naming import task_title
from cascade_equivalence.report.screen import LINES, screen
from cascade_equivalence.report.screen_cells import (
    ALIKE,
    APART,
    CHANCE,
    FEW,
    OPEN,
    SYMBOLS,
    Nearer,
    nearer,
    opponents,
    told,
)
from cascade_equivalence.report.screen_sentences import WIDTH
from cascade_equivalence.report.table import TABLES
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.report.wording import cut, printable

QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # whole studies take minutes to shrink
COMMAND = "cascade-equivalence show --all study.yaml"
PAGE = "results/study/report.html"
KINDS = ["e2e", "api", "cascade", "implicit", "prior", "imported"]
VERDICTS = ["equivalent", "accuracy only", "different", "ceiling", "inconclusive", "undefined"]
STANDINGS = ["above", "at", "below", "unknown"]
SHOWN = ["sst2", "ag_news", "mustard", "meld", "trivia_qa", "commonsense_qa"]


def table(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """A tidy table of some columns; the others are empty, or count nothing."""
    schema = TABLES.find(name).schema
    empty = {column: 0 if kind == pl.Int64 else None for column, kind in schema.items()}
    return pl.DataFrame([empty | row for row in rows], schema=schema, orient="row")


def made_up(
    systems: Mapping[str, str],
    accuracies: Mapping[tuple[str, str], tuple[float, str]],
    pairs: Mapping[tuple[str, str], tuple[str, Mapping[str, tuple[str, str]]]],
) -> Tables:
    """Tables of a study.

    Args:
        systems: Kinds by name.
        accuracies: By system and task: share right, standing to chance.
        pairs: Match, and by task the verdict and the one on accuracies, by pair.
    """
    accuracy = [
        {"system": name, "kind": systems[name], "task": task, "condition": "clean"}
        | {"accuracy": share, "accuracy_low": share / 2, "chance": 0.5, "against_chance": standing}
        for (name, task), (share, standing) in accuracies.items()
    ]
    compared, judged = [], []
    for (one, other), (match, verdicts) in pairs.items():
        for task, (verdict, of_accuracy) in verdicts.items():
            place = {"system": one, "reference": other, "task": task, "condition": "clean", "match": match}
            place |= {"system_kind": systems[one], "reference_kind": systems[other]}
            place |= {"accuracy_difference": accuracies[one, task][0] - accuracies[other, task][0]}
            compared.append(place)
            judged.append(place | {"verdict": verdict, "accuracy_verdict": of_accuracy})
    return Tables(
        accuracy=table("accuracy", accuracy),
        agreement=table("agreement", compared),
        equivalence=table("equivalence", judged),
    )


@st.composite
def studies(draw: st.DrawFn) -> Tables:
    """Up to 20 systems, 12 tasks and 40 pairs, with any names that files may hold."""
    text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
    named = st.one_of(text, st.from_regex(r"[a-z0-9._-]{1,60}", fullmatch=True))
    systems = draw(st.dictionaries(named, st.sampled_from(KINDS), min_size=1, max_size=20))
    tasks = draw(st.lists(st.one_of(st.sampled_from(SHOWN), text), min_size=1, max_size=12, unique=True))
    share = st.tuples(st.floats(0, 1), st.sampled_from(STANDINGS))
    accuracies = {(name, task): draw(share) for name in systems for task in tasks}
    both = st.tuples(st.sampled_from(list(systems)), st.sampled_from(list(systems)))
    verdict = st.tuples(st.sampled_from(VERDICTS), st.sampled_from(["different", "equivalent", "inconclusive"]))
    verdicts = st.dictionaries(st.sampled_from(tasks), verdict, min_size=1)
    match = st.sampled_from(["exact", "family", "unknown", "none"])
    pairs = draw(st.dictionaries(both, st.tuples(match, verdicts), max_size=40))
    return made_up(systems, accuracies, pairs)


def shown(tables: Tables, page: str = PAGE, command: str = COMMAND) -> list[str]:
    """The screen, which fits."""
    lines = screen(tables, StatisticsConfig(), page=page, command=command)
    assert len(lines) <= LINES == 25
    assert WIDTH == 78
    for line in lines:
        assert cell_len(line) <= WIDTH and line.isprintable(), ascii(line)
    return lines


@settings(max_examples=60, deadline=None, phases=QUICK)
@given(studies(), st.text(min_size=1, max_size=300))
def test_it_always_fits(tables: Tables, place: str) -> None:
    lines = shown(tables, place, f"show --all {place}")
    assert lines == shown(tables, place, f"show --all {place}")


@settings(max_examples=40, deadline=None, phases=QUICK)
@given(studies())
def test_each_symbol_says_what_the_tables_say(tables: Tables) -> None:
    standing = {(row["system"], row["task"]): row["against_chance"] for row in tables.accuracy.to_dicts()}
    found = told(tables)
    rows = tables.equivalence.to_dicts()
    assert sum(map(len, found.values())) == len(rows)
    for row in rows:
        arms = {standing[row[side], row["task"]] for side in ("system", "reference")}
        cell = found[row["system"], row["reference"]][row["task"]]
        if cell.state == ALIKE:
            assert row["verdict"] == "equivalent" and arms == {"above"}
        if cell.state == APART:
            assert row["verdict"] == "different" and "above" in arms
            assert arms == {"above"} or row["accuracy_verdict"] == "different"
        if cell.state == CHANCE:
            assert arms & {"at", "below"}
        assert bool(cell.why) == (cell.state == OPEN)
        if cell.better:
            assert (cell.state, row["accuracy_verdict"]) == (APART, "different")
            assert standing[cell.better, row["task"]] == "above"
        if arms == {"above"} and row["verdict"] not in ("inconclusive", "undefined"):
            assert cell.state not in (OPEN, CHANCE)


def twenty() -> Tables:
    """Twenty speech LLMs and cascades on eight tasks, each pair alike on half of them."""
    tasks = [*SHOWN, "my_own_task", "another_task_with_a_long_name"]
    systems = {f"a-rather-long-name-of-a-system-{i}": "e2e" if i < 10 else "cascade" for i in range(20)}
    names = list(systems)
    verdicts = {task: (("equivalent", "equivalent"), ("different", "different"))[i % 2] for i, task in enumerate(tasks)}
    pairs = {(names[i], names[j]): ("exact", verdicts) for i in range(10) for j in range(10, 20)}
    return made_up(systems, {(name, task): (0.75, "above") for name in names for task in tasks}, pairs)


def test_a_large_study_says_what_is_left_out() -> None:
    lines = shown(twenty())
    (left,) = [line for line in lines if "more pair" in line]
    pairs, systems = (int(re.search(rf"(\d+) more {noun}", left)[1]) for noun in ("pair", "system"))  # type: ignore[index]
    rows = [line for line in lines if set(line.split()[-8:]) == {SYMBOLS[ALIKE], SYMBOLS[APART]}]
    assert len(rows) + pairs == 100
    assert sum(line.split()[-8:] == ["75"] * 8 for line in lines) + systems == 20
    assert "--all" in left and any("speech LLM" in line and "--all" in line for line in lines)
    heads = {line.split("  ")[0] for line in rows}
    assert len(heads) == len(rows), "rows whose names are cut can be told apart"


def test_a_voice_that_is_heard_is_said_and_so_is_what_cannot_be_told() -> None:
    tasks = {"ag_news": (0.8, 0.8), "mustard": (0.66, 0.14), "sst2": (0.7, 0.7), "meld": (0.5, 0.5)}
    verdicts = {
        "ag_news": ("equivalent", "equivalent"),
        "mustard": ("different", "different"),
        "sst2": ("inconclusive", "inconclusive"),
        "meld": ("different", "equivalent"),
    }
    accuracies = {}
    for task, shares in tasks.items():
        standings = ("above", "at" if task in ("mustard", "meld") else "above")
        for name, share, standing in zip(("mini", "base"), shares, standings, strict=True):
            accuracies[name, task] = (share, standing)
    systems = {"mini": "e2e", "base": "cascade", "other": "cascade"}
    accuracies |= {("other", task): (0.5, "above") for task in tasks}
    pairs = {("mini", "other"): ("none", verdicts), ("base", "mini"): ("exact", verdicts)}
    tables = made_up(systems, accuracies, pairs)
    against = opponents(tables)["mini"]
    assert against is not None and against.cascade == "base" and against.is_own
    lines = shown(tables)
    sentence = " ".join(lines[: lines.index("")])
    assert sentence.startswith("mini ") and "base" in sentence and "other" not in sentence
    for task in tasks:
        assert sentence.count(task_title(task)) == 1
    assert "66 %" in sentence and "14 %" in sentence and "voice" in sentence and FEW in sentence
    (row,) = [line for line in lines if line.startswith("base vs. mini")]
    columns = next(
        line for line in lines if task_title("ag_news") in line and task_title("sst2") in line and "%" not in line
    )
    by_task = dict(
        zip(columns.split("?")[1].replace(task_title("ag_news"), "ag").split(), row.split()[3:], strict=True)
    )
    assert list(by_task.values()) == [SYMBOLS[state] for state in (ALIKE, APART, OPEN, CHANCE)]


def test_without_pairs_without_speech_llms_and_without_answers() -> None:
    alone = made_up({"mini": "e2e"}, {("mini", "sst2"): (0.75, "above")}, {})
    assert any(line.split() == ["mini", "75"] for line in shown(alone))
    cascades = made_up({"a": "cascade"}, {("a", "sst2"): (0.75, "above")}, {})
    assert not any("?" in line for line in shown(cascades))
    assert PAGE in "".join(shown(Tables()))
    part = made_up({"a": "e2e", "b": "cascade"}, {("a", "sst2"): (0.75, "above"), ("b", "meld"): (0.5, "at")}, {})
    assert any(line.split() == ["a", "75", NOT_RUN] for line in shown(part))


def test_tasks_that_a_sentence_does_not_name_are_counted() -> None:
    shares = {(name, task): (share, "above") for name, share in (("mini", 0.4), ("base", 0.8)) for task in SHOWN}
    pairs = {("mini", "base"): ("exact", dict.fromkeys(SHOWN, ("different", "different")))}
    lines = shown(made_up({"mini": "e2e", "base": "cascade"}, shares, pairs))
    sentence = " ".join(lines[: lines.index("")])
    named = sum(task_title(task) in sentence for task in SHOWN)
    assert f"and {len(SHOWN) - named} more" in sentence and sentence.count("40 %") == named


@given(st.text(max_size=60), st.integers(2, 40))
def test_names_are_cut_to_their_column(text: str, width: int) -> None:
    safe = printable(text)
    assert safe.isprintable() and cell_len(cut(safe, width)) <= width
    if cell_len(safe) <= width:
        assert cut(safe, width) == safe


def test_the_command_prints_one_screen_and_all_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = make_study(tmp_path)
    tables = twenty()
    monkeypatch.setattr("cascade_equivalence.report.tables.Tables.read", lambda _: tables)

    def printed(*words: str) -> str:
        arguments = build_parser().parse_args(["show", str(results), *words])
        assert arguments.run(arguments) == 0
        return capsys.readouterr().out

    if not (results / "report.html").exists():
        (results / "report.html").touch()
    one = printed()
    assert len(one.splitlines()) <= LINES and "\x1b" not in one and "report.html" in one.replace("\n", "")
    whole = printed("--all")
    assert all(name in whole for name in tables.accuracy["system"]) and "\x1b" not in whole


@given(
    st.floats(-1, 1),
    st.booleans(),
    st.lists(st.sampled_from(STANDINGS), min_size=3, max_size=3),
    st.sampled_from(["exact", "family", "unknown", "none"]),
    st.booleans(),
    st.sampled_from(["cascade", "e2e"]),
    st.sampled_from(["whisper", "parakeet"]),
)
@settings(deadline=None)
def test_nearer_is_said_only_where_it_is_shown_of_cascades_with_one_recogniser_above_chance(
    difference: float, differ: bool, standings: list[str], match: str, swapped: bool, kind: str, asr: str
) -> None:
    arms = ["cascade", "other"][:: -1 if swapped else 1]
    matches = {"cascade": "exact", "other": match}
    row = {"system": "speech", "task": "sst2", "condition": "clean", "agreements_differ": differ}
    row |= {"first": arms[0], "second": arms[1], "kappa_difference": difference}
    row |= {f"match_{which}": matches[arm] for which, arm in zip(("first", "second"), arms, strict=True)}
    known = {"speech": ("e2e", None), "cascade": ("cascade", "whisper"), "other": (kind, asr)}
    accuracy = [
        {"system": name, "kind": of, "asr": heard, "task": "sst2", "condition": "clean", "accuracy": 0.9}
        | {"accuracy_low": 0.8, "chance": 0.5, "against_chance": standing}
        for (name, (of, heard)), standing in zip(known.items(), standings, strict=True)
    ]
    tables = Tables(contrasts=table("contrasts", [row]), accuracy=table("accuracy", accuracy))
    told = differ and match == "none" and standings == ["above"] * 3 and (kind, asr) == known["cascade"]
    toward = difference * (1 - 2 * swapped)
    expected = [Nearer("other", ["sst2"], [])] if toward > 0 else [Nearer("other", [], ["sst2"])]
    assert nearer(tables, "speech", "cascade") == (expected if told and toward else [])
