"""The picture of the workflow in the README: the demo's rules and what each is made from, drawn by Snakemake.

    python tests/picture.py

writes it anew. Rules that stand for one stage of several models are one box, and no arrow says what others say already.
"""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCK = re.compile(r"```mermaid\n.*?```", re.DOTALL)
# A rule a model: which models there are is the study's to say.
OF_MODELS = ("capture", "fit_erasers")
LAST = "all"

Edge = tuple[str, str]


def drawn(folder: Path = README.parent) -> str:
    """The picture, as Mermaid has it."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "mermaid-js", "--forceall", "--quiet"]
    study = ["--configfile", "config/demo.yaml", "--profile", "profiles/demo"]
    done = subprocess.run([*command, *study], cwd=folder, check=True, capture_output=True, text=True)
    return picture(edges_of(done.stdout))


def edges_of(graph: str) -> set[Edge]:
    """What is made from what, by stages, out of Snakemake's graph of rules."""
    names = {key: _stage(rule) for key, rule in re.findall(r"(id\d+)\[(\w+)\]", graph)}
    found = {(names[first], names[second]) for first, second in re.findall(r"(id\d+) --> (id\d+)", graph)}
    return {(first, second) for first, second in found if second not in (first, LAST)}


def reduced(edges: set[Edge]) -> set[Edge]:
    """The edges that no longer path stands for."""
    after: dict[str, set[str]] = {}
    for first, second in edges:
        after.setdefault(first, set()).add(second)

    def reaches(start: str, end: str) -> bool:
        return any(each == end or reaches(each, end) for each in after.get(start, ()))

    return {
        (first, second)
        for first, second in edges
        if not any(reaches(each, second) for each in after[first] if each != second)
    }


def picture(edges: set[Edge]) -> str:
    """Edges as a Mermaid block, a line for each stage that is made from others."""
    made_from: dict[str, list[str]] = {}
    for first, second in sorted(reduced(edges)):
        made_from.setdefault(second, []).append(first)
    lines = [f"  {' & '.join(firsts)} --> {second}" for second, firsts in sorted(made_from.items())]
    return "\n".join(["```mermaid", "flowchart TB", *lines, "```"])


def _stage(rule: str) -> str:
    return next((stage for stage in OF_MODELS if rule.startswith(f"{stage}_")), rule)


if __name__ == "__main__":
    README.write_text(BLOCK.sub(lambda _: drawn(), README.read_text(encoding="utf-8"), count=1), encoding="utf-8")
