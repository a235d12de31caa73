"""The two recipes of an image agree, copy what a node needs and nothing private, and install from the locks only."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from recipe_files import (
    DEFINITION,
    DOCKERFILE,
    IGNORE,
    INSTALL,
    ROOT,
    copied,
    files,
    in_context,
    install_parts,
    lines_of,
    section,
    steps,
)

RECIPES = (DOCKERFILE, DEFINITION, INSTALL, IGNORE)
NEEDED = ("workflow", "profiles", *install_parts())
PYTHON = "3.11"
DEBIAN = {"bookworm": "3.11"}


def hadolint() -> str:
    found = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, "hadolint is missing: it is in requirements/dev.txt"
    return found


def test_the_linter_of_dockerfiles_has_nothing_to_say():
    done = subprocess.run([hadolint(), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_linter_would_say_something(tmp_path: Path):
    worse = tmp_path / "Dockerfile"
    worse.write_text(DOCKERFILE.read_text().replace("USER 1000:1000", "USER root"))
    done = subprocess.run([hadolint(), str(worse)], capture_output=True, text=True, check=False)
    assert done.returncode and "DL3002" in done.stdout


# -- what is copied ---------------------------------------------------------------------------------------------------


def test_every_file_that_is_copied_exists_and_is_let_through():
    named = [source for source in copied() if source != "."]
    assert named and "." in copied()
    for source in [*named, *files()]:
        # A source that came as an archive has no commit.
        assert source == ".git" or (ROOT / source).exists(), source
        assert source == ".git" or in_context(source), source


def project_files() -> list[str]:
    found = [
        path for name in NEEDED for path in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))
    ]
    return [
        path.relative_to(ROOT).as_posix()
        for path in found
        if path.is_file() and "__pycache__" not in path.parts and not any(".egg-info" in part for part in path.parts)
    ]


def test_the_image_has_every_file_of_what_a_node_needs():
    needed = project_files()
    assert len(needed) > 200
    assert [path for path in needed if not in_context(path)] == []


@pytest.mark.parametrize(
    "path", [".git/HEAD", ".git/index", ".git/objects/ab/cd", ".git/refs/heads/main", ".gitignore"]
)
def test_the_image_knows_its_commit(path: str):
    assert in_context(path)


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".git/config.worktree",
        ".git/logs/HEAD",
        ".git/hooks/pre-commit",
        ".git/FETCH_HEAD",
        ".git/worktrees/other/HEAD",
        ".env",
        ".venv/bin/python",
        ".snakemake/metadata/x",
        "results/demo/store/answers/x.jsonl",
        "data/sst2/dev.tsv",
        "id_ed25519",
        "src/cascade_equivalence/__pycache__/errors.cpython-311.pyc",
        "src/cascade_equivalence.egg-info/PKG-INFO",
        "tests/unit/test_containers.py",
    ],
)
def test_the_image_holds_nothing_else(path: str):
    assert not in_context(path)


def test_the_last_rule_that_matches_decides():
    assert in_context("src/a.py", ["*", "!src"])
    assert not in_context("src/a.py", ["*", "!src", "**/*.py"])
    assert not in_context("other/src/a.py", ["*", "!src"])
    assert in_context("src.py", ["src"])


def test_both_recipes_copy_the_same():
    allowed = {rule.removeprefix("!") for rule in lines_of(IGNORE) if rule.startswith("!")}
    locks = {source for source in copied() if source.startswith("requirements/locks/")}
    assert files().keys() == (allowed | locks)
    assert set(NEEDED) <= allowed
    for source, place in files().items():
        own = {"containers/install.sh": "/opt/install.sh"} | {lock: f"/opt/locks/{Path(lock).name}" for lock in locks}
        assert place == own.get(source, f"/study/{source}")


def test_what_one_recipe_keeps_out_of_the_commits_folder_the_other_removes():
    kept_out = {rule for rule in lines_of(IGNORE) if rule.startswith(".git/")}
    removed = next(line for line in section("post") if line.startswith("rm -rf /study/.git/"))
    assert {path.removeprefix("/study/") for path in removed.split()[2:]} == kept_out


# -- what is installed ------------------------------------------------------------------------------------------------


def test_both_recipes_take_the_same_steps_and_install_nothing_beside_them():
    assert steps(lines_of(DOCKERFILE)) == steps(section("post")) == ["system", "packages", "project"]
    for recipe in (DOCKERFILE, DEFINITION):
        assert not re.search(r"apt-get|pip install|curl|wget", "\n".join(lines_of(recipe)))


def test_both_recipes_have_the_same_defaults():
    docker = dict(line.removeprefix("ARG ").split("=") for line in lines_of(DOCKERFILE) if line.startswith("ARG "))
    apptainer = dict(line.split("=") for line in section("arguments"))
    assert apptainer.pop("bootstrap") == "docker"
    assert {name.lower(): value for name, value in docker.items()} == apptainer


def test_locks_that_are_installed_are_copied():
    installed = set(re.findall(r"\$LOCKS/(\w+\.txt)", INSTALL.read_text()))
    assert installed == {"cpu.txt", "run.txt", "cuda.txt"}
    assert {f"requirements/locks/{name}" for name in installed} <= set(copied())


def test_the_base_has_the_python_of_the_locks():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["tool"]["mypy"]["python_version"] == PYTHON
    base = next(line for line in lines_of(DOCKERFILE) if line.startswith("ARG BASE="))
    assert [version for release, version in DEBIAN.items() if release in base] == [PYTHON]
    assert set(re.findall(r"python3\.\d+", INSTALL.read_text())) == {f"python{PYTHON}"}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_no_recipe_names_an_index_or_a_host(recipe: Path):
    assert not re.search(r"https?://|\b[\w-]+\.(com|org|io|net|dev)(?![\w.])", recipe.read_text())


def test_a_user_without_a_name_has_one():
    environment = " ".join(line for line in lines_of(DOCKERFILE) if line.startswith("ENV "))
    assert re.search(r"\bLOGNAME=\w+", environment)


def test_the_image_does_not_run_as_root():
    users = [line for line in lines_of(DOCKERFILE) if line.startswith("USER ")]
    assert users and users[-1] != "USER root"


# -- how it is installed ----------------------------------------------------------------------------------------------

FAKE = """#!/bin/sh
# Stands in for Python: `-m venv` makes itself, pip writes down what it was asked for.
case "$*" in
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *) echo "$*" >>"$CALLS" ;;
esac
case "$*" in *"$BROKEN"*) exit 1 ;; esac
"""


def install(tmp_path: Path, **settings: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the step that installs the packages, with a stand-in for Python; what pip was asked for."""
    python = tmp_path / "bin" / f"python{PYTHON}"
    python.parent.mkdir()
    python.write_text(FAKE)
    python.chmod(0o755)
    calls = tmp_path / "calls"
    calls.touch()
    own = {"VENV": str(tmp_path / "venv"), "LOCKS": "locks", "CALLS": str(calls), "BROKEN": "nothing"}
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    command = ["sh", str(INSTALL), "packages"]
    environment = own | {"PATH": path} | settings
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done, calls.read_text().splitlines()


