"""What the pages say to type is what programs take, a page says where its programs are, and links lead somewhere."""

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
    ROOT / "RESULTS.md",
    *(ROOT / "docs").rglob("*.md"),
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


# -- where links lead ----------------------------------------------------------------------------------------

FOLDERS = [each for each in ROOT.iterdir() if each.is_dir() and not each.name.startswith(".")]
WRITTEN = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(page for each in FOLDERS for page in each.rglob("*.md"))]
    if path.parent == ROOT / "results" or path.parts[len(ROOT.parts)] != "results"
)
"""Every page of the project; what studies have made lies under ``results``."""


def prose(page: Path) -> str:
    """A page without what is code."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "`code`", text)


def anchors(page: Path) -> set[str]:
    """What can stand behind `#` in a link to a page: its headings, as GitHub makes them names."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(name if name not in found else f"{name}-{sum(each.startswith(name) for each in found)}")
    return found


LINKS = [(page, link) for page in WRITTEN for link in re.findall(r"\]\(([^)\s]+)\)", prose(page))]
OWN_LINKS = [(page, link) for page, link in LINKS if not re.match(r"[a-z]+:", link)]


def test_links_are_found() -> None:
    assert len(OWN_LINKS) > 100 and len({page for page, _ in OWN_LINKS}) > 15


@pytest.mark.parametrize("page", sorted({page for page, _ in OWN_LINKS}), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for link in (link for where, link in OWN_LINKS if where == page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_relative_to(ROOT) and target.exists(), f"{page}: {link}"
        if anchor:
            assert target.suffix == ".md" and anchor in anchors(target), f"{page}: {link}"


def test_every_page_of_docs_stands_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for page, link in OWN_LINKS if page == index}
    assert set((ROOT / "docs").rglob("*.md")) - {index} <= listed


def test_every_folder_that_a_study_makes_stands_in_the_page_of_results() -> None:
    stages = (path.read_text(encoding="utf-8") for path in (ROOT / "src/cascade_equivalence/stages").glob("*.py"))
    made = {name for text in stages for name in re.findall(r"\{study\.results\}/([a-z]+)\b", text)}
    page = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    assert len(made) > 20 and not [name for name in made if f"`{{study}}/{name}" not in page]


def test_the_first_pages_are_short() -> None:
    for name, most in (("README.md", 150), ("RESULTS.md", 120)):
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= most
