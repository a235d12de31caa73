"""What systems cost: sums against plain loops, the front against its definition, words against both."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from figure_text import assert_nothing_overlaps
from hypothesis import given, settings
from hypothesis import strategies as st
from report_study import IMPLICIT_OUTLINE, IMPLICIT_SYSTEMS, VOICES, answers_of, save

from cascade_equivalence.config.study import CascadeSpec, E2ESpec
from cascade_equivalence.report import costs_table as shown
from cascade_equivalence.report.costs import COSTS_TABLE, clip_seconds, costs_table
from cascade_equivalence.report.costs_table import SCHEMA
from cascade_equivalence.report.figures.costs import costs_figure
from cascade_equivalence.report.figures.drawing import save as draw
from cascade_equivalence.report.figures.looks import MARKERS
from cascade_equivalence.report.naming import NodeFile
from cascade_equivalence.report.verdict import expense

mpl.use("Agg")
from matplotlib import pyplot as plt

TASKS = ("ag_news", "sst2", "trivia_qa")
ASRS = ("base", "tiny", "talker-llm")
Frames = dict[NodeFile, pl.DataFrame]


def timed(table: pl.DataFrame, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return table.with_columns(
        seconds=pl.Series(rng.random(table.height)),
        prompt_tokens=pl.Series(rng.integers(50, 200, table.height)),
        new_tokens=pl.Series(rng.integers(1, 9, table.height)),
    )


@pytest.fixture(scope="module")
def answers() -> Frames:
    nodes = [(system, task) for system in IMPLICIT_SYSTEMS for task in TASKS]
    return {
        NodeFile(system, task, "clean"): timed(answers_of(system, task, "clean"), number)
        for number, (system, task) in enumerate(nodes)
    }


@pytest.fixture(scope="module")
def transcripts(answers: Frames) -> Frames:
    """Transcripts, timed but for the lenses."""
    keys = answers[NodeFile("talker", "sst2", "clean")].select("id", "voice", text=pl.lit("heard"))
    nodes = [(asr, task) for asr in ASRS for task in TASKS]
    found = {NodeFile(asr, task, "clean"): timed(keys, 90 + number) for number, (asr, task) in enumerate(nodes)}
    return found | {
        NodeFile(f"{name}+lens", task, "clean"): keys for name in ("talker-llm", "mumbler-llm") for task in TASKS
    }


@pytest.fixture(scope="module")
def clips(answers: Frames, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    root = tmp_path_factory.mktemp("speech")
    files = []
    for task in TASKS:
        for number, voice in enumerate(VOICES):
            table = pl.DataFrame(
                {"id": [f"{item:03}" for item in range(60)], "voice": voice, "seconds": [1.0 + number] * 60}
            )
            of = {"task": task, "voice": voice, "condition": "clean"}
            files.append(save(table, root / task / voice / "clean.parquet", of))
    return clip_seconds(files)


@pytest.fixture(scope="module")
def costs(answers: Frames, transcripts: Frames, clips: pl.DataFrame) -> pl.DataFrame:
    return costs_table(answers, transcripts, clips, IMPLICIT_OUTLINE)


def test_sums_are_those_of_plain_loops(costs: pl.DataFrame, answers: Frames, transcripts: Frames) -> None:
    assert costs.schema == pl.Schema(SCHEMA) and costs.height == len(answers)
    for row in costs.iter_rows(named=True):
        table = answers[NodeFile(row["system"], row["task"], "clean")]
        spec = IMPLICIT_SYSTEMS[row["system"]]
        spent = sum(table["seconds"])
        assert row["answer_seconds"] == pytest.approx(spent)
        assert (row["prompt_tokens"], row["new_tokens"]) == (sum(table["prompt_tokens"]), sum(table["new_tokens"]))
        assert row["accuracy"] == pytest.approx(sum(table["correct"]) / 180)
        assert row["audio_seconds"] == pytest.approx(60 * (1 + 2 + 3)) and row["rows"] == 180
        assert row["hears"] == (row["system"] != "talker-oracle")
        if isinstance(spec, CascadeSpec) and spec.asr != "oracle":
            heard = transcripts[NodeFile(spec.asr, row["task"], "clean")]
            by_clip = dict(zip(zip(heard["id"], heard["voice"], strict=True), heard["seconds"], strict=True))
            own = sum(by_clip[key] for key in zip(table["id"], table["voice"], strict=True))
            assert row["transcription_seconds"] == pytest.approx(own)
            spent += own
        elif isinstance(spec, CascadeSpec):
            assert row["transcription_seconds"] == 0
        else:
            assert row["transcription_seconds"] is None
        if row["kind"] == "implicit":
            assert row["seconds"] is None and "was not timed" in row["reason"] and row["on_front"] is None
        else:
            assert row["reason"] is None and row["seconds"] == pytest.approx(spent)
            assert row["seconds_per_item"] == pytest.approx(spent / 180)
            assert row["real_time_factor"] == pytest.approx(spent / 360)


def test_the_order_of_files_and_rows_is_of_no_account(
    costs: pl.DataFrame, answers: Frames, transcripts: Frames, clips: pl.DataFrame
) -> None:
    def shuffled(frames: Frames) -> Frames:
        return {node: frames[node].sample(fraction=1, shuffle=True, seed=3) for node in reversed(frames)}

    again = costs_table(shuffled(answers), shuffled(transcripts), clips.reverse(), IMPLICIT_OUTLINE)
    numbers = [name for name, kind in SCHEMA.items() if kind == pl.Float64]
    assert again.drop(numbers).equals(costs.drop(numbers))
    for name in numbers:
        pairs = zip(again[name], costs[name], strict=True)
        assert all(one == other or one == pytest.approx(other) for one, other in pairs)


@pytest.mark.parametrize("what", ["no column", "a hole", "a clip less", "no file"])
def test_a_cost_with_an_unknown_part_is_unknown(
    what: str, answers: Frames, transcripts: Frames, clips: pl.DataFrame
) -> None:
    node = NodeFile("base", "sst2", "clean")
    table = transcripts[node]
    spoilt = {
        "no column": table.drop("seconds"),
        "a hole": table.with_columns(seconds=pl.when(pl.int_range(pl.len()) != 7).then("seconds")),
        "a clip less": table.head(179),
        "no file": None,
    }[what]
    others = {key: frame for key, frame in transcripts.items() if key != node}
    found = costs_table(answers, others if spoilt is None else others | {node: spoilt}, clips, IMPLICIT_OUTLINE)
    assert set(found.filter(pl.col("seconds").is_null(), task="sst2", kind="cascade")["asr"]) == {"base"}
    known = found.filter(task="sst2", system="tiny-qwen")
    assert known["seconds"][0] is not None and known["on_front"][0] is not None
    untimed = {key: frame.drop("seconds", "new_tokens") for key, frame in answers.items()}
    bare = costs_table(untimed, transcripts, clips.clear(), IMPLICIT_OUTLINE)
    for name in ("answer_seconds", "seconds", "new_tokens", "real_time_factor", "audio_seconds", "on_front"):
        assert bare[name].null_count() == bare.height
    assert bare["prompt_tokens"].null_count() == 0 and bare["reason"].null_count() == 0


def dominated(point: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    return any(cost <= point[0] and gain >= point[1] and (cost, gain) != point for cost, gain in others)


POINT = st.tuples(st.sampled_from([0.1, 0.2, 0.5, 1.0]), st.integers(0, 4))


@given(points=st.lists(POINT, min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_the_front_is_what_nothing_dominates(points: list[tuple[float, int]]) -> None:
    systems = {f"s{number}": E2ESpec(kind="e2e", model="m") for number in range(len(points))}
    outline = replace(
        IMPLICIT_OUTLINE, systems=systems | {"oracle-s": CascadeSpec(kind="cascade", asr="oracle", llm="l")}
    )
    rows = {"id": list("abcd"), "voice": ["v"] * 4}
    frames = {
        NodeFile(f"s{number}", "sst2", "clean"): pl.DataFrame(
            rows | {"correct": [place < right for place in range(4)], "seconds": [cost] * 4}
        )
        for number, (cost, right) in enumerate(points)
    }
    # Better than any, and of no account: it reads the true text.
    frames[NodeFile("oracle-s", "sst2", "clean")] = pl.DataFrame(rows | {"correct": [True] * 4, "seconds": [0.01] * 4})
    table = costs_table(frames, {}, clip_seconds([]), outline)
    front = dict(table.select("system", "on_front").iter_rows())
    assert front.pop("oracle-s") is None
    for number, point in enumerate(points):
        assert front[f"s{number}"] == (not dominated(point, points))
    assert any(front.values())


def agreement(differ: dict[str, float | None], *, turned: bool = False) -> pl.DataFrame:
    """Agreement of talker and base-qwen by task: the difference in accuracy where it is shown, else None."""
    sides = [("talker", "e2e"), ("base-qwen", "cascade")]
    (system, kind), (reference, other) = sides[::-1] if turned else sides
    sign = -1 if turned else 1
    return pl.DataFrame(
        [
            {
                "system": system,
                "reference": reference,
                "system_kind": kind,
                "reference_kind": other,
                "match": "exact",
                "task": task,
                "condition": "clean",
                "accuracy_difference": sign * (gap or 0.01),
                "accuracies_differ": gap is not None,
            }
            for task, gap in differ.items()
        ]
    )


def known_costs(talker: float, cascade: float, reason: str | None = None) -> pl.DataFrame:
    rows = [
        {"system": system, "task": task, "condition": "clean", "rows": 10, "seconds": 10 * spent, "reason": reason}
        for system, spent in (("talker", talker), ("base-qwen", cascade))
        for task in TASKS
    ]
    return pl.DataFrame(rows, schema_overrides={"reason": pl.String})


NOWHERE = {"ag_news": None, "sst2": None}


@pytest.mark.parametrize("turned", [False, True])
def test_a_speech_llm_is_an_expensive_cascade_only_if_it_costs_more_and_gains_nothing(turned: bool) -> None:
    def said(differ: dict[str, float | None], talker: float = 0.9, cascade: float = 0.3) -> str:
        (text,) = expense(known_costs(talker, cascade), agreement(differ, turned=turned), IMPLICIT_OUTLINE)
        return text

    text = said(NOWHERE)
    assert "3.00 times as much" in text and "0.900 s an item" in text and "0.300 s" in text
    assert "Here it is an expensive cascade" in text and "does not prove that there is none" in text
    text = said({"ag_news": -0.1, "sst2": None})
    assert "less accurate on AG News." in text and "Here it is an expensive cascade" in text
    text = said({"ag_news": 0.1, "sst2": -0.1})
    assert "more accurate on AG News and less accurate on SST-2" in text
    assert "on AG News it is more than an expensive cascade" in text and "Here it is" not in text
    text = said(NOWHERE, talker=0.3, cascade=0.9)
    assert "0.33 times" in text and "does not fit it" in text and "Here it is" not in text


@given(
    talker=st.floats(1e-3, 1e3), cascade=st.floats(1e-3, 1e3), gaps=st.tuples(*[st.sampled_from([None, -0.2, 0.2])] * 2)
)
@settings(deadline=None, max_examples=60)
def test_the_words_follow_the_numbers(talker: float, cascade: float, gaps: tuple[float | None, ...]) -> None:
    (text,) = expense(
        known_costs(talker, cascade), agreement(dict(zip(("ag_news", "sst2"), gaps, strict=True))), IMPLICIT_OUTLINE
    )
    dearer, gains = talker / cascade > 1, 0.2 in gaps
    assert ("Here it is an expensive cascade" in text) == (dearer and not gains)
    assert ("more than an expensive cascade" in text) == (dearer and gains)
    assert ("does not fit it" in text) == (not dearer)


def test_what_cannot_be_told_is_said() -> None:
    pairs = agreement(NOWHERE)
    (text,) = expense(known_costs(1, 1, "what base transcribed was not timed"), pairs, IMPLICIT_OUTLINE)
    assert "cannot be told: what base transcribed was not timed." in text
    (text,) = expense(known_costs(1, 1).clear(), pairs, IMPLICIT_OUTLINE)
    assert "cannot be told: no costs of talker are known." in text
    (text,) = expense(known_costs(1, 0), pairs, IMPLICIT_OUTLINE)
    assert "cannot be told: base-qwen took no time." in text
    other = pairs.with_columns(match=pl.lit("none"))
    own = pairs.with_columns(reference=pl.lit("talker-own"))
    assert (
        expense(known_costs(1, 1), other, IMPLICIT_OUTLINE) == expense(known_costs(1, 1), own, IMPLICIT_OUTLINE) == []
    )


def test_tables_for_a_reader(costs: pl.DataFrame) -> None:
    table = shown.display(costs, 0.95)
    assert len(table.rows) == costs.height and all(len(row) == len(table.columns) for row in table.rows)
    cells = {(row[0], row[2]): dict(zip(table.columns, row, strict=True)) for row in table.rows}
    titles = {"ag_news": "AG News", "sst2": "SST-2", "trivia_qa": "TriviaQA"}
    for row in costs.iter_rows(named=True):
        found = cells[row["system"], titles[row["task"]]]
        assert (found["Front"] == shown.FRONT) == bool(row["on_front"])
        if row["seconds"] is None:
            assert found["Seconds"] == found["Real-time factor"] == "n/a"
        else:
            assert float(found["Seconds"]) == pytest.approx(row["seconds"] / row["rows"], rel=0.01)
        assert (found["Transcribing s"] == "\N{EN DASH}") == (row["kind"] == "e2e")
    assert any("was not timed" in remark for remark in table.remarks)
    sums = shown.totals(costs)
    for row in sums.rows:
        mine = costs.filter(system=row[0])
        assert row[2] == f"{3 * 180:,}" and row[3] == f"{3 * 360 / 60:.1f}"
        assert row[6] == ("n/a" if mine["kind"][0] == "implicit" else f"{sum(mine['seconds']) / 60:,.1f}")
    assert shown.display(costs.clear(), 0.95).rows == shown.totals(costs.clear()).rows == []


def test_what_a_clock_measured_lies_apart(costs: pl.DataFrame) -> None:
    split = COSTS_TABLE.split
    counted, timed = split(costs).values()
    assert COSTS_TABLE.joined({"costs": counted, "times": timed.reverse()}).equals(costs)
    later = costs.with_columns(
        on_front=~pl.col("on_front"),
        **{name: 3 * pl.col(name) + 1 for name in shown.MEASURED if name not in ("on_front", "reason")},
    )
    assert split(later)["costs"].equals(counted) and not split(later)["times"].equals(timed)
    (one, times), (other, others) = (shown.files(table, 0.95) for table in (costs, later))
    assert one == other and times.rows != others.rows and (one.name, times.name) == ("costs", "times")
    whole = shown.display(costs, 0.95)
    assert set(one.columns) | set(times.columns) == set(whole.columns)
    assert set(one.columns) & set(times.columns) == set(whole.columns[: whole.text_columns])


def test_intervals_come_with_the_accuracies(answers: Frames, transcripts: Frames, clips: pl.DataFrame) -> None:
    ends = pl.DataFrame(
        {"system": ["talker"], "task": ["sst2"], "condition": ["clean"], "accuracy_low": [0.1], "accuracy_high": [0.9]}
    )
    table = costs_table(answers, transcripts, clips, IMPLICIT_OUTLINE, ends)
    assert table.columns == list(SCHEMA)
    (row,) = table.filter(system="talker", task="sst2").to_dicts()
    assert (row["accuracy_low"], row["accuracy_high"]) == (0.1, 0.9)
    assert table["accuracy_low"].null_count() == table.height - 1
    display = shown.display(table, 0.95)
    assert "Accuracy % [95%]" in display.columns and any("[10.0, 90.0]" in cell for row in display.rows for cell in row)


@pytest.mark.parametrize("tasks", [1, 4, 6])
@pytest.mark.parametrize("spread", [1.0, 1.1, 1000.0])
def test_nothing_written_in_the_figure_overlaps(costs: pl.DataFrame, tasks: int, spread: float) -> None:
    names = ("ag_news", "sst2", "commonsense_qa", "meld", "mustard", "trivia_qa")[:tasks]
    one = costs.filter(task="sst2").with_columns(
        seconds_per_item=0.05 * spread ** (pl.int_range(pl.len()) / pl.len()),
        accuracy_low=pl.lit(0.2),
        accuracy_high=0.9,
    )
    figure = costs_figure(pl.concat(one.with_columns(task=pl.lit(task)) for task in names))
    assert_nothing_overlaps(figure)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == tasks
    low, high = panels[0].get_xlim()
    ticks = [tick for tick in panels[0].get_xticks() if low <= tick <= high]
    assert len(ticks) >= 2 and high / low >= 3.999
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(axes.get_window_extent()) for axes in panels)
    plt.close(figure)


def test_points_differ_without_colour_and_the_front_never_falls(costs: pl.DataFrame) -> None:
    figure = costs_figure(costs)
    for axes in [axes for axes in figure.axes if axes.get_visible()]:
        points = {line.get_label(): line for line in axes.lines if line.get_marker() in tuple(MARKERS)}
        known = costs.filter(pl.col("seconds").is_not_null())["system"].unique().to_list()
        assert set(points) == set(known)
        looks = {(line.get_marker(), line.get_markerfacecolor() == "white") for line in points.values()}
        assert len(looks) == len(points)
        assert points["talker-oracle"].get_markerfacecolor() == "white"
        assert points["talker"].get_markersize() > points["base-qwen"].get_markersize()
        (front,) = [line for line in axes.lines if line.get_label() == "Pareto front"]
        heights = list(front.get_ydata())
        assert heights == sorted(heights)
        # No point of a system that hears lies above and left of the line.
        for system, line in points.items():
            if system != "talker-oracle":
                x, y = line.get_xdata()[0], line.get_ydata()[0]
                reached = [height for cost, height in zip(front.get_xdata(), heights, strict=True) if cost <= x]
                assert reached and y <= max(reached) + 1e-9
    plt.close(figure)


def test_the_figure_is_the_same_every_time(costs: pl.DataFrame, tmp_path: Path) -> None:
    one, other = (draw(costs_figure, costs, tmp_path / name / "costs")[0].read_bytes() for name in "ab")
    assert one == other and b"<text" not in one


def test_numbers_have_about_three_digits() -> None:
    assert [shown.seconds(value) for value in (None, 0.0, 0.0446, 0.9996, 3.14159, 42.42, 1234.5)] == [
        "n/a",
        "0.000",
        "0.045",
        "1.000",
        "3.14",
        "42.4",
        "1,234",
    ]
    assert not math.isnan(float(shown.seconds(0.5)))
