"""The demo's screen in the README, as the finished demo prints it.

    python tests/sample.py

writes it anew, from results/demo.
"""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCK = re.compile(r"(<!-- demo:begin -->\n```text\n)(.*?)(```\n<!-- demo:end -->)", re.DOTALL)
WHERE = re.compile(r"\S*/(results/demo/report\.html)")


def printed(folder: Path = README.parent) -> str:
    """What the finished demo ends in, without where the folder is."""
    command = [sys.executable, "-m", "cascade_equivalence", "show", "config/demo.yaml"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return WHERE.sub(r"\1", done.stdout).rstrip("\n") + "\n"


def shown() -> str:
    """What the README shows."""
    found = BLOCK.search(README.read_text(encoding="utf-8"))
    assert found is not None, "the README has no marked block for the demo's screen"
    return found[2]


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(lambda old: old[1] + printed() + old[3], text), encoding="utf-8")
