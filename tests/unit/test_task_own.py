"""A task that a config describes, with a file of one's own: read alike from every format, and told what is wrong."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
from study_config import ROOT, changed, lines_of

from cascade_equivalence import plugins, stages
from cascade_equivalence.cli.commands.check import check_file
from cascade_equivalence.config.check_folders import place_problems
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.schema import json_schema
from cascade_equivalence.config.study import ItemsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources.folder import location
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.own import OwnTask
from cascade_equivalence.tasks.prepare import prepare_items
from cascade_equivalence.vocabulary import INVALID

ROWS: list[dict[str, Any]] = [
    {"nr": "a", "said": "The train leaves at seven.", "kind": "time"},
    {"nr": "b", "said": "We meet behind the church.", "kind": "place"},
    {"nr": "c", "said": "The shop opens at nine.", "kind": "time"},
    {"nr": "d", "said": "We meet behind the church.", "kind": "place"},
]
COLUMNS = {"id": "nr", "text": "said", "label": "kind"}
PROMPT = "Does it tell a time or a place?\n{speech}\nAnswer: time or place."
ENTRY: dict[str, Any] = {"columns": COLUMNS, "labels": ["time", "place"], "prompt": PROMPT}


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    plugins.use([])


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(
                {key: "|".join(value) if isinstance(value, list) else value for key, value in row.items()}
                for row in rows
            )
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        pl.DataFrame(rows).write_parquet(path)
    return path


def raw(path: Path, **entry: Any) -> dict[str, Any]:
    return changed(tasks={"mine": {"items": str(path), **ENTRY, **entry}, "sst2": None}, noise=None)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".json", ".parquet"])
def test_every_format_gives_the_same_items(tmp_path: Path, ending: str) -> None:
    options = [row | {"options": ["time", "place"], "aliases": ["x y", "z"]} for row in ROWS]
    lettered = {"labels": ["A", "B"], "prompt": "{speech} {options}"}
    for rows, entry in ((ROWS, ENTRY), (options, ENTRY | lettered)):
        items = OwnTask("mine", entry | {"items": written(tmp_path / f"items{ending}", rows)}).load()
        golds = [{"time": "A", "place": "B"}[row["kind"]] if "options" in row else row["kind"] for row in rows]
        assert [(item.id, item.text) for item in items] == [(row["nr"], row["said"]) for row in rows]
        assert [item.label for item in items] == golds
        # What is said twice is of one group.
        assert [item.group for item in items] == ["a", "b", "c", "b"]
        assert {item.options for item in items} == {tuple(rows[0].get("options", ()))}
        assert {item.aliases for item in items} == {tuple(rows[0].get("aliases", ()))}


def test_ids_and_groups_can_be_left_to_the_file_or_not(tmp_path: Path) -> None:
    rows = [{"text": row["said"], "label": row["kind"], "group": "g"} for row in ROWS]
    items = OwnTask("mine", {"items": written(tmp_path / "items.csv", rows)}).load()
    assert len({item.id for item in items}) == len(rows) and {item.group for item in items} == {"g"}


def test_a_recording_names_an_item_that_has_no_id(tmp_path: Path) -> None:
    rows = [{"text": row["said"], "label": row["kind"], "audio": f"clips/{row['nr']}.take.wav"} for row in ROWS]
    items = OwnTask("mine", {"items": written(tmp_path / "items.csv", rows)}).load()
    assert [item.id for item in items] == [f"{row['nr']}.take" for row in ROWS]
    named = [row | {"id": str(number)} for number, row in enumerate(rows)]
    items = OwnTask("mine", {"items": written(tmp_path / "items.csv", named)}).load()
    assert [item.id for item in items] == [str(number) for number in range(len(rows))]


@pytest.mark.parametrize(
    ("entry", "row", "gold"),
    [
        ({"labels": ["yes", "no"]}, {"label": "no"}, "no"),
        (
            {"labels": ["A", "B"], "prompt": "{speech} {options}"},
            {"label": "park", "options": ["bank", "park"]},
            "B",
        ),
        ({}, {"label": "Paris", "aliases": ["the city of light"]}, "the city of light"),
    ],
)
def test_gold_answers_are_right_and_nothing_is_guessed(
    tmp_path: Path, entry: dict[str, Any], row: dict[str, Any], gold: str
) -> None:
    path = written(tmp_path / "items.jsonl", [{"text": "Where is it?"} | row])
    task = OwnTask("mine", entry | {"items": path})
    (item,) = task.load()
    assert task.score(task.parse(gold, item.options, {}), item)
    assert not task.score(task.parse("", item.options, {}), item) and task.parse("", item.options, {}) == INVALID
    assert not task.score(task.parse("something else", item.options, {}), item)


def test_a_study_describes_it_in_place_or_in_a_registry(tmp_path: Path) -> None:
    path = written(tmp_path / "items.csv", ROWS)
    entry = {"items": "items.csv", **ENTRY}
    (tmp_path / "mine.yaml").write_text(json.dumps({"tasks": {"mine": entry}}))
    in_place = load_study(raw(path), ROOT)
    registries = [*in_place.model_dump(mode="json")["registry"], "mine.yaml"]
    of_file = load_study(changed(tasks=["mine", "sst2"], noise=None, registry=registries), ROOT, places=[tmp_path])
    defined = changed(tasks=["mine", "sst2"], noise=None, definitions={"tasks": {"mine": entry}})
    of_definitions = load_study(defined, ROOT, places=[tmp_path])
    for study in (of_file, of_definitions):
        assert study.definitions == in_place.definitions and study.tasks == in_place.tasks == ["mine", "sst2"]
    # A job reads the study as it was resolved.
    resolved = Study(in_place).resolved()
    assert load_study(resolved).definitions == in_place.definitions
    assert prepare_items("mine", in_place.items, RESOURCES, tmp_path)[0]
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(raw(path))
    load_study(changed(), ROOT)
    assert "mine" not in TASKS


def test_nodes_depend_on_the_file_and_on_how_it_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "items.csv", ROWS)

    def params(**entry: Any) -> tuple[Any, Any]:
        study = Study(load_study(raw(path, **entry) | {"results": str(tmp_path / "results")}, ROOT))
        assert stages.items.sources(study, "mine") == [path] and stages.items.fetched(study, "mine") == []
        return stages.items.params(study, "mine"), stages.answer.params(study, "base-smollm2", "mine")

    items, answers = params()
    assert params(title="Mine")[0] == items and params(title="Mine")[1] == answers
    assert params(labels=["time", "place", "both"])[1] != answers
    written(path, ROWS[:-1])
    assert params()[0] != items and params()[1] == answers
    # What is shown of it makes the report again, and no answer.
    shown = [
        stages.report.params(Study(load_study(raw(path, **entry), ROOT)), "write_report")
        for entry in ({}, {"title": "Mine"}, {"text_sufficient": False})
    ]
    assert len({json.dumps(each, sort_keys=True, default=str) for each in shown}) == len(shown)
    # What other tasks are asked with is as it was.
    assert load_study(raw(path), ROOT).definitions.tasks["sst2"].asked().keys().isdisjoint(("items", "labels", "title"))


def test_a_task_may_have_voices_of_its_own(tmp_path: Path) -> None:
    path, folder = written(tmp_path / "items.csv", ROWS), tmp_path / "sound"
    voice = {"anna": {"provider": "recordings", "folder": str(folder), "pattern": "{id}.{ext}"}}
    config = raw(path, voices=["anna"]) | {"definitions": {"voices": voice}}
    study = Study(load_study(config, ROOT))
    assert study.voices_of("mine") == ["anna"] and study.voices_of("sst2") == study.config.speech.voices
    assert set(stages.speech.files_of(study, "mine", "clean")) <= set(stages.speech.all_files(study))
    assert re.fullmatch(stages.wildcards.constraints(study)["voice"], "anna")
    # Who speaks changes no answer to the same words.
    usual = Study(load_study(raw(path), ROOT))
    assert stages.answer.params(usual, "base-smollm2", "mine") == stages.answer.params(study, "base-smollm2", "mine")
    assert any("voices" in line and "sound" in line for line in place_problems(study.config, ROOT, location))
    (line,) = lines_of(raw(path, voices=["ana"]))
    assert "tasks.mine.voices" in line and "ana" in line
    noisy = config | {"noise": {"snr_db": [10], "voices": ["us"], "tasks": ["mine", "sst2"]}}
    (line,) = lines_of(noisy)
    assert "tasks.mine.voices" in line and "us" in line


def test_what_is_worth_knowing_of_the_items_is_told(tmp_path: Path) -> None:
    rows = [{"text": f"Sentence number {n}.", "label": "no" if n else "yes"} for n in range(9)] * 2
    named = [row | {"id": str(number)} for number, row in enumerate(rows)]
    load_study(raw(written(tmp_path / "items.csv", named), columns={}, labels=["yes", "no"]), ROOT)
    _, lines = prepare_items("mine", ItemsConfig(source="demo"), RESOURCES, tmp_path)
    assert len(lines) == 3 and any("9 items" in line for line in lines) and any("'yes'" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("items.csv", "text,answer\na,b\n", ("row 1", "'label'", "answer")),
        ("items.jsonl", '{"text": "a", "label": "b"}\n{"text": ["a"], "label": "b"}', ("row 2", "`text`")),
        ("items.jsonl", "{", ("row 1",)),
        ("items.csv", "text,label\n", ("no items",)),
        ("items.txt", "a", (".csv",)),
        ("items.csv", "text,label,id\nWhat,time,1\nWhere,place,1\n", ("more than once", "1")),
        ("items.csv", "text,label\nWhat,date\n", ("date", "time, place")),
        ("items.csv", "text,label\n!!,time\n", ("no text to speak",)),
        ("items.csv", "label,text\nplace,behind the church, near the station\n", ("row 1", "quotation marks")),
        ("items.csv", "text,text,label\na,b,time\n", ("'text'",)),
        ("items.json", '[{"text": NaN, "label": "time"}]', ("row 1", "`text`")),
        ("items.jsonl", '{"text": "a", "label": "time", "id": [0]}', ("row 1", "`id`")),
    ],
)
def test_a_file_with_a_fault_is_named_with_its_place(
    tmp_path: Path, name: str, text: str, told: tuple[str, ...]
) -> None:
    path = tmp_path / name
    path.write_text(text)
    load_study(raw(path, columns={}), ROOT)
    with pytest.raises(Exception, match="mine") as caught:
        prepare_items("mine", ItemsConfig(source="demo"), RESOURCES, tmp_path)
    assert type(caught.value).__name__ == "StudyError"
    assert all(word in str(caught.value) for word in (*told, str(path)))


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"prompt": "{speech} {options}"}, "labels"),
        ({"labels": ["time"]}, "labels"),
        ({"labels": ["time", "time"]}, "labels"),
        ({"columns": {"text": "a", "label": "a"}}, "columns"),
        ({"columns": {"words": "a"}}, "columns"),
        ({"columns": {"text": "label"}}, "columns"),
        ({"labels": ["time", "invalid"]}, "labels"),
        ({"prompt": "no slot"}, "prompt"),
    ],
)
def test_an_entry_with_a_fault_is_refused_with_its_key(tmp_path: Path, entry: dict[str, Any], key: str) -> None:
    lines = lines_of(raw(written(tmp_path / "items.csv", ROWS), **entry))
    assert any("mine" in line and key in line for line in lines), lines


def test_names_and_files_that_cannot_be_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "items.csv", ROWS)
    assert any(
        "labels" in line
        for line in lines_of(changed(definitions={"tasks": {"sst2": {"labels": ["a", "b"], "prompt": "{speech}"}}}))
    )
    for name in ("sst2", "my task", "1st"):
        (line,) = lines_of(changed(tasks={name: {"items": str(path), **ENTRY}}))
        assert name in line
    study = load_study(raw(tmp_path / "none.csv"), ROOT)
    assert any("tasks.mine.items" in line for line in place_problems(study, ROOT, location))


def test_a_column_that_is_named_must_be_there(tmp_path: Path) -> None:
    path = written(tmp_path / "items.csv", ROWS)
    for field in ("id", "group", "options", "aliases"):
        study = load_study(raw(path, columns=COLUMNS | {field: "speakr"}), ROOT)
        (line,) = place_problems(study, ROOT, location)
        assert "tasks.mine.items" in line and "speakr" in line


@pytest.mark.parametrize("options", ["x|y|z|w", "x", "x||y", "x|x|y", "", "X|x"])
def test_options_are_different_and_have_letters(tmp_path: Path, options: str) -> None:
    row = {"text": "Which?", "label": "A", "options": options}
    path = written(tmp_path / "items.csv", [{"text": "Which?", "label": "B", "options": "p|q|r"}, row])
    task = OwnTask("mine", {"items": path, "labels": ["A", "B", "C"], "prompt": "{speech} {options}"})
    assert "row 2" in (task.fault(tmp_path) or "")


def test_a_registry_is_checked_by_itself_and_replaced_by_a_study(tmp_path: Path) -> None:
    path = written(tmp_path / "items.csv", ROWS)
    registry = tmp_path / "mine.yaml"
    registry.write_text(json.dumps({"tasks": {"mine": {"items": "items.csv", **ENTRY}}}))
    assert "valid registry" in check_file(registry)
    registries = [*load_study(raw(path), ROOT).model_dump(mode="json")["registry"], str(registry)]
    replaced = changed(tasks={"mine": {"prompt": "{speech}"}}, noise=None, registry=registries)
    assert any("mine" in line for line in lines_of(replaced))
    registry.write_text(json.dumps({"tasks": {"sst2": {"items": "items.csv", **ENTRY}}}))
    with pytest.raises(StudyError, match="sst2"):
        check_file(registry)


def test_words_that_stand_for_no_are_read_alike_everywhere(tmp_path: Path) -> None:
    load_study(raw(written(tmp_path / "items.csv", ROWS), text_sufficient="no"), ROOT)
    assert not TASKS["mine"].text_sufficient
