"""A node's process goes on as a fork of the run's server, which has the heavy libraries and small models open.

Importing torch and transformers takes a small model's node longer than its answers do. With the environment variable
``CASCADE_EQUIVALENCE_WARM`` set, the first node starts a server (:mod:`.warm`) that imports them and forks itself for
every node; the node's own process passes it its script, folder, environment and standard streams, waits, and ends with
the fork's exit status. Whatever stands in the way, the node runs by itself as it would have.

Kept because a demo of about 240 nodes took 8 min 42 s with it and 18 without (``docs/results/what-it-takes.md``); it
is of no use on a cluster. Without the variable nothing of it runs. Open it when a node does not find its server.
"""

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from cascade_equivalence.jobs.processes import STARTED_BY

WARM = "CASCADE_EQUIVALENCE_WARM"
SERVER = "cascade_equivalence.jobs.warm"
PATIENCE = 20.0  # seconds until the server listens; it imports afterwards
FORKED = b"+"
"""What the server says when a fork is at work."""
# No thread of a library's may outlive its loading: a fork copies one only.
THREADLESS = {"HF_DEACTIVATE_ASYNC_LOAD": "1", "TOKENIZERS_PARALLELISM": "false"}

in_fork = False
"""Whether this process is a fork of the server."""


def wanted(threads: int) -> bool:
    """Whether a node of so many threads should run as a fork: asked for, in a run, and not one already."""
    return not in_fork and threads == 1 and bool(os.environ.get(WARM)) and STARTED_BY in os.environ


def run(imports: Sequence[str] | None = None) -> int | None:
    """Run this process's script in a fork of the run's server, which is started if there is none.

    Args:
        imports: Modules that a new server imports; what it would import itself by default.

    Returns:
        The fork's exit status, 128 and the signal's number if one ended it, 1 if its server died; None if there is no
        server that could do it, and this process has to.
    """
    owner = os.environ[STARTED_BY]
    # Each environment of the rules has a server of its own: a fork cannot change what is imported.
    folder = Path(tempfile.gettempdir(), f"cascade-equivalence-{os.getuid()}-{owner}-{crc32(sys.prefix.encode()):08x}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            return None
        with _server(folder, owner, imports) as server:
            request = {
                "node": os.getpid(),
                "argv": sys.argv,
                "path": sys.path,
                "folder": str(Path.cwd()),
                "environment": dict(os.environ),
            }
            sys.stdout.flush()
            sys.stderr.flush()
            message = json.dumps(request).encode()
            socket.send_fds(server, [len(message).to_bytes(4, "big")], [0, 1, 2])
            server.sendall(message)
            # From here on the fork is at work, and doing it again would write beside it.
            return _status(server) if server.recv(1) == FORKED else None
    except (OSError, TimeoutError):
        return None


def _status(server: socket.socket) -> int:
    try:
        return int(server.recv(16) or 1)
    except OSError:
        return 1


def _server(folder: Path, owner: str, imports: Sequence[str] | None) -> socket.socket:
    """Connect to the run's server; the first of several nodes starts it, the others wait for that."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(OSError):
            return _connect(folder)
        command = [sys.executable, "-m", SERVER, str(folder), owner, json.dumps(imports)]
        # OpenBLAS would start threads of its own when numpy is imported.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | THREADLESS
        started = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE
        while started.poll() is None and time.monotonic() < deadline:
            with suppress(OSError):
                return _connect(folder)
            time.sleep(0.02)
    raise TimeoutError


def _connect(folder: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(folder / "socket"))
    except OSError:
        connection.close()
        raise
    return connection
