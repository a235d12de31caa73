"""Training texts: read from packages as archives, cut into sentences, and kept apart from what studies ask."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_equivalence.config.training import TextsConfig, TextSource
from cascade_equivalence.connector import texts as module
from cascade_equivalence.connector.packages import fetch_package, read_members
from cascade_equivalence.connector.texts import SHINGLE, evaluation_texts, pieces, prepare_texts, shingles
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256
from cascade_equivalence.resources import RESOURCES

ITEMS = RESOURCES / "items"
SOURCE = TextSource(index="pypi", name="x", version="1", sha256="0" * 64, members=["*"], format="lines", licence="MIT")
CONFIG = TextsConfig(sources=[SOURCE], max_words=8, held_out=0.3, joined=0.0)
DOCUMENTS = [
    f"Number {n} of the quiet valley has {n + 7} doors, and {n * 3} windows. He {n}0 liked it!" for n in range(60)
]


def packed(kind: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_files_are_read_out_of_an_archive_in_an_archive(kind: str, tmp_path: Path) -> None:
    inner = packed("tar", {"d/a.txt": b"one", "d/b.txt": b"two", "d/c.csv": b"no"})
    package = tmp_path / "package"
    package.write_bytes(packed(kind, {"p/inner.tar.gz": inner, "p/other.txt": b"three"}))
    found = list(read_members(package, ["p/inner.tar.gz!d/*.txt", "p/*.txt"]))
    assert found == [("d/a.txt", b"one"), ("d/b.txt", b"two"), ("p/other.txt", b"three")]
    with pytest.raises(StudyError, match=r"holds no p/none"):
        list(read_members(package, ["p/none"]))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "package").write_bytes(b"neither")
    with pytest.raises(StudyError, match=r"neither a zip nor a tar"):
        list(read_members(tmp_path / "package", ["*"]))


def test_a_package_in_the_cache_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    digest = sha256(folder / "file")
    (folder / "file").rename(folder / digest)
    monkeypatch.setenv("PATH", "")
    npm = SOURCE.model_copy(update={"index": "npm", "sha256": digest})
    assert fetch_package(npm, tmp_path).read_bytes() == b"content"
    (folder / digest).write_bytes(b"changed")
    with pytest.raises(StudyError, match=r"npm, which is not installed"):
        fetch_package(npm, tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["The", "dog,", "ran", "home.", "Was", "it", "late?", "yes;", "so"]), max_size=40))
def test_pieces_are_sentences_of_the_asked_length(words: list[str]) -> None:
    for piece in pieces(" ".join(words), CONFIG):
        assert CONFIG.min_words <= len(piece.split()) <= CONFIG.max_words
        assert piece[0].isupper() and piece[-1] in ".!?"


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=12))
def test_shingles_are_the_runs_of_a_text(words: list[str]) -> None:
    found = shingles(" ".join(words).upper() + ".")
    assert all(" ".join(run) in " ".join(words) for run in found)
    assert len(found) <= max(1, len(words) - SHINGLE + 1)


def drawn(monkeypatch: pytest.MonkeyPatch, documents: list[str], clips: int = 12, **changes: object) -> list[dict]:
    monkeypatch.setattr(module, "documents", lambda source, cache: iter(documents))
    config = CONFIG.model_copy(update=changes)
    return prepare_texts(config, clips, 5, Path(), ITEMS).to_dicts()


def test_a_document_lies_in_one_split_and_nothing_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = drawn(monkeypatch, [*DOCUMENTS, *DOCUMENTS], clips=40)
    assert len({row["text"] for row in rows}) == len(rows) == 45 and len({row["id"] for row in rows}) == 45
    owners: dict[int, set[str]] = {}
    for row in rows:
        for number, document in enumerate(DOCUMENTS):
            if row["text"][:-1].lower() in document.lower():
                owners.setdefault(number, set()).add(row["split"])
    assert owners and all(len(splits) == 1 for splits in owners.values())
    assert drawn(monkeypatch, DOCUMENTS, clips=40) == rows
    assert [row["text"] for row in drawn(monkeypatch, DOCUMENTS, clips=40, seed=1)] != [row["text"] for row in rows]


def test_texts_that_studies_ask_about_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [text for text in evaluation_texts(None, ITEMS) if len(text.split()) <= CONFIG.max_words][:20]
    assert asked
    rows = drawn(monkeypatch, [*(f"Well, {text}" for text in asked), *asked, *DOCUMENTS], clips=30)
    refused = {run for text in evaluation_texts(None, ITEMS) for run in shingles(text)}
    assert all(refused.isdisjoint(shingles(row["text"])) for row in rows)


def test_joined_clips_hold_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for row in drawn(monkeypatch, DOCUMENTS, clips=10, joined=1.0) if row["split"] == "train"]
    assert all(sum(row["text"].count(mark) for mark in ".!?") >= 2 for row in rows)


def test_too_few_texts_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudyError, match=r"texts \(train\), 5000 are wanted"):
        drawn(monkeypatch, DOCUMENTS, clips=5000)


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("lines", "One two three.\nFour.", ["One two three.", "Four."]),
        ("tsv", "1\t0.5\tOne two.\n2\t-1\tThree.", ["One two.", "Three."]),
        ("json", json.dumps(["One.", 3, "Two."]), ["One.", "Two."]),
    ],
)
def test_each_format_gives_its_documents(kind: str, content: str, expected: list[str], tmp_path: Path) -> None:
    archive = packed("zip", {"a.txt": content.encode("latin-1")})
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "file").write_bytes(archive)
    digest = sha256(tmp_path / "texts" / "file")
    (tmp_path / "texts" / "file").rename(tmp_path / "texts" / digest)
    source = SOURCE.model_copy(update={"format": kind, "sha256": digest, "encoding": "latin-1"})
    assert list(module.documents(source, tmp_path)) == expected
