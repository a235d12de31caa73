"""A node that reads a file which is not what its node made stops before it starts, and names it."""

import os
from pathlib import Path

import pytest
from recorded_study import MODEL, RESULTS, config, inside, job, make_study

from cascade_equivalence.config.sources import PathSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.provenance.hashes import LARGE, state_of
from cascade_equivalence.provenance.made import MADE
from cascade_equivalence.provenance.record import HASHES, RECORDS
from cascade_equivalence.provenance.recording import RecordWriter

TRANSCRIPTS = RESULTS / "transcripts/whisper-a/sst2/clean.parquet"
ANSWERS = RESULTS / "answers/first/sst2/clean.parquet"
ITEMS = RESULTS / "tasks/sst2/items.parquet"
MANIFEST = MODEL / "manifest.json"


def begin(*inputs: Path, outputs: tuple[Path, ...] = (ANSWERS,)) -> None:
    RecordWriter().begin(job("answer", "answer/first/sst2/clean", inputs, outputs), config())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_study(tmp_path / "project")
    return tmp_path / "project"


def test_files_as_they_were_made_are_read(project: Path) -> None:
    with inside(project):
        begin(ITEMS, TRANSCRIPTS, MANIFEST)
        # Touched and yet the same: what counts is the content.
        os.utime(TRANSCRIPTS)
        begin(ITEMS, TRANSCRIPTS, MANIFEST)


@pytest.mark.parametrize("path", [ITEMS, TRANSCRIPTS, MANIFEST])
@pytest.mark.parametrize("damage", ["cut", "emptied", "a bit"])
def test_a_damaged_file_is_named_with_its_node(project: Path, path: Path, damage: str) -> None:
    with inside(project):
        data = path.read_bytes()
        left = {"cut": data[:-1], "emptied": b"", "a bit": bytes([data[0] ^ 1]) + data[1:]}
        path.write_bytes(left[damage])
        with pytest.raises(StudyError, match=rf"damaged, or changed.*{path}.*made by: \w+.*Delete it") as caught:
            begin(ITEMS, TRANSCRIPTS, MANIFEST)
        assert sum(str(caught.value).count(str(other)) for other in (ITEMS, TRANSCRIPTS, MANIFEST)) == 1


def test_what_no_node_made_is_not_judged(project: Path) -> None:
    with inside(project):
        mine = Path("resources/items/sst2.jsonl")
        mine.write_text("changed by its owner")
        begin(mine, Path("/nowhere/file"))
        note = RESULTS / RECORDS / HASHES / MADE / "transcripts/whisper-a/sst2/clean.parquet.json"
        ITEMS.write_bytes(b"other")
        for content in ("", "{", "[]", "{}"):
            note.write_text(content)
            TRANSCRIPTS.write_bytes(b"made by an older version")
            begin(TRANSCRIPTS)


def test_a_note_never_outlives_the_file_it_speaks_of(project: Path) -> None:
    with inside(project):
        # Made again, but its record could not be written: nobody knows what it should be.
        begin(ITEMS, outputs=(TRANSCRIPTS,))
        TRANSCRIPTS.write_bytes(b"made again")
        begin(TRANSCRIPTS)


def test_a_folder_of_weights_is_known_by_its_contents(tmp_path: Path) -> None:
    folder, memory = tmp_path / "model", tmp_path / "memory"
    source = PathSource(kind="path", path=folder)
    assert state_of(source, None, memory) is None
    folder.mkdir()
    assert state_of(source, None, memory) is None
    weights = folder / "model.safetensors"
    weights.write_bytes(b"\0" * LARGE)
    first = state_of(source, None, memory)
    # Looking at a study leaves no trace; in its folder of models hashes are remembered.
    assert first and not memory.exists()
    memory.mkdir()
    assert state_of(source, None, memory) == first and any(memory.iterdir())
    os.utime(weights)
    (folder / "README.md").write_text("no weights")
    assert state_of(source, None, memory) == first
    weights.write_bytes(b"\0" * (LARGE - 1) + b"\1")
    second = state_of(source, None, memory)
    (folder / "config.json").write_text("{}")
    assert len({first, second, state_of(source, None, memory)}) == 3


def test_nothing_is_remembered_where_nothing_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"\0" * LARGE)
    # A file where the folder should be.
    (tmp_path / "memory").write_text("")
    assert state_of(PathSource(kind="path", path=tmp_path / "model"), None, tmp_path / "memory" / "below")
