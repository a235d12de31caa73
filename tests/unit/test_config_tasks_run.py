"""What a study says of tasks that it does not run is left out and told; a name that is no task is refused."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from study_config import BASE, FILES, ROOT, STUDIES, changed, held, lines_of, one_line

from cascade_equivalence import plugins
from cascade_equivalence.cli.commands.check import check_file
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.study import StudyConfig
from cascade_equivalence.config.tasks_run import with_tasks_given
from cascade_equivalence.registry import NameIn
from cascade_equivalence.stages.study import Study

ALL = list(TASKS)
CASES = [(name, task) for name in STUDIES for task in FILES[name]["tasks"]]


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    plugins.use([])


def naming(section: type[BaseModel], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Places in a section, and those below it, whose list or mapping names tasks."""
    for name, field in section.model_fields.items():
        annotation = field.rebuild_annotation()
        if names_tasks(annotation):
            yield (*place, name)
        for inner in held(annotation):
            yield from naming(inner, (*place, name))


def names_tasks(annotation: Any) -> bool:
    if isinstance(annotation, NameIn):
        return annotation.registry is TASKS
    return any(names_tasks(part) for part in get_args(annotation))


# What can be chosen from is no part of a study that runs.
PLACES = [place for place in naming(StudyConfig) if place[0] not in ("definitions", "tasks")]


