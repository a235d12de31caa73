"""A run shows a line a stage: what is done, what failed and why, about how long it will take; never a line a job."""

import io
import json
import logging
import os
import pty
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence.jobs import screen
from cascade_equivalence.jobs.screen import (
    DrawnLines,
    PrintedLines,
    StageLines,
    last_lines,
    show_stages,
    stages_of,
    usual_seconds,
)
from cascade_equivalence.jobs.time_left import TimeLeft, in_words

STAGES = {"transcribe": "transcribe", "answer": "answer", "answer_again": "answer"}


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Run:
    """A logger that is told what Snakemake tells its own, and what came of it."""

    def __init__(self, stats: Mapping[str, int], usual: Mapping[str, float] | None = None, notes: Path | None = None):
        self.clock, self.stream = Clock(), io.StringIO()
        self.handler = StageLines(lambda: STAGES, lambda: usual or {}, PrintedLines(self.stream), notes, self.clock)
        self.tell("run_info", stats=dict(stats) | {"all": 1, "total": sum(stats.values()) + 1})

    def tell(self, event: str | None, text: str = "", level: int = logging.INFO, **values: Any) -> None:
        record = logging.LogRecord("snakemake", level, "", 0, text, (), None)
        record.__dict__.update(values)
        if event:
            record.event = event
        self.handler.emit(record)

    def begin(self, number: int, rule: str) -> None:
        self.tell("job_info", jobid=number, rule_name=rule, rule_msg=f"Doing {number}")

    def finish(self, number: int) -> None:
        self.tell("job_finished", job_id=number)

    def fail(self, number: int, rule: str, *log: Path) -> None:
        self.tell("job_error", jobid=number, rule_name=rule, log=list(map(str, log)))

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@given(st.lists(st.sampled_from(sorted(STAGES)), min_size=1, max_size=60), st.randoms())
def test_a_stage_has_a_line_when_it_begins_and_one_when_it_ends(rules: list[str], order: Any) -> None:
    run = Run({rule: rules.count(rule) for rule in set(rules)})
    waiting, running = list(enumerate(rules)), []
    while waiting or running:
        if waiting and (not running or order.random() < 0.5):
            running.append(waiting.pop())
            run.begin(*running[-1])
        else:
            run.clock.now += 1
            run.finish(running.pop(order.randrange(len(running)))[0])
    for stage in {STAGES[rule] for rule in rules}:
        total = sum(STAGES[rule] == stage for rule in rules)
        mine = [line for line in run.lines if line.startswith(f"{stage}: ")]
        assert [line.partition(" of ")[0] for line in mine] == [f"{stage}: 0", f"{stage}: {total}"]


def test_what_fails_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "answer.log"
    log.write_text("first: 3 to do\nTraceback (most recent call last):\n  ...\nError: no such voice\n  in `x`\n")
    run = Run({"answer": 2, "transcribe": 1})
    run.begin(1, "answer")
    run.tell("error", 'RuleException:\nCalledProcessError in file "answer.smk", line 3', logging.ERROR)
    run.fail(1, "answer", log)
    said = run.stream.getvalue()
    assert "Doing 1" in said and str(log) in said and "no such voice\n" in said and "in `x`" in said
    assert "CalledProcessError" not in said and "to do" not in said
    run.begin(3, "transcribe")
    assert "1 failed" in run.lines[-1]
    # Tried again it has failed no more.
    run.begin(1, "answer")
    run.finish(1)
    run.begin(2, "answer")
    run.finish(2)
    assert run.lines[-1].startswith("answer: 2 of 2") and "failed" not in run.lines[-1]


def test_of_a_log_without_an_error_of_its_own_the_end_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {n}" for n in range(50)))
    assert last_lines(log)[-1] == "line 49" and len(last_lines(log)) < 10
    assert last_lines(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("text", "level", "shown"),
    [
        ("Nothing to be done (all requested files are present and up to date).", logging.INFO, True),
        ("Select jobs to execute...", logging.INFO, False),
        ("Execute 2 jobs...", logging.INFO, False),
        ("The disk is full", logging.ERROR, True),
        ("Complete log(s): x.log", logging.INFO, True),
    ],
)
def test_of_what_snakemake_says_beside_jobs_what_matters_is_shown(text: str, level: int, shown: bool) -> None:
    run = Run({"answer": 1})
    run.tell(None, text, level)
    assert (text in run.lines) is shown


