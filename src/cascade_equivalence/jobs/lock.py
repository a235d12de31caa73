"""Removes Snakemake's lock on a folder where the Snakemake that took it was killed.

Every Snakemake of this project holds a file of its own as long as it lives: the kernel lets go of it when the process
ends, however it ends. The next one removes Snakemake's lock if nobody holds that file.

Kept because a run that was killed then goes on with the same command (``tests/end_to_end/test_kill.py``). Where a file
system has no such locks nothing is removed, and `snakemake --unlock` does it.
"""

import fcntl
import os
import platform
from collections.abc import Collection
from hashlib import sha256
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
        os.pwrite(descriptor, _machine(), 0)
    except OSError:
        return


def release_stale(folders: Collection[str], project: Path = Path()) -> bool:
    """Remove Snakemake's lock if the Snakemake that took it is gone, ran on this machine, and made files of this study.

    Args:
        folders: The folders that the study writes to, as its config names them.
        project: The folder that Snakemake runs in.

    Returns:
        Whether there was such a lock.
    """
    held = project / HELD
    stale = sorted((project / LOCKS).glob("*"))
    if not stale or not held.is_file() or not all(_made_in(folders, path) for path in stale):
        return False
    with held.open("rb") as file:
        # Some file systems of clusters keep such locks to one machine.
        if file.read() != _machine():
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        for path in stale:
            path.unlink(missing_ok=True)
    return True


def _machine() -> bytes:
    return sha256(platform.node().encode()).hexdigest()[:16].encode()


def _made_in(folders: Collection[str], lock: Path) -> bool:
    """Whether a lock on outputs, if it is one, names files of some folders only."""
    if not lock.name.endswith(".output.lock"):
        return True
    lines = lock.read_text(encoding="utf-8").splitlines()
    return all(any(line.startswith(f"{folder}/") for folder in folders) for line in lines if line)
