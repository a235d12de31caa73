"""Adds the studies and registries of ``config/`` to what is built; all else stands in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CONFIG = Path(__file__).resolve().parent / "config"


class BuildWithConfig(build_py):
    """Copies ``config/`` beside the package's resources. An editable installation reads it where it is."""

    def run(self) -> None:
        """Build."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "cascade_equivalence", "resources", CONFIG.name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(CONFIG, target)


setup(cmdclass={"build_py": BuildWithConfig})
