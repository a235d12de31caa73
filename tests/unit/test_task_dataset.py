"""A task that is read from a data set of the hub, through a stand-in that speaks the hub's protocol."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hub_server import hub_of_sets
from huggingface_hub import constants
from study_config import ROOT, changed, lines_of
from test_models_sources_hub import REPO, StandIn

from cascade_equivalence import plugins, stages
from cascade_equivalence.config.check_folders import place_problems
from cascade_equivalence.config.dataset import DatasetSpec
from cascade_equivalence.config.load import load_study
from cascade_equivalence.config.names import TASKS
from cascade_equivalence.config.speech import RecordingsVoice
from cascade_equivalence.config.study import ItemsConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources.folder import location
from cascade_equivalence.publish.results_read import dataset_of, is_published
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.speech.dataset_clips import extract_clips
from cascade_equivalence.speech.recordings_voice import read_recordings
from cascade_equivalence.speech.synthesize import Utterance
from cascade_equivalence.stages.study import Study
from cascade_equivalence.tasks.own import OwnTask
from cascade_equivalence.tasks.prepare import prepare_items
from cascade_equivalence.tasks.sources.dataset import fetch_dataset
from cascade_equivalence.tasks.sources.dataset_card import choose_files, read_card

KINDS = ["time", "place"]
TEXTS = ["The train leaves at seven.", "We meet behind the church.", "The shop opens at nine.", "It lies by the river."]
PROMPT = "Does it tell a time or a place?\n{speech}\nAnswer: time or place."


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with hub_of_sets(tmp_path / "hub", monkeypatch) as stand_in:
        yield stand_in
    plugins.use([])


def tone(hertz: float, seconds: float = 0.7) -> bytes:
    held = io.BytesIO()
    time = np.arange(round(16000 * seconds)) / 16000
    soundfile.write(held, 0.3 * np.sin(2 * np.pi * hertz * time), 16000, format="WAV", subtype="PCM_16")
    return held.getvalue()


def parquet(folder: Path, rows: dict[str, list[Any]]) -> bytes:
    """A file as the hub's own library writes it: sound as {bytes, path}, names of classes in the metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    sound = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    types = {"kind": pa.int64(), "sound": sound}
    table = pa.table({name: pa.array(values, types.get(name, pa.string())) for name, values in rows.items()})
    features = {"kind": {"names": KINDS, "_type": "ClassLabel"}, "sound": {"_type": "Audio"}}
    said = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(said), folder / "rows.parquet")
    return (folder / "rows.parquet").read_bytes()


def spoken_rows() -> dict[str, list[Any]]:
    return {
        "utt": [f"u{number}" for number in range(4)] * 2,
        "words": TEXTS * 2,
        "kind": [number % 2 for number in range(4)] * 2,
        "who": ["anna"] * 4 + ["ben"] * 4,
        "sound": [{"path": f"clip{n}.wav", "bytes": tone(200 + 40 * n)} for n in range(8)],
    }


COLUMNS = {"id": "utt", "text": "words", "label": "kind", "audio": "sound", "voice": "who"}


def entry(revision: str, **also: Any) -> dict[str, Any]:
    source = {"repo": REPO, "revision": revision, **also.pop("dataset", {})}
    return {"dataset": source, "columns": COLUMNS, "labels": KINDS, "prompt": PROMPT} | also


def fetched(folder: Path, **given: Any) -> OwnTask:
    task = OwnTask("mine", entry(**given))
    assert task.dataset is not None
    fetch_dataset("mine", task.dataset, folder / "mine")
    return task


