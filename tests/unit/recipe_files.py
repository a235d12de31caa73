"""What of the project goes into an image: the rules of ``.dockerignore``, and what the two recipes copy."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "containers" / "Dockerfile"
DEFINITION = ROOT / "containers" / "cascade-equivalence.def"
INSTALL = ROOT / "containers" / "install.sh"
IGNORE = ROOT / ".dockerignore"


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
