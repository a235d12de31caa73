"""A node's process goes on as a fork of the run's server, which has the heavy libraries and small models open.

Importing torch and transformers takes a small model's node longer than its answers do. With the environment variable
``CASCADE_EQUIVALENCE_WARM`` set, the first node starts a server (:mod:`.warm`) that imports them and forks itself for
every node; the node's own process passes it its script, folder, environment and standard streams, waits, and ends with
the fork's exit status. Whatever stands in the way, the node runs by itself as it would have.

Kept because a demo of about 240 nodes took 8 min 42 s with it and 18 without (``docs/results/what-it-takes.md``); it
is of no use on a cluster, where nodes that share a job share a process (:mod:`.one_process`). Without the variable
nothing of it runs.
"""

import json
import os
import sys
from collections.abc import Sequence
from zlib import crc32

from cascade_equivalence.jobs.processes import STARTED_BY
from cascade_equivalence.jobs.reach import LOST, ask, private_folder, server_in

WARM = "CASCADE_EQUIVALENCE_WARM"
SERVER = "cascade_equivalence.jobs.warm"
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
    # OpenBLAS would start threads of its own when numpy is imported.
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | THREADLESS
    try:
        # Each environment of the rules has a server of its own: a fork cannot change what is imported.
        folder = private_folder(f"{owner}-{crc32(sys.prefix.encode()):08x}")
        if folder is None:
            return None
        with server_in(folder, SERVER, [owner, json.dumps(imports)], environment) as server:
            status = ask(server)
    except (OSError, TimeoutError):
        return None
    return 1 if status == LOST else status
