"""What the documentation shows of finished studies, as they have it: the demo's screen, and tables.

    python tests/sample.py

writes it anew, from what lies in results: in the README what the demo ends in; in pages of docs/results, between these
lines, tables:

    <!-- table: STUDY/NAME -->
    <!-- table: end -->

where STUDY is config/STUDY.yaml and NAME a table in results/STUDY/tables. What has not run here stays as it is.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs" / "results").glob("*.md"))
BLOCK = re.compile(r"(<!-- demo:begin -->\n```text\n)(.*?)(```\n<!-- demo:end -->)", re.DOTALL)
TABLE = re.compile(r"(<!-- table: (\w+)/(\w+) -->\n)(.*?)(<!-- table: end -->)", re.DOTALL)
WHERE = re.compile(r"\S*/(results/demo/report\.html)")


def printed(folder: Path = ROOT) -> str:
    """What the finished demo ends in, without where the folder is."""
    command = [sys.executable, "-m", "cascade_equivalence", "show", "config/demo.yaml"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return WHERE.sub(r"\1", done.stdout).rstrip("\n") + "\n"


def shown() -> str:
    """What the README shows."""
    found = BLOCK.search(README.read_text(encoding="utf-8"))
    assert found is not None, "the README has no marked block for the demo's screen"
    return found[2]


def table(path: Path) -> str:
    """A table of a finished study: its title, its rows without blanks that only align them, and its marks."""
    title, *lines = path.read_text(encoding="utf-8").splitlines()
    rows = [re.sub(r" {2,}", " ", re.sub(r"-{3,}", "---", line)) for line in lines if line.startswith("|")]
    marks = [line for line in lines if line.startswith(("‡", "∘", "*"))]
    return "\n".join([f"**{title.lstrip('# ')}**", "", *rows, *[part for mark in marks for part in ("", mark)], ""])


def with_tables(page: str, results: Path = ROOT / "results") -> str:
    """A page with the tables of the studies that have run."""

    def filled(old: re.Match[str]) -> str:
        path = results / old[2] / "tables" / f"{old[3]}.md"
        return f"{old[1]}{table(path)}{old[5]}" if path.exists() else old[0]

    return TABLE.sub(filled, page)


if __name__ == "__main__":
    readme = README.read_text(encoding="utf-8")
    if (ROOT / "results" / "demo" / "report.html").exists():
        README.write_text(BLOCK.sub(lambda old: old[1] + printed() + old[3], readme), encoding="utf-8")
    for each in PAGES:
        old = each.read_text(encoding="utf-8")
        if (new := with_tables(old)) != old:
            each.write_text(new, encoding="utf-8")
