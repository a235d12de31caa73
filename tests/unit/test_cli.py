"""The command line: each command and argument says what it is; whatever ends a command is one line and a status."""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from recorded_study import config, make_study
from report_study import build, write_study
from study_config import BASE, ROOT, changed

from cascade_equivalence import __version__
from cascade_equivalence.cli.commands.check import check_file
from cascade_equivalence.cli.main import INTERRUPTED, UNEXPECTED
from cascade_equivalence.cli.study import recorded_statistics, results_of
from cascade_equivalence.cli.tree import build_parser
from cascade_equivalence.config.check_folders import place_problems
from cascade_equivalence.config.load import is_registry, load_study
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources.folder import location

Command = Callable[..., int]


def parsers() -> dict[str, argparse.ArgumentParser]:
    (tree,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(tree.choices)


def arguments() -> Iterator[tuple[str, argparse.Action]]:
    return ((name, action) for name, parser in parsers().items() for action in parser._actions)


def test_every_command_and_every_argument_has_its_help() -> None:
    assert {"check", "completion", "init", "list", "show", "verify", "compare", "crate", "pack"} <= parsers().keys()
    for name, parser in parsers().items():
        assert (parser.description or "").strip().endswith((".", "?", "compinit", "config.fish")), name
    for name, action in arguments():
        assert action.help and action.help.strip(), f"{name} {action.dest}"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["check", "--help"], ["completion", "bash"]])
def test_nothing_heavy_is_imported_for_help(words: list[str]) -> None:
    code = (
        "import sys\nfrom cascade_equivalence.__main__ import main\n"
        f"sys.argv = ['cascade-equivalence', *{words}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "polars", "numpy", "pandas", "scipy", "transformers", "pydantic", "yaml", "rich", "snakemake"}
    assert not heavy & set(done.stderr.split())


def test_the_version_has_its_name(capsys: pytest.CaptureFixture[str], command: Command) -> None:
    assert command("--version") == 0
    assert capsys.readouterr().out.split() == ["cascade-equivalence", __version__]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("compare", "a", "b", "--tolerance", "wide"), "wide"),
        (("compare", "a", "b", "--tolerance", "2"), "2"),
        (("compare", "a", "b", "--tolerance", "nan"), "nan"),
        (("engines", "c.yaml", "--items", "few"), "few"),
        (("engines", "c.yaml", "--items", "0"), "0"),
        (("list", "colours"), "colours"),
    ],
)
def test_an_argument_that_is_no_number_is_named(
    words: tuple[str, ...], value: str, capsys: pytest.CaptureFixture[str], command: Command
) -> None:
    with pytest.raises(SystemExit):
        command(*words)
    assert f"'{value}'" in capsys.readouterr().err


def test_both_spellings_of_a_licence_are_taken() -> None:
    for word in ("--licence", "--license"):
        for name in ("crate", "pack"):
            assert build_parser().parse_args([name, "results", word, "https://x.org"]).licence == "https://x.org"


# -- what ends a command ------------------------------------------------------------------------------------


