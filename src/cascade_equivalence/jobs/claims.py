"""A node that may use a GPU claims its output, so that the same task started twice does not compute twice.

Snakemake's own lock is one folder's and one Snakemake's: it does not know of SLURM jobs that a killed Snakemake has
left running, nor of a second Snakemake with ``--nolock``. A claim is a small file that names who is at work: host,
process, SLURM job. It is left behind by a process that is killed; the next one sees that its holder is gone.

Kept for the nodes without a store, such as those that capture states, and to say which SLURM job to wait for; a store
keeps others out by itself. A node that does not declare ``gpu`` claims nothing.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from cascade_equivalence.errors import StudyError
from cascade_equivalence.jobs.slurm import is_running, this_job
from cascade_equivalence.locked import locked

SECONDS_TO_WAIT = 10.0
"""How long a holder that was just killed may take to go."""


@dataclass(frozen=True)
class Holder:
    """Who is at work on an output.

    Attributes:
        host: Name of the machine.
        pid: The process there.
        born: When that process began, in the kernel's ticks: numbers of processes come again.
        job: Number of its SLURM job, if it is one.
        since: When it claimed the output.
    """

    host: str
    pid: int
    born: int | None
    job: str | None
    since: str = field(default="", compare=False)

    def lives(self) -> bool | None:
        """Whether it is still at work; None where that cannot be found out from here."""
        if self.host == socket.gethostname():
            return _began(self.pid) == self.born if self.born is not None else _exists(self.pid)
        return is_running(self.job) if self.job else None

    def __str__(self) -> str:
        where = f"process {self.pid} on {self.host}"
        return f"SLURM job {self.job} ({where})" if self.job else where


def this_process() -> Holder:
    """What a claim of this process says."""
    began = datetime.now(UTC).isoformat(timespec="seconds")
    return Holder(socket.gethostname(), os.getpid(), _began(os.getpid()), this_job(), began)


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold the claim on an output for the length of a block.

    Args:
        path: File of the claim; emptied afterwards, never removed, since another may be waiting for it.

    Raises:
        StudyError: Another process is at work on the same output, or may be.
    """
    me = this_process()
    patience = time.monotonic() + SECONDS_TO_WAIT
    while (holder := _take(path, me)) is not None:
        if time.monotonic() > patience:
            raise StudyError(_refusal(path, holder))
        time.sleep(SECONDS_TO_WAIT / 20)
    try:
        yield
    finally:
        _release(path, me)


def _take(path: Path, me: Holder) -> Holder | None:
    """Write a claim where nobody else has one; else who has."""
    with locked(path) as file:
        holder = _read(file.read())
        if holder is not None and holder != me and holder.lives() is not False:
            return holder
        _write(file, json.dumps(asdict(me)).encode())
    return None


def _release(path: Path, me: Holder) -> None:
    with locked(path) as file:
        if _read(file.read()) == me:
            _write(file, b"")


def _write(file: BinaryIO, content: bytes) -> None:
    file.truncate(0)
    file.write(content)
    file.flush()
    os.fsync(file.fileno())


def _read(content: bytes) -> Holder | None:
    """A claim; none in an empty file, or in one that a power cut has left half written."""
    try:
        return Holder(**json.loads(content))
    except (ValueError, TypeError):
        return None


def _refusal(path: Path, holder: Holder) -> str:
    stop = f"scancel {holder.job}" if holder.job else f"kill {holder.pid} on {holder.host}"
    known = holder.lives()
    doubt = "" if known else f"; if it is gone, which cannot be told from here, remove {path}"
    return (
        f"{holder} has been at work on this output since {holder.since}, and nothing is to be computed twice: "
        f"wait for it to end, or stop it ({stop}), then run again{doubt}"
    )


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _began(pid: int) -> int | None:
    """When a process began, in ticks since the machine did; None if there is none, or the kernel does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets, which may hold anything.
    state, *fields = text.rpartition(")")[2].split()
    return None if state == "Z" else int(fields[18])
