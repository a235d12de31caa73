"""What a study's plugins add is there for that study alone; a file that is none is refused by name."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import REPOSITORY
from study_config import BASE, ROOT, changed

from cascade_equivalence import plugins, stages
from cascade_equivalence.config.check_folders import place_problems
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources.folder import location
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.prepare import prepare_items

FRUIT = '''
"""Whether a word is a fruit."""
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.tasks.base import Item, Task

class {title}(Task):
    """Whether a word names a {name}."""
    name = "{name}"
    title = "{title}"
    labels = ("yes", "no")
    patterns = ("test.csv",)
    obtain = "your own folder"

    def _demo_items(self, row):
        yield Item(row["id"], row["text"], row["label"], row["id"])

    def _published_items(self, path, earlier):
        for number, line in enumerate(path.read_text().splitlines()):
            text, label = line.split(",")
            yield Item(f"{name}-{{number}}", text, label, str(number))

TASKS.add({title}())
'''
PROMPT = {"prompt": "{speech} Is it one? yes or no?"}


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    plugins.use([])


def write(folder: Path, name: str = "fruit", more: str = "") -> Path:
    """A plugin with a task, and its items beside it."""
    (folder / "items").mkdir(exist_ok=True)
    lines = (
        f'{{"id": "{n}", "text": "The {n}th word is apple.", "label": "{"yes" if n % 2 else "no"}", "split": "test"}}'
        for n in range(1, 9)
    )
    (folder / "items" / f"{name}.jsonl").write_text("\n".join(lines))
    path = folder / f"{name}.py"
    path.write_text(FRUIT.format(name=name, title=name.capitalize()) + more)
    return path


def with_plugin(*paths: Path, **places: object) -> dict[str, object]:
    """A study of sst2 and the plugins' tasks."""
    names = [path.stem for path in paths]
    definitions = {"definitions__tasks": dict.fromkeys(names, PROMPT)}
    return changed(
        **{
            "plugins": [str(path) for path in paths],
            "tasks": ["sst2", *names],
            "noise__tasks": ["sst2"],
            "items": {"source": "demo", "per_task": 4},
            **definitions,
            **places,
        }
    )


def test_what_it_adds_is_of_its_study_alone(tmp_path: Path) -> None:
    fruit, tree = write(tmp_path), write(tmp_path, "tree")
    study = load_study(with_plugin(fruit), ROOT)
    assert study.tasks == ["sst2", "fruit"] and study.plugins == [fruit.resolve()]
    assert "fruit" in TASKS and "tree" not in TASKS
    load_study(with_plugin(tree), ROOT)
    assert "fruit" not in TASKS and list(TASKS)[-1] == "tree"
    load_study(with_plugin(fruit, tree), ROOT)
    assert list(TASKS)[-2:] == ["fruit", "tree"]
    load_study(BASE, ROOT)
    assert "fruit" not in TASKS and "tree" not in TASKS
    with pytest.raises(StudyError, match=r"tasks\.1.*'fruit'"):
        load_study({**with_plugin(fruit), "plugins": []}, ROOT)


def test_a_job_reads_the_same_study_from_what_it_is_given(tmp_path: Path) -> None:
    study = Study(load_study(with_plugin(write(tmp_path)), ROOT))
    again = Study(load_study(study.resolved()))
    assert again.resolved() == study.resolved()
    assert "fruit" in TASKS


def test_it_is_found_beside_the_config_and_named_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    write(tmp_path / "own")
    raw = with_plugin(Path("fruit.py"), registry=[str(ROOT / path) for path in BASE["registry"]])
    monkeypatch.chdir(tmp_path)
    assert load_study(raw, places=[tmp_path / "own"]).plugins == [Path("own/fruit.py")]


def test_items_lie_beside_it(tmp_path: Path) -> None:
    study = Study(load_study(with_plugin(write(tmp_path)), ROOT))
    items, _ = prepare_items("fruit", study.config.items, tmp_path / "of the package", study.sets_folder)
    assert len(items) == 4 and {item.label for item in items} == {"yes", "no"}
    assert stages.items.sources(study, "fruit") == [tmp_path / "items" / "fruit.jsonl"]


def test_missing_items_are_told_before_anything_runs(tmp_path: Path) -> None:
    study = load_study(with_plugin(write(tmp_path)), ROOT)
    assert not [line for line in place_problems(study, ROOT, location) if "fruit" in line]
    (file := tmp_path / "items" / "fruit.jsonl").unlink()
    (line,) = (line for line in place_problems(study, ROOT, location) if "fruit" in line)
    assert str(file) in line and line.startswith("items.source")


