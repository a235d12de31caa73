"""The wheel: what it holds, what it asks for, and every command of it far from any checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from venv import EnvBuilder

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from recipe_files import install_parts
from recorded_study import make_study

from cascade_equivalence.cli.tree import build_parser
from cascade_equivalence.pins.families import read_families
from cascade_equivalence.pins.loose import BASE
from cascade_equivalence.resources import REPOSITORY

NO_CODE = shutil.ignore_patterns("__pycache__", "*.egg-info")
NOT_OF_BASE = {"torch", "transformers", "snakemake", "librosa", "openai", "matplotlib", "rocrate", "filelock"}


def files_of(*folders: str) -> set[str]:
    """Files of the project that belong into a wheel, by their paths there."""
    found = (path for folder in folders for path in (REPOSITORY / folder).rglob("*") if path.is_file())
    return {path.relative_to(REPOSITORY).as_posix() for path in found if "__pycache__" not in path.parts}


def in_wheel(path: str) -> str:
    return path.removeprefix("src/") if path.startswith("src/") else f"cascade_equivalence/resources/{path}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by pip from a copy of the sources."""
    folder = tmp_path_factory.mktemp("build")
    for part in install_parts():
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=NO_CODE)
        else:
            shutil.copy(source, folder / part)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    done = subprocess.run(
        [*command, "--wheel-dir", "wheels", "."], check=False, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (built,) = (folder / "wheels").glob("*.whl")
    return built


@dataclass(frozen=True)
class Installed:
    """The wheel in an environment that has nothing but what the wheel's base asks for.

    Attributes:
        python: The environment's Python.
        packages: Folder of its packages.
        home: An empty folder, taken for the user's home and for the working folder.
    """

    python: Path
    packages: Path
    home: Path

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python there, with no setting of whoever runs the tests."""
        environment = {"HOME": str(self.home), "PATH": os.defpath, "LC_ALL": "C.UTF-8"} | variables
        return subprocess.run(
            [str(self.python), *arguments], cwd=self.home, env=environment, capture_output=True, text=True, check=False
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line there."""
        return self.run("-m", "cascade_equivalence", *arguments)


def closure(*asked: Requirement) -> Iterator[metadata.Distribution]:
    """Packages of this environment that some requirements bring."""
    todo, seen = [*asked], set()
    while todo:
        need = todo.pop()
        applies = need.marker is None or need.marker.evaluate({"extra": ""})
        if applies and canonicalize_name(need.name) not in seen:
            seen.add(canonicalize_name(need.name))
            found = metadata.distribution(need.name)
            todo += map(Requirement, found.requires or [])
            yield found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel and its base in an environment of their own."""
    root = tmp_path_factory.mktemp("installed")
    EnvBuilder(symlinks=True).create(root / "venv")
    (packages,) = (root / "venv" / "lib").glob("python*/site-packages")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(packages)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    (record,) = packages.glob("cascade_equivalence-*.dist-info")
    asked = map(Requirement, metadata.Distribution.at(record).requires or [])
    for found in closure(*asked):
        for part in sorted({file.parts[0] for file in found.files or []} - {"..", "__pycache__"}):
            if not (packages / part).exists():
                (packages / part).symlink_to(found.locate_file(part))
    (root / "home").mkdir()
    return Installed(root / "venv" / "bin" / "python", packages, root / "home")


@pytest.fixture(scope="module")
def results(installed: Installed) -> Path:
    """A made-up study with its records, in the working folder."""
    return make_study(installed.home).relative_to(installed.home)


def test_the_wheel_holds_every_file_of_the_package_and_of_config(wheel: Path) -> None:
    expected = {in_wheel(path) for path in files_of("src/cascade_equivalence", "config")}
    with zipfile.ZipFile(wheel) as file:
        assert {name for name in file.namelist() if ".dist-info/" not in name} == expected


def test_the_metadata_say_what_it_is_and_what_it_asks_for(installed: Installed) -> None:
    (record,) = installed.packages.glob("cascade_equivalence-*.dist-info")
    found = metadata.Distribution.at(record)
    for key in ("Author", "Keywords", "Classifier", "License-Expression", "Requires-Python", "Project-URL"):
        assert found.metadata.get_all(key), key
    extras = read_families().extras
    assert set(found.metadata.get_all("Provides-Extra") or []) == set(extras) - {BASE}
    asked = list(map(Requirement, found.requires or []))
    for extra, pins in extras.items():
        chosen = {need.name: need for need in asked if need.marker is None}
        if extra != BASE:
            chosen = {need.name: need for need in asked if need.marker and need.marker.evaluate({"extra": extra})}
        beside = set() if extra == BASE else set(extras[BASE])
        assert chosen.keys() == pins.keys() - beside, extra
        assert all(need.specifier.contains(pins[name]) for name, need in chosen.items())
        assert all(part.operator == ">=" for need in chosen.values() for part in need.specifier)


def test_the_base_is_small(installed: Installed) -> None:
    for module in sorted(NOT_OF_BASE):
        assert installed.run("-c", f"import {module}").returncode != 0, module


# What each command is given, its exit status, and what its one line names where it cannot work.
WORKS = {
    ("--help",): "",
    ("--version",): "",
    ("init", "mine.yaml"): "mine.yaml",
    ("check", "mine.yaml"): "valid study",
    ("estimate", "mine.yaml"): "",
    ("list", "systems"): "tiny-smollm2",
    ("list", "models"): "whisper",
    ("list", "voices", "mine.yaml"): "espeak",
    ("list", "tasks"): "sst2",
    ("list", "concepts"): "",
    ("schema", "schemas"): "schema.json",
    ("completion", "bash"): "complete",
    ("completion", "zsh"): "complete",
    ("completion", "fish"): "complete",
    ("verify", "RESULTS"): "",
    ("compare", "RESULTS", "RESULTS"): "",
    ("agree", "ANSWERS/speech-llm.csv", "ANSWERS/cascade.csv"): "κ of A and B",
}
REFUSES = {
    ("lock",): "checkout",
    ("show", "mine.yaml"): "results/mine",
    ("engines", "mine.yaml"): "vllm",
    ("sets", "."): "none of the sets",
    ("telephone", "data"): "[run]",
    ("crate", "RESULTS"): "checkout",
    ("pack", "RESULTS"): "checkout",
    ("export", "mine.yaml", "--to", "hf-eval-results"): "results/mine",
}
ANSWERS = str(REPOSITORY / "docs" / "answers")


def test_every_command_is_tried() -> None:
    (tree,) = (action for action in build_parser()._actions if action.dest == "command")
    assert {words[0] for words in [*WORKS, *REFUSES] if words[0][0] != "-"} == set(tree.choices or ())


@pytest.fixture(scope="module")
def study(installed: Installed) -> None:
    """A study as `init` writes it, for the commands that read one."""
    done = installed.command("init", "mine.yaml")
    assert done.returncode == 0, done.stderr
    shutil.copy(installed.home / "mine.yaml", installed.home / "kept.yaml")


@pytest.mark.parametrize("words", WORKS, ids=" ".join)
@pytest.mark.usefixtures("study")
def test_a_command_works_in_an_empty_folder(words: tuple[str, ...], installed: Installed, results: Path) -> None:
    if words[0] == "init":
        (installed.home / words[1]).unlink()
    done = installed.command(*(word.replace("RESULTS", str(results)).replace("ANSWERS", ANSWERS) for word in words))
    assert done.returncode == 0, done.stdout + done.stderr
    assert WORKS[words] in done.stdout


@pytest.mark.parametrize("words", REFUSES, ids=" ".join)
@pytest.mark.usefixtures("study")
def test_a_command_that_cannot_work_says_why(words: tuple[str, ...], installed: Installed, results: Path) -> None:
    done = installed.command(*(word.replace("RESULTS", str(results)).replace("ANSWERS", ANSWERS) for word in words))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ") and REFUSES[words] in line


@pytest.mark.parametrize("name", sorted(path.name for path in (REPOSITORY / "config").glob("*.yaml")))
def test_what_ships_is_found_and_valid(name: str, installed: Installed) -> None:
    shipped = installed.packages / "cascade_equivalence" / "resources" / "config" / name
    done = installed.command("check", "--elsewhere", str(shipped))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_package_that_is_missing_is_named(installed: Installed) -> None:
    code = "from cascade_equivalence.cli import main\nimport cascade_equivalence.cli.parser as parser\n"
    code += "def run(_): import torch\n"
    code += "main.build_parser = lambda: parser.argparse.ArgumentParser()\n"
    code += "parser.argparse.ArgumentParser.parse_args = lambda _: parser.argparse.Namespace(run=run)\nmain.main()"
    done = installed.run("-c", code)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "torch" in line and "cascade-equivalence[run]" in line


def test_agreement_is_computed_with_the_base_alone(installed: Installed) -> None:
    code = """
import importlib, pkgutil
import polars as pl
from cascade_equivalence import stats
for module in pkgutil.iter_modules(stats.__path__):
    importlib.import_module(f"{stats.__name__}.{module.name}")
from cascade_equivalence.stats.compare import compare
gold = ["yes", "no"] * 20
def answers(given):
    rows = [
        {"id": f"{i:03}", "voice": "us", "group": f"{i:03}", "label": g, "parsed": p, "correct": g == p}
        for i, (g, p) in enumerate(zip(gold, given))
    ]
    return pl.DataFrame(rows)
found = compare(answers(gold), answers(["no", "yes", *gold[2:]]), ["yes", "no"], draws=50)
print(round(found["kappa"]["value"], 6))
"""
    done = installed.run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0.9"


def test_no_repository_around_an_environment_is_taken_for_the_projects(installed: Installed) -> None:
    around = installed.python.parents[2]
    for words in (
        ["init", "--quiet"],
        ["-c", "user.name=A", "-c", "user.email=a@b", "commit", "--allow-empty", "-qm", "A"],
    ):
        subprocess.run(["git", "-C", str(around), *words], check=True)
    code = "from cascade_equivalence.provenance.surroundings import Commit\nprint(Commit().read())"
    assert installed.run("-c", code).stdout.strip() == "(None, None)"
    shutil.rmtree(around / ".git")
