"""The context that each node's script runs in: opens its log, reads the study, writes the record, reports errors."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from cascade_equivalence import progress
from cascade_equivalence.config.load import load_study
from cascade_equivalence.errors import StudyError, of_system
from cascade_equivalence.jobs import one_process
from cascade_equivalence.jobs.claims import claimed
from cascade_equivalence.jobs.screen import NOTES, beside_log
from cascade_equivalence.jobs.turns import turn_of
from cascade_equivalence.plugins import fault_of
from cascade_equivalence.provenance.recording import RecordWriter
from cascade_equivalence.stages.study import Study


@contextmanager
def at_work(job: Any) -> Iterator[Study]:
    """Run the body of a node's script, and write its record when it has made its outputs.

    Standard output and error go to the node's log; a progress bar goes to the terminal, where there is one and the run
    draws no lines there itself. A :class:`StudyError` ends the script with its message alone; it is printed to the
    terminal, too, where the run does not show it. A node that may use a GPU claims its output meanwhile.

    Args:
        job: The ``snakemake`` object of the script.

    Yields:
        The study that the node belongs to.
    """
    writer = RecordWriter(one_process.spent)
    terminal = beside_log()
    log = Path(job.log[0])
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("w", encoding="utf-8")
    except OSError as error:
        sys.exit(f"{job.rule}: {of_system(error) or error}")
    with file:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        progress.terminal = terminal
        os.environ["OMP_NUM_THREADS"] = str(job.threads)
        # The hub's library draws bars of its own, one for each weight file.
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        try:
            study = study_of(job)
            with turn_of(job, study.store("claims", "jobs")), claim_of(job, study):
                writer.begin(job, study.config)
                yield study
                writer.write(job, study.config)
        except Exception as error:
            told = error if isinstance(error, StudyError) else of_system(error) or fault_of(error)
            if told is not error:
                traceback.print_exc()
            if told is not None:
                print(f"Error: {told}", file=sys.stderr)
            if NOTES in os.environ:
                pass  # the run shows the end of this log
            elif told is not None:
                print(f"\n{job.rule}: {told}", file=terminal)
            else:
                print(f"\n{job.rule} failed; its log is {log}", file=terminal)
            sys.exit(1)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()


def study_of(job: Any) -> Study:
    """The study that a node belongs to, with the batch size that this attempt at the node has."""
    config = load_study(job.config)
    size = job.resources.get("batch_size")
    if size is None:
        return Study(config)
    batch = {"batch_size": size}
    parts: dict[str, Any] = {name: getattr(config, name).model_copy(update=batch) for name in ("transcribe", "answer")}
    if config.mechanism is not None:
        states = config.mechanism.states.model_copy(update=batch)
        parts["mechanism"] = config.mechanism.model_copy(update={"states": states})
    return Study(config.model_copy(update=parts))


def claim_of(job: Any, study: Study) -> AbstractContextManager[None]:
    """The claim on a node's output: of nodes that declare whether they use a GPU, no others."""
    if job.resources.get("gpu") is None:
        return nullcontext()
    output = Path(job.output[0])
    inside = output.relative_to(study.results) if output.is_relative_to(study.results) else output
    return claimed(study.store("claims", f"{inside}.json"))
