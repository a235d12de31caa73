"""Processes of a run: scripts are given the path of the library, and end when their Snakemake ends.

A script that is started by hand, without Snakemake's number in its environment, does not wait for anyone's end.
"""

import atexit
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from cascade_equivalence.jobs.compiled import archive, bring, contents, put_back

STARTED_BY = "CASCADE_EQUIVALENCE_SNAKEMAKE"
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_TO_END = 60.0
# Large tensors come and go with every batch. The C library would hand their memory back each time, and the kernel would
# clear it anew: a fifth of the time of a training step.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(4 << 30), "MALLOC_TRIM_THRESHOLD_": str(16 << 30)}


def prepare_scripts(library: Path) -> None:
    """Tell the scripts that this process will start where the library is and whom they work for.

    Args:
        library: The folder that holds the package.
    """
    earlier = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(library), earlier]))
    os.environ[STARTED_BY] = str(os.getpid())
    for name, value in KEEP_MEMORY.items():
        os.environ.setdefault(name, value)


def compile_anew() -> None:
    """Have numba compile into a folder of this process, before librosa is imported.

    What another processor or version left in the shared cache, or two processes that wrote into it at once, can crash
    the process. The folder begins with what an earlier process has compiled for this processor and these libraries,
    see :mod:`.compiled`.
    """
    folder = Path(tempfile.mkdtemp())
    kept = archive()
    bring(kept, folder)
    before = contents(folder)

    def leave() -> None:
        put_back(kept, folder, before)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(leave)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    # It reads the variable when it is imported, which in a fork was before: whisper imports it.
    if (numba := sys.modules.get("numba")) is not None:
        numba.config.CACHE_DIR = str(folder)


def end_with_snakemake() -> None:
    """End this process at once when the Snakemake that started it is gone.

    An orphan would hold its store and write beside the next run. What it has computed is in the store already.
    """
    # A container with process numbers of its own does not see it: no reason to end.
    if (pid := os.environ.get(STARTED_BY)) is not None and _lives(int(pid)):
        end_with(int(pid))


def end_with(pid: int) -> None:
    """End this process at once when another is gone.

    Args:
        pid: The other's process number.
    """
    threading.Thread(target=_outlive, args=(pid,), daemon=True).start()


def _outlive(pid: int) -> None:
    """Wait for another process's end, then end this one without further steps."""
    try:
        # Linux says when it happens, even if nobody has taken note of the end yet.
        select.select([os.pidfd_open(pid)], [], [])
    except AttributeError:
        while _lives(pid):
            time.sleep(SECONDS_BETWEEN_LOOKS)
    except ProcessLookupError:
        pass
    end_in_order()


def end_in_order() -> None:
    """End this process from one of its threads: by itself if it has said how, at once otherwise."""
    if callable(signal.getsignal(signal.SIGTERM)):
        # It waits for what is under way and was paid for.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SECONDS_TO_END)
    os._exit(1)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
