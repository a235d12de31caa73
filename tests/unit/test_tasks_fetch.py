"""Published sets from their sources: to the byte or not at all."""

import hashlib
import io
import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest
from hub_server import hub_of_sets, pinned
from huggingface_hub import constants
from test_models_sources_hub import TOKEN, StandIn, use

from cascade_equivalence.errors import StudyError
from cascade_equivalence.resources import RESOURCES
from cascade_equivalence.tasks.registry import TASKS
from cascade_equivalence.tasks.sources import git
from cascade_equivalence.tasks.sources.fetch import ARCHIVE, fetch_archive, fetch_set, read_archive
from cascade_equivalence.tasks.sources.git import fetch_git_file
from cascade_equivalence.tasks.sources.hub import fetch_hub_file
from cascade_equivalence.tasks.sources.pins import GitFile, SetPin, pin_of, read_set_pins

ROOT = Path(__file__).parents[2]
SETS = RESOURCES / "sets.yaml"
REAL = ROOT.parent / "shared" / "data"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the published sets are not at {REAL}")

FILE = "data/validation-00000-of-00001.parquet"
COMMIT = "a" * 40


def parquet(rows: int) -> bytes:
    """CommonsenseQA's validation file, as the hub has it."""
    choices = {"label": list("ABCDE"), "text": ["one", "two", "three", "four", "five"]}
    table = [{"id": f"q{n}", "question": f"Which is {n}?", "choices": choices, "answerKey": "B"} for n in range(rows)]
    file = io.BytesIO()
    pl.DataFrame(table).write_parquet(file, compression="uncompressed")
    return file.getvalue()


CONTENT = parquet(200)


def pin(*texts: object, recordings: object = None) -> SetPin:
    return SetPin.model_validate(
        {"licence": "MIT", "texts": texts, "expected": [{"items": 1}], "recordings": recordings}
    )


def git_pin(content: bytes, **changes: object) -> GitFile:
    sha256 = hashlib.sha256(content).hexdigest()
    source = {"kind": "git", "repo": "owner/set", "commit": COMMIT, "file": "data/a set.csv", "sha256": sha256}
    return GitFile.model_validate(source | changes)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with hub_of_sets(tmp_path / "hub", monkeypatch) as stand_in:
        stand_in.push({FILE: CONTENT, "README.md": b"a set"})
        yield stand_in


# -- the project's own list ---------------------------------------------------------------------------------------


def test_every_task_has_a_source_and_finds_its_files(tmp_path: Path) -> None:
    pins = read_set_pins(SETS)
    assert set(pins) == set(TASKS)
    for name, task in TASKS.items():
        folder = tmp_path / name
        folder.mkdir()
        for file in pins[name].texts:
            (folder / file.name).write_text("")
        items, *reserve = pins[name].texts
        assert task.published_files(tmp_path) == [folder / items.name]
        assert [path.name for path in getattr(task, "reserve_files", lambda _: [])(tmp_path)] == [
            file.name for file in reserve
        ]
        for edition in pins[name].expected:
            assert not edition.labels or set(edition.labels) == set(task.labels)
            assert not edition.labels or sum(edition.labels.values()) == edition.items


@needs_real
@pytest.mark.parametrize("name", ["ag_news", "meld", "mustard"])
def test_recorded_hashes_are_those_of_the_real_files(name: str) -> None:
    (file,) = read_set_pins(SETS)[name].texts
    content = (REAL / name / file.name).read_bytes()
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (file.sha256, file.bytes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no file"),
        ("a: [", "not valid YAML"),
        ("news: {}", "news"),
        ("sst2: {licence: MIT, texts: [], expected: [{items: 1}]}", r"sst2\.texts"),
        ("sst2: {licence: MIT, texts: [{kind: git, file: ../x}], expected: []}", r"sst2\.texts\.0\.git\.file"),
    ],
)
def test_a_list_that_is_not_one_is_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "sets.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StudyError, match=message):
        read_set_pins(path)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    files = [git_pin(b"a", file=f"{folder}/test.csv").model_dump() for folder in ("a", "b")]
    (tmp_path / "sets.yaml").write_text(json.dumps({"sst2": pin(*files).model_dump(mode="json")}))
    with pytest.raises(StudyError, match="one name"):
        read_set_pins(tmp_path / "sets.yaml")
    with pytest.raises(StudyError, match="no source for meld"):
        pin_of("meld", {}, SETS)


