"""The source of all pins: versions in ``requirements/*.txt``, who needs which in ``requirements/families.yaml``."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from cascade_equivalence.errors import StudyError
from cascade_equivalence.resources import REPOSITORY

REQUIREMENTS = REPOSITORY / "requirements"
RUN = "run.txt"
# What is installed on top of run.txt, not by itself.
ADDED = ("dev.txt", "slurm.txt")


def canonical_name(package: str) -> str:
    """A package's name as indices compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def read_pins(path: Path) -> dict[str, str]:
    """Versions by the packages' names, as a file of pins states them.

    Raises:
        StudyError: A line is no pin, or a package stands there twice.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        package, separator, version = line.partition("==")
        if not separator or not re.fullmatch(r"[\w.!+-]+", version):
            raise StudyError(f"{path.name}, line {number}: `{line}` is no pin: write PACKAGE==VERSION")
        if canonical_name(package) in map(canonical_name, found):
            raise StudyError(f"{path.name}, line {number}: {package} is pinned twice")
        found[package] = version
    return found


class _Conda(BaseModel):
    model_config = ConfigDict(extra="forbid")
    python: str
    pip: str


class _Environment(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    pins: str = RUN
    packages: list[str] | None = None


class _Extra(BaseModel):
    model_config = ConfigDict(extra="forbid")
    environment: str | None = None
    pins: str = RUN
    packages: list[str] | None = None


class Build(BaseModel):
    """One file of a package.

    Attributes:
        version: Its version, with the label of the build.
        sha256: Its hash.
    """

    model_config = ConfigDict(extra="forbid")
    version: str
    sha256: str


class _Families(BaseModel):
    model_config = ConfigDict(extra="forbid")
    conda: _Conda
    environments: dict[str, _Environment]
    extras: dict[str, _Extra] = {}
    cpu: dict[str, Build]
    sources: list[str] = []


@dataclass(frozen=True)
class Family:
    """An environment that rules run in.

    Attributes:
        name: Name of its file in ``workflow/envs/``, without the ending.
        title: What the rules that run in it do.
        source: The file that pins its packages.
        pins: Versions of the packages that it names, by name.
    """

    name: str
    title: str
    source: str
    pins: dict[str, str]


@dataclass(frozen=True)
class Families:
    """All environments, and what they are made from.

    Attributes:
        python: Version of Python that conda installs.
        pip: Version of pip that conda installs.
        families: The environments, by name.
        extras: What the installed package asks for, as pins by package: always (``base``), or by the name of an extra.
        cpu: Builds for processors only, by package.
        sources: Packages that may be built from source.
        folder: Where the files stand.
    """

    python: str
    pip: str
    families: dict[str, Family]
    extras: dict[str, dict[str, str]]
    cpu: dict[str, Build]
    sources: tuple[str, ...]
    folder: Path

    @property
    def series(self) -> str:
        """The Python that locks are for, as in ``3.11``."""
        return ".".join(self.python.split(".")[:2])

    def digest(self, *files: str) -> str:
        """What tells a lock whether its sources are still those that it was made from: SHA-256 of the pins."""
        text = "\n".join(
            f"{file}:{canonical_name(package)}=={version}"
            for file in files
            for package, version in sorted(read_pins(self.folder / file).items())
        )
        return hashlib.sha256(f"{self.series}\n{text}".encode()).hexdigest()


def read_families(folder: Path = REQUIREMENTS) -> Families:
    """Read ``families.yaml`` and the pins it speaks of.

    Args:
        folder: Where they stand.

    Raises:
        StudyError: A file is damaged, or an environment names a package that nothing pins.
    """
    path = folder / "families.yaml"
    try:
        raw = _Families.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise StudyError(f"{path.name}: {error}") from error
    families = {}
    for name, stated in raw.environments.items():
        pins = _chosen(name, folder / stated.pins, stated.packages)
        families[name] = Family(name, stated.title, stated.pins, pins)
    extras = {}
    for name, extra in raw.extras.items():
        if extra.environment is None:
            extras[name] = _chosen(name, folder / extra.pins, extra.packages)
        elif extra.environment in families:
            extras[name] = families[extra.environment].pins | _chosen(name, folder / extra.pins, extra.packages or [])
        else:
            raise StudyError(f"{path.name}: {name} names the environment {extra.environment}, which is not there")
    pinned = read_pins(folder / RUN)
    for package, build in raw.cpu.items():
        if build.version.partition("+")[0] != pinned.get(package):
            raise StudyError(f"{path.name}: {package} {build.version} is no build of {RUN}'s {pinned.get(package)}")
    return Families(raw.conda.python, raw.conda.pip, families, extras, raw.cpu, tuple(raw.sources), folder)


def _chosen(name: str, file: Path, packages: list[str] | None) -> dict[str, str]:
    """The pins of some packages, or of all that a file pins."""
    pins = read_pins(file)
    named = list(pins) if packages is None else packages
    if unknown := sorted(set(named) - set(pins)):
        raise StudyError(f"families.yaml: {name} names {', '.join(unknown)}, which {file.name} does not pin")
    return {package: pins[package] for package in named}
