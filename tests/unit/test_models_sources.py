"""A model entry becomes a folder that is checked, linked where it can be, and never trusted half done."""

import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from cascade_equivalence.config.sources import ModelSpec, PathSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256
from cascade_equivalence.models.sources import install, resolve
from cascade_equivalence.models.sources.manifest import FileRecord, read_manifest, revision_of, verify
from cascade_equivalence.models.sources.resolve import resolve_model

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 2,
    "hidden_size": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 10,
    "tie_word_embeddings": True,
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder of the user's: the files of a small LLM among others."""
    folder = tmp_path / "mine"
    folder.mkdir()
    save_file({"a.weight": np.ones((10, 8), np.float16), "b": np.zeros(3, np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "modeling.py").write_text("raise SystemExit")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "results" / "models" / "tiny"


def llm(path: Path, **changes: Any) -> ModelSpec:
    return ModelSpec(**{"role": "llm", "source": PathSource(kind="path", path=path), "licence": "MIT"} | changes)


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.lstat().st_mtime_ns for path in folder.iterdir()}


def test_a_folder_is_linked_and_recorded(checkpoint: Path, target: Path, tmp_path: Path) -> None:
    before = {path.name: sha256(path) for path in checkpoint.iterdir()}
    assert resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache") == target
    manifest = read_manifest(target)
    assert set(manifest.files) == {"model.safetensors", "config.json", "tokenizer.json"}
    assert {path.name for path in target.iterdir()} == {*manifest.files, "manifest.json", ".manifest.json"}
    for name, record in manifest.files.items():
        assert (target / name).resolve() == checkpoint / name
        assert (record.sha256, record.bytes) == (sha256(checkpoint / name), (checkpoint / name).stat().st_size)
    assert manifest.origin == manifest.files
    assert manifest.revision == revision_of(manifest.files)
    assert (manifest.name, manifest.role, manifest.licence) == ("tiny", "llm", "MIT")
    assert {path.name: sha256(path) for path in checkpoint.iterdir()} == before


def test_facts_come_from_the_files(checkpoint: Path, target: Path, tmp_path: Path) -> None:
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    facts = read_manifest(target).architecture
    named = ("model_type", "layers", "hidden", "heads", "kv_heads", "vocab", "tied_embeddings")
    assert [facts[key] for key in named] == ["llama", 2, 8, 4, 2, 10, True]
    assert facts["parameters"] == 10 * 8 + 3
    assert facts["ffn"] is None


def test_a_second_call_changes_nothing(
    checkpoint: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    before = stamps(target)
    monkeypatch.setattr(resolve, "_build", lambda *_: pytest.fail("built again"))
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    assert stamps(target) == before


def test_a_manifest_that_a_workflow_deleted_is_written_again(
    checkpoint: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    before = read_manifest(target)
    (target / "manifest.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(resolve, "_build", lambda *_: pytest.fail("built again"))
        resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    assert read_manifest(target) == before
    (target / "manifest.json").unlink()
    (target / "tokenizer.json").unlink()
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    assert read_manifest(target) == before
    assert not verify(target)


def test_files_that_no_study_put_there_are_not_replaced(checkpoint: Path, tmp_path: Path) -> None:
    mine = tmp_path / "models" / "tiny"
    shutil.copytree(checkpoint, mine)
    before = stamps(mine)
    with pytest.raises(StudyError, match=r"model\.safetensors.*no study put there"):
        resolve_model("tiny", llm(checkpoint), mine, tmp_path / "cache")
    assert stamps(mine) == before


def test_other_words_about_the_same_weights_do_not_move_them(
    checkpoint: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    first = read_manifest(target)
    monkeypatch.setattr(resolve, "_build", lambda *_: pytest.fail("built again"))
    resolve_model("other", llm(checkpoint, licence="Apache-2.0", chat=False), target, tmp_path / "cache")
    second = read_manifest(target)
    assert (second.name, second.licence, second.chat) == ("other", "Apache-2.0", False)
    assert second.revision == first.revision


def test_an_edited_file_is_a_new_revision(checkpoint: Path, target: Path, tmp_path: Path) -> None:
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    first = read_manifest(target).revision
    (checkpoint / "config.json").write_text(json.dumps(CONFIG | {"hidden_size": 9}))
    assert verify(target)
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    assert read_manifest(target).revision != first
    assert read_manifest(target).architecture["hidden"] == 9
    (checkpoint / "generation_config.json").write_text("{}")
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    assert "generation_config.json" in read_manifest(target).files
    assert not verify(target)


def test_files_of_an_earlier_source_go_and_others_stay(checkpoint: Path, target: Path, tmp_path: Path) -> None:
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    (target / "notes.md").write_text("mine")
    other = tmp_path / "other"
    shutil.copytree(checkpoint, other)
    (other / "tokenizer.json").rename(other / "vocab.json")
    resolve_model("tiny", llm(other), target, tmp_path / "cache")
    assert not (target / "tokenizer.json").is_symlink()
    assert (target / "notes.md").read_text() == "mine"
    assert (checkpoint / "tokenizer.json").is_file()
    assert not verify(target)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_an_interrupted_call_is_never_trusted(
    checkpoint: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    place, placed = install._place, []

    def interrupted(*arguments: Path) -> None:
        if len(placed) == after:
            raise KeyboardInterrupt
        placed.append(arguments)
        place(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(install, "_place", interrupted)
        with pytest.raises(KeyboardInterrupt):
            resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    with pytest.raises(StudyError, match="not resolved, or not to the end"):
        read_manifest(target)
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    assert not verify(target)


def test_what_a_killed_call_left_is_cleared(checkpoint: Path, target: Path, tmp_path: Path) -> None:
    left = target.with_name(".tiny.partial")
    left.mkdir(parents=True)
    (left / "half.safetensors").write_bytes(b"half")
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    assert [path.name for path in target.parent.iterdir()] == ["tiny"]


def test_an_unreadable_manifest_is_not_trusted(checkpoint: Path, target: Path, tmp_path: Path) -> None:
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    (target / "manifest.json").write_text('{"name": "tiny"')
    with pytest.raises(StudyError, match="not a model manifest"):
        read_manifest(target)
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    assert not verify(target)


def test_verify_names_each_problem(checkpoint: Path, target: Path, tmp_path: Path) -> None:
    resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    (target / "tokenizer.json").unlink()
    content = (checkpoint / "config.json").read_bytes()
    (checkpoint / "config.json").write_bytes(content.replace(b"llama", b"lLama"))
    with (checkpoint / "model.safetensors").open("ab") as stream:
        stream.write(b"x")
    problems = "\n".join(verify(target))
    assert "tokenizer.json is missing" in problems
    assert "config.json has SHA-256" in problems
    assert "model.safetensors has" in problems


def test_a_source_in_the_place_of_the_result_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="also the folder to write"):
        resolve_model("tiny", llm(checkpoint), checkpoint, tmp_path / "cache")
    assert (checkpoint / "model.safetensors").is_file()
    assert not (checkpoint / "model.safetensors").is_symlink()


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def lacks_a_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), r"pytorch_model\.bin can run code"),
        (lambda folder: (folder / "config.json").unlink(), r"no config\.json"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"no tokenizer\.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"GGUF"), "not a safetensors file"),
        (cut, "cut off"),
        (lacks_a_shard, r"names model-00002-of-00002\.safetensors"),
        (shutil.rmtree, "does not exist"),
    ],
)
def test_an_incomplete_folder_is_refused(
    checkpoint: Path,
    target: Path,
    tmp_path: Path,
    damage: Callable[[Path], object],
    message: str,
) -> None:
    damage(checkpoint)
    with pytest.raises(StudyError, match=message):
        resolve_model("tiny", llm(checkpoint), target, tmp_path / "cache")
    assert not (target / "manifest.json").exists()
    assert not target.with_name(".tiny.partial").exists()


def test_a_pickle_under_the_name_of_ctranslate2_is_refused(checkpoint: Path, target: Path, tmp_path: Path) -> None:
    (checkpoint / "model.bin").write_bytes(pickle.dumps({"w": [0.0] * 40}))
    for spec in (llm(checkpoint), llm(checkpoint, role="asr")):
        with pytest.raises(StudyError, match="not a CTranslate2 Whisper file"):
            resolve_model("tiny", spec, target, tmp_path / "cache")


def test_a_text_model_does_not_transcribe(checkpoint: Path, target: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="'llama' is no recogniser"):
        resolve_model("tiny", llm(checkpoint, role="asr"), target, tmp_path / "cache")


def test_a_gguf_file_that_is_not_there_is_named(checkpoint: Path, target: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no file tiny\.gguf"):
        resolve_model("tiny", llm(checkpoint, gguf="tiny.gguf"), target, tmp_path / "cache")


records = st.dictionaries(
    st.text(min_size=1, max_size=8),
    st.builds(FileRecord, sha256=st.text("0123456789abcdef", min_size=64, max_size=64), bytes=st.integers(0, 9)),
    min_size=1,
    max_size=6,
)


@given(records, st.randoms(use_true_random=False), st.data())
def test_the_revision_depends_on_names_and_hashes_only(
    files: dict[str, FileRecord], shuffle: random.Random, data: st.DataObject
) -> None:
    names = list(files)
    shuffle.shuffle(names)
    assert revision_of({name: files[name] for name in names}) == revision_of(files)
    chosen = data.draw(st.sampled_from(names))
    flipped = files[chosen].sha256[:-1] + ("0" if files[chosen].sha256[-1] != "0" else "1")
    assert revision_of(files | {chosen: FileRecord(sha256=flipped, bytes=1)}) != revision_of(files)
    rest = {name: record for name, record in files.items() if name != chosen}
    assert revision_of(rest) != revision_of(files)
    assert revision_of(rest | {chosen + "x": files[chosen]}) != revision_of(files)