def value_at(study: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        study = None if study is None else getattr(study, key)
    return study


def with_only(raw: dict[str, Any], *tasks: str) -> dict[str, Any]:
    return copy.deepcopy(raw) | {"tasks": list(tasks)}


def loaded(raw: dict[str, Any]) -> tuple[StudyConfig, list[str]]:
    told: list[str] = []
    return load_study(raw, ROOT, tell=told.append), told


def full() -> dict[str, Any]:
    """A study in which every key that can name tasks does."""
    closed = [name for name in ALL if TASKS[name].labels]
    opened = {
        "models": ["mini-speech-llm"],
        "states": {"tasks": ALL},
        "erasure": {"tasks": ALL},
        "patching": {"tasks": closed},
        "attributions": {"tasks": closed, "asr": "whisper-base"},
        "steering": {"tasks": closed},
    }
    return changed(
        items={"source": "demo", "per_task": dict.fromkeys(ALL, 8), "max_words": dict.fromkeys(ALL, 60)},
        speech={"voices": ["us", "gb"], "prosody_voices": ["us", "gb"]},
        noise={"snr_db": [10], "voices": ["us"], "tasks": ALL},
        surplus={"tasks": closed},
        systems=[*BASE["systems"], "mini"],
        pairs=[*BASE["pairs"], {"system": "mini", "reference": "base-smollm2", "label": "own"}],
        conflict={"tasks": [name for name in closed if TASKS[name].text_sufficient and not TASKS[name].has_options]},
        statistics={
            "repeats": ["batch"],
            "repeat_tasks": ALL,
            "family_apart": {"pairs": ["tiny-smollm2~base-smollm2"], "tasks": ALL},
        },
        mechanism=opened,
        paper={"models": {"mini-speech-llm": {"name": "Ultravox"}}},
    )


def test_a_study_that_names_its_own_tasks_is_as_it_was() -> None:
    study, told = loaded(full())
    assert told == [] and len(PLACES) > 5
    assert all(value_at(study, place) for place in PLACES)


@pytest.mark.parametrize("task", ALL)
def test_no_key_names_a_task_that_does_not_run(task: str) -> None:
    study, (line,) = loaded(with_only(full(), task))
    for place in PLACES:
        value = value_at(study, place) or ()
        # Of free answers there is no surplus, and there are no log-odds; letters of options are no words.
        closed = not {"surplus", "patching", "conflict", "attributions", "steering"}.isdisjoint(place)
        unfit = not TASKS[task].labels or (
            "conflict" in place and (TASKS[task].has_options or not TASKS[task].text_sufficient)
        )
        assert set(value) == {task} or (closed and unfit), place
        assert ".".join(place) in line
    assert "\n" not in line and all(other in line for other in ALL if other != task)
    # What jobs are given is what was read, and nothing of it is left to be told.
    again, told = loaded(Study(study).resolved())
    assert again == study.model_copy(update={"registry": []}) and told == []


@pytest.mark.parametrize(("name", "task"), CASES)
def test_each_study_of_the_project_takes_each_of_its_tasks_alone(name: str, task: str) -> None:
    study, _ = loaded(with_only(FILES[name], task))
    assert study.tasks == [task]
    assert all(set(value_at(study, place) or [task]) == {task} for place in PLACES if place[0] != "items")
    assert {node.task for node in Study(study).nodes} == {task}


def test_a_part_that_is_left_with_no_task_is_not_run_and_named() -> None:
    parts = {"noise", "surplus", "conflict", "statistics.repeats", "statistics.family_apart", "mechanism"}
    others = [name for name in ALL if name != "sst2"]
    raw = full() | {"tasks": ["sst2"], "surplus": {"tasks": ["meld"]}, "conflict": {"tasks": ["meld"]}}
    raw["noise"]["tasks"] = raw["statistics"]["repeat_tasks"] = raw["statistics"]["family_apart"]["tasks"] = others
    raw["mechanism"] |= {"states": {"tasks": others}}
    study, (line,) = loaded(raw)
    assert study.mechanism is None and study.statistics.family_apart is None and study.statistics.repeats == []
    assert study.noise.conditions() == [] and study.surplus.tasks == study.conflict.tasks == []
    assert study.paper is not None and study.paper.models == {}
    assert set(line.rpartition(": ")[2].split(", ")) == parts
    raw["mechanism"] |= {"states": {"tasks": ["sst2"]}, "erasure": {"tasks": others}}
    study, (line,) = loaded(raw)
    assert study.mechanism is not None and study.mechanism.erasure is None
    assert line.endswith("mechanism.erasure")


def test_a_variant_that_changes_nothing_in_the_tasks_that_run_is_not_asked() -> None:
    repeats = {"statistics__repeats": ["batch", "options"], "noise": None}
    assert loaded(changed(**repeats))[0].statistics.repeats == ["batch", "options"]
    named = ["commonsense_qa", "trivia_qa"]
    for more in ({}, {"statistics__repeat_tasks": named}):
        study, (line, *none) = loaded(changed(tasks=["trivia_qa"], **repeats, **more))
        assert study.statistics.repeats == ["batch"] and "options" in line and none == []


def test_defaults_follow_the_tasks_and_nothing_is_said_of_them() -> None:
    study, told = loaded(
        changed(mechanism={"models": ["mini-speech-llm"], "erasure": None}, tasks=["sst2"], noise=None)
    )
    assert study.mechanism is not None and study.mechanism.states.tasks == ["sst2"] and told == []
    # But a part that is not run for them is named.
    study, (line,) = loaded(changed(mechanism={"models": ["mini-speech-llm"]}, tasks=["meld"], noise=None))
    assert study.mechanism is None and "mechanism" in line


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_a_name_that_is_no_task_is_refused_with_the_nearest(place: tuple[str, ...]) -> None:
    raw = full()
    section: Any = raw
    for key in place[:-1]:
        section = section[key]
    value = section[place[-1]]
    section[place[-1]] = {**value, "sst3": 8} if isinstance(value, dict) else [*value, "sst3"]
    # It may be told of a number that it is none, too.
    (line,) = [each for each in lines_of(raw) if "sst3" in each]
    assert line.startswith(".".join(place)) and line.endswith("did you mean 'sst2'?")
    assert "sst3" in one_line(with_only(changed(noise=None), "sst2", "sst3"))


def test_check_says_what_is_left_out(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    raw = changed(tasks=["sst2"])
    study.write_text(yaml.safe_dump(raw | {"registry": [str(ROOT / name) for name in raw["registry"]]}))
    said = check_file(study)
    assert said.startswith("valid study") and "ag_news" in said and "noise.tasks" in said and "\n" not in said


# -- what the command line names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "tasks"),
    [("sst2", ["sst2"]), ("sst2,meld", ["sst2", "meld"]), ("sst2 meld", ["sst2", "meld"]), (["meld"], ["meld"])],
)
def test_names_of_the_command_line_are_tasks(given: Any, tasks: list[str]) -> None:
    config = {"tasks": given, "systems": ["s"]}
    assert with_tasks_given(config, {"tasks": given}, []) == {"tasks": tasks, "systems": ["s"]}


@pytest.mark.parametrize("given", [{}, {"results": "there"}, {"tasks": {"mine": None}}, {"tasks": 5}])
def test_a_command_line_that_names_no_tasks_changes_nothing(given: dict[str, Any]) -> None:
    config = {"tasks": ["sst2"]} | given
    assert with_tasks_given(config, given, []) is config


def test_the_command_line_of_a_workflow_around_this_one_is_not_meant() -> None:
    config = {"tasks": ["sst2"]}
    assert with_tasks_given(config, {"tasks": "meld"}, []) is config


def test_tasks_that_a_file_describes_in_place_are_known_to_the_command_line(tmp_path: Path) -> None:
    items = tmp_path / "mine.csv"
    items.write_text("text,label\nat seven,time\nbehind the church,place\n")
    entry = {"items": str(items), "labels": ["time", "place"], "prompt": "Time or place? {speech}"}
    raw = changed(tasks={"mine": entry, "sst2": None}, noise__tasks=["mine", "sst2"])
    file = tmp_path / "study.json"
    file.write_text(json.dumps(raw))
    for chosen in ("mine", "sst2"):
        given = {"tasks": [chosen]}
        study = load_study(with_tasks_given(raw | given, given, [file]), ROOT)
        assert study.tasks == [chosen] and study.noise.tasks == [chosen]
