"""The items file and the way from a config to items."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from cascade_equivalence.config.names import TaskName
from cascade_equivalence.config.study import ItemsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.tasks.items import check_items, read_items, write_items
from cascade_equivalence.tasks.prepare import prepare_items
from cascade_equivalence.tasks.registry import TASKS, get_task

DEMO = RESOURCES / "items"
PLAIN = TASKS["ag_news"].load_demo(DEMO)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": PLAIN[1].id}, f"more than once: {PLAIN[1].id}"),
        ({"id": " x"}, "spaces around"),
        ({"text": " ... "}, f"no text to speak: {PLAIN[0].id}"),
        ({"label": ""}, f"no gold label: {PLAIN[0].id}"),
        ({"label": "world"}, f"{PLAIN[0].id} \\('world'\\)"),
        ({"options": ("x", "y")}, f"no option: {PLAIN[0].id}"),
    ],
)
def test_bad_items_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    items = [replace(PLAIN[0], **change), *PLAIN[1:]]
    with pytest.raises(StudyError, match=message):
        write_items(items, tmp_path / "items.parquet", "ag_news", TASKS["ag_news"].labels)
    assert not list(tmp_path.iterdir())


def test_long_lists_of_ids_are_cut() -> None:
    with pytest.raises(StudyError, match=f"and {len(PLAIN) - 5} more") as refused:
        check_items([replace(item, text="") for item in PLAIN])
    assert sum(item.id in str(refused.value) for item in PLAIN) == 5


@pytest.mark.parametrize("content", [None, b"PAR1 no"])
def test_unreadable_file_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "items.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudyError, match=r"items\.parquet"):
        read_items(path)


def test_registry_has_the_tasks_of_the_config() -> None:
    known = TypeAdapter(TaskName)
    assert [known.validate_python(name) for name in TASKS] == known.json_schema()["anyOf"][0]["enum"] == list(TASKS)
    assert all(task.name == name and task.title for name, task in TASKS.items())
    with pytest.raises(ValidationError):
        known.validate_python("agnews")
    with pytest.raises(StudyError, match="ag_news"):
        TASKS.add(TASKS["ag_news"])
    with pytest.raises(StudyError, match="Did you mean 'ag_news'"):
        get_task("agnews")


def test_config_that_cannot_be_met(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"published items of sst2 are missing.*leave it out"):
        prepare_items("sst2", ItemsConfig(), RESOURCES, tmp_path)
    with pytest.raises(StudyError, match="no number for sst2"):
        prepare_items("sst2", ItemsConfig(source="demo", per_task={"meld": 7}), RESOURCES, tmp_path)
    with pytest.raises(StudyError, match=r"max_words.* gives no number for sst2"):
        prepare_items("sst2", ItemsConfig(source="demo", max_words={"meld": 7}), RESOURCES, tmp_path)
    with pytest.raises(StudyError, match=r"meld: .*per_task.* to 7"):
        prepare_items("meld", ItemsConfig(source="demo", per_task=6), RESOURCES, tmp_path)
    with pytest.raises(StudyError, match="demo items of sst2 are missing"):
        prepare_items("sst2", ItemsConfig(source="demo"), RESOURCES / "nowhere", tmp_path)


def test_published_items_are_checked_sampled_and_logged(tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    rows = "".join(f"number {n} is good .\t1\nnumber {n} is bad .\t0\n" for n in range(9))
    (tmp_path / "sst2" / "dev.tsv").write_text(f"sentence\tlabel\n{rows}")
    with pytest.raises(StudyError, match=r"(?s)sst2: .*items: expected 872, found 18"):
        prepare_items("sst2", ItemsConfig(per_task=4), RESOURCES, tmp_path)
    items, notes = prepare_items("sst2", ItemsConfig(per_task=4, complete=False), RESOURCES, tmp_path)
    assert sorted(item.label for item in items) == ["negative", "negative", "positive", "positive"]
    assert notes[0] == "18 rows, 18 items"