def test_a_set_that_nobody_knows_of_is_read_from_the_users_folder_and_never_fetched(tmp_path: Path) -> None:
    fruit = write(tmp_path)
    (tmp_path / "sets" / "fruit").mkdir(parents=True)
    (tmp_path / "sets" / "fruit" / "test.csv").write_text("apple pie,yes\nstone wall,no\n")
    own = {"source": "published", "folder": str(tmp_path / "sets")}
    study = Study(load_study(with_plugin(fruit, items=own), ROOT))
    items, _ = prepare_items("fruit", study.config.items, ROOT, study.sets_folder)
    assert {item.text for item in items} == {"apple pie", "stone wall"}
    assert stages.items.params(study, "fruit")["expected"] == []
    study = Study(load_study(with_plugin(fruit, items={"source": "published"}), ROOT))
    with pytest.raises(StudyError, match=r"items\.folder.*fruit.*sets\.yaml"):
        stages.items.fetched(study, "fruit")


def test_a_change_of_it_reaches_what_is_made_by_it_and_a_comment_does_not(tmp_path: Path) -> None:
    def codes() -> dict[str, str]:
        study = Study(load_study(with_plugin(path), ROOT))
        known = {
            name: stages.items.params(study, name)["code"]
            + stages.answer.params(study, study.config.systems[0], name)["code"]
            for name in ("sst2", "fruit")
        }
        return known | {"tables": stages.report.params(study, "collect_tables")["code"]}

    path = write(tmp_path)
    before = codes()
    write(tmp_path, more="# a comment\n")
    assert codes() == before
    write(tmp_path, more="Fruit.subjects = ('Kind',)\n")
    after = codes()
    assert {name for name in before if before[name] != after[name]} == {"fruit", "tables"}
    assert TASKS["fruit"].subjects == ("Kind",)


def test_a_folder_is_one_plugin_of_several_files(tmp_path: Path) -> None:
    folder = tmp_path / "fruit"
    folder.mkdir()
    write(folder)
    (folder / "__init__.py").write_text("from . import fruit\n")
    study = load_study(with_plugin(folder), ROOT)
    assert study.plugins == [folder] and TASKS.files("fruit") == (folder / "__init__.py", folder / "fruit.py")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("x = 1\n", "adds nothing"),
        ("\n\nraise ValueError('no such luck')\n", r"line 3.*ValueError.*no such luck"),
        ("def f(:\n", "line 1"),
        ("import no_such_module\n", r"line 1.*no_such_module"),
        ("import sys\nsys.exit(3)\n", "line 2"),
        ("from cascade_equivalence.tasks.sst2 import Sst2\nfrom cascade_equivalence.config.names import TASKS\n"
         "TASKS.add(Sst2())\n", r"line 3.*sst2"),
        ("from cascade_equivalence.config.names import TASKS\nTASKS.add(object())\n", r"line 2.*name"),
        (FRUIT.format(name="fruit", title="Fruit") + "1 / 0\n", "ZeroDivisionError"),
        ("\0", "mine.py"),
        (b"\xff\xfe", "mine.py"),
    ],
)  # fmt: skip
def test_a_faulty_one_is_told_with_its_line_and_adds_nothing(content: str | bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StudyError, match=told) as error:
        load_study(changed(plugins=[str(path)]), ROOT)
    assert "mine.py" in str(error.value) and "plugins" in str(error.value)
    assert "fruit" not in TASKS
    load_study(BASE, ROOT)


def test_a_fault_that_shows_when_the_study_is_planned_is_told_by_check(tmp_path: Path) -> None:
    path, study = tmp_path / "mine.py", tmp_path / "study.json"
    path.write_text(
        "from cascade_equivalence.report.table import TABLES, Table\n"
        "def planned(study):\n    raise KeyError('no such key')\n"
        "TABLES.add(Table(name='mine', section='agreement', columns={}, display=None, planned=planned))\n"
    )
    registry = [str(ROOT / entry) for entry in BASE["registry"]]
    study.write_text(json.dumps(changed(registry=registry, plugins=["mine.py"])))
    command = [sys.executable, "-m", "cascade_equivalence", "check", "--elsewhere", str(study)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 1 and "mine.py, line 3" in done.stderr and "no such key" in done.stderr
    assert "Traceback" not in done.stderr and "issue tracker" not in done.stderr


def test_what_it_prints_stays_out_of_what_a_command_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load_study(with_plugin(write(tmp_path, more="print('hello')\n")), ROOT)
    said = capsys.readouterr()
    assert "hello" in said.err and not said.out


@pytest.mark.parametrize("entry", ["nowhere.py", "https://example.org/mine.py", "items", "notes.txt", "", "~", "a\0b"])
def test_what_is_no_plugin_is_told(entry: str, tmp_path: Path) -> None:
    (tmp_path / "items").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    registry = [str(ROOT / path) for path in BASE["registry"]]
    with pytest.raises(StudyError, match="plugins"):
        load_study(changed(registry=registry, plugins=[entry]), tmp_path)


@pytest.mark.parametrize("entry", ["mine.py", 3, {"a": 1}, [3], [None], True])
def test_what_is_no_list_of_files_is_told(entry: object) -> None:
    with pytest.raises(StudyError, match="plugins"):
        load_study(changed(plugins=entry), ROOT)


def test_one_that_is_named_twice_is_told(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(StudyError, match="fruit"):
        load_study(with_plugin(path, plugins=[str(path), str(path)]), ROOT)
    assert "fruit" not in TASKS