LOCKED = "-m pip install --no-deps --require-hashes "


@pytest.mark.parametrize(
    ("torch", "expected"),
    [
        ("cuda", ["--requirement locks/run.txt", "--requirement locks/cuda.txt"]),
        ("cpu", ["--requirement locks/cpu.txt", "--requirement locks/run.txt"]),
    ],
)
def test_packages_come_from_the_locks_with_their_hashes(tmp_path: Path, torch: str, expected: list[str]):
    done, calls = install(tmp_path, TORCH=torch)
    assert done.returncode == 0, done.stderr
    assert calls == [LOCKED + lock for lock in expected]


def test_only_torch_comes_from_the_index_that_is_named_for_it(tmp_path: Path):
    _, calls = install(tmp_path, TORCH="cpu", TORCH_INDEX="file:///index")
    assert calls == [
        LOCKED + "--index-url file:///index --requirement locks/cpu.txt",
        LOCKED + "--requirement locks/run.txt",
    ]


def test_a_build_that_no_index_has_ends_with_what_to_do(tmp_path: Path):
    done, calls = install(tmp_path, TORCH="cpu", BROKEN="cpu.txt")
    assert done.returncode == 1
    assert "TORCH_INDEX" in done.stderr and "TORCH=cuda" in done.stderr
    assert len(calls) == 1, "nothing else is installed after it"


def test_a_lock_that_cannot_be_installed_ends_the_build(tmp_path: Path):
    done, calls = install(tmp_path, TORCH="cuda", BROKEN="run.txt")
    assert done.returncode
    assert len(calls) == 1


def test_another_build_than_the_two_is_refused(tmp_path: Path):
    done, calls = install(tmp_path, TORCH="rocm")
    assert done.returncode == 2
    assert "not 'rocm'" in done.stderr
    assert not calls


# -- for real ---------------------------------------------------------------------------------------------------------

BUILD = "CASCADE_EQUIVALENCE_BUILDAH"


@pytest.mark.long
def test_an_image_is_built_and_plans_the_demo():
    """Needs buildah, and in the environment what ``buildah build`` takes here, such as ``--build-arg TORCH=cuda``."""
    if shutil.which("buildah") is None:
        pytest.skip("buildah is not installed")
    if BUILD not in os.environ:
        pytest.skip(
            f"set {BUILD} to the arguments of the build (an image of gigabytes), such as --build-arg TORCH=cuda"
        )
    tag = "localhost/cascade-equivalence-test"
    build = ["buildah", "build-using-dockerfile", "--isolation", "chroot", *os.environ[BUILD].split(), "--tag", tag]
    subprocess.run([*build, "--file", str(DOCKERFILE), str(ROOT)], check=True)
    container = subprocess.run(["buildah", "from", "--pull-never", tag], check=True, capture_output=True, text=True)
    name = container.stdout.strip()

    def inside(*command: str) -> str:
        words = ["buildah", "run", "--isolation", "chroot", "--user", "4242:4242", name, "--", *command]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    try:
        assert inside("id", "-u").strip() == "4242"
        assert inside("sh", "-c", "touch results/x .snakemake/x && rm results/x .snakemake/x") == ""
        assert inside("sh", "-c", "cat /etc/pip.conf .git/config 2>/dev/null || true") == ""
        plan = inside("snakemake", "--configfile", "config/demo.yaml", "--profile", "profiles/demo", "--dry-run")
        assert "This was a dry-run" in plan
        if (ROOT / ".git").is_dir():
            head = subprocess.run(
                ["git", "-C", str(ROOT), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
            )
            assert inside("git", "rev-parse", "HEAD") == head.stdout
    finally:
        subprocess.run(["buildah", "rm", name], check=False)
        subprocess.run(["buildah", "rmi", tag], check=False)
