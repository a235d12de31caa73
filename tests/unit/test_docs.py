"""What the pages say to type: each command is one that its program takes, and a page says where its programs are."""

import re
import shlex
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser
from study_config import ROOT

from cascade_equivalence.cli.tree import build_parser

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / name / "README.md" for name in ("config", "profiles")),
]
PROGRAMS = ("snakemake", "cascade-equivalence")
ACTIVATED = "/activate`|^ *\\. .venv/bin/activate$"


def commands(page: Path) -> list[str]:
    """Commands of a page that begin with a program of the project: in blocks for a shell, and within sentences."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE))
    found = (re.sub(r" +#.*", "", line).strip() for line in (*lines, *spans))
    # Words for many, as in `list systems|models`, and what is left open are no commands to type.
    return [line for line in found if line.startswith(PROGRAMS) and " " in line and not re.search(r"[|]|\.\.\.", line)]


CASES = [(page, command) for page in PAGES for command in commands(page)]
TYPED = sorted({page for page, command in CASES if len(command.split()) > 2})


def test_commands_are_found() -> None:
    assert {command.split()[0] for _, command in CASES} == set(PROGRAMS)
    assert len(CASES) > 30 and len(TYPED) > 5


@pytest.mark.parametrize(
    ("page", "command"), CASES, ids=[f"{page.relative_to(ROOT)}: {command}" for page, command in CASES]
)
def test_a_command_is_one_that_its_program_takes(page: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, *words = shlex.split(command)
    parser = build_parser() if program == "cascade-equivalence" else get_argument_parser()
    try:
        # One word more is the name of a command in a sentence.
        parser.parse_args(words if len(words) > 1 else [*words, "--help"])
    except SystemExit as ended:
        assert ended.code == 0, f"{page}: {capsys.readouterr().err}"


@pytest.mark.parametrize("page", TYPED, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_says_how_its_programs_come_to_be_known_before_the_first_is_typed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    said = re.search(ACTIVATED, text, re.MULTILINE)
    assert said is not None
    first = re.search(rf"^ *({'|'.join(PROGRAMS)}) ", text, re.MULTILINE)
    assert first is None or said.start() < first.start()
