"""Snakemake's lock on a folder outlives a Snakemake that was killed; here is how to know that it does.

Every Snakemake of this project holds a file of its own as long as it lives: the kernel lets go of it when the process
ends, however it ends. ``python -m cascade_equivalence.dag.lock`` removes Snakemake's lock if nobody holds that file.
"""

import fcntl
import os
from pathlib import Path

HELD = Path(".snakemake") / "cascade-equivalence.held"
LOCKS = Path(".snakemake") / "locks"

_open: list[int] = []


def hold_folder(folder: Path = Path()) -> None:
    """Say, for as long as this process lives, that a Snakemake is at work in a folder; any number may say so.

    A file system without such locks is left alone: Snakemake's own lock is then removed by ``--unlock`` only.
    """
    file = folder / HELD
    try:
        file.parent.mkdir(exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return  # a folder that may only be read: a dry run's business, and nothing to protect
    _open.append(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except OSError:
        return


def release_stale(folder: Path = Path()) -> bool:
    """Remove Snakemake's lock on a folder if the Snakemake that took it is gone.

    Returns:
        Whether there was such a lock.
    """
    stale = sorted((folder / LOCKS).glob("*"))
    if not stale or not (folder / HELD).is_file():
        return False
    with (folder / HELD).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        for path in stale:
            path.unlink(missing_ok=True)
    return True


if __name__ == "__main__" and release_stale():
    print("Going on after a run that was stopped.")
