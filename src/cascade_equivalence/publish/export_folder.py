"""Which files an export has written into a folder, so that the next one leaves none of them that is not its own."""

import json
from collections.abc import Iterable
from pathlib import Path

from cascade_equivalence.errors import StudyError, some_of
from cascade_equivalence.files import sha256, write_text

RECORD = ".export.json"


def check_unchanged(folder: Path) -> None:
    """Refuse a folder with files of an earlier export that somebody has changed since.

    Raises:
        StudyError: There are some; the message names them.
    """
    known = _recorded(folder)
    if changed := [
        name for name, value in known.items() if (folder / name).is_file() and sha256(folder / name) != value
    ]:
        raise StudyError(
            f"{folder} holds files of an earlier export changed since, {some_of(changed)}: move them away, or "
            "name another folder with --output"
        )


def settle(folder: Path, written: Iterable[Path]) -> list[Path]:
    """Take away what an earlier export wrote and this one did not, and note what this one has written.

    Args:
        folder: The folder; files in it that no export wrote are left alone.
        written: What was written now.

    Returns:
        The files that are gone.
    """
    now = {path.relative_to(folder).as_posix(): path for path in written}
    gone = [folder / name for name in _recorded(folder) if name not in now and (folder / name).is_file()]
    for path in gone:
        path.unlink()
        for above in path.parents:
            if above == folder or any(above.iterdir()):
                break
            above.rmdir()
    files = {name: sha256(path) for name, path in sorted(now.items())}
    write_text(folder / RECORD, json.dumps({"files": files}, indent=1) + "\n")
    return gone


def _recorded(folder: Path) -> dict[str, str]:
    """Files of the last export below a folder, with their hashes; a record that is none says nothing."""
    try:
        files = json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]
        found = {str(name): str(value) for name, value in files.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    # A record may come with a folder from elsewhere: nothing outside it is touched.
    return {name: value for name, value in found.items() if (folder / name).resolve().is_relative_to(folder.resolve())}
