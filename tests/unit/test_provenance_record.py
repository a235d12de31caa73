"""A node's record says what was used and made, names no machine, and costs next to nothing."""

import hashlib
import json
import os
import re
import socket
import time
from pathlib import Path

import pytest
from checkout import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st
from recorded_study import MODEL, RESULTS, config, inside, job, make_study, write

from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance import hashes
from cascade_equivalence.provenance.hashes import FileHashes
from cascade_equivalence.provenance.places import Places, folders_of
from cascade_equivalence.provenance.record import (
    CONFIGS,
    ENVIRONMENTS,
    RECORDS,
    read_record,
    read_records,
    read_shared,
    record_files,
)
from cascade_equivalence.provenance.recording import RecordWriter
from cascade_equivalence.provenance.surroundings import Commit, all_named, environment, first, machine


def test_a_record_names_every_file_with_its_hash(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project")
    record = read_record(results / RECORDS / "answer/first/sst2/clean.json")
    assert (record.rule, record.name) == ("answer", "answer first sst2 clean")
    assert [(use.place, use.path) for use in record.inputs] == [
        ("results", "tasks/sst2/items.parquet"),
        ("results", "transcripts/whisper-a/sst2/clean.parquet"),
        ("models", "llama-a/manifest.json"),
    ]
    (made,) = record.outputs
    data = (results / made.path).read_bytes()
    assert (made.sha256, made.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert record.models["llama-a"].revision == "f" * 64 and record.models["llama-a"].licence == "MIT"
    assert record.code.fingerprints == {"settings.code": "0123456789abcdef"}
    assert record.device is not None and record.device.asked == "cpu"
    assert record.seeds["items.seed"] == 0 and record.seeds["statistics.seed"] == 0
    assert record.started <= record.ended and record.seconds >= 0
    assert record.cpu_seconds is not None and record.cpu_seconds > 0
    read = read_shared(results, CONFIGS, record.config)
    assert read["tasks"] == ["sst2", "trivia_qa"] and read["results"] == RESULTS.as_posix()
    packages = read_shared(results, ENVIRONMENTS, record.environment)["packages"]
    import polars

    assert packages["polars"] == polars.__version__


def test_a_record_lies_where_the_log_lies_also_of_models_that_studies_share(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project")
    assert (tmp_path / "project" / MODEL.parent / RECORDS / "llama-a.json").is_file()
    rules = {record.rule for record in read_records(results).values()}
    assert "resolve_model" not in rules and {"answer", "agree", "write_report"} <= rules


def test_an_output_that_is_a_folder_is_its_files_without_snakemakes_own(tmp_path: Path) -> None:
    record = read_record(make_study(tmp_path / "project") / RECORDS / "compare_with_paper.json")
    assert [use.path for use in record.outputs] == ["paper/table2.csv", "paper/table3.csv"]


def test_no_path_and_no_name_of_the_machine_is_recorded(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project", published=True)
    files = [*record_files(results), *(results / RECORDS / CONFIGS).iterdir()]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    for secret in (str(tmp_path), str(Path.home()) + "/", "/somewhere"):
        assert secret not in text
    # A short name may be a part of other words.
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)
    # The user's folder is known by its last part only.
    assert "elsewhere/mine" in text and "project/resources" in text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("results/made-up/a/b.csv", ("results", "a/b.csv")),
        ("results/made-up-too/a.csv", ("project", "results/made-up-too/a.csv")),
        ("results/models/m/manifest.json", ("models", "m/manifest.json")),
        ("results/sets/meld/manifest.json", ("sets", "meld/manifest.json")),
        ("results/made-up/../models/m", ("models", "m")),
        ((REPOSITORY / "config/tasks.yaml").as_posix(), ("project", "config/tasks.yaml")),
        ("/nowhere/of/mine.csv", ("elsewhere", "mine.csv")),
    ],
)
def test_a_file_is_named_from_the_innermost_folder(tmp_path: Path, path: str, name: tuple[str, str]) -> None:
    with inside(tmp_path):
        assert Places(config()).name(Path(path)) == name


def test_text_that_looks_like_a_path_and_is_none_stays(tmp_path: Path) -> None:
    with inside(tmp_path):
        places = Places(config())
        kept = {
            "prompt": "/no_think",
            "long": "/" + "x" * 5000,
            "none": None,
            "flag": True,
            "number": 0.5,
            "nul": "/\0",
        }
        assert places.portable(kept) == kept
        found = places.portable({"folder": tmp_path, "list": (str(tmp_path / ".."), "a")})
    assert found["folder"] == "project/." and found["list"][0].startswith("elsewhere/")


def test_a_record_that_cannot_be_written_is_missed_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with inside(tmp_path):
        (RESULTS / RECORDS).parent.mkdir(parents=True)
        (RESULTS / RECORDS).write_text("in the way")
        made = write(RESULTS / "tables/a.csv", "a\n1\n")
        assert RecordWriter().write(job("r", "r", [], [made]), config()) is None
        assert RecordWriter().write(job("r", "r", [], [made], base=Path("nowhere")), config()) is None
    assert capsys.readouterr().err.count("could not be written") == 2


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project")
    file = results / RECORDS / "write_report.json"
    file.write_text(file.read_text().replace('"rule"', '"role"'))
    with pytest.raises(StudyError, match=r"write_report\.json is not a record"):
        read_records(results)


def test_recording_takes_no_time_to_speak_of(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project")
    assert results.is_dir()
    with inside(tmp_path / "project"):
        made, study, spent = RESULTS / "tables/accuracy.csv", config(), []
        for _ in range(5):
            recording, start = RecordWriter(), time.process_time()
            recording.write(job("r", "r", [made], [made], params={"a": {"b": [1] * 50}}), study)
            spent.append(time.process_time() - start)
    assert min(spent) < 0.05


def test_a_large_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(hashes, "sha256", counted)
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(b"a" * hashes.LARGE)
    small.write_bytes(b"a")
    known = FileHashes(tmp_path / "known")
    for path in (large, large, small, small):
        assert known.of(path) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    assert read == [large, small, small]
    times = large.stat()
    large.write_bytes(b"b" * hashes.LARGE)
    # Same length, and the time of its content set back: the time of its entry tells.
    os.utime(large, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert known.of(large)[0] == hashlib.sha256(large.read_bytes()).hexdigest()
    (memory,) = (tmp_path / "known").iterdir()
    memory.write_text("{ torn")
    assert known.of(large)[0] == hashlib.sha256(large.read_bytes()).hexdigest()
    assert json.loads(memory.read_text())["sha256"] == known.of(large)[0]


def test_the_commit_and_whether_code_differs_from_it(tmp_path: Path) -> None:
    import subprocess

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert Commit(tmp_path).read() == (None, None)
    git("init", "--quiet")
    assert Commit(tmp_path).read() == (None, None)
    code = write(tmp_path / "src/a.py", "X = 1\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "one")
    head = git("rev-parse", "HEAD")
    write(tmp_path / "notes.txt", "not code")
    assert Commit(tmp_path).read() == (head, False)
    code.write_text("X = 2\n")
    assert Commit(tmp_path).read() == (head, True)
    code.write_text("X = 1\n")
    write(tmp_path / "src/new.py", "Y = 1\n")
    assert Commit(tmp_path).read() == (head, True)


def test_the_surroundings_are_those_of_this_process() -> None:
    found = environment()
    assert found["packages"]["pydantic"].startswith("2.") and len(found["lock_sha256"]) == 64
    assert environment() == found
    kind = machine()
    assert kind.cores == len(os.sched_getaffinity(0)) and kind.memory_bytes > 1 << 28 and kind.processor


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["seed", "a", "b"]), inner, max_size=3),
    max_leaves=12,
)


@given(value=JSON)
def test_what_stands_under_a_key_is_found_at_any_depth(value: object) -> None:
    named = all_named(value, "seed")
    text = json.dumps(value)
    assert not named or '"seed"' in text
    if (found := first(value, "seed")) is not None and not isinstance(found, list | dict):
        assert found in named.values()


def test_the_folders_of_a_study_are_found_where_it_was_moved_with_its_project(tmp_path: Path) -> None:
    results = make_study(tmp_path / "project")
    (record,) = (r for r in read_records(results).values() if r.rule == "write_report")
    read = read_shared(results, CONFIGS, record.config)
    moved = (tmp_path / "project").rename(tmp_path / "moved") / RESULTS
    assert folders_of(moved, read)["models"] == tmp_path / "moved" / MODEL.parent
    alone = moved.rename(tmp_path / "alone")
    assert folders_of(alone, read) == {"results": alone}
    assert folders_of(alone, {}) == {"results": alone}
