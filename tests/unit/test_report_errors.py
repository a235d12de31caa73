"""Shared errors in the report: the tidy columns, the tables for a reader, and the figure."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import polars as pl
import pytest
from figure_text import assert_nothing_overlaps, written_in
from report_study import LABELS, SPEECH_OUTLINE, build, cells_of, write_study

from cascade_equivalence.config.statistics import PairSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.report import errors_table, shared_errors
from cascade_equivalence.report.columns import PLACE
from cascade_equivalence.report.display import NOT_RUN, UNDEFINED, Display, markdown
from cascade_equivalence.report.figures.overlap import DOTS, EVEN, OWN, informative, overlap_figure
from cascade_equivalence.report.naming import NodeFile, Outline, nodes, task_title
from cascade_equivalence.report.tables import Tables
from cascade_equivalence.stats.compare import compare

mpl.use("Agg")
from matplotlib import pyplot as plt

PAIR = {"pair": pl.String, "system": pl.String, "reference": pl.String, "match": pl.String, **PLACE}
Frames = dict[NodeFile, pl.DataFrame]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the made-up study."""
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def tables(root: Path) -> Tables:
    """Its tables."""
    return build(write_study(root, SPEECH_OUTLINE))


def read(folder: Path, who: str) -> Frames:
    """Frames of all nodes of one kind."""
    return {node: pl.read_parquet(path) for node, path in nodes(folder.rglob("*.parquet"), who).items()}


@pytest.fixture(scope="module")
def answers(root: Path, tables: Tables) -> Frames:
    """Answers of all systems."""
    assert tables.accuracy.height  # made from the same files
    return read(root / "answers", "system")


@pytest.fixture(scope="module")
def transcripts(root: Path, tables: Tables) -> Frames:
    """Transcripts of all ASRs, every third clip heard without a word error."""
    errors_of_clip = pl.col("word_errors") * (pl.int_range(pl.len()) % 3 > 0)
    return {
        node: frame.with_columns(word_errors=errors_of_clip)
        for node, frame in read(root / "transcripts", "asr").items()
    }


@pytest.fixture(scope="module")
def items(answers: Frames) -> dict[str, pl.DataFrame]:
    """Items of all tasks, without options."""
    none = pl.lit([], pl.List(pl.String))
    ids = {node.task: frame.select("id").unique() for node, frame in answers.items()}
    return {
        task: frame.with_columns(text=pl.format("what was   spoken {}\n", "id"), options=none)
        for task, frame in ids.items()
    }


def found_of(system: str, reference: str, task: str, answers: Frames, heard: pl.DataFrame | None) -> dict[str, Any]:
    """An agreement node's JSON."""
    one, other = (answers[NodeFile(name, task, "clean")] for name in (system, reference))
    return json.loads(json.dumps(compare(one, other, LABELS[task], heard=heard, draws=200), allow_nan=False))


@pytest.fixture(scope="module")
def table(answers: Frames, transcripts: Frames) -> pl.DataFrame:
    """Tidy errors table of a few pairs."""
    rows = []
    for system, reference, asr, match in (
        ("talker", "base-qwen", "base", "exact"),
        ("talker", "base-smol", "base", "none"),
        ("base-smol", "mumbler", None, "none"),
    ):
        for task in LABELS:
            heard = transcripts[NodeFile(asr, task, "clean")] if asr else None
            place = {"pair": "a | b", "system": system, "reference": reference, "match": match, "task": task}
            place |= {"condition": "clean", "noise": None, "snr_db": None, "rt60_ms": None}
            rows.append(place | cells_of(errors_table.TABLE, found_of(system, reference, task, answers, heard)))
    assert all(set(row) == {*PAIR, *errors_table.COLUMNS} for row in rows)
    return pl.DataFrame(
        rows, schema=PAIR | {name: column.kind for name, column in errors_table.COLUMNS.items()}, orient="row"
    )


