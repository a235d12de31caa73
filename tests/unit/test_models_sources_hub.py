"""The hub, through `huggingface_hub` itself, against a stand-in server on loopback."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from cascade_equivalence.config.sources import HubSource, ModelSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources import hub
from cascade_equivalence.models.sources.manifest import read_manifest, verify
from cascade_equivalence.models.sources.resolve import resolve_model

REPO = "owner/tiny"
TOKEN = "hf_secret"
LARGE = 1000  # longer files are stored as the hub stores weights: addressed by SHA-256


def safetensors(values: bytes) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [len(values)], "data_offsets": [0, len(values)]}}).encode()
    return len(header).to_bytes(8, "little") + header + values


FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model.safetensors": safetensors(bytes(range(256)) * 400),
    "pytorch_model.bin": b"pickle",
    "original/params.json": b'{"dim": 8}',
}


class StandIn(ThreadingHTTPServer):
    """A hub with one repository: its commits, its branches, and what goes wrong."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.commits: dict[str, dict[str, bytes]] = {}
        self.branches: dict[str, str] = {}
        self.gated = False
        self.cut: set[str] = set()  # files whose first transfer is cut off half way
        self.garble: dict[str, int] = {}  # file: how many transfers arrive with a wrong byte
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, Range
        self.push(FILES)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def push(self, files: dict[str, bytes], branch: str = "main") -> str:
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[commit] = files
        self.branches[branch] = commit
        return commit

    def fetched(self) -> list[str]:
        return [path.rsplit("/", 1)[1] for method, path, _ in self.requests if method == "GET" and "/resolve/" in path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, content: object) -> None:
        self.answer(200, json.dumps(content).encode(), Content_Type="application/json")

    def do_GET(self) -> None:
        self.server.requests.append((self.command, self.path, self.headers["Range"]))
        path = self.path.split("?")[0]
        api = re.fullmatch(rf"/api/models/{REPO}/(revision|tree)/([^/]+)", path)
        file = re.fullmatch(rf"/{REPO}/resolve/([^/]+)/(.+)", path)
        match = api or file
        if not match:
            return self.answer(404, X_Error_Code="RepoNotFound")
        revision = match[2] if api else match[1]
        commit = self.server.branches.get(revision, revision)
        if commit not in self.server.commits:
            return self.answer(404, X_Error_Code="RevisionNotFound")
        if api:
            return self.describe(commit, tree=api[1] == "tree")
        if self.server.gated and self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer(401, X_Error_Code="GatedRepo", X_Error_Message="Access to this model is restricted.")
        return self.send_file(commit, match[2])

    do_HEAD = do_GET

    def describe(self, commit: str, tree: bool) -> None:
        files = self.server.commits[commit]
        if not tree:
            siblings = [{"rfilename": name} for name in files]
            return self.answer_json({"id": REPO, "modelId": REPO, "sha": commit, "siblings": siblings})
        entries = []
        for name, content in files.items():
            entry: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": git_hash(content)}
            if len(content) > LARGE:
                entry["lfs"] = {"oid": etag(content), "size": len(content), "pointerSize": 130}
            entries.append(entry)
        return self.answer_json(entries)

    def send_file(self, commit: str, name: str) -> None:
        content = self.server.commits[commit][name]
        headers = {"X_Repo_Commit": commit, "ETag": f'"{etag(content)}"', "Accept_Ranges": "bytes"}
        if self.command == "HEAD":
            return self.answer(200, content, **headers)
        if self.server.garble.get(name, 0) > 0:
            self.server.garble[name] -= 1
            return self.answer(200, content[:-1] + b"?", **headers)
        if wanted := self.headers["Range"]:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            part = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.answer(206, content[start:], Content_Range=part, **headers)
        if name in self.server.cut:
            self.server.cut.discard(name)
            self.close_connection = True
            return self.answer(200, content[: len(content) // 2], **headers | {"Content_Length": str(len(content))})
        return self.answer(200, content, **headers)


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def etag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if len(content) > LARGE else git_hash(content)


def use(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does, after `huggingface_hub` was imported."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with StandIn() as stand_in:
        use(stand_in.endpoint, monkeypatch)
        thread = threading.Thread(target=stand_in.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield stand_in
        stand_in.shutdown()
        thread.join()


def source(**changes: object) -> HubSource:
    return HubSource.model_validate({"kind": "hub", "repo": REPO, "revision": "main"} | changes)


def spec(**changes: object) -> ModelSpec:
    return ModelSpec(role="llm", source=source(**changes), licence="MIT")


def test_the_chosen_files_of_one_commit_arrive(server: StandIn) -> None:
    fetched = hub.fetch(source())
    assert fetched.commit == server.branches["main"]
    expected = {name: content for name, content in FILES.items() if name != "pytorch_model.bin"}
    assert {name: path.read_bytes() for name, path in fetched.files.items()} == expected
    assert "pytorch_model.bin" not in server.fetched()


def test_a_resolved_model_links_the_cache_and_does_not_follow_a_moved_branch(server: StandIn, tmp_path: Path) -> None:
    first = server.branches["main"]
    target = resolve_model("tiny", spec(), tmp_path / "models" / "tiny", tmp_path / "cache")
    manifest = read_manifest(target)
    assert manifest.commit == first
    assert (tmp_path / "hub") in (target / "model.safetensors").resolve().parents
    second = server.push(FILES | {"config.json": b'{"model_type": "llama", "hidden_size": 9}'})
    asked = len(server.requests)
    resolve_model("tiny", spec(), target, tmp_path / "cache")
    assert read_manifest(target) == manifest
    assert len(server.requests) == asked
    newer = resolve_model("tiny", spec(), tmp_path / "models" / "newer", tmp_path / "cache")
    assert read_manifest(newer).commit == second
    assert read_manifest(newer).revision != manifest.revision
    pinned = resolve_model("tiny", spec(revision=first), tmp_path / "models" / "pinned", tmp_path / "cache")
    assert read_manifest(pinned).revision == manifest.revision
    # The unchanged weights crossed the network once for all three.
    assert server.fetched().count("model.safetensors") == 1


def test_a_cleared_hub_cache_is_noticed_and_filled_again(server: StandIn, tmp_path: Path) -> None:
    target = resolve_model("tiny", spec(), tmp_path / "tiny", tmp_path / "cache")
    (target / "model.safetensors").resolve().unlink()
    assert verify(target) == [f"{target / 'model.safetensors'} is missing"]
    resolve_model("tiny", spec(), target, tmp_path / "cache")
    assert not verify(target)


def test_a_cut_connection_is_taken_up_where_it_stopped(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = 1000  # the library keeps whole chunks, of 10 MB by default
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", chunk)
    server.cut.add("model.safetensors")
    content = hub.fetch(source()).files["model.safetensors"].read_bytes()
    assert content == FILES["model.safetensors"]
    ranges = [asked for method, path, asked in server.requests if method == "GET" and "safetensors" in path]
    assert ranges == [None, f"bytes={len(content) // 2 // chunk * chunk}-"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_with_a_wrong_byte_is_fetched_again(server: StandIn, name: str) -> None:
    server.garble[name] = 1
    assert hub.fetch(source()).files[name].read_bytes() == FILES[name]
    assert server.fetched().count(name) == 2


def test_a_file_that_stays_wrong_is_refused(server: StandIn) -> None:
    server.garble["model.safetensors"] = 9
    with pytest.raises(StudyError, match="corrupt"):
        hub.fetch(source())


def test_a_gated_repository_without_a_token_is_refused_before_any_request(server: StandIn) -> None:
    server.gated = True
    with pytest.raises(StudyError, match=r"is gated.*HF_TOKEN"):
        hub.fetch(source(gated=True))
    assert not server.requests


def test_an_unannounced_gate_is_explained(server: StandIn) -> None:
    server.gated = True
    with pytest.raises(StudyError, match="accept its licence"):
        hub.fetch(source())


def test_a_token_opens_the_gate_and_is_written_nowhere(
    server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.gated = True
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    resolve_model("tiny", spec(gated=True), tmp_path / "tiny", tmp_path / "cache")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(StudyError) as refused:
        hub.fetch(source(revision=server.push(FILES | {"config.json": b"{} "})))
    assert "hf_other" not in str(refused.value)


def test_offline_uses_the_cache_and_says_when_it_is_not_enough(
    server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = hub.fetch(source(files=["*.json"]))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(server.requests)
    assert hub.fetch(source(files=["*.json"], gated=True)) == online
    with pytest.raises(StudyError, match="HF_HUB_OFFLINE"):
        hub.fetch(source())
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repo": "owner/absent"}, "no such repository"),
        ({"revision": "absent"}, "no such revision"),
        ({"files": ["*.gguf"]}, r"no file that matches.*config\.json"),
        ({"files": ["*"]}, r"pytorch_model\.bin can run code"),
    ],
)
def test_what_is_not_there_is_explained_before_any_file_is_fetched(
    server: StandIn, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        hub.fetch(source(**changes))
    assert not server.fetched()


def test_a_hub_that_does_not_answer_is_explained(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    use("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(StudyError, match="cannot be reached"):
        hub.fetch(source())
    assert not server.requests


@pytest.mark.parametrize("token", ["hf_secret1\nhf_secret2", "hf_secret1\r\nX: y", "hf_sécret1", "hf_secret1 secret2"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_told(
    server: StandIn, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(StudyError, match="HF_TOKEN") as refused:
        hub.fetch(source())
    assert "secret" not in str(refused.value) and "cret1" not in str(refused.value)
    assert not server.requests


@pytest.mark.parametrize("proxy", ["http://me:hunter22@host:80x", "http://me:hunter22@[host", "me:hunter22@host:1:2"])
def test_a_malformed_proxy_is_explained_without_its_password(
    server: StandIn, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "elsewhere")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    # The library reads the environment once, when it first connects.
    close_session()
    try:
        with pytest.raises(StudyError) as refused:
            hub.fetch(source())
    finally:
        close_session()
    assert "hunter22" not in str(refused.value)
