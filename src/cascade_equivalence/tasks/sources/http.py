"""Downloads of large files, which continue where a connection was cut."""

import hashlib
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from filelock import FileLock

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import write_text
from cascade_equivalence.progress import progress
from cascade_equivalence.secrets import hidden

ATTEMPTS = 6
"""Connections in a row that bring nothing before the job ends; what has arrived stays for the next one."""
LONGEST_PAUSE = 60.0

_TIMEOUT = 60.0
_CHUNK = 1 << 20
_SPARE = 1 << 28
_PARTIAL, _FIRST_SERVER_ERROR = 206, 500
_PASSING = (408, 429)


class _CutError(Exception):
    """A connection that ended early; the text says how."""


@dataclass(frozen=True)
class _Part:
    """What has arrived of a file.

    Attributes:
        path: The bytes.
        record: What they are of.
    """

    path: Path
    record: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def known(self) -> tuple[str | None, int | None]:
        """The server's mark of the version that has arrived in part, and its length."""
        try:
            mark = json.loads(self.record.read_text(encoding="utf-8"))
            return mark["validator"], mark["total"]
        except (OSError, ValueError, KeyError, TypeError):
            return None, None


def fetch_url(url: str, cache: Path, *, secure: bool = True, sleep: Callable[[float], None] = time.sleep) -> Path:
    """Fetch a file into the shared cache, or find it there.

    Several processes may ask for the same file at once: one fetches, the others wait. A connection that is cut, or a
    job that is killed, goes on where it stopped if the server still has the same version of the file. The network's
    proxies are those of the environment.

    Args:
        url: An http or https address without user, query and fragment.
        cache: Folder of the shared cache; files lie in `sets`.
        secure: Refuse a redirection from https to http; False where a hash is checked afterwards.
        sleep: Waits some seconds before the next attempt.

    Returns:
        The file in the cache. Whether it is the right one is for the caller to check.

    Raises:
        StudyError: If the server does not give the file or cannot be reached, or the disk is too small.
    """
    folder = cache / "sets"
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(urlsplit(url).path).name) or "file"
    kept = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"
    with FileLock(kept.with_name(f"{kept.name}.lock")):
        if kept.is_file():
            return kept
        part = _Part(kept.with_name(f"{kept.name}.part"), kept.with_name(f"{kept.name}.part.json"))
        failures = 0
        while True:
            before = part.size
            try:
                _go_on(url, part, secure)
                break
            except (_CutError, OSError, ValueError, http.client.HTTPException) as error:
                failures = 0 if part.size > before else failures + 1
                if failures >= ATTEMPTS or not _passing(error):
                    raise _refused(url, part, error) from error
                sleep(min(LONGEST_PAUSE, 2.0**failures))
        part.path.replace(kept)
        part.record.unlink(missing_ok=True)
    return kept


def _go_on(url: str, part: _Part, secure: bool) -> None:
    """Ask for what is missing and write it down; returns once the file is complete."""
    have = part.size
    validator, expected = part.known()
    if have and have == expected:
        return
    headers = {"Range": f"bytes={have}-", "If-Range": validator} if have and validator else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the config takes http and https only
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
        if secure and url.startswith("https:") and not answer.geturl().startswith("https:"):
            raise StudyError(f"{url} leads to an address without https: give the archive's sha256 or md5.")
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range") or "")
        if answer.status == _PARTIAL and not (span and headers and int(span[1]) == have):
            part.path.unlink(missing_ok=True)
            raise _CutError("the server sent another part than was asked for")
        start = have if answer.status == _PARTIAL else 0
        length = answer.headers.get("Content-Length")
        total = int(span[2]) if span else _length(length)
        _check_space(url, part.path.parent, (total or 0) - start)
        if not start:
            part.path.unlink(missing_ok=True)
        # Written before the bytes: they never lie there without it.
        write_text(part.record, json.dumps({"validator": _mark(answer.headers), "total": total}))
        _write(answer, part.path, start, total)


def _length(header: str | None) -> int | None:
    """A Content-Length; None where it is missing or says no number of bytes."""
    return int(header) if header and re.fullmatch(r"[0-9]{1,18}", header) else None


def _mark(headers: Message) -> str | None:
    """What tells a version of the file from another: a strong ETag, or the date of its last change."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _write(answer: http.client.HTTPResponse, path: Path, start: int, total: int | None) -> None:
    label = f"fetching {path.name.partition('-')[2].removesuffix('.part')} (MiB)"
    with progress(label, total=(total or 0) >> 20) as advance, path.open("ab") as file:
        advance(start >> 20)
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            advance(len(chunk) >> 20)
    if total is not None and (size := path.stat().st_size) != total:
        raise _CutError(f"the connection ended after {size} of {total} bytes")


def _passing(error: Exception) -> bool:
    """Whether a fault may pass: not what the server refuses."""
    if not isinstance(error, urllib.error.HTTPError):
        return not isinstance(error, ValueError | http.client.InvalidURL)
    return error.code in _PASSING or error.code >= _FIRST_SERVER_ERROR


def _check_space(url: str, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise StudyError(
            f"{url} needs {needed >> 20} MiB more, but {folder} has {free >> 20} MiB free: make room, or let "
            "CASCADE_EQUIVALENCE_CACHE name a folder on a larger disk"
        )


def _refused(url: str, part: _Part, error: Exception) -> StudyError:
    kept = f" {part.size} bytes have arrived and are kept; run again to go on." if part.size else ""
    return StudyError(
        f"{url} cannot be fetched ({hidden(error)}): check the address, the network and the proxy settings.{kept} A "
        "file that you fetch by hand can be named by its path instead."
    )