def test_row_keeps_the_nodes_numbers(table: pl.DataFrame, answers: Frames, transcripts: Frames) -> None:
    found = found_of("talker", "base-qwen", "ag_news", answers, transcripts[NodeFile("base", "ag_news", "clean")])
    row = table.row(by_predicate=(pl.col("reference") == "base-qwen") & (pl.col("task") == "ag_news"), named=True)
    part = found["errors"]
    assert [row["overlap_permuted"], row["permutation_p"]] == [part["permutation"][name] for name in ("mean", "p")]
    for name, estimate in (
        ("overlap", found["overlap"]),
        ("overlap_ratio", part["ratio"]),
        ("error_consistency", part["consistency"]["kappa"]),
        ("copied", part["consistency"]["copied"]),
        ("capa", part["capa"]),
        ("correct_shared_errors", part["induced"]["same_wrong"]["share"]),
        ("correct_clips", part["induced"]["all"]["share"]),
        ("degraded_risk_ratio", part["induced"]["risk_ratio"]),
    ):
        assert [row[name], row[f"{name}_low"], row[f"{name}_high"]] == [estimate[n] for n in ("value", "low", "high")]
    assert row["overlap_ratio"] == pytest.approx(row["overlap"] / row["overlap_chance_empirical"])
    assert row["overlap_ratio_even_high"] == pytest.approx(row["overlap_high"] * 3)
    assert row["error_consistency_lowest"] <= row["error_consistency"] <= row["error_consistency_highest"]


def test_what_cannot_be_told_is_null_with_a_reason(table: pl.DataFrame) -> None:
    binary = table.filter(pl.col("task").is_in(["sst2", "mustard"]))
    for name in ("overlap_ratio", "overlap_ratio_even", "overlap_permuted", "permutation_p"):
        assert binary[name].null_count() == binary.height
    assert binary["permutation_reason"].null_count() == binary["overlap_ratio_reason"].null_count() == 0
    assert table.filter(task="trivia_qa")["capa_reason"].null_count() == 0
    unread = table.filter(reference="mumbler")
    assert unread["induced_reason"].null_count() == 0 and unread["correct_clips"].null_count() == unread.height
    assert table.filter(pl.col("reference") != "mumbler")["induced_reason"].null_count() == table.height - unread.height


def cells(shown: Display) -> list[dict[str, str]]:
    """Rows of a display by column."""
    assert {len(row) for row in shown.rows} <= {len(shown.columns)}
    assert all(isinstance(cell, str) for row in shown.rows for cell in row)
    return [dict(zip(shown.columns, row, strict=True)) for row in shown.rows]


def test_errors_for_a_reader(table: pl.DataFrame) -> None:
    noisy = table.with_columns(condition=pl.lit("snr0"), noise=pl.lit("babble"), snr_db=pl.lit(0.0))
    shown = errors_table.display(pl.concat([table, noisy]), 0.95)
    assert len(shown.rows) == table.height and "| Pair" in markdown(shown)
    overlap, permuted = (next(name for name in shown.columns if name.startswith(start)) for start in ("Same", "Perm"))
    transcript = next(name for name in shown.columns if name.startswith("Transcript"))
    for cell, row in zip(cells(shown), table.iter_rows(named=True), strict=True):
        assert (cell[overlap] == UNDEFINED) == (row["task"] in ("sst2", "mustard") or row["overlap"] is None)
        assert (cell[permuted] == UNDEFINED) == (row["permutation_p"] is None)
        assert (cell[transcript] == NOT_RUN) == (row["reference"] == "mumbler")
        assert "None" not in "".join(cell.values())
    assert errors_table.display(table.clear(), 0.95).rows == []


def test_shared_errors_are_shared_errors_of_both_types(
    answers: Frames, transcripts: Frames, items: dict[str, pl.DataFrame]
) -> None:
    found = shared_errors.shared_errors(answers, transcripts, items, SPEECH_OUTLINE, per_task=4)
    assert found.schema == pl.Schema(shared_errors.SCHEMA)
    assert found["task"].unique(maintain_order=True).to_list() == SPEECH_OUTLINE.ordered_tasks()
    for row in found.iter_rows(named=True):
        key = {"id": row["id"], "voice": row["voice"]}
        for name in (row["system"], row["reference"]):
            answer = answers[NodeFile(name, row["task"], "clean")].row(by_predicate=_is(key), named=True)
            assert answer["parsed"] == row["both"] != "invalid" and not answer["correct"]
            assert answer["label"] == row["gold"]
        heard = transcripts[NodeFile("base", row["task"], "clean")].row(by_predicate=_is(key), named=True)
        assert row["heard"] == heard["text"] and row["type"] == ("ASR" if heard["word_errors"] else "LLM")
        assert row["spoken"] == f"what was   spoken {row['id']}\n"
    for _, part in found.group_by("task"):
        assert part.height == 4 and set(part["type"]) == {"LLM", "ASR"} and part["id"].n_unique() == 4
    again = {node: frame.reverse() for node, frame in answers.items()}
    assert found.equals(shared_errors.shared_errors(again, transcripts, items, SPEECH_OUTLINE, per_task=4))
    assert not found.equals(
        shared_errors.shared_errors(answers, transcripts, items, SPEECH_OUTLINE, per_task=4, seed=1)
    )


