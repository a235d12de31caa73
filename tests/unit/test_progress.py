"""Progress is a bar where somebody looks, and a few plain lines in a log."""

import io
import os
import pty
import re
import sys
from collections.abc import Iterator

import pytest

from cascade_equivalence import progress as module
from cascade_equivalence.progress import progress, remark


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


class Terminal:
    """Both ends of a pseudo-terminal."""

    def __init__(self) -> None:
        self._reader, writer = pty.openpty()
        self.file = os.fdopen(writer, "w", buffering=1)

    def text(self) -> str:
        """All that was drawn; the terminal is closed then."""
        self.file.close()
        shown = b""
        try:
            while piece := os.read(self._reader, 65_536):
                shown += piece
        except OSError:  # what Linux says at the end
            pass
        os.close(self._reader)
        return shown.decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    made = Terminal()
    yield made
    if not made.file.closed:
        made.text()


def test_a_log_gets_the_beginning_and_the_end(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Speech", 12, done=5) as advance:
        clock.now += 3
        advance()
        advance(6)
    shown = capsys.readouterr()
    assert shown.out == ""
    numbers = [re.findall(r"\d+(?:\.\d+)?", line) for line in shown.err.splitlines()]
    assert numbers == [["12", "5"], ["12", "12", "3.0"]] and shown.err.count("Speech: ") == 2


def test_a_log_gets_a_line_every_ten_seconds_and_no_more(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Speech", 100, done=20) as advance:
        for _ in range(80):
            clock.now += 1
            advance()
    lines = capsys.readouterr().err.splitlines()[1:-1]
    # The rate is of what was done now, not of what was done before.
    assert lines == [f"Speech: {20 + n} of 100, 1.0 a second" for n in range(10, 81, 10)]


def test_work_that_stops_is_not_said_to_be_finished(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), progress("Speech", 3) as advance:
        advance()
        raise RuntimeError
    assert "finished" not in capsys.readouterr().err


def test_nothing_to_do_is_finished_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Speech", 0):
        pass
    assert capsys.readouterr().err.splitlines()[-1].startswith("Speech: 0 of 0, finished")


def test_a_terminal_gets_a_bar(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal.file)
    with progress("Speech [a]", 4, done=1) as advance:
        advance()
        advance(2)
    drawn = terminal.text()
    assert "Speech [a]" in drawn
    assert "4/4" in drawn
    assert "to do" not in drawn


def test_beside_a_log_the_terminal_gets_the_bar_and_the_log_the_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, out = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(module, "terminal", terminal.file)
    with progress("Speech", 4) as advance:
        print("said on the way")
        print("warned on the way", file=sys.stderr)
        advance(4)
    assert (sys.stderr, sys.stdout) == (log, out)
    lines = log.getvalue().splitlines()
    assert len(lines) == 3 and lines[1] == "warned on the way"
    assert lines[0].startswith("Speech: 4 ") and lines[2].startswith("Speech: 4 of 4")
    assert out.getvalue() == "said on the way\n"
    drawn = terminal.text()
    assert "4/4" in drawn
    assert "on the way" not in drawn


def test_a_terminal_that_is_a_file_gets_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake's own standard error may be a file: the log is enough then."""
    file = io.StringIO()
    monkeypatch.setattr(module, "terminal", file)
    with progress("Speech", 1) as advance:
        advance()
    assert file.getvalue() == ""
    assert "1 of 1" in capsys.readouterr().err


def test_a_remark_is_in_the_log_and_on_the_terminal_once_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    remark("Warning: one")
    assert capsys.readouterr().out == "Warning: one\n"
    screen = io.StringIO()
    monkeypatch.setattr(module, "terminal", screen)
    remark("Warning: two")
    assert capsys.readouterr().out == screen.getvalue() == "Warning: two\n"
