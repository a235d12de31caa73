"""The paper's numbers are complete, well formed and, but for what is noted, agree with one another."""

import math
from collections import defaultdict
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest

from cascade_equivalence.conditions import parse_condition
from cascade_equivalence.config.mechanism import BASELINE, ControlName
from cascade_equivalence.config.names import CONCEPTS, TASKS
from cascade_equivalence.config.paper import (
    PAPER_MODELS,
    PAPER_SYSTEMS,
    PaperConfig,
    PaperModel,
    PaperSystem,
    paper_problems,
)
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report.mechanism_names import PROBE_TITLES
from cascade_equivalence.report.paper_numbers import (
    ABOUT,
    AGGREGATES,
    EQUALS,
    HIGHEST,
    IMPLICIT,
    LAST_LAYER,
    LAYER_STEP,
    LOWEST,
    NUMBERS,
    RELATIONS,
    SCALES,
    STATISTICS,
    decimals,
    parts,
    read_numbers,
)
from cascade_equivalence.resources import RESOURCES

PATH = RESOURCES / "paper" / "numbers.csv"
DESIGN = {name for name, each in STATISTICS.items() if each.design}
FIVE = ["ag_news", "sst2", "commonsense_qa", "meld", "mustard"]
ABOUT_THE_SAME = ("statistic", "aggregate", "system", "reference", "second_reference", "model", "task", "condition")
ABOUT_THE_SAME += ("layer", "layer_to", "concept", "relation")
SINGLE = tuple(name for name in ABOUT_THE_SAME if name not in ("aggregate", "layer_to", "relation"))
LIMITS = {
    "percent": (0, 100),
    "points": (-100, 100),
    "kappa": (-1, 1),
    "p": (0, 1),
    "share": (0, 1),
    "r2": (-math.inf, 1),
    "ratio": (0, math.inf),
    "count": (1, math.inf),
    "billions": (0, math.inf),
}


@pytest.fixture(scope="module")
def numbers() -> pl.DataFrame:
    """The paper's numbers."""
    return read_numbers(PATH)


def rounding(row: dict[str, Any]) -> float:
    """Half a unit of the last decimal that the paper gives, as a share where it is one."""
    return 0.5 * 0.1 ** decimals(row["printed"]) / SCALES.get(row["unit"], 1.0)


def size(row: dict[str, Any]) -> float:
    """A number, as a share where it is one."""
    return row["value"] / SCALES.get(row["unit"], 1.0)


def cell(numbers: pl.DataFrame, **names: Any) -> float:
    """The one number of these names."""
    return numbers.filter(**names)["value"].item()


@pytest.mark.parametrize(
    ("place", "statistics", "count"),
    [
        ("Table 1", ["parameters"], 5 * 2 + 3),
        ("Table 2", ["accuracy"], 6 * 5 + 6),
        ("Table 3", ["overlap"], 2),
        ("Table 4", ["probe_r2", "text_decodability"], 15 * 4),
        ("Table 5", ["lens_precision", "lens_precision_all"], 9 * 2),
        ("Table 6", ["kappa", "accuracy"], 4 * 4),
        ("Table 7", ["accuracy"], 2 * 6 * 5),
        ("Table 7", ["erased_dimensions"], 2 * 5),
        ("Figure 1", ["kappa"], 7 * 5),
        ("Figure 5", ["lens_precision", "lens_precision_all"], 2),
    ],
)
def test_no_cell_of_a_table_is_missing(numbers: pl.DataFrame, place: str, statistics: list[str], count: int) -> None:
    found = numbers.filter(pl.col("statistic").is_in(statistics), place=place)
    assert found.height == found.select(ABOUT_THE_SAME).n_unique() == count


def test_tables_cross_all_their_rows_and_columns(numbers: pl.DataFrame) -> None:
    two = numbers.filter(place="Table 2")
    assert set(two["task"]) == set(TASKS) and set(two.group_by("system").len()["len"]) == {6}
    four, five = (
        numbers.filter(place="Table 4"),
        numbers.filter(pl.col("statistic").str.starts_with("lens"), place="Table 5"),
    )
    assert set(four["model"]) == set(PAPER_MODELS) and set(four["concept"]) == set(PROBE_TITLES)
    assert sorted(set(four["layer"])) == [0, 8, 16, 24, 31]
    assert sorted(set(five["layer"])) == [*range(0, LAST_LAYER, LAYER_STEP), LAST_LAYER]
    one = numbers.filter(place="Figure 1", statistic="kappa")
    assert set(one.group_by("system", "reference").len()["len"]) == {5}


