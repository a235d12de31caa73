"""The table of who is better as noise grows, on a made-up study: it fits the other tables, and says what it holds."""

from typing import Any

import polars as pl
import pytest
from report_study import LABELS, MINUS_FIVE, NOISE_VOICES, STATISTICS, Study, build, write_study

from cascade_equivalence.conditions import parse_condition
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.columns import PAIR
from cascade_equivalence.report.display import UNDEFINED, Display, markdown, points_interval
from cascade_equivalence.report.naming import NodeFile, condition_title, nodes
from cascade_equivalence.report.ranking_table import JUDGED, SCHEMA, display, frame
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.stats.ranking import APPARENT, KEPT, SHOWN, TIED

KEY = ["system", "reference", "task"]
CROSSOVER = {name: None for name in SCHEMA if name.startswith("crossover")}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("ranking"))


@pytest.fixture(scope="module")
def tables(study: Study) -> Tables:
    return build(study)


@pytest.fixture(scope="module")
def answers(study: Study) -> dict[NodeFile, pl.DataFrame]:
    return {node: pl.read_parquet(path) for node, path in nodes(study.answers, "system").items()}


@pytest.fixture(scope="module")
def found(tables: Tables, answers: dict[NodeFile, pl.DataFrame]) -> pl.DataFrame:
    return frame(answers, tables.agreement, LABELS, STATISTICS)


