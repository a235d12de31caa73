"""The stand-in hub of ``test_models_sources_hub``, giving out data sets in place of models."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants
from test_models_sources_hub import REPO, Handler, StandIn, use

from cascade_equivalence.tasks.sources.pins import HubFile


class DataSets(Handler):
    """Asked as the hub is for data sets, whose addresses begin with a word of their own."""

    def do_GET(self) -> None:
        if self.path.startswith("/api/datasets/"):
            self.path = self.path.replace("/api/datasets/", "/api/models/", 1)
            return super().do_GET()
        if not self.path.startswith("/datasets/"):
            return self.answer(404, X_Error_Code="RepoNotFound")
        self.path = self.path.removeprefix("/datasets")
        _, _, revision, file = self.path.removeprefix(f"/{REPO}").split("/", 3)
        files = self.server.commits.get(self.server.branches.get(revision, revision), {file: b""})
        if self.path.startswith(f"/{REPO}/") and file not in files:
            return self.answer(404, X_Error_Code="EntryNotFound")
        return super().do_GET()

    do_HEAD = do_GET


@contextmanager
def hub_of_sets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Run the stand-in; ``huggingface_hub`` asks it, and keeps its cache in the folder."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with StandIn() as stand_in:
        stand_in.RequestHandlerClass = DataSets
        use(stand_in.endpoint, monkeypatch)
        thread = threading.Thread(target=stand_in.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield stand_in
        stand_in.shutdown()
        thread.join()


def pinned(content: bytes, revision: str, file: str, **changes: object) -> HubFile:
    """A file of the stand-in's repository, as a list of sources gives it."""
    sha256 = hashlib.sha256(content).hexdigest()
    source = {"kind": "hub", "repo": REPO, "revision": revision, "file": file, "sha256": sha256, "bytes": len(content)}
    return HubFile.model_validate(source | changes)