# -- the hub ------------------------------------------------------------------------------------------------------


def test_a_set_of_the_hub_is_read_by_its_task(hub: StandIn, tmp_path: Path) -> None:
    folder = tmp_path / "sets" / "commonsense_qa"
    source = pinned(CONTENT, hub.branches["main"], FILE)
    manifest = json.loads(fetch_set("commonsense_qa", pin(source), folder, tmp_path / "cache").read_text())
    assert manifest["files"] == {Path(FILE).name: source.model_dump(mode="json")}
    items = TASKS["commonsense_qa"].load_published(tmp_path / "sets")
    assert [item.id for item in items] == [f"q{n}" for n in range(200)]
    asked = len(hub.requests)
    fetch_set("commonsense_qa", pin(source), folder, tmp_path / "cache")
    assert len(hub.requests) == asked


def test_a_changed_copy_is_replaced(hub: StandIn, tmp_path: Path) -> None:
    source = pinned(CONTENT, "main", FILE)
    place = fetch_set("commonsense_qa", pin(source), tmp_path / "set", tmp_path).parent / Path(FILE).name
    place.write_bytes(CONTENT[:-1])
    fetch_set("commonsense_qa", pin(source), tmp_path / "set", tmp_path)
    assert place.read_bytes() == CONTENT


def test_a_cut_connection_is_taken_up_where_it_stopped(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.cut.add(FILE)
    assert fetch_hub_file(pinned(CONTENT, "main", FILE)).read_bytes() == CONTENT
    ranges = [asked for method, path, asked in hub.requests if method == "GET" and path.endswith("parquet")]
    assert ranges == [None, f"bytes={len(CONTENT) // 2 // 1000 * 1000}-"]


def test_a_wrong_byte_on_the_way_is_noticed_and_fetched_again(hub: StandIn) -> None:
    hub.garble[FILE] = 1
    assert fetch_hub_file(pinned(CONTENT, "main", FILE)).read_bytes() == CONTENT
    assert hub.fetched().count(Path(FILE).name) == 2


def test_a_file_that_stays_wrong_is_refused(hub: StandIn, tmp_path: Path) -> None:
    hub.garble[FILE] = 9
    with pytest.raises(StudyError, match="not the file that was recorded"):
        fetch_set("commonsense_qa", pin(pinned(CONTENT, "main", FILE)), tmp_path / "set", tmp_path)
    assert not list((tmp_path / "set").glob("*"))


def test_another_file_than_the_recorded_is_refused_without_a_second_try(hub: StandIn) -> None:
    with pytest.raises(StudyError, match=f"expected {hashlib.sha256(b'other').hexdigest()}"):
        fetch_hub_file(pinned(b"other", "main", FILE))
    assert hub.fetched().count(Path(FILE).name) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repo": "owner/absent"}, "no such data set"),
        ({"revision": "absent"}, "no such revision"),
        ({"file": "data/absent.parquet"}, "no such file at this revision"),
    ],
)
def test_what_is_not_there_is_explained(hub: StandIn, changes: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=rf"{message}.*items\.folder"):
        fetch_hub_file(pinned(CONTENT, "main", FILE).model_copy(update=changes))
    assert not hub.fetched()


