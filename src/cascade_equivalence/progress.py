"""Progress of long work: a bar in a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

SECONDS_BETWEEN_LINES = 10.0

terminal: TextIO | None = None
"""Where a bar may be drawn while standard error goes to a log; None where they are the same."""


def remark(text: str) -> None:
    """Say in one line what the user should know and need not stop for: in the log, and on the terminal beside it."""
    print(text, flush=True)
    if terminal is not None:
        print(text, file=terminal, flush=True)


class Advance(Protocol):
    """Says that some more steps are done."""

    def __call__(self, steps: int = 1) -> None:
        """Add ``steps`` finished steps."""


@contextmanager
def progress(label: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Show how far a piece of work is.

    Args:
        label: What is being done.
        total: Steps in all.
        done: Steps that were finished before (taken from a store).

    Yields:
        A function that adds finished steps.
    """
    screen = terminal or sys.stderr
    if not screen.isatty():
        with _lines(label, total, done) as advance:
            yield advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    name = TextColumn("{task.description}", markup=False)
    # What is printed meanwhile goes above the bar, but where there is a log it goes there, and not to the terminal.
    above = terminal is None
    with Progress(
        *(name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
        console=Console(file=screen),
        transient=True,
        redirect_stdout=above,
        redirect_stderr=above,
    ) as bar:
        task = bar.add_task(label, total=total, completed=done)
        if terminal is None:
            yield lambda steps=1: bar.advance(task, steps)
            return
        with _lines(label, total, done) as log:

            def both(steps: int = 1) -> None:
                bar.advance(task, steps)
                log(steps)

            yield both


@contextmanager
def _lines(label: str, total: int, done: int) -> Iterator[Advance]:
    """Plain lines on standard error, at most one every ten seconds."""
    start = last = time.monotonic()
    count = done
    print(f"{label}: {total} to do, {done} of them already done", file=sys.stderr, flush=True)

    def advance(steps: int = 1) -> None:
        nonlocal count, last
        count += steps
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            rate = (count - done) / (now - start)
            print(f"{label}: {count} of {total}, {rate:.1f} a second", file=sys.stderr, flush=True)

    yield advance
    print(f"{label}: {count} of {total}, finished in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