def test_a_fault_of_the_program_is_one_line_and_a_log(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cascade_equivalence.cli.study.read_study", fail)
    (tmp_path / ".snakemake" / "log").mkdir(parents=True)
    (tmp_path / "s.yaml").touch()
    assert command("estimate", "s.yaml") == UNEXPECTED
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "Traceback" not in said and "issue tracker" in said
    (log,) = (tmp_path / ".snakemake" / "log").iterdir()
    assert log.name in said and "Traceback" in log.read_text()


def test_an_interrupted_command_says_nothing(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cascade_equivalence.cli.study.read_study", stop)
    assert command("estimate", "s.yaml") == INTERRUPTED
    assert capsys.readouterr() == ("", "")


def test_a_place_that_cannot_be_written_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for words in (("schema", tmp_path / "file"), ("init", tmp_path / "file" / "s.yaml"), ("init", "a\nb")):
        with pytest.raises(SystemExit) as caught:
            command(*words)
        assert "Error: " in str(caught.value.code) and len(str(caught.value.code).splitlines()) == 1


def test_what_is_written_is_said(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("schema", tmp_path / "new") == 0
    assert {line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()} == {
        str(path) for path in (tmp_path / "new").iterdir()
    }


# -- commands that help to begin ----------------------------------------------------------------------------


def test_a_new_study_is_valid_and_nothing_is_overwritten(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deep" / "my study.yaml"
    assert command("init", path) == 0
    assert str(path) in capsys.readouterr().out
    assert "valid study" in check_file(path)
    assert yaml.safe_load(path.read_text())["results"] == "results/my-study"
    path.write_text("mine")
    with pytest.raises(SystemExit, match="is there already"):
        command("init", path)
    assert path.read_text() == "mine"


BESIDE = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("name", "place", "activated"),
    [("study.yaml", "clone", True), ("my own $study.yaml", "clone", False), ("study.yaml", "elsewhere", False)],
)
def test_the_commands_that_a_new_study_names_work_from_where_the_user_is(
    tmp_path: Path, name: str, place: str, activated: bool
) -> None:
    folder = tmp_path / place
    folder.mkdir()
    if place == "clone":
        for part in ("workflow", "src", "config", "profiles"):
            (folder / part).symlink_to(ROOT / part)
    path = os.pathsep.join([*([str(BESIDE)] if activated else []), os.defpath])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")}

    def typed(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    done = typed(f"{shlex.quote(str(BESIDE))}/cascade-equivalence init {shlex.quote(name)}")
    assert done.returncode == 0, done.stderr
    run_it = done.stdout.splitlines()[-1].strip()
    assert (run_it.split()[0] == "snakemake") is activated
    assert ("--snakefile" in run_it) is (place == "elsewhere")
    assert f"#   {run_it}" in (folder / name).read_text().splitlines()
    (check,) = re.findall("`(.*)`", done.stdout)
    checked = typed(check)
    assert checked.returncode == 0 and "valid study" in checked.stdout, checked.stderr
    refused = typed(check.replace(" check ", " show "))
    assert refused.returncode == 1 and run_it in refused.stderr
    planned = typed(f"{run_it} --dry-run --quiet rules")
    assert planned.returncode == 0, planned.stderr


@pytest.mark.parametrize("kind", ["systems", "models", "voices", "tasks", "concepts", "noises"])
def test_what_can_be_named_is_listed(kind: str, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list", kind) == 0
    lines = capsys.readouterr().out.splitlines()
    assert command("list", kind, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [line.split()[0] for line in lines] == list(found) and all(found.values())
    assert command("list", kind, ROOT / "config" / "demo.yaml", "--json") == 0
    own = json.loads(capsys.readouterr().out)
    # The demo lists no registry of endpoints.
    assert own.keys() <= found.keys() and bool(found.keys() - own.keys()) == (kind in ("systems", "models"))
    if kind == "systems":
        assert set(BASE["systems"]) <= found.keys()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command_and_option(
    shell: str, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("completion", shell) == 0
    script = capsys.readouterr().out
    for name, action in arguments():
        for word in (name, *action.option_strings[-1:], *map(str, action.choices or ())):
            assert word.removeprefix("--") in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)
    if shell == "bash":
        tried = f"{script}\nCOMP_WORDS=(cascade-equivalence li); COMP_CWORD=1; _cascade_equivalence; echo $COMPREPLY"
        assert (
            subprocess.run(["bash", "-c", tried], capture_output=True, text=True, check=False).stdout.strip() == "list"
        )


def test_the_headline_is_numbers_too(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = build(write_study(tmp_path))
    monkeypatch.setattr("cascade_equivalence.report.tables.Tables.read", lambda _: tables)
    with pytest.raises(SystemExit, match="report"):
        command("show", tmp_path, "--json")
    (tmp_path / "report.html").touch()
    assert command("show", tmp_path, "--json") == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert {row["system"] for row in found["accuracy"]} == set(tables.accuracy["system"])
    assert found["agreement"] and {row["condition"] for row in found["agreement"]} == {"clean"}


def test_a_command_takes_the_config_or_the_results(tmp_path: Path, command: Command) -> None:
    assert command("init", tmp_path / "s.yaml") == 0
    assert results_of(tmp_path / "s.yaml") == Path("results/s")
    results = make_study(tmp_path)
    assert results_of(results) == results
    assert recorded_statistics(results) == config().statistics
    with pytest.raises(StudyError, match="name the config"):
        recorded_statistics(results / "tables")


# -- folders ------------------------------------------------------------------------------------------------


def places(tmp_path: Path, **changes: object) -> list[str]:
    return list(place_problems(load_study(changed(**changes), ROOT), ROOT, location))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"noise__folder": "no/talkers", "noise__babble_voices": []}, "noise.folder"),
        ({"items__source": "published", "items__folder": "no/sets"}, "items.folder"),
        ({"results": "src/results"}, "results"),
        ({"results": "Makefile"}, "results"),
        ({"results": str(ROOT)}, "results"),
        ({"models_folder": str(ROOT / "tests" / "x")}, "models_folder"),
        (
            {
                "speech__voices": ["heart", "us", "gb", "own"],
                "definitions__voices": {"own": {"provider": "recordings", "folder": "no/sound"}},
            },
            "voices.own.folder",
        ),
        (
            {
                "definitions__models": {
                    "gemma-3-270m": {"role": "llm", "licence": "x", "source": {"kind": "path", "path": "no/weights"}}
                }
            },
            "models.gemma-3-270m.source.path",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_folder_that_is_missing_or_taken_is_one_line(
    changes: dict[str, object], key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (line,) = places(tmp_path, **changes)
    assert line.startswith(f"{key}: ")
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(changed(**changes)))
    with pytest.raises(StudyError, match=re.escape(key)):
        check_file(path)
    assert "valid" in check_file(path, elsewhere=True)


def test_folders_that_are_there_are_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("talkers", *(f"sets/{task}" for task in BASE["tasks"])):
        (tmp_path / name).mkdir(parents=True)
    assert places(tmp_path) == []
    assert places(tmp_path, noise__folder=str(tmp_path / "talkers"), noise__babble_voices=[]) == []
    assert places(tmp_path, items__source="published", items__folder=str(tmp_path / "sets")) == []
    # Recordings of a published set are unpacked into this folder by the study itself.
    own = {"own": {"provider": "recordings", "folder": "results/sets/recordings"}}
    voices = {"speech__voices": ["heart", "us", "gb", "own"], "definitions__voices": own}
    assert places(tmp_path, items__source="published", **voices) == []


# -- what the documents show --------------------------------------------------------------------------------

BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "config" / "README.md").read_text(encoding="utf-8"), re.DOTALL)
EXAMPLES = [block for block in BLOCKS if is_registry(yaml.safe_load(block))]


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.split()[1])
def test_an_example_of_a_registry_is_valid_and_can_be_used(block: str, tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(block)
    assert "valid registry" in check_file(tmp_path / "example.yaml")
    example = yaml.safe_load(block)
    uses: dict[str, object] = {"definitions": example, "pairs": []}
    if systems := list(example.get("systems", {})):
        uses |= {"systems": systems}
    if voices := list(example.get("voices", {})):
        uses |= {"speech__voices": ["heart", "us", "gb", *voices]}
    assert load_study(changed(**uses), ROOT)


def test_the_documents_show_an_api_a_local_server_and_recordings() -> None:
    # Recordings are shown within a study, which their own tests read.
    shown = "".join(BLOCKS)
    assert all(word in shown for word in ("kind: api", "key_env: ''", "pattern: "))
