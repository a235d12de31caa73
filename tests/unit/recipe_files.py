"""What of the project goes into an image: the rules of ``.dockerignore``, and what the two recipes copy."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "containers" / "Dockerfile"
DEFINITION = ROOT / "containers" / "cascade-equivalence.def"
INSTALL = ROOT / "containers" / "install.sh"
IGNORE = ROOT / ".dockerignore"
READ_BY_SETUPTOOLS = ("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in")


def install_parts() -> list[str]:
    """Files and folders at the top of the project that an installation reads: what pyproject.toml and others name."""
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, setuptools = said["project"], said["tool"]["setuptools"]
    files = list(_files_named(setuptools["dynamic"]))
    grafted = [line.split()[1] for line in lines_of(ROOT / "MANIFEST.in")]
    own = [name for name in READ_BY_SETUPTOOLS if (ROOT / name).exists()]
    named = [project["readme"], *project["license-files"], *setuptools["packages"]["find"]["where"], *files, *grafted]
    return sorted({*own, *(path.split("/")[0] for path in named)})


def _files_named(said: dict[str, Any]) -> Iterator[str]:
    """Values of every key `file`."""
    for key, value in said.items():
        if key == "file":
            yield from value
        elif isinstance(value, dict):
            yield from _files_named(value)


def lines_of(path: Path) -> list[str]:
    """Lines without comments and blanks; a line that ends in a backslash goes on in the next."""
    kept = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(kept).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip()]


def copied(dockerfile: Path = DOCKERFILE) -> list[str]:
    """Sources of the Dockerfile's COPY lines."""
    return [source for line in lines_of(dockerfile) if line.startswith("COPY ") for source in line.split()[1:-1]]


def section(name: str, definition: Path = DEFINITION) -> list[str]:
    """Lines of a section of Apptainer's definition."""
    found = lines_of(definition)
    start = found.index(f"%{name}") + 1
    ends = [number for number, line in enumerate(found) if number >= start and line.startswith("%")]
    return found[start : ends[0] if ends else None]


def files() -> dict[str, str]:
    """What Apptainer's definition copies, and where to."""
    return dict(line.split() for line in section("files"))


def steps(lines: list[str]) -> list[str]:
    """Steps of ``install.sh`` in the order of their calls."""
    return [step for line in lines for step in re.findall(r"/opt/install\.sh (\w+)", line)]


def _matches(pattern: str, path: str) -> bool:
    parts = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    # What lies in a folder that matches does so, too.
    return re.fullmatch(f"{parts}(?:/.*)?", path) is not None


def in_context(path: str, rules: list[str] | None = None) -> bool:
    """Whether ``.dockerignore`` lets a file into the image: the last rule that matches it says so.

    Args:
        path: Relative to the repository.
        rules: Lines of the file; those of the project's by default.
    """
    kept = True
    for rule in rules if rules is not None else lines_of(IGNORE):
        if _matches(rule.removeprefix("!"), path):
            kept = rule.startswith("!")
    return kept
