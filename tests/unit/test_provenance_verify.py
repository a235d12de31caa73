"""Whatever is lost, changed, outdated or unknown in a results folder is named, with what to do; and nothing else is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded_study import MODEL, RESULTS, inside, make_study, write

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.store import UNANSWERED, Store
from cascade_equivalence.provenance.record import RECORDS, read_records
from cascade_equivalence.provenance.verify import verify
from cascade_equivalence.publish.pack import pack

ANSWERS = "answers/first/sst2/clean.parquet"
TRANSCRIPTS = "transcripts/whisper-a/sst2/clean.parquet"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return make_study(tmp_path / "project")


def found(folder: Path) -> set[tuple[str, str]]:
    verification = verify(folder)
    assert all(finding.advice for finding in verification.findings)
    assert verification.ok == (not verification.findings)
    return {(finding.kind, finding.path) for finding in verification.findings}


def test_an_untouched_folder_is_as_recorded(results: Path) -> None:
    verification = verify(results)
    assert verification.ok and verification.unchecked == [] and verification.left_out == []
    outputs = {use.path for record in read_records(results).values() for use in record.outputs}
    assert verification.files == len(outputs)
    assert verification.bytes == sum((results / path).stat().st_size for path in outputs)
    assert verification.text().endswith("as recorded")


def test_every_recorded_file_is_missed_when_it_is_gone(results: Path) -> None:
    for path in sorted({use.path for record in read_records(results).values() for use in record.outputs}):
        kept = (results / path).read_bytes()
        (results / path).unlink()
        assert found(results) == {("missing", path)}
        (results / path).write_bytes(kept)
    assert verify(results).ok


def test_a_changed_byte_is_found_also_where_length_and_time_are_the_same(results: Path) -> None:
    import os

    file = results / "speech/sst2/us/clean.parquet"
    times, data = file.stat(), bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    # What was made from it was made from something else.
    assert found(results) == {("changed", "speech/sst2/us/clean.parquet"), ("stale", TRANSCRIPTS)}


def test_a_node_that_was_made_again_leaves_the_rest_stale(results: Path) -> None:
    import polars as pl
    from recorded_study import config, job

    from cascade_equivalence.provenance.recording import RecordWriter

    with inside(results.parents[1]):
        made = write(RESULTS / TRANSCRIPTS, pl.DataFrame({"id": ["a"], "voice": ["us"], "text": ["other"]}))
        clips = RESULTS / "speech/sst2/us/clean.parquet"
        log = "transcribe/whisper-a/sst2/clean"
        RecordWriter().write(job("transcribe", log, [clips], [made], {"task": "sst2"}), config())
    assert found(results) == {("stale", ANSWERS)}


@pytest.mark.parametrize(
    ("path", "stale"), [(MODEL / "manifest.json", True), (Path("resources/items/sst2.jsonl"), True)]
)
def test_an_input_outside_the_folder_counts_where_it_is_at_hand(results: Path, path: Path, stale: bool) -> None:
    file = results.parents[1] / path
    file.write_text(file.read_text() + " ")
    assert {kind for kind, _ in found(results)} == {"stale"}
    file.unlink()
    verification = verify(results)
    assert verification.ok and len(verification.unchecked) == 1 and verification.unchecked[0].endswith(path.name)


def test_files_that_no_node_made_are_named_but_not_logs_stores_and_descriptions(results: Path) -> None:
    for path in ("store/new.jsonl", "logs/new.log", "benchmarks/a.tsv", "ro-crate-metadata.json", "workflow/Snakefile"):
        write(results / path, "x")
    # A study inside the folder of another, and models that studies share, are not of this one.
    for path in ("other/logs/a.log", "other/tables/a.csv", "models/logs/m.log", "models/m/manifest.json"):
        write(results / path, "x")
    assert verify(results).ok
    write(results / "tables/mine.csv", "a\n")
    write(results / "notes.txt", "mine")
    assert found(results) == {("unrecorded", "tables/mine.csv"), ("unrecorded", "notes.txt")}


def test_a_lost_record_leaves_its_files_unrecorded(results: Path) -> None:
    (results / RECORDS / "answer/first/sst2/clean.json").unlink()
    assert found(results) == {("unrecorded", ANSWERS)}


def test_a_folder_without_records_is_refused_with_what_to_do(results: Path, tmp_path: Path) -> None:
    shutil.rmtree(results / RECORDS)
    with pytest.raises(StudyError, match=r"no record of a node.*--forceall"):
        verify(results)
    with pytest.raises(StudyError, match="is no folder"):
        verify(tmp_path / "nothing")


def test_of_two_records_of_one_file_the_later_counts(results: Path) -> None:
    record = results / RECORDS / "answer/first/sst2/clean.json"
    old = json.loads(record.read_text())
    old["ended"] = "2000-01-01T00:00:00.000+00:00"
    old["outputs"][0]["sha256"] = "0" * 64
    old["inputs"][0]["sha256"] = "0" * 64
    write(record.parents[3] / "renamed/first/sst2/clean.json", json.dumps(old))
    assert verify(results).ok


def test_weights_are_read_again_where_they_are_asked_for(results: Path) -> None:
    # The made-up manifest lists no weights at all: it cannot be read as one.
    assert verify(results).ok
    with pytest.raises(StudyError, match="not a model manifest"):
        verify(results, weights=True)
    shutil.rmtree(results.parents[1] / MODEL)
    assert "weights of llama-a" in verify(results, weights=True).unchecked


def test_the_command_says_it_in_words_and_in_json(
    results: Path, capsys: pytest.CaptureFixture[str], command: Callable[..., int]
) -> None:
    assert command("verify", results) == 0
    assert "as recorded" in capsys.readouterr().out
    (results / ANSWERS).unlink()
    assert command("verify", results) == 1
    text = capsys.readouterr().out
    assert ANSWERS in text and "answer first sst2 clean" in text and "1 findings" not in text
    assert command("verify", results, "--json") == 1
    content = json.loads(capsys.readouterr().out)
    assert content["ok"] is False and content["findings"][0]["path"] == ANSWERS


def test_the_advice_names_what_snakemake_has_to_be_given(results: Path) -> None:
    (results / ANSWERS).unlink()
    (finding,) = verify(results).findings
    # As the study's config names it, from the folder that the study was run in.
    assert f"{RESULTS}/{ANSWERS}" in finding.advice.replace(":", " ").replace(",", " ").split()
    (results / ANSWERS).write_bytes(b"changed")
    assert all(f"{RESULTS}/{each.path}" in each.advice for each in verify(results).findings)


def test_a_changed_line_of_a_store_is_found(results: Path) -> None:
    path, before = results / "store/answers/first/sst2/clean.jsonl", verify(results).stored
    with Store(path) as store:
        store.add([("a", "positive"), ("b", "negative")])
    (results / "store/api").mkdir()
    (results / "store/api/ledger.jsonl").write_text('{"event": "reserved"}\n')
    path.with_suffix(UNANSWERED).write_text("no record\n")
    assert verify(results).ok and verify(results).stored == before + 1
    path.write_bytes(path.read_bytes().replace(b"negative", b"positive"))
    (finding,) = verify(results).findings
    assert (finding.kind, finding.path) == ("changed", "store/answers/first/sst2/clean.jsonl")
    assert "line 2" in finding.advice and str(path) in finding.advice


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/passwd", "a/../../b", "", "..", "C:/x", "a\\..\\b"])
def test_a_record_that_leads_out_of_the_folder_is_refused(results: Path, path: str) -> None:
    record = results / RECORDS / "answer/first/sst2/clean.json"
    content = json.loads(record.read_text())
    content["outputs"][0]["path"] = path
    record.write_text(json.dumps(content))
    with pytest.raises(StudyError, match=record.name):
        verify(results)


@pytest.mark.parametrize("shared", ["config", "environment"])
def test_a_record_names_shared_files_by_hash_only(results: Path, shared: str) -> None:
    record = results / RECORDS / "answer/first/sst2/clean.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {shared: "../../../secret"}))
    with pytest.raises(StudyError, match=record.name):
        pack(results, results.parent / "s.zip", force=True)
    assert not (results.parent / "s.zip").exists()
