"""`init --items`: a file of one's own, and a folder of recordings, become a study that is valid as it is."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cascade_equivalence import plugins, stages
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.read import read_config
from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.own import OwnTask

ROOT = Path(__file__).parents[2]
COUNT = 12
CLOSED = [{"id": f"q{n:02}", "text": f"Say {n}.", "label": "odd" if n % 2 else "even"} for n in range(COUNT)]
Made = Callable[..., Study]


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    plugins.use([])


@pytest.fixture
def made(command: Callable[..., int]) -> Made:
    """The study that `init` writes into a folder, as it is run."""

    def make(folder: Path, *arguments: object) -> Study:
        path = folder / "study.yaml"
        assert command("init", path, *arguments) == 0
        return Study(load_study(read_config(path), ROOT, [folder]))

    return make


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    "names", [("text", "label", "id"), ("Sentence", "answer", "utt_id"), ("question", "Gold", "name")]
)
def test_a_choice_is_found_whatever_its_columns_are_called(made: Made, tmp_path: Path, names: tuple[str, ...]) -> None:
    text, label, name = names
    rows = [{"number": 1, name: row["id"], text: row["text"], label: row["label"]} for row in CLOSED]
    study = made(tmp_path, "--items", table(tmp_path / "my items.csv", rows))
    (task,) = study.config.tasks
    assert TASKS[task].labels == ("even", "odd") and study.config.answer.mode == "forced_choice"
    items, _ = stages.items.planned(study, task)
    assert {(item.id, item.text, item.label) for item in items} == {tuple(row.values()) for row in CLOSED}


def test_options_and_free_answers_are_told_apart(made: Made, tmp_path: Path) -> None:
    free = [{"text": f"Who is {n}?", "label": f"Person {n}"} for n in range(COUNT)]
    lettered = [row | {"options": f"{row['label']}|nobody|me"} for row in free]
    for name, rows, labels in (("free", free, ()), ("lettered", lettered, ("A", "B", "C"))):
        (tmp_path / name).mkdir()
        study = made(tmp_path / name, "--items", table(tmp_path / f"{name}.csv", rows))
        task = TASKS[study.config.tasks[0]]
        assert isinstance(task, OwnTask) and task.labels == labels and task.has_options == bool(labels)
        assert study.config.answer.mode == "generate"


@pytest.mark.parametrize(("labels", "told"), [(["a"] * 9, "1 different"), (["a", "b"], "2 different ones of 2 items")])
def test_who_meant_a_choice_is_told_why_there_is_none(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], labels: list[str], told: str
) -> None:
    rows = [{"text": f"Say {n}.", "label": label} for n, label in enumerate(labels)]
    made(tmp_path, "--items", table(tmp_path / "few.csv", rows))
    said = capsys.readouterr().out
    assert told in said and "`labels`" in said


@pytest.mark.parametrize("layout", ["{id}.wav", "choice/{id}.flac", "anna/{id}.mp3", "ben/choice/{id}.wav"])
def test_recordings_are_found_where_they_lie(
    made: Made, tmp_path: Path, layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = tmp_path / "sound"
    for row in CLOSED[1:]:
        path = sound / layout.format(id=row["id"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    study = made(tmp_path, "--items", table(tmp_path / "choice.csv", CLOSED), "--recordings", sound)
    (voice,) = study.config.speech.voices
    spec = study.config.definitions.voices[voice]
    assert isinstance(spec, RecordingsVoice)
    ending = Path(layout).suffix[1:]
    files = {spec.folder / spec.pattern.format(id=row["id"], task="choice", ext=ending) for row in CLOSED}
    assert {path for path in files if path.exists()} == {path for path in sound.rglob("*") if path.is_file()}
    assert "q00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--items", "none.csv"), "none.csv"),
        (("--items", "words.csv"), "label"),
        (("--items", "empty.csv"), "no items"),
        (("--items", "."), "."),
        (("--recordings", "sound"), "--items"),
        (("--items", "choice.csv", "--recordings", "none"), "none"),
        (("--items", "choice.csv", "--recordings", "silent"), "q00"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[..., int],
    arguments: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "choice.csv", CLOSED)
    table(tmp_path / "words.csv", [{"text": "a", "word": "b"}])
    (tmp_path / "empty.csv").write_text("text,label\n")
    (tmp_path / "silent").mkdir()
    with pytest.raises(SystemExit, match=re.escape(told)):
        command("init", "study.yaml", *arguments)
    assert not Path("study.yaml").exists()


def test_json_lines_are_read_as_well(made: Made, tmp_path: Path) -> None:
    (tmp_path / "choice.jsonl").write_text("\n".join(map(json.dumps, CLOSED)))
    assert made(tmp_path, "--items", tmp_path / "choice.jsonl").config.tasks == ["choice"]
