"""The platforms that locks are for: which packages they need, and which files of a package they can install."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

OLDEST_GLIBC, NEWEST_GLIBC = 5, 40  # manylinux_2_5 is the first, for x86_64
ALIASES = ("manylinux1", "manylinux2010", "manylinux2014")
MACOS = (15, 0)


@dataclass(frozen=True)
class Platform:
    """A system, a processor and a Python.

    Attributes:
        system: As in ``sys_platform``: linux or darwin.
        machine: As in ``platform_machine``.
        series: The Python, as in ``3.11``.
    """

    system: str
    machine: str
    series: str

    @property
    def marker(self) -> str:
        """The marker that only this platform meets."""
        return f"sys_platform == '{self.system}' and platform_machine == '{self.machine}'"

    def needs(self, marker: str) -> bool:
        """Whether a package with a marker is installed here."""
        environment = {
            "sys_platform": self.system,
            "platform_machine": self.machine,
            "platform_system": {"linux": "Linux", "darwin": "Darwin"}[self.system],
            "os_name": "posix",
            "python_version": self.series,
            # The last number stands for all of them.
            "python_full_version": f"{self.series}.99",
            "implementation_name": "cpython",
            "implementation_version": f"{self.series}.99",
            "platform_python_implementation": "CPython",
        }
        return not marker or Marker(marker).evaluate(environment)

    @cached_property
    def tags(self) -> frozenset[Tag]:
        """Tags of the wheels that can be installed here."""
        if self.system == "darwin":
            platforms = list(mac_platforms(MACOS, self.machine))
        else:
            names = [f"manylinux_2_{minor}" for minor in range(OLDEST_GLIBC, NEWEST_GLIBC)]
            platforms = [f"{name}_{self.machine}" for name in (*names, *ALIASES, "linux")]
        version = tuple(int(number) for number in self.series.split("."))
        interpreter = f"cp{version[0]}{version[1]}"
        return frozenset(
            [*cpython_tags(version, platforms=platforms), *compatible_tags(version, interpreter, platforms)]
        )

    def takes(self, wheel: str) -> bool:
        """Whether a wheel, by its file name, can be installed here."""
        return not self.tags.isdisjoint(parse_wheel_filename(wheel)[3])


def supported(series: str) -> list[Platform]:
    """The platforms that locks are for."""
    return [Platform(*pair, series) for pair in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))]


def short_marker(needed: Iterable[Platform], platforms: Iterable[Platform]) -> str:
    """The shortest marker that of some platforms only certain ones meet; empty where all do."""
    wanted, known = list(needed), list(platforms)
    if wanted == known:
        return ""
    parts = []
    for system in dict.fromkeys(platform.system for platform in wanted):
        these = [platform for platform in wanted if platform.system == system]
        if these == [platform for platform in known if platform.system == system]:
            parts.append(f"sys_platform == '{system}'")
        else:
            parts.extend(platform.marker for platform in these)
    return " or ".join(parts if len(parts) == 1 else [f"({part})" if " and " in part else part for part in parts])


def hashes_for(platforms: Iterable[Platform], wheels: Mapping[str, str], source: str | None) -> set[str]:
    """Hashes of the files that some platforms can install.

    Args:
        platforms: Those that need the package.
        wheels: Hash of each wheel, by file name.
        source: Hash of the source distribution. It is taken only where a platform has no wheel.

    Returns:
        None of them for a platform that can install nothing; see ``lacking``.
    """
    found: set[str] = set()
    for platform in platforms:
        fitting = {digest for wheel, digest in wheels.items() if platform.takes(wheel)}
        found |= fitting or ({source} if source else set())
    return found


def lacking(platforms: Iterable[Platform], wheels: Mapping[str, str], source: str | None) -> list[Platform]:
    """Platforms for which a package has neither a wheel nor a source distribution."""
    return [each for each in platforms if source is None and not any(each.takes(wheel) for wheel in wheels)]


def file_name(url: str) -> str:
    """The file that a URL ends in."""
    return re.split(r"[?#]", url)[0].rsplit("/", 1)[-1]
