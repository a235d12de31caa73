"""The tables of a small made-up study."""

import csv
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from report_study import (
    CONDITIONS,
    LABELS,
    MINUS_FIVE,
    NOISE_VOICES,
    OUTLINE,
    STATISTICS,
    SYSTEMS,
    VOICES,
    Study,
    build,
    save,
    write_study,
)

from cascade_equivalence.config.imported import ImportedSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report import costs_table, display, numbers_table
from cascade_equivalence.report.columns import ENDS
from cascade_equivalence.report.naming import condition_title, nodes
from cascade_equivalence.report.paper_layout_behaviour import table1
from cascade_equivalence.report.prose import say
from cascade_equivalence.report.system_tables import accuracy
from cascade_equivalence.report.tables import Tables, write_markdown
from cascade_equivalence.report.verdict import verdict
from cascade_equivalence.stats.accuracy import summarise
from cascade_equivalence.stats.numbers import by_comparison, read_comparison


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The made-up study."""
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def tables(study: Study) -> Tables:
    """Its tables."""
    return build(study)


def test_accuracy_table_is_the_summary_of_each_clean_file(study: Study, tables: Tables) -> None:
    assert tables.accuracy.height == len(SYSTEMS) * len(LABELS)
    for row in tables.accuracy.iter_rows(named=True):
        answers = pl.read_parquet(study.root / "answers" / row["system"] / row["task"] / "clean.parquet")
        found = summarise(answers, LABELS[row["task"]])
        assert row["accuracy"] == pytest.approx(answers["correct"].mean())
        assert [row["accuracy_low"], row["accuracy_high"]] == [found["accuracy"]["low"], found["accuracy"]["high"]]
        assert row["parse_rate"] == pytest.approx((answers["parsed"] != "invalid").mean())
        assert row["voices"] == len(VOICES) and row["against_chance"] == found["against_chance"]


def test_noise_baseline_has_only_the_voices_that_are_heard_in_noise(study: Study, tables: Tables) -> None:
    assert set(tables.noise["voices"]) == {len(NOISE_VOICES)} and set(tables.noise["task"]) == {"ag_news", "sst2"}
    for (system, task), part in tables.noise.group_by("system", "task"):
        folder = study.root / "answers" / str(system) / str(task)
        clean = pl.read_parquet(folder / "clean.parquet").filter(pl.col("voice").is_in(NOISE_VOICES))["correct"].mean()
        for row in part.iter_rows(named=True):
            if row["condition"] == "clean":
                assert row["accuracy"] == pytest.approx(clean) and row["change"] is None
            else:
                assert row["change"] == pytest.approx(row["accuracy"] - clean)
                assert row["change_low"] <= row["change"] <= row["change_high"]


def test_agreement_table_keeps_the_nodes_numbers_and_adjusts_within_a_condition(study: Study, tables: Tables) -> None:
    assert tables.agreement.height == len(study.agreement)
    for (system, _, _, task, condition), found in by_comparison(pl.concat(map(read_comparison, study.agreement))):
        row = tables.agreement.row(
            by_predicate=(pl.col("system") == system) & (pl.col("task") == task) & (pl.col("condition") == condition),
            named=True,
        )
        assert row["kappa"] == found["kappa"].value and row["overlap"] == found["overlap"].value
        assert row["mcnemar_p_adjusted"] >= row["mcnemar_p"] == found["mcnemar.p"].value
    for condition in CONDITIONS:
        alone = build(study, agreement_files=[p for p in study.agreement if p.stem == condition]).agreement
        assert alone.equals(tables.agreement.filter(pl.col("condition") == condition))


def test_word_error_rate_is_errors_by_words(tables: Tables) -> None:
    rates = {
        (asr, condition): rate
        for asr, condition, rate in tables.transcription.select("asr", "condition", "word_error_rate").iter_rows()
    }
    assert rates["base", "clean"] == pytest.approx(1 / 12) and rates["tiny", "snr0"] == pytest.approx(4 / 12)


def test_tables_do_not_depend_on_the_order_of_files(study: Study, tables: Tables) -> None:
    again = build(
        study,
        answer_files=study.answers[::-1],
        agreement_files=study.agreement[::-1],
        transcript_files=study.transcripts[::-1],
    )
    for name, table in tables.items():
        assert table.equals(again[name]), name
    assert tables.accuracy["task"].unique(maintain_order=True).to_list() == OUTLINE.ordered_tasks()
    assert tables.accuracy["system"].unique(maintain_order=True).to_list() == list(SYSTEMS)
    assert tables.noise["condition"].to_list() == CONDITIONS * (tables.noise.height // len(CONDITIONS))


def test_csv_loses_nothing(tables: Tables, tmp_path: Path) -> None:
    tables.write(tmp_path)
    read = Tables.read(tmp_path)
    for name, table in tables.items():
        assert table.equals(read[name]), name
    assert not list(tmp_path.glob(".*"))


FORMULAS = ["=HYPERLINK(1)", "+cmd|' /C x'!A0", "-2+3+cmd|x", "@SUM(1)", "\t=1", "\r=1", "\uff1d1", "'=1", "''@x"]
PLAIN = ["-0.5", "+3", "-1e-9", "-", "+", "-5%", "-inf", "5", "positive", "it's", "'quoted'", "", None, "a=b", "<b>"]


def test_no_text_of_a_csv_is_a_formula_and_all_come_back(tables: Tables, tmp_path: Path) -> None:
    texts = [*FORMULAS, *PLAIN]
    rows = tables.shared_errors.clear()
    column = next(name for name, kind in rows.schema.items() if kind == pl.String)
    made = pl.DataFrame({column: texts}, schema={column: pl.String})
    changed = tables.changed(shared_errors=pl.concat([rows, made], how="diagonal").select(rows.columns))
    changed.write(tmp_path)
    with (tmp_path / "shared_errors.csv").open(newline="", encoding="utf-8") as file:
        written = [row[column] for row in csv.DictReader(file)]
    assert [text[0] for text in written[: len(FORMULAS)]] == ["'"] * len(FORMULAS)
    assert written[len(FORMULAS) :] == [text or "" for text in PLAIN]
    assert Tables.read(tmp_path).shared_errors[column].to_list() == texts


@pytest.mark.parametrize("text", ["<script>x</script>", "<!-- x", "![x](http://127.0.0.1/x)", "[x](javascript:x)"])
def test_no_text_of_a_table_in_markdown_is_html_or_a_link(text: str) -> None:
    shown = display.markdown(display.Display("name", text, ["A", text], [[text, "p < 0.05"]], [text, "p < 0.05."], 1))
    assert not re.search(r"<[a-z!/]", shown) and "p < 0.05." in shown
    assert not [line for line in shown.splitlines() if line.startswith("|") and "](" in line]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path, table: save(table.filter(pl.col("voice") == "us"), path), "lack some of the voices"),
        (lambda path, table: path.with_name("clean.parquet").unlink(), "not on clean speech"),
        (lambda path, table: save(table, path.parents[2] / "stranger" / "sst2" / "clean.parquet"), "stranger"),
        (lambda path, table: save(table, path.parents[1] / "chess" / "clean.parquet"), "chess"),
        (lambda path, table: save(table.drop("label"), path), "tiny-qwen to ag_news .snr0. lack the columns label"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    tmp_path: Path, study: Study, change: Callable[[Path, pl.DataFrame], Path | None], message: str
) -> None:
    for path in study.answers:
        if path.parts[-3:-1] == ("tiny-qwen", "ag_news"):
            save(pl.read_parquet(path), tmp_path / path.relative_to(study.root))
    noisy = tmp_path / "answers/tiny-qwen/ag_news/snr0.parquet"
    change(noisy, pl.read_parquet(noisy))
    with pytest.raises(StudyError, match=message):
        build(study, answer_files=list(tmp_path.rglob("*.parquet")), agreement_files=[], transcript_files=[])


def test_files_say_what_they_are_of_wherever_they_lie(study: Study, tables: Tables, tmp_path: Path) -> None:
    assert condition_title("snr-5") == MINUS_FIVE
    moved: dict[str, list[Path]] = {
        f"{kind}_files": [
            Path(shutil.copy(path, tmp_path / f"{kind}{number}{path.suffix}")) for number, path in enumerate(paths)
        ]
        for kind, paths in (
            ("answer", study.answers),
            ("agreement", study.agreement),
            ("transcript", study.transcripts),
        )
    }
    again = build(study, **moved)
    assert all(table.equals(again[name]) for name, table in tables.items())
    with pytest.raises(StudyError, match="same system, task, condition"):
        nodes([study.answers[0], moved["answer_files"][0]], "system")


def test_a_file_of_an_older_version_that_says_nothing_is_told(study: Study, tmp_path: Path) -> None:
    table, comparison = tmp_path / "old.parquet", tmp_path / "old.csv"
    pl.read_parquet(study.answers[0]).write_parquet(table)
    with pytest.raises(StudyError, match="does not say of which system"):
        build(study, answer_files=[table])
    comparison.write_text("statistic,value\n")
    with pytest.raises(StudyError, match="another version"):
        build(study, agreement_files=[comparison])
    with pytest.raises(StudyError, match="two files hold the comparison base-qwen tiny-qwen"):
        build(study, agreement_files=[*study.agreement, study.agreement[0]])


def test_markdown_marks_chance_and_stays_a_table(tables: Tables, tmp_path: Path) -> None:
    write_markdown(tables, tmp_path, 0.95)
    text = (tmp_path / "accuracy.md").read_text()
    for row in tables.accuracy.iter_rows(named=True):
        cell = display.percent(row["accuracy"]) + display.MARKS[row["against_chance"]]
        line = next(line for line in text.splitlines() if line.startswith(f"| {row['system']} "))
        assert cell in [part.strip() for part in line.split("|")]
    assert "‡ at chance" in text and set(tables.accuracy["against_chance"]) >= {"above", "at", None}
    for path in tmp_path.glob("*.md"):
        rows = [line for line in path.read_text().splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1, path


def test_every_number_of_every_table_is_a_row_of_the_long_one(tables: Tables) -> None:
    names = list(numbers_table.OF)
    assert not tables.numbers.select(*names, "statistic").is_duplicated().any()
    for row in tables.agreement.iter_rows(named=True):
        of = {name: row[name] for name in ("system", "reference", "task", "condition")}
        found = tables.numbers.filter(statistic="agreement.kappa", **of).row(0, named=True)
        assert [found[f"value{end}"] for end in ENDS] == [row[f"kappa{end}"] for end in ENDS]
        assert found["reason"] == row["kappa_reason"]
    there = set(tables.numbers["statistic"])
    assert {"accuracy.accuracy", "noise.change", "transcription.word_error_rate", "errors.capa"} <= there
    assert not {"costs.seconds", "agreement.kappa_low", "agreement.layer", "agreement.match"} & there


def test_a_number_of_the_long_table_says_why_it_is_missing_and_only_then(tables: Tables) -> None:
    long = tables.numbers
    assert not long["statistic"].str.contains(r"\.(snr_db|rt60_ms)$").any()
    bounded = pl.col("statistic").is_in(long.filter(pl.col("value_low").is_not_null())["statistic"].unique().to_list())
    whole = pl.col("value").is_not_null() & (pl.col("value_low").is_not_null() | ~bounded)
    assert not long.filter(whole & pl.col("reason").is_not_null()).height
    undefined = tables.agreement.filter(pl.col("kappa").is_null())
    said = long.filter(pl.col("value").is_null(), statistic="agreement.kappa")
    assert said["reason"].to_list() == undefined["kappa_reason"].to_list() and undefined.height


def test_what_answered_elsewhere_is_called_by_its_model_and_not_taken_for_a_cascade(tmp_path: Path) -> None:
    theirs = ImportedSpec(kind="imported", answers={"sst2": Path("a.csv")}, model="their model")
    study = write_study(tmp_path, replace(OUTLINE, systems=OUTLINE.systems | {"tiny-qwen": theirs}))
    tables = build(study)
    shown = [*tables_displays(tables)]
    for rows in shown:
        assert not [cell for row in rows for cell in row if "None" in str(cell)]
    assert any("their model" in map(str, row) for rows in shown for row in rows)
    alone = say("cascades.txt", "no_speech_llm")
    assert alone in verdict(build(write_study(tmp_path / "cascades")), OUTLINE)
    assert alone not in verdict(tables, study.outline)


def tables_displays(tables: Tables) -> Iterator[list[Any]]:
    """The rows of tables that say what a system is made of."""
    yield accuracy(tables.accuracy, STATISTICS.confidence).rows
    yield costs_table.display(tables.costs, STATISTICS.confidence).rows
    yield costs_table.totals(tables.costs).rows
    yield list(table1(tables).rows)
