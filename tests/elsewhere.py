"""A small study, and Snakemake run where this project's package is not installed."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from checkout import NOT_OF_A_USER, Config, tiny_config

# What each Python runs first: the installed package is not there, for imports and for questions about versions.
HIDE = """
import sys
from importlib.machinery import PathFinder

class WithoutPackage(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if path is None and name == "cascade_equivalence":
            path = [place for place in sys.path if place not in HIDDEN]
        return super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, *arguments, **more):
        for found in super().find_distributions(*arguments, **more):
            if found.metadata["Name"] != "cascade-equivalence":
                yield found

sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutPackage
"""


def small_config(models: Path) -> Config:
    """One task, one voice, two cascades."""
    study = tiny_config(models) | {"tasks": ["sst2"], "speech": {"voices": ["us"]}, "statistics": {"draws": 50}}
    study["items"]["per_task"] = 4
    del study["noise"]
    return study


class Elsewhere:
    """A folder in which another workflow runs, on a machine without the package.

    Args:
        root: The folder, which is made; caches lie beside it.
        variables: Further variables of the environment.
    """

    def __init__(self, root: Path, variables: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.variables = variables or {}
        root.mkdir(parents=True)
        hook = root.with_name(f"{root.name}-hook")
        hook.mkdir()
        self._hook = hook / "sitecustomize.py"
        self._hook.write_text(f"HIDDEN = {self._installed()}\n{HIDE}", encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a run: no library on any path, caches of its own, no network."""
        kept = {name: value for name, value in os.environ.items() if name not in NOT_OF_A_USER}
        caches = {
            "CASCADE_EQUIVALENCE_CACHE": str(self.root.with_name("cache")),
            "XDG_CACHE_HOME": str(self.root.with_name("caches")),
        }
        return kept | caches | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(self._hook.parent)} | self.variables

    def _installed(self) -> list[str]:
        """The places of imports that hold the package."""
        text = "import sys; from pathlib import Path; name = 'cascade_equivalence'; "
        text += "print(*[place for place in sys.path if Path(place, name).is_dir()], sep='\\n')"
        done = subprocess.run(
            [sys.executable, "-c", text],
            check=True,
            cwd=self.root,
            env=self.environment,
            text=True,
            capture_output=True,
        )
        return done.stdout.splitlines()

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the folder; standard output and error come together."""
        return subprocess.run(
            [sys.executable, *arguments],
            check=False,
            cwd=self.root,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the folder; the package must not be there."""
        assert self.python("-c", "import cascade_equivalence").returncode != 0
        return self.python("-m", "snakemake", "--cores", "2", *arguments)