def test_items_and_clips_are_the_rows_of_the_split(server: StandIn, tmp_path: Path) -> None:
    rows = spoken_rows()
    revision = server.push({"data/test-00000-of-00001.parquet": parquet(tmp_path / "made", rows)})
    task = fetched(tmp_path / "sets", revision=revision)
    items = task.load(tmp_path / "sets")
    assert [(item.id, item.text, item.label) for item in items] == [
        (rows["utt"][n], rows["words"][n], KINDS[rows["kind"][n]]) for n in range(4)
    ]
    manifest = tmp_path / "sets" / "recordings" / "mine" / "manifest.json"
    assert extract_clips("mine", task.sounds(tmp_path / "sets"), manifest) == 8
    # Each voice reads its own clips, and hears what the set holds.
    for number, voice in enumerate(("anna", "ben")):
        spec = RecordingsVoice(
            provider="recordings", folder=manifest.parents[1], pattern="{task}/" + voice + "/{id}.{ext}"
        )
        wanted = [Utterance(item.id, item.text, None) for item in items]
        clips = read_recordings(wanted, "mine", voice, spec, 30.0, tmp_path / f"store-{voice}")
        for item, clip in enumerate(clips):
            content = (manifest.parent / voice / f"{items[item].id}.wav").read_bytes()
            assert content == rows["sound"][4 * number + item]["bytes"]
            assert clip.seconds == pytest.approx(0.7, abs=0.01)
    # A second call leaves the same files, and nothing of the first.
    before = sorted(path.name for path in manifest.parent.rglob("*"))
    extract_clips("mine", task.sounds(tmp_path / "sets"), manifest)
    assert sorted(path.name for path in manifest.parent.rglob("*")) == before


def test_names_of_classes_are_found_where_the_hubs_library_puts_them(server: StandIn, tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=KINDS)})
    made = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1, 1, 0]}, features=features)
    made.to_parquet(str(tmp_path / "rows.parquet"))
    revision = server.push({"test.parquet": (tmp_path / "rows.parquet").read_bytes()})
    items = fetched(tmp_path, revision=revision, columns={}).load(tmp_path)
    assert [item.label for item in items] == [KINDS[n] for n in (0, 1, 1, 0)]


def test_only_the_files_of_the_split_are_fetched_and_no_code(server: StandIn, tmp_path: Path) -> None:
    held = parquet(tmp_path / "made", spoken_rows())
    files = {"data/test-00000-of-00001.parquet": held, "data/train-00000-of-00001.parquet": held, "mine.py": b"exit()"}
    task = fetched(tmp_path / "sets", revision=server.push(files))
    assert set(server.fetched()) == {"test-00000-of-00001.parquet"}
    # What is in the cache is used where the hub is not to be asked.
    asked = len(server.requests)
    assert task.dataset is not None
    fetch_dataset("mine", task.dataset, tmp_path / "sets" / "mine")
    assert set(server.fetched()) == {"test-00000-of-00001.parquet"} and len(server.fetched()) == 1
    assert len(server.requests) > asked


