"""Files of GitHub repositories at a commit."""

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256, write_bytes
from cascade_equivalence.secrets import hidden
from cascade_equivalence.tasks.sources.pins import GitFile

RAW = "https://raw.githubusercontent.com"
"""Where GitHub gives out single files."""

_TIMEOUT = 60.0
_LARGEST = 1 << 26
_NOT_FOUND = 404


def fetch_git_file(pin: GitFile, cache: Path) -> Path:
    """Fetch one small file into the shared cache, or find it there.

    Several processes may ask for the same file at once: one fetches, the others wait. A cached file whose bytes changed
    is fetched again; the network's proxies are those of the environment.

    Args:
        pin: Repository, commit, file and hash.
        cache: Folder of the shared cache; files lie in `sets/<sha256>`.

    Returns:
        The file in the cache.

    Raises:
        StudyError: If GitHub does not give the file or cannot be reached, or it is not the one that was recorded.
    """
    folder = cache / "sets"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / pin.sha256
    with FileLock(folder / f"{pin.sha256}.lock"):
        if not kept.is_file() or sha256(kept) != pin.sha256:
            content = _read(pin)
            arrived = folder / f"{pin.sha256}.part"
            write_bytes(arrived, content)
            if (found := sha256(arrived)) != pin.sha256:
                arrived.unlink()
                raise StudyError(
                    f"{pin.page} has SHA-256 {found}, expected {pin.sha256}: it is not the file that was recorded. "
                    "Change the recorded hash only after comparing the new file with a source you trust."
                )
            arrived.replace(kept)
    return kept


def _read(pin: GitFile) -> bytes:
    url = f"{RAW}/{pin.repo}/{pin.commit}/{quote(pin.file)}"
    limit = pin.bytes or _LARGEST
    try:
        # The scheme is this module's own, never a config's.
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310
            content: bytes = answer.read(limit + 1)
    except urllib.error.HTTPError as error:
        missing = (
            "there is no such file at this commit" if error.code == _NOT_FOUND else f"GitHub answers {hidden(error)}"
        )
        raise _refused(pin, missing) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _refused(pin, f"{hidden(error)}: check the network and the proxy settings, and run again") from error
    if len(content) > limit:
        raise _refused(pin, f"it is longer than the {limit} bytes that were recorded")
    return content


def _refused(pin: GitFile, reason: str) -> StudyError:
    return StudyError(
        f"{pin.page} cannot be fetched: {reason}. A file that you fetch by hand can be used, too: put the sets into a "
        "folder and name it in `items.folder`."
    )
