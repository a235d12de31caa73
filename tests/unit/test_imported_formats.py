"""Answers of other projects: each format is known by what a file holds, and read as its own program means it."""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from answer_files import (
    DATE,
    OPTIONS,
    every_eval_ever,
    inspect_archive,
    lm_eval_choice,
    lm_eval_text,
    lmms_eval,
    write_csv,
    write_lines,
)

from cascade_equivalence.config.names import FORMATS
from cascade_equivalence.errors import StudyError
from cascade_equivalence.imported.format import FileOptions
from cascade_equivalence.imported.read import read_answers

PLAIN = [{"id": number, "answer": "Yes", "label": "no", "task": "polar", "text": "Is it?"} for number in range(3)]


def only(path: Path, *, score: str = "", **columns: str) -> pl.DataFrame:
    return read_answers(path, FileOptions(columns, score)).table


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_a_plain_table_says_the_same_in_every_container(tmp_path: Path, ending: str) -> None:
    path, frame = tmp_path / f"a.{ending}", pl.DataFrame(PLAIN)
    if ending == "json":
        path.write_text(json.dumps(PLAIN))
    elif ending == "jsonl":
        write_lines(path, PLAIN)
    elif ending == "parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if ending == "tsv" else ",")
    found = read_answers(path)
    assert found.format == "table"
    assert found.table["id"].to_list() == ["0", "1", "2"]
    assert found.table.row(0, named=True) | {"id": "0", "answer": "Yes", "label": "no", "task": "polar"} == (
        found.table.row(0, named=True)
    )


def test_the_container_is_known_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    pl.DataFrame(PLAIN).write_parquet(tmp_path / "a.csv")
    write_lines(tmp_path / "a.parquet", PLAIN)
    assert only(tmp_path / "a.csv").equals(only(tmp_path / "a.parquet"))


def test_columns_of_other_names_are_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [{"doc_id": 7, "pred": "x", "gold": "y"}])
    with pytest.raises(StudyError, match=r"doc_id, pred, gold.*--map id=\.\.\.,answer=\.\.\."):
        read_answers(path)
    row = only(path, id="doc_id", answer="pred", label="gold").row(0, named=True)
    assert (row["id"], row["answer"], row["label"]) == ("7", "x", "y")


def test_a_column_that_is_named_and_not_there_is_said(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [{"id": "q1", "answer": "yes", "label": "yes"}])
    found = read_answers(path, FileOptions({"answer": "predicted", "id": "id"}))
    assert found.lacking == ("answer",) and len(found.remarks) == 1 and "'predicted'" in found.remarks[0]


def test_a_row_of_json_may_leave_out_what_others_have(tmp_path: Path) -> None:
    rows = [{"id": "q1", "correct": 0}, {"id": "q2", "correct": 1, "said": "yes", "answer": "no", "label": "yes"}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = read_answers(path).table
    assert table.select("answer", "label").rows() == [(None, None), ("no", "yes")]
    assert read_answers(path, FileOptions({"answer": "said"})).table["answer"].to_list() == [None, "yes"]


@pytest.mark.parametrize(
    ("written", "score"),
    [(True, 1), (0, 0), ("1.0", 1), ("C", 1), ("I", 0), ("no", 0), ("True", 1), ("P", 0.5), (None, None), ("", None)],
)
def test_right_and_wrong_are_read_as_they_are_written(tmp_path: Path, written: Any, score: float | None) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"id": "q", "correct": written}, {"id": "r", "correct": 1}])
    assert only(path)["score"][0] == score


def test_scores_that_only_say_how_good_are_refused_and_some_are_told(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"id": n, "correct": n + 2.5} for n in range(3)])
    with pytest.raises(StudyError, match="neither 0 nor 1"):
        read_answers(path)
    path = write_lines(tmp_path / "b.jsonl", [{"id": n, "correct": n / 2} for n in range(3)])
    (remark,) = read_answers(path).remarks
    assert "1 of 3" in remark and "0.5" in remark
    graded = [{"id": n, "answer": "x", "label": "x", "correct": n + 2.5} for n in range(3)]
    found = read_answers(write_lines(tmp_path / "c.jsonl", graded))
    assert found.table["score"].null_count() == 3 and "gold label" in found.remarks[0]


def test_a_metric_that_tells_right_from_wrong_goes_before_one_that_says_how_good(tmp_path: Path) -> None:
    rows = [lm_eval_text(n, "4", "4", f1=0.4, metrics=["f1", "exact_match"]) for n in range(3)]
    found = read_answers(write_lines(tmp_path / "s.jsonl", rows))
    assert found.table["score"].to_list() == [1.0] * 3 and "exact_match is taken, not f1" in found.remarks[0]


