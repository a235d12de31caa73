"""Whatever is wrong with a study or a registry, `check` names it: exit status 1, no traceback, soon, little memory."""

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from bad_inputs import REGISTRY, STUDY, Bad, bad_registries, bad_studies
from study_config import ROOT
from test_config_read import REFUSED

SECONDS, MEGABYTES = 5.0, 300
SHORT = 11
"""Each so many-th bad file is tried in the short form, another one of each kind."""

Command = Callable[..., int]


def told(bad: Bad, path: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> str | None:
    """What is not as it should be when `check` reads a bad file; None if nothing is."""
    path.write_text(json.dumps(bad.content))
    start = time.monotonic()
    try:
        code = command("check", path)
    except BaseException as error:  # a traceback, which a user would see
        return f"{bad.kind}: {error!r}"
    seconds = time.monotonic() - start
    out, err = capsys.readouterr()
    if code != 1 or out or "Traceback" in err:
        return f"{bad.kind}: exit status {code}, {out}{err}"
    if bad.key not in err or str(path) not in err:
        return f"{bad.kind}: {bad.key} or the file is not named in {err}"
    if any(len(line) > len(str(path)) + 600 for line in err.splitlines()):
        return f"{bad.kind}: a line without end, {err}"
    return None if seconds < SECONDS else f"{bad.kind}: took {seconds} s"


def try_all(every: Sequence[Bad], tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    faults = [fault for bad in every if (fault := told(bad, tmp_path / "bad.json", command, capsys))]
    assert not faults, f"{len(faults)} of {len(every)}:\n" + "\n".join(faults[:30])
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert used < MEGABYTES
    with capsys.disabled():
        print(f" {len(every)} bad files", end="", file=sys.stderr)


def test_the_files_that_are_made_bad_are_good(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    for content, said in ((STUDY, "valid study"), (REGISTRY, "valid registry")):
        (tmp_path / "good.json").write_text(json.dumps(content))
        assert command("check", tmp_path / "good.json") == 0
        assert said in capsys.readouterr().out


@pytest.mark.parametrize("make", [bad_studies, bad_registries])
def test_a_bad_file_is_told(
    make: Callable[[], Sequence[Bad]],
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    every = list(make())
    assert len(every) > 150 * SHORT / 2
    try_all(every[::SHORT], tmp_path, command, capsys)


@pytest.mark.long
@pytest.mark.parametrize("make", [bad_studies, bad_registries])
def test_every_bad_file_is_told(
    make: Callable[[], Sequence[Bad]],
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    try_all(list(make()), tmp_path, command, capsys)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("words", [("check",), ("show",), ("estimate",), ("engines",), ("list", "voices"), ("verify",)])
def test_every_command_tells_a_file_that_cannot_be_read(
    words: tuple[str, ...], name: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if words != ("check",) and name.startswith(("many", "3,000", "100,000")):
        pytest.skip("slow, and the same reader")
    path = tmp_path / "bad.yaml"
    path.write_bytes(REFUSED[name])
    try:
        assert command(*words, path) == 1
        said = capsys.readouterr().err
    except SystemExit as end:
        said = str(end.code)
    assert str(path) in said and len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "empty"),
        ("# nothing\n", "empty"),
        ("null\n", "empty"),
        ("5\n", "keys"),
        ("word\n", "keys"),
        ("- tasks\n", "keys"),
        ("task: [sst2]\n", "did you mean 'tasks'"),
        ("tasks: sst2\n", "tasks"),
        ("tasks:\nspeech: {voices: [us]}\n", "tasks"),
        ("systems: [a]\n", "tasks"),
        ("voices: {}\nvoice: {}\n", "did you mean 'voices'"),
        ("tasks: {sst2: 5}\n", "sst2"),
    ],
)
def test_what_is_no_study_is_no_silence(
    content: str, named: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(content)
    assert command("check", path) == 1
    said = capsys.readouterr().err
    assert str(path) in said and named in said


def test_each_file_has_its_own_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "empty.yaml").touch()
    wrong = [tmp_path / "empty.yaml", tmp_path, tmp_path / "none.yaml", tmp_path / ("n" * 300), ROOT / "LICENSE"]
    assert command("check", "config/voices.yaml", *wrong, "config/demo.yaml") == 1
    said = capsys.readouterr()
    assert [line.partition(":")[0] for line in said.out.splitlines()] == ["config/voices.yaml", "config/demo.yaml"]
    assert len(said.err.splitlines()) == len(wrong)
    assert all(str(path) in line for path, line in zip(wrong, said.err.splitlines(), strict=True))
