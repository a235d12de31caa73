"""`StudyError`, the one exception whose message is shown to a user, and errors of the file system turned into it."""

import errno
from collections.abc import Sequence

_FULL = "No space left on device"
_MEANINGS = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT),
        "the disk is full: make room and run again; what is complete is kept and not made anew",
    ),
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EEXIST), "a file is where a folder is needed: move it away, or name another folder"
    ),
    errno.EISDIR: "a folder is where a file is needed: move it away, or name another file",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "this is not allowed: change the permissions, or name another folder"),
    errno.EROFS: "the file system may only be read: name a folder on another one",
    errno.ENAMETOOLONG: "the name is too long for a file: choose a shorter one",
    errno.EMFILE: "too many files are open: raise the limit (`ulimit -n`), or start fewer jobs at once",
}


class StudyError(Exception):
    """Something the user can put right: the message says what is wrong, where, and what to do."""


def some_of(names: Sequence[str], most: int = 5) -> str:
    """The first of many names for a message, and how many more there are: "a, b and 3 more"."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that the disk, or the user's share of it, is full; some libraries say it in words alone."""
    return (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)) or _FULL in str(error)


def of_system(error: BaseException) -> StudyError | None:
    """What an error of the file system means to a user: which file, what is wrong, what to do.

    Args:
        error: Any exception. Libraries that write files themselves tell of a full disk in their own words.

    Returns:
        The error to show; None where it says nothing of the kind, and is a fault of the program.
    """
    if isinstance(error, OSError) and error.errno in _MEANINGS:
        where = f"{error.filename}: " if error.filename is not None else ""
        return StudyError(f"{where}{_MEANINGS[error.errno]}")
    if is_full_disk(error):
        return StudyError(_MEANINGS[errno.ENOSPC])
    return None
