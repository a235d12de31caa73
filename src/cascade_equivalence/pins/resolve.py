"""Resolve pins to all packages that they need: by uv, for every platform at once, and nothing is installed."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.markers import Marker

from cascade_equivalence.errors import StudyError
from cascade_equivalence.pins.families import canonical_name
from cascade_equivalence.pins.lock import Pin, pins_of

Platform = tuple[str, str]
"""A system and a processor, as in ``sys_platform`` and ``platform_machine``."""
LINUX: Platform = ("linux", "x86_64")
PLATFORMS: tuple[Platform, ...] = (LINUX, ("linux", "aarch64"), ("darwin", "arm64"))
"""Where every package of a lock must have a file."""
EXPORT = ("export", "--frozen", "--no-emit-project", "--no-header", "--no-annotate")
MINUTES = 10


def resolve(
    groups: Mapping[str, Mapping[str, str]],
    series: str,
    preferred: Mapping[str, str],
    sources: Sequence[str] = (),
    platforms: Sequence[Platform] = PLATFORMS,
) -> dict[str, list[Pin]]:
    """Everything that groups of pins need, with the pins, each package at one version in all groups.

    Args:
        groups: Versions by package, by the group's name.
        series: The Python, as in ``3.11``.
        preferred: Versions of an earlier lock, by package: kept where the pins allow.
        sources: Packages that may be built from source. Of all others wheels alone are taken.
        platforms: For each of them every package must have a file.

    Returns:
        By group, sorted by name.

    Raises:
        StudyError: No versions fit all pins, a package has no file for a platform that needs it, or a file no hash.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "pyproject.toml", _project(groups, series, sources, platforms))
        _write(folder / "uv.lock", _earlier(preferred, series))
        _uv(folder, "lock", "--python", sys.executable)
        locked = tomllib.loads((folder / "uv.lock").read_text(encoding="utf-8"))["package"]
        built = set(map(canonical_name, sources))
        unused = {each["sdist"].get("hash") for each in locked if "sdist" in each and each["name"] not in built}
        exported = {group: _uv(folder, *EXPORT, "--only-group", group) for group in groups}
    try:
        found = {group: pins_of(text) for group, text in exported.items()}
    except ValueError:
        raise StudyError("The package index names files without their SHA-256: take another one") from None
    return {group: [_plain(pin, platforms, unused) for pin in pins] for group, pins in found.items()}


def marker_of(platform: Platform) -> str:
    """The marker that only a platform meets."""
    return f"sys_platform == '{platform[0]}' and platform_machine == '{platform[1]}'"


def _plain(pin: Pin, platforms: Iterable[Platform], unused: Container[str]) -> Pin:
    """A pin without a marker that all platforms meet, and without files that are not to be taken."""
    marker = "" if all(_meets(platform, pin.marker) for platform in platforms) else pin.marker
    return replace(pin, marker=marker, hashes=tuple(each for each in pin.hashes if f"sha256:{each}" not in unused))


def _meets(platform: Platform, marker: str) -> bool:
    system, machine = platform
    # What is not said is as it is here: locks are made with the Python that they are for.
    here = {"sys_platform": system, "platform_machine": machine, "platform_system": system.title()}
    return not marker or Marker(marker).evaluate(here)


def _project(
    groups: Mapping[str, Mapping[str, str]], series: str, sources: Sequence[str], platforms: Sequence[Platform]
) -> list[str]:
    """What uv is to lock. A list of strings is written in TOML as in JSON."""
    lines = ["[project]", 'name = "pins"', 'version = "0"', f'requires-python = "=={series}.*"', "[dependency-groups]"]
    for group, pins in groups.items():
        lines.append(f"{group} = {json.dumps([f'{package}=={version}' for package, version in pins.items()])}")
    lines += ["[tool.uv]", "no-build = true", f"no-binary-package = {json.dumps(list(sources))}"]
    return [*lines, f"environments = {json.dumps(list(map(marker_of, platforms)))}"]


def _earlier(versions: Mapping[str, str], series: str) -> list[str]:
    """A lock of uv's with versions alone: uv keeps them where they fit, from whatever index has them."""
    lines = ["version = 1", f'requires-python = "=={series}.*"']
    for package, version in versions.items():
        lines += ["[[package]]", f'name = "{package}"', f'version = "{version}"']
        lines += ['source = { registry = "https://index.invalid/simple" }']
    return lines


def _write(file: Path, lines: Iterable[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _uv(folder: Path, *arguments: str) -> str:
    if find_spec("uv") is None:
        raise StudyError("uv is not installed: run `make locks`, which installs requirements/dev.txt")
    command = [sys.executable, "-m", "uv", "--quiet", *arguments]
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False, timeout=60 * MINUTES)
    if done.returncode:
        sources = "\nName what must be built from source in families.yaml, under `sources`"
        raise StudyError(f"The pins cannot be resolved:\n{done.stderr.strip()}{sources * ('wheel' in done.stderr)}")
    return done.stdout


def without(pins: Iterable[Pin], known: Iterable[Pin]) -> list[Pin]:
    """The packages that are not in another lock."""
    names = {pin.name for pin in known}
    return [pin for pin in pins if pin.name not in names]
