"""Transcripts of another program as a recogniser: joined by item, voice, condition; what does not fit is told first."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from study_config import ROOT, changed, lines_of

from cascade_equivalence import stages
from cascade_equivalence.cli.commands.check import check_file
from cascade_equivalence.conditions import CLEAN, SILENCE
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.sources import TranscriptsSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.jobs.start import check_places
from cascade_equivalence.models.transcription.outside import outside_transcripts
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.prepare import prepare_items

TASK = "sst2"
VOICES = ["us", "gb"]
Rows = list[dict[str, Any]]


def raw(path: Path, **more: Any) -> dict[str, Any]:
    source = {"kind": "transcripts", "files": [str(path)], **more.pop("source", {})}
    definitions = {
        "models": {"theirs": {"role": "asr", "licence": "not known", "source": source}},
        "systems": {"theirs-smollm2": {"kind": "cascade", "asr": "theirs", "llm": "smollm2-135m-instruct"}},
    }
    pair = {"system": "theirs-smollm2", "reference": "tiny-smollm2", "label": "other ears"}
    noise = {"snr_db": [0], "voices": ["us"], "tasks": [TASK], "babble_voices": ["gb"]}
    study = {"tasks": [TASK], "systems": ["theirs-smollm2", "tiny-smollm2"], "pairs": [pair], "noise": noise}
    return changed(**study, definitions=definitions, speech__voices=VOICES, speech__silence=True, **more)


def study_of(path: Path, **more: Any) -> Study:
    return Study(load_study(raw(path, **more), ROOT))


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    """A transcript of each clip that the study asks for."""
    study = study_of(tmp_path / "any.csv")
    items = prepare_items(TASK, study.config.items, RESOURCES, study.sets_folder)[0]
    asked = [(CLEAN, voice) for voice in VOICES] + [("snr0", "us"), (SILENCE, "us")]
    return [
        {"id": item.id, "voice": voice, "condition": condition, "text": f"{item.text} {voice} {condition}"}
        for condition, voice in asked
        for item in items
    ]


def written(path: Path, rows: Rows) -> Path:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    else:
        pl.DataFrame(rows).write_parquet(path)
    return path


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_each_clip_gets_its_own_transcript(tmp_path: Path, rows: Rows, ending: str) -> None:
    path = written(tmp_path / f"theirs{ending}", rows[::-1])
    source = TranscriptsSource(kind="transcripts", files=[path])
    for condition in (CLEAN, "snr0", SILENCE):
        wanted = [row for row in rows if row["condition"] == condition]
        places = [(row["id"], row["voice"]) for row in wanted]
        found = outside_transcripts("theirs", source, TASK, condition, VOICES, places)
        assert found == [row["text"] for row in wanted]
    assert list(stages.transcribe.problems(study_of(path))) == []


def test_a_study_needs_no_weights_for_it_and_depends_on_what_the_file_holds(tmp_path: Path, rows: Rows) -> None:
    path = written(tmp_path / "theirs.csv", rows)
    study = study_of(path)
    assert stages.resolve.transcribing_manifests(study, "theirs") == [] and not study.is_speech_llm("theirs")
    assert not [one for one in stages.resolve.all_manifests(study) if "/theirs/" in one]
    assert study.heard_nodes("theirs") == [*study.nodes, *study.silent_nodes]
    first = stages.transcribe.params(study, "theirs")
    moved = written(tmp_path / "moved.csv", rows)
    assert stages.transcribe.params(study_of(moved), "theirs") == first
    written(path, rows[1:])
    assert stages.transcribe.params(study_of(path), "theirs") != first
    assert stages.transcribe.params(study_of(moved, source={"columns": {"text": "t"}}), "theirs") != first
    # Another recogniser's nodes know nothing of it, and a plan needs neither memory nor a batch for it.
    assert "files" not in stages.transcribe.params(study, "whisper-tiny.en")
    assert stages.transcribe.need(study, "theirs", TASK, CLEAN).batch_size == 0
    assert Study(load_study(study.resolved())).model("theirs") == study.model("theirs")


def test_columns_have_other_names_and_other_rows_are_left_alone(tmp_path: Path, rows: Rows) -> None:
    renamed = [{"utt": row["id"], "who": row["voice"], "said": row["text"], "set": TASK} for row in rows[:32]]
    others = [row | {"set": "ag_news"} for row in renamed]
    path = written(tmp_path / "theirs.jsonl", [*renamed, *others, {"utt": "x", "who": "us", "said": "x", "set": TASK}])
    columns = {"id": "utt", "voice": "who", "text": "said", "task": "set"}
    source = TranscriptsSource(kind="transcripts", files=[path], columns=columns)
    places = [(row["utt"], row["who"]) for row in renamed]
    assert outside_transcripts("theirs", source, TASK, CLEAN, VOICES, places) == [row["said"] for row in renamed]


def test_without_voices_a_transcript_is_of_the_only_one(tmp_path: Path, rows: Rows) -> None:
    single = [{key: row[key] for key in ("id", "text")} for row in rows[:16]]
    source = TranscriptsSource(kind="transcripts", files=[written(tmp_path / "theirs.csv", single)])
    places = [(row["id"], "us") for row in single]
    assert outside_transcripts("theirs", source, TASK, CLEAN, ["us"], places) == [row["text"] for row in single]
    with pytest.raises(StudyError, match=r"columns\.voice.*us, gb"):
        outside_transcripts("theirs", source, TASK, CLEAN, VOICES, places)


def broken_row(text: str) -> Callable[[Rows], Rows]:
    return lambda rows: [rows[0] | {"text": text}, *rows[1:]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows[1:], ("source.files", "no transcript of", "sst2-", "1 of 32 clips")),
        (lambda rows: [*rows, rows[0]], ("more than one transcript of", "sst2-", "us")),
        (lambda rows: [row for row in rows if row["condition"] != SILENCE], ("silence: false", "silence")),
        (lambda rows: [{**row, "text": None} for row in rows], ("row 1", "text")),
        (lambda rows: [{"key": row["id"], "text": row["text"]} for row in rows], ("row 1", "'id'", "key, text")),
        (lambda rows: [row | {"id": ""} for row in rows], ("row 1", "id")),
    ],
)
def test_what_does_not_fit_is_one_line_before_any_job(
    tmp_path: Path, rows: Rows, change: Callable[[Rows], Rows], told: tuple[str, ...]
) -> None:
    path = written(tmp_path / "theirs.jsonl", change(rows))
    lines = list(stages.transcribe.problems(study_of(path)))
    assert lines and all("models.theirs" in line and "\n" not in line for line in lines)
    assert any(all(word in line for word in told) for line in lines), lines
    with pytest.raises(StudyError, match="theirs"):
        check_places(study_of(path))


def test_check_says_so_and_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    config = tmp_path / "study.json"
    config.write_text(json.dumps(raw(tmp_path / "none.csv")))
    with pytest.raises(StudyError, match=r"models\.theirs\.source\.files: there is no file"):
        check_file(config)
    (tmp_path / "theirs.txt").write_text("x")
    with pytest.raises(StudyError, match=r"\.csv"):
        check_places(study_of(tmp_path / "theirs.txt"))


def test_without_silence_its_cascades_are_left_out_there_and_it_is_said(tmp_path: Path, rows: Rows) -> None:
    path = written(tmp_path / "theirs.csv", [row for row in rows if row["condition"] != SILENCE])
    config = raw(path, source={"silence": False})
    study = Study(load_study(config, ROOT))
    assert stages.silence.systems(study) == ["tiny-smollm2"] and stages.silence.pairs(study) == []
    assert not [file for file in stages.transcribe.all_files(study) if "/theirs/" in file and SILENCE in file]
    assert list(stages.transcribe.problems(study)) == []
    place = tmp_path / "study.json"
    place.write_text(json.dumps(config))
    assert "not asked over silence: theirs-smollm2" in check_file(place)
    alone = config | {"systems": ["theirs-smollm2"], "pairs": []}
    (line,) = lines_of(alone)
    assert line.startswith("speech.silence")


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ({"role": "llm"}, ("models.theirs.source", "role: asr")),
        ({"source": {"kind": "transcripts", "files": []}}, ("models.theirs.source", "files")),
        ({"source": {"kind": "transcripts", "files": ["a.csv"], "columns": {"words": "w"}}}, ("columns", "words")),
        ({"transcription": {"prompt": "{speech}"}}, ("models.theirs.transcription", "speech LLM")),
    ],
)
def test_an_entry_with_a_fault_is_refused_with_its_key(
    tmp_path: Path, models: dict[str, Any], told: tuple[str, ...]
) -> None:
    config = raw(tmp_path / "a.csv")
    config["definitions"]["models"]["theirs"] |= models
    lines = lines_of(config)
    assert any(all(word in line for word in told) for line in lines), lines


def test_what_needs_weights_cannot_be_it(tmp_path: Path) -> None:
    config = raw(tmp_path / "a.csv") | {"mechanism": {"models": ["theirs"], "states": {"tasks": [TASK]}}}
    assert any("theirs" in line and "weights" in line for line in lines_of(config))