def test_words_are_those_of_the_lists(numbers: pl.DataFrame) -> None:
    concepts = {*CONCEPTS, *get_args(ControlName), *PROBE_TITLES, BASELINE}
    for row in numbers.iter_rows(named=True):
        assert row["unit"] in STATISTICS[row["statistic"]].units, row
        assert row["aggregate"] in (None, *AGGREGATES) and row["relation"] in RELATIONS, row
        for column in ("system", "reference", "second_reference"):
            assert {*parts(row[column])} <= {*PAPER_SYSTEMS, IMPLICIT}, row
        assert row["statistic"] == "parameters" or {*parts(row["model"])} <= {*PAPER_MODELS}, row
        assert {*parts(row["task"])} <= {*TASKS} and {*parts(row["concept"])} <= concepts, row
        assert row["condition"] is None or parse_condition(row["condition"]).level in (None, 0.0), row
    assert set(numbers["statistic"]) == set(STATISTICS)


def test_values_are_what_is_printed_and_possible(numbers: pl.DataFrame) -> None:
    for row in numbers.iter_rows(named=True):
        plain = row["printed"].replace("\N{MINUS SIGN}", "-").replace(",", "")
        millions = plain.endswith("M")
        plain = plain.rstrip("%BM\N{MULTIPLICATION SIGN}")
        assert row["value"] == pytest.approx(float(plain) / (1000 if millions else 1)), row
        assert len(plain.partition(".")[2]) == decimals(row["printed"])
        low, high = LIMITS[row["unit"]]
        assert low <= row["value"] <= high, row
        assert (row["low"] is None) == (row["high"] is None)
        assert row["low"] is None or low <= row["low"] <= row["value"] <= row["high"] <= high, row
        assert row["low"] is None or row["interval_note"], row


def test_a_number_of_several_things_says_what_of_them(numbers: pl.DataFrame) -> None:
    layered = {name for name, each in STATISTICS.items() if each.layered} | {"lens_precision_gap"}
    for row in numbers.iter_rows(named=True):
        several = any(len(parts(row[column])) > 1 for column in ("system", "task")) or row["layer_to"] is not None
        assert several == (row["aggregate"] is not None), row
        assert (row["layer"] is not None) == (row["statistic"] in layered), row
        assert row["layer_to"] is None or row["layer"] < row["layer_to"] <= LAST_LAYER, row
    key = ["place", *ABOUT_THE_SAME]
    once = numbers.filter(~pl.col("statistic").is_in(DESIGN))
    repeated = once.group_by(key).len().filter(pl.col("len") > 1)
    assert not repeated.height, repeated


def test_what_is_said_twice_is_the_same_or_noted(numbers: pl.DataFrame) -> None:
    """Two numbers on the same thing agree to the decimals of the rougher one, or one has a note."""
    said: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in numbers.filter(~pl.col("statistic").is_in(DESIGN), relation=EQUALS).iter_rows(named=True):
        said[tuple(row[name] for name in ABOUT_THE_SAME)].append(row)
    assert sum(len(rows) > 1 for rows in said.values()) > 40
    for rows in said.values():
        for one in rows:
            for other in rows:
                apart = abs(size(one) - size(other)) > max(rounding(one), rounding(other)) + 1e-9
                assert not apart or one["note"] or other["note"], (one, other)


def test_ranges_are_those_of_their_parts_or_noted(numbers: pl.DataFrame) -> None:
    """The lowest and the highest of several numbers that the tables and Figure 1 give one by one."""
    cells = numbers.filter(pl.col("aggregate").is_null() & ~pl.col("place").is_in(["Table 6"]))
    single = {tuple(row[name] for name in SINGLE): row for row in cells.reverse().iter_rows(named=True)}
    checked = 0
    for row in numbers.filter(pl.col("aggregate").is_in([LOWEST, HIGHEST])).iter_rows(named=True):
        layers = [row["layer"]]
        if row["layer_to"] is not None:
            layers = [layer for layer in range(row["layer"], row["layer_to"] + 1) if layer % 8 == 0]
        found = [
            single.get(tuple((row | {"task": task, "layer": layer})[name] for name in SINGLE))
            for task in parts(row["task"]) or [None]
            for layer in layers
        ]
        there = [size(each) for each in found if each is not None]
        if len(there) < len(found):
            continue
        end = min(there) if row["aggregate"] == LOWEST else max(there)
        checked += 1
        # The table has every other of the layers, so the others may reach further.
        beyond = row["layer_to"] is not None and (size(row) < end) == (row["aggregate"] == LOWEST)
        assert beyond or abs(size(row) - end) <= rounding(row) + 1e-9 or row["note"], row
    assert checked >= 12


