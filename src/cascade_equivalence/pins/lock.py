"""Locks: every package of an environment with its version and the hashes of its files, in pip's own format."""

import re
from dataclasses import dataclass
from pathlib import Path

from cascade_equivalence.errors import StudyError

MADE_FROM = "# Made from: "
# torch brings these on Linux unless its build is for processors only.
CUDA = ("nvidia-", "cuda-", "triton")
_PIN = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?: ; (?P<marker>[^\\]+?))?(?P<hashes>(?: \\\n    --hash=sha256:\w+)+)\n"
)


@dataclass(frozen=True)
class Pin:
    """One package of a lock.

    Attributes:
        name: Its canonical name.
        version: Its version.
        hashes: SHA-256 of the files that may be installed, sorted.
        marker: Where it is installed, as in PEP 508; empty where the lock always needs it.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str = ""

    @property
    def requirement(self) -> str:
        """Name, version and marker, as conda's files and constraints have it."""
        return f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")

    @property
    def of_cuda(self) -> bool:
        """Whether only builds of torch for GPUs need it."""
        return self.name.startswith(CUDA)


@dataclass(frozen=True)
class Lock:
    """All packages of an environment.

    Attributes:
        title: What it is for, in a line.
        made_from: Digest of the pins that it was resolved from.
        pins: The packages, by name.
    """

    title: str
    made_from: str
    pins: tuple[Pin, ...]

    @property
    def versions(self) -> dict[str, str]:
        """Version of each package, by canonical name."""
        return {pin.name: pin.version for pin in self.pins}

    def text(self) -> str:
        """The lock as pip reads it, with ``--require-hashes``."""
        lines = [
            f"# {self.title}",
            "# Written by `make locks`: change the pins, not this file.",
            MADE_FROM + self.made_from,
        ]
        for pin in self.pins:
            lines.append(" \\\n    ".join([pin.requirement, *(f"--hash=sha256:{digest}" for digest in pin.hashes)]))
        return "\n".join(lines) + "\n"


def read_lock(path: Path) -> Lock:
    """Read a lock.

    Raises:
        StudyError: It is missing, or not as ``make locks`` writes it.
    """
    if not path.is_file():
        raise StudyError(f"requirements/locks/{path.name} is missing: run `make locks`")
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(MADE_FROM)
    made_from, separator, body = rest.partition("\n")
    try:
        if not separator:
            raise ValueError
        return Lock(head.splitlines()[0].removeprefix("# "), made_from, pins_of(body))
    except ValueError:
        raise StudyError(f"requirements/locks/{path.name} was changed by hand: run `make locks`") from None


def pins_of(text: str) -> tuple[Pin, ...]:
    """The packages of a lock without its head, or of what uv exports.

    Raises:
        ValueError: There is more in it than packages with a version and hashes.
    """
    found = list(_PIN.finditer(text))
    if "".join(match.group() for match in found) != text:
        raise ValueError("a line is no package with a version and hashes")
    return tuple(
        Pin(match["name"], match["version"], tuple(re.findall(r"sha256:(\w+)", match["hashes"])), match["marker"] or "")
        for match in found
    )
