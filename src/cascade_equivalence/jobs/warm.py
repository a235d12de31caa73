"""The server of a run's forks: imports the heavy libraries, keeps small models open, and forks itself for each node.

A fork begins from what the server has imported and from models as their files have them, so nodes cannot influence each
other. What model a fork has opened it says in a file beside the socket; the server opens it, too, before it forks
again, and later forks have it at once (``models/kept.py``).

A fork copies one thread only, so the server serves while it has no other, and only nodes of one thread. The server ends
with the Snakemake that it works for, and a fork with the node's process. Snakemake's benchmark files then hold the time
of a node but not its memory. What it is worth, and the side of the nodes, is in :mod:`.forks`.
"""

import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade_equivalence.jobs import forks
from cascade_equivalence.jobs.processes import end_with
from cascade_equivalence.jobs.reach import BEGUN, SOCKET
from cascade_equivalence.jobs.standing_in import close, leave, receive, run_as

KEPT = "cascade_equivalence.models.kept"
"""Module of the models that are kept."""
# None of them may start a thread: polars does, so nodes import that themselves.
IMPORTS = (
    # Every optimiser of torch imports its compiler, torch._dynamo.
    *("scipy.stats", "torch", "torch._dynamo", "whisper", "ctranslate2", "tokenizers", "safetensors.torch"),
    "soundfile",
    *("transformers.models.llama.modeling_llama", "transformers.models.gemma3.modeling_gemma3"),
    *("transformers.models.whisper.modeling_whisper", "cascade_equivalence.models.speech_llm.model"),
    *("cascade_equivalence.models.answering", "cascade_equivalence.models.text_llm", "cascade_equivalence.jobs.work"),
    KEPT,
)
# Snakemake's part of a script; in an environment of the rules' own it is found by the script alone.
BESIDE = ("snakemake.iocontainers", "snakemake.logging")
NOTES = "opened"
"""File beside the socket in which forks say what models they have opened, a line each."""

_notes: Path | None = None


@dataclass
class _Forks:
    """The forks at work: their processes by what tells of their end, and by who waits for them."""

    events: selectors.BaseSelector
    pids: dict[socket.socket, int] = field(default_factory=dict)

    def add(self, connection: socket.socket, pid: int) -> None:
        """Watch a fork and the node that waits for it."""
        with suppress(OSError):
            connection.sendall(BEGUN)
        self.pids[connection] = pid
        ended = os.pidfd_open(pid)
        self.events.register(ended, selectors.EVENT_READ, lambda: self._ended(connection, pid, ended))
        self.events.register(connection, selectors.EVENT_READ, lambda: self._left(connection, pid))

    def _ended(self, connection: socket.socket, pid: int, ended: int) -> None:
        self.events.unregister(ended)
        os.close(ended)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(OSError):
            connection.sendall(b"%d" % (code if code >= 0 else 128 - code))
        if connection in self.pids:
            self.events.unregister(connection)
        self.pids.pop(connection, None)
        connection.close()

    def _left(self, connection: socket.socket, pid: int) -> None:
        """A node's process ended: what it waited for has nobody to work for."""
        self.events.unregister(connection)
        del self.pids[connection]
        _end(pid)

    def end(self) -> None:
        """End all forks."""
        for pid in self.pids.values():
            _end(pid)


def _end(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGTERM)


def serve(folder: Path, owner: int, imports: Sequence[str]) -> Callable[[], None] | None:
    """Serve nodes until their Snakemake ends.

    Args:
        folder: Folder of the socket, for this user's eyes only.
        owner: Process number of the Snakemake.
        imports: Modules to import before the first fork.

    Returns:
        In the server None, when it is over; in a fork what it has to run.
    """
    global _notes  # noqa: PLW0603 - its forks write there
    _notes = folder / NOTES
    events = selectors.DefaultSelector()
    at_work = _Forks(events)
    read: set[str] = set()
    over: list[bool] = []
    work: list[Callable[[], None]] = []
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            events.register(os.pidfd_open(owner), selectors.EVENT_READ, lambda: over.append(True))
            listener.bind(str(folder / SOCKET))
            listener.listen(64)
            for name in imports:
                importlib.import_module(name)
            for name in BESIDE:
                with suppress(ImportError):
                    importlib.import_module(name)

            def accept() -> None:
                connection, _ = listener.accept()
                _keep(folder / NOTES, read)
                if (found := _fork(connection)) is None:
                    connection.close()
                elif isinstance(found, int):
                    at_work.add(connection, found)
                else:
                    work.append(found)

            events.register(listener, selectors.EVENT_READ, accept)
            while not over and not work:
                # One at a time: two events of one moment may be about one fork, and the first deals with it.
                events.select()[0][0].data()
        finally:
            if not work:
                at_work.end()
                shutil.rmtree(folder, ignore_errors=True)
    if not work:
        return None
    for connection in at_work.pids:
        connection.close()
    events.close()
    return work[0]


def _keep(notes: Path, read: set[str]) -> None:
    """Open what forks have opened, for those to come; what fails here fails in a fork, which says why."""
    if KEPT not in sys.modules:
        return
    with suppress(Exception):
        for line in notes.read_text(encoding="utf-8").splitlines():
            if line not in read:
                read.add(line)
                sys.modules[KEPT].keep(line)


def _note() -> None:
    """Say what models this fork has opened."""
    if _notes is None or KEPT not in sys.modules:
        return
    with suppress(OSError):
        lines = sys.modules[KEPT].take_notes()
        if lines:
            with _notes.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))


def _fork(connection: socket.socket) -> int | Callable[[], None] | None:
    """Fork for a node.

    Returns:
        The fork's process number; in the fork what it has to run; None if a fork is not safe, or there is no request.
    """
    received = receive(connection)
    if received is None:
        return None
    request, streams = received
    try:
        pid = os.fork() if len(list(Path("/proc/self/task").iterdir())) == 1 else None
    except OSError:
        pid = None
    if pid == 0:
        connection.close()
        return lambda: _become(request, streams)
    close(streams)
    return pid


def _become(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Turn a fork into the node, and run its script."""
    forks.in_fork = True
    os.setpgid(0, 0)
    end_with(request["node"])
    status = 1
    try:
        status = run_as(request, streams)
    finally:
        if status == 0:
            _note()
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        leave(status)


if __name__ == "__main__":
    # Under the module's own name, where a fork's script finds the state that says that it is one.
    module = importlib.import_module(forks.SERVER)
    told = json.loads(sys.argv[3])
    if (todo := module.serve(Path(sys.argv[1]), int(sys.argv[2]), IMPORTS if told is None else told)) is not None:
        todo()