def _is(key: dict[str, str]) -> pl.Expr:
    return (pl.col("id") == key["id"]) & (pl.col("voice") == key["voice"])


def test_the_pair_shown_has_a_speech_llm_with_the_same_llm_and_what_an_asr_heard(
    answers: Frames, transcripts: Frames, items: dict[str, pl.DataFrame]
) -> None:
    def shown(outline: Outline, matches: dict[tuple[str, str], str] | None = None) -> set[tuple[str, str]]:
        found = shared_errors.shared_errors(answers, transcripts, items, outline, matches=matches)
        return set(found.select("system", "reference").iter_rows())

    # Without matches, only the cascades that run the speech LLM's own LLM are known to match.
    turned = Outline(SPEECH_OUTLINE.systems, SPEECH_OUTLINE.pairs[::-1], SPEECH_OUTLINE.tasks)
    assert shown(SPEECH_OUTLINE) == shown(turned) == {("talker", "talker-own")}
    assert shown(SPEECH_OUTLINE, {("talker", "base-qwen"): "exact"}) == {("talker", "base-qwen")}
    cascades = [pair for pair in SPEECH_OUTLINE.pairs if pair.system != "talker" and pair.reference != "mumbler"]
    assert shown(Outline(SPEECH_OUTLINE.systems, cascades, SPEECH_OUTLINE.tasks)) == {("base-qwen", "tiny-qwen")}
    unread = [PairSpec(system="talker", reference="mumbler", label="two speech LLMs")]
    assert shown(Outline(SPEECH_OUTLINE.systems, unread, SPEECH_OUTLINE.tasks)) == set()


def test_answer_letters_are_followed_by_their_options(transcripts: Frames) -> None:
    outline = Outline(SPEECH_OUTLINE.systems, [SPEECH_OUTLINE.pairs[0]], ["commonsense_qa"])
    key = {"id": ["1", "2"], "voice": ["us", "us"]}
    node = NodeFile("base-qwen", "commonsense_qa", "clean")
    frame = pl.DataFrame(
        key | {"group": key["id"], "label": ["A", "B"], "parsed": ["B", "E"], "correct": [False, False]}
    )
    heard = pl.DataFrame(key | {"text": ["x", "x" * 400], "word_errors": [0, 1]})
    items = pl.DataFrame({"id": key["id"], "text": ["said\nin  lines", "x"], "options": [["yes", "no"], ["yes", "no"]]})
    tables = {node: frame, NodeFile("tiny-qwen", "commonsense_qa", "clean"): frame}
    heard_by = {NodeFile(asr, "commonsense_qa", "clean"): heard for asr in ("base", "tiny")}
    found = shared_errors.shared_errors(tables, heard_by, {"commonsense_qa": items}, outline)
    assert found.sort("id").select("gold", "both").rows() == [("A: yes", "B: no"), ("B: no", "E")]
    shown = cells(shared_errors.display(found))
    assert shown[0]["Spoken"] == "said in lines" and shown[0]["Heard by the cascade"] == NOT_RUN
    assert len(shown[1]["Heard by the cascade"]) <= shared_errors.SHOWN_LETTERS + 2 and shown[1]["Type"] == "ASR"
    with pytest.raises(StudyError, match="no transcript or no item for 2 in voice us"):
        shared_errors.shared_errors(tables, heard_by, {"commonsense_qa": items[:1]}, outline)