def test_offline_the_cache_is_enough(server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = parquet(tmp_path / "made", spoken_rows())
    revision = server.push({"data/test-00000-of-00001.parquet": held, "README.md": b"---\nlicense: mit\n---\n"})
    first = fetched(tmp_path / "sets", revision=revision).load(tmp_path / "sets")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(server.requests)
    second = fetched(tmp_path / "again", revision=revision)
    assert second.load(tmp_path / "again") == first and len(server.requests) == asked
    assert json.loads((tmp_path / "again" / "mine" / "manifest.json").read_text())["licence"] == "mit"
    with pytest.raises(StudyError, match=re.escape("cannot be fetched")):
        fetched(tmp_path / "other", revision="0" * 40)


def test_a_damaged_file_is_fetched_again(server: StandIn, tmp_path: Path) -> None:
    held = parquet(tmp_path / "made", spoken_rows())
    revision = server.push({"test.parquet": held})
    server.garble["test.parquet"] = 1
    assert fetched(tmp_path / "sets", revision=revision).load(tmp_path / "sets")
    server.garble["test.parquet"] = 9
    with pytest.raises(StudyError, match="corrupt"):
        fetched(tmp_path / "sets", revision=server.push({"test.parquet": held + b" "}))


CARD = """---
license: cc-by-4.0
configs:
- config_name: plain
  data_files:
  - split: test
    path: plain/part-*.csv
- config_name: lettered
  default: true
  data_files: [{split: test, path: ["lettered/*.jsonl"]}, {split: train, path: x/**}]
dataset_info:
- config_name: plain
  features:
  - name: label
    dtype: {class_label: {names: {'0': time, '1': place}}}
---
# A set
"""


def test_the_card_says_which_files_and_names_there_are(server: StandIn, tmp_path: Path) -> None:
    lines = "".join(f'{{"q": "{text}", "c": {{"text": ["by day", "by night"]}}, "a": "B"}}\n' for text in TEXTS)
    table = "text,label\n" + "".join(f"{text},{n % 2}\n" for n, text in enumerate(TEXTS))
    files = {"README.md": CARD.encode(), "plain/part-1.csv": table.encode(), "lettered/a.jsonl": lines.encode()}
    revision = server.push(files | {"plain/other.csv": b"text,label\nx,0\n"})
    task = fetched(tmp_path, revision=revision, dataset={"config": "plain"}, columns={})
    assert [item.label for item in task.load(tmp_path)] == ["time", "place"] * 2
    # A map of one's own goes before the set's names, and says what words stand for as well.
    own = {"config": "plain", "label_names": {0: "place", "1": "time"}}
    task = fetched(tmp_path, revision=revision, dataset=own, columns={})
    assert [item.label for item in task.load(tmp_path)] == ["place", "time"] * 2
    lettered = {"columns": {"text": "q", "options": "c.text", "label": "a"}, "labels": ["A", "B"]}
    task = fetched(tmp_path, revision=revision, prompt="{speech} {options}", **lettered)
    assert {(item.options, item.label) for item in task.load(tmp_path)} == {(("by day", "by night"), "B")}
    # What another entry had is gone from the folder.
    assert not (tmp_path / "mine" / "plain" / "part-1.csv").exists()


@pytest.mark.parametrize(
    ("names", "given", "found"),
    [
        (["a/test.csv", "a/test.parquet"], {}, ["a/test.parquet"]),
        (["a/test/0000.parquet", "a/train/0000.parquet"], {}, ["a/test/0000.parquet"]),
        (["a/test/0.parquet", "b/test/0.parquet"], {"config": "b"}, ["b/test/0.parquet"]),
        (["data/test-0.parquet", "data/test-1.parquet", "data/testing.parquet"], {}, None),
        (["data/validation-0.parquet"], {"split": "validation"}, ["data/validation-0.parquet"]),
        (["x/one.parquet", "x/two.parquet"], {"files": ["x/t*.parquet"]}, ["x/two.parquet"]),
    ],
)
def test_files_are_found_by_their_names(names: list[str], given: dict[str, Any], found: list[str] | None) -> None:
    spec = DatasetSpec.model_validate({"repo": REPO, "revision": "0" * 40} | given)
    assert choose_files(spec, names, {}) == (found or names[:2])


@pytest.mark.parametrize(
    ("names", "card", "given", "told"),
    [
        (["data/train-0.parquet"], "", {}, ("'test'", "data/train-0.parquet")),
        (["data/test-00001-of-00002.parquet"], "", {}, ("1 of 2 pieces", "number 0")),
        (["mine.py"], "", {}, ("refs/convert/parquet", "not run")),
        (["a/test.csv", "b/test.csv"], "", {}, ("a, b", "config")),
        (["plain/part-1.csv"], CARD, {"config": "plan"}, ("plain, lettered",)),
        (["plain/part-1.csv"], CARD, {"config": "plain", "split": "dev"}, ("'dev'", "test")),
        (["plain/part.csv"], CARD, {"config": "plain"}, ("plain/part-*.csv",)),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    names: list[str], card: str, given: dict[str, Any], told: tuple[str, ...]
) -> None:
    spec = DatasetSpec.model_validate({"repo": REPO, "revision": "0" * 40} | given)
    with pytest.raises(StudyError) as caught:
        choose_files(spec, names, read_card(card))
    assert all(word in str(caught.value) for word in (*told, REPO)) and "\n" not in str(caught.value)


def test_a_hub_that_does_not_give_it_is_one_line(server: StandIn, tmp_path: Path) -> None:
    revision = server.push({"test.csv": b"text,label\nWhen?,time\n"})
    for change, told in (({"revision": "0" * 40}, "no such revision"), ({"repo": "owner/other"}, "no such data set")):
        with pytest.raises(StudyError, match=told) as caught:
            fetched(tmp_path, revision=revision, dataset=change)
        assert "\n" not in str(caught.value)
    server.gated = True
    with pytest.raises(StudyError, match=r"terms.*HF_TOKEN"):
        fetched(tmp_path, revision=revision)
    # Nothing of a set that was not fetched whole stands for it.
    assert not (tmp_path / "mine" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": [-1] * 8}, ("row 1", "-1", "hides")),
        ({"words": ["same"] * 4 + ["other"] * 4}, ("row 5", "u0")),
        ({"sound": [{"path": "a.wav", "bytes": None}] * 8}, ("row 1", "sound")),
        ({"sound": [{"path": "a.m4a", "bytes": b"0000ftypM4A "}] * 8}, ("anna/u0", "wav")),
        ({"utt": ["../x", *map(str, range(7))]}, ("'../x'",)),
    ],
)
def test_a_row_that_is_no_item_is_named(
    server: StandIn, tmp_path: Path, change: dict[str, list[Any]], told: tuple[str, ...]
) -> None:
    held = parquet(tmp_path / "made", spoken_rows() | change)
    task = fetched(tmp_path, revision=server.push({"test.parquet": held}))
    with pytest.raises(StudyError) as caught:
        task.load(tmp_path)
        extract_clips("mine", task.sounds(tmp_path), tmp_path / "out" / "manifest.json")
    assert all(word in str(caught.value) for word in told), caught.value


def test_speakers_are_wider_groups_and_columns_must_be_there(server: StandIn, tmp_path: Path) -> None:
    rows = {key: value[:4] for key, value in spoken_rows().items()}
    revision = server.push({"test.parquet": parquet(tmp_path / "made", rows)})
    columns = {key: COLUMNS[key] for key in ("text", "label", "audio")} | {"speaker": "who"}
    task = fetched(tmp_path, revision=revision, columns=columns)
    items = task.load(tmp_path)
    assert task.wider == ("speaker",) and {item.wider for item in items} == {(("speaker", "anna"),)}
    # Without a column of ids, the clips' own names are the ids.
    assert [item.id for item in items] == [f"clip{n}" for n in range(4)]
    told = fetched(tmp_path, revision=revision, columns=columns | {"group": "gruop"}).fault(tmp_path)
    assert told and "gruop" in told and "who" in told


def raw(tmp_path: Path, revision: str, **also: Any) -> dict[str, Any]:
    config = changed(tasks={"mine": entry(revision, **also), "sst2": None}, noise=None, results=str(tmp_path / "out"))
    return config | {"items": {"source": "demo", "per_task": 4, "sets_folder": str(tmp_path / "sets")}}


def test_a_study_fetches_it_by_a_node_and_depends_on_what_it_names(server: StandIn, tmp_path: Path) -> None:
    held = parquet(tmp_path / "made", spoken_rows())
    revision = server.push({"test.parquet": held})
    voice = {"anna": {"provider": "recordings", "folder": str(tmp_path / "sets/recordings")}}
    config = raw(tmp_path, revision, voices=["anna"]) | {"definitions": {"voices": voice}}
    study = Study(load_study(config, ROOT))
    manifest = f"{tmp_path}/sets/mine/manifest.json"
    assert stages.items.fetched(study, "mine") == [manifest] and stages.items.sources(study, "mine") == []
    assert stages.sets.extracted(study, "mine", "anna") and not stages.sets.archive(study, "mine")
    assert [line for line in place_problems(study.config, ROOT, location) if "voices" in line or "tasks" in line] == []
    planned, basis = stages.items.planned(study, "mine")
    assert basis == "figures" and len(planned) == 4
    # A job reads the study as it was resolved, and the node's script what it says.
    again = Study(load_study(study.resolved()))
    assert again.task("mine") == study.task("mine") and TASKS["mine"].dataset == study.task("mine").dataset
    dataset = study.task("mine").dataset
    assert dataset is not None
    fetch_dataset("mine", dataset, Path(manifest).parent)
    items, _ = prepare_items("mine", study.config.items, RESOURCES, tmp_path)
    assert len(items) == 4 and stages.items.planned(study, "mine")[1] == "items"
    first = [stages.sets.fetch_params(study, "mine"), stages.items.params(study, "mine")]
    answered = stages.answer.params(study, "base-smollm2", "mine")
    other = Study(load_study(raw(tmp_path, "0" * 40), ROOT))
    assert stages.sets.fetch_params(other, "mine") != first[0] and stages.items.params(other, "mine") != first[1]
    assert stages.answer.params(other, "base-smollm2", "mine") == answered
    # Its words are others', whatever else the study asks; and what is exported says whose.
    resolved = study.resolved()
    assert is_published(resolved) and (dataset_of(resolved, "mine") or {})["repo"] == REPO
    assert not is_published(resolved | {"tasks": ["sst2"]}) and dataset_of(resolved, "sst2") is None


@pytest.mark.parametrize(
    ("also", "told"),
    [
        ({"dataset": {"revision": "main"}}, ("dataset.revision", "git ls-remote", "main")),
        ({"dataset": {"repo": "../x"}}, ("dataset.repo",)),
        ({"dataset": {"files": ["a/../b.csv"]}}, ("dataset.files",)),
        ({"dataset": {"files": ["load.py"]}}, ("dataset.files", ".parquet")),
        ({"dataset": {"splt": "test"}}, ("dataset.splt", "split")),
        ({"items": "mine.csv"}, ("items", "dataset")),
        ({"columns": {"voice": "who"}}, ("columns.voice", "columns.id")),
    ],
)
def test_an_entry_with_a_fault_is_refused_with_its_key(
    tmp_path: Path, also: dict[str, Any], told: tuple[str, ...]
) -> None:
    (line,) = lines_of(raw(tmp_path, "0" * 40, **also))
    plugins.use([])
    assert "mine" in line and all(word in line for word in told), line


def test_a_folder_of_other_files_is_not_taken(server: StandIn, tmp_path: Path) -> None:
    held = parquet(tmp_path / "made", spoken_rows())
    task = fetched(tmp_path, revision=server.push({"test.parquet": held}))
    (tmp_path / "recordings" / "mine").mkdir(parents=True)
    own = tmp_path / "recordings" / "mine" / "a.wav"
    own.write_bytes(tone(200))
    with pytest.raises(StudyError, match="move them"):
        extract_clips("mine", task.sounds(tmp_path), tmp_path / "recordings" / "mine" / "manifest.json")
    assert own.is_file()


def test_what_is_not_fetched_yet_is_said(tmp_path: Path) -> None:
    task = OwnTask("mine", entry("0" * 40))
    assert task.fault(tmp_path) is None
    with pytest.raises(StudyError, match="delete it and run again"):
        prepare_items_of(task, tmp_path)


def prepare_items_of(task: OwnTask, folder: Path) -> None:
    assert ItemsConfig().sets_folder != folder
    task.load(folder)


def test_rows_of_every_kind_of_file_are_alike(server: StandIn, tmp_path: Path) -> None:
    rows = [{"text": text, "label": KINDS[n % 2]} for n, text in enumerate(TEXTS)]
    table = pl.DataFrame(rows)
    table.write_parquet(tmp_path / "rows.parquet")
    made = {
        ".parquet": (tmp_path / "rows.parquet").read_bytes(),
        ".csv": table.write_csv().encode(),
        ".jsonl": "\n".join(map(json.dumps, rows)).encode(),
        ".json": json.dumps(rows).encode(),
    }
    for ending, content in made.items():
        task = fetched(tmp_path / ending, revision=server.push({f"test{ending}": content}), columns={})
        assert [(i.text, i.label) for i in task.load(tmp_path / ending)] == [(r["text"], r["label"]) for r in rows]
