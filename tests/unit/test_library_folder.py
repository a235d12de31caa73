"""Where the workflow finds its library: beside itself, or in the bare clone that Snakemake keeps of a host's."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import git
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))
from library import NEEDED, project_folder


class Hosted:
    """Stands in for Snakemake's source file of a hosted repository."""

    def __init__(self, clone: Path, ref: str) -> None:
        self.ref = ref
        self._clone = clone

    @property
    def hosted_repo(self) -> SimpleNamespace:
        return SimpleNamespace(repo=git.Repo(self._clone))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    for part in NEEDED:
        (source / part).mkdir(parents=True)
        (source / part / "file").write_text("first", encoding="utf-8")
    (source / "other").write_text("not needed", encoding="utf-8")
    repository = git.Repo.init(source)
    with repository.config_writer() as config:
        config.set_value("user", "name", "a").set_value("user", "email", "a@example.org")
    repository.git.add(".")
    repository.git.commit("--message", "first")
    repository.git.tag("v0")
    (source / "src" / "file").write_text("second", encoding="utf-8")
    repository.git.commit("--all", "--message", "second")
    subprocess.run(["git", "clone", "--quiet", "--bare", source, tmp_path / "clone"], check=True)
    return tmp_path / "clone"


def test_on_this_machine_it_lies_beside_the_rules(tmp_path: Path) -> None:
    rules = tmp_path / "project" / "workflow" / "rules"
    rules.mkdir(parents=True)
    local = SimpleNamespace(get_path_or_uri=lambda secret_free: str(rules))
    assert project_folder(local, tmp_path / "cache") == tmp_path / "project"


def test_of_a_clone_it_is_that_of_the_version_asked_for(clone: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first, second = (project_folder(Hosted(clone, ref), cache) for ref in ("v0", git.Repo(clone).active_branch.name))
    assert first != second
    assert [(folder / "src" / "file").read_text() for folder in (first, second)] == ["first", "second"]
    assert {path.name for path in first.iterdir()} == set(NEEDED)
    assert project_folder(Hosted(clone, "v0"), cache) == first


def test_many_at_once_find_the_same(clone: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: project_folder(Hosted(clone, "v0"), cache), range(16)))
    assert len(found) == 1 and len(list(found.pop().parent.iterdir())) == 1
