"""A process that does what a node's own would have done: takes its request, becomes it, runs its script.

The node's side is in :mod:`.reach`. Used by the server of a run's forks (:mod:`.warm`), each of which becomes one node,
and by the process that nodes of a job share (:mod:`.worker`), which becomes one after the other.
"""

import atexit
import json
import os
import runpy
import socket
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

STREAMS = 3


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Read a node's request.

    Args:
        connection: To the node's process.

    Returns:
        The request, and this process's numbers of the node's three streams; None if there is no whole request.
    """
    streams: list[int] = []
    try:
        head, streams, _, _ = socket.recv_fds(connection, 4, STREAMS)
        message = b""
        while part := connection.recv(int.from_bytes(head, "big") - len(message)):
            message += part
        request: dict[str, Any] = json.loads(message)
        if len(streams) == STREAMS:
            return request, streams
    except (OSError, ValueError):
        pass
    close(streams)
    return None


def close(streams: Sequence[int]) -> None:
    """Let go of a node's streams."""
    for stream in streams:
        os.close(stream)


def run_as(request: dict[str, Any], streams: Sequence[int]) -> int:
    """Take a node's streams, folder, environment and arguments, and run its script.

    Args:
        request: From :func:`receive`.
        streams: Its streams, which become this process's.

    Returns:
        The exit status that the script would have given.
    """
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    close(streams)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = request["argv"]
    sys.path[:] = request["path"]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        return _exit_status(end)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _exit_status(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        # As the system would tell it: the last byte.
        return (end.code or 0) & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def leave(status: int) -> None:
    """End this process as it would end by itself, but without taking the interpreter apart.

    In a fork that would write to every object that it shares with its server, and copying their pages takes longer than
    most nodes.
    """
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status & 0xFF)
