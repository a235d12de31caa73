"""A config file is read as people read it, in bounded time and memory, or refused in one line that names it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from study_config import BASE, FILES, ROOT, changed

from cascade_equivalence.config.load import find_registry, load_study
from cascade_equivalence.config.read import MOST_BYTES, read_config, refuse_ambiguous
from cascade_equivalence.errors import StudyError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join([f'*{last}'] * 10)}]\n" for last, this in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{this}: &{this} {{<<: [{', '.join([f'*{last}'] * 10)}]}}\n"
    for last, this in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED: dict[str, bytes] = {
    "a tab": b"tasks:\n\t- sst2\n",
    "an unclosed quote": b'tasks: ["sst2]\n',
    "an unclosed list": b"tasks: [sst2\n",
    "NUL": b"tasks: [sst2]\n\x00",
    "binary": bytes(range(256)),
    "Latin-1": "tasks: [café]\n".encode("latin-1"),
    "UTF-16": "tasks: [sst2]\n".encode("utf-16"),
    "two documents": b"tasks: [sst2]\n---\ntasks: [meld]\n",
    "an unknown tag": b"tasks: !secret [sst2]\n",
    "a tag of Python": b"tasks: !!python/object/apply:os.getcwd []\n",
    "a key given twice": b"tasks: [sst2]\ntasks: [meld]\n",
    "a key given twice below": b"items: {per_task: 1, per_task: 2}\n",
    "a key given twice in JSON": b'{"tasks": ["sst2"], "tasks": ["meld"]}',
    "an octal number": b"items: {per_task: 010}\n",
    "a number to the base 60": b"items: {per_task: 1:30}\n",
    "a hexadecimal number": b"items: {per_task: 0x10}\n",
    "5,000 digits": b"items: {per_task: " + b"9" * 5000 + b"}\n",
    "5,000 digits in JSON": b'{"items": {"per_task": ' + b"9" * 5000 + b"}}",
    "an impossible date": b"results: 2001-99-99\n",
    "an impossible number": b"results: !!int abc\n",
    "an empty number": b"results: !!int ''\n",
    "an impossible truth": b"results: !!bool perhaps\n",
    "a mapping as a key": b"? {a: b}\n: c\n",
    "an alias of nothing": b"tasks: *all\n",
    "a bomb": BOMB.encode(),
    "a bomb of merges": MERGES.encode(),
    "a cycle": b"tasks: &a [*a]\n",
    "a cycle through a mapping": b"items: &a {per_task: {x: *a}}\n",
    "3,000 levels": b"tasks: " + b"[" * 3000 + b"]" * 3000,
    "3,000 open levels": b"tasks: " + b"[" * 3000,
    "100,000 levels in JSON": b'{"tasks": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "3,000 levels by indent": "".join(f"{' ' * i}a:\n" for i in range(1000)).encode(),
    "half a character": b'tasks: ["\\ud800"]\n',
    "half a character in JSON": b'{"\\ud800": 1}',
    "many values": b"tasks: [" + b"a," * 60_000 + b"]\n",
    "many bytes": b"#" * (MOST_BYTES + 1),
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=list(REFUSED))
def test_what_has_no_plain_meaning_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        read_config(path)
    message = str(caught.value)
    assert str(path) in message
    assert len(message.splitlines()) == 1
    assert len(message) < len(str(path)) + 250
    with pytest.raises(StudyError, match="study"):
        refuse_ambiguous([path])


def test_a_name_that_leads_to_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml", tmp_path / ("n" * 300), tmp_path / "a\0b", Path("/dev/null")):
        with pytest.raises(StudyError):
            read_config(path)


def test_a_file_that_nobody_may_read_and_a_pipe_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StudyError, match="pipe"):
        read_config(tmp_path / "pipe")

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "mine.yaml").touch()
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(StudyError, match=r"mine\.yaml cannot be read: Permission denied"):
        read_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_project_is_read_as_other_readers_read_it(name: str, tmp_path: Path) -> None:
    assert read_config(ROOT / "config" / name) == FILES[name]
    refuse_ambiguous([ROOT / "config" / name])
    # Tabs are no YAML, but JSON.
    (tmp_path / "study.json").write_text(json.dumps(FILES[name], indent="\t"))
    assert read_config(tmp_path / "study.json") == FILES[name]


def test_aliases_merges_and_a_byte_order_mark_are_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("\ufeffa: &a {x: 1_000, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]\nd: 1.5\n")
    assert read_config(path) == {
        "a": {"x": 1000, "y": 2},
        "b": {"x": 1000, "y": 3},
        "c": [{"x": 1000, "y": 2}] * 2,
        "d": 1.5,
    }
    path.write_text("# nothing\n")
    assert read_config(path) is None


def test_a_config_that_another_reader_made_is_bounded_too() -> None:
    bomb: Any = "x"
    for _ in range(12):
        bomb = [bomb] * 10
    cycle: list[Any] = []
    cycle.append(cycle)
    for tasks in (bomb, cycle):
        with pytest.raises(StudyError, match=r"values|levels"):
            load_study(changed(tasks=tasks))


# -- where registry files are looked for --------------------------------------------------------------------


def test_a_registry_is_looked_for_in_each_place_in_turn(tmp_path: Path) -> None:
    here, beside, shipped = (tmp_path / name for name in ("here", "beside", "shipped"))
    for place in (beside, shipped):
        (place / "config").mkdir(parents=True)
        (place / "config" / "v.yaml").touch()
    entry, places = Path("config/v.yaml"), (here, beside, shipped)
    assert find_registry(entry, places) == beside / entry
    (beside / entry).unlink()
    assert find_registry(entry, places) == shipped / entry
    assert find_registry(shipped / entry, places) == shipped / entry
    (shipped / entry).unlink()
    with pytest.raises(StudyError) as caught:
        find_registry(entry, places)
    assert all(str(place / entry) in str(caught.value) for place in places)


def test_a_study_elsewhere_finds_the_registries_in_the_given_places(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"voices": {"own": {"provider": "hibari"}}}))
    raw = changed(registry=[*BASE["registry"], "own.yaml"])
    assert "own" in load_study(raw, tmp_path, [ROOT]).definitions.voices
    with pytest.raises(StudyError, match=r"own\.yaml"):
        load_study(raw, ROOT)