def test_a_gated_set_asks_for_a_token_and_writes_it_nowhere(
    hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated = True
    source = pinned(CONTENT, "main", FILE)
    with pytest.raises(StudyError, match=r"gated: accept its terms at .*/datasets/owner/tiny.*HF_TOKEN"):
        fetch_hub_file(source)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(StudyError) as refused:
        fetch_hub_file(source)
    assert "hf_wrong" not in str(refused.value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch_set("commonsense_qa", pin(source), tmp_path / "set", tmp_path / "cache")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_hub_that_does_not_answer_is_explained(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    use("http://127.0.0.1:9", monkeypatch)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the library tries again after pauses
    with pytest.raises(StudyError, match=r"cannot be reached.*HF_ENDPOINT"):
        fetch_hub_file(pinned(CONTENT, "main", FILE))


def test_offline_uses_the_cache_alone(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pinned(CONTENT, hub.branches["main"], FILE)
    online = fetch_hub_file(source)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    assert fetch_hub_file(source) == online
    online.resolve().write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(StudyError, match=r"delete it and run again without HF_HUB_OFFLINE"):
        fetch_hub_file(source)
    with pytest.raises(StudyError, match=r"not in the hub's cache.*HF_HUB_OFFLINE"):
        fetch_hub_file(pinned(b"a set", hub.branches["main"], "README.md"))
    assert len(hub.requests) == asked


def test_a_disk_that_is_too_small_is_noticed_before(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    small = shutil.disk_usage("/")._replace(free=len(CONTENT))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: small)
    with pytest.raises(StudyError, match=r"MiB free.*HF_HOME"):
        fetch_hub_file(pinned(CONTENT, "main", FILE))
    assert not hub.requests


# -- GitHub -------------------------------------------------------------------------------------------------------


class GitHandler(BaseHTTPRequestHandler):
    files: dict[str, bytes]
    asked: list[str]

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = self.files.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[GitHandler]]:
    handler = type("Own", (GitHandler,), {"files": {}, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setattr(git, "RAW", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield handler
        server.shutdown()
        thread.join()


def test_a_file_of_a_commit_arrives_once(github: type[GitHandler], tmp_path: Path) -> None:
    github.files[f"/owner/set/{COMMIT}/data/a%20set.csv"] = b"a,b\n"
    source = git_pin(b"a,b\n", bytes=4)
    for study in ("one", "two"):
        fetch_set("sst2", pin(source), tmp_path / study, tmp_path / "cache")
        assert (tmp_path / study / "a set.csv").read_bytes() == b"a,b\n"
    assert len(github.asked) == 1
    (tmp_path / "cache" / "sets" / source.sha256).write_bytes(b"a,c\n")
    assert fetch_git_file(source, tmp_path / "cache").read_bytes() == b"a,b\n"


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        (b"a,c\n", {}, "not the file that was recorded"),
        (b"a,b\n" * 9, {"bytes": 4}, "longer than the 4 bytes"),
        (None, {}, "no such file at this commit"),
    ],
)
def test_another_file_is_refused_and_not_kept(
    content: bytes | None, changes: dict[str, object], message: str, github: type[GitHandler], tmp_path: Path
) -> None:
    if content is not None:
        github.files[f"/owner/set/{COMMIT}/data/a%20set.csv"] = content
    with pytest.raises(StudyError, match=message):
        fetch_git_file(git_pin(b"a,b\n", **changes), tmp_path)
    assert not [path for path in (tmp_path / "sets").iterdir() if path.suffix != ".lock"]


def test_github_out_of_reach_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "RAW", "http://127.0.0.1:9")
    with pytest.raises(StudyError, match=r"check the network.*items\.folder"):
        fetch_git_file(git_pin(b""), tmp_path)


# -- folders and archives -----------------------------------------------------------------------------------------


def test_files_of_another_edition_are_not_left_beside(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "test.csv").write_text("mine")
    with pytest.raises(StudyError, match=r"test\.csv.*items\.folder"):
        fetch_set("sst2", pin(git_pin(b"")), tmp_path / "set", tmp_path)
    assert (tmp_path / "set" / "test.csv").read_text() == "mine"


def test_an_archive_stays_where_it_was_fetched_to(hub: StandIn, tmp_path: Path) -> None:
    source = pinned(CONTENT, "main", FILE)
    with pytest.raises(StudyError, match="no recordings"):
        fetch_archive("sst2", pin(source), tmp_path / "set", tmp_path)
    recordings = {"archive": source, "folder": "clips", "split": "test"}
    record = fetch_archive("meld", pin(source, recordings=recordings), tmp_path / "set", tmp_path)
    assert record == tmp_path / "set" / ARCHIVE
    archive = read_archive(record)
    assert archive.read_bytes() == CONTENT
    assert tmp_path / "hub" in archive.parents
    archive.resolve().write_bytes(CONTENT[:-1])
    with pytest.raises(StudyError, match="instead of"):
        read_archive(record)
    archive.resolve().unlink()
    with pytest.raises(StudyError, match=r"is gone.*delete .*archive\.json"):
        read_archive(record)
    record.write_text("{}")
    with pytest.raises(StudyError, match=r"delete it and run again"):
        read_archive(record)
