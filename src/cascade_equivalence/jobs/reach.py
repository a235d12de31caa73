"""How a node's own process reaches one that does its work: over a socket in a folder of the user's, started if need be.

It passes its script, folder, environment and standard streams, waits, and ends with the status that it is told. It
imports next to nothing. The other side is in :mod:`.standing_in`. Open it when a node does not find its server.
"""

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR

SOCKET, ALIVE = "socket", "alive"
"""Files of a server's folder: where it listens, and what it has locked until it is no more."""
PATIENCE = 20.0  # seconds until the server listens; it imports afterwards
BEGUN = b"+"
"""What the server says when the node is at work."""
LOST = -1
"""Status of a node whose server has ended without saying how the node did."""


def private_folder(name: str, *, make: bool = True) -> Path | None:
    """The folder of a server, for this user's eyes only; None if others could write to it, or chose where it lies.

    Args:
        name: What tells it from other servers' of this user.
        make: Whether it is made where there is none.

    Raises:
        OSError: There is none.
    """
    folder = Path(tempfile.gettempdir(), f"cascade-equivalence-{os.getuid()}-{name}")
    if make:
        folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    own = S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    return folder if own else None


def server_in(folder: Path, module: str, words: Sequence[str], environment: Mapping[str, str]) -> socket.socket:
    """Connect to the server of a folder; the first of several nodes starts it, the others wait for that.

    Args:
        folder: The server's folder.
        module: Module that it runs, with the folder as its first argument.
        words: Its further arguments.
        environment: What it has beside this process's environment.

    Raises:
        TimeoutError: It does not listen, or has ended before it did.
    """
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(OSError):
            return connect(folder)
        started = subprocess.Popen(
            [sys.executable, "-m", module, str(folder), *words],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE
        while started.poll() is None and time.monotonic() < deadline:
            with suppress(OSError):
                return connect(folder)
            time.sleep(0.02)
    raise TimeoutError


def connect(folder: Path) -> socket.socket:
    """Connect to the server of a folder.

    Raises:
        OSError: There is none.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(folder / SOCKET))
    except OSError:
        connection.close()
        raise
    return connection


def ask(server: socket.socket, **more: object) -> int | None:
    """Have a server run this process's script, and wait for its end.

    Args:
        server: A connection to it.
        more: What it has to know beside.

    Returns:
        The script's exit status, :data:`LOST` if nobody says it; None if the server has not begun.
    """
    request = {
        "node": os.getpid(),
        "argv": sys.argv,
        "path": sys.path,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        **more,
    }
    sys.stdout.flush()
    sys.stderr.flush()
    message = json.dumps(request).encode()
    try:
        socket.send_fds(server, [len(message).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(message)
        if server.recv(1) != BEGUN:
            return None
    except OSError:
        return None
    # From here on it is at work, and doing it again would write beside it.
    try:
        return int(server.recv(16) or LOST)
    except OSError:
        return LOST
