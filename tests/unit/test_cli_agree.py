"""`agree` on the command line: light, narrow, safe to show, and one line for whatever is wrong."""

import csv
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from answer_files import inspect_archive, write_csv
from study_config import ROOT

Command = Callable[..., int]
PLANTED = "<script>alert('planted')</script> & \"more\" \x1b[31m"
VOID = {"meta"}
HEAVY = {"torch", "transformers", "pandas", "sklearn", "jinja2", "snakemake", "matplotlib", "pyarrow", "datasets"}


def rows(wrong: int, count: int = 30) -> list[dict[str, Any]]:
    """Answers of which some of the first are wrong."""
    return [
        {
            "id": f"q{number}",
            "answer": "no" if number < wrong else "yes",
            "label": "yes" if number % 5 else "maybe",
            "text": f"{PLANTED} {number}",
        }
        for number in range(count)
    ]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write_csv(tmp_path / "a.csv", rows(4)), write_csv(tmp_path / "b.csv", rows(7))


class Tags(HTMLParser):
    """The open elements and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not any(name.startswith("on") or name in ("src", "srcset") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_runs_without_the_libraries_that_models_need(files: tuple[Path, Path], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        f"hidden = {HEAVY!r}\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        return None if name.partition('.')[0] in hidden else PathFinder.find_spec(name, path, target)\n"
        "sys.meta_path[sys.meta_path.index(PathFinder)] = Without()\n"
        "from cascade_equivalence.__main__ import main\n"
        f"sys.argv = ['cascade-equivalence', 'agree', {str(files[0])!r}, {str(files[1])!r}, '--html',"
        f" {str(tmp_path / 'p.html')!r}, '--csv', {str(tmp_path / 'n.csv')!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "κ of A and B" in done.stdout and (tmp_path / "p.html").is_file() and (tmp_path / "n.csv").is_file()


def test_lines_fit_a_narrow_terminal_and_obey_nothing_in_the_files(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = [row | {"task": task, "id": f"{row['id']}{'x' * 90}"} for task in ("t" * 90, "short") for row in rows(5)]
    paths = [write_csv(tmp_path / f"{'name' * 30}{name}.csv", long) for name in "ab"]
    assert command("agree", *paths, paths[0], "--items", 3) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 78
    assert all(line.isprintable() for line in said.splitlines())
    assert said.count("gold maybe") + said.count("gold yes") <= 6


def test_the_page_is_whole_by_itself_and_shows_the_files_texts_as_texts(
    command: Command, files: tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    assert command("agree", *files, "--html", path, "--names", f"<b>one</b>,{PLANTED}") == 0
    page = path.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert not tags.open and "script" not in tags.seen and "b" in tags.seen
    assert tags.text.count("<script>alert('planted')</script>") > 5 and "<b>one</b>" in tags.text
    assert not re.search(r"(https?:)?//(?!www\.w3)", page.replace("</", "")) and "default-src 'none'" in page
    for number in range(4):
        assert f"{PLANTED} {number}" in tags.text


def test_tables_and_json_say_what_the_terminal_says(
    command: Command, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers, wrong = tmp_path / "n.csv", tmp_path / "w.csv"
    assert command("agree", *files, "--csv", numbers, "--wrong", wrong, "--json") == 0
    said = capsys.readouterr()
    assert str(numbers) in said.err and str(wrong) in said.err
    (task,) = json.loads(said.out)["tasks"]
    with numbers.open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["kappa"]) == task["kappa"]["value"] and row["together_verdict"] == task["verdicts"]["together"]
    with wrong.open() as file:
        assert [row["id"] for row in csv.DictReader(file)] == [item["id"] for item in task["items_both_wrong"]]


def test_a_cell_that_a_spreadsheet_would_run_is_made_a_text(command: Command, tmp_path: Path) -> None:
    table = [row | {"answer": "=1+1"} for row in rows(3)]
    paths = [write_csv(tmp_path / f"{name}.csv", table) for name in "ab"]
    assert command("agree", *paths, "--wrong", tmp_path / "w.csv") == 0
    with (tmp_path / "w.csv").open() as file:
        assert {row["a"] for row in csv.DictReader(file)} == {"'=1+1"}


def test_what_does_not_join_is_said_and_can_be_an_error(
    command: Command, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = write_csv(tmp_path / "part.csv", rows(4)[2:])
    assert command("agree", files[0], part) == 0
    assert "part has no answer to 2 items (q0, q1) of 30" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="part has no answer"):
        command("agree", files[0], part, "--strict")


def test_of_several_scores_of_a_table_the_one_that_is_asked_for_counts(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = [{"id": row["id"], "strict": 0, "loose": 1, "group": row["id"]} for row in rows(3)]
    paths = [write_csv(tmp_path / f"{name}.csv", table) for name in "ab"]
    for score, right in (("strict", 0), ("loose", 1)):
        assert command("agree", *paths, "--score", score, "--json") == 0
        (task,) = json.loads(capsys.readouterr().out)["tasks"]
        assert task["accuracy_a"]["value"] == right


WRONG: dict[str, tuple[list[Any], str]] = {
    "a file that is not there": (["gone.csv"], r"gone\.csv does not exist"),
    "no such format": (["b.csv", "--format", "evals"], "no format of answers 'evals'"),
    "no such field": (["b.csv", "--map", "colour=x"], "no such field"),
    "no mapping": (["b.csv", "--map", "id"], "no FIELD=COLUMN"),
    "no such task": (["named.csv", "--task", "gone"], "--task gone"),
    "names that are one": (["b.csv", "--names", "x,x"], "--names"),
    "no item in common": (["others.csv"], "are the ids of one kind"),
    "another format": (["log.eval"], "pip install inspect_ai"),
    "a format that the file is not of": (["b.csv", "--format", "inspect"], r"does not look like Inspect.*CSV"),
    "a score that a table has not": (["b.csv", "--score", "exact"], r"no score 'exact'; it has id"),
    "a score that a study has not": (["own.parquet", "--score", "exact"], "no score 'exact'; it has correct"),
    "no answers": (["scores.csv", "--by", "answers"], "no answers"),
    "a folder of nothing": (["empty"], "without a file of answers"),
    "a column that no file has": (["b.csv", "--map", "answer=predicted"], "--map answer=predicted"),
    "an output that is compared": (["b.csv", "--wrong", "b.csv"], r"b\.csv holds answers"),
    "an output that is a folder": (["b.csv", "--html", "empty"], "empty is a folder"),
    "two outputs in one file": (["b.csv", "--csv", "x.csv", "--wrong", "x.csv"], "different files"),
    "labels that are not all": (["b.csv", "--labels", "yes"], "--labels"),
}


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_line_and_the_status_of_a_users_error(
    words: list[Any], said: str, command: Command, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = files[0].parent
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    write_csv(folder / "named.csv", [row | {"task": "t"} for row in rows(1)])
    write_csv(folder / "others.csv", [row | {"id": f"other {row['id']}"} for row in rows(1)])
    write_csv(folder / "scores.csv", [{"id": row["id"], "correct": 1} for row in rows(1)])
    inspect_archive(folder / "log.eval")
    own = {"id": "q0", "voice": "us", "group": "q0", "label": "no", "raw": "no", "parsed": "no", "correct": True}
    pl.DataFrame([own]).write_parquet(folder / "own.parquet")
    (folder / "empty").mkdir()
    first = words[0] if words[0] in ("named.csv", "own.parquet") else files[0]
    with pytest.raises(SystemExit) as caught:
        command("agree", first, *words)
    message = str(caught.value.code)
    assert message.startswith("Error: ") and len(message.splitlines()) == 1 and re.search(said, message)


def test_a_message_obeys_nothing_in_a_file_either(command: Command, tmp_path: Path) -> None:
    paths = [write_csv(tmp_path / f"{n}.csv", [{"id": f"\x1b[31m\n{n}", "answer": "x", "label": "x"}]) for n in "ab"]
    with pytest.raises(SystemExit, match="no item has an answer") as caught:
        command("agree", *paths)
    assert str(caught.value.code).isprintable()
    headless = write_csv(tmp_path / "c.csv", [{"\x1b[31m": 1, "answer": "x"}])
    with pytest.raises(SystemExit, match="no column id") as caught:
        command("agree", headless, paths[0])
    assert str(caught.value.code).isprintable()


@pytest.mark.parametrize("words", [["--margin", "3"], ["--confidence", "0"], ["--margin", "nan"]])
def test_a_share_that_is_none_is_named(
    words: list[str], command: Command, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command("agree", *files, *words)
    assert f"'{words[1]}'" in capsys.readouterr().err


def test_a_closed_output_is_no_traceback(files: tuple[Path, Path]) -> None:
    done = subprocess.run(
        f"{sys.executable} -m cascade_equivalence agree {files[0]} {files[1]} | head -c 5",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


PAGE = (ROOT / "docs" / "compare-answers.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```sh\n(.*?)\n```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("line", "output"), SHOWN, ids=[line for line, _ in SHOWN])
def test_the_page_shows_what_its_commands_print(
    line: str, output: str, command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert command(*shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out == output


def test_the_page_shows_the_command() -> None:
    assert len(SHOWN) == 2
