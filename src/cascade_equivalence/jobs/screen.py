"""What a run shows while it works: a line a stage, with counts and the time left; Snakemake's own log has the rest.

Asked for by the environment variable ``CASCADE_EQUIVALENCE_SHOW=stages``, which ``make demo`` sets. On a terminal the
lines are drawn in place; elsewhere a line is written when a stage begins and one when it ends. A stage is a file of
``workflow/rules``. What fails is told at once, with its log and the log's last lines.

Snakemake tells what happens as records of its logger, each with an event and the values that belong to it.
"""

import atexit
import logging
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TextIO

from cascade_equivalence.jobs.time_left import TimeLeft, in_words
from cascade_equivalence.provenance.record import record_files

SHOW, STAGES = "CASCADE_EQUIVALENCE_SHOW", "stages"
NOTES = "CASCADE_EQUIVALENCE_NOTES"
"""Environment variable with the file in which nodes say what the user should know."""
WHOLE = "whole study"
TARGETS = "Snakefile"
"""The file of rules that make nothing."""
# Of what Snakemake says of no job, what its user wants to know.
TOLD = re.compile(
    "Nothing to be done|Complete log|Elapsed time|Trying to restart|Terminating|Will exit after|Shutting down"
)
# What it says of a script that failed, whose log says more.
OF_A_SCRIPT = re.compile("CalledProcessError in file")
LAST_LINES = 4


class Lines(Protocol):
    """Where the lines of the stages stand."""

    def plan(self, stages: Mapping[str, int]) -> None:
        """Take in the number of jobs of each stage."""

    def show(self, stage: str, done: int, total: int, rest: str) -> None:
        """Show how far a stage is; ``rest`` is what there is to say of the whole run."""

    def above(self, text: str) -> None:
        """Write a text that stays."""

    def close(self) -> None:
        """Leave the lines as they are."""


class PrintedLines:
    """A line when a stage begins and one when it ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun: set[str] = set()

    def plan(self, stages: Mapping[str, int]) -> None:
        """Say what is to be done."""
        self.above(f"{sum(stages.values())} jobs in {len(stages)} stages: {', '.join(stages)}")

    def show(self, stage: str, done: int, total: int, rest: str) -> None:
        """Write a line if the stage begins or ends."""
        if done == total or stage not in self._begun:
            self._begun.add(stage)
            self.above(f"{stage}: {done} of {total}" + (f" ({WHOLE}: {rest})" if rest else ""))

    def above(self, text: str) -> None:
        """Write a text."""
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing is drawn that could be left."""


class DrawnLines:
    """All stages on a terminal, drawn in place."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rest]}", markup=False),
            console=Console(file=stream),
            refresh_per_second=2,
            # Others write there, too: Snakemake before its first job and after its last.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._tasks: dict[str, Any] = {}
        self._done: Counter[str] = Counter()

    def plan(self, stages: Mapping[str, int]) -> None:
        """Draw all stages, and the whole below them."""
        for stage, total in [*stages.items(), (WHOLE, sum(stages.values()))]:
            self._tasks[stage] = self._progress.add_task(stage, total=total, rest="")
        self._progress.start()

    def show(self, stage: str, done: int, total: int, rest: str) -> None:
        """Draw a stage and the whole as far as they are."""
        self._done[stage] = done
        self._progress.update(self._tasks[stage], completed=done, total=total)
        self._progress.update(self._tasks[WHOLE], completed=self._done.total(), rest=rest)

    def above(self, text: str) -> None:
        """Write a text above what is drawn."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Draw no more, and give the cursor back."""
        self._progress.stop()


