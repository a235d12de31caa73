"""Run a command, and turn whatever ends it into one line and an exit status."""

import os
import sys
import tempfile
import traceback
from pathlib import Path

from cascade_equivalence.cli.tree import build_parser
from cascade_equivalence.errors import StudyError

WRONG, UNEXPECTED, INTERRUPTED = 1, 3, 130
"""Exit status: something the user can put right; a fault of the program; Ctrl-C."""


def main() -> None:
    """Run the command line."""
    arguments = build_parser().parse_args()
    try:
        status = arguments.run(arguments)
    except StudyError as error:
        sys.exit(f"Error: {error}")
    except BrokenPipeError:
        # `| head` has read enough. What is left in the buffer would fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = WRONG
    except KeyboardInterrupt:
        status = INTERRUPTED
    except OSError as error:
        if error.filename is None:
            status = _report(error)
        else:
            sys.exit(f"Error: {error.filename}: {error.strerror}")
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == __package__.partition(".")[0]:
            status = _report(error)
        else:
            sys.exit(f"Error: this needs {error.name}, which is not installed: pip install 'cascade-equivalence[run]'")
    except Exception as error:
        status = _report(error)
    if status:
        sys.exit(status)


def _report(error: Exception) -> int:
    """Say in one line that a fault of the program, or of a plugin, ended it; the details are kept in a log."""
    from cascade_equivalence.plugins import fault_of

    log = _write_log()
    if (fault := fault_of(error)) is not None:
        print(f"Error: {fault} (a plugin of the study; more in {log})", file=sys.stderr)
        return WRONG
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    print(
        f"Error: unexpected, so most likely a fault of this program: {said}. Please report it on the project's issue "
        f"tracker, with {log}",
        file=sys.stderr,
    )
    return UNEXPECTED


def _write_log() -> str:
    beside = Path(".snakemake", "log")
    try:
        number, name = tempfile.mkstemp(
            ".log", "cascade-equivalence-", dir=beside if beside.is_dir() and os.access(beside, os.W_OK) else None
        )
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(f"{' '.join(sys.argv)}\n{traceback.format_exc()}")
    except OSError:
        return "these details:\n" + traceback.format_exc()
    return name