def test_choices_by_likelihood_are_the_likeliest_option(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "org__model" / f"samples_animals_{DATE}.jsonl",
        [lm_eval_choice(number, gold=number % 3, chosen=(number + number // 2) % 3) for number in range(6)],
    )
    found = read_answers(path)
    assert (found.format, found.name, found.tasks()) == ("lm_eval", "org__model", ["animals"])
    for number, row in enumerate(found.table.iter_rows(named=True)):
        assert row["answer"] == f"{OPTIONS[(number + number // 2) % 3]} {number}"
        assert row["label"] == f"{OPTIONS[number % 3]} {number}"
        assert row["score"] == float(row["answer"] == row["label"]) and row["text"] == f"Question {number}?"
    assert any("acc_norm" in remark for remark in found.remarks)


def test_the_metric_divided_by_length_takes_the_option_that_it_takes(tmp_path: Path) -> None:
    row = lm_eval_choice(0, gold=1, chosen=0)
    row["arguments"]["gen_args_1"]["arg_1"] = " a very long option, so that its likelihood a letter is large"
    path = write_lines(tmp_path / "s.jsonl", [row | {"acc_norm": 1.0}])
    assert only(path)["answer"][0] == "cat 0"
    assert only(path, score="acc_norm").select("answer", "score").row(0)[0].startswith("a very long")


def test_one_filter_of_the_answers_is_taken_and_the_others_are_told(tmp_path: Path) -> None:
    rows = [lm_eval_text(n, "4", "4" if n else "[invalid]") for n in range(3)]
    rows += [lm_eval_text(n, "4", "5", "flexible-extract") for n in range(3)]
    path = write_lines(tmp_path / f"samples_sums_{DATE}.jsonl", rows)
    found = read_answers(path)
    assert found.table["answer"].to_list() == [None, "4", "4"] and "flexible-extract" in found.remarks[0]
    assert only(path, score="exact_match,flexible-extract")["answer"].to_list() == ["5"] * 3
    for score in ("exact_match,other", "other"):
        with pytest.raises(StudyError, match="it has"):
            only(path, score=score)


def test_samples_of_lmms_eval_are_told_from_those_of_lm_eval(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "model" / "20260102_030405_samples_sounds.jsonl", [lmms_eval(n, "A", " a") for n in range(3)]
    )
    found = read_answers(path)
    assert (found.format, found.name, found.tasks()) == ("lmms_eval", "model", ["sounds"])
    assert found.table.row(0, named=True)["answer"] == "A" and found.table["score"].to_list() == [1.0] * 3


def test_the_likelihood_of_a_single_text_is_no_answer(tmp_path: Path) -> None:
    for name, pair in (("a", [["-1.5", "True"]]), ("b", ["-1.5", "True"])):
        rows = [lmms_eval(n, "x", "x") | {"filtered_resps": pair, "some_acc": float(n)} for n in range(2)]
        row = only(write_lines(tmp_path / f"{name}.jsonl", rows)).row(1, named=True)
        assert (row["answer"], row["raw"], row["score"]) == (None, None, 1)


def test_every_eval_ever_has_a_line_a_result_of_which_one_is_taken(tmp_path: Path) -> None:
    rows = [every_eval_ever(n, "x", "x" if n else "z", result) for n in range(3) for result in ("exact", "close")]
    path = write_lines(tmp_path / "uuid_samples.jsonl", rows)
    found = read_answers(path)
    assert (found.format, found.name, found.tasks()) == ("every_eval_ever", "org/model", ["animals"])
    assert found.table["answer"].to_list() == ["z", "x", "x"] and found.table["score"].to_list() == [0, 1, 1]
    assert "close" in found.remarks[0]
    assert only(path, score="close").height == 3
    with pytest.raises(StudyError, match="no result 'other'"):
        only(path, score="other")


@pytest.mark.parametrize(
    "changed",
    [
        {"evaluation_name": None},
        {"model_id": None},
        {"metadata": {"item": "q", "voice": 5, "group": 3}},
        {"input": {"raw": "q", "reference": "positive"}},
        {"output": {"raw": "positive"}},
    ],
)
def test_values_of_every_eval_ever_without_their_list_or_as_numbers_are_read(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    row = {"schema_version": "0.3.0", "evaluation_id": "e", "model_id": "m", "evaluation_name": "n", "sample_id": "1"}
    row |= {"evaluation": {"is_correct": True}, "input": {"raw": "q", "reference": ["positive"]}}
    row |= {"output": {"raw": ["positive"]}} | changed
    read = read_answers(write_lines(tmp_path / "a_samples.jsonl", [row]))
    found = read.table.row(0, named=True)
    assert (found["label"], found["raw"]) == ("positive", "positive")
    assert "None" not in (read.name, found["task"]) and found["voice"] in ("", "5") and found["group"] in (None, "3")


@pytest.mark.parametrize("changed", [{"arguments": {"a": 5}}, {"metrics": 5}, {"metrics": [["a"]]}])
def test_a_sample_of_the_harness_that_is_none_is_one_line_or_read(changed: dict[str, Any], tmp_path: Path) -> None:
    row = {"doc_id": 0, "target": "a", "filtered_resps": ["a"], "arguments": {}, "resps": [["a"]], "acc": 1.0}
    path = write_lines(tmp_path / "samples_x.jsonl", [row | changed])
    if "metrics" in changed:
        assert read_answers(path).table["score"].to_list() == [1.0]
    else:
        with pytest.raises(StudyError, match="line 1 is no sample of the harness"):
            read_answers(path)


def test_a_log_of_inspect_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    log = tmp_path / "log.json"
    log.write_text(json.dumps({"version": 2, "status": "success", "eval": {"task": "t"}}, indent=2))
    for path in (inspect_archive(tmp_path / "log.eval"), log):
        with pytest.raises(StudyError, match="pip install inspect_ai"):
            read_answers(path)


def test_a_log_of_inspect_is_read_through_its_own_package(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSample, EvalSpec, write_eval_log
    from inspect_ai.model import ModelOutput
    from inspect_ai.scorer import Score

    def sample(number: int, epoch: int) -> EvalSample:
        value, answer = ("C", "yes") if number else ("I", "no")
        return EvalSample(
            id=number,
            epoch=epoch,
            input=f"question {number}",
            target="yes",
            output=ModelOutput.from_content("m", f"I say {answer}"),
            scores=None if number == 2 else {"match": Score(value=value, answer=answer)},
        )

    spec = EvalSpec(
        created="2026-01-01T00:00:00+00:00",
        task="polar",
        dataset=EvalDataset(sample_ids=[0, 1, 2]),
        model="org/m",
        config=EvalConfig(epochs=2),
    )
    log = EvalLog(status="success", eval=spec, samples=[sample(n, epoch) for n in range(3) for epoch in (1, 2)])
    for path in (tmp_path / "log.eval", tmp_path / "log.json"):
        write_eval_log(log, str(path))
        found = read_answers(path)
        assert (found.format, found.name, found.tasks()) == ("inspect", "org/m", ["polar"])
        rows = found.table.filter(voice="epoch 2").sort("id")
        assert rows["answer"].to_list() == ["no", "yes", None] and rows["score"].to_list() == [0, 1, 0]
        assert rows["raw"].to_list()[:2] == ["I say no", "I say yes"] and "invalid" in found.remarks[0]


def test_a_folder_has_every_file_of_answers_below_it(tmp_path: Path) -> None:
    write_lines(tmp_path / f"samples_animals_{DATE}.jsonl", [lm_eval_choice(0, 0, 0)])
    write_csv(tmp_path / "plain.csv", [{"id": 1, "answer": "x"}])
    (tmp_path / "results.json").write_text('{"results": {}}')
    (tmp_path / "notes.md").write_text("nothing")
    assert set(read_answers(tmp_path).tasks()) == {"animals", "plain"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match="without a file of answers"):
        read_answers(tmp_path / "empty")


def test_a_format_can_be_named_and_is_then_not_looked_for(tmp_path: Path) -> None:
    rows = [lm_eval_text(0, "x", "x") | {"id": 5, "answer": "mine"}]
    path = write_lines(tmp_path / "a.jsonl", rows)
    assert read_answers(path).format == "lm_eval"
    assert read_answers(path, format_name="table").table["answer"].to_list() == ["mine"]
    with pytest.raises(StudyError, match=r"no format of answers 'lmeval'\. Did you mean 'lm_eval'"):
        read_answers(path, format_name="lmeval")
    assert all(known.title for known in FORMATS.values())


BROKEN = {
    "nothing": b"",
    "spaces": b" \n ",
    "no rows": b"id,answer\n",
    "two columns of a name": b"id,id,answer\n1,2,3\n",
    "a cell too many": b"id,answer\n1,yes\n2,a,b\n",
    "a cell too few": b"id,answer\n1\n",
    "an open quotation": b'id,answer\n1,"yes\n',
    "a line cut off": b'{"id": 1, "answer": "x"}\n{"id": 2, "ans',
    "a line that is no object": b'{"id": 1, "answer": "x"}\n[1]\n',
    "a list of numbers": b"[1, 2]",
    "an empty list": b"[]",
    "JSON cut off": b'[{"id": 1, "answer": "x"},',
    "no text": b"\xff\xfe\x00\x01",
    "an archive cut off": b"PK\x03\x04rest",
    "Parquet cut off": b"PAR1rest",
    "an id that is none": b'{"id": null, "answer": "x"}\n',
    "a row without an id": b'{"id": 1, "answer": "x"}\n{"answer": "x"}\n',
    "a score in words": b"id,correct\n1,maybe\n",
    "no columns that say anything": b"name,value\n1,2\n",
    "half a sample of a harness": (
        json.dumps(lm_eval_text(1, "x", "x")) + '\n{"doc_id": 2, "filter": "strict-match"}\n'
    ).encode(),
    "half a sample of Every Eval Ever": json.dumps(every_eval_ever(1, "x", "x", input=None)).encode(),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_one_line_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        read_answers(path)
    assert str(path) in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"gone\.csv does not exist"):
        read_answers(tmp_path / "gone.csv")