class StageLines(logging.Handler):
    """Shows how far a run is, from the records of Snakemake's logger.

    Args:
        stages: Gives the stage of each rule, in the order of the stages; asked when the rules are known.
        usual: Gives the usual seconds of a job of each rule, as far as they are known.
        lines: Where to show it.
        notes: A file in which nodes say what the user should know.
        clock: Seconds since any moment.
    """

    def __init__(
        self,
        stages: Callable[[], Mapping[str, str]],
        usual: Callable[[], Mapping[str, float]],
        lines: Lines,
        notes: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._stages, self._usual, self._lines, self._clock = stages, usual, lines, clock
        self._notes = notes.open(encoding="utf-8") if notes else None
        self._stage_of: Mapping[str, str] = {}
        self._says: dict[int, str] = {}
        self._failed: set[int] = set()
        self._time: TimeLeft | None = None
        self._takes = {
            "run_info": self._plan,
            "job_info": self._begin,
            "job_finished": self._finish,
            "job_error": self._fail,
        }

    def emit(self, record: logging.LogRecord) -> None:
        """Take in what happened, and show it."""
        try:
            event, values = getattr(record, "event", None), record.__dict__
            if self._notes and (said := self._notes.read().strip()):
                self._lines.above(said)
            if event in self._takes:
                self._takes[event](values)
            elif event is None or event == "error":
                text = self.format(record)
                if (record.levelno >= logging.WARNING or TOLD.match(text)) and not OF_A_SCRIPT.search(text):
                    self._lines.above(text)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Leave the terminal as it was found."""
        self._lines.close()
        if self._notes:
            with suppress(OSError):
                Path(self._notes.name).unlink(missing_ok=True)
            self._notes.close()
            self._notes = None
        super().close()

    def _plan(self, values: Mapping[str, Any]) -> None:
        if self._time is not None:
            return
        self._stage_of = self._stages()
        planned = {rule: count for rule, count in values["stats"].items() if rule in self._stage_of}
        self._time = TimeLeft(planned, self._usual(), self._clock)
        # In the order of the workflow's files, not of the plan.
        counts = self._counts(planned)
        self._lines.plan({stage: counts[stage] for stage in dict.fromkeys(self._stage_of.values()) if stage in counts})

    def _begin(self, values: Mapping[str, Any]) -> None:
        if self._time is None or values["rule_name"] not in self._stage_of:
            return
        number = values["jobid"]
        self._failed.discard(number)
        self._says[number] = values["rule_msg"] or values["rule_name"]
        self._time.begin(number, values["rule_name"])
        self._show(values["rule_name"])

    def _finish(self, values: Mapping[str, Any]) -> None:
        if self._time is not None and (rule := self._time.end(values["job_id"], done=True)):
            self._show(rule)

    def _fail(self, values: Mapping[str, Any]) -> None:
        number, logs = values["jobid"], values["log"]
        rule = self._time.end(number, done=False) if self._time is not None else None
        self._failed.add(number)
        told = [f"Failed: {self._says.get(number) or values['rule_name']}"]
        for log in logs:
            told += [f"  its log: {log}", *(f"    {line}" for line in last_lines(Path(log)))]
        self._lines.above("\n".join(told))
        if rule:
            self._show(rule)

    def _counts(self, jobs: Mapping[str, int]) -> Counter[str]:
        """Jobs by stage, of jobs by rule."""
        found: Counter[str] = Counter()
        for rule, count in jobs.items():
            found[self._stage_of[rule]] += count
        return found

    def _show(self, rule: str) -> None:
        assert self._time is not None
        planned, done = self._counts(self._time.planned), self._counts(self._time.done)
        stage, left = self._stage_of[rule], self._time.left()
        rest = [f"about {in_words(left)} left"] if left else []
        rest += [f"{len(self._failed)} failed"] if self._failed else []
        self._lines.show(stage, done[stage], planned[stage], ", ".join(rest))


def last_lines(log: Path) -> list[str]:
    """The last lines of a log that say why its node failed: from its error on, or the end of what was traced."""
    try:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError:
        return []
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].startswith("Error: "):
            return lines[index:]
    return lines[-LAST_LINES:]


def show_stages(workflow: Any, folders: Iterable[Path]) -> None:
    """Show a line a stage in place of Snakemake's lines on each job, where that is asked for.

    Args:
        workflow: Snakemake's workflow, before it has a plan.
        folders: Folders of results whose records say how long jobs took before.
    """
    if os.environ.get(SHOW) != STAGES or workflow.output_settings.dryrun:
        return
    from snakemake.logging import logger
    from snakemake.settings.enums import Quietness

    if {Quietness.ALL, Quietness.PROGRESS} & set(workflow.output_settings.quiet or ()):
        return
    screen = next((each for each in logger.handlers if each.name == "DefaultStreamHandler"), None)
    if not isinstance(screen, logging.StreamHandler):
        return
    number, name = tempfile.mkstemp(prefix="cascade-equivalence-notes-")
    os.close(number)
    os.environ[NOTES] = name
    drawn = screen.stream.isatty() and os.environ.get("TERM") != "dumb"
    lines = DrawnLines(screen.stream) if drawn else PrintedLines(screen.stream)
    handler = StageLines(lambda: stages_of(workflow), lambda: usual_seconds(folders), lines, Path(name))
    handler.setFormatter(screen.formatter)
    logger.removeHandler(screen)
    logger.addHandler(handler)
    atexit.register(handler.close)


def stages_of(workflow: Any) -> dict[str, str]:
    """The stage of each rule of a workflow: the name of its file."""
    found = {rule.name: Path(str(rule.snakefile)).stem for rule in workflow.rules}
    return {rule: stage for rule, stage in found.items() if stage != TARGETS}


def usual_seconds(folders: Iterable[Path]) -> dict[str, float]:
    """Seconds that jobs of each rule took before, on average, from their records; damaged ones do not count."""
    import json

    seconds: dict[str, list[float]] = {}
    for folder in folders:
        for path in record_files(folder):
            with suppress(OSError, ValueError, KeyError, TypeError):
                held = json.loads(path.read_bytes())
                seconds.setdefault(held["rule"], []).append(float(held["seconds"]))
    return {rule: sum(each) / len(each) for rule, each in seconds.items()}


def beside_log() -> TextIO:
    """Where a node tells the user what is more than its log's: among the lines of the stages, or on standard error."""
    if name := os.environ.get(NOTES):
        # On another machine it is not there.
        with suppress(OSError):
            return os.fdopen(os.open(name, os.O_WRONLY | os.O_APPEND), "w", buffering=1)
    return os.fdopen(os.dup(2), "w", buffering=1)