def test_counts_of_the_design(numbers: pl.DataFrame) -> None:
    items = dict(numbers.filter(place="section 3.2", statistic="items").select("task", "value").iter_rows())
    spoken = items["meld"] + items["mustard"]
    texts = [items[task] for task in ("trivia_qa", "ag_news", "sst2", "commonsense_qa")]
    assert 6 * sum(texts) + spoken == cell(numbers, statistic="audio_files")
    assert sum(texts[1:]) + spoken == cell(numbers, statistic="evaluation_samples")


def test_differences_of_kappa_and_of_accuracy(numbers: pl.DataFrame) -> None:
    whisper, strong = "Whisper+Llama-3.1-8B", "Cascade-S"
    one = numbers.filter(place="Figure 1", system="Ultravox", task="commonsense_qa")
    apart = cell(one, reference=whisper) - cell(one, reference=strong)
    assert numbers.filter(statistic="kappa_difference")["value"].to_list() == pytest.approx([apart] * 2)
    four = numbers.filter(place="section 4.4")
    ahead = {where: cell(four, statistic="accuracy_difference", condition=where) for where in ("clean", "snr0")}
    lost = four.filter(statistic="accuracy_loss", task="sst2")
    reversal = cell(four, statistic="accuracy_reversal")
    assert reversal == pytest.approx(ahead["clean"] - ahead["snr0"])
    assert reversal == pytest.approx(cell(lost, system="Gemini") - cell(lost, system=strong))
    gone = four.filter(statistic="accuracy_noise_voices")["value"]
    assert abs(gone[0] - gone[1]) == pytest.approx(cell(lost, system="Gemini"), abs=0.1 + 1e-9)


def test_changes_under_erasure_are_those_of_table_7(numbers: pl.DataFrame) -> None:
    seven = numbers.filter(place="Table 7", statistic="accuracy")
    changes = numbers.filter(statistic="accuracy_change")
    assert changes.height == 6
    for row in changes.iter_rows(named=True):
        mine = seven.filter(model=row["model"], task=row["task"])
        assert row["value"] == pytest.approx(cell(mine, concept=row["concept"]) - cell(mine, concept=BASELINE))


def test_error_overlap_by_its_chance(numbers: pl.DataFrame) -> None:
    classes = {"ag_news": 4, "commonsense_qa": 5, "meld": 7}
    four = numbers.filter(place="section 4.2")
    ratios = [cell(four, statistic="overlap", task=task) * (count - 1) for task, count in classes.items()]
    chances = [100 / (count - 1) for count in classes.values()]
    for statistic, values, half in (("overlap_ratio", ratios, 0.05), ("overlap_chance", chances, 0.5)):
        found = four.filter(statistic=statistic)
        assert cell(found, aggregate=LOWEST) == pytest.approx(min(values), abs=half)
        assert cell(found, aggregate=HIGHEST) == pytest.approx(max(values), abs=half)


def test_figure_1_is_ordered_by_falling_mean(numbers: pl.DataFrame) -> None:
    """As its caption says; a cell typed wrongly would most likely break it."""
    one = numbers.filter(place="Figure 1", statistic="kappa")
    means = one.group_by("system", "reference", maintain_order=True).agg(pl.mean("value"))["value"].to_list()
    assert means == sorted(means, reverse=True)
    assert ABOUT in set(numbers["relation"])


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="restore"):
        read_numbers(tmp_path / "numbers.csv")
    (tmp_path / "numbers.csv").write_text("place,value\nTable 2,1\n")
    with pytest.raises(StudyError, match="other columns"):
        read_numbers(tmp_path / "numbers.csv")
    assert dict(read_numbers(PATH).schema) == {name: kind() for name, kind in NUMBERS.items()}


def test_config_names_who_is_whom() -> None:
    paper = PaperConfig(
        systems={"mini": PaperSystem(name="Ultravox"), "own": PaperSystem(name="Cascade-S", stands_in=False)},
        models={"mini-llm": PaperModel(name="Ultravox")},
    )
    assert not list(paper_problems(paper, ["mini", "own"], ["mini-llm"], own_items=False))
    assert not list(paper_problems(None, [], [], own_items=True))
    (line,) = paper_problems(paper, ["mini", "own"], ["mini-llm"], own_items=True)
    assert line.startswith("paper.systems.own.stands_in") and "demo" in line
    (line,) = paper_problems(paper, ["mini", "owl"], ["mini-llm"], own_items=False)
    assert line.startswith("paper.systems") and "did you mean 'owl'" in line
    (line,) = paper_problems(paper, ["mini", "own"], [], own_items=False)
    assert line.startswith("paper.models") and "none is defined" in line
    twice = PaperConfig(systems={name: PaperSystem(name="Gemini") for name in ("a", "b")})
    (line,) = paper_problems(twice, ["a", "b"], [], own_items=False)
    assert "'a' and 'b' are both Gemini" in line
