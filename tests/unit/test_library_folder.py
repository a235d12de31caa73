"""Where the workflow finds its library: beside its rules, or in Snakemake's clone of a hosted repository."""

import importlib.util
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import git
import pytest
from checkout import REPOSITORY
from snakemake.sourcecache import GithubFile, LocalGitFile, LocalSourceFile

RULES = "workflow/rules"
FILES = ("src/cascade_equivalence/__init__.py", "config/config.yaml", f"{RULES}/common.smk", "workflow/Snakefile")


@pytest.fixture(scope="module")
def library() -> ModuleType:
    """``workflow/library.py``, which lies outside the package."""
    found = importlib.util.spec_from_file_location("library", REPOSITORY / "workflow" / "library.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git repository with two versions of a project, of which the first has a tag."""
    root = tmp_path / "checkout"
    run_git(tmp_path, "init", "--quiet", "--initial-branch", "main", str(root))
    for version in ("1", "2"):
        for name in (*FILES, "tests/test_it.py"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(version, encoding="utf-8")
        run_git(root, "add", ".")
        run_git(root, "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", version)
        if version == "1":
            run_git(root, "-c", "user.name=A", "-c", "user.email=a@example.com", "tag", "-a", "v1", "-m", "First")
    return root


@pytest.fixture
def clone(tmp_path: Path, checkout: Path) -> git.Repo:
    """The same repository as Snakemake keeps it: without files."""
    return git.Repo.clone_from(str(checkout), to_path=str(tmp_path / "clone"), bare=True)


def run_git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def hosted(clone: git.Repo, **version: str) -> Any:
    """Snakemake's file of a hosted repository, whose clone is there already."""

    class Hosted(GithubFile):
        @property
        def hosted_repo(self) -> Any:
            return type("Repository", (), {"repo": clone})

    return Hosted(repo="owner/name", path=RULES, **version)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_of_a_checkout_it_is_the_checkout(library: ModuleType, checkout: Path, tmp_path: Path) -> None:
    assert library.project_folder(LocalSourceFile(str(checkout / RULES)), tmp_path / "cache") == checkout
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("version", [{"tag": "v1"}, {"branch": "main"}, {"commit": "HEAD~1"}])
def test_of_a_hosted_repository_it_is_the_version_that_was_asked_for(
    library: ModuleType, clone: git.Repo, tmp_path: Path, version: dict[str, str]
) -> None:
    if "commit" in version:
        version = {"commit": clone.git.rev_parse(version["commit"])}
    folder = library.project_folder(hosted(clone, **version), tmp_path / "cache")
    wanted = "2" if "branch" in version else "1"
    # Nothing but what runs is written.
    assert contents(folder) == dict.fromkeys(FILES, wanted)


def test_of_a_local_repository_it_is_the_version_that_was_asked_for(
    library: ModuleType, checkout: Path, tmp_path: Path
) -> None:
    folder = library.project_folder(LocalGitFile(str(checkout), RULES, tag="v1"), tmp_path / "cache")
    assert contents(folder) == dict.fromkeys(FILES, "1")


def test_a_version_is_written_once_and_versions_do_not_mix(
    library: ModuleType, clone: git.Repo, tmp_path: Path
) -> None:
    first = library.project_folder(hosted(clone, tag="v1"), tmp_path / "cache")
    inode = first.stat().st_ino
    assert library.project_folder(hosted(clone, tag="v1"), tmp_path / "cache") == first
    assert first.stat().st_ino == inode
    assert library.project_folder(hosted(clone, branch="main"), tmp_path / "cache") != first


def test_several_at_once_get_one_whole_folder(library: ModuleType, clone: git.Repo, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: library.project_folder(hosted(clone, tag="v1"), tmp_path / "cache"), range(8)))
    (folder,) = folders
    assert contents(folder) == dict.fromkeys(FILES, "1")
    # Those who were slower left nothing behind.
    assert list(folder.parent.iterdir()) == [folder]


def test_a_version_that_does_not_exist_is_refused(library: ModuleType, clone: git.Repo, tmp_path: Path) -> None:
    with pytest.raises(git.GitCommandError):
        library.project_folder(hosted(clone, tag="v9"), tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*"))