@pytest.mark.parametrize("rare", ["LLM", "ASR"])
def test_a_rare_type_is_drawn(rare: str) -> None:
    outline = Outline(SPEECH_OUTLINE.systems, [SPEECH_OUTLINE.pairs[0]], ["sst2"])
    key = {"id": [f"{i:02}" for i in range(40)], "voice": ["us"] * 40}
    frame = pl.DataFrame(key | {"group": key["id"], "label": "positive", "parsed": "negative", "correct": False})
    heard = pl.DataFrame(key).with_columns(text=pl.lit("x"), word_errors=(pl.col("id") == "17") == (rare == "ASR"))
    items = pl.DataFrame(key).select("id", text=pl.lit("x"), options=pl.lit([], pl.List(pl.String)))
    answers = {NodeFile(name, "sst2", "clean"): frame for name in ("base-qwen", "tiny-qwen")}
    transcripts = {NodeFile("tiny", "sst2", "clean"): heard.with_columns(pl.col("word_errors").cast(pl.Int64))}
    for seed in range(5):
        found = shared_errors.shared_errors(answers, transcripts, {"sst2": items}, outline, per_task=2, seed=seed)
        assert set(found["type"]) == {"LLM", "ASR"} and found.filter(type=rare)["id"].to_list() == ["17"]


def test_nothing_shared_is_an_empty_table() -> None:
    found = shared_errors.shared_errors({}, {}, {}, SPEECH_OUTLINE)
    assert (
        found.schema == pl.Schema(shared_errors.SCHEMA) and not found.height and not shared_errors.display(found).rows
    )


@pytest.mark.parametrize("tasks", [("ag_news",), ("ag_news", "trivia_qa"), ("ag_news", "commonsense_qa", "meld", "aa")])
def test_nothing_written_in_the_figure_overlaps(tables: Tables, tasks: tuple[str, ...]) -> None:
    known = tables.agreement.filter(task="ag_news")
    table = pl.concat([known.with_columns(task=pl.lit(task)) for task in tasks])
    figure = overlap_figure(table)
    assert_nothing_overlaps(figure)
    written = [text for text, _ in written_in(figure)]
    assert [text for text in written if text in set(map(task_title, tasks))] == [task_title(task) for task in tasks]
    for system, reference, match in known.select("system", "reference", "match").unique().iter_rows():
        assert f"{system} vs. {reference}{' †' if match == 'exact' else ''}" in written
    plt.close(figure)


def test_the_figure_shows_the_numbers_and_leaves_out_what_says_nothing(tables: Tables) -> None:
    shown = informative(tables.agreement)
    assert set(shown["task"]) == {"ag_news", "trivia_qa"} and set(shown["condition"]) == {"clean"}
    missing = (pl.col("task") == "trivia_qa") & (pl.col("reference") == "base-qwen")
    table = tables.agreement.with_columns(overlap=pl.when(~missing).then("overlap"))
    figure = overlap_figure(table)
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["AG News", "TriviaQA"]
    for axes, task in zip(figure.axes, ("ag_news", "trivia_qa"), strict=True):
        part = informative(table).filter(pl.col("task") == task)
        drawn = {look["label"]: [] for look in (*DOTS.values(), EVEN, OWN)}
        for line in axes.lines:
            drawn.setdefault(line.get_label(), []).append(float(line.get_xdata()[0]))
        for match, look in DOTS.items():
            expected = part.filter(match=match)["overlap"].drop_nulls()
            assert sorted(drawn[look["label"]]) == pytest.approx(sorted(100 * expected))
        own = part.filter(pl.col("overlap").is_not_null())["overlap_chance_empirical"].drop_nulls()
        assert sorted(drawn[OWN["label"]]) == pytest.approx(sorted(100 * own))
        assert drawn[EVEN["label"]] == ([] if task == "trivia_qa" else pytest.approx([100 / 3]))
        assert sum(text.get_text() == UNDEFINED for text in axes.texts) == part["overlap"].null_count()
    plt.close(figure)


def test_matches_differ_without_colour() -> None:
    looks = [(look["marker"], look.get("markerfacecolor")) for look in DOTS.values()]
    assert len({marker for marker, _ in looks} | {OWN["marker"]}) == len(DOTS) + 1
    assert len({filling for _, filling in looks}) == len(DOTS)
