"""Resolve pins to all packages that they need, by uv, which reads every platform's metadata without installing."""

import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cascade_equivalence.errors import StudyError
from cascade_equivalence.pins.lock import Pin
from cascade_equivalence.pins.platforms import Platform, file_name, hashes_for, lacking, short_marker

MINUTES = 10


class Resolver:
    """Resolves sets of pins, all to the same versions.

    Args:
        platforms: Those that a lock is for. More than one are resolved together.
        preferred: Versions of an earlier lock, by package: kept where the pins allow.
    """

    def __init__(self, platforms: Sequence[Platform], preferred: Mapping[str, str]) -> None:
        self._platforms = list(platforms)
        self._preferred = preferred
        self._constraints = ""

    def agree(self, pins: Mapping[str, str]) -> None:
        """Resolve everything together: from now on every set of pins gets these versions.

        Raises:
            StudyError: No versions fit all pins.
        """
        with TemporaryDirectory() as folder:
            output = Path(folder) / "all.txt"
            # uv keeps what an earlier output says.
            output.write_text("".join(f"{name}=={version}\n" for name, version in self._preferred.items()))
            self._uv(pins, output, Path(folder))
            self._constraints = output.read_text(encoding="utf-8")

    def closure(self, pins: Mapping[str, str]) -> list[Pin]:
        """Everything that some pins need, themselves included, by name.

        Raises:
            StudyError: They do not fit together, or a package has no file for a platform that needs it.
        """
        with TemporaryDirectory() as folder:
            output = Path(folder) / "pylock.toml"
            self._uv(pins, output, Path(folder))
            found = tomllib.loads(output.read_text(encoding="utf-8"))["packages"]
        return sorted(filter(None, map(self._pin, found)), key=lambda pin: (pin.name, pin.version))

    def _uv(self, pins: Mapping[str, str], output: Path, folder: Path) -> None:
        asked, constraints = folder / "pins.txt", folder / "constraints.txt"
        asked.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()), encoding="utf-8")
        constraints.write_text(self._constraints, encoding="utf-8")
        series = self._platforms[0].series
        where = ["--universal"]
        if len(self._platforms) == 1:
            where = ["--python-platform", f"{self._platforms[0].machine}-manylinux_2_28"]
        if find_spec("uv") is None:
            raise StudyError("uv is not installed: run `make locks`, which installs requirements/dev.txt")
        command = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "compile",
            str(asked),
            "--constraints",
            str(constraints),
            "--output-file",
            str(output),
        ]
        options = ["--python-version", series, "--no-header", "--no-annotate", "--quiet", *where]
        done = subprocess.run([*command, *options], text=True, capture_output=True, check=False, timeout=60 * MINUTES)
        if done.returncode:
            raise StudyError(f"The pins cannot be resolved:\n{done.stderr.strip()}")

    def _pin(self, found: Mapping[str, Any]) -> Pin | None:
        needed = [platform for platform in self._platforms if platform.needs(found.get("marker", ""))]
        if not needed:
            return None
        name, version = found["name"], found["version"]
        wheels = {file_name(wheel["url"]): wheel["hashes"]["sha256"] for wheel in found.get("wheels", [])}
        source = found["sdist"]["hashes"]["sha256"] if "sdist" in found else None
        if none := lacking(needed, wheels, source):
            raise StudyError(f"{name} {version} has no file for " + " or ".join(each.marker for each in none))
        hashes = tuple(sorted(hashes_for(needed, wheels, source)))
        return Pin(name, version, hashes, short_marker(needed, self._platforms))


def without(pins: Iterable[Pin], known: Iterable[Pin]) -> list[Pin]:
    """The packages that are not in another lock."""
    names = {pin.name for pin in known}
    return [pin for pin in pins if pin.name not in names]