def test_notes_of_nodes_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = tmp_path / "notes"
    notes.touch()
    monkeypatch.setenv(screen.NOTES, str(notes))
    run = Run({"answer": 1}, notes=notes)
    with screen.beside_log() as file:
        assert not file.isatty()
        print("A voice is not there.", file=file)
    run.begin(1, "answer")
    assert "A voice is not there." in run.lines
    run.handler.close()
    assert not notes.exists()
    # Where there are no notes, on another machine, it is standard error.
    with screen.beside_log() as file:
        assert os.path.sameopenfile(file.fileno(), 2)


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 9), min_size=1),
    st.floats(0.5, 50),
    st.integers(1, 4),
)
def test_jobs_that_take_alike_leave_what_is_left(planned: dict[str, int], seconds: float, side_by_side: int) -> None:
    clock = Clock()
    time_left = TimeLeft(planned, {}, clock)
    assert time_left.left() is None
    todo = [rule for rule, count in planned.items() for _ in range(count)]
    total = len(todo)
    for done in range(0, total - total % side_by_side, side_by_side):
        for number in range(done, done + side_by_side):
            time_left.begin(number, todo[number])
        clock.now += seconds
        for number in range(done, done + side_by_side):
            assert time_left.end(number, done=True) == todo[number]
        ended, left = todo[: done + side_by_side], todo[done + side_by_side :]
        of_known = sum(rule in ended for rule in left)
        expected = pytest.approx(len(left) * seconds / side_by_side) if 2 * of_known >= len(left) else None
        assert time_left.left() == expected


def test_what_such_jobs_took_before_counts_until_this_run_knows_better() -> None:
    clock = Clock()
    time_left = TimeLeft({"a": 2, "b": 1}, {"a": 10.0, "b": 100.0}, clock)
    assert time_left.left() == 120
    time_left.begin(1, "a")
    clock.now = 4
    assert time_left.left() == pytest.approx(116)
    assert time_left.end(1, done=True) == "a" and time_left.end(1, done=True) is None
    assert time_left.left() == pytest.approx(104)
    time_left.begin(2, "a")
    assert time_left.end(2, done=False) == "a" and time_left.left() == pytest.approx(104)


def test_records_say_how_long_jobs_took(tmp_path: Path) -> None:
    for number, seconds in enumerate((2.0, 4.0)):
        file = tmp_path / "records" / "answer" / f"{number}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"rule": "answer", "seconds": seconds}))
    (tmp_path / "records" / "answer" / "torn.json").write_text("{")
    assert usual_seconds([tmp_path, tmp_path / "none"]) == {"answer": 3.0}


def test_a_stage_is_a_file_of_rules() -> None:
    rules = [("all", "workflow/Snakefile"), ("answer", "/x/workflow/rules/answer.smk"), ("b", "rules/lens.smk")]
    workflow = SimpleNamespace(rules=[SimpleNamespace(name=name, snakefile=file) for name, file in rules])
    assert stages_of(workflow) == {"answer": "answer", "b": "lens"}


def test_a_terminal_is_drawn_in_place_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w", buffering=1) as terminal:
        lines = DrawnLines(terminal)
        lines.plan({"answer": 2, "report": 1})
        lines.above("[a note]")
        for done in (0, 1, 2):
            lines.show("answer", done, 2, "about 2 min left")
        lines.close()
    shown = ""
    with suppress(OSError):  # what Linux says at the end
        while piece := os.read(reader, 1 << 16):
            shown += piece.decode()
    os.close(reader)
    assert "[a note]" in shown and "\x1b[?25h" in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n")
    final = {line.split()[0]: line for line in plain.splitlines() if re.match(r"(answer|report|whole)\b", line)}
    assert "2/2" in final["answer"] and "0/1" in final["report"] and "2/3" in final["whole"]
    assert "about 2 min left" in final["whole"]


@pytest.mark.parametrize(("seconds", "words"), [(3, "10 s"), (44, "40 s"), (150, "2 min"), (5400, "1.5 h")])
def test_times_are_told_as_exactly_as_they_are_known(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("quiet", "shown"), [(None, True), ({"host", "reason"}, True), ({"all"}, False), ({"progress"}, False)]
)
def test_who_asks_for_quiet_is_shown_no_stages(
    quiet: set[str] | None, shown: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snakemake.logging import logger
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import OutputSettings

    stream = logging.StreamHandler()
    stream.name = "DefaultStreamHandler"
    monkeypatch.setattr(logger, "handlers", [stream])
    monkeypatch.setenv("CASCADE_EQUIVALENCE_SHOW", "stages")
    monkeypatch.setenv("CASCADE_EQUIVALENCE_NOTES", "")
    asked = None if quiet is None else {Quietness[name.upper()] for name in quiet}
    show_stages(SimpleNamespace(output_settings=OutputSettings(quiet=asked), rules=[]), [tmp_path])
    assert any(isinstance(each, StageLines) for each in logger.handlers) == shown
    for each in logger.handlers:
        each.close()
