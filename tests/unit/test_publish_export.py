"""Results as other projects read them: every answer once, the words of published sets in none of them."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from recorded_study import GOLD, OPTIONS, QUIZ, TEXTS, make_study

from cascade_equivalence.cli.study import recorded_statistics
from cascade_equivalence.config.statistics import StatisticsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.imported.agree import Wanted, agree
from cascade_equivalence.provenance.record import CONFIGS, read_record, read_shared, record_files, shared_file
from cascade_equivalence.publish import eval_results, every_eval_ever
from cascade_equivalence.publish.eval_results import write_eval_results
from cascade_equivalence.publish.every_eval_ever import model_of, write_every_eval_ever
from cascade_equivalence.publish.export_folder import check_unchanged, settle
from cascade_equivalence.publish.hub_dataset import write_hub_dataset

Command = Callable[..., int]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def made(project: Path, *, published: bool = False) -> Path:
    """The made-up study with answers that are judged, in groups."""
    results = make_study(project, published=published)
    for path in results.glob("answers/first/*/*.parquet"):
        table = pl.read_parquet(path)
        table.with_columns(group="id", correct=pl.col("parsed") == pl.col("label")).write_parquet(path)
    return results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return made(tmp_path)


def test_every_answer_is_a_line_with_what_was_read_from_it(results: Path, tmp_path: Path) -> None:
    samples, whole = write_every_eval_ever(results, tmp_path / "out", "somebody")
    head = json.loads(whole.read_text())
    found = lines(samples)
    asked = pl.concat(
        [pl.read_parquet(path).select("id", "voice", "parsed", "correct") for path in results.glob("answers/first/*/*")]
    )
    said = {(each["metadata"]["item"], each["metadata"]["voice"]): each for each in found}
    for row in asked.iter_rows(named=True):
        each = said[row["id"], row["voice"]]
        assert each["evaluation"] == {"score": float(row["correct"]), "is_correct": row["correct"]}
        assert each["answer_attribution"][0]["extracted_value"] == row["parsed"]
    assert len(found) == asked.height == head["detailed_evaluation_results"]["total_rows"]
    assert len({each["sample_id"] for each in found if each["evaluation_name"] == found[0]["evaluation_name"]}) > 1


def test_the_two_files_of_a_system_belong_together(results: Path, tmp_path: Path) -> None:
    samples, whole = write_every_eval_ever(results, tmp_path / "out", "somebody")
    head, found = json.loads(whole.read_text()), lines(samples)
    detail = head["detailed_evaluation_results"]
    assert (tmp_path / "out" / detail["file_path"]) == samples
    assert detail["checksum"] == hashlib.sha256(samples.read_bytes()).hexdigest()
    assert uuid.UUID(whole.stem).version == 4 and samples.name == f"{whole.stem}_samples.jsonl"
    ids = {each["evaluation_result_id"] for each in head["evaluation_results"]}
    assert {each["evaluation_result_id"] for each in found} == ids
    for each in head["evaluation_results"]:
        mine = [line["evaluation"]["score"] for line in found if line["evaluation_name"] == each["evaluation_name"]]
        assert each["score_details"]["score"] == pytest.approx(sum(mine) / len(mine))
    assert write_every_eval_ever(results, tmp_path / "again", "somebody")[0].name == samples.name


def test_words_of_published_sets_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    results = made(tmp_path, published=True)
    hidden = [*TEXTS, QUIZ, GOLD, OPTIONS[0]]
    files = write_every_eval_ever(results, tmp_path / "out", "somebody")
    said = "".join(path.read_text() for path in files)
    assert not [text for text in hidden if text.lower() in said.lower()]
    files = write_every_eval_ever(results, tmp_path / "open", "somebody", texts=True)
    assert any(text in "".join(path.read_text() for path in files) for text in hidden)


def test_what_is_written_is_read_again_as_the_same_answers(results: Path, tmp_path: Path) -> None:
    samples, _ = write_every_eval_ever(results, tmp_path / "out", "somebody")
    folder = results / "answers" / "first"
    tasks = [path.relative_to(folder).with_suffix("").as_posix() for path in sorted(folder.glob("*/*.parquet"))]
    found = agree([samples, folder], Wanted(tasks=tasks), StatisticsConfig())
    for each in found.tasks:
        assert not each.remarks or all("scored otherwise" in remark for remark in each.remarks)
        assert each.estimates["same_answer"]["value"] == 1
        assert each.estimates["accuracy_a"] == each.estimates["accuracy_b"]


def test_the_validator_of_every_eval_ever_passes_them(results: Path, tmp_path: Path) -> None:
    validate = pytest.importorskip("every_eval_ever.validator.validate")
    for path in write_every_eval_ever(results, tmp_path / "out", "somebody"):
        report = validate.validate_file(path)
        assert report.valid and not report.errors


STUDY: dict[str, Any] = {
    "tasks": ["sst2", "ag_news"],
    "systems": ["heard", "read"],
    "items": {"source": "published", "seed": 3},
    "definitions": {
        "models": {"ear": {"source": {"kind": "hub", "repo": "org/ear"}}},
        "systems": {
            "heard": {"kind": "e2e", "model": "ear"},
            "read": {"kind": "cascade", "asr": "a", "llm": "b"},
            "served": {"kind": "api", "provider": "openai", "model": "m"},
            "theirs": {"kind": "imported", "answers": {"sst2": "a.csv"}},
        },
    },
}


def test_a_model_of_the_hub_goes_by_its_name_there_and_a_cascade_by_its_own() -> None:
    found = {name: model_of(STUDY, name) for name in STUDY["definitions"]["systems"]}
    assert found["heard"]["id"] == "org/ear" and found["served"]["id"] == "openai/m"
    assert found["read"]["id"] == f"{every_eval_ever.COLLECTION}/read"
    assert found["theirs"]["additional_details"]["deployment_type"] == "unknown"


def test_accuracies_of_models_of_the_hub_are_as_the_hub_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import parse_eval_result_entries

    from cascade_equivalence.publish.results_read import ScoredNode

    answers = pl.DataFrame({"id": ["a", "b", "b"], "voice": ["us", "us", "gb"], "correct": [True, False, True]})
    nodes = [ScoredNode(task, condition, answers, 0) for task in STUDY["tasks"] for condition in ("clean", "snr0")]
    monkeypatch.setattr(eval_results, "recorded_study", lambda _: STUDY)
    monkeypatch.setattr(eval_results, "systems_of", lambda *_: iter([("heard", nodes), ("read", nodes)]))
    (path,), left = write_eval_results(tmp_path, tmp_path)
    assert path == tmp_path / "org" / "ear" / ".eval_results" / "sst2.yaml"
    (entry,) = parse_eval_result_entries(yaml.safe_load(path.read_text()))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("nyu-mll/glue", "sst2", pytest.approx(66.67))
    assert entry.dataset_revision and "2 voices" in (entry.notes or "")
    assert len(left) == 2 and any("ag_news" in line for line in left) and any("read" in line for line in left)


def test_what_cannot_be_exported_is_one_line(results: Path, tmp_path: Path, command: Command) -> None:
    for words, said in (
        ((results, "--to", "hf-eval-results"), "the project's own"),
        ((tmp_path / "nothing", "--to", "every-eval-ever"), "no folder"),
    ):
        with pytest.raises(SystemExit, match=said) as caught:
            command("export", *words, "-o", tmp_path / "out")
        assert len(str(caught.value.code).splitlines()) == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError):
        write_every_eval_ever(tmp_path / "empty", tmp_path / "out", "somebody")


def test_the_command_says_what_it_wrote(
    results: Path, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("export", results, "--to", "every-eval-ever", "-o", tmp_path / "out") == 0
    said = [line.removeprefix("Written: ") for line in capsys.readouterr().out.splitlines()]
    assert said and all(Path(line).is_file() for line in said)


@pytest.mark.parametrize("published", [False, True])
def test_a_data_set_of_answers_is_loaded_as_its_card_says(tmp_path: Path, published: bool) -> None:
    import datasets
    from huggingface_hub import DatasetCard

    results = made(tmp_path, published=published)
    out = tmp_path / "out"
    files = write_hub_dataset(results, out, "cc-by-4.0")
    card = DatasetCard.load(out / "README.md")
    assert card.data.to_dict()["license"] == "cc-by-4.0" and len(card.data.to_dict()["size_categories"]) == 1
    listed = {each["path"] for config in card.data.to_dict()["configs"] for each in config["data_files"]}
    assert {out / path for path in listed} | {out / "README.md"} == set(files)
    said = "".join(path.read_text(errors="replace") for path in files)
    for config in card.data.to_dict()["configs"]:
        task = config["config_name"]
        loaded = datasets.load_dataset(str(out), task, cache_dir=str(tmp_path / "cache"))
        for split, table in loaded.items():
            own = pl.read_parquet(results / "answers" / "first" / task / f"{split}.parquet")
            found = pl.DataFrame(table.to_list())
            assert found.select("id", "voice", "correct").rows() == own.select("id", "voice", "correct").rows()
            said += found.write_ndjson()
            assert published or found["raw"].to_list() == own["raw"].to_list()
    hidden = [text for text in (*TEXTS, QUIZ, GOLD) if text.lower() in said.lower()]
    assert bool(hidden) != published


def test_a_second_export_leaves_nothing_of_the_first_and_all_that_is_not_its_own(
    results: Path, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert command("export", results, "--to", "hf-dataset", "-o", out) == 0
    assert "hf upload OWNER/NAME" in capsys.readouterr().out
    own = out / "data" / "notes.txt"
    own.write_text("mine")
    first = {path for path in out.rglob("*") if path.is_file()}
    assert command("export", results, "--to", "every-eval-ever", "-o", out) == 0
    second = {path for path in out.rglob("*") if path.is_file()}
    assert second & first == {own, out / ".export.json"} and len(second) > len(first & second)
    assert not [path for path in out.rglob("*") if path.is_dir() and not any(path.iterdir())]
    # The same again takes nothing away; what was changed by hand is not written over.
    assert command("export", results, "--to", "every-eval-ever", "-o", out) == 0
    assert {path for path in out.rglob("*") if path.is_file()} == second
    changed = next(path for path in second - first if path.suffix == ".json")
    changed.write_text("{}")
    with pytest.raises(SystemExit, match="changed since"):
        command("export", results, "--to", "every-eval-ever", "-o", out)
    assert changed.read_text() == "{}"


def test_a_record_from_elsewhere_takes_nothing_away_outside(tmp_path: Path) -> None:
    outside = tmp_path / "mine.txt"
    outside.write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / ".export.json").write_text(json.dumps({"files": {"../mine.txt": "0" * 64}}))
    check_unchanged(folder)
    assert settle(folder, []) == [] and outside.is_file()


def test_an_answer_that_is_none_is_none_where_words_are_hashed_too(tmp_path: Path) -> None:
    results = made(tmp_path, published=True)
    path = next(results.glob("answers/first/trivia_qa/*"))
    pl.read_parquet(path).with_columns(parsed=pl.lit("invalid"), correct=pl.lit(value=False)).write_parquet(path)
    samples, _ = write_every_eval_ever(results, tmp_path / "out", "somebody")
    name = f"trivia_qa/{path.stem}"
    found = next(each for each in agree([samples] * 2, Wanted(tasks=[name]), StatisticsConfig()).tasks)
    assert found.estimates["parsed_a"]["value"] == 0 == found.same_wrong


def test_a_study_that_grew_is_exported_as_it_was_made_last(results: Path, tmp_path: Path) -> None:
    record_file = max(record_files(results), key=lambda path: read_record(path).ended)
    latest = read_record(record_file)
    grown = read_shared(results, CONFIGS, latest.config)
    grown["systems"].append("second")
    grown["definitions"]["systems"]["second"] = grown["definitions"]["systems"]["first"]
    grown["statistics"]["confidence"] = 0.5
    shared_file(results, CONFIGS, "f" * 64).write_text(json.dumps(grown))
    # Its record is the last by time, wherever it stands by name.
    for name in ("aaa", "zzz"):
        file = results / "records" / name / "node.json"
        file.parent.mkdir()
        file.write_text(
            latest.model_copy(update={"config": "f" * 64, "ended": "2999-01-01T00:00:00Z"}).model_dump_json()
        )
        shutil.copytree(results / "answers" / "first", results / "answers" / "second", dirs_exist_ok=True)
        names = {json.loads(path.read_text())["model_info"]["name"] for path in whole_files(results, tmp_path / name)}
        assert names == {"first", "second"}
        assert recorded_statistics(results).confidence == grown["statistics"]["confidence"]
        file.unlink()


def whole_files(results: Path, folder: Path) -> list[Path]:
    """The files on scores of an export."""
    return [path for path in write_every_eval_ever(results, folder, "somebody") if path.suffix == ".json"]


@pytest.mark.parametrize("name", ["answers/first/sst2/clean.parquet", "tasks/sst2/items.parquet"])
def test_a_damaged_file_and_one_of_another_version_are_one_line(name: str, results: Path, tmp_path: Path) -> None:
    path = results / name
    last = pl.read_parquet(path).columns[-1]
    pl.read_parquet(path).drop(last).write_parquet(path)
    for said in (rf"{path.name} has no {last}.*run again", rf"{path.name} cannot be read"):
        with pytest.raises(StudyError, match=said):
            write_every_eval_ever(results, tmp_path / "out", "somebody")
        path.write_bytes(b"PAR1")
