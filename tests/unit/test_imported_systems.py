"""Systems that answered elsewhere: joined to a study's items and read by its tasks; what does not fit is told first."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from answer_files import write_csv
from study_config import ROOT, changed, lines_of

from cascade_equivalence.cli.commands.check import check_file
from cascade_equivalence.config.load import load_study
from cascade_equivalence.errors import StudyError
from cascade_equivalence.identity import write_table
from cascade_equivalence.nodes.imported_answers import write_imported
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stages import answer, imported, resolve, wildcards
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.prepare import prepare_items
from cascade_equivalence.tasks.registry import get_task

TASK = "sst2"


def raw_study(path: Path, **more: Any) -> dict[str, Any]:
    entry = {"kind": "imported", "answers": {TASK: str(path)}} | more
    pair = {"system": "theirs", "reference": "tiny-smollm2", "label": "elsewhere"}
    return changed(
        definitions={"systems": {"theirs": entry}},
        systems=["theirs", "tiny-smollm2"],
        pairs=[pair],
        tasks=[TASK, "ag_news"],
    )


def study_of(path: Path, **more: Any) -> Study:
    return Study(load_study(raw_study(path, **more), ROOT))


def items_of(study: Study) -> list[Any]:
    return prepare_items(TASK, study.config.items, RESOURCES, study.sets_folder)[0]


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    """An answer to each item of the study."""
    said = ["The answer is {}.", "{}", "I cannot tell", ""]
    items = items_of(study_of(tmp_path / "any.csv"))
    return [
        {"id": item.id, "answer": said[number % 4].format(item.label), "label": item.label}
        for number, item in enumerate(items)
    ]


def written(study: Study, folder: Path) -> pl.DataFrame:
    path = folder / "answers.parquet"
    voices = study.voices_of(TASK)
    write_imported("theirs", study.imported["theirs"], TASK, study.task(TASK), items_of(study), voices, path)
    return pl.read_parquet(path)


def test_answers_are_read_and_scored_as_the_studys_own(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    study = study_of(write_csv(tmp_path / "a.csv", rows))
    table = written(study, tmp_path)
    voices = study.voices_of(TASK)
    assert table.height == len(rows) * len(voices) and set(table["voice"]) == set(voices)
    for row in rows:
        expected = get_task(TASK).parse(row["answer"], (), study.task(TASK).label_words)
        for found in table.filter(id=row["id"]).iter_rows(named=True):
            assert (found["parsed"], found["correct"]) == (expected, expected == row["label"])
    assert table["new_tokens"].null_count() == table["seconds"].null_count() == table.height


def test_silence_that_nobody_can_be_asked_over_is_told(tmp_path: Path) -> None:
    raw = raw_study(tmp_path / "a.csv") | {"speech": {"voices": ["us"], "silence": True}, "noise": {}}
    load_study(raw, ROOT)
    (line,) = lines_of(raw | {"systems": ["theirs"], "pairs": [], "tasks": [TASK]})
    assert line.startswith("speech.silence")


def test_answers_by_voice_are_joined_by_voice(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    voices = study_of(tmp_path / "any.csv").voices_of(TASK)
    spoken = [row | {"voice": voice, "answer": f"{row['label']}"} for row in rows for voice in voices]
    spoken[0]["answer"] = "no answer"
    table = written(study_of(write_csv(tmp_path / "a.csv", spoken)), tmp_path)
    assert table.filter(~pl.col("correct")).select("id", "voice").rows() == [(rows[0]["id"], voices[0])]


def test_other_columns_and_tasks_of_a_file_are_left_alone(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    named = [{"doc": row["id"], "said": row["answer"], "task": TASK} for row in rows]
    more = [{"doc": row["id"], "said": "World", "task": "ag_news"} for row in rows]
    path = write_csv(tmp_path / "a.csv", [*named, *more, {"doc": "of another study", "said": "x", "task": TASK}])
    table = written(study_of(path, columns={"id": "doc", "answer": "said"}), tmp_path)
    assert set(table["id"]) == {row["id"] for row in rows}


BAD: dict[str, tuple[Callable[[list[dict[str, Any]]], list[dict[str, Any]]], str]] = {
    "missing": (lambda rows: rows[2:], "no answer to .* and .* more"),
    "doubled": (lambda rows: [*rows, rows[0]], "more than one answer to "),
    "both": (lambda rows: [*rows[1:], rows[1]], "more than one answer to .* and no answer to "),
    "of another task": (lambda rows: [row | {"task": "x"} for row in rows], "no answers to sst2, but to x"),
    "no columns": (lambda rows: [{"x": row["id"]} for row in rows], "no column id"),
}


@pytest.mark.parametrize(("change", "said"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_told_by_check_and_by_the_node(
    tmp_path: Path, rows: list[dict[str, Any]], change: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    path = write_csv(tmp_path / "a.csv", change(rows))
    study = study_of(path)
    (line,) = imported.problems(study)
    assert line.startswith(f"systems.theirs.answers.{TASK}: ") and re.search(said, line)
    with pytest.raises(StudyError, match=said):
        written(study, tmp_path)
    config = tmp_path / "study.yaml"
    config.write_text(yaml.safe_dump(raw_study(path)))
    with pytest.raises(StudyError, match=said):
        check_file(config)


def test_a_file_of_other_gold_labels_is_refused(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    rows[0]["label"] = "negative" if rows[0]["label"] == "positive" else "positive"
    with pytest.raises(StudyError, match=f"another gold label for {rows[0]['id']}"):
        written(study_of(write_csv(tmp_path / "a.csv", rows)), tmp_path)


def test_a_file_that_is_not_there_is_a_line_of_check(tmp_path: Path) -> None:
    (line,) = imported.problems(study_of(tmp_path / "gone.csv"))
    assert "gone.csv does not exist" in line


def test_it_answers_clean_speech_of_its_tasks_and_needs_no_model(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    study = study_of(write_csv(tmp_path / "a.csv", rows))
    assert [(node.task, node.condition) for node in study.nodes_of("theirs")] == [(TASK, "clean")]
    assert study.nodes_of("theirs", "tiny-smollm2") == study.nodes_of("theirs")
    assert len(study.nodes_of("tiny-smollm2")) > 2
    assert study.answering_models("theirs") == [] and resolve.pair_manifests(study, "theirs", "tiny-smollm2") == []
    assert [path for path in answer.all_files(study) if "theirs" in path] == [
        answer.file(study, "theirs", TASK, "clean")
    ]
    assert wildcards.answered_by(study, "imported") == "theirs"
    assert "theirs" not in wildcards.answered_by(study, "transformers")


def test_answers_are_taken_over_anew_when_the_file_changes_and_not_when_it_moves(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    first = imported.params(study_of(write_csv(tmp_path / "a.csv", rows)), "theirs", TASK)
    assert imported.params(study_of(write_csv(tmp_path / "b.csv", rows)), "theirs", TASK) == first
    assert imported.params(study_of(write_csv(tmp_path / "c.csv", rows[1:])), "theirs", TASK) != first


@pytest.mark.parametrize(
    ("entry", "more", "said"),
    [
        ({"answers": {}}, {}, "answers"),
        ({"answers": {"no_task": "a.csv"}}, {}, "no_task"),
        ({"columns": {"colour": "c"}}, {}, "colour"),
        ({"format": "evals"}, {}, "format"),
        ({}, {"tasks": ["ag_news"]}, "systems.theirs.answers: there are none to ag_news"),
        (
            {},
            {"noise": {"snr_db": [5], "voices": ["us"], "tasks": [TASK], "systems": ["theirs"]}},
            "noise.systems: 'theirs'",
        ),
        ({}, {"statistics": {"repeats": ["batch"], "repeat_systems": ["theirs"]}}, "repeat_systems: 'theirs'"),
    ],
)
def test_an_entry_that_cannot_be_is_a_line(tmp_path: Path, entry: Any, more: Any, said: str) -> None:
    raw = raw_study(tmp_path / "a.csv", **entry) | more
    assert any(said in line for line in lines_of(raw))


def test_the_answers_of_another_study_of_the_project_are_taken(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    first = written(study_of(write_csv(tmp_path / "a.csv", rows)), tmp_path)
    # Where they are heard in noise too, those to clean speech count.
    noisy = first.with_columns(raw=pl.lit("nothing"), parsed=pl.lit("invalid"), correct=pl.lit(value=False))
    folder = tmp_path / "answers"
    for condition, table in (("clean", first), ("snr0", noisy)):
        write_table(table, folder / f"{condition}.parquet", {"system": "s", "task": TASK, "condition": condition})
    for path in (folder, folder / "clean.parquet"):
        assert written(study_of(path), tmp_path)["correct"].to_list() == first["correct"].to_list()


def test_a_column_that_is_named_and_not_there_is_told(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    study = study_of(write_csv(tmp_path / "a.csv", rows), columns={"answer": "predicted"})
    with pytest.raises(StudyError, match=r"systems\.theirs\.columns\.answer: .*a\.csv has no column 'predicted'"):
        written(study, tmp_path)
