"""Pins, locks, conda's files and what is installed say the same."""

import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement

from cascade_equivalence.pins.families import ADDED, RUN, canonical_name, read_families, read_pins
from cascade_equivalence.pins.lock import read_lock
from cascade_equivalence.pins.loose import BASE, loose_path, loose_text, lower_bound
from cascade_equivalence.pins.write import TITLES, conda_file, lock_path
from cascade_equivalence.resources import REPOSITORY

SOURCES = read_families()
SHARED = [family for family in SOURCES.families.values() if family.source == RUN]
LOCKS = {name: read_lock(lock_path(SOURCES, name)) for name in (*TITLES, *SOURCES.families)}
EVERY = LOCKS["run"].versions | LOCKS["cuda"].versions
# What is installed where: a lock, and the locks that it is installed on top of.
INSTALLED = {
    "run": ("run", "cpu", "cuda"),
    "dev": ("dev", "run", "cpu", "cuda"),
    "slurm": ("slurm", "run", "cpu", "cuda"),
    **{family.name: (family.name, "cpu", "cuda") for family in SHARED},
}


def canonical(pins: dict[str, str]) -> dict[str, str]:
    return {canonical_name(package): version for package, version in pins.items()}


@pytest.mark.parametrize("name", LOCKS)
def test_no_pin_has_changed_since_a_lock_was_made(name: str):
    files = (SOURCES.families[name].source,) if name in SOURCES.families else (RUN,)
    if f"{name}.txt" in ADDED:
        files = (RUN, f"{name}.txt")
    assert LOCKS[name].made_from == SOURCES.digest(*files), "run `make locks`"


@pytest.mark.parametrize("name", SOURCES.families)
def test_condas_file_is_written_from_the_lock(name: str):
    path = REPOSITORY / "workflow" / "envs" / f"{name}.yaml"
    assert path.read_text(encoding="utf-8") == conda_file(SOURCES, SOURCES.families[name], LOCKS[name])
    conda = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    pins = [line.partition(" ; ")[0].split("==") for line in conda[-1]["pip"]]
    assert dict(pins) == LOCKS[name].versions


def test_every_file_of_conda_has_a_family():
    assert {path.stem for path in (REPOSITORY / "workflow" / "envs").glob("*")} == set(SOURCES.families)


@pytest.mark.parametrize("name", SOURCES.families)
def test_a_lock_has_the_pins_of_its_family(name: str):
    assert canonical(SOURCES.families[name].pins).items() <= LOCKS[name].versions.items()


@pytest.mark.parametrize("file", [RUN, *ADDED])
def test_a_lock_has_the_pins_of_its_file(file: str):
    names = INSTALLED[file.removesuffix(".txt")]
    together = {package: version for name in reversed(names) for package, version in LOCKS[name].versions.items()}
    asked = canonical(read_pins(SOURCES.folder / file))
    assert {package for package, version in asked.items() if together.get(package) != version} == set()


@pytest.mark.parametrize("family", SHARED, ids=lambda family: family.name)
def test_an_environment_has_the_versions_that_a_study_without_environments_has(family):
    assert LOCKS[family.name].versions.items() <= EVERY.items()


def test_the_engines_environment_differs_only_where_the_engine_asks_for_it():
    own = canonical(SOURCES.families["vllm"].pins)
    pinned = canonical(read_pins(SOURCES.folder / RUN))
    assert {package for package, pin in own.items() if pinned.get(package) != pin} == {"vllm", "transformers", "numpy"}


def test_every_requirement_serves_some_rule():
    served = {package for family in SHARED for package in family.pins}
    # What runs the rules, and what describes their results when they are done.
    assert set(read_pins(SOURCES.folder / RUN)) - served == {"snakemake", "rocrate"}


@pytest.mark.parametrize("extra", SOURCES.extras)
def test_lower_bounds_are_written_from_the_pins(extra: str):
    assert loose_path(SOURCES, extra).read_text(encoding="utf-8") == loose_text(SOURCES, extra), "run `make locks`"


def test_base_and_extras_are_the_pins_of_a_study():
    asked = {package for extra in (BASE, "run", "report", "api") for package in SOURCES.extras[extra]}
    assert asked == read_pins(SOURCES.folder / RUN).keys()
    named = {file.stem for file in loose_path(SOURCES, BASE).parent.iterdir()}
    stated = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["dynamic"]
    assert named == set(SOURCES.extras) == {BASE, *stated["optional-dependencies"]}


@pytest.mark.parametrize(
    ("version", "bound"), [("2.13.0", "2"), ("0.41.0", "0.41"), ("20250625", "20250625"), ("0.5.0.post1", "0.5")]
)
def test_a_lower_bound_is_the_first_version_of_a_pins_series(version: str, bound: str):
    assert lower_bound(version) == bound
    assert Requirement(f"some>={bound}").specifier.contains(version)


def test_only_packages_of_locks_are_built_from_source():
    locked = {package for lock in LOCKS.values() for package in lock.versions}
    assert set(map(canonical_name, SOURCES.sources)) <= locked


def test_no_package_is_pinned_twice():
    assert not read_pins(SOURCES.folder / RUN).keys() & read_pins(SOURCES.folder / "dev.txt").keys()
    assert not LOCKS["run"].versions.keys() & (LOCKS["dev"].versions.keys() | LOCKS["slurm"].versions.keys())


def needs(package: str) -> list[Requirement]:
    """What an installed package asks for here, extras left out."""
    asked = [Requirement(text) for text in metadata.requires(package) or []]
    return [each for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})]


@pytest.mark.parametrize("name", [name for name in INSTALLED if name != "slurm"])
def test_what_a_package_of_a_lock_needs_is_in_the_lock(name: str):
    together = {package: version for lock in INSTALLED[name] for package, version in LOCKS[lock].versions.items()}
    here = [pin.name for pin in LOCKS[name].pins if not pin.marker]
    found = {(package, str(need)) for package in here for need in needs(package) if not met(need, together)}
    assert found == set()


def met(need: Requirement, versions: dict[str, str]) -> bool:
    version = versions.get(canonical_name(need.name))
    # The whole closure was resolved from indices; what is asked here is whether it is whole.
    return version is not None and need.specifier.contains(version, prereleases=True)


@pytest.mark.parametrize("name", ["run", "dev"])
def test_what_is_installed_is_what_the_lock_says(name: str):
    locked = {pin.name: pin.version for pin in LOCKS[name].pins if not pin.marker}
    here = {package: metadata.version(package).partition("+")[0] for package in locked}
    assert here == locked


@pytest.mark.parametrize("name", ["run", "dev"])
def test_pip_reads_a_lock_and_finds_nothing_to_install(name: str):
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps", "--require-hashes"]
    command += ["--disable-pip-version-check", "--requirement", str(lock_path(SOURCES, name))]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Would install" not in done.stdout


@pytest.mark.parametrize(("target", "lock"), [(".run", "run"), (".dev", "dev"), (".slurm", "slurm")])
def test_make_installs_nothing_but_what_a_lock_names(target: str, lock: str):
    command = ["make", "--always-make", "--dry-run", f".venv/{target}"]
    done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    installing = [part for line in done.stdout.splitlines() for part in line.split("||") if " install " in part]
    from_locks = [part for part in installing if "--editable" not in part]
    assert any(f"requirements/locks/{lock}.txt" in part for part in from_locks)
    assert all("--no-deps --require-hashes --requirement requirements/locks/" in part for part in from_locks)
    assert all("--no-deps --no-build-isolation" in part for part in installing if part not in from_locks)
