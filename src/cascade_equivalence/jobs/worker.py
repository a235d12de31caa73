"""The process that nodes of a job share: runs their scripts one after the other, and keeps the model opened last.

What it is for, and the side of the nodes, is in :mod:`.one_process`. It ends with the Snakemake that it works for, with
a node whose own process ends before it has its status, and after a node that has failed. The next such process waits
for that: only then are memory and GPU free.
"""

import fcntl
import gc
import importlib
import json
import os
import select
import selectors
import shutil
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ctypes import CDLL
from pathlib import Path

from cascade_equivalence.jobs import one_process
from cascade_equivalence.jobs.as_before import as_before
from cascade_equivalence.jobs.last_opened import empty_cache, keep_last
from cascade_equivalence.jobs.processes import SECONDS_TO_END, end_in_order
from cascade_equivalence.jobs.reach import ALIVE, BEGUN, SOCKET
from cascade_equivalence.jobs.standing_in import close, leave, receive, run_as

KEPT = "cascade_equivalence.models.kept"
# What a node may change in them is put back only if they are there before it.
IMPORTS = ("torch", "cascade_equivalence.models.text_llm", KEPT, "cascade_equivalence.jobs.work")
PATIENCE = 20.0  # seconds for a node to send its request


class Worker:
    """What the process has to do with nodes.

    Args:
        folder: Folder of the socket, for this user's eyes only.
        owner: Process number of the Snakemake.
        threads: Threads of the nodes that it serves.
    """

    def __init__(self, folder: Path, owner: int, threads: int) -> None:
        self._folder, self._threads = folder, threads
        # Held until this process is no more, not only until it serves no longer.
        self._alive = os.open(folder / ALIVE, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._owner = os.pidfd_open(owner)
        self._listener = socket.socket(socket.AF_UNIX)
        # Of one that was killed.
        (folder / SOCKET).unlink(missing_ok=True)
        self._listener.bind(str(folder / SOCKET))
        self._listener.listen(64)

    def serve(self) -> None:
        """Serve nodes until their Snakemake ends, or one of them fails."""
        with selectors.DefaultSelector() as events:
            events.register(self._owner, selectors.EVENT_READ)
            events.register(self._listener, selectors.EVENT_READ)
            while self._owner not in {key.fd for key, _ in events.select()}:
                connection, _ = self._listener.accept()
                with connection:
                    if not self._serve(connection):
                        return
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self, connection: socket.socket) -> bool:
        """Run a node's script; whether this process can take another."""
        connection.settimeout(PATIENCE)
        received = receive(connection)
        if received is None:
            return True
        request, streams = received
        if _has_left(connection):
            close(streams)
            return True
        status, goes_on = None, False
        if (request["threads"], request["prefix"]) == (self._threads, sys.prefix):
            with suppress(OSError):
                connection.sendall(BEGUN)
            # If something cannot be put back, the node is as done as it was, and the next begins in a fresh process.
            with suppress(Exception):
                with self._watching(connection), as_before():
                    status = run_as(request, streams)
                goes_on = status == 0
        else:
            close(streams)
        if goes_on:
            _tidy()
        else:
            # Before anybody hears of it: the next node, and those that wait in line, start a process of their own.
            (self._folder / SOCKET).unlink(missing_ok=True)
            self._listener.close()
        if status is not None:
            with suppress(OSError):
                connection.sendall(b"%d" % status)
        return goes_on

    @contextmanager
    def _watching(self, connection: socket.socket) -> Iterator[None]:
        """End this process if the Snakemake or the node's own process ends meanwhile: nobody waits for the result."""
        over, end = os.pipe()
        with selectors.DefaultSelector() as events:
            for watched in (over, self._owner, connection):
                events.register(watched, selectors.EVENT_READ)

            def watch() -> None:
                ready = {key.fd for key, _ in events.select()}
                if over not in ready:
                    if self._owner in ready:
                        shutil.rmtree(self._folder, ignore_errors=True)
                    end_in_order()

            watcher = threading.Thread(target=watch, daemon=True)
            watcher.start()
            try:
                yield
            finally:
                os.write(end, b"+")
                watcher.join()
                os.close(over)
                os.close(end)


def _has_left(connection: socket.socket) -> bool:
    """Whether a node's own process has ended while it waited for its turn: beside its request it sends nothing."""
    return bool(select.select([connection], [], [], 0)[0])


def _tidy() -> None:
    """Give back what a node has left: memory of this process and of the GPU, and its share of the processor's time."""
    gc.collect()
    empty_cache()
    # Nothing else would: see `KEEP_MEMORY` in `processes`. Only the GNU library has it.
    with suppress(OSError, AttributeError):
        CDLL(None).malloc_trim(0)
    one_process.spent = sum(os.times()[:4])


def main(folder: Path, owner: int, threads: int, imports: Sequence[str]) -> None:
    """Be the process, until it is no longer needed."""
    one_process.inside = True
    worker = Worker(folder, owner, threads)
    for name in imports:
        importlib.import_module(name)
    if KEPT in imports:
        keep_last()
    # A folder that may be removed while nobody is at work there.
    os.chdir("/")
    worker.serve()
    # Whatever hangs at the end: nothing is left behind.
    late = threading.Timer(SECONDS_TO_END, os._exit, (1,))
    late.daemon = True
    late.start()
    leave(0)


if __name__ == "__main__":
    # Under the module's own name, so that there is one of it.
    told = json.loads(sys.argv[4])
    importlib.import_module(one_process.SERVER).main(
        Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), IMPORTS if told is None else told
    )