def cells(table: Display) -> list[dict[str, str]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def made(**changed: Any) -> dict[str, Any]:
    """A row of the table."""
    row: dict[str, Any] = dict.fromkeys(PAIR | SCHEMA) | {
        "pair": "p",
        "system": "s",
        "reference": "r",
        "match": "exact",
        "task": "sst2",
        "condition": "clean",
        "rows": 20,
        "groups": 10,
        "difference": 0.1,
        "difference_low": 0.05,
        "difference_high": 0.15,
    }
    return row | changed


def shown(hardest: str = "snr0", **changed: Any) -> dict[str, str]:
    """What a reader sees of a pair whose order is turned in the hardest condition."""
    kind = parse_condition(hardest).kind
    changes = {"change": -0.2, "change_low": -0.3, "change_high": -0.1, "reversed": "shown"}
    noisy = {
        "condition": hardest,
        "noise": kind,
        "difference": -0.1,
        "difference_low": -0.2,
        "difference_high": -0.05,
    }
    rows = [made(noise=kind, **changed), made(**noisy, **changes, **changed)]
    return cells(display(pl.DataFrame(rows, schema=PAIR | SCHEMA, orient="row"), 0.95))[0]


def test_it_has_every_pair_in_every_condition_of_the_tasks_in_noise(found: pl.DataFrame, tables: Tables) -> None:
    assert list(found.columns) == [*PAIR, *SCHEMA]
    noisy = tables.agreement.filter(pl.col("task").is_in(["ag_news", "sst2"]))
    same = pl.exclude("rows", "groups", "noise")
    assert found.select(list(PAIR)).select(same).equals(noisy.select(list(PAIR)).select(same))
    assert set(found["noise"]) == {"babble"}  # clean speech stands in the family of each kind of noise
    # Three voices are heard on clean speech, two of them in noise: the same clips everywhere.
    assert found["rows"].unique().to_list() == [60 * len(NOISE_VOICES)]


def test_differences_are_those_of_the_accuracies_in_the_noise_table(found: pl.DataFrame, tables: Tables) -> None:
    accuracy = {(r["system"], r["task"], r["condition"]): r for r in tables.noise.iter_rows(named=True)}
    for row in found.iter_rows(named=True):
        one, other = (accuracy[row[who], row["task"], row["condition"]] for who in ("system", "reference"))
        assert row["difference"] == pytest.approx(one["accuracy"] - other["accuracy"])
        if row["condition"] == "clean":
            assert row["change"] is row["reversed"] is None
        else:
            assert row["change"] == pytest.approx(one["change"] - other["change"])
            assert row["change_low"] <= row["change"] <= row["change_high"]
    for _, part in found.group_by(KEY):
        assert part.select(list(CROSSOVER)).n_unique() == 1


def test_a_reader_sees_one_row_a_pair_and_task(found: pl.DataFrame) -> None:
    table = display(found, 0.95)
    assert len(table.rows) == found.select(KEY).n_unique()
    assert f"{MINUS_FIVE} [95%]" in table.columns and table.columns.index("clean [95%]") == 4
    for row, part in zip(cells(table), found.partition_by(KEY, maintain_order=True), strict=True):
        for each in part.iter_rows(named=True):
            heading = MINUS_FIVE if each["condition"] == "snr-5" else each["condition"].replace("snr", "") + "\xa0dB"
            heading = "clean" if each["condition"] == "clean" else heading
            expected = points_interval(each["difference"], each["difference_low"], each["difference_high"])
            assert row[f"{heading} [95%]"] == expected
            if each["reversed"] in ("shown", "apparent"):
                assert f"{heading} ({each['reversed']})" in row["Order turned"]
        assert (row["Order turned"] == "no") == (not {"shown", "apparent"} & set(part["reversed"]))
    assert markdown(table).count("\n| ") == len(table.rows) + 2


@pytest.mark.parametrize(
    ("crossover", "cell"),
    [
        ((7.5, 2.0, 9.0, False, False, False, "dB", 0.9, None), "7.5 dB [2.0, 9.0; 90% of draws]"),
        ((10.0, 8.0, 10.0, True, False, True, "dB", 1.0, None), "> 10.0 dB [8.0, > 10.0; 100% of draws]"),
        ((-2.5, None, None, False, None, None, "dB", None, "one group"), "\N{MINUS SIGN}2.5 dB"),
        ((450.4, 200.0, 600.0, False, True, False, "ms", 0.5, None), "450 ms [< 200, 600; 50% of draws]"),
        ((None, None, None, None, None, None, "dB", 0.125, KEPT), "none (12% of draws)"),
        ((None, None, None, None, None, None, "dB", 0.7, TIED), UNDEFINED),
    ],
)
def test_a_crossover_is_shown_with_what_is_known_of_it(crossover: tuple, cell: str) -> None:
    columns = dict(zip(CROSSOVER, crossover, strict=True))
    hardest = "snr0" if columns["crossover_unit"] == "dB" else "reverb900"
    row = shown(hardest, **columns)
    assert row["Crossover"] == cell
    assert row["Order turned"] == f"{condition_title(hardest)} (shown)"
    assert row["Change in most noise"] == points_interval(-0.2, -0.3, -0.1)


def test_a_study_without_noise_has_no_rows(tables: Tables, answers: dict[NodeFile, pl.DataFrame]) -> None:
    quiet = tables.agreement.filter(condition="clean")
    empty = frame(answers, quiet, LABELS, STATISTICS)
    assert empty.schema == pl.Schema(PAIR | SCHEMA) and not empty.height
    assert not display(empty, 0.95).rows


def test_what_does_not_fit_is_named(tables: Tables, answers: dict[NodeFile, pl.DataFrame]) -> None:
    node = NodeFile("tiny-qwen", "sst2", "snr0")
    with pytest.raises(StudyError, match="base-qwen and tiny-qwen on sst2: the reference has no answer for"):
        frame(answers | {node: answers[node][:50]}, tables.agreement, LABELS, STATISTICS)
    lacking = {each: table for each, table in answers.items() if each != node}
    with pytest.raises(StudyError, match="base-qwen and tiny-qwen on sst2: the two systems were not heard"):
        frame(lacking, tables.agreement, LABELS, STATISTICS)


def test_an_order_is_shown_to_turn_only_where_the_correction_leaves_both_differences() -> None:
    ids = [f"{item:02}" for item in range(60)]

    def answered(right: float) -> pl.DataFrame:
        correct = [place < right * len(ids) for place in range(len(ids))]
        parsed = ["positive" if each else "negative" for each in correct]
        columns = {"id": ids, "voice": "v", "group": ids, "label": "positive", "raw": parsed, "parsed": parsed}
        return pl.DataFrame(columns | {"correct": correct})

    right = {("s", "clean"): 0.9, ("r", "clean"): 0.5, ("s", "snr0"): 0.4, ("r", "snr0"): 0.8}
    answers = {NodeFile(who, "sst2", condition): answered(share) for (who, condition), share in right.items()}
    for clean, noisy in ((True, True), (True, False), (False, True)):
        rows = [
            made(condition="clean", accuracies_differ=clean, accuracy_difference=0.4),
            made(condition="snr0", accuracies_differ=noisy, accuracy_difference=-0.4),
        ]
        pairs = pl.DataFrame([{name: row[name] for name in (*PAIR, *JUDGED)} for row in rows])
        told = frame(answers, pairs, {"sst2": ("negative", "positive")}, STATISTICS)
        assert told["reversed"].to_list() == [None, SHOWN if clean and noisy else APPARENT]
