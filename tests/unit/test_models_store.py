"""What a model has computed is never lost, never computed twice, and never served to another question."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models import store as stores
from cascade_equivalence.models.store import Store, damaged_lines, key_of

SOURCE = Path(__file__).parents[2] / "src"
LINE_ENDS = "a\nb\r\nc\x0bd\x0ce\x1cf\x85g\u2028h\u2029i"
STRANGE = [
    LINE_ENDS,
    "",
    "\u00e9\u4e2d\U0001f600",
    "\x00\x1f\x7f",
    '"key": "value"}\n{"key"',
    "\ud800",
    "\\n",
    "\ufeff",
]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
parts = st.dictionaries(st.text(), values, max_size=4)


def contents(path: Path) -> dict[str, Any]:
    with Store(path) as store:
        return {key: store[key] for key in store._records}


def shuffled(value: Any, seed: int) -> Any:
    """The same value with its keys in another order, at every depth."""
    if isinstance(value, list):
        return [shuffled(inner, seed) for inner in value]
    if not isinstance(value, dict):
        return value
    pairs = [(key, shuffled(inner, seed)) for key, inner in value.items()]
    random.Random(seed).shuffle(pairs)
    return dict(pairs)


def kind(value: Any) -> Any:
    """A value with its types: ``True``, ``1`` and ``1.0`` are equal in Python, but not in a prompt or a setting."""
    if isinstance(value, list):
        return ["list", *map(kind, value)]
    if isinstance(value, dict):
        return ["dict", *sorted((key, kind(inner)) for key, inner in value.items())]
    return type(value).__name__, repr(value)


# -- keys -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(parts, st.integers(0, 5))
def test_a_key_does_not_depend_on_the_order_of_its_parts(given_parts: dict[str, Any], seed: int) -> None:
    assert key_of(shuffled(given_parts, seed)) == key_of(given_parts)


@settings(deadline=None)
@given(parts, parts)
def test_different_parts_have_different_keys(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (key_of(one) == key_of(other)) == (kind(one) == kind(other))


@settings(deadline=None)
@given(parts, st.text(), values)
def test_every_part_counts(given_parts: dict[str, Any], name: str, value: object) -> None:
    more = given_parts | {name: value}
    assert (key_of(more) == key_of(given_parts)) == (kind(more) == kind(given_parts))


def test_a_key_is_the_same_in_another_process() -> None:
    asked = {"revision": "r", "messages": [{"role": "user", "content": LINE_ENDS}], "n": 1.5}
    code = f"from cascade_equivalence.models.store import key_of; print(key_of({asked!r}))"
    again = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert again.stdout.strip() == key_of(asked)


def test_a_number_that_is_none_has_no_key() -> None:
    with pytest.raises(ValueError, match="JSON"):
        key_of({"temperature": float("nan")})


# -- records --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.dictionaries(st.text(), values, max_size=6))
def test_what_is_added_is_there_again(tmp_path_factory: pytest.TempPathFactory, records: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("store") / "new" / "answers.jsonl"
    with Store(path) as store:
        store.add(records.items())
        assert {key: store[key] for key in records} == records
        assert len(store) == len(records)
    assert contents(path) == records
    with Store(path) as store:
        assert all(key in store for key in records)
        assert "another" not in store or "another" in records
        with pytest.raises(KeyError):
            store["not a key of any" * 3]


@pytest.mark.parametrize("text", STRANGE)
def test_any_text_survives_on_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "answers.jsonl"
    with Store(path) as store:
        store.add([("first", {"text": text}), (text, text)])
    assert contents(path) == {"first": {"text": text}, text: text}
    assert path.read_bytes().count(b"\n") == 2


def test_what_is_read_now_is_what_is_read_later(tmp_path: Path) -> None:
    value = {"scores": (1.5, 2), "names": ["a"]}
    with Store(tmp_path / "s") as store:
        store.add([("k", value)])
        value["names"].append("changed behind its back")  # type: ignore[attr-defined]
        now = store["k"]
    assert now == contents(tmp_path / "s")["k"] == {"scores": [1.5, 2], "names": ["a"]}


def test_the_file_only_grows_and_the_first_value_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store(path) as store:
        store.add([("a", 1), ("b", 2), ("a", 3)])
        before = path.read_bytes()
        store.add([("b", 4), ("c", 5), ("c", 6)])
        assert path.read_bytes()[: len(before)] == before
        assert {key: store[key] for key in "abc"} == {"a": 1, "b": 2, "c": 5}
        after = path.read_bytes()
        store.add([("a", 7)])
        store.add([])
        assert path.read_bytes() == after
    assert contents(path) == {"a": 1, "b": 2, "c": 5}
    # So it does where two values of a key came into the file in some other way.
    path.write_bytes(path.read_bytes() + b'{"key": "a", "value": 8}\n')
    assert contents(path)["a"] == 1


def test_a_batch_that_cannot_be_written_leaves_no_trace(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        for bad in (float("nan"), object()):
            with pytest.raises((ValueError, TypeError)):
                store.add([("good", 1), ("bad", bad)])
        assert "good" not in store
    assert (tmp_path / "s").read_bytes() == b""


# -- a killed process -----------------------------------------------------------------------------------


def test_a_torn_last_line_is_dropped_wherever_it_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store(path) as store:
        store.add([("a", {"text": "one"}), ("b", {"text": LINE_ENDS + "\u00e9"})])
        kept = len(path.read_bytes())
        store.add([("c", {"text": LINE_ENDS + "\u4e2d"})])
    whole = path.read_bytes()
    first = {"a": {"text": "one"}, "b": {"text": LINE_ENDS + "\u00e9"}}
    for length in range(kept, len(whole)):
        path.write_bytes(whole[:length])
        with Store(path) as store:
            assert len(store) == 2
            assert path.stat().st_size == kept
            store.add([("c", "again"), ("d", length)])
        assert contents(path) == first | {"c": "again", "d": length}


def test_a_file_of_nothing_but_a_torn_line_is_empty(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b'{"key": "a", "val')
    assert contents(tmp_path / "s") == {}


def test_no_changed_letter_is_taken_for_a_record(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store(path) as store:
        store.add([("a", {"text": "positive", "scores": [0.5, -1e-9]}), ("b", "\ud800"), ("c", 1)])
    whole = path.read_bytes()
    assert not damaged_lines(path) and list(contents(path)) == ["a", "b", "c"]
    first = whole.index(b"\n")
    for place in range(first):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StudyError, match=r"line 1\b"):
            contents(path)
        assert damaged_lines(path)[0] == 1


def test_lines_of_an_earlier_version_are_read_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "s"
    old = b'{"key":"a","value":{"text":"x"}}\n'
    path.write_bytes(old)
    with Store(path) as store:
        store.add([("a", 1), ("b", 2)])
        assert store["a"] == {"text": "x"}
    assert path.read_bytes().startswith(old) and not damaged_lines(path)
    assert contents(path) == {"a": {"text": "x"}, "b": 2}


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"5", b'{"key": "x"}', b'{"key": [1], "value": 2}', b"\xff\xfe", b'{"key']
)
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "s"
    with Store(path) as store:
        store.add((str(number), LINE_ENDS) for number in range(5))
    lines = path.read_bytes().split(b"\n")
    lines[2] = damage
    path.write_bytes(b"\n".join(lines) + b'{"torn')
    damaged = path.read_bytes()
    with pytest.raises(StudyError, match=r"line 3\b.*remove that line"):
        contents(path)
    # Nothing was cut off, and the lock is free: who removes the line goes on.
    assert path.read_bytes() == damaged
    path.write_bytes(b"\n".join(lines[:2] + lines[3:]))
    assert set(contents(path)) == {"0", "1", "3", "4"}


# -- other processes ------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(SOURCE)}


def test_a_second_opener_is_refused_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "SECONDS_TO_WAIT", 0.1)
    path = tmp_path / "s"
    code = (
        "import sys, pathlib\n"
        "from cascade_equivalence.errors import StudyError\n"
        "from cascade_equivalence.models import store as stores\n"
        "from cascade_equivalence.models.store import Store\n"
        "stores.SECONDS_TO_WAIT = 0.1\n"
        "try:\n"
        "    with Store(pathlib.Path(sys.argv[1])) as store: print(len(store))\n"
        "except StudyError as error: print(error)\n"
    )

    def other() -> str:
        command = [sys.executable, "-c", code, str(path)]
        return subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout

    with Store(path) as store:
        store.add([("a", 1)])
        # Half a line, as another process would see it in the middle of a write.
        store._file.write(b'{"key": "b", ')
        store._file.flush()
        assert "in use by another process" in other()
        with pytest.raises(StudyError, match="in use"), Store(path):
            pass
        store._file.write(b'"value": 2}\n')
    assert other().strip() == "2"


def test_a_process_that_is_about_to_end_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "s"
    holder = Store(path)
    holder.__enter__()
    holder.add([("a", 1)])
    timer = threading.Timer(0.3, holder.__exit__, (None, None, None))
    timer.start()
    began = time.monotonic()
    assert contents(path) == {"a": 1}
    assert time.monotonic() - began > 0.1
    timer.join()


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Store(tmp_path / "s") as store:
        store.add([("a", 1)])
        raise RuntimeError
    assert contents(tmp_path / "s") == {"a": 1}


def test_a_file_system_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StudyError, match=r"Function not implemented.*locks"), Store(tmp_path / "s"):
        pass


def test_records_are_in_the_file_and_synced_when_add_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    synced: list[int] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", note)
    with Store(path) as store:
        for number in range(3):
            store.add([(str(number), number)])
            code = f"import json; print([json.loads(line)['value'] for line in open({str(path)!r}, 'rb')])"
            seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
            assert json.loads(seen) == list(range(number + 1))
            assert synced[-1] == path.stat().st_size


WRITER = """
import sys, pathlib
from cascade_equivalence.models.store import Store
with Store(pathlib.Path(sys.argv[1])) as store:
    number = len(store)
    while True:
        batch = [(str(n), {"n": n, "text": "x" * (n * 37 % 3000)}) for n in range(number, number + 5)]
        store.add(batch)
        number += 5
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
"""


def test_a_killed_writer_loses_nothing_that_add_returned_for(tmp_path: Path) -> None:
    path = tmp_path / "s"
    done = 0
    for trial in range(8):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            acknowledged = writer.stdout.readline()
            time.sleep(random.Random(trial).uniform(0, 0.03))
            writer.send_signal(signal.SIGKILL)
            acknowledged += writer.stdout.read()
        promised = max(int(line) for line in acknowledged.splitlines(keepends=True) if line.endswith("\n"))
        assert promised > done
        with Store(path) as store:
            done = len(store)
            assert done >= promised
            assert {store[str(n)]["n"] for n in range(done)} == set(range(done))
