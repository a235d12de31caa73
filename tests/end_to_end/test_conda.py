"""``--software-deployment-method conda``: environments are made from their files, and rules run in them.

Conda's own installer and channels are not in a package index. Here its command line is answered by rattler, and the
channel holds this Python and its pip (see ``conda_command`` and ``conda_channel``); the pip parts come from the index.
"""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from checkout import Checkout, tiny_config
from packaging.requirements import Requirement

from cascade_equivalence.pins.families import canonical_name, read_families
from cascade_equivalence.pins.lock import read_lock
from cascade_equivalence.pins.write import lock_path

pytest.importorskip("rattler", reason="py-rattler has no build for this machine")
SOURCES = read_families()
CONDA = ("--software-deployment-method", "conda")
# What an environment's Python runs before a script: Snakemake puts its own folder of packages behind the environment's,
# and whatever else is installed there would stand in for what the environment lacks.
ISOLATE = """
import os, sys
from importlib.machinery import PathFinder

class OnlyOwn(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if path is None and name not in os.environ["OF_SNAKEMAKE"].split():
            path = [place for place in sys.path if place.startswith((sys.prefix, os.environ["PROJECT"]))]
        return super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = OnlyOwn
with open(os.environ["USED"], "a") as file:
    file.write(sys.prefix + "\\n")
"""


class WithConda(Checkout):
    """A copy of the project beside an installation of conda."""

    conda: Path
    of_snakemake: str

    @property
    def environment(self) -> dict[str, str]:
        kept = super().environment
        more = {"PROJECT": str(self.root), "USED": str(self.root / "used.txt"), "OF_SNAKEMAKE": self.of_snakemake}
        return kept | more | {"PATH": f"{self.conda}{os.pathsep}{kept['PATH']}"}

    def environments(self) -> dict[str, Path]:
        """The environments that Snakemake has made, by the names of their files."""
        made = (self.root / ".snakemake" / "conda").glob("*.yaml")
        files = {path.read_text(): path.stem for path in (self.root / "workflow" / "envs").glob("*.yaml")}
        return {files[path.read_text()]: path.with_suffix("") for path in made}


def index_answers() -> bool:
    """Whether pip can reach an index of packages: what this is about cannot be tried without one."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed"]
    command += ["--retries", "0", f"rich=={SOURCES.families['statistics'].pins['rich']}"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> WithConda:
    from conda_channel import install_command, make_channel

    if not index_answers():
        pytest.skip("no index of packages can be reached, so no environment can be made")
    root = tmp_path_factory.mktemp("conda")
    make_channel(root / "channel", SOURCES.python, SOURCES.pip)
    made = WithConda(root / "project")
    made.conda = install_command(root / "installation", root / "channel")
    beside = host_packages("snakemake")
    found = metadata.packages_distributions().items()
    made.of_snakemake = " ".join(name for name, by in found if {canonical_name(package) for package in by} & beside)
    return made


def host_packages(package: str, known: set[str] | None = None) -> set[str]:
    """A package that is installed beside Snakemake, with all that it needs."""
    known = set() if known is None else known
    name = canonical_name(package)
    if name not in known:
        known.add(name)
        for text in metadata.requires(name) or []:
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                host_packages(need.name, known)
    return known


def run_in_environments(checkout: WithConda, study: dict, targets: tuple[str, ...], names: set[str]) -> None:
    """Make a study's environments, then run it in them; hold what is in them against their locks."""
    done = checkout.run(study, *targets, *CONDA, "--conda-create-envs-only")
    assert done.returncode == 0, done.stdout
    made = checkout.environments()
    assert names <= set(made)
    series = f"python{SOURCES.series}"
    for name, prefix in made.items():
        site = prefix / "lib" / series / "site-packages"
        (site / "sitecustomize.py").write_text(ISOLATE, encoding="utf-8")
        installed = {
            canonical_name(found.metadata["Name"]): found.version.partition("+")[0]
            for found in metadata.distributions(path=[str(site)])
        }
        locked = {pin.name: pin.version for pin in read_lock(lock_path(SOURCES, name)).pins if not pin.marker}
        assert locked.items() <= installed.items()
        # pip came by conda; triton is what openai-whisper asks for on Linux.
        assert installed.keys() - locked.keys() <= {"pip", "triton", "greenlet"}

    done = checkout.run(study, *targets, *CONDA)
    assert done.returncode == 0, done.stdout
    assert {Path(line) for line in (checkout.root / "used.txt").read_text().splitlines()} == {
        made[name] for name in names
    }


def test_rules_run_in_the_environment_that_conda_makes(checkout: WithConda, tiny_models: Path):
    items = "results/tiny/tasks/sst2/items.parquet"
    run_in_environments(checkout, tiny_config(tiny_models), (items,), {"statistics"})
    assert set(checkout.environments()) == {"statistics"}
    assert (checkout.root / items).is_file()


@pytest.mark.long
def test_a_study_in_the_environments_that_conda_makes_equals_one_without(
    checkout: WithConda, tiny_models: Path, finished: Checkout
):
    run_in_environments(checkout, tiny_config(tiny_models), (), {"statistics", "speech", "models"})
    without, library = finished.root / "results" / "tiny", str(checkout.root / "src")
    done = checkout.python("-m", "cascade_equivalence", "compare", str(without), "results/tiny", PYTHONPATH=library)
    assert done.returncode == 0, done.stdout
